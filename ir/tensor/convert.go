package tensor

import "math"

// The scalar conversions. Those to a narrower float round to nearest, ties to
// even, once; they keep the sign of zero, give subnormals, and turn a NaN into a
// quiet NaN. Overflow gives infinity; in F8E4M3, which has none, it gives NaN
// (magnitudes above 464; 464 itself is a tie and rounds to 448).

// F16ToF32 is the exact value of the IEEE binary16 pattern v.
func F16ToF32(v uint16) float32 {
	exp, man := uint32(v>>10)&0x1F, uint32(v)&0x3FF
	sign := uint32(v&0x8000) << 16
	switch exp {
	case 0:
		return math.Float32frombits(sign | math.Float32bits(float32(man)*0x1p-24))
	case 0x1F:
		return math.Float32frombits(sign | 0x7F800000 | man<<13)
	}
	return math.Float32frombits(sign | (exp+127-15)<<23 | man<<13)
}

// BF16ToF32 is the exact value of the bfloat16 pattern v.
func BF16ToF32(v uint16) float32 { return math.Float32frombits(uint32(v) << 16) }

// F8E4M3ToF32 is the exact value of the F8E4M3 pattern v.
func F8E4M3ToF32(v uint8) float32 { return tableF8E4M3[v] }

// F8E5M2ToF32 is the exact value of the F8E5M2 pattern v.
func F8E5M2ToF32(v uint8) float32 { return tableF8E5M2[v] }

// F32ToF16 rounds to the nearest IEEE binary16 value.
func F32ToF16(x float32) uint16 { return formatF16.encode(float64(x)) }

// F32ToBF16 rounds to the nearest bfloat16 value.
func F32ToBF16(x float32) uint16 {
	b := math.Float32bits(x)
	if b&0x7FFFFFFF > 0x7F800000 {
		return uint16(b>>16) | 0x40
	}
	return uint16((b + 0x7FFF + b>>16&1) >> 16)
}

// F32ToF8E4M3 rounds to the nearest F8E4M3 value.
func F32ToF8E4M3(x float32) uint8 { return uint8(formatF8E4M3.encode(float64(x))) }

// F32ToF8E5M2 rounds to the nearest F8E5M2 value.
func F32ToF8E5M2(x float32) uint8 { return uint8(formatF8E5M2.encode(float64(x))) }

// F64ToF16 rounds to the nearest IEEE binary16 value.
func F64ToF16(x float64) uint16 { return formatF16.encode(x) }

// F64ToBF16 rounds to the nearest bfloat16 value.
func F64ToBF16(x float64) uint16 { return formatBF16.encode(x) }

// F64ToF8E4M3 rounds to the nearest F8E4M3 value.
func F64ToF8E4M3(x float64) uint8 { return uint8(formatF8E4M3.encode(x)) }

// F64ToF8E5M2 rounds to the nearest F8E5M2 value.
func F64ToF8E5M2(x float64) uint8 { return uint8(formatF8E5M2.encode(x)) }

var (
	tableF8E4M3 = decodeTable(&formatF8E4M3)
	tableF8E5M2 = decodeTable(&formatF8E5M2)
)

func decodeTable(f *miniFloat) (table [256]float32) {
	for v := range table {
		table[v] = float32(f.decode(uint16(v)))
	}
	return table
}

// RoundFloat is x rounded to the nearest value of dt by the rules of Cast: what
// a store to and a load from a dt element does to it. For an integer type or
// bool it is the stored integer.
func RoundFloat(dt DType, x float64) float64 {
	switch dt {
	case F64:
		return x
	case F32:
		return float64(float32(x))
	}
	return Floats(FloatScalar(dt, x))[0]
}

// Cast converts every element to dt and returns a new row-major tensor, or t
// itself if it has that type.
//
//   - float to float: round to nearest, ties to even, once; overflow as above.
//   - float to integer: truncate towards zero; beyond the range's ends, its end;
//     NaN gives 0.
//   - integer to float: round to nearest, ties to even, once.
//   - integer to integer: modulo 2^n (two's complement).
//   - anything to bool: x != 0, so NaN gives true; bool to anything: 0 or 1.
func Cast(t *Tensor, dt DType) *Tensor {
	if t.dtype == dt {
		return t
	}
	out := New(dt, t.shape...)
	src, dst := t.rowMajorBytes(), out.data
	from, to := &codecs[t.dtype], &codecs[dt]
	switch {
	case t.dtype.IsFloat():
		castBlocks(src, dst, t.dtype, dt, from.floats, to.putFloats)
	case t.dtype == U64 && dt.IsFloat():
		castBlocks(src, dst, t.dtype, dt, loadInts[uint64], to.putUints)
	default:
		castBlocks(src, dst, t.dtype, dt, from.ints, to.putInts)
	}
	return out
}

// castBlocks converts through an intermediate block that stays in the cache.
func castBlocks[V any](src, dst []byte, from, to DType, load func([]V, []byte), store func([]byte, []V)) {
	const block = 2048
	var mid [block]V
	n := len(dst) / to.Size()
	for lo := 0; lo < n; lo += block {
		hi := min(lo+block, n)
		load(mid[:hi-lo], src[lo*from.Size():hi*from.Size()])
		store(dst[lo*to.Size():hi*to.Size()], mid[:hi-lo])
	}
}
