package ir

import "jitc/ir/tensor"

// f32s makes f32 types, the representative element type of samples.
func f32s(shapes ...[]int) []Type {
	ts := make([]Type, len(shapes))
	for i, s := range shapes {
		ts[i] = TConst(tensor.F32, s...)
	}
	return ts
}

// sample is one application for a row's Samples.
func sample(args []Type, attrs ...Attr) Sample { return Sample{Args: args, Attrs: NewAttrs(attrs...)} }

// within bounds a sample's generated elements.
func (s Sample) within(lo, hi float64) Sample {
	s.Lo, s.Hi = lo, hi
	return s
}

// ints is a literal list of integers as an attribute holds it.
func ints(xs ...int64) []int64 { return xs }

func padSamples() []Sample {
	pad := func(x []int, low, high []int) Sample {
		return sample(f32s(x, nil), Attr{"low", Dims(low...)}, Attr{"high", Dims(high...)})
	}
	return []Sample{
		pad(nil, nil, nil),
		pad([]int{5}, []int{2}, []int{3}),
		pad([]int{3, 7}, []int{0, 1}, []int{2, 0}),
		pad([]int{2, 1, 3}, []int{1, 2, 0}, []int{0, 0, 4}),
		pad([]int{0, 2}, []int{1, 0}, []int{1, 1}),
		pad([]int{4}, []int{0}, []int{0}),
	}
}

func patchesSamples() []Sample {
	return []Sample{
		sample(f32s([]int{1, 1, 5}), Attr{"window", ints(3)}),
		sample(f32s([]int{2, 3, 5, 7}), Attr{"window", ints(3, 2)}, Attr{"strides", ints(2, 1)},
			Attr{"padding_low", ints(1, 0)}, Attr{"padding_high", ints(1, 1)}),
		sample(f32s([]int{1, 2, 7, 6}), Attr{"window", ints(2, 3)}, Attr{"dilation", ints(3, 2)}, Attr{"padding_low", ints(0, 2)}),
		sample(f32s([]int{2, 1, 3, 4, 2}), Attr{"window", ints(2, 2, 1)}, Attr{"strides", ints(1, 2, 1)}),
		sample(f32s([]int{0, 2, 4}), Attr{"window", ints(2)}),
		sample(f32s([]int{1, 1, 1}), Attr{"window", ints(3)}, Attr{"padding_low", ints(4)}, Attr{"padding_high", ints(4)}),
	}
}

func concatSamples() []Sample {
	axis := func(a int64) Attr { return Attr{"axis", a} }
	return []Sample{
		sample(f32s([]int{3}), axis(0)),
		sample(f32s([]int{3}, []int{5}), axis(0)),
		sample(f32s([]int{2, 3}, []int{2, 1}, []int{2, 7}), axis(1)),
		sample(f32s([]int{1, 3}, []int{4, 3}), axis(0)),
		sample(f32s([]int{2, 3, 2}, []int{2, 0, 2}, []int{2, 1, 2}), axis(1)),
	}
}

func gatherSamples() []Sample {
	gather := func(x, at []int, axis, batch int64) Sample {
		return sample([]Type{TConst(tensor.F32, x...), TConst(tensor.I64, at...)},
			Attr{"axis", axis}, Attr{"batch_dims", batch})
	}
	return []Sample{
		gather([]int{7}, nil, 0, 0).within(0, 7),
		gather([]int{5, 3}, []int{4}, 0, 0).within(0, 5),
		gather([]int{5, 3, 2}, []int{2, 3}, 1, 0).within(-2, 5), // clamped at both ends
		gather([]int{2, 7, 3}, []int{2, 4}, 1, 1).within(0, 7),
		gather([]int{2, 3, 5}, []int{2, 3}, 2, 1).within(0, 5),
		gather([]int{4, 3}, []int{0}, 0, 0).within(0, 4),
	}
}

// scalars are n integer scalar types.
func scalars(n int) []Type {
	ts := make([]Type, n)
	for i := range ts {
		ts[i] = TConst(tensor.I64)
	}
	return ts
}

func dynamicSliceSamples() []Sample {
	slice := func(x, sizes []int) Sample {
		return sample(append(f32s(x), scalars(len(x))...), Attr{"sizes", Dims(sizes...)}).within(-2, 6)
	}
	return []Sample{
		slice(nil, nil),
		slice([]int{7}, []int{3}),
		slice([]int{5, 4}, []int{2, 4}),
		slice([]int{3, 5, 2}, []int{1, 2, 1}),
		slice([]int{4, 3}, []int{0, 2}),
	}
}

func dynamicUpdateSliceSamples() []Sample {
	update := func(x, part []int) Sample {
		return sample(append(f32s(x, part), scalars(len(x))...)).within(-2, 6)
	}
	return []Sample{
		update(nil, nil),
		update([]int{7}, []int{3}),
		update([]int{5, 4}, []int{2, 4}),
		update([]int{3, 5, 2}, []int{1, 2, 1}),
		update([]int{4, 3}, []int{0, 2}),
		update([]int{21, 64}, []int{3, 64}),
		update([]int{3, 24, 20}, []int{3, 1, 7}),
	}
}
