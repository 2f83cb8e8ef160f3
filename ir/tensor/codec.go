package tensor

import "fmt"

// codec converts blocks of elements of one type to and from the two wide types
// that the reference evaluation computes in. All loops are typed: these run
// under every reference operation.
type codec struct {
	floats    func(dst []float64, src []byte) // decode; integers beyond 2^53 round
	ints      func(dst []int64, src []byte)   // decode; U64 keeps its bits, floats truncate
	putFloats func(dst []byte, src []float64) // encode by the rules of Cast
	putInts   func(dst []byte, src []int64)   // encode by the rules of Cast
	putUints  func(dst []byte, src []int64)   // the same, src read as unsigned; floats only
}

var codecs = [numDTypes]codec{
	Bool: {loadBoolFloats, loadBoolInts, storeBoolFloats, storeBoolInts, nil},
	U8:   {loadFloats[uint8], loadInts[uint8], storeSaturated[uint8], storeInts[uint8], nil},
	U16:  {loadFloats[uint16], loadInts[uint16], storeSaturated[uint16], storeInts[uint16], nil},
	U32:  {loadFloats[uint32], loadInts[uint32], storeSaturated[uint32], storeInts[uint32], nil},
	U64:  {loadFloats[uint64], loadInts[uint64], storeSaturated[uint64], storeInts[uint64], nil},
	I8:   {loadFloats[int8], loadInts[int8], storeSaturated[int8], storeInts[int8], nil},
	I16:  {loadFloats[int16], loadInts[int16], storeSaturated[int16], storeInts[int16], nil},
	I32:  {loadFloats[int32], loadInts[int32], storeSaturated[int32], storeInts[int32], nil},
	I64:  {loadFloats[int64], loadInts[int64], storeSaturated[int64], storeInts[int64], nil},

	F8E4M3: smallFloat(loadF8(&tableF8E4M3), storeMini[uint8](&formatF8E4M3)),
	F8E5M2: smallFloat(loadF8(&tableF8E5M2), storeMini[uint8](&formatF8E5M2)),
	F16:    smallFloat(loadF16, storeMini[uint16](&formatF16)),
	BF16:   smallFloat(loadBF16, storeMini[uint16](&formatBF16)),
	F32:    {loadFloats[float32], truncated(loadFloats[float32]), storeFloats[float32], storeInts[float32], storeUints[float32]},
	F64:    {loadFloats[float64], truncated(loadFloats[float64]), storeFloats[float64], storeInts[float64], storeUints[float64]},
}

// Floats is every element in row-major order, as float64. Integers beyond 2^53
// round to nearest; bool is 0 or 1.
func Floats(t *Tensor) []float64 {
	out := make([]float64, t.count)
	codecs[t.dtype].floats(out, t.rowMajorBytes())
	return out
}

// Ints is every element in row-major order, as int64. U64 elements keep their
// bits (read them back through uint64); floats convert by the rules of Cast to
// I64; bool is 0 or 1.
func Ints(t *Tensor) []int64 {
	out := make([]int64, t.count)
	codecs[t.dtype].ints(out, t.rowMajorBytes())
	return out
}

// FromFloats returns a row-major tensor of the values converted by the rules of
// Cast. It panics if their number is not the shape's.
func FromFloats(dt DType, shape []int, values []float64) *Tensor {
	t := New(dt, shape...)
	checkCount(t, len(values))
	codecs[dt].putFloats(t.data, values)
	return t
}

// FromInts returns a row-major tensor of the values converted by the rules of
// Cast; for U64 they keep their bits. It panics if their number is not the
// shape's.
func FromInts(dt DType, shape []int, values []int64) *Tensor {
	t := New(dt, shape...)
	checkCount(t, len(values))
	codecs[dt].putInts(t.data, values)
	return t
}

func checkCount(t *Tensor, n int) {
	if n != t.count {
		panic(fmt.Sprintf("BUG: tensor: %d values for %s%v", n, t.dtype, t.shape))
	}
}

// Fill returns a row-major tensor with every element v converted by the rules of
// Cast. For integers beyond 2^53 use FillInt.
func Fill(dt DType, shape []int, v float64) *Tensor { return repeat(FloatScalar(dt, v), shape) }

// FillInt is Fill for an integer; U64 keeps the bits of v.
func FillInt(dt DType, shape []int, v int64) *Tensor { return repeat(IntScalar(dt, v), shape) }

// repeat copies a scalar to every element of a new tensor.
func repeat(scalar *Tensor, shape []int) *Tensor {
	t := New(scalar.dtype, shape...)
	done := copy(t.data, scalar.data)
	for done > 0 && done < len(t.data) {
		done += copy(t.data[done:], t.data[:done])
	}
	return t
}

// Arange returns a row-major tensor that counts its elements: 0, 1, 2, ...,
// converted by the rules of Cast.
func Arange(dt DType, shape ...int) *Tensor {
	t := New(dt, shape...)
	values := make([]int64, t.count)
	for i := range values {
		values[i] = int64(i)
	}
	codecs[dt].putInts(t.data, values)
	return t
}

type integer interface {
	uint8 | uint16 | uint32 | uint64 | int8 | int16 | int32 | int64
}

type float interface{ float32 | float64 }

func loadFloats[T integer | float](dst []float64, src []byte) {
	for i, v := range elements[T](src) {
		dst[i] = float64(v)
	}
}

func loadInts[T integer](dst []int64, src []byte) {
	for i, v := range elements[T](src) {
		dst[i] = int64(v)
	}
}

func loadBoolFloats(dst []float64, src []byte) {
	for i, v := range src {
		dst[i] = 0
		if v != 0 {
			dst[i] = 1
		}
	}
}

func loadBoolInts(dst []int64, src []byte) {
	for i, v := range src {
		dst[i] = 0
		if v != 0 {
			dst[i] = 1
		}
	}
}

func loadF16(dst []float64, src []byte) {
	for i, v := range elements[uint16](src) {
		dst[i] = float64(F16ToF32(v))
	}
}

func loadBF16(dst []float64, src []byte) {
	for i, v := range elements[uint16](src) {
		dst[i] = float64(BF16ToF32(v))
	}
}

func loadF8(table *[256]float32) func([]float64, []byte) {
	return func(dst []float64, src []byte) {
		for i, v := range src {
			dst[i] = float64(table[v])
		}
	}
}

func storeFloats[T float](dst []byte, src []float64) {
	d := elements[T](dst)
	for i, v := range src {
		d[i] = T(v)
	}
}

func storeInts[T integer | float](dst []byte, src []int64) {
	d := elements[T](dst)
	for i, v := range src {
		d[i] = T(v)
	}
}

func storeUints[T float](dst []byte, src []int64) {
	d := elements[T](dst)
	for i, v := range src {
		d[i] = T(uint64(v))
	}
}

func storeBoolFloats(dst []byte, src []float64) {
	for i, v := range src {
		dst[i] = 0
		if v != 0 {
			dst[i] = 1
		}
	}
}

func storeBoolInts(dst []byte, src []int64) {
	for i, v := range src {
		dst[i] = 0
		if v != 0 {
			dst[i] = 1
		}
	}
}

// limits is the range of an integer type, exact as integers.
func limits[T integer]() (lo, hi T) {
	lo, hi = 0, ^T(0)
	if hi > lo {
		return lo, hi
	}
	for hi = 1; hi<<1 > hi; hi = hi<<1 | 1 {
	}
	return ^hi, hi
}

// storeSaturated truncates towards zero, NaN to 0. float64(hi) may round up to
// 2^n, which is the first value out of range, so >= is right for every width.
func storeSaturated[T integer](dst []byte, src []float64) {
	lo, hi := limits[T]()
	flo, fhi := float64(lo), float64(hi)
	d := elements[T](dst)
	for i, v := range src {
		switch {
		case v >= fhi:
			d[i] = hi
		case v <= flo:
			d[i] = lo
		case v == v:
			d[i] = T(v)
		default:
			d[i] = 0
		}
	}
}

// storeMini rounds to a format of at most 16 bits.
func storeMini[T uint8 | uint16](f *miniFloat) func([]byte, []float64) {
	return func(dst []byte, src []float64) {
		d := elements[T](dst)
		for i, v := range src {
			d[i] = T(f.encode(v))
		}
	}
}

// smallFloat completes the codec of a float format of at most 16 bits.
func smallFloat(load func([]float64, []byte), store func([]byte, []float64)) codec {
	return codec{
		floats: load, ints: truncated(load), putFloats: store,
		putInts:  func(dst []byte, src []int64) { viaOdd(dst, src, store, true) },
		putUints: func(dst []byte, src []int64) { viaOdd(dst, src, store, false) },
	}
}

// viaOdd encodes integers in two roundings that equal one.
func viaOdd(dst []byte, src []int64, store func([]byte, []float64), signed bool) {
	const block = 1024
	var mid [block]float64
	if len(src) == 0 {
		return
	}
	size := len(dst) / len(src)
	for lo := 0; lo < len(src); lo += block {
		hi := min(lo+block, len(src))
		for i, v := range src[lo:hi] {
			if v < 0 && signed {
				mid[i] = -roundToOdd(-uint64(v))
			} else {
				mid[i] = roundToOdd(uint64(v))
			}
		}
		store(dst[lo*size:hi*size], mid[:hi-lo])
	}
}

// roundToOdd converts to float64 such that a later rounding to a narrower format
// gives what direct rounding would: an inexact result gets an odd last bit, so
// it never looks like a tie (Boldo and Melquiond, "Emulation of FMA and correctly
// rounded sums: proved algorithms using rounding to odd", 2008).
func roundToOdd(v uint64) float64 {
	const low = 1<<11 - 1 // bits that 64-53 = 11 positions of shift drop at most
	if v>>53 != 0 && v&low != 0 {
		// Drop the low bits into a sticky one just above; v's upper part then fits
		// into 53 bits, because its lowest set bit is bit 11.
		v = v&^low | (low + 1)
	}
	return float64(v)
}

// truncated derives the integer decoder of a float type, by the rules of Cast.
func truncated(load func([]float64, []byte)) func([]int64, []byte) {
	return func(dst []int64, src []byte) {
		const block = 1024
		var mid [block]float64
		if len(dst) == 0 {
			return
		}
		size := len(src) / len(dst)
		for lo := 0; lo < len(dst); lo += block {
			hi := min(lo+block, len(dst))
			load(mid[:hi-lo], src[lo*size:hi*size])
			storeSaturated[int64](bytesOf(dst[lo:hi]), mid[:hi-lo])
		}
	}
}
