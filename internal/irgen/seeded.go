package irgen

import (
	"math/rand/v2"

	"jitc/ir"
	"jitc/ir/dim"
	"jitc/ir/tensor"
)

// wideTypes are element types of which nothing is kept wider within a region.
var wideTypes = []tensor.DType{tensor.F32, tensor.F32, tensor.F64, tensor.I64, tensor.Bool}

// productOps make functions of products with what fuses before and behind them.
var productOps = map[ir.Op]bool{ir.OpDotGeneral: true, ir.OpLinear: true, ir.OpTranspose: true, ir.OpReshape: true, ir.OpSlice: true,
	ir.OpAdd: true, ir.OpMul: true, ir.OpMax: true, ir.OpTanh: true, ir.OpCast: true, ir.OpRelu: true, ir.OpReduceSum: true,
	ir.OpReduceMax: true, ir.OpBroadcast: true, ir.OpSoftmax: true, ir.OpPad: true}

// Seeded makes the function of a seed, and the generator to go on with; sorts of
// functions take turns.
func Seeded(seed uint64) (*rand.Rand, *ir.Func) {
	rng := rand.New(rand.NewPCG(11, seed))
	o := Options{Surface: seed%2 == 0, Static: seed%5 == 0, Values: 2 + rng.IntN(24), MaxElements: 600}
	if seed%3 == 0 {
		o.Long, o.MaxElements, o.Values = true, 1<<13, 2+rng.IntN(10)
	}
	switch seed % 4 {
	case 1:
		o.DTypes = wideTypes
	case 2:
		o.DTypes = []tensor.DType{tensor.F32}
	}
	if seed%7 == 0 {
		o.Keep = func(op ir.Op) bool { return productOps[op] }
	}
	return rng, Func(rng, o)
}

// SizesAt draws sizes; turn 0 has them all least, so that many values are empty.
func SizesAt(rng *rand.Rand, f *ir.Func, turn int) map[string]int64 {
	sizes := Sizes(rng, f)
	for _, s := range f.Facts.Syms() { // in order: equal seeds give equal sizes
		lo, hi := f.Facts.Range(dim.Sym(s))
		switch {
		case turn == 0:
			sizes[s] = lo
		case hi == LongS:
			sizes[s] = []int64{1, 8, 15, 31, 64, 65, 100, 129, 200, hi}[rng.IntN(10)]
		}
	}
	return sizes
}

// Strided lays a tensor out so that its elements are not contiguous.
func Strided(rng *rand.Rand, t *tensor.Tensor) *tensor.Tensor {
	perm := rng.Perm(t.Rank())
	shape, strides, step := t.Shape(), make([]int, t.Rank()), 1+rng.IntN(2)
	for _, a := range perm {
		strides[a] = step
		step *= max(shape[a], 1) + rng.IntN(2)
	}
	out, err := tensor.Strided(t.DType(), shape, strides)
	if err != nil {
		panic("BUG: irgen: " + err.Error())
	}
	if err := out.CopyFrom(t); err != nil {
		panic("BUG: irgen: " + err.Error())
	}
	return out
}
