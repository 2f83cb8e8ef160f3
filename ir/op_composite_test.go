package ir

import (
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"jitc/ir/tensor"
)

func pointwise(f func(xs ...float64) float64) definition {
	return func(c call, index []int) float64 {
		var xs []float64
		for _, a := range c.args {
			xs = append(xs, a.get(index...))
		}
		return f(xs...)
	}
}

func TestPointwiseCompositeDefinitions(t *testing.T) {
	requireDefinitions(t, map[Op]definition{
		OpClamp:      pointwise(func(x ...float64) float64 { return math.Min(math.Max(x[0], x[1]), x[2]) }),
		OpSquare:     pointwise(func(x ...float64) float64 { return x[0] * x[0] }),
		OpReciprocal: pointwise(func(x ...float64) float64 { return 1 / x[0] }),
		OpRelu:       pointwise(func(x ...float64) float64 { return math.Max(x[0], 0) }),
		OpSilu:       pointwise(func(x ...float64) float64 { return x[0] / (1 + math.Exp(-x[0])) }),
		OpGelu: func(c call, index []int) float64 {
			x := c.args[0].get(index...)
			if c.v.Attrs.Str("approximate", "none") == "tanh" {
				return 0.5 * x * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x)))
			}
			return x * 0.5 * math.Erfc(-x/math.Sqrt2)
		},
	}, tensor.Tolerance{Abs: 1e-13, Rel: 1e-13})
}

func defineExtreme(sign float64) definition {
	return func(c call, index []int) float64 {
		best := 0
		xs := line(c.args[0], c.int("axis", 0), index)
		for i, x := range xs {
			if sign*x > sign*xs[best] {
				best = i
			}
		}
		return float64(best)
	}
}

// statisticLine is the elements folded into the result at index.
func statisticLine(c call, index []int) []float64 {
	return over(c.args[0], c.ints("axes", 0, 0), index)
}

func TestStatisticDefinitions(t *testing.T) {
	requireDefinitions(t, map[Op]definition{
		OpArgmax: defineExtreme(1), OpArgmin: defineExtreme(-1),
		OpMean: func(c call, index []int) float64 { return mean(statisticLine(c, index)) },
		OpVariance: func(c call, index []int) float64 {
			xs, sum := statisticLine(c, index), 0.0
			m := mean(xs)
			for _, x := range xs {
				sum += (x - m) * (x - m)
			}
			return sum / math.Max(float64(len(xs)-c.int("correction", 0)), 0)
		},
	}, tensor.Tolerance{Abs: 1e-13, Rel: 1e-13, NaNEqual: true})
}

func without(index []int, axis int) []int { return slices.Delete(slices.Clone(index), axis, axis+1) }

// normAxesOf is the axes attribute, the last axis where it is absent.
func normAxesOf(c call) []int { return c.ints("axes", 1, len(c.args[0].shape)-1) }

// split separates an index into the positions on axes and the others.
func split(index, axes []int) (on, off []int) {
	for i, x := range index {
		if slices.Contains(axes, i) {
			on = append(on, x)
		} else {
			off = append(off, x)
		}
	}
	return on, off
}

func TestNormDefinitions(t *testing.T) {
	requireDefinitions(t, map[Op]definition{
		OpSoftmax: func(c call, index []int) float64 {
			axis := c.int("axis", 0)
			return softmaxOf(line(c.args[0], axis, without(index, axis)))[index[axis]]
		},
		OpLogSoftmax: func(c call, index []int) float64 {
			axis := c.int("axis", 0)
			return math.Log(softmaxOf(line(c.args[0], axis, without(index, axis)))[index[axis]])
		},
		OpLayerNorm: func(c call, index []int) float64 {
			on, off := split(index, normAxesOf(c))
			xs, variance := over(c.args[0], normAxesOf(c), off), 0.0
			m := mean(xs)
			for _, x := range xs {
				variance += (x - m) * (x - m) / float64(len(xs))
			}
			y := (c.args[0].get(index...) - m) / math.Sqrt(variance+c.v.Attrs.Float("eps", 1e-5))
			if len(c.args) > 1 {
				y *= c.args[1].get(on...)
			}
			if len(c.args) > 2 {
				y += c.args[2].get(on...)
			}
			return y
		},
		OpRMSNorm: func(c call, index []int) float64 {
			on, off := split(index, normAxesOf(c))
			xs, squares := over(c.args[0], normAxesOf(c), off), 0.0
			for _, x := range xs {
				squares += x * x / float64(len(xs))
			}
			y := c.args[0].get(index...) / math.Sqrt(squares+c.v.Attrs.Float("eps", 1e-6))
			if len(c.args) > 1 {
				y *= c.args[1].get(on...)
			}
			return y
		},
		OpBatchNorm: func(c call, index []int) float64 {
			at := func(arg int) float64 { return c.args[arg].get(index[1]) }
			return (c.args[0].get(index...)-at(1))/math.Sqrt(at(2)+1e-5)*at(3) + at(4)
		},
	}, tensor.Tolerance{Abs: 1e-12, Rel: 1e-12})
}

func defineAttention(c call, index []int) float64 {
	q, k, v := c.args[0], c.args[1], c.args[2]
	r := len(q.shape)
	batch, i, d := index[:r-2], index[r-2], index[r-1]
	at := func(x nd, tail ...int) float64 { return x.get(slices.Concat(batch, tail)...) }
	scale := c.v.Attrs.Float("scale", 1/math.Sqrt(float64(q.shape[r-1])))
	var scores []float64
	for j := range k.shape[r-2] {
		s := 0.0
		for e := range q.shape[r-1] {
			s += at(q, i, e) * at(k, j, e)
		}
		s *= scale
		if len(c.args) == 4 {
			mask := c.args[3]
			where := []int{i, j}
			if len(mask.shape) > 2 {
				where = slices.Concat(batch, where)
				for a := range where {
					where[a] = min(where[a], mask.shape[a]-1) // sizes of 1 repeat
				}
			}
			s += mask.get(where...)
		}
		if c.v.Attrs.Bool("causal", false) && j > i {
			s = math.Inf(-1)
		}
		scores = append(scores, s)
	}
	y := 0.0
	for j, p := range softmaxOf(scores) {
		y += p * at(v, j, d)
	}
	return y
}

func TestNetworkDefinitions(t *testing.T) {
	requireDefinitions(t, map[Op]definition{
		OpMatmul: func(c call, index []int) float64 {
			a, b, r := c.args[0], c.args[1], len(index)
			sum, lead := 0.0, index[:len(b.shape)-2]
			for k := range a.shape[r-1] {
				sum += a.get(slices.Concat(index[:r-1], []int{k})...) * b.get(slices.Concat(lead, []int{k, index[r-1]})...)
			}
			return sum
		},
		OpLinear: func(c call, index []int) float64 {
			x, w, last := c.args[0], c.args[1], len(index)-1
			sum, o := 0.0, index[last]
			for i := range x.shape[last] {
				at := []int{i, o}
				if c.v.Attrs.Bool("transposed", true) {
					at = []int{o, i}
				}
				sum += x.get(slices.Concat(index[:last], []int{i})...) * w.get(at...)
			}
			if len(c.args) == 3 {
				sum += c.args[2].get(o)
			}
			return sum
		},
		OpEmbedding: func(c call, index []int) float64 {
			last := len(index) - 1
			id := clampInt(int(c.args[1].get(index[:last]...)), c.args[0].shape[0]-1)
			return c.args[0].get(id, index[last])
		},
		OpAttention:    defineAttention,
		OpCrossEntropy: defineCrossEntropy,
	}, tensor.Tolerance{Abs: 1e-12, Rel: 1e-12})
}

func defineCrossEntropy(c call, index []int) float64 {
	logits, labels := c.args[0], c.args[1]
	sum, count := 0.0, 0.0
	for n := range logits.shape[0] {
		loss, label := 0.0, int(labels.get(n))
		if !c.v.Attrs.Has("ignore_index") || label != c.int("ignore_index", 0) {
			loss = -math.Log(softmaxOf(line(logits, 1, []int{n}))[label])
			count++
		}
		if len(index) == 1 && index[0] == n {
			return loss
		}
		sum += loss
	}
	if c.v.Attrs.Str("reduction", "mean") == "mean" {
		return sum / count
	}
	return sum
}

// pooled is the window of a pool's result at index.
func pooled(c call, index []int) []float64 {
	n := len(index) - 2
	window := c.ints("window", n, 0)
	strides := window
	if c.v.Attrs.Has("strides") {
		strides = c.ints("strides", n, 0)
	}
	pre := func(x int, xs []int) []int { return append([]int{x, x}, xs...) }
	return c.windowAt(index, pre(1, window), pre(1, strides), pre(0, c.ints("padding", n, 0)), pre(1, c.ints("dilation", n, 1)))
}

func TestPoolDefinitions(t *testing.T) {
	requireDefinitions(t, map[Op]definition{
		OpMaxPool: func(c call, index []int) float64 { return slices.Max(pooled(c, index)) },
		OpAvgPool: func(c call, index []int) float64 {
			xs := pooled(c, index)
			if c.v.Attrs.Bool("count_include_pad", true) {
				for n := elements(c.ints("window", 0, 0)); len(xs) < n; {
					xs = append(xs, 0)
				}
			}
			return mean(xs)
		},
	}, tensor.Tolerance{Abs: 1e-13, Rel: 1e-13})
}

func TestExtremesOfTiesAndNaN(t *testing.T) {
	axis := NewAttrs(Attr{"axis", int64(1)})
	x := tensor.Of([]int{4, 3},
		float32(5), 5, 1,
		2, float32(math.NaN()), float32(math.NaN()),
		float32(math.Inf(-1)), float32(math.Inf(-1)), float32(math.Inf(-1)),
		float32(nzro), 0, 0)
	requireSame(t, evalOp(t, OpArgmax, axis, x), tensor.Of([]int{4}, int64(0), 1, 0, 0))
	requireSame(t, evalOp(t, OpArgmin, axis, x), tensor.Of([]int{4}, int64(2), 1, 0, 0))
	i := tensor.Of([]int{1, 3}, uint64(1)<<63, 1<<63+1, 1)
	requireSame(t, evalOp(t, OpArgmax, axis.With("dtype", tensor.I32), i), tensor.Of([]int{1}, int32(1)))
}

func TestMasksOfAttention(t *testing.T) {
	q := tensor.Fill(tensor.F32, []int{2, 1}, 0) // equal scores: each row is a mean
	v := tensor.Of([]int{3, 1}, float32(1), 2, 6)
	k := tensor.Fill(tensor.F32, []int{3, 1}, 1)
	requireSame(t, evalOp(t, OpAttention, nil, q, k, v), tensor.Of([]int{2, 1}, float32(3), 3))
	causal := NewAttrs(Attr{"causal", true})
	requireSame(t, evalOp(t, OpAttention, causal, q, k, v), tensor.Of([]int{2, 1}, float32(1), 1.5))
	mask := tensor.Of([]int{2, 3}, true, false, true, false, false, false)
	got := evalOp(t, OpAttention, nil, q, k, v, mask)
	requireSame(t, got, tensor.Of([]int{2, 1}, float32(3.5), float32(math.NaN())))
}

func TestSoftmaxExtremes(t *testing.T) {
	axis := NewAttrs(Attr{"axis", int64(0)})
	ninf32 := float32(math.Inf(-1))
	big := tensor.Of([]int{2}, float32(1000), 1000) // exp(1000) overflows
	requireSame(t, evalOp(t, OpSoftmax, axis, big), tensor.Of([]int{2}, float32(0.5), 0.5))
	requireSame(t, evalOp(t, OpSoftmax, axis, tensor.Of([]int{2}, ninf32, 3)), tensor.Of([]int{2}, float32(0), 1))
	nan32 := float32(math.NaN())
	requireSame(t, evalOp(t, OpSoftmax, axis, tensor.Of([]int{2}, ninf32, ninf32)), tensor.Of([]int{2}, nan32, nan32))
	// In bf16 alone, a sum of 512 ones would stop at 256.
	many := tensor.New(tensor.BF16, 512)
	requireSame(t, evalOp(t, OpSoftmax, axis, many), tensor.Fill(tensor.BF16, []int{512}, 1.0/512))
}

func TestCrossEntropyOfOddLabels(t *testing.T) {
	logits := tensor.New(tensor.F32, 2, 4) // uniform: -log(1/4)
	labels := tensor.Of([]int{2}, int8(-1), 2)
	one := evalOp(t, OpCrossEntropy, NewAttrs(Attr{"reduction", "none"}), logits, labels)
	requireSame(t, one, tensor.Of([]int{2}, float32(0), float32(math.Log(4))))
	ignoring := evalOp(t, OpCrossEntropy, NewAttrs(Attr{"ignore_index", int64(-1)}), logits, labels)
	requireSame(t, ignoring, tensor.Scalar(float32(math.Log(4))))
	none := evalOp(t, OpCrossEntropy, NewAttrs(Attr{"ignore_index", int64(2)}), tensor.New(tensor.F32, 1, 4), tensor.Of([]int{1}, int8(2)))
	requireSame(t, none, tensor.Scalar(float32(math.NaN())))
	// Classes beyond the labels' own range are never hit.
	wide := evalOp(t, OpCrossEntropy, nil, tensor.New(tensor.F32, 1, 300), tensor.Of([]int{1}, int8(44)))
	require.NoError(t, tensor.Check(wide, tensor.Scalar(float32(math.Log(300))), tensor.Tolerance{ULP: 2}))
}

func TestLinearAddsTheBiasBeforeRounding(t *testing.T) {
	// 2048 + 1 rounds to 2048 in f16, and then + 1 would again.
	x := tensor.FromFloats(tensor.F16, []int{2}, []float64{2048, 1})
	w, b := tensor.Fill(tensor.F16, []int{1, 2}, 1), tensor.Fill(tensor.F16, []int{1}, 1)
	requireSame(t, evalOp(t, OpLinear, nil, x, w, b), tensor.FromFloats(tensor.F16, []int{1}, []float64{2050}))
}

func TestCompositeTypeRules(t *testing.T) {
	f32 := func(sizes ...string) Type { return typed(tensor.F32, sizes...) }
	axis := func(a int64) Attrs { return NewAttrs(Attr{"axis", a}) }
	facts := factsOf(t, "B in [1, 64]", "C == 2*B")
	window := NewAttrs(Attr{"window", ints(2, 2)})
	requireTypeRules(t, facts, []typeRuleCase{
		{OpMatmul, nil, []Type{f32("B", "3", "C"), f32("B", "2*B", "5")}, "f32[B,3,5]"},
		{OpMatmul, nil, []Type{f32("32", "128"), f32("64", "10")},
			`matmul: inner dimensions differ: expected lhs[1] == rhs[0], got f32[32,128] x f32[64,10]`},
		{OpMatmul, nil, []Type{f32("32", "128"), f32("10", "128")},
			`matmul: inner dimensions differ: expected lhs[1] == rhs[0], got f32[32,128] x f32[10,128] (transpose the second operand)`},
		{OpMatmul, nil, []Type{f32("2", "3"), f32("4", "3", "2")},
			`matmul: operands differ in rank: expected rank 2 or 2, got f32[2,3] x f32[4,3,2] (broadcast the operand of lower rank first)`},
		{OpLinear, nil, []Type{f32("B", "S", "C"), f32("10", "2*B"), f32("10")}, "f32[B,S,10]"},
		{OpLinear, nil, []Type{f32("B", "784"), f32("784", "10")},
			`linear: inner dimensions differ: expected lhs[1] == rhs[1], got f32[B,784] x f32[784,10] (set transposed=false)`},
		{OpLinear, nil, []Type{f32("B", "784"), f32("10", "784"), f32("B")},
			`linear: the bias does not fit the outputs: expected bias[0] == rhs[0], got f32[B,784] x f32[10,784] x f32[B] (declare "B == 10" in the where clause)`},
		{OpSoftmax, axis(-1), []Type{f32("B", "10")}, `softmax: axis out of range: expected 0 to 1, got -1 (axes count from 0: use 1)`},
		{OpArgmax, axis(1), []Type{f32("B", "10")}, "i64[B]"},
		{OpArgmax, axis(0), []Type{f32("0", "10")},
			`argmax: there is nothing to search: expected at least 1 element on the axis, got f32[0,10]`},
		{OpLayerNorm, nil, []Type{f32("B", "C"), f32("2*B"), f32("C")}, "f32[B,C]"},
		{OpLayerNorm, nil, []Type{f32("B", "64"), f32("32")},
			`layer_norm: the second operand does not have the shape of the normalised axes: expected [64], got f32[B,64] x f32[32]`},
		{OpLayerNorm, NewAttrs(Attr{"eps", -1.0}), []Type{f32("B", "64")},
			`layer_norm: eps out of range: expected a finite number of at least 0, got -1.0`},
		{OpLayerNorm, NewAttrs(Attr{"axes", ints(1, 0)}), []Type{f32("B", "64")},
			`layer_norm: axes are not in ascending order: expected [0, 1], got [1, 0]`},
		{OpBatchNorm, nil, []Type{f32("B", "3", "S"), f32("3"), f32("3"), f32("3"), f32("3")}, "f32[B,3,S]"},
		{OpEmbedding, nil, []Type{f32("V", "64"), typed(tensor.I32, "B", "S")}, "f32[B,S,64]"},
		{OpEmbedding, nil, []Type{f32("V", "64"), f32("B")},
			`embedding: wrong element type of the second operand: expected one of u8, u16, u32, u64, i8, i16, i32, i64, got f32[B] (cast it, for example to i64)`},
		{OpMaxPool, window, []Type{f32("B", "3", "2*S", "9")}, "f32[B,3,S,4]"},
		{OpMaxPool, window.With("padding", ints(2, 0)), []Type{f32("B", "3", "8", "8")},
			`max_pool: padding holds whole windows: expected less than 2, got [2, 0]`},
		{OpAttention, nil, []Type{f32("B", "S", "64"), f32("B", "T", "64"), f32("B", "T", "32"), typed(tensor.Bool, "S", "T")}, "f32[B,S,32]"},
		{OpAttention, nil, []Type{f32("B", "S", "64"), f32("B", "T", "64"), f32("B", "S", "64")},
			`scaled_dot_product_attention: numbers of keys and values differ: expected k[1] == v[1], got f32[B,S,64] x f32[B,T,64] x f32[B,S,64] (declare "T == S" in the where clause)`},
		{OpAttention, nil, []Type{f32("S", "64"), f32("T", "64"), f32("T", "64"), f32("T", "S")},
			`scaled_dot_product_attention: the mask does not fit: expected [S,T], got f32[T,S] (declare "T == S" in the where clause)`},
		{OpCrossEntropy, nil, []Type{f32("B", "10"), typed(tensor.I64, "B")}, "f32[]"},
		{OpCrossEntropy, nil, []Type{f32("B", "10"), typed(tensor.I64, "S")},
			`cross_entropy: numbers of logits and labels differ: expected lhs[0] == rhs[0], got f32[B,10] x i64[S] (declare "B == S" in the where clause)`},
	})
}
