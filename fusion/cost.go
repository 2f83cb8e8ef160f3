package fusion

import (
	"jitc/ir"
	"jitc/ir/dim"
)

// representative is the size that an unbounded symbol is taken to have where
// sizes decide which form is better. It never decides what is correct.
const representative = 64

// costs estimates bytes and work at representative sizes: each symbol is 64, or
// the nearest value that its range allows.
type costs struct{ sizes map[string]int64 }

func newCosts(f *ir.Func) costs {
	c := costs{map[string]int64{}}
	syms := f.Facts.Syms()
	for _, s := range syms {
		lo, hi := f.Facts.Range(dim.Sym(s))
		c.sizes[s] = min(max(representative, lo), hi)
	}
	for _, s := range syms { // what equalities say goes before ranges
		if n, err := f.Facts.Simplify(dim.Sym(s)).Eval(c.sizes); err == nil {
			c.sizes[s] = n
		}
	}
	return c
}

// size is the representative value of an expression, at least 0.
func (c costs) size(e dim.Expr) float64 {
	if n, ok := e.Const(); ok {
		return float64(max(n, 0))
	}
	n, err := e.Eval(c.sizes)
	if err != nil {
		return representative // a symbol that nothing declares, or no value at these sizes
	}
	return float64(max(n, 0))
}

func (c costs) elements(shape []dim.Expr) float64 {
	n := 1.0
	for _, e := range shape {
		n *= c.size(e)
	}
	return n
}

// bytesOf is the size of a value in memory, computed once.
func (g *graph) bytesOf(n int32) float64 {
	if g.bytes[n] == 0 {
		t := g.values[n].Type
		g.bytes[n] = g.cost.elements(t.Shape) * float64(t.DType.Size())
	}
	return g.bytes[n]
}

// workTable has one row per op whose work per element is not 1. Elementary
// functions are in none: they are told by their trait.
var workTable = map[ir.Op]int{
	ir.OpDiv: 4, ir.OpRem: 4, ir.OpSqrt: 4,
	ir.OpPad: 2, ir.OpConcat: 2,
	ir.OpGather: 4, ir.OpDynamicSlice: 4, ir.OpDynamicUpdateSlice: 4, ir.OpScatter: 4,
	ir.OpReduceWindow: 64,
}

const (
	elementaryWork = 16 // of an elementary function
	cheapWork      = 8  // up to here recomputing is cheaper than memory traffic
)

// work is the work per element of a pointwise value, an addition being 1.
func work(v *ir.Value) int {
	if v.Is(ir.Approximate) {
		return elementaryWork
	}
	if w, ok := workTable[v.Op]; ok {
		return w
	}
	if v.Is(ir.View) || v.Is(ir.Source) {
		return 0
	}
	return 1
}
