package ir

import (
	"math"
	"slices"

	"jitc/ir/internal/refeval"
	"jitc/ir/tensor"
)

// evalDotGeneral lays both operands out as [batch, free, contracted] and sums in
// float64, or in int64 for integers.
func evalDotGeneral(c *Call) (*tensor.Tensor, error) {
	d, err := dotAxesOf(c.V)
	if err != nil {
		return nil, err
	}
	x, err := arranged(c.Args[0], d.lhsBatch, d.lhsFree, d.lhsContract)
	if err != nil {
		return nil, err
	}
	y, err := arranged(c.Args[1], d.rhsBatch, d.rhsFree, d.rhsContract)
	if err != nil {
		return nil, err
	}
	sizes := func(t *tensor.Tensor, axes []int64) int { return elements(pick(t.Shape(), axes)) }
	batch, m := sizes(c.Args[0], d.lhsBatch), sizes(c.Args[0], d.lhsFree)
	n, k := sizes(c.Args[1], d.rhsFree), sizes(c.Args[0], d.lhsContract)
	switch dt := x.DType(); {
	case dt == tensor.F64:
		out := make([]float64, batch*m*n)
		refeval.MatMul(out, tensor.Data[float64](x), tensor.Data[float64](y), batch, m, n, k)
		return tensor.FromFloats(c.DType, c.Shape, out), nil
	case dt.IsFloat(): // every narrower float is exact in f32
		out := make([]float64, batch*m*n)
		x, y = tensor.Cast(x, tensor.F32), tensor.Cast(y, tensor.F32)
		refeval.MatMul(out, tensor.Data[float32](x), tensor.Data[float32](y), batch, m, n, k)
		return tensor.FromFloats(c.DType, c.Shape, out), nil
	}
	out := make([]int64, batch*m*n)
	refeval.MatMul(out, tensor.Ints(x), tensor.Ints(y), batch, m, n, k)
	return tensor.FromInts(c.DType, c.Shape, out), nil
}

// arranged is t with its axes in the order of the lists, contiguous.
func arranged(t *tensor.Tensor, lists ...[]int64) (*tensor.Tensor, error) {
	perm := []int{}
	for _, axis := range slices.Concat(lists...) {
		perm = append(perm, int(axis))
	}
	p, err := t.Permute(perm...)
	if err != nil {
		return nil, err
	}
	return p.Contiguous(), nil
}

// asInts converts attribute integers, which are known to be in range.
func asInts(xs []int64) []int {
	out := make([]int, len(xs))
	for i, x := range xs {
		out[i] = int(x)
	}
	return out
}

func evalConvolution(c *Call) (*tensor.Tensor, error) {
	x, w := c.Args[0], c.Args[1]
	groups := int(c.V.Attrs.Int("groups", 1))
	kernel, err := kernelOf(c.V)
	if err != nil {
		return nil, err
	}
	s, err := slideOf(c.V, len(kernel), kernel)
	if err != nil {
		return nil, err
	}
	g := refeval.Convolution{
		N: x.Shape()[0], Groups: groups, C: w.Shape()[1], O: w.Shape()[0] / groups,
		In: x.Shape()[2:], Kernel: w.Shape()[2:], Out: c.Shape[2:],
		Stride: asInts(s.strides), Dilation: asInts(s.dilation), PadLow: asInts(s.low),
	}
	if c.DType.IsFloat() {
		out := make([]float64, elements(c.Shape))
		refeval.Convolve(out, tensor.Floats(x), tensor.Floats(w), g)
		return tensor.FromFloats(c.DType, c.Shape, out), nil
	}
	out := make([]int64, elements(c.Shape))
	refeval.Convolve(out, tensor.Ints(x), tensor.Ints(w), g)
	return tensor.FromInts(c.DType, c.Shape, out), nil
}

func evalReduceWindow(c *Call) (*tensor.Tensor, error) {
	x, op := c.Args[0], c.V.Attrs.Str("op", "")
	s, err := slideOf(c.V, x.Rank(), nil)
	if err != nil {
		return nil, err
	}
	axes := make([]refeval.WindowAxis, x.Rank())
	for i := range axes {
		axes[i] = refeval.WindowAxis{In: x.Shape()[i], Out: c.Shape[i], Window: int(s.window[i]),
			Stride: int(s.strides[i]), Dilation: int(s.dilation[i]), PadLow: int(s.low[i])}
	}
	if c.DType.IsFloat() {
		identity, fold := floatFold(op, c.DType)
		return tensor.FromFloats(c.DType, c.Shape, refeval.Window(tensor.Floats(x), axes, identity, fold)), nil
	}
	identity, fold := intFold(op, c.DType)
	return tensor.FromInts(c.DType, c.Shape, refeval.Window(tensor.Ints(x), axes, identity, fold)), nil
}

// floatFold is the identity and the step of a fold of floats held as float64.
func floatFold(op string, dt tensor.DType) (float64, func(a, b float64) float64) {
	lowest := math.Inf(-1)
	if dt == tensor.F8E4M3 {
		lowest = -448 // it has no infinities
	}
	switch op {
	case "max":
		return lowest, func(a, b float64) float64 { return max(a, b) }
	case "min":
		return -lowest, func(a, b float64) float64 { return min(a, b) }
	}
	return 0, func(a, b float64) float64 { return a + b }
}

// intFold is floatFold for integers held as int64, u64 by its bits.
func intFold(op string, dt tensor.DType) (int64, func(a, b int64) int64) {
	bits := dt.Size() * 8
	lowest, highest := int64(-1)<<(bits-1), int64(math.MaxInt64)>>(64-bits)
	if dt.IsUnsigned() {
		lowest, highest = 0, int64(uint64(math.MaxUint64)>>(64-bits))
	}
	switch {
	case op == "max" && dt == tensor.U64:
		return lowest, func(a, b int64) int64 { return int64(max(uint64(a), uint64(b))) }
	case op == "min" && dt == tensor.U64:
		return highest, func(a, b int64) int64 { return int64(min(uint64(a), uint64(b))) }
	case op == "max":
		return lowest, func(a, b int64) int64 { return max(a, b) }
	case op == "min":
		return highest, func(a, b int64) int64 { return min(a, b) }
	}
	return 0, func(a, b int64) int64 { return a + b }
}
