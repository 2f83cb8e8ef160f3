package executors

import (
	"jitc/ir"
	"jitc/ir/dim"
)

// Cost estimates a region's work for reports: bytes of operands and results,
// each counted once (a lower bound of the traffic), and arithmetic operations,
// an elementary function counted as one and a multiply-add as two.
func Cost(region *ir.Func) (bytes, flops dim.Expr) {
	bytes, flops = dim.Const(0), dim.Const(0)
	for _, p := range region.Params {
		bytes = bytes.Add(p.Type.Bytes())
	}
	for _, t := range region.ResultTypes() {
		bytes = bytes.Add(t.Bytes())
	}
	for _, v := range region.Values {
		flops = flops.Add(flopsOf(v))
	}
	return bytes, flops
}

func flopsOf(v *ir.Value) dim.Expr {
	switch {
	case v.Op == ir.OpDotGeneral:
		n := v.Type.Elements().Mul(dim.Const(2))
		for _, axis := range v.Attrs.Ints("lhs_contract") {
			n = n.Mul(v.Args[0].Type.Shape[axis])
		}
		return n
	case v.Is(ir.Reduce):
		return v.Args[0].Type.Elements()
	case v.Is(ir.Pointwise):
		return v.Type.Elements()
	}
	return dim.Const(0)
}
