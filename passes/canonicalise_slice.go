package passes

import (
	"slices"

	"jitc/ir"
	"jitc/ir/dim"
)

func sliceRules() []rule {
	s, r := ops(ir.OpSlice), ops(ir.OpReverse)
	return []rule{
		{ops: s, from: "slice(x) of all of x", to: "x", apply: sliceWhole},
		{ops: s, from: "slice(x) {strides=[1, 1]}", to: "slice(x)", apply: sliceStrides},
		{ops: s, from: "slice(splat)", to: "splat", apply: splatView},
		{ops: s, from: "slice(slice(x))", to: "slice(x)", apply: sliceTwice},
		{ops: s, from: "slice(concat(..., x, ...)) within x", to: "slice(x)", apply: sliceConcat},
		{ops: s, from: "slice(pad(x, c)) within x", to: "slice(x)", apply: slicePad},
		{ops: s, from: "slice(broadcast(x))", to: "broadcast(slice(x))", apply: sliceBroadcast},
		{ops: s, from: "slice(iota) that keeps the counted axis", to: "iota", apply: sliceIota},
		{ops: r, from: "reverse(x) along axes of size 1, or none", to: "x", apply: reverseUnits},
		{ops: r, from: "reverse(splat)", to: "splat", apply: splatView},
		{ops: r, from: "reverse(reverse(x))", to: "reverse(x)", apply: reverseTwice},
	}
}

// cut is a slice's extent along one axis.
type cut struct {
	start, limit dim.Expr
	stride       int64
}

// cutsOf are the extents of a slice, one per axis.
func cutsOf(v *ir.Value) []cut {
	starts, limits, strides := v.Attrs.Dims("starts"), v.Attrs.Dims("limits"), v.Attrs.Ints("strides")
	cuts := make([]cut, len(starts))
	for i := range cuts {
		cuts[i] = cut{starts[i], limits[i], 1}
		if strides != nil {
			cuts[i].stride = strides[i]
		}
	}
	return cuts
}

// slice builds a slice of x; strides are left out where all are 1.
func (e *rewriter) slice(x *ir.Value, cuts []cut) *ir.Value {
	starts, limits := make([]dim.Expr, len(cuts)), make([]dim.Expr, len(cuts))
	strides, strided := make([]int64, len(cuts)), false
	for i, c := range cuts {
		starts[i], limits[i], strides[i] = c.start, c.limit, c.stride
		strided = strided || c.stride != 1
	}
	attrs := []ir.Attr{{Name: "starts", Value: starts}, {Name: "limits", Value: limits}}
	if strided {
		attrs = append(attrs, ir.Attr{Name: "strides", Value: strides})
	}
	return e.emit(ir.OpSlice, []*ir.Value{x}, attrs...)
}

// isWhole reports whether a cut keeps all of an axis.
func (e *rewriter) isWhole(c cut, size dim.Expr) bool {
	return c.stride == 1 && e.equal(c.start, dim.Const(0)) && e.equal(c.limit, size)
}

func sliceWhole(e *rewriter, v *ir.Value) *ir.Value {
	for i, c := range cutsOf(v) {
		if !e.isWhole(c, v.Args[0].Type.Shape[i]) {
			return nil
		}
	}
	return v.Args[0]
}

func sliceStrides(e *rewriter, v *ir.Value) *ir.Value {
	strides := v.Attrs.Ints("strides")
	if !v.Attrs.Has("strides") || slices.ContainsFunc(strides, func(s int64) bool { return s != 1 }) {
		return nil
	}
	return e.slice(v.Args[0], cutsOf(v))
}

// sliceTwice: element i of the outer slice is element s2 + i*t2 of the inner one,
// which is element s1 + (s2 + i*t2)*t1 of x.
func sliceTwice(e *rewriter, v *ir.Value) *ir.Value {
	x := v.Args[0]
	if x.Op != ir.OpSlice {
		return nil
	}
	cuts, inner := cutsOf(v), cutsOf(x)
	for i, c := range inner {
		t := dim.Const(c.stride)
		outer := cuts[i]
		cuts[i].start = c.start.Add(outer.start.Mul(t))
		cuts[i].limit = c.start.Add(outer.limit.Mul(t))
		cuts[i].stride *= c.stride
		if c.stride == 1 {
			continue
		}
		// The limit may lie past the inner one's, so it stands behind the last
		// element that is kept; of nothing there is none, and the type rule refuses.
		cuts[i].limit = c.start.Add(outer.limit.Sub(dim.Const(1)).Mul(t)).Add(dim.Const(1))
	}
	return e.slice(x.Args[0], cuts)
}

// sliceConcat finds the operand that holds all that is kept.
func sliceConcat(e *rewriter, v *ir.Value) *ir.Value {
	c := v.Args[0]
	if c.Op != ir.OpConcat {
		return nil
	}
	axis, cuts, at := c.Attrs.Int("axis", 0), cutsOf(v), dim.Const(0)
	for _, x := range c.Args {
		end := at.Add(x.Type.Shape[axis])
		if e.facts.LessEq(at, cuts[axis].start) && e.facts.LessEq(cuts[axis].limit, end) {
			cuts[axis].start, cuts[axis].limit = cuts[axis].start.Sub(at), cuts[axis].limit.Sub(at)
			return e.slice(x, cuts)
		}
		if at = end; e.facts.Less(cuts[axis].start, at) {
			return nil // it starts in x and passes its end
		}
	}
	return nil
}

func slicePad(e *rewriter, v *ir.Value) *ir.Value {
	p := v.Args[0]
	if p.Op != ir.OpPad {
		return nil
	}
	x, low, cuts := p.Args[0], p.Attrs.Dims("low"), cutsOf(v)
	for i := range cuts {
		cuts[i].start, cuts[i].limit = cuts[i].start.Sub(low[i]), cuts[i].limit.Sub(low[i])
		if !e.facts.LessEq(dim.Const(0), cuts[i].start) || !e.facts.LessEq(cuts[i].limit, x.Type.Shape[i]) {
			return nil
		}
	}
	return e.slice(x, cuts)
}

// sliceBroadcast cuts x along the axes that it has, and broadcasts to less along
// the others.
func sliceBroadcast(e *rewriter, v *ir.Value) *ir.Value {
	b := v.Args[0]
	if b.Op != ir.OpBroadcast {
		return nil
	}
	x, all := b.Args[0], cutsOf(v)
	cuts := make([]cut, x.Type.Rank())
	for i, a := range b.Attrs.Ints("axes") {
		size := x.Type.Shape[i]
		cuts[i] = all[a]
		if !e.equal(size, b.Type.Shape[a]) { // size 1, repeated
			cuts[i] = cut{dim.Const(0), size, 1}
		}
	}
	y := e.slice(x, cuts)
	if y == nil {
		return nil
	}
	return e.broadcast(y, v.Type.Shape, b.Attrs.Ints("axes"))
}

func sliceIota(e *rewriter, v *ir.Value) *ir.Value {
	x := v.Args[0]
	if x.Op != ir.OpIota {
		return nil
	}
	axis := x.Attrs.Int("axis", 0)
	if c := cutsOf(v)[axis]; !e.isWhole(c, x.Type.Shape[axis]) {
		return nil
	}
	return e.iota(v.Type, axis)
}

func reverseUnits(e *rewriter, v *ir.Value) *ir.Value {
	axes := v.Attrs.Ints("axes")
	kept := slices.DeleteFunc(slices.Clone(axes), func(a int64) bool { return isConstOne(v.Type.Shape[a]) })
	slices.Sort(kept)
	switch {
	case len(kept) == 0:
		return v.Args[0]
	case slices.Equal(kept, axes):
		return nil
	}
	return e.with(v, v.Attrs.With("axes", kept), v.Args[0])
}

// reverseTwice: an axis reversed twice is as it was.
func reverseTwice(e *rewriter, v *ir.Value) *ir.Value {
	x := v.Args[0]
	if x.Op != ir.OpReverse {
		return nil
	}
	axes := []int64{}
	for a := range int64(v.Type.Rank()) {
		if slices.Contains(v.Attrs.Ints("axes"), a) != slices.Contains(x.Attrs.Ints("axes"), a) {
			axes = append(axes, a)
		}
	}
	return e.with(v, v.Attrs.With("axes", axes), x.Args[0])
}
