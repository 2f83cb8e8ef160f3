package irgen

import (
	"math"
	"math/rand/v2"

	"jitc/ir"
	"jitc/ir/dim"
	"jitc/ir/tensor"
)

// Sizes draws a value for every symbol of f from its range, at most 7 above the
// lower bound, but for those that values of f define. Equalities and divisibilities are not drawn for: Func states none.
func Sizes(rng *rand.Rand, f *ir.Func) map[string]int64 {
	sizes := make(map[string]int64)
	for _, s := range f.Facts.Syms() {
		lo, hi := f.Facts.Range(dim.Sym(s))
		sizes[s] = lo + rng.Int64N(min(hi-lo, 7)+1)
	}
	for _, v := range ir.Definers(f) {
		for _, s := range ir.Defines(v) {
			delete(sizes, s)
		}
	}
	return sizes
}

// Args makes a tensor for every parameter of f. One element in eight is special:
// NaN, an infinity, a zero of either sign, a subnormal, an end of the range. It
// panics if sizes leaves a symbol without a value.
func Args(rng *rand.Rand, f *ir.Func, sizes map[string]int64) []*tensor.Tensor {
	args := make([]*tensor.Tensor, len(f.Params))
	for i, p := range f.Params {
		shape, err := ir.EvalShape(p.Type.Shape, sizes)
		if err != nil {
			panic("BUG: irgen: " + err.Error())
		}
		args[i] = Tensor(rng, p.Type.DType, shape)
	}
	return args
}

// Tensor makes a tensor whose elements are as Args says.
func Tensor(rng *rand.Rand, dt tensor.DType, shape []int) *tensor.Tensor {
	n, err := tensor.CheckedElements(shape)
	if err != nil {
		panic("BUG: irgen: " + err.Error())
	}
	if dt.IsFloat() {
		xs := make([]float64, n)
		for i := range xs {
			xs[i] = floatElement(rng)
		}
		return tensor.FromFloats(dt, shape, xs)
	}
	xs := make([]int64, n)
	for i := range xs {
		xs[i] = intElement(rng)
	}
	return tensor.FromInts(dt, shape, xs)
}

var specialFloats = []float64{math.NaN(), math.Inf(1), math.Inf(-1), 0, math.Copysign(0, -1), 1, -1,
	math.SmallestNonzeroFloat32, math.MaxFloat32, 0.5}

func floatElement(rng *rand.Rand) float64 {
	if rng.IntN(8) == 0 {
		return specialFloats[rng.IntN(len(specialFloats))]
	}
	return rng.NormFloat64() * 2
}

var specialInts = []int64{0, 1, -1, math.MaxInt64, math.MinInt64, 127, -128, 31, 64}

func intElement(rng *rand.Rand) int64 {
	if rng.IntN(8) == 0 {
		return specialInts[rng.IntN(len(specialInts))]
	}
	return rng.Int64N(17) - 8
}
