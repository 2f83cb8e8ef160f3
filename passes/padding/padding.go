// Package padding decides whether a dimension of a function may be padded, and
// rewrites the function so that it may.
//
// A bucketed call pads a dimension, the symbol B, from its true size n to the
// size P of a bucket, runs one program for P and keeps the first n. That is
// right only if no padding reaches an element that is kept. Rewrite proves it op
// by op; where padding would be folded into something that is kept, it masks it
// with what the fold ignores, and where nothing helps it says which op is in the
// way:
//
//	func @f(%x: f32[B,4]) -> f32[4] {      func @f(%x: f32[B,4], %B.valid: i64[]) -> f32[4] {
//	  %r: f32[4] = reduce_max(%x)            %0: i64[B] = iota() {axis=0}
//	    {axes=[0]}                           %1: i64[B] = broadcast(%B.valid) {axes=[]}
//	  return %r                              %2: bool[B] = lt(%0, %1)
//	}                                        %3: bool[B,4] = broadcast(%2) {axes=[0]}
//	                                         %4: f32[B,4] = constant() {value=-inf}
//	                                         %5: f32[B,4] = select(%3, %x, %4)
//	                                         %r: f32[4] = reduce_max(%5) {axes=[0]}
//	                                         return %r
//	                                       }
//
// Padding may hold anything, NaN included, so a mask is a select and never a
// product. Sizes that the program uses as data (the count in a mean) are those of
// the true size.
//
// Invariant, for each value of the rewritten function: at an index that lies
// within the value's sizes at n along all axes, it holds what the value of the
// original function holds there at n. An axis that was merged from several is
// looked at as those several, so that [B,S] may become [B*S] and come apart again
// with S padded.
package padding

import (
	"jitc/ir"
	"jitc/ir/dim"
)

// Axis is an axis whose size depends on the padded symbol. Size is the axis's
// size: at the padded size of the symbol, the extent that is there; at the true
// size, the leading part that is to be kept, or given.
type Axis struct {
	Axis int
	Size dim.Expr
}

// ResultAxes are the padded axes of one result, ascending; none: the result is
// kept whole.
type ResultAxes []Axis

// ParamAxes are the axes of one parameter that the caller pads, ascending; what
// the padding holds does not matter. An argument that a rule or a file provides
// is to be made for the true size and padded like any other.
type ParamAxes []Axis

// Mask says what was done for one operand of an op, to keep padding out.
type Mask struct {
	Op       string // "reduce_max", "dot_general"; of a composite, the op within it
	Within   string // the composite that was taken apart for it; may be empty
	Pos      ir.Pos
	Arg      int    // the operand
	Axis     int    // its axis
	Identity string // what stands in for padding: "0.0", "-inf"; of an index, its bound: "at most S - 1"
	Why      string // "folds axis 1"
}

// Site is an op at which bits may change, since the same terms are folded in
// another order.
type Site struct {
	Op  string
	Pos ir.Pos
}

// Padded is a function that may be called with a padded size.
//
// Invariant: for all sizes n and P of the symbol, n <= P, that satisfy the facts of
// the original function together with the other sizes, F on arguments padded from n
// to P, with n as Valid, gives in the kept part of its results what the original
// gives at n. The caller chooses n and P so: a bucket beyond the declared range of
// the symbol is refused when the sizes are bound.
type Padded struct {
	F       *ir.Func
	Valid   *ir.Value // F's last parameter: the true size, an i64[]
	Params  []ParamAxes
	Results []ResultAxes
	Masked  []Mask // in program order
	// Exact: the kept results have the bits of the original ones, if an executor's
	// bits depend on the terms and their order only. Otherwise they agree up to the
	// rounding of the sums at Rounded.
	Exact   bool
	Rounded []Site
}

// Rewrite returns a function that computes f with the symbol sym standing for a
// padded size; the true size is a new last parameter of type i64[], named
// "<sym>.valid". f is of the Surface or Primitive dialect and left alone; results
// keep their types, and unused values are dropped. A composite is kept whole where
// nothing in it needs a mask. Where f cannot be padded the error is a *Refusal.
// Rewrite is safe for concurrent use, on one f too.
func Rewrite(f *ir.Func, sym string) (*Padded, error) {
	w, err := newWalker(f, sym)
	if err != nil {
		return nil, err
	}
	p := &Padded{F: w.b.F}
	at := make([]*ir.Value, f.NumIDs)
	for _, from := range f.Params {
		to := p.F.AddParam(from.Name, from.Type, from.Attrs)
		to.Pos = from.Pos
		at[from.ID] = to
		if w.axes[to], err = w.plain(to); err != nil {
			return nil, err
		}
		p.Params = append(p.Params, ParamAxes(w.padded(to.Type)))
	}
	w.addValid(f)
	if err := w.function(f, at); err != nil {
		return nil, err
	}
	for _, r := range f.Results {
		to := at[r.ID]
		if err := w.kept(to); err != nil {
			return nil, err
		}
		p.F.Results = append(p.F.Results, to)
		p.Results = append(p.Results, ResultAxes(w.padded(to.Type)))
	}
	p.Valid, p.Masked, p.Rounded, p.Exact = w.valid, w.masks, w.rounded, len(w.rounded) == 0
	return p, nil
}
