package tensor

import (
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// smallFormats are the formats of at most 16 bits with their public conversions.
var smallFormats = []struct {
	dt       DType
	f        *miniFloat
	patterns int
	infinity uint16 // 0: none
	decode   func(uint16) float32
	from32   func(float32) uint16
	from64   func(float64) uint16
}{
	{F16, &formatF16, 1 << 16, 0x7C00, F16ToF32, F32ToF16, F64ToF16},
	{BF16, &formatBF16, 1 << 16, 0x7F80, BF16ToF32, F32ToBF16, F64ToBF16},
	{
		F8E4M3, &formatF8E4M3, 1 << 8, 0,
		func(v uint16) float32 { return F8E4M3ToF32(uint8(v)) },
		func(x float32) uint16 { return uint16(F32ToF8E4M3(x)) },
		func(x float64) uint16 { return uint16(F64ToF8E4M3(x)) },
	},
	{
		F8E5M2, &formatF8E5M2, 1 << 8, 0x7C,
		func(v uint16) float32 { return F8E5M2ToF32(uint8(v)) },
		func(x float32) uint16 { return uint16(F32ToF8E5M2(x)) },
		func(x float64) uint16 { return uint16(F64ToF8E5M2(x)) },
	},
}

func TestKnownSmallFloats(t *testing.T) {
	inf := math.Inf(1)
	for _, c := range []struct {
		dt   DType
		bits uint16
		want float64
	}{
		{F16, 0x0001, 0x1p-24}, {F16, 0x03FF, 0x3FFp-24}, {F16, 0x0400, 0x1p-14}, {F16, 0x3C00, 1},
		{F16, 0x7BFF, 65504}, {F16, 0x7C00, inf}, {F16, 0xFC00, -inf}, {F16, 0xC000, -2}, {F16, 0x3555, 0.333251953125},
		{BF16, 0x0001, 0x1p-133}, {BF16, 0x0080, 0x1p-126}, {BF16, 0x3F80, 1}, {BF16, 0x7F7F, 0x1.FEp127},
		{BF16, 0x7F80, inf}, {BF16, 0xC049, -3.140625},
		{F8E4M3, 0x01, 0x1p-9}, {F8E4M3, 0x07, 0x7p-9}, {F8E4M3, 0x08, 0x1p-6}, {F8E4M3, 0x38, 1}, {F8E4M3, 0x7E, 448}, {F8E4M3, 0xFE, -448},
		{F8E5M2, 0x01, 0x1p-16}, {F8E5M2, 0x03, 0x3p-16}, {F8E5M2, 0x04, 0x1p-14}, {F8E5M2, 0x3C, 1}, {F8E5M2, 0x7B, 57344}, {F8E5M2, 0x7C, inf},
	} {
		for _, s := range smallFormats {
			if s.dt == c.dt {
				assert.Equal(t, c.want, float64(s.decode(c.bits)), "%s %#x", c.dt, c.bits)
				assert.Equal(t, c.bits, s.from64(c.want), "%s %g", c.dt, c.want)
			}
		}
	}
}

func TestEveryPatternRoundTrips(t *testing.T) {
	for _, s := range smallFormats {
		for p := range s.patterns {
			v := uint16(p)
			x := s.decode(v)
			if x != x {
				require.True(t, math.IsNaN(s.f.decode(v)), "%s %#x", s.dt, v)
				require.True(t, math.IsNaN(float64(s.decode(s.from32(x)))), "%s %#x", s.dt, v)
				require.True(t, math.IsNaN(float64(s.decode(s.from64(float64(x))))))
				continue
			}
			require.Equal(t, math.Float64bits(s.f.decode(v)), math.Float64bits(float64(x)), "%s %#x", s.dt, v)
			require.Equal(t, v, s.from32(x), "%s %g", s.dt, x)
			require.Equal(t, v, s.from64(float64(x)), "%s %g", s.dt, x)
		}
	}
}

// Positive patterns count up through the values, so rounding is right if, between
// every two neighbours, the midpoint goes to the even pattern and the float64s
// beside it go to the nearer one.
func TestRoundingBetweenNeighbours(t *testing.T) {
	for _, s := range smallFormats {
		sign := uint16(s.patterns / 2)
		for v := uint16(0); ; v++ {
			a, b := float64(s.decode(v)), float64(s.decode(v+1))
			if math.IsInf(b, 0) || math.IsNaN(b) {
				break
			}
			mid := (a + b) / 2
			even := v + v&1
			below, above := math.Nextafter(mid, 0), math.Nextafter(mid, math.Inf(1))
			require.Equal(t, even, s.from64(mid), "%s %g", s.dt, mid)
			require.Equal(t, v, s.from64(below), "%s %g", s.dt, below)
			require.Equal(t, v+1, s.from64(above), "%s %g", s.dt, above)
			require.Equal(t, sign|even, s.from64(-mid), "%s %g", s.dt, -mid)
			if float64(float32(mid)) == mid {
				require.Equal(t, even, s.from32(float32(mid)))
				require.Equal(t, v, s.from32(math.Nextafter32(float32(mid), 0)))
				require.Equal(t, v+1, s.from32(math.Nextafter32(float32(mid), math.MaxFloat32)))
			}
		}
	}
}

func TestOverflow(t *testing.T) {
	nextUp := func(x float64) float64 { return math.Nextafter(x, math.Inf(1)) }
	nextDown := func(x float64) float64 { return math.Nextafter(x, 0) }
	assert.Equal(t, uint16(0x7BFF), F64ToF16(nextDown(65520)))
	assert.Equal(t, uint16(0x7C00), F64ToF16(65520), "tie rounds away from the odd largest value")
	assert.Equal(t, uint16(0x7F7F), F64ToBF16(nextDown(0x1.FFp127)))
	assert.Equal(t, uint16(0x7F80), F64ToBF16(0x1.FFp127))
	assert.Equal(t, uint16(0xFF80), F32ToBF16(-math.MaxFloat32))
	assert.Equal(t, uint8(0x7B), F64ToF8E5M2(nextDown(61440)))
	assert.Equal(t, uint8(0x7C), F64ToF8E5M2(61440))
	assert.Equal(t, uint8(0x7E), F64ToF8E4M3(464), "tie rounds to the even largest value")
	assert.Equal(t, uint8(0x7F), F64ToF8E4M3(nextUp(464)))
	assert.Equal(t, uint8(0xFF), F64ToF8E4M3(math.Inf(-1)), "no infinity: NaN")
	assert.Equal(t, uint16(0), F64ToF16(math.SmallestNonzeroFloat64))
	assert.Equal(t, uint16(0x8000), F64ToBF16(-math.SmallestNonzeroFloat64))
}

func TestBF16FastPathAgrees(t *testing.T) {
	for b := uint64(0); b < 1<<32; b += 4099 {
		x := math.Float32frombits(uint32(b))
		require.Equal(t, formatBF16.encode(float64(x)), F32ToBF16(x), "%#x", b)
	}
}

func TestNoDoubleRounding(t *testing.T) {
	// As f32 these lie on a tie; as float64 they do not.
	x := 1 + 0x1p-11 + 0x1p-40
	assert.Equal(t, uint16(0x3C01), F64ToF16(x))
	assert.Equal(t, uint16(0x3C00), F64ToF16(1+0x1p-11-0x1p-40))
	assert.Equal(t, uint16(0x3F81), F64ToBF16(1+0x1p-8+0x1p-40))
}

func TestCastFloatToInt(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	in := []float64{0, -0.9, 0.9, 1.5, -1.5, 127.9, -128.9, 300, -300, nan, inf, -inf}
	for _, c := range []struct {
		dt   DType
		want []int64
	}{
		{I8, []int64{0, 0, 0, 1, -1, 127, -128, 127, -128, 0, 127, -128}},
		{U8, []int64{0, 0, 0, 1, 0, 127, 0, 255, 0, 0, 255, 0}},
		{I16, []int64{0, 0, 0, 1, -1, 127, -128, 300, -300, 0, 32767, -32768}},
		{U16, []int64{0, 0, 0, 1, 0, 127, 0, 300, 0, 0, 65535, 0}},
		{I32, []int64{0, 0, 0, 1, -1, 127, -128, 300, -300, 0, math.MaxInt32, math.MinInt32}},
		{U32, []int64{0, 0, 0, 1, 0, 127, 0, 300, 0, 0, math.MaxUint32, 0}},
		{I64, []int64{0, 0, 0, 1, -1, 127, -128, 300, -300, 0, math.MaxInt64, math.MinInt64}},
		{U64, []int64{0, 0, 0, 1, 0, 127, 0, 300, 0, 0, -1, 0}},
		{Bool, []int64{0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}},
	} {
		x := FromFloats(F64, []int{len(in)}, in)
		assert.Equal(t, c.want, Ints(Cast(x, c.dt)), c.dt)
		assert.Equal(t, c.want, Ints(FromFloats(c.dt, []int{len(in)}, in)), c.dt)
	}
	edges := Of([]int{4}, 0x1p63, math.Nextafter(0x1p63, 0), 0x1p64, math.Nextafter(0x1p64, 0))
	assert.Equal(t, []int64{math.MaxInt64, 1<<63 - 1024, math.MaxInt64, math.MaxInt64}, Ints(Cast(edges, I64)))
	assert.Equal(t, []uint64{1 << 63, 1<<63 - 1024, math.MaxUint64, 1<<64 - 2048}, Data[uint64](Cast(edges, U64)))
}

func TestCastIntWraps(t *testing.T) {
	x := Of([]int{5}, int64(-1), 300, 1<<40+7, math.MinInt64, 255)
	assert.Equal(t, []int8{-1, 44, 7, 0, -1}, Data[int8](Cast(x, I8)))
	assert.Equal(t, []uint8{255, 44, 7, 0, 255}, Data[uint8](Cast(x, U8)))
	assert.Equal(t, []uint32{math.MaxUint32, 300, 7, 0, 255}, Data[uint32](Cast(x, U32)))
	assert.Equal(t, []uint64{math.MaxUint64, 300, 1<<40 + 7, 1 << 63, 255}, Data[uint64](Cast(x, U64)))
	assert.Equal(t, []bool{true, true, true, true, true}, Data[bool](Cast(x, Bool)))
	assert.Equal(t, []float32{0, 1}, Data[float32](Cast(Of([]int{2}, false, true), F32)))
	assert.Equal(t, []int16{0, 1}, Data[int16](Cast(Of([]int{2}, false, true), I16)))
	assert.Same(t, x, Cast(x, I64))
}

// exactRound rounds an integer to the values of a float type through big.Float,
// which rounds once, to nearest even.
func exactRound(v *big.Int, mantissaBits uint) float64 {
	f, _ := new(big.Float).SetPrec(mantissaBits).SetMode(big.ToNearestEven).SetInt(v).Float64()
	return f
}

func TestCastIntToFloatRoundsOnce(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	var values []uint64
	for _, bits := range []uint{8, 24, 53} { // precision of bf16, f32, f64
		for range 200 {
			// A tie of the target format, and its neighbours, at the top of 64 bits.
			head := r.Uint64N(1<<(bits-1)) | 1<<(bits-1)
			tie := head<<(64-bits) | 1<<(63-bits)
			values = append(values, tie, tie-1, tie+1, tie>>1, tie>>1-1, tie>>1+1, tie>>r.UintN(40))
		}
	}
	u := Of([]int{len(values)}, values...)
	signed := make([]int64, len(values))
	for i, v := range values {
		signed[i] = int64(v)
	}
	s := Of([]int{len(values)}, signed...)
	for _, c := range []struct {
		dt   DType
		bits uint
	}{{BF16, 8}, {F32, 24}, {F64, 53}} {
		gotU, gotS := Floats(Cast(u, c.dt)), Floats(Cast(s, c.dt))
		for i, v := range values {
			require.Equal(t, exactRound(new(big.Int).SetUint64(v), c.bits), gotU[i], "u64 %d to %s", v, c.dt)
			require.Equal(t, exactRound(big.NewInt(signed[i]), c.bits), gotS[i], "i64 %d to %s", signed[i], c.dt)
		}
	}
	assert.Equal(t, []uint16{0x7C00, 0xFBFF, 0x7C00}, Data[uint16](Cast(Of([]int{3}, int64(65520), -65519, math.MaxInt64), F16)))
}

func TestFloatsAndIntsOfEveryType(t *testing.T) {
	for _, dt := range DTypes() {
		want := []int64{0, 1, 1, 0, 1}
		if dt != Bool {
			want = []int64{0, 1, 2, 7, 12}
		}
		x := FromInts(dt, []int{5}, want)
		assert.Equal(t, want, Ints(x), dt)
		f := Floats(x)
		for i := range want {
			assert.Equal(t, float64(want[i]), f[i], dt)
		}
		assert.Nil(t, Compare(FromFloats(dt, []int{5}, f), x, Exact), dt)
	}
	assert.Equal(t, []int64{-1}, Ints(Of([]int{1}, uint64(math.MaxUint64))))
	assert.Equal(t, []float64{0x1p64}, Floats(Of([]int{1}, uint64(math.MaxUint64))))
	assert.Panics(t, func() { FromFloats(F32, []int{2}, []float64{1}) })
	assert.Panics(t, func() { FromInts(F32, []int{2}, []int64{1}) })
}

// Sizes beyond one block, and every pair of types.
func TestCastAllPairs(t *testing.T) {
	const n = 5000
	for _, from := range DTypes() {
		values := make([]int64, n)
		for i := range values {
			values[i] = int64(i % 9) // exact in every type
		}
		x := FromInts(from, []int{n}, values)
		for _, to := range DTypes() {
			want := Ints(x)
			if to == Bool {
				for i := range want {
					want[i] = min(want[i], 1)
				}
			}
			y := Cast(x, to)
			require.Equal(t, to, y.DType())
			require.Equal(t, want, Ints(y), "%s to %s", from, to)
		}
	}
	m, err := Arange(F32, 3, 4).Permute()
	require.NoError(t, err)
	assert.Equal(t, Ints(m), Ints(Cast(m, I8)), "not contiguous")
	assert.Equal(t, 0, Cast(New(F32, 0, 3), I8).NumElements())
}

func TestRoundFloat(t *testing.T) {
	for _, c := range []struct {
		dt      DType
		x, want float64
	}{{F64, 0.1, 0.1}, {F32, 0.1, float64(float32(0.1))}, {BF16, 0.1, 0.10009765625}, {I8, -3.7, -3}, {Bool, 0.5, 1}} {
		assert.Equal(t, c.want, RoundFloat(c.dt, c.x), c.dt)
	}
}

func ExampleCast() {
	x := Of([]int{4}, 1.5, -1.5, 300, 0.1)
	fmt.Println(Cast(x, U8))
	// Output:
	// u8[4]
	// [  1   0 255   0]
}
