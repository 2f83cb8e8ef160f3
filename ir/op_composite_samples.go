package ir

import "jitc/ir/tensor"

// pointwiseSamples are shapes for n operands of one type.
func pointwiseSamples(n int) func() []Sample {
	return func() []Sample {
		var out []Sample
		for _, shape := range [][]int{nil, {1}, {7}, {3, 5}, {2, 0, 3}, {2, 3, 4}} {
			args := make([]Type, n)
			for i := range args {
				args[i] = TConst(tensor.F32, shape...)
			}
			out = append(out, sample(args))
		}
		return out
	}
}

func geluSamples() []Sample {
	out := pointwiseSamples(1)()
	return append(out, sample(f32s([]int{13}), Attr{"approximate", "tanh"}), sample(f32s([]int{3, 5}), Attr{"approximate", "none"}))
}

func extremeSamples() []Sample {
	search := func(x []int, axis int64, attrs ...Attr) Sample {
		return sample(f32s(x), append(attrs, Attr{"axis", axis})...)
	}
	return []Sample{
		search([]int{1}, 0),
		search([]int{7}, 0),
		search([]int{3, 5}, 1),
		search([]int{3, 5}, 0, Attr{"dtype", tensor.I32}),
		search([]int{2, 11, 3}, 1),
		search([]int{0, 3}, 1),
	}
}

func statisticSamples() []Sample {
	fold := func(x []int, axes ...int64) Sample { return sample(f32s(x), Attr{"axes", axes}) }
	return []Sample{
		fold(nil),
		fold([]int{7}, 0),
		fold([]int{3, 5}, 1),
		fold([]int{3, 5}, 1, 0),
		fold([]int{2, 3, 4}, 0, 2),
		fold([]int{2, 1, 3}, 1),
		fold([]int{0, 3}, 1),
	}
}

func varianceSamples() []Sample {
	out := statisticSamples()
	return append(out, sample(f32s([]int{3, 5}), Attr{"axes", ints(1)}, Attr{"correction", int64(1)}))
}

func matmulSamples() []Sample {
	mul := func(a, b []int) Sample { return sample(f32s(a, b)) }
	return []Sample{
		mul([]int{1, 1}, []int{1, 1}),
		mul([]int{3, 5}, []int{5, 7}),
		mul([]int{2, 3, 5}, []int{2, 5, 4}),
		mul([]int{2, 3, 1, 5}, []int{2, 3, 5, 2}),
		mul([]int{2, 3, 5}, []int{5, 4}),
		mul([]int{3, 0}, []int{0, 2}),
	}
}

func linearSamples() []Sample {
	linear := func(transposed bool, shapes ...[]int) Sample {
		return sample(f32s(shapes...), Attr{"transposed", transposed})
	}
	return []Sample{
		linear(true, []int{5}, []int{3, 5}),
		linear(true, []int{2, 5}, []int{3, 5}, []int{3}),
		linear(false, []int{2, 5}, []int{5, 3}, []int{3}),
		linear(true, []int{2, 3, 7}, []int{1, 7}, []int{1}),
		linear(false, []int{0, 5}, []int{5, 3}),
	}
}

func softmaxSamples() []Sample {
	norm := func(x []int, axis int64) Sample { return sample(f32s(x), Attr{"axis", axis}) }
	return []Sample{
		norm([]int{1}, 0), norm([]int{7}, 0), norm([]int{3, 5}, 1), norm([]int{3, 5}, 0), norm([]int{2, 11, 3}, 1),
		norm([]int{0, 3}, 1), norm([]int{3, 0}, 1),
	}
}

func layerNormSamples() []Sample {
	return []Sample{
		sample(f32s([]int{7})),
		sample(f32s([]int{3, 5}, []int{5})),
		sample(f32s([]int{3, 5}, []int{5}, []int{5}), Attr{"eps", 1e-3}),
		sample(f32s([]int{2, 3, 4}, []int{3, 4}, []int{3, 4}), Attr{"axes", ints(1, 2)}),
		sample(f32s([]int{5, 3}, []int{5}, []int{5}), Attr{"axes", ints(0)}),
		sample(f32s([]int{0, 4}, []int{4})),
	}
}

func rmsNormSamples() []Sample {
	return []Sample{
		sample(f32s([]int{7})),
		sample(f32s([]int{3, 5}, []int{5}), Attr{"eps", 1e-3}),
		sample(f32s([]int{2, 3, 4}, []int{2, 4}), Attr{"axes", ints(0, 2)}),
		sample(f32s([]int{2, 1}, []int{1})),
		sample(f32s([]int{0, 4}, []int{4})),
	}
}

// batchNormSamples are positive because one of the operands is a variance.
func batchNormSamples() []Sample {
	norm := func(x ...int) Sample {
		c := x[1:2]
		return sample(f32s(x, c, c, c, c)).within(0.25, 2)
	}
	return []Sample{norm(3, 5), norm(2, 3, 4, 5), norm(1, 1, 7), norm(2, 3, 0), norm(0, 2)}
}

func embeddingSamples() []Sample {
	pick := func(table, ids []int) Sample {
		return sample([]Type{TConst(tensor.F32, table...), TConst(tensor.I64, ids...)}).within(0, 7)
	}
	return []Sample{pick([]int{7, 3}, nil), pick([]int{7, 5}, []int{4}), pick([]int{5, 2}, []int{2, 3}), pick([]int{7, 1}, []int{0})}
}

func maxPoolSamples() []Sample {
	pool := func(x []int, window []int64, attrs ...Attr) Sample {
		return sample(f32s(x), append(attrs, Attr{"window", window})...)
	}
	return []Sample{
		pool([]int{1, 1, 6}, ints(2)),
		pool([]int{2, 3, 5, 7}, ints(2, 3)),
		pool([]int{1, 2, 7, 6}, ints(3, 3), Attr{"strides", ints(2, 1)}, Attr{"padding", ints(1, 1)}),
		pool([]int{1, 1, 9}, ints(3), Attr{"strides", ints(1)}, Attr{"dilation", ints(2)}),
		pool([]int{1, 2, 4, 4, 4}, ints(2, 2, 2)),
		pool([]int{0, 2, 4}, ints(2)),
	}
}

func avgPoolSamples() []Sample {
	out := maxPoolSamples()
	for _, s := range maxPoolSamples()[:3] {
		s.Attrs = s.Attrs.With("count_include_pad", false)
		out = append(out, s)
	}
	return out
}

func attentionSamples() []Sample {
	attend := func(attrs []Attr, mask *Type, q, k, v []int) Sample {
		args := f32s(q, k, v)
		if mask != nil {
			args = append(args, *mask)
		}
		return sample(args, attrs...)
	}
	added, causal := TConst(tensor.F32, 3, 5), []Attr{{"causal", true}}
	perHead := TConst(tensor.F32, 2, 1, 3, 5)
	return []Sample{
		attend(nil, nil, []int{1, 1}, []int{1, 1}, []int{1, 1}),
		attend(nil, nil, []int{3, 4}, []int{5, 4}, []int{5, 2}),
		attend(causal, nil, []int{2, 2, 5, 4}, []int{2, 2, 5, 4}, []int{2, 2, 5, 3}),
		attend(nil, &added, []int{2, 3, 4}, []int{2, 5, 4}, []int{2, 5, 4}),
		attend(causal, &perHead, []int{2, 3, 3, 4}, []int{2, 3, 5, 4}, []int{2, 3, 5, 4}),
		attend([]Attr{{"scale", 0.25}}, nil, []int{7, 3}, []int{2, 3}, []int{2, 3}),
	}
}

func crossEntropySamples() []Sample {
	loss := func(n, c int, attrs ...Attr) Sample {
		return sample([]Type{TConst(tensor.F32, n, c), TConst(tensor.I64, n)}, attrs...).within(0, float64(c))
	}
	return []Sample{
		loss(1, 1),
		loss(5, 7),
		loss(3, 4, Attr{"reduction", "sum"}),
		loss(4, 3, Attr{"reduction", "none"}),
		loss(11, 4, Attr{"ignore_index", int64(2)}),
		loss(11, 4, Attr{"ignore_index", int64(1)}, Attr{"reduction", "none"}),
	}
}
