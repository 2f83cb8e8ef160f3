package guard

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"jitc/ir"
	"jitc/ir/dim"
)

// FromFunc returns the guards under which calls may run f, and where f's symbols
// have their values. Parameter i is tensor tensors[i] of the call, a negative
// number is a parameter that calls do not give; nil stands for tensor i, and
// then calls have as many tensors as f has parameters. Presets are symbols whose
// values are constants of the call, by number.
//
// A call satisfies the guards exactly if [ir.BindSizes] accepts its tensors and
// finds every symbol's value. No declared fact is among them that the others
// imply. A symbol whose value does not follow from the sizes one by one, as those
// of f32[A*B] do not, and without a preset, is an *UnboundError.
func FromFunc(f *ir.Func, tensors []int, presets map[string]int) ([]Guard, []Source, error) {
	if tensors != nil && len(tensors) != len(f.Params) {
		return nil, nil, fmt.Errorf("guard: @%s: expected the tensors of %d parameters, got %d", f.Name, len(f.Params), len(tensors))
	}
	d := &derivation{f: f, tensors: tensors, sources: map[string]*Source{}, at: map[[2]int]*Source{}, late: map[string]bool{}}
	for _, v := range ir.Definers(f) {
		for _, sym := range ir.Defines(v) {
			d.late[sym] = true
		}
	}
	for _, sym := range slices.Sorted(maps.Keys(presets)) {
		d.bind(Source{Sym: sym, Arg: -1, Const: presets[sym], Coef: 1})
	}
	if err := d.bindShapes(); err != nil {
		return nil, nil, err
	}
	if err := d.complete(); err != nil {
		return nil, nil, err
	}
	for i, p := range f.Params {
		d.shape(i, p)
	}
	if err := d.facts(); err != nil {
		return nil, nil, err
	}
	if tensors == nil {
		d.guards = slices.Insert(d.guards, 0, Guard{Kind: Count, Want: int64(len(f.Params)), Reason: "declared"})
	}
	sources := make([]Source, len(d.order))
	for i, sym := range d.order {
		sources[i] = *d.sources[sym]
	}
	return d.guards, sources, nil
}

// UnboundError is a symbol whose value a Source cannot give.
type UnboundError struct {
	Func, Sym string
	Param     *ir.Value // a parameter whose shape has the symbol, nil if none has
	Size      dim.Expr  // the size there
}

// Error names the symbol and what to change.
func (e *UnboundError) Error() string {
	where := "no parameter's shape gives it"
	if e.Param != nil {
		where = fmt.Sprintf("it does not follow from %s of %s", e.Size, e.Param.Type)
	}
	return fmt.Sprintf("@%s: the size %s has no value: %s (hint: name it alone in some parameter's shape, or make it an argument)", e.Func, e.Sym, where)
}

type derivation struct {
	f       *ir.Func
	tensors []int
	sources map[string]*Source
	order   []string           // of sources
	at      map[[2]int]*Source // by tensor and axis
	late    map[string]bool    // symbols that f defines while it runs
	guards  []Guard
}

func (d *derivation) bind(s Source) {
	d.sources[s.Sym] = &s
	if s.Arg >= 0 {
		d.at[[2]int{s.Arg, s.Axis}] = &s
	}
	d.order = append(d.order, s.Sym)
}

func (d *derivation) tensor(i int) int {
	if d.tensors == nil {
		return i
	}
	return d.tensors[i]
}

// bindShapes finds the sources of symbols: sizes that are a symbol first, then
// those that are linear in the one symbol that is left open.
func (d *derivation) bindShapes() error {
	d.eachSize(func(arg, axis int, _ *ir.Value, e dim.Expr) {
		if sym, ok := e.IsSym(); ok && d.sources[sym] == nil {
			d.bind(Source{Sym: sym, Arg: arg, Axis: axis, Coef: 1})
		}
	})
	for d.solveRound(true) || d.solveRound(false) { // a size of two symbols waits for one of them
	}
	var err error
	d.eachSize(func(_, _ int, p *ir.Value, e dim.Expr) {
		if open := d.open(e); len(open) > 0 && err == nil {
			err = &UnboundError{Func: d.f.Name, Sym: open[0], Param: p, Size: e}
		}
	})
	return err
}

// solveRound binds symbols that are the only one left open in a size. Of a size
// such as A*B with A known, which says nothing of B where A is 0, it binds one
// only, and only if those that always have a value, the fixed, ran out.
func (d *derivation) solveRound(fixed bool) (progress bool) {
	d.eachSize(func(arg, axis int, _ *ir.Value, e dim.Expr) {
		open := d.open(e)
		if len(open) != 1 || progress && !fixed {
			return
		}
		if s, ok := solve(e, open[0], d.sources); ok && (!fixed || s.Solve == nil || s.Solve.fixed) {
			s.Arg, s.Axis = arg, axis
			d.bind(s)
			progress = true
		}
	})
	return progress
}

func (d *derivation) eachSize(fn func(arg, axis int, p *ir.Value, e dim.Expr)) {
	for i, p := range d.f.Params {
		if arg := d.tensor(i); arg >= 0 {
			for axis, e := range p.Type.Shape {
				fn(arg, axis, p, e)
			}
		}
	}
}

// open lists the symbols of e without a source.
func (d *derivation) open(e dim.Expr) []string {
	if _, ok := e.Const(); ok {
		return nil
	}
	return slices.DeleteFunc(e.Syms(), func(s string) bool { return d.sources[s] != nil })
}

// resolve replaces symbols that have no source but equal others.
func (d *derivation) resolve(e dim.Expr) dim.Expr {
	derived := map[string]dim.Expr{}
	for _, sym := range d.open(e) {
		if r := d.f.Facts.Simplify(dim.Sym(sym)); len(d.open(r)) == 0 {
			derived[sym] = r
		}
	}
	if len(derived) == 0 {
		return e
	}
	return e.Subst(derived)
}

// complete asks that every symbol f uses or declares has a value before or while
// it runs.
func (d *derivation) complete() error {
	syms := d.f.Facts.Syms()
	for _, c := range d.f.Facts.Constraints() {
		syms = append(syms, c.Syms()...)
	}
	for _, v := range slices.Concat(d.f.Params, d.f.Values) {
		syms = append(syms, ir.MentionedSyms(v)...)
	}
	seen := map[string]bool{}
	for _, sym := range syms {
		if seen[sym] || d.sources[sym] != nil || d.late[sym] {
			continue
		}
		seen[sym] = true
		if !d.hasValue(sym) && !d.fromLate(sym) {
			return &UnboundError{Func: d.f.Name, Sym: sym}
		}
	}
	return nil
}

// hasValue reports whether calls give the symbol a value.
func (d *derivation) hasValue(sym string) bool { return len(d.open(d.resolve(dim.Sym(sym)))) == 0 }

// fromLate reports whether the symbol equals what f defines while it runs.
func (d *derivation) fromLate(sym string) bool {
	return slices.ContainsFunc(d.f.Facts.Simplify(dim.Sym(sym)).Syms(), func(s string) bool { return d.late[s] })
}

// shape adds the guards of one parameter.
func (d *derivation) shape(i int, p *ir.Value) {
	arg := d.tensor(i)
	if arg < 0 {
		return
	}
	add := func(g Guard) {
		g.Arg, g.Pos, g.Reason = arg, p.Pos, "declared"
		d.guards = append(d.guards, g)
	}
	add(Guard{Kind: DType, DType: p.Type.DType})
	add(Guard{Kind: Rank, Want: int64(p.Type.Rank())})
	for axis, e := range p.Type.Shape {
		if n, ok := e.Const(); ok {
			add(Guard{Kind: Size, Axis: axis, Want: n})
			continue
		}
		size := Source{Sym: d.fresh(arg, axis), Arg: arg, Axis: axis, Coef: 1}
		for _, c := range d.sizeConditions(size, e) {
			if !isTrue(c) {
				add(Guard{Kind: Cond, Cond: c, From: d.from(c, size)})
			}
		}
	}
}

// sizeConditions are what a size that is declared as e must satisfy: where it is
// the source of a symbol, that the symbol is a size.
func (d *derivation) sizeConditions(size Source, e dim.Expr) []dim.Constraint {
	n := dim.Sym(size.Sym)
	if src := d.at[[2]int{size.Arg, size.Axis}]; src != nil {
		if src.Solve != nil { // which gives no value unless it divides
			return []dim.Constraint{dim.Ge(dim.Sym(src.Sym), dim.Const(0))}
		}
		rest := n.Sub(dim.Const(src.Offset))
		if src.Coef < 0 {
			rest = rest.Neg()
		}
		cs := []dim.Constraint{dim.Divisible(rest, src.Coef)}
		if src.Coef < 0 || src.Offset > 0 {
			cs = append(cs, dim.Ge(rest, dim.Const(0)))
		}
		return cs
	}
	return []dim.Constraint{dim.Eq(n, e)}
}

// fresh is a symbol for a size as such, which f does not use.
func (d *derivation) fresh(arg, axis int) string {
	name := fmt.Sprintf("size_%d_%d", arg, axis)
	for d.sources[name] != nil {
		name += "_"
	}
	return name
}

// from lists the sources of a condition's symbols: those of f's and extra.
func (d *derivation) from(c dim.Constraint, extra ...Source) []Source {
	var out []Source
	for _, sym := range c.Syms() {
		if at := slices.IndexFunc(extra, func(s Source) bool { return s.Sym == sym }); at >= 0 {
			out = append(out, extra[at])
		} else {
			out = append(out, *d.sources[sym])
		}
	}
	return out
}

// facts adds what f declares of its symbols: no more than it takes to imply the
// rest. A fact about a symbol without a value, such as B where A == 2*B, is an
// *UnboundError, unless f defines the symbol while it runs.
func (d *derivation) facts() error {
	given := dim.NewFacts()
	for _, sym := range d.order {
		if d.sources[sym].Arg < 0 {
			_ = given.Declare(sym, math.MinInt64, math.MaxInt64) // the first word on it: contradicts nothing
		}
	}
	var cs []dim.Constraint
	for _, c := range d.declared() {
		open := slices.DeleteFunc(c.Syms(), func(s string) bool { return d.sources[s] != nil })
		switch {
		case len(open) == 0:
			cs = append(cs, c)
		case !slices.ContainsFunc(open, func(s string) bool { return d.late[s] }):
			return &UnboundError{Func: d.f.Name, Sym: open[0]}
		}
	}
	for _, i := range dim.Reduce(cs, given) {
		d.guards = append(d.guards, d.fact(cs[i]))
	}
	return nil
}

// declared lists what must hold of the symbols' values, in terms of those with a
// source.
func (d *derivation) declared() []dim.Constraint {
	known := ir.Restrict(d.f.Facts, func(sym string) bool { return d.hasValue(sym) })
	cs := known.Constraints()
	for _, sym := range slices.Concat(d.order, known.Syms()) {
		if src := d.sources[sym]; src == nil || src.Arg < 0 {
			if lo, _ := known.Range(dim.Sym(sym)); lo >= 0 { // sizes are, without a word
				cs = append(cs, dim.Ge(dim.Sym(sym), dim.Const(0)))
			}
		}
	}
	var out []dim.Constraint
	for _, sym := range d.order {
		if lo, hi := known.Range(dim.Sym(sym)); lo == hi {
			out = append(out, dim.Eq(dim.Sym(sym), dim.Const(lo))) // not two bounds
			cs = slices.DeleteFunc(cs, func(c dim.Constraint) bool { return slices.Equal(c.Syms(), []string{sym}) })
		}
	}
	for _, c := range cs {
		if c = d.resolveAll(c); !isTrue(c) {
			out = append(out, c)
		}
	}
	return out
}

func isTrue(c dim.Constraint) bool {
	v, known := c.Const()
	return known && v
}

func (d *derivation) resolveAll(c dim.Constraint) dim.Constraint {
	derived := map[string]dim.Expr{}
	for _, sym := range c.Syms() {
		if d.sources[sym] == nil {
			derived[sym] = d.resolve(dim.Sym(sym))
		}
	}
	if len(derived) == 0 {
		return c
	}
	return c.Subst(derived)
}

// fact is the guard of a condition; of one that fixes a size, a size guard.
func (d *derivation) fact(c dim.Constraint) Guard {
	g := Guard{Kind: Cond, Cond: c, From: d.from(c), Reason: "declared: " + c.String()}
	if len(g.From) == 0 {
		return g
	}
	src := g.From[0]
	if src.Arg >= 0 {
		g.Pos = d.posOf(src.Arg)
	}
	if len(g.From) > 1 || src.Arg < 0 || src.Solve != nil {
		return g
	}
	text, fixed := strings.CutPrefix(c.String(), src.Sym+" == ")
	if want, err := dim.Parse(text); fixed && err == nil {
		n, ok := want.Mul(dim.Const(src.Coef)).Add(dim.Const(src.Offset)).Const()
		if ok {
			return Guard{Kind: Size, Cond: c, Arg: src.Arg, Axis: src.Axis, Want: n, Pos: g.Pos, Reason: g.Reason}
		}
	}
	return g
}

// posOf is the position of the parameter that is tensor arg.
func (d *derivation) posOf(arg int) ir.Pos {
	for i, p := range d.f.Params {
		if d.tensor(i) == arg {
			return p.Pos
		}
	}
	return ir.Pos{}
}
