package ir

import (
	"math"

	"jitc/ir/dim"
	"jitc/ir/tensor"
)

func statisticComposites() map[Op]OpRow {
	axes := AttrSpec{Name: "axes", Kind: KindInts, Doc: "axes to fold; they are dropped", Required: true}
	return map[Op]OpRow{
		OpArgmax: extremeRow("argmax", "greatest", OpReduceMax),
		OpArgmin: extremeRow("argmin", "least", OpReduceMin),
		OpMean: {
			Name: "mean", MinArgs: 1, MaxArgs: 1, Traits: Reduce, DTypes: Floats,
			Doc:   "The sum over axes divided by the number of elements summed; NaN for none.",
			Attrs: []AttrSpec{axes},
			Infer: inferStatistic, Decompose: decomposeMean, Samples: statisticSamples,
		},
		OpVariance: {
			Name: "variance", MinArgs: 1, MaxArgs: 1, Traits: Reduce, DTypes: Floats,
			Doc: "The sum over axes of squared differences from the mean, divided by max(n - correction, 0), n being the number of elements.",
			Attrs: []AttrSpec{axes,
				{Name: "correction", Kind: KindInt, Doc: "degrees of freedom to subtract; 1 gives the sample variance", Default: int64(0)}},
			Infer: inferStatistic, Decompose: decomposeVariance, Samples: varianceSamples,
		},
	}
}

func extremeRow(name, adjective string, reduce Op) OpRow {
	return OpRow{
		Name: name, MinArgs: 1, MaxArgs: 1, Traits: Reduce, DTypes: Numbers,
		Doc: "The index along an axis, which is dropped, of the " + adjective + " element: the first of equals; a NaN counts as it.",
		Attrs: []AttrSpec{
			{Name: "axis", Kind: KindInt, Doc: "axis to search", Required: true},
			{Name: "dtype", Kind: KindDType, Doc: "element type of the index: i64 or i32", Default: tensor.I64},
		},
		Infer:     inferExtreme,
		Decompose: func(b *Builder, v *Value) *Value { return decomposeExtreme(b, v, reduce) },
		Samples:   extremeSamples,
	}
}

func inferExtreme(v *Value, facts *dim.Facts) (Type, error) {
	if err := wantDType(v, 0, Numbers); err != nil {
		return Type{}, err
	}
	x := v.Args[0].Type
	axis, err := axisAttr(v, "axis", x.Rank(), 0)
	if err != nil {
		return Type{}, err
	}
	dt := tensor.I64
	if v.Attrs.Has("dtype") {
		dt = v.Attrs.DType("dtype")
	}
	lo, hi := sizeRange(facts, x.Shape[axis])
	switch {
	case dt != tensor.I64 && dt != tensor.I32:
		return Type{}, attrError(v, "dtype", "the index cannot have this element type", "i64 or i32", dt.String(), "")
	case hi <= 0:
		return Type{}, argError(v, 0, "there is nothing to search", "at least 1 element on the axis", x.String(), "")
	case dt == tensor.I32 && lo > math.MaxInt32:
		return Type{}, attrError(v, "dtype", "the index does not fit", "i64", dt.String(), "")
	}
	return T(dt, pick(x.Shape, keptAxes(x.Rank(), ints(int64(axis))))...), nil
}

// decomposeExtreme finds the least index of a hit: an element that equals the
// extreme, or a NaN, beside which nothing equals the extreme, since that is NaN.
func decomposeExtreme(b *Builder, v *Value, reduce Op) *Value {
	x, axis, dt := v.Args[0], v.Attrs.Int("axis", 0), v.Type.DType
	hit := b.Binary(OpEq, x, b.ReduceKeep(reduce, x, axis))
	if x.Type.DType.IsFloat() {
		hit = b.Binary(OpOr, hit, b.Unary(OpIsNaN, x))
	}
	t := x.Type.WithDType(dt)
	none := int64(math.MaxInt64)
	if dt == tensor.I32 {
		none = math.MaxInt32
	}
	beyond := b.Emit(OpConstant, nil, Attr{"value", none}, Attr{"dtype", dt}, Attr{"shape", t.Shape})
	return b.Reduce(OpReduceMin, b.Select(hit, b.Iota(t, axis), beyond), axis)
}

func inferStatistic(v *Value, _ *dim.Facts) (Type, error) {
	if err := wantDType(v, 0, Floats); err != nil {
		return Type{}, err
	}
	x := v.Args[0].Type
	axes, err := axesAttr(v, "axes", x.Rank())
	if err != nil {
		return Type{}, err
	}
	if _, err := intAttr(v, "correction", 0, 0); err != nil {
		return Type{}, err
	}
	return x.WithShape(pick(x.Shape, keptAxes(x.Rank(), axes))), nil
}

func decomposeMean(b *Builder, v *Value) *Value {
	return b.Cast(meanOf(b, widened(b, v.Args[0]), v.Attrs.Ints("axes")), v.Type.DType)
}

// meanOf is the mean of x over axes, in x's element type.
func meanOf(b *Builder, x *Value, axes []int64) *Value {
	sum := b.Reduce(OpReduceSum, x, axes...)
	if b.Err() != nil {
		return nil
	}
	return b.Div(sum, spread(b, countOf(b, x, x.Type.DType, axes), sum))
}

// centered is x less its mean over axes.
func centered(b *Builder, x *Value, axes []int64) *Value {
	mean := meanOf(b, x, axes)
	if b.Err() != nil {
		return nil
	}
	return b.Sub(x, b.BroadcastBack(mean, x.Type.Shape, axes...))
}

func decomposeVariance(b *Builder, v *Value) *Value {
	x, axes := widened(b, v.Args[0]), v.Attrs.Ints("axes")
	d := centered(b, x, axes)
	sum := b.Reduce(OpReduceSum, b.Mul(d, d), axes...)
	if b.Err() != nil {
		return nil
	}
	n := countOf(b, x, x.Type.DType, axes)
	if c := v.Attrs.Int("correction", 0); c != 0 {
		n = b.Binary(OpMax, b.Sub(n, b.SplatLike(n, float64(c))), b.SplatLike(n, 0))
	}
	return b.Cast(b.Div(sum, spread(b, n, sum)), v.Type.DType)
}
