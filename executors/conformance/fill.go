package conformance

import (
	"math"
	"math/rand/v2"

	"jitc/ir"
	"jitc/ir/tensor"
)

// fill says how operands are made.
type fill struct {
	lo, hi  float64 // both zero: a range around zero
	special specials
}

// specials is a choice of special values.
type specials uint8

const (
	noSpecials     specials = iota
	specialAll              // every special value
	specialTerms            // those whose sums do not depend on the order: no huge ones
	specialFactors          // those whose products do not: neither huge nor tiny ones
)

// operands makes a tensor for each parameter of a region.
func (f fill) operands(region *ir.Func, sizes map[string]int64, seed uint64) ([]*tensor.Tensor, error) {
	rng := rand.New(rand.NewPCG(seed, 0x6a697463))
	args := make([]*tensor.Tensor, len(region.Params))
	for i, p := range region.Params {
		shape, err := ir.EvalShape(p.Type.Shape, sizes)
		if err != nil {
			return nil, err
		}
		n, err := tensor.CheckedElements(shape)
		if err != nil {
			return nil, err
		}
		if p.Type.DType.IsFloat() {
			args[i] = tensor.FromFloats(p.Type.DType, shape, f.floats(rng, p.Type.DType, n))
		} else {
			args[i] = tensor.FromInts(p.Type.DType, shape, f.ints(rng, p.Type.DType, n))
		}
	}
	return args, nil
}

func (f fill) bounds() (lo, hi float64) {
	if f.lo == 0 && f.hi == 0 {
		return -4, 4
	}
	return f.lo, f.hi
}

func (f fill) floats(rng *rand.Rand, dt tensor.DType, n int) []float64 {
	lo, hi := f.bounds()
	values := floatSpecials(dt, f.special)
	xs := make([]float64, n)
	for i := range xs {
		xs[i] = lo + (hi-lo)*rng.Float64()
		if len(values) > 0 && rng.IntN(3) > 0 {
			xs[i] = values[rng.IntN(len(values))]
		}
	}
	return xs
}

func floatSpecials(dt tensor.DType, s specials) []float64 {
	few := []float64{math.NaN(), math.Inf(1), math.Inf(-1), 1, -1, 2}
	tiny, huge := extremes[dt][0], extremes[dt][1]
	switch s {
	case noSpecials:
		return nil
	case specialFactors:
		return few
	case specialTerms:
		return append(few, 0, math.Copysign(0, -1), tiny, -tiny)
	}
	return append(few, 0, math.Copysign(0, -1), tiny, -tiny, 3*tiny, huge, -huge, huge/2, 0.5, -0.5, 1e-3, 100)
}

// extremes are the least positive and the largest number of each float type.
var extremes = map[tensor.DType][2]float64{
	tensor.F64:    {math.SmallestNonzeroFloat64, math.MaxFloat64},
	tensor.F32:    {math.SmallestNonzeroFloat32, math.MaxFloat32},
	tensor.F16:    {0x1p-24, 65504},
	tensor.BF16:   {0x1p-133, 0x1.fep127},
	tensor.F8E4M3: {0x1p-9, 448},
	tensor.F8E5M2: {0x1p-16, 57344},
}

func (f fill) ints(rng *rand.Rand, dt tensor.DType, n int) []int64 {
	lo, hi := f.bounds()
	if dt.IsUnsigned() {
		lo = max(lo, 0)
	}
	xs := make([]int64, n)
	for i := range xs {
		switch {
		case dt == tensor.Bool:
			xs[i] = int64(rng.IntN(2))
		case f.special != noSpecials && rng.IntN(3) > 0:
			xs[i] = intSpecials(dt)[rng.IntN(8)]
		default:
			xs[i] = int64(math.Floor(lo + (hi-lo)*rng.Float64()))
		}
	}
	return xs
}

// intSpecials are the ends of the type's range, the numbers beside them and
// around zero, and a shift beyond the width; a type takes their low bits.
func intSpecials(dt tensor.DType) [8]int64 {
	bits := 8 * dt.Size()
	return [8]int64{0, 1, -1, math.MinInt64 >> (64 - bits), math.MaxInt64 >> (64 - bits), int64(bits), int64(bits) - 1, -2}
}
