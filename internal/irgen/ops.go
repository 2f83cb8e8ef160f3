package irgen

import (
	"math/rand/v2"

	"jitc/ir"
	"jitc/ir/dim"
	"jitc/ir/tensor"
)

// opRow makes one value of a family of ops; nil where nothing fits.
type opRow struct {
	weight int
	when   when
	make   func(g *generator) *ir.Value
}

// when says under which options a family is drawn.
type when uint8

const (
	always  when = iota
	surface      // Options.Surface: composites
	control      // Options.Control
)

// opRows are the families, drawn by weight.
var opRows = []opRow{
	{6, always, (*generator).unary},
	{10, always, (*generator).binary},
	{3, always, (*generator).comparison},
	{2, always, (*generator).selection},
	{2, always, (*generator).cast},
	{3, always, func(g *generator) *ir.Value { return g.constant(ir.T(g.dtype(), g.shape()...)) }},
	{1, always, (*generator).iota},
	{4, always, (*generator).reshape},
	{4, always, (*generator).broadcast},
	{4, always, (*generator).transpose},
	{3, always, (*generator).slice},
	{2, always, (*generator).reverse},
	{2, always, (*generator).pad},
	{2, always, (*generator).concat},
	{1, always, (*generator).rejoin},
	{1, always, (*generator).gather},
	{1, always, (*generator).scatter},
	{1, always, (*generator).dynamicSlice},
	{1, always, (*generator).dynamicUpdate},
	{3, always, (*generator).reduce},
	{1, always, (*generator).window},
	{3, always, (*generator).dot},
	{6, surface, (*generator).unaryComposite},
	{4, surface, (*generator).normComposite},
	{3, surface, (*generator).linear},
	{2, surface, (*generator).cumulative},
}

func (g *generator) row() opRow {
	allowed := [...]bool{always: true, surface: g.opts.Surface, control: g.opts.Control && g.depth < maxDepth}
	total := 0
	for _, r := range opRows {
		if allowed[r.when] {
			total += r.weight
		}
	}
	n := g.rng.IntN(total)
	for _, r := range opRows {
		if !allowed[r.when] {
			continue
		}
		if n -= r.weight; n < 0 {
			return r
		}
	}
	panic("BUG: irgen: weights")
}

func oneOf(rng *rand.Rand, ops ...ir.Op) ir.Op { return ops[rng.IntN(len(ops))] }

func (g *generator) unary() *ir.Value {
	op := oneOf(g.rng, ir.OpNeg, ir.OpNeg, ir.OpAbs, ir.OpSign, ir.OpFloor, ir.OpCeil, ir.OpRound, ir.OpTrunc,
		ir.OpSqrt, ir.OpRsqrt, ir.OpExp, ir.OpLog,
		ir.OpTanh, ir.OpSigmoid, ir.OpNot, ir.OpNot, ir.OpIsNaN, ir.OpIsFinite)
	return g.emit(op, []*ir.Value{g.pick()})
}

func (g *generator) binary() *ir.Value {
	op := oneOf(g.rng, ir.OpAdd, ir.OpAdd, ir.OpSub, ir.OpSub, ir.OpMul, ir.OpMul, ir.OpDiv, ir.OpRem, ir.OpMax,
		ir.OpMin, ir.OpPow, ir.OpAtan2, ir.OpAnd, ir.OpOr, ir.OpXor, ir.OpShl, ir.OpShr)
	return g.pair(op)
}

func (g *generator) comparison() *ir.Value {
	return g.pair(oneOf(g.rng, ir.OpEq, ir.OpNe, ir.OpLt, ir.OpLe, ir.OpGt, ir.OpGe))
}

// pair applies op to a value and another of its type, in either order, where the
// type suits the op.
func (g *generator) pair(op ir.Op) *ir.Value {
	x := g.pickWhere(func(v *ir.Value) bool { return op.Row().DTypes.Has(v.Type.DType) })
	if x == nil {
		return nil
	}
	y := g.like(x.Type)
	if g.rng.IntN(2) == 0 {
		x, y = y, x
	}
	return g.emit(op, []*ir.Value{x, y})
}

func (g *generator) selection() *ir.Value {
	x := g.pick()
	return g.emit(ir.OpSelect, []*ir.Value{g.like(x.Type.WithDType(tensor.Bool)), x, g.like(x.Type)})
}

func (g *generator) cast() *ir.Value {
	return g.emit(ir.OpCast, []*ir.Value{g.pick()}, ir.Attr{Name: "dtype", Value: g.dtype()})
}

// constant makes a splat, or for some small static types elements.
func (g *generator) constant(t ir.Type) *ir.Value {
	attrs := []ir.Attr{{Name: "dtype", Value: t.DType}, {Name: "shape", Value: t.Shape}}
	if shape, err := ir.EvalShape(t.Shape, nil); err == nil && g.rng.IntN(3) == 0 {
		return g.emit(ir.OpConstant, nil, append(attrs, ir.Attr{Name: "data", Value: Tensor(g.rng, t.DType, shape)})...)
	}
	return g.emit(ir.OpConstant, nil, append(attrs, ir.Attr{Name: "value", Value: g.number(t.DType)})...)
}

// number draws a splat's value: often one that algebra knows.
func (g *generator) number(dt tensor.DType) any {
	switch {
	case dt == tensor.Bool:
		return g.rng.IntN(2) == 0
	case dt.IsFloat() && g.rng.IntN(8) == 0:
		return int64(g.rng.IntN(3))
	case dt.IsFloat() && g.rng.IntN(2) == 0:
		return specialFloats[g.rng.IntN(len(specialFloats))]
	case dt.IsFloat():
		return floatElement(g.rng)
	}
	known := []int64{0, 1, 2, 7, -1, -8}
	n := known[g.rng.IntN(len(known))]
	return tensor.Ints(tensor.IntScalar(dt, n))[0]
}

func (g *generator) iota() *ir.Value {
	t := ir.T(g.dtype(), g.shape()...)
	return g.emit(ir.OpIota, nil, ir.Attr{Name: "dtype", Value: t.DType}, ir.Attr{Name: "shape", Value: t.Shape},
		ir.Attr{Name: "axis", Value: int64(g.rng.IntN(t.Rank()))})
}

func (g *generator) reduce() *ir.Value {
	x := g.pick()
	op := oneOf(g.rng, ir.OpReduceSum, ir.OpReduceSum, ir.OpReduceProd, ir.OpReduceMax, ir.OpReduceMin, ir.OpReduceAny, ir.OpReduceAll)
	return g.emit(op, []*ir.Value{x}, ir.Attr{Name: "axes", Value: g.axes(x.Type.Rank())})
}

// axes draws distinct axes in any order.
func (g *generator) axes(rank int) []int64 {
	axes := []int64{}
	for _, a := range g.rng.Perm(rank) {
		if g.rng.IntN(2) == 0 {
			axes = append(axes, int64(a))
		}
	}
	return axes
}

// dot contracts and batches axes of equal size of two values.
func (g *generator) dot() *ir.Value {
	x := g.pickWhere(func(v *ir.Value) bool { return v.Type.DType != tensor.Bool })
	if x == nil {
		return nil
	}
	y := g.pickWhere(func(v *ir.Value) bool { return v.Type.DType == x.Type.DType && g.sharesSize(x, v) })
	if y == nil {
		y = x
	}
	var lists [4][]int64
	used := make([]bool, y.Type.Rank())
	for i, e := range x.Type.Shape {
		for j, f := range y.Type.Shape {
			if !used[j] && e.Equal(f) && g.rng.IntN(2) == 0 {
				at := 2 * g.rng.IntN(2)
				lists[at], lists[at+1] = append(lists[at], int64(i)), append(lists[at+1], int64(j))
				used[j] = true
				break
			}
		}
	}
	return g.emit(ir.OpDotGeneral, []*ir.Value{x, y}, ir.Attr{Name: "lhs_batch", Value: lists[0]}, ir.Attr{Name: "rhs_batch", Value: lists[1]},
		ir.Attr{Name: "lhs_contract", Value: lists[2]}, ir.Attr{Name: "rhs_contract", Value: lists[3]})
}

func (g *generator) sharesSize(x, y *ir.Value) bool {
	for _, e := range x.Type.Shape {
		for _, f := range y.Type.Shape {
			if e.Equal(f) {
				return true
			}
		}
	}
	return false
}

func (g *generator) unaryComposite() *ir.Value {
	op := oneOf(g.rng, ir.OpSquare, ir.OpReciprocal, ir.OpRelu, ir.OpSilu, ir.OpGelu)
	return g.emit(op, []*ir.Value{g.pick()})
}

func (g *generator) normComposite() *ir.Value {
	op := oneOf(g.rng, ir.OpSoftmax, ir.OpLogSoftmax, ir.OpMean, ir.OpVariance, ir.OpLayerNorm, ir.OpRMSNorm, ir.OpArgmax, ir.OpArgmin)
	x := g.pickWhere(func(v *ir.Value) bool { return v.Type.Rank() > 0 && g.notEmpty(v) })
	if x == nil {
		return nil
	}
	last := int64(x.Type.Rank() - 1)
	attrs := []ir.Attr{}
	switch {
	case op.Row().Attr("axis") != nil:
		attrs = append(attrs, ir.Attr{Name: "axis", Value: last})
	case op == ir.OpMean || op == ir.OpVariance:
		attrs = append(attrs, ir.Attr{Name: "axes", Value: []int64{last}})
	}
	return g.emit(op, []*ir.Value{x}, attrs...)
}

// notEmpty reports whether every size is known to be at least 1.
func (g *generator) notEmpty(v *ir.Value) bool {
	lo, _ := g.f.Facts.Range(v.Type.Elements())
	return lo > 0
}

// cumulative goes along any axis, either way.
func (g *generator) cumulative() *ir.Value {
	x := g.pickWhere(func(v *ir.Value) bool { return v.Type.DType != tensor.Bool && v.Type.Rank() > 0 })
	if x == nil {
		return nil
	}
	combine := []string{"add", "mul", "min", "max"}[g.rng.IntN(4)]
	return g.emit(ir.OpCumulative, []*ir.Value{x}, ir.Attr{Name: "axis", Value: int64(g.rng.IntN(x.Type.Rank()))},
		ir.Attr{Name: "combine", Value: combine}, ir.Attr{Name: "reverse", Value: g.rng.IntN(2) == 0})
}

func (g *generator) linear() *ir.Value {
	x := g.pickWhere(func(v *ir.Value) bool { return v.Type.Rank() > 0 })
	if x == nil {
		return nil
	}
	in, out := x.Type.Shape[x.Type.Rank()-1], dim.Const(3)
	w, bias := g.constant(ir.T(x.Type.DType, out, in)), g.constant(ir.T(x.Type.DType, out))
	if w == nil || bias == nil {
		return nil
	}
	return g.emit(ir.OpLinear, []*ir.Value{x, w, bias})
}
