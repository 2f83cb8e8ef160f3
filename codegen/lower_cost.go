package codegen

import (
	"jitc/ir"
	"jitc/ir/dim"
)

// Cost is what a region moves and computes if it is lowered with every operand
// read once: bytes of its parameters and results, and floating-point or integer
// operations. A product counts two operations per multiplication, an elementary
// function elementaryFlops, a view none.
func Cost(region *ir.Func) (bytes, flops dim.Expr) {
	for _, p := range region.Params {
		bytes = bytes.Add(p.Type.Bytes())
	}
	seen := map[*ir.Value]bool{}
	for _, r := range region.Results {
		if !seen[r] {
			seen[r] = true
			bytes = bytes.Add(r.Type.Bytes())
		}
	}
	for _, v := range region.Values {
		flops = flops.Add(opFlops(v))
	}
	return bytes, flops
}

// elementaryFlops is about how many operations the polynomial of an elementary
// function takes.
const elementaryFlops = 16

func opFlops(v *ir.Value) dim.Expr {
	switch {
	case v.Op == ir.OpDotGeneral:
		k := dim.Product(pickDims(v.Args[0].Type.Shape, v.Attrs.Ints("lhs_contract")))
		return v.Type.Elements().Mul(k).Mul(dim.Const(2))
	case v.Op == ir.OpReduceWindow:
		n := int64(1)
		for _, w := range v.Attrs.Ints("window") {
			n *= w
		}
		return v.Type.Elements().Mul(dim.Const(n))
	case v.Is(ir.Reduce):
		return v.Args[0].Type.Elements()
	case v.Is(ir.Pointwise | ir.Approximate):
		return v.Type.Elements().Mul(dim.Const(elementaryFlops))
	case v.Is(ir.Pointwise):
		return v.Type.Elements()
	}
	return dim.Const(0)
}
