package passes

import (
	"slices"

	"jitc/ir"
)

func transposeRules() []rule {
	t := ops(ir.OpTranspose)
	return []rule{
		{ops: t, from: "transpose(x) with perm=[0, 1, ...]", to: "x", apply: func(_ *rewriter, v *ir.Value) *ir.Value {
			if slices.IsSorted(v.Attrs.Ints("perm")) {
				return v.Args[0]
			}
			return nil
		}},
		{ops: t, from: "transpose(transpose(x))", to: "transpose(x)", apply: func(e *rewriter, v *ir.Value) *ir.Value {
			x := v.Args[0]
			if x.Op != ir.OpTranspose {
				return nil
			}
			return e.transpose(x.Args[0], composePerm(x.Attrs.Ints("perm"), v.Attrs.Ints("perm")))
		}},
		{ops: t, from: "transpose(splat)", to: "splat", apply: splatView},
		{ops: t, from: "transpose(x) that moves only axes of size 1", to: "reshape(x)", apply: transposeUnits},
		{ops: t, from: "transpose(broadcast(x))", to: "broadcast(transpose(x))", apply: transposeBroadcast},
		{ops: t, from: "transpose(iota)", to: "iota", apply: func(e *rewriter, v *ir.Value) *ir.Value {
			x := v.Args[0]
			if x.Op != ir.OpIota {
				return nil
			}
			return e.iota(v.Type, int64(slices.Index(v.Attrs.Ints("perm"), x.Attrs.Int("axis", 0))))
		}},
		{ops: t, from: "transpose(dot_general(a, b)) that exchanges their free axes", to: "dot_general(b, a)", apply: transposeDot},
	}
}

// composePerm is the permutation of a transpose by inner followed by one by outer.
func composePerm(inner, outer []int64) []int64 {
	out := make([]int64, len(outer))
	for i, p := range outer {
		out[i] = inner[p]
	}
	return out
}

func inversePerm(perm []int64) []int64 {
	out := make([]int64, len(perm))
	for i, p := range perm {
		out[p] = int64(i)
	}
	return out
}

// transposeUnits: where the axes that are not of size 1 keep their order, no
// element moves.
func transposeUnits(e *rewriter, v *ir.Value) *ir.Value {
	last := int64(-1)
	for _, p := range v.Attrs.Ints("perm") {
		if isConstOne(v.Args[0].Type.Shape[p]) {
			continue
		}
		if p < last {
			return nil
		}
		last = p
	}
	return e.reshape(v.Args[0], v.Type.Shape)
}

// transposeBroadcast transposes the smaller tensor: not at all, where its axes
// keep their order among themselves.
func transposeBroadcast(e *rewriter, v *ir.Value) *ir.Value {
	b := v.Args[0]
	if b.Op != ir.OpBroadcast {
		return nil
	}
	x, laid := b.Args[0], b.Attrs.Ints("axes")
	axes, perm := []int64{}, []int64{}
	for j, p := range v.Attrs.Ints("perm") {
		if i := slices.Index(laid, p); i >= 0 {
			axes, perm = append(axes, int64(j)), append(perm, int64(i))
		}
	}
	if !slices.IsSorted(perm) {
		x = e.transpose(x, perm)
	}
	if x == nil {
		return nil
	}
	return e.broadcast(x, v.Type.Shape, axes)
}

// transposeDot exchanges the operands of a contraction that nothing else uses:
// [batch, lhs free, rhs free] becomes [batch, rhs free, lhs free].
func transposeDot(e *rewriter, v *ir.Value) *ir.Value {
	d := v.Args[0]
	if d.Op != ir.OpDotGeneral || !e.usedOnce(d) {
		return nil
	}
	nb := len(d.Attrs.Ints("lhs_batch"))
	nl := d.Args[0].Type.Rank() - nb - len(d.Attrs.Ints("lhs_contract"))
	want, rank := []int64{}, d.Type.Rank()
	for i := range rank {
		switch {
		case i < nb:
			want = append(want, int64(i))
		case i < rank-nl:
			want = append(want, int64(i+nl))
		default:
			want = append(want, int64(i-(rank-nl)+nb))
		}
	}
	if !slices.Equal(want, v.Attrs.Ints("perm")) {
		return nil
	}
	return e.dot(d, d.Args[1], d.Args[0], dotLists(d).exchanged())
}

// dotAxes are the axis lists of a dot_general.
type dotAxes struct{ lhsBatch, rhsBatch, lhsContract, rhsContract []int64 }

func dotLists(d *ir.Value) dotAxes {
	return dotAxes{d.Attrs.Ints("lhs_batch"), d.Attrs.Ints("rhs_batch"), d.Attrs.Ints("lhs_contract"), d.Attrs.Ints("rhs_contract")}
}

func (a dotAxes) exchanged() dotAxes {
	return dotAxes{a.rhsBatch, a.lhsBatch, a.rhsContract, a.lhsContract}
}

// dot builds d with other operands and axes. Lists without axes, and an element
// type that is the default, are left out.
func (e *rewriter) dot(d, x, y *ir.Value, a dotAxes) *ir.Value {
	var attrs []ir.Attr
	for _, l := range []struct {
		name string
		axes []int64
	}{{"lhs_batch", a.lhsBatch}, {"rhs_batch", a.rhsBatch}, {"lhs_contract", a.lhsContract}, {"rhs_contract", a.rhsContract}} {
		if len(l.axes) > 0 {
			attrs = append(attrs, ir.Attr{Name: l.name, Value: l.axes})
		}
	}
	if x != nil && d.Type.DType != x.Type.DType {
		attrs = append(attrs, ir.Attr{Name: "dtype", Value: d.Type.DType})
	}
	return e.emit(ir.OpDotGeneral, []*ir.Value{x, y}, attrs...)
}

func dotRules() []rule {
	d := ops(ir.OpDotGeneral)
	return []rule{
		{ops: d, from: "dot_general(x, y) {lhs_batch=[], dtype=x's}", to: "dot_general(x, y)", apply: dotAttrs},
		{ops: d, from: "dot_general(transpose(x), y)", to: "dot_general(x, y), other axes", apply: dotTransposed},
	}
}

func dotAttrs(e *rewriter, v *ir.Value) *ir.Value {
	redundant := v.Attrs.Has("dtype") && v.Type.DType == v.Args[0].Type.DType
	for _, a := range v.Attrs {
		if axes, ok := a.Value.([]int64); ok && len(axes) == 0 {
			redundant = true
		}
	}
	if !redundant {
		return nil
	}
	return e.dot(v, v.Args[0], v.Args[1], dotLists(v))
}

// dotTransposed reads an operand through its transpose: batch and contracted axes
// are named as they are before it. The free axes have no names, so they must keep
// their order.
func dotTransposed(e *rewriter, v *ir.Value) *ir.Value {
	a := dotLists(v)
	if x := v.Args[0]; x.Op == ir.OpTranspose {
		if batch, contract, ok := throughPerm(x, a.lhsBatch, a.lhsContract); ok {
			return e.dot(v, x.Args[0], v.Args[1], dotAxes{batch, a.rhsBatch, contract, a.rhsContract})
		}
	}
	if y := v.Args[1]; y.Op == ir.OpTranspose {
		if batch, contract, ok := throughPerm(y, a.rhsBatch, a.rhsContract); ok {
			return e.dot(v, v.Args[0], y.Args[0], dotAxes{a.lhsBatch, batch, a.lhsContract, contract})
		}
	}
	return nil
}

func throughPerm(t *ir.Value, batch, contract []int64) (b, c []int64, ok bool) {
	perm := t.Attrs.Ints("perm")
	free := pickAxes(perm, withoutAxes(len(perm), slices.Concat(batch, contract)))
	return pickAxes(perm, batch), pickAxes(perm, contract), slices.IsSorted(free)
}

func pickAxes(perm, at []int64) []int64 {
	out := make([]int64, len(at))
	for i, a := range at {
		out[i] = perm[a]
	}
	return out
}
