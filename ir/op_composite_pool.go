package ir

import (
	"fmt"
	"slices"

	"jitc/ir/dim"
	"jitc/ir/tensor"
)

func poolComposites() map[Op]OpRow {
	attrs := func(more ...AttrSpec) []AttrSpec {
		return append([]AttrSpec{
			{Name: "window", Kind: KindInts, Doc: "size of the window, per spatial axis, at least 1", Required: true},
			{Name: "strides", Kind: KindInts, Doc: "distance of neighbouring windows, per spatial axis; default the window"},
			{Name: "padding", Kind: KindInts, Doc: "elements added before and after, per spatial axis, fewer than the window spans; default all 0"},
			{Name: "dilation", Kind: KindInts, Doc: "distance of a window's neighbouring elements, per spatial axis; default all 1"},
		}, more...)
	}
	return map[Op]OpRow{
		OpMaxPool: {
			Name: "max_pool", MinArgs: 1, MaxArgs: 1, Traits: Reduce, DTypes: Numbers,
			Doc:   "The greatest element of each window of x[N,C,spatial...]; padding does not count.",
			Attrs: attrs(),
			Infer: func(v *Value, facts *dim.Facts) (Type, error) { return inferPool(v, facts, Numbers) },
			Decompose: func(b *Builder, v *Value) *Value {
				return poolWindows(b, v.Args[0], "max", poolSlide(v))
			},
			Samples: maxPoolSamples,
		},
		OpAvgPool: {
			Name: "avg_pool", MinArgs: 1, MaxArgs: 1, Traits: Reduce, DTypes: Floats,
			Doc: "The mean of each window of x[N,C,spatial...], padding counting as zeros, or, with count_include_pad=false, not at all.",
			Attrs: attrs(AttrSpec{Name: "count_include_pad", Kind: KindBool,
				Doc: "whether the divisor counts padding", Default: true}),
			Infer: func(v *Value, facts *dim.Facts) (Type, error) { return inferPool(v, facts, Floats) }, Decompose: decomposeAvgPool, Samples: avgPoolSamples,
		},
	}
}

// poolSlideOf reads v's attributes and extends them to all axes of x, the first
// two with windows of one.
func poolSlideOf(v *Value) (s slide, err error) {
	n := v.Args[0].Type.Rank() - 2
	if s.window, err = intsAttr(v, "window", n, 1, 1); err != nil {
		return s, err
	}
	if s.strides = s.window; v.Attrs.Has("strides") {
		if s.strides, err = intsAttr(v, "strides", n, 1, 1); err != nil {
			return s, err
		}
	}
	if s.dilation, err = intsAttr(v, "dilation", n, 1, 1); err != nil {
		return s, err
	}
	if s.low, err = intsAttr(v, "padding", n, 0, 0); err != nil {
		return s, err
	}
	for i, p := range s.low {
		if span := (s.window[i]-1)*s.dilation[i] + 1; p >= span {
			return s, attrError(v, "padding", "padding holds whole windows", fmt.Sprintf("less than %d", span), AttrString(s.low), "")
		}
	}
	for _, list := range []*[]int64{&s.window, &s.strides, &s.dilation} {
		*list = slices.Concat(ints(1, 1), *list)
	}
	s.low = slices.Concat(ints(0, 0), s.low)
	s.high = s.low
	return s, nil
}

// poolSlide is poolSlideOf of a value whose type was inferred.
func poolSlide(v *Value) slide {
	s, err := poolSlideOf(v)
	if err != nil {
		panic("BUG: ir: decomposing an ill-typed pool: " + err.Error())
	}
	return s
}

func inferPool(v *Value, facts *dim.Facts, set DTypeSet) (Type, error) {
	if err := wantDType(v, 0, set); err != nil {
		return Type{}, err
	}
	if err := wantMinRank(v, 0, 3); err != nil {
		return Type{}, err
	}
	s, err := poolSlideOf(v)
	if err != nil {
		return Type{}, err
	}
	shape, err := s.sizes(v, facts, 0)
	if err != nil {
		return Type{}, err
	}
	return v.Args[0].Type.WithShape(shape), nil
}

// poolWindows folds windows of x; s has x's rank.
func poolWindows(b *Builder, x *Value, op string, s slide) *Value {
	return b.Emit(OpReduceWindow, []*Value{x}, Attr{"op", op}, Attr{"window", s.window}, Attr{"strides", s.strides},
		Attr{"padding_low", s.low}, Attr{"padding_high", s.high}, Attr{"dilation", s.dilation})
}

func decomposeAvgPool(b *Builder, v *Value) *Value {
	s := poolSlide(v)
	sum := poolWindows(b, widened(b, v.Args[0]), "sum", s)
	if b.Err() != nil {
		return nil
	}
	var count *Value
	if v.Attrs.Bool("count_include_pad", true) {
		size := 1.0
		for _, w := range s.window {
			size *= float64(w)
		}
		count = b.SplatLike(sum, size)
	} else {
		count = windowCounts(b, sum, v.Args[0].Type.Shape[2:], s)
	}
	return b.Cast(b.Div(sum, count), v.Type.DType)
}

// windowCounts is, laid on sum's shape, how many elements of x each window holds:
// the sum of as many ones, over the spatial axes only.
func windowCounts(b *Builder, sum *Value, spatial []dim.Expr, s slide) *Value {
	inner := slide{s.window[2:], s.strides[2:], s.low[2:], s.high[2:], s.dilation[2:]}
	counts := poolWindows(b, b.Splat(T(tensor.F32, spatial...), 1), "sum", inner)
	return b.Broadcast(b.Cast(counts, sum.Type.DType), sum.Type.Shape, axesFrom(2, len(spatial))...)
}
