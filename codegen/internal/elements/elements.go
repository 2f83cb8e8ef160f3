// Package elements makes and compares the memory of tensors in the tests of
// backends:
//
//	x := elements.Random(tensor.F16, 100, seed)   // NaN, infinities, limits among them
//	elements.RequireClose(t, tensor.F16, want, got, 0, "gelu at N=100")
package elements

import (
	"math"
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"

	"jitc/ir/tensor"
)

// Copy is a copy of b at a multiple of 8 bytes.
func Copy(b []byte) []byte {
	w := make([]uint64, len(b)/8+1)
	out := unsafe.Slice((*byte)(unsafe.Pointer(&w[0])), len(b))
	copy(out, b)
	return out
}

// RequireClose compares elements of a type bit for bit, any NaN for any other;
// with a tolerance, floats x by tol*(1+|x|).
func RequireClose(t testing.TB, dt tensor.DType, want, got []byte, tol float64, where string) {
	t.Helper()
	size := dt.Size()
	for i := 0; i < len(want); i += size {
		w, g := Number(dt, want[i:]), Number(dt, got[i:])
		wb, gb := bitsOf(want[i:], size), bitsOf(got[i:], size)
		same := wb == gb || w != w && g != g
		if !same && tol > 0 && dt.IsFloat() {
			same = math.Abs(w-g) <= tol*(1+math.Abs(w)) || w == g
		}
		if !same {
			require.Fail(t, "wrong element", "%s: element %d of %d: want %v (%#x), got %v (%#x)", where, i/size, len(want)/size, w, wb, g, gb)
		}
	}
}

func bitsOf(b []byte, size int) uint64 {
	v := uint64(0)
	for i := range size {
		v |= uint64(b[i]) << (8 * i)
	}
	return v
}

// Number is the element at the head of b as a number, good enough to tell NaN and
// to measure distance.
func Number(dt tensor.DType, b []byte) float64 {
	v := bitsOf(b, dt.Size())
	switch dt {
	case tensor.F64:
		return math.Float64frombits(v)
	case tensor.F32:
		return float64(math.Float32frombits(uint32(v)))
	case tensor.BF16:
		return float64(tensor.BF16ToF32(uint16(v)))
	case tensor.F16:
		return float64(tensor.F16ToF32(uint16(v)))
	case tensor.F8E4M3:
		return float64(tensor.F8E4M3ToF32(uint8(v)))
	case tensor.F8E5M2:
		return float64(tensor.F8E5M2ToF32(uint8(v)))
	}
	return float64(int64(v))
}

// Moderate is the first seed of elements without odd values, for sums that would
// cancel them in another order.
const Moderate = 1 << 40

// Random is n elements at a multiple of 8 bytes: mostly moderate numbers, for seeds
// below Moderate with the type's odd values among them.
func Random(dt tensor.DType, n int, seed uint64) []byte {
	r := rand.New(rand.NewPCG(seed, 7))
	out := make([]byte, 0, n*dt.Size())
	for range n {
		v := random(r, dt, seed < Moderate && r.IntN(4) == 0)
		for i := range dt.Size() {
			out = append(out, byte(v>>(8*i)))
		}
	}
	return Copy(out)
}

var oddFloats = []float64{0, math.Copysign(0, -1), 1, -1, math.Inf(1), math.Inf(-1), math.NaN(), 1e-40, -1e-42, 3e38, -3e38,
	0x1p31, -0x1p31, 0x1p32, 0x1p63, -0x1p63, 0x1p64, 2147483583, 0.5, 1.5, 2.5, -0.5, 1e300, 5e-324}

// random is the bits of an element.
func random(r *rand.Rand, dt tensor.DType, odd bool) uint64 {
	switch {
	case dt == tensor.Bool:
		return r.Uint64() & 1
	case dt.IsInt() && odd:
		top := uint64(1) << (8*dt.Size() - 1)
		return []uint64{0, 1, ^uint64(0), top, top - 1, 31, 32, 63, 64}[r.IntN(9)]
	case dt.IsInt():
		return uint64(int64(r.IntN(40)) - 20)
	case odd && dt.Size() < 4: // any bits are odd enough
		return r.Uint64()
	case odd:
		return bitsOfFloat(dt, oddFloats[r.IntN(len(oddFloats))])
	}
	return bitsOfFloat(dt, 3*r.NormFloat64())
}

func bitsOfFloat(dt tensor.DType, x float64) uint64 {
	b, _ := tensor.FloatScalar(dt, x).Bytes()
	return bitsOf(b, dt.Size())
}
