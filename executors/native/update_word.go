package native

import (
	"encoding/binary"
	"math"
	"unsafe"

	"jitc/ir/tensor"
)

// word is memory that is moved as it is, number what is calculated with.
type (
	word interface {
		~uint8 | ~uint16 | ~uint32 | ~uint64
	}
	number interface {
		~uint8 | ~uint16 | ~uint32 | ~uint64 | ~int8 | ~int16 | ~int32 | ~int64 | ~float32 | ~float64
	}
)

// words are the whole elements of memory, which is aligned to them: a buffer of
// elements as small, or scratch.
func words[T number](mem []byte) []T {
	n := len(mem) / int(unsafe.Sizeof(*new(T)))
	if n == 0 {
		return nil
	}
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(mem))), n)
}

// aligned reports whether memory is.
func aligned[T number](mem []byte) bool {
	return uintptr(unsafe.Pointer(unsafe.SliceData(mem)))%unsafe.Sizeof(*new(T)) == 0
}

// clamped is an integer scalar, at least 0 and at most hi.
func clamped(dt tensor.DType, mem []byte, hi int) int {
	var one [1]int64
	places(dt, mem, one[:], hi)
	return int(one[0])
}

// places fills dst with integers, clamped to [0, hi].
func places(dt tensor.DType, mem []byte, dst []int64, hi int) {
	switch dt {
	case tensor.I64:
		clampInto(dst, words[int64](mem), int64(hi))
	case tensor.I32:
		clampInto(dst, words[int32](mem), int64(hi))
	case tensor.I16:
		clampInto(dst, words[int16](mem), int64(hi))
	case tensor.I8:
		clampInto(dst, words[int8](mem), int64(hi))
	case tensor.U8:
		clampInto(dst, words[uint8](mem), int64(hi))
	case tensor.U16:
		clampInto(dst, words[uint16](mem), int64(hi))
	case tensor.U32:
		clampInto(dst, words[uint32](mem), int64(hi))
	case tensor.U64:
		for i := range dst {
			dst[i] = int64(min(binary.NativeEndian.Uint64(mem[8*i:]), uint64(hi)))
		}
	default:
		panic("BUG: native: indices of " + dt.String())
	}
}

func clampInto[T ~int8 | ~int16 | ~int32 | ~int64 | ~uint8 | ~uint16 | ~uint32](dst []int64, src []T, hi int64) {
	for i, x := range src[:len(dst)] {
		dst[i] = min(max(int64(x), 0), hi)
	}
}

// widen and round convert rows of floats narrower than f32.
type (
	widen func(dst []float32, src []byte)
	round func(dst []byte, src []float32)
)

// narrowFloats have a row per type of floats narrower than f32.
var narrowFloats = map[tensor.DType]struct {
	widen widen
	round round
}{
	tensor.F16:    {widened(tensor.F16ToF32), roundF16},
	tensor.BF16:   {widenBF16, roundBF16},
	tensor.F8E4M3: {widened(tensor.F8E4M3ToF32), rounded(tensor.F32ToF8E4M3)},
	tensor.F8E5M2: {widened(tensor.F8E5M2ToF32), rounded(tensor.F32ToF8E5M2)},
}

func widened[W word](f func(W) float32) widen {
	return func(dst []float32, src []byte) {
		for i, x := range words[W](src)[:len(dst)] {
			dst[i] = f(x)
		}
	}
}

func rounded[W word](f func(float32) W) round {
	return func(dst []byte, src []float32) {
		to := words[W](dst)[:len(src)]
		for i, x := range src {
			to[i] = f(x)
		}
	}
}

func widenBF16(dst []float32, src []byte) {
	for i, x := range words[uint16](src)[:len(dst)] {
		dst[i] = math.Float32frombits(uint32(x) << 16)
	}
}

// roundBF16 rounds to nearest even by what it adds to the half that goes.
func roundBF16(dst []byte, src []float32) {
	to := words[uint16](dst)[:len(src)]
	for i, x := range src {
		b := math.Float32bits(x)
		b += 0x7FFF + b>>16&1
		if x != x {
			b = 0x7FC00000
		}
		to[i] = uint16(b >> 16)
	}
}

// roundF16 rounds to nearest even: normal numbers as roundBF16 does, with another
// bias of the exponent; subnormal ones by an addition that puts their last place in
// that of the sum.
func roundF16(dst []byte, src []float32) {
	to := words[uint16](dst)[:len(src)]
	for i, x := range src {
		b := math.Float32bits(x)
		a := b &^ (1 << 31)
		h := (a + 0xFFF + a>>13&1 - (127-15)<<23) >> 13
		switch {
		case a > 0x7F800000:
			h = 0x7E00
		case a >= 0x477FF000: // rounds to 65520 and more
			h = 0x7C00
		case a < 0x38800000: // less than the least normal number
			h = math.Float32bits(math.Float32frombits(a)+0.5) - 0x3F000000
		}
		to[i] = uint16(h | b>>16&0x8000)
	}
}
