package executors

import (
	"jitc/ir"
	"jitc/ir/dim"
)

// Cost estimates a region's work for reports: the bytes that any way of
// computing it must move, each operand and result once, and its arithmetic
// operations, a multiply-add counted as two and an elementary function as
// elementaryFlops.
func Cost(region *ir.Func) (bytes, flops dim.Expr) {
	users := region.Users()
	for _, p := range region.Params {
		bytes = bytes.Add(traffic(p, users[p.ID]))
	}
	seen := map[*ir.Value]bool{}
	for _, r := range region.Results {
		if !seen[r] {
			seen[r] = true
			bytes = bytes.Add(r.Type.Bytes())
		}
	}
	for _, v := range region.Values {
		flops = flops.Add(flopsOf(v))
	}
	return bytes, flops
}

// traffic is what is read of a parameter: all of it, unless every reader takes
// a part.
func traffic(p *ir.Value, users []*ir.Value) dim.Expr {
	part := dim.Const(0)
	for _, u := range users {
		selects := u.Op == ir.OpGather || u.Op == ir.OpSlice || u.Op == ir.OpDynamicSlice
		if !selects || u.Args[0] != p {
			return p.Type.Bytes()
		}
		part = part.Add(u.Type.Bytes())
	}
	return part.Min(p.Type.Bytes())
}

// elementaryFlops is about how many operations the polynomial of an elementary
// function takes.
const elementaryFlops = 16

func flopsOf(v *ir.Value) dim.Expr {
	switch {
	case v.Op == ir.OpDotGeneral:
		n := v.Type.Elements().Mul(dim.Const(2))
		for _, axis := range v.Attrs.Ints("lhs_contract") {
			n = n.Mul(v.Args[0].Type.Shape[axis])
		}
		return n
	case v.Op == ir.OpReduceWindow:
		n := v.Type.Elements()
		for _, w := range v.Attrs.Ints("window") {
			n = n.Mul(dim.Const(w))
		}
		return n
	case v.Is(ir.Reduce):
		return v.Args[0].Type.Elements()
	case v.Is(ir.Pointwise | ir.Approximate):
		return v.Type.Elements().Mul(dim.Const(elementaryFlops))
	case v.Is(ir.Pointwise):
		return v.Type.Elements()
	}
	return dim.Const(0)
}
