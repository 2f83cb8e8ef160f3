package irgen

import (
	"slices"

	"jitc/ir"
	"jitc/ir/dim"
	"jitc/ir/tensor"
)

func (g *generator) shaped(op ir.Op, x *ir.Value, shape []dim.Expr, attrs ...ir.Attr) *ir.Value {
	return g.emit(op, []*ir.Value{x}, append(attrs, ir.Attr{Name: "shape", Value: shape})...)
}

// reshape flattens, merges two axes, splits a constant one, or adds or drops an
// axis of size 1.
func (g *generator) reshape() *ir.Value {
	x := g.pick()
	shape, rank := slices.Clone(x.Type.Shape), x.Type.Rank()
	switch at := g.rng.IntN(rank + 1); g.rng.IntN(5) {
	case 0:
		shape = []dim.Expr{x.Type.Elements()}
	case 1:
		shape = slices.Insert(shape, at, dim.Const(1))
	case 2:
		if at+1 < rank {
			shape = slices.Replace(shape, at, at+2, shape[at].Mul(shape[at+1]))
		}
	case 3:
		if at < rank && shape[at].Equal(dim.Const(1)) {
			shape = slices.Delete(shape, at, at+1)
		}
	case 4:
		if at < rank {
			if n, ok := shape[at].Const(); ok && n > 2 && n%2 == 0 {
				shape = slices.Replace(shape, at, at+1, dim.Const(2), dim.Const(n/2))
			}
		}
	}
	return g.shaped(ir.OpReshape, x, shape)
}

// broadcast adds axes, and widens some of size 1.
func (g *generator) broadcast() *ir.Value {
	x := g.pick()
	shape, axes := []dim.Expr{}, []int64{}
	for i := 0; i <= x.Type.Rank(); i++ {
		if g.rng.IntN(3) == 0 {
			shape = append(shape, g.size())
		}
		if i == x.Type.Rank() {
			break
		}
		e := x.Type.Shape[i]
		if e.Equal(dim.Const(1)) && g.rng.IntN(2) == 0 {
			e = g.size()
		}
		axes, shape = append(axes, int64(len(shape))), append(shape, e)
	}
	return g.shaped(ir.OpBroadcast, x, shape, ir.Attr{Name: "axes", Value: axes})
}

func (g *generator) transpose() *ir.Value {
	x := g.pick()
	perm := []int64{}
	for _, a := range g.rng.Perm(x.Type.Rank()) {
		perm = append(perm, int64(a))
	}
	return g.emit(ir.OpTranspose, []*ir.Value{x}, ir.Attr{Name: "perm", Value: perm})
}

// slice cuts within the least size of each axis, up to the end of some.
func (g *generator) slice() *ir.Value {
	x := g.pick()
	var starts, limits []dim.Expr
	var strides []int64
	for _, e := range x.Type.Shape {
		lo, _ := g.f.Facts.Range(e)
		start := g.rng.Int64N(min(lo, 3) + 1)
		limit := e
		if g.rng.IntN(2) == 0 {
			limit = dim.Const(start + g.rng.Int64N(lo-start+1))
		}
		if g.rng.IntN(2) == 0 {
			start, limit = 0, e
		}
		starts, limits = append(starts, dim.Const(start)), append(limits, limit)
		strides = append(strides, max(1, g.rng.Int64N(5)-1))
	}
	attrs := []ir.Attr{{Name: "starts", Value: starts}, {Name: "limits", Value: limits}}
	if g.rng.IntN(3) == 0 {
		attrs = append(attrs, ir.Attr{Name: "strides", Value: strides})
	}
	return g.emit(ir.OpSlice, []*ir.Value{x}, attrs...)
}

func (g *generator) reverse() *ir.Value {
	x := g.pick()
	return g.emit(ir.OpReverse, []*ir.Value{x}, ir.Attr{Name: "axes", Value: g.axes(x.Type.Rank())})
}

func (g *generator) pad() *ir.Value {
	x := g.pick()
	value := g.constant(ir.T(x.Type.DType))
	if value == nil {
		return nil
	}
	var low, high []dim.Expr
	for range x.Type.Shape {
		low = append(low, dim.Const(max(0, g.rng.Int64N(4)-1)))
		high = append(high, dim.Const(max(0, g.rng.Int64N(4)-2)))
	}
	return g.emit(ir.OpPad, []*ir.Value{x, value}, ir.Attr{Name: "low", Value: low}, ir.Attr{Name: "high", Value: high})
}

func (g *generator) concat() *ir.Value {
	x := g.pick()
	if x.Type.Rank() == 0 {
		return nil
	}
	args := []*ir.Value{x}
	for range g.rng.IntN(3) {
		if y := g.like(x.Type); y != nil {
			args = append(args, y)
		}
	}
	return g.emit(ir.OpConcat, args, ir.Attr{Name: "axis", Value: int64(g.rng.IntN(x.Type.Rank()))})
}

// rejoin cuts a value in two along an axis and joins the parts, in either order.
func (g *generator) rejoin() *ir.Value {
	x := g.pickWhere(func(v *ir.Value) bool { return v.Type.Rank() > 0 })
	if x == nil {
		return nil
	}
	axis := g.rng.IntN(x.Type.Rank())
	part := func(end int, at dim.Expr) *ir.Value {
		bounds := [2][]dim.Expr{make([]dim.Expr, x.Type.Rank()), slices.Clone(x.Type.Shape)}
		bounds[end][axis] = at
		return g.emit(ir.OpSlice, []*ir.Value{x}, ir.Attr{Name: "starts", Value: bounds[0]}, ir.Attr{Name: "limits", Value: bounds[1]})
	}
	lo, _ := g.f.Facts.Range(x.Type.Shape[axis])
	at := dim.Const(g.rng.Int64N(lo + 1))
	parts := []*ir.Value{part(1, at), part(0, at)}
	if parts[0] == nil || parts[1] == nil {
		return nil
	}
	if g.rng.IntN(4) == 0 {
		slices.Reverse(parts)
	}
	return g.emit(ir.OpConcat, parts, ir.Attr{Name: "axis", Value: int64(axis)})
}

// gather indexes an axis that is never empty.
func (g *generator) gather() *ir.Value {
	x := g.pickWhere(func(v *ir.Value) bool { return v.Type.Rank() > 0 && g.notEmpty(v) })
	at := g.pickWhere(func(v *ir.Value) bool { return v.Type.DType.IsInt() && v.Type.Rank() <= 2 })
	if x == nil || at == nil {
		return nil
	}
	return g.emit(ir.OpGather, []*ir.Value{x, at}, ir.Attr{Name: "axis", Value: int64(g.rng.IntN(x.Type.Rank()))})
}

// scatter indexes an axis that is never empty, and shares the first axis of the
// indices where it can.
func (g *generator) scatter() *ir.Value {
	x := g.pickWhere(func(v *ir.Value) bool { return v.Type.Rank() > 0 && g.notEmpty(v) })
	at := g.pickWhere(func(v *ir.Value) bool { return v.Type.DType.IsInt() && v.Type.Rank() <= 2 })
	if x == nil || at == nil {
		return nil
	}
	axis, batch := g.rng.IntN(x.Type.Rank()), 0
	if axis > 0 && at.Type.Rank() > 0 && at.Type.Shape[0].Equal(x.Type.Shape[0]) && g.rng.IntN(3) > 0 {
		batch = 1
	}
	t := x.Type.WithShape(slices.Concat(x.Type.Shape[:axis], at.Type.Shape[batch:], x.Type.Shape[axis+1:]))
	if !g.fits(t) {
		return nil
	}
	updates := g.like(t)
	if updates == nil {
		return nil
	}
	combine := []string{"set", "add", "mul", "min", "max"}[g.rng.IntN(5)]
	return g.emit(ir.OpScatter, []*ir.Value{x, at, updates}, ir.Attr{Name: "axis", Value: int64(axis)},
		ir.Attr{Name: "batch_dims", Value: int64(batch)}, ir.Attr{Name: "combine", Value: combine})
}

// starts are scalar constants, one per axis.
func (g *generator) starts(rank int) []*ir.Value {
	var out []*ir.Value
	for range rank {
		if c := g.constant(ir.T(tensor.I64)); c != nil {
			out = append(out, c)
		}
	}
	return out
}

func (g *generator) dynamicSlice() *ir.Value {
	x := g.pick()
	sizes := slices.Clone(x.Type.Shape)
	for i, e := range sizes {
		if lo, _ := g.f.Facts.Range(e); g.rng.IntN(2) == 0 {
			sizes[i] = dim.Const(g.rng.Int64N(lo + 1))
		}
	}
	return g.emit(ir.OpDynamicSlice, append([]*ir.Value{x}, g.starts(x.Type.Rank())...), ir.Attr{Name: "sizes", Value: sizes})
}

func (g *generator) dynamicUpdate() *ir.Value {
	x := g.pick()
	y := g.pickWhere(func(v *ir.Value) bool { return v.Type.DType == x.Type.DType && v.Type.Rank() == x.Type.Rank() })
	if y == nil {
		return nil
	}
	return g.emit(ir.OpDynamicUpdateSlice, append([]*ir.Value{x, y}, g.starts(x.Type.Rank())...))
}

// window folds windows of at most 3 elements per axis.
func (g *generator) window() *ir.Value {
	x := g.pick()
	var window, strides, low []int64
	for range x.Type.Shape {
		window = append(window, 1+g.rng.Int64N(3))
		strides = append(strides, 1+g.rng.Int64N(2))
		low = append(low, g.rng.Int64N(2))
	}
	op := []string{"max", "min", "sum"}[g.rng.IntN(3)]
	return g.emit(ir.OpReduceWindow, []*ir.Value{x}, ir.Attr{Name: "op", Value: op}, ir.Attr{Name: "window", Value: window},
		ir.Attr{Name: "strides", Value: strides}, ir.Attr{Name: "padding_low", Value: low})
}
