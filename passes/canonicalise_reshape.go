package passes

import (
	"slices"

	"jitc/ir"
	"jitc/ir/dim"
)

func reshapeRules() []rule {
	r := ops(ir.OpReshape)
	return []rule{
		{ops: r, from: "reshape(x) to x's shape", to: "x", apply: func(e *rewriter, v *ir.Value) *ir.Value {
			if ir.ShapeEqual(e.facts, v.Type.Shape, v.Args[0].Type.Shape) {
				return v.Args[0]
			}
			return nil
		}},
		{ops: r, from: "reshape(reshape(x))", to: "reshape(x)", apply: func(e *rewriter, v *ir.Value) *ir.Value {
			if x := v.Args[0]; x.Op == ir.OpReshape {
				return e.reshape(x.Args[0], v.Type.Shape)
			}
			return nil
		}},
		{ops: r, from: "reshape(splat)", to: "splat", apply: splatView},
		{ops: r, from: "reshape(broadcast(x)) that adds or drops axes of size 1", to: "broadcast(x)", apply: reshapeBroadcast},
		{ops: r, from: "reshape(broadcast(x)) of one element x", to: "broadcast(x)", apply: reshapeOne},
		{ops: r, from: "reshape(iota) that adds or drops axes of size 1", to: "iota", apply: reshapeIota},
	}
}

// splatView: any view of a splat is a splat.
func splatView(e *rewriter, v *ir.Value) *ir.Value {
	if !isSplat(v.Args[0]) {
		return nil
	}
	return e.splat(v.Type, v.Args[0].Attrs.Get("value"))
}

// reshapeBroadcast lays x's axes where the reshape leaves them. An axis of x that
// the reshape drops has size 1, and is dropped from x first.
func reshapeBroadcast(e *rewriter, v *ir.Value) *ir.Value {
	b := v.Args[0]
	if b.Op != ir.OpBroadcast {
		return nil
	}
	from, ok := e.unitReshape(b.Type.Shape, v.Type.Shape)
	if !ok {
		return nil
	}
	x := b.Args[0]
	axes, shape := []int64{}, []dim.Expr{}
	for i, a := range b.Attrs.Ints("axes") {
		if at := slices.Index(from, a); at >= 0 {
			axes, shape = append(axes, int64(at)), append(shape, x.Type.Shape[i])
		}
	}
	return e.broadcast(e.reshape(x, shape), v.Type.Shape, axes)
}

func reshapeOne(e *rewriter, v *ir.Value) *ir.Value {
	b := v.Args[0]
	if b.Op != ir.OpBroadcast || !isConstOne(b.Args[0].Type.Elements()) {
		return nil
	}
	return e.broadcast(e.reshape(b.Args[0], []dim.Expr{}), v.Type.Shape, []int64{})
}

// reshapeIota moves the axis along. An axis of size 1 counts to 0.
func reshapeIota(e *rewriter, v *ir.Value) *ir.Value {
	x := v.Args[0]
	if x.Op != ir.OpIota {
		return nil
	}
	axis := x.Attrs.Int("axis", 0)
	if isConstOne(x.Type.Shape[axis]) {
		return e.splat(v.Type, numberAttr(v.Type.DType, 0, 0))
	}
	from, ok := e.unitReshape(x.Type.Shape, v.Type.Shape)
	if !ok {
		return nil
	}
	return e.iota(v.Type, int64(slices.Index(from, axis)))
}

func broadcastRules() []rule {
	b := ops(ir.OpBroadcast)
	return []rule{
		{ops: b, from: "broadcast(splat)", to: "splat", apply: splatView},
		{ops: b, from: "broadcast(broadcast(x))", to: "broadcast(x)", apply: broadcastTwice},
		{ops: b, from: "broadcast(x) that adds only axes of size 1", to: "reshape(x)", apply: broadcastNothing},
		{ops: b, from: "broadcast(reshape(x)) where that only adds axes of size 1", to: "broadcast(x)", apply: broadcastReshape},
		{ops: b, from: "broadcast(iota)", to: "iota", apply: broadcastIota},
	}
}

func broadcastTwice(e *rewriter, v *ir.Value) *ir.Value {
	x := v.Args[0]
	if x.Op != ir.OpBroadcast {
		return nil
	}
	outer, axes := v.Attrs.Ints("axes"), []int64{}
	for _, a := range x.Attrs.Ints("axes") {
		axes = append(axes, outer[a])
	}
	return e.broadcast(x.Args[0], v.Type.Shape, axes)
}

func broadcastNothing(e *rewriter, v *ir.Value) *ir.Value {
	x, axes := v.Args[0], v.Attrs.Ints("axes")
	for j, size := range v.Type.Shape {
		if i := slices.Index(axes, int64(j)); i < 0 && !isConstOne(size) || i >= 0 && !e.equal(size, x.Type.Shape[i]) {
			return nil
		}
	}
	return e.reshape(x, v.Type.Shape)
}

func broadcastReshape(e *rewriter, v *ir.Value) *ir.Value {
	r := v.Args[0]
	if r.Op != ir.OpReshape {
		return nil
	}
	x := r.Args[0]
	from, ok := e.unitReshape(x.Type.Shape, r.Type.Shape)
	if !ok {
		return nil
	}
	axes := []int64{}
	for j, i := range from {
		if i >= 0 {
			axes = append(axes, v.Attrs.Ints("axes")[j])
		}
	}
	if len(axes) < x.Type.Rank() {
		return nil // the reshape also drops axes
	}
	return e.broadcast(x, v.Type.Shape, axes)
}

// broadcastIota: repeating a count is counting along the same axis of the larger
// shape, unless the counted axis itself is widened.
func broadcastIota(e *rewriter, v *ir.Value) *ir.Value {
	x := v.Args[0]
	if x.Op != ir.OpIota {
		return nil
	}
	axis := x.Attrs.Int("axis", 0)
	to := v.Attrs.Ints("axes")[axis]
	if !e.equal(x.Type.Shape[axis], v.Type.Shape[to]) {
		return nil
	}
	return e.iota(v.Type, to)
}
