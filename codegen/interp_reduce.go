package codegen

import (
	"math"

	"jitc/ir/tensor"
)

// foldFn folds the first n lanes of a block pairwise into lane 0.
type foldFn func(words []uint64, n int)

func foldLanes[T laneType](loop func(d, a, b []T)) foldFn {
	return func(words []uint64, n int) {
		x := lanesOf[T](words)
		for n > 1 {
			half := (n + 1) / 2
			loop(x[:n-half], x[:n-half], x[half:n])
			n = half
		}
	}
}

func foldsOfNumber[T number]() map[Code]foldFn {
	return map[Code]foldFn{
		Add: foldLanes(addLanes[T]), Mul: foldLanes(mulLanes[T]),
		Min: foldLanes(minLanes[T]), Max: foldLanes(maxLanes[T]),
	}
}

func foldsOfInt[T integer]() map[Code]foldFn {
	m := foldsOfNumber[T]()
	m[And], m[Or] = foldLanes(andLanes[T]), foldLanes(orLanes[T])
	return m
}

var folds = map[tensor.DType]map[Code]foldFn{
	tensor.F32: foldsOfNumber[float32](), tensor.F64: foldsOfNumber[float64](),
	tensor.I32: foldsOfInt[int32](), tensor.I64: foldsOfInt[int64](),
	tensor.U32: foldsOfInt[uint32](), tensor.U64: foldsOfInt[uint64](),
	tensor.Bool: {And: foldLanes(andBools), Or: foldLanes(orBools)},
}

// Neutral is the bits of the value that op folds into nothing, in type t: what a
// reduction over no points gives.
func Neutral(op Code, t tensor.DType) uint64 {
	switch op {
	case Mul:
		return oneBits(t)
	case And:
		if t == tensor.Bool {
			return 1
		}
		return IntBits(t, -1)
	case Max:
		return lowestBits(t)
	case Min:
		return highestBits(t)
	}
	return 0
}

func oneBits(t tensor.DType) uint64 {
	switch t {
	case tensor.F32:
		return uint64(math.Float32bits(1))
	case tensor.F64:
		return math.Float64bits(1)
	}
	return 1
}

func lowestBits(t tensor.DType) uint64 {
	switch t {
	case tensor.F32:
		return uint64(math.Float32bits(float32(math.Inf(-1))))
	case tensor.F64:
		return math.Float64bits(math.Inf(-1))
	}
	if t.IsUnsigned() {
		return 0
	}
	return 1 << (8*t.Size() - 1)
}

func highestBits(t tensor.DType) uint64 {
	switch t {
	case tensor.F32:
		return uint64(math.Float32bits(float32(math.Inf(1))))
	case tensor.F64:
		return math.Float64bits(math.Inf(1))
	}
	if t.IsUnsigned() {
		return IntBits(t, -1)
	}
	return 1<<(8*t.Size()-1) - 1
}

// fillLanes sets every lane of a block to the value of these bits.
func fillLanes(words []uint64, t tensor.DType, bits uint64) {
	switch t.Size() {
	case 1:
		fill(lanesOf[bool](words)[:laneBlock], bits != 0)
	case 4:
		fill(lanesOf[uint32](words)[:laneBlock], uint32(bits))
	default:
		fill(words[:laneBlock], bits)
	}
}

func fill[T any](s []T, x T) {
	for i := range s {
		s[i] = x
	}
}

// splatLanes copies lane 0 to every lane.
func splatLanes(words []uint64, t tensor.DType) {
	switch t.Size() {
	case 1:
		fill(lanesOf[bool](words)[:laneBlock], lanesOf[bool](words)[0])
	case 4:
		fill(lanesOf[uint32](words)[:laneBlock], lanesOf[uint32](words)[0])
	default:
		fill(words[:laneBlock], words[0])
	}
}
