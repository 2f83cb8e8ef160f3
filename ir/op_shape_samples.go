package ir

import "jitc/ir/tensor"

func viewSample(shape []int, attrs ...Attr) Sample {
	return Sample{Args: []Type{TConst(tensor.F32, shape...)}, Attrs: NewAttrs(attrs...)}
}

func reshapeSamples() []Sample {
	s := func(from, to []int) Sample { return viewSample(from, Attr{"shape", Dims(to...)}) }
	return []Sample{
		s([]int{6, 4}, []int{24}), s([]int{24}, []int{2, 3, 4}), s([]int{}, []int{1, 1}), s([]int{1}, []int{}),
		s([]int{0, 3}, []int{5, 0}), s([]int{7, 13}, []int{13, 7}), s([]int{2, 1, 3}, []int{2, 3}),
	}
}

func broadcastSamples() []Sample {
	s := func(from, to []int, axes ...int64) Sample {
		return viewSample(from, Attr{"shape", Dims(to...)}, Attr{"axes", axes})
	}
	return []Sample{
		s([]int{}, []int{3, 5}), s([]int{5}, []int{3, 5}, 1), s([]int{3}, []int{3, 5}, 0), s([]int{1, 5}, []int{3, 5}, 0, 1),
		s([]int{2, 3}, []int{2, 7, 3}, 0, 2), s([]int{1}, []int{0, 4}, 1), s([]int{1}, []int{0}, 0), s([]int{3}, []int{3}, 0), s([]int{}, []int{}),
	}
}

func transposeSamples() []Sample {
	s := func(shape []int, perm ...int64) Sample { return viewSample(shape, Attr{"perm", perm}) }
	return []Sample{
		s([]int{3, 5}, 1, 0), s([]int{2, 3, 5}, 2, 0, 1), s([]int{2, 3, 5}, 0, 2, 1), s([]int{}), s([]int{7}, 0),
		s([]int{0, 3}, 1, 0), s([]int{2, 3, 1, 5}, 3, 1, 2, 0), s([]int{33, 17}, 1, 0),
	}
}

func sliceSamples() []Sample {
	s := func(shape, starts, limits []int, strides ...int64) Sample {
		attrs := []Attr{{"starts", Dims(starts...)}, {"limits", Dims(limits...)}}
		if strides != nil {
			attrs = append(attrs, Attr{"strides", strides})
		}
		return viewSample(shape, attrs...)
	}
	return []Sample{
		s([]int{7}, []int{2}, []int{5}), s([]int{13}, []int{1}, []int{12}, 3), s([]int{5, 7}, []int{0, 3}, []int{5, 7}),
		s([]int{5, 7}, []int{4, 7}, []int{5, 7}), s([]int{3, 4, 5}, []int{1, 0, 2}, []int{3, 4, 5}, 1, 2, 3),
		s([]int{}, nil, nil), s([]int{0, 3}, []int{0, 1}, []int{0, 3}), s([]int{1, 131}, []int{0, 0}, []int{1, 131}, 1, 2),
	}
}

func reverseSamples() []Sample {
	s := func(shape []int, axes ...int64) Sample { return viewSample(shape, Attr{"axes", axes}) }
	return []Sample{
		s([]int{7}, 0), s([]int{3, 5}, 1), s([]int{3, 5}, 0, 1), s([]int{2, 3, 5}, 1), s([]int{0, 3}, 1), s([]int{}), s([]int{4}),
	}
}
