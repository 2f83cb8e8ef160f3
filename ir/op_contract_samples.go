package ir

func dotGeneralSamples() []Sample {
	dot := func(x, y []int, xb, yb, xc, yc []int64) Sample {
		return sample(f32s(x, y), Attr{"lhs_batch", xb}, Attr{"rhs_batch", yb},
			Attr{"lhs_contract", xc}, Attr{"rhs_contract", yc})
	}
	return []Sample{
		dot(nil, nil, ints(), ints(), ints(), ints()),
		dot([]int{7}, []int{7}, ints(), ints(), ints(0), ints(0)),
		dot([]int{3, 5}, []int{5, 2}, ints(), ints(), ints(1), ints(0)),
		dot([]int{2, 3, 5}, []int{2, 7, 5}, ints(0), ints(0), ints(2), ints(2)),
		dot([]int{3, 2, 1, 4}, []int{4, 5, 2, 3}, ints(1), ints(2), ints(3, 0), ints(0, 3)),
		dot([]int{13, 11}, []int{11, 17}, ints(), ints(), ints(1), ints(0)),
		dot([]int{2, 0}, []int{0, 3}, ints(), ints(), ints(1), ints(0)),
		dot([]int{2}, []int{0}, ints(), ints(), ints(), ints()),
	}
}

func convolutionSamples() []Sample {
	conv := func(x, w []int, attrs ...Attr) Sample { return sample(f32s(x, w), attrs...) }
	return []Sample{
		conv([]int{1, 1, 5}, []int{1, 1, 3}),
		conv([]int{2, 3, 5, 7}, []int{4, 3, 3, 2}, Attr{"strides", ints(2, 1)},
			Attr{"padding_low", ints(1, 0)}, Attr{"padding_high", ints(1, 1)}),
		conv([]int{1, 4, 6, 5}, []int{6, 2, 3, 3}, Attr{"groups", int64(2)}, Attr{"dilation", ints(2, 1)},
			Attr{"padding_low", ints(2, 1)}, Attr{"padding_high", ints(2, 1)}),
		conv([]int{2, 3, 4, 4}, []int{3, 1, 2, 2}, Attr{"groups", int64(3)}),
		conv([]int{2, 3, 4, 5}, []int{7, 3, 1, 1}),
		conv([]int{1, 2, 5, 5}, []int{3, 2, 1, 1}, Attr{"strides", ints(2, 3)}),
		conv([]int{1, 2, 3, 4, 3}, []int{2, 2, 2, 2, 2}),
		conv([]int{0, 2, 4}, []int{3, 2, 3}),
	}
}

func reduceWindowSamples() []Sample {
	window := func(op string, x []int, w []int64, attrs ...Attr) Sample {
		return sample(f32s(x), append(attrs, Attr{"op", op}, Attr{"window", w})...)
	}
	return []Sample{
		window("max", nil, ints()),
		window("max", []int{7}, ints(3)),
		window("min", []int{5, 6}, ints(2, 3), Attr{"strides", ints(1, 2)}),
		window("sum", []int{5, 6}, ints(3, 2), Attr{"padding_low", ints(1, 0)}, Attr{"padding_high", ints(1, 1)}),
		window("sum", []int{2, 3, 7}, ints(1, 1, 3), Attr{"dilation", ints(1, 1, 2)}, Attr{"strides", ints(1, 1, 2)}),
		window("max", []int{2}, ints(2), Attr{"padding_low", ints(3)}, Attr{"padding_high", ints(3)}),
		window("min", []int{0, 4}, ints(1, 2)),
	}
}
