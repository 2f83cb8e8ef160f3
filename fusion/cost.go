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
type costs struct {
	facts *dim.Facts
	sizes map[string]int64
}

func newCosts(f *ir.Func) costs {
	c := costs{facts: f.Facts, sizes: map[string]int64{}}
	for _, s := range f.Facts.Syms() {
		c.assume(s)
	}
	return c
}

func (c costs) assume(sym string) {
	lo, hi := c.facts.Range(dim.Sym(sym))
	c.sizes[sym] = min(max(representative, lo), hi)
}

// size is the representative value of an expression, at least 0.
func (c costs) size(e dim.Expr) float64 {
	if n, ok := e.Const(); ok {
		return float64(max(n, 0))
	}
	e = c.facts.Simplify(e)
	for _, s := range e.Syms() {
		if _, ok := c.sizes[s]; !ok {
			return representative // a symbol that nothing declares
		}
	}
	n, err := e.Eval(c.sizes)
	if err != nil {
		return representative
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

// bytes is the size of a value in memory.
func (c costs) bytes(v *ir.Value) float64 {
	return c.elements(v.Type.Shape) * float64(v.Type.DType.Size())
}

// workTable has one row per op whose work per element is not 1. Elementary
// functions are in none: they are told by their trait.
var workTable = map[ir.Op]int{
	ir.OpDiv: 4, ir.OpRem: 4, ir.OpSqrt: 4,
	ir.OpPad: 2, ir.OpConcat: 2,
	ir.OpGather: 4, ir.OpDynamicSlice: 4, ir.OpDynamicUpdateSlice: 4,
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
