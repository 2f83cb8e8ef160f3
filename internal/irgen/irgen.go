// Package irgen makes random functions and random arguments for property tests:
// typed, verified, acyclic, with symbolic sizes, shared operands, unused values,
// awkward shapes (0, 1, primes) and special numbers (NaN, infinities, -0).
//
//	rng := rand.New(rand.NewPCG(1, seed))
//	f := irgen.Func(rng, irgen.Options{})
//	sizes := irgen.Sizes(rng, f)
//	results, err := ir.Eval(f, irgen.Args(rng, f, sizes), sizes)
//
// Invariants: equal generators and options give equal functions; every function
// passes ir.Verify and evaluates without error for all sizes that Sizes gives.
package irgen

import (
	"fmt"
	"math/rand/v2"

	"jitc/ir"
	"jitc/ir/diag"
	"jitc/ir/dim"
	"jitc/ir/tensor"
)

// Options bound what Func makes. The zero Options give about 24 primitive values
// of all element types over static and symbolic sizes.
type Options struct {
	Values  int            // how many values to make; default 24
	Static  bool           // no symbolic sizes
	Surface bool           // composite ops too
	Control bool           // cond, while and scan too, within one another, each loop of a few iterations
	DTypes  []tensor.DType // element types; default all
	// Keep, if not nil, says which ops may occur. Constants are always made.
	Keep func(op ir.Op) bool
	// MaxElements bounds the size of each value for the largest sizes; default 2048.
	MaxElements int64
	// Long makes axes that fill vector registers and unrolled loops: S may be as
	// large as LongS, and constant sizes up to 130. It wants a larger MaxElements.
	Long bool
}

// LongS is the largest S of a function with Options.Long.
const LongS = 300

// maxRank bounds the rank of the values.
const maxRank = 4

// symbolFacts are the symbols of a function that is not static. S may be 0.
var symbolFacts = []struct {
	name   string
	lo, hi int64
}{{"B", 1, 5}, {"S", 0, 6}}

// generator builds one function.
type generator struct {
	rng   *rand.Rand
	opts  Options
	f     *ir.Func
	b     *ir.Builder
	pool  []*ir.Value // parameters and values, in order; of control flow, each result
	depth int         // functions around f
}

// Func makes a random function.
func Func(rng *rand.Rand, o Options) *ir.Func {
	if o.Values == 0 {
		o.Values = 24
	}
	if o.MaxElements == 0 {
		o.MaxElements = 2048
	}
	if o.DTypes == nil {
		o.DTypes = tensor.DTypes()
	}
	facts := dim.NewFacts()
	if !o.Static {
		for _, s := range symbolFacts {
			hi := s.hi
			if o.Long && s.name == "S" {
				hi = LongS
			}
			if err := facts.Declare(s.name, s.lo, hi); err != nil {
				panic("BUG: irgen: " + err.Error())
			}
		}
	}
	g := &generator{rng: rng, opts: o, f: ir.NewFunc("random", facts)}
	g.b = ir.NewBuilder(g.f)
	g.params()
	g.values(o.Values)
	g.results()
	if g.b.Err() != nil {
		panic("BUG: irgen: " + g.b.Err().Error())
	}
	return g.f
}

// values makes values until the function has n.
func (g *generator) values(n int) {
	for tries := 0; len(g.f.Values) < n && tries < 50*n; tries++ {
		g.b.Pos = diag.Pos{File: "random.trace", Line: len(g.f.Values) + 1, Col: 3 + 2*g.depth}
		if v := g.row().make(g); v != nil && g.rng.IntN(3) == 0 {
			v.Name = fmt.Sprintf("n%d", v.ID)
		}
	}
}

// params adds parameters; the first one binds the symbols.
func (g *generator) params() {
	if !g.opts.Static {
		shape := []dim.Expr{}
		for _, s := range symbolFacts {
			shape = append(shape, dim.Sym(s.name))
		}
		g.pool = append(g.pool, g.f.AddParam("p0", ir.T(g.dtype(), shape...), nil))
	}
	for range 2 + g.rng.IntN(3) {
		t := ir.T(g.dtype(), g.shape()...)
		if !g.fits(t) {
			t.Shape = t.Shape[:1]
		}
		g.pool = append(g.pool, g.f.AddParam(fmt.Sprintf("p%d", len(g.pool)), t, nil))
	}
}

// results returns the last value; and either every other value that nothing uses,
// or up to three of any.
func (g *generator) results() {
	last := g.pool[len(g.pool)-1]
	g.f.Results = []*ir.Value{last}
	if g.rng.IntN(2) == 0 {
		uses := g.f.Uses()
		for _, v := range g.f.Values {
			if uses[v.ID] == 0 && v != last && !v.Type.IsTuple() {
				g.f.Results = append(g.f.Results, v)
			}
		}
		return
	}
	for range g.rng.IntN(4) {
		g.f.Results = append(g.f.Results, g.pick())
	}
}

func (g *generator) dtype() tensor.DType { return g.opts.DTypes[g.rng.IntN(len(g.opts.DTypes))] }

// size draws a dimension: often 1 or a small prime, seldom 0, symbolic if allowed.
func (g *generator) size() dim.Expr {
	constants := []int64{0, 1, 1, 1, 2, 2, 3, 3, 4, 5, 6, 7}
	if g.opts.Long {
		constants = append(constants, 8, 16, 17, 33, 64, 130)
	}
	if g.opts.Static || g.rng.IntN(2) == 0 {
		return dim.Const(constants[g.rng.IntN(len(constants))])
	}
	sym := func() dim.Expr { return dim.Sym(symbolFacts[g.rng.IntN(len(symbolFacts))].name) }
	if g.rng.IntN(4) == 0 {
		return sym().Mul(dim.Const(2)).Add(dim.Const(int64(g.rng.IntN(2))))
	}
	return sym()
}

func (g *generator) shape() []dim.Expr {
	shape := make([]dim.Expr, 1+g.rng.IntN(3))
	for i := range shape {
		shape[i] = g.size()
	}
	return shape
}

// fits reports whether values of type t are small enough.
func (g *generator) fits(t ir.Type) bool {
	_, hi := g.f.Facts.Range(t.Elements())
	return hi <= g.opts.MaxElements && t.Rank() <= maxRank
}

// pick draws a value, recent ones more often.
func (g *generator) pick() *ir.Value {
	n := len(g.pool)
	if g.rng.IntN(2) == 0 {
		return g.pool[n-1-g.rng.IntN(min(n, 6))]
	}
	return g.pool[g.rng.IntN(n)]
}

// pickWhere draws a value that ok accepts; nil after some tries.
func (g *generator) pickWhere(ok func(v *ir.Value) bool) *ir.Value {
	for range 12 {
		if v := g.pick(); ok(v) {
			return v
		}
	}
	return nil
}

// like draws a value of type t: one that exists, or a constant.
func (g *generator) like(t ir.Type) *ir.Value {
	if g.rng.IntN(5) > 0 {
		if v := g.pickWhere(func(v *ir.Value) bool { return v.Type.Equal(t) }); v != nil {
			return v
		}
	}
	return g.constant(t)
}

// emit appends op(args){attrs} if the type rule accepts it and the result is
// small enough; else it returns nil.
func (g *generator) emit(op ir.Op, args []*ir.Value, attrs ...ir.Attr) *ir.Value {
	if g.opts.Keep != nil && op != ir.OpConstant && !g.opts.Keep(op) {
		return nil
	}
	trial := &ir.Value{Op: op, Args: args, Attrs: ir.NewAttrs(attrs...)}
	if t, err := ir.InferType(trial, g.f.Facts); err != nil || !g.fits(t) || g.mayBeNegative(t) {
		return nil
	}
	v := g.b.EmitAttrs(op, args, trial.Attrs)
	g.pool = append(g.pool, v)
	return v
}

// mayBeNegative reports whether some size of t is negative for some symbols, as a
// number of windows may be.
func (g *generator) mayBeNegative(t ir.Type) bool {
	for _, e := range t.Shape {
		if lo, _ := g.f.Facts.Range(e); lo < 0 {
			return true
		}
	}
	return false
}
