package passes

import (
	"slices"

	"jitc/ir"
)

// sinkRules move data movement through pointwise ops where that removes some.
func sinkRules() []rule {
	return []rule{
		{ops: ops(ir.OpTranspose, ir.OpReshape, ir.OpReverse), from: "transpose(op(transpose(x), c))", to: "op(x, c)", apply: cancelThrough},
		{ops: withTraits(ir.Pointwise), from: "op(broadcast(x), broadcast(y))", to: "broadcast(op(x, y))", apply: broadcastLater},
	}
}

// The bounds of the tree of pointwise ops that cancelThrough looks through.
const (
	cancelDepth = 6
	cancelNodes = 24
)

// cancelThrough undoes a view below pointwise ops that nothing else uses:
//
//	%t = transpose(%x) {perm=P}      %r = exp(add(%x, 1.0))
//	%r = transpose(exp(add(%t, 1.0))) {perm=inverse of P}
//
// It applies where every leaf of the tree of pointwise ops either loses a view or
// is a splat, so that views only ever disappear.
func cancelThrough(e *rewriter, v *ir.Value) *ir.Value {
	if !v.Args[0].Is(ir.Pointwise) {
		return nil
	}
	c := &cancel{rewriter: e, view: v, nodes: cancelNodes}
	if !c.possible(v.Args[0], cancelDepth) || !c.gains {
		return nil
	}
	return c.build(v.Args[0])
}

type cancel struct {
	*rewriter
	view  *ir.Value // the outer view
	nodes int       // that may still be looked at
	gains bool      // a view disappears
}

// possible reports whether x under the view needs no view.
func (c *cancel) possible(x *ir.Value, depth int) bool {
	if c.nodes--; depth == 0 || c.nodes < 0 {
		return false
	}
	if isSplat(x) {
		return true
	}
	if c.undone(x) != nil {
		c.gains = true
		return true
	}
	if !x.Is(ir.Pointwise) || !c.usedOnce(x) {
		return false
	}
	for _, a := range x.Args {
		if !c.possible(a, depth-1) {
			return false
		}
	}
	return true
}

// undone is the operand of x, if x is a view that the outer one undoes.
func (c *cancel) undone(x *ir.Value) *ir.Value {
	if x.Op != c.view.Op {
		return nil
	}
	ok := false
	switch x.Op {
	case ir.OpTranspose:
		ok = slices.Equal(c.view.Attrs.Ints("perm"), inversePerm(x.Attrs.Ints("perm")))
	case ir.OpReverse:
		ok = slices.Equal(c.view.Attrs.Ints("axes"), x.Attrs.Ints("axes"))
	case ir.OpReshape:
		ok = ir.ShapeEqual(c.facts, c.view.Type.Shape, x.Args[0].Type.Shape)
	}
	if !ok {
		return nil
	}
	return x.Args[0]
}

// build makes x under the view.
func (c *cancel) build(x *ir.Value) *ir.Value {
	if isSplat(x) {
		return c.splat(x.Type.WithShape(c.view.Type.Shape), x.Attrs.Get("value"))
	}
	if y := c.undone(x); y != nil {
		return y
	}
	args := make([]*ir.Value, len(x.Args))
	for i, a := range x.Args {
		args[i] = c.build(a)
	}
	return c.with(x, x.Attrs, args...)
}

// broadcastLater computes on the smaller tensors, where all operands are broadcast
// alike or are splats.
func broadcastLater(e *rewriter, v *ir.Value) *ir.Value {
	var like *ir.Value
	for _, a := range v.Args {
		switch {
		case isSplat(a):
		case a.Op != ir.OpBroadcast, like != nil && !sameBroadcast(a, like):
			return nil
		default:
			like = a
		}
	}
	if like == nil {
		return nil
	}
	shape := like.Args[0].Type.Shape
	args := make([]*ir.Value, len(v.Args))
	for i, a := range v.Args {
		if isSplat(a) {
			args[i] = e.splat(a.Type.WithShape(shape), a.Attrs.Get("value"))
		} else {
			args[i] = a.Args[0]
		}
	}
	y := e.with(v, v.Attrs, args...)
	if y == nil {
		return nil
	}
	return e.broadcast(y, v.Type.Shape, like.Attrs.Ints("axes"))
}

// sameBroadcast reports whether two broadcasts lay equal shapes on equal axes of
// equal shapes.
func sameBroadcast(a, b *ir.Value) bool {
	return slices.Equal(a.Attrs.Ints("axes"), b.Attrs.Ints("axes")) &&
		ir.ShapeEqual(nil, a.Args[0].Type.Shape, b.Args[0].Type.Shape) && ir.ShapeEqual(nil, a.Type.Shape, b.Type.Shape)
}
