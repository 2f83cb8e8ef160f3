package sim

import (
	"math"
	"math/big"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// clampTo is a float rounded by round, as an integer between lo and hi.
func clampTo(x float64, round func(float64) float64, lo, hi int64) int64 {
	switch v := round(x); {
	case v != v:
		return 0
	case v <= float64(lo):
		return lo
	case v >= float64(hi):
		return hi
	default:
		return int64(v)
	}
}

func TestConversions(t *testing.T) {
	const s32min, s32max = math.MinInt32, math.MaxInt32
	checkLanes(t, []laneCase{
		{"dr", "cvt.u64.u32 %d0, %r1;", func(a, _, _ uint64) uint64 { return a & 0xFFFFFFFF }},
		{"dr", "cvt.s64.s32 %d0, %r1;", func(a, _, _ uint64) uint64 { return uint64(int64(int32(a))) }},
		{"rd", "cvt.u32.u64 %r0, %d1;", func(a, _, _ uint64) uint64 { return a & 0xFFFFFFFF }},
		{"rr", "cvt.s8.s32 %r0, %r1;", func(a, _, _ uint64) uint64 { return uint64(uint32(int8(a))) }},
		{"rr", "cvt.u8.u32 %r0, %r1;", func(a, _, _ uint64) uint64 { return a & 0xFF }},
		{"rr", "cvt.sat.s8.s32 %r0, %r1;", func(a, _, _ uint64) uint64 { return uint64(uint32(max(-128, min(127, int32(a))))) }},
		{"rr", "cvt.sat.u8.s32 %r0, %r1;", func(a, _, _ uint64) uint64 { return uint64(uint32(max(0, min(255, int32(a))))) }},
		{"hr", "cvt.u16.u32 %h0, %r1;", func(a, _, _ uint64) uint64 { return a & 0xFFFF }},
		{"rf", "cvt.rzi.s32.f32 %r0, %f1;", func(a, _, _ uint64) uint64 {
			return uint64(uint32(clampTo(float64(f32(a)), math.Trunc, s32min, s32max)))
		}},
		{"rf", "cvt.rni.s32.f32 %r0, %f1;", func(a, _, _ uint64) uint64 {
			return uint64(uint32(clampTo(float64(f32(a)), math.RoundToEven, s32min, s32max)))
		}},
		{"rf", "cvt.rmi.u32.f32 %r0, %f1;", func(a, _, _ uint64) uint64 {
			return uint64(clampTo(float64(f32(a)), math.Floor, 0, math.MaxUint32))
		}},
		{"rf", "cvt.rpi.s8.f32 %r0, %f1;", func(a, _, _ uint64) uint64 {
			return uint64(uint32(clampTo(float64(f32(a)), math.Ceil, -128, 127)))
		}},
		{"dg", "cvt.rzi.s64.f64 %d0, %g1;", func(a, _, _ uint64) uint64 {
			return uint64(clampTo(f64(a), math.Trunc, math.MinInt64, math.MaxInt64))
		}},
		{"df", "cvt.rzi.u64.f32 %d0, %f1;", func(a, _, _ uint64) uint64 {
			switch x := float64(f32(a)); {
			case !(x > 0):
				return 0
			case x >= 0x1p64:
				return math.MaxUint64
			default:
				return uint64(x)
			}
		}},
		{"fr", "cvt.rn.f32.s32 %f0, %r1;", func(a, _, _ uint64) uint64 { return bits32(float32(int32(a))) }},
		{"fr", "cvt.rn.f32.u8 %f0, %r1;", func(a, _, _ uint64) uint64 { return bits32(float32(uint8(a))) }},
		{"fd", "cvt.rn.f32.u64 %f0, %d1;", func(a, _, _ uint64) uint64 { return bits32(float32(a)) }},
		{"fd", "cvt.rn.f32.s64 %f0, %d1;", func(a, _, _ uint64) uint64 { return bits32(float32(int64(a))) }},
		{"gd", "cvt.rn.f64.s64 %g0, %d1;", func(a, _, _ uint64) uint64 { return bits64(float64(int64(a))) }},
		{"gd", "cvt.rz.f64.u64 %g0, %d1;", func(a, _, _ uint64) uint64 {
			x, _ := new(big.Float).SetPrec(53).SetMode(big.ToZero).SetUint64(a).Float64()
			return bits64(x)
		}},
		{"fd", "cvt.rp.f32.s64 %f0, %d1;", func(a, _, _ uint64) uint64 {
			x, _ := new(big.Float).SetPrec(24).SetMode(big.ToPositiveInf).SetInt64(int64(a)).Float32()
			return bits32(x)
		}},
		{"fg", "cvt.rn.f32.f64 %f0, %g1;", func(a, _, _ uint64) uint64 { return bits32(float32(f64(a))) }},
		{"gf", "cvt.f64.f32 %g0, %f1;", func(a, _, _ uint64) uint64 { return bits64(float64(f32(a))) }},
		{"ff", "cvt.rni.f32.f32 %f0, %f1;", func(a, _, _ uint64) uint64 { return bits32(float32(math.RoundToEven(float64(f32(a))))) }},
		{"ff", "cvt.rmi.ftz.f32.f32 %f0, %f1;", func(a, _, _ uint64) uint64 { return bits32(float32(math.Floor(float64(flushed(f32(a)))))) }},
		{"ff", "cvt.sat.f32.f32 %f0, %f1;", func(a, _, _ uint64) uint64 { return bits32(float32(clamp01(float64(f32(a))))) }},
		{"fh", "cvt.f32.f16 %f0, %h1;", func(a, _, _ uint64) uint64 { return bits32(float32(float16.decode(a & 0xFFFF))) }},
		{"fh", "cvt.f32.bf16 %f0, %h1;", func(a, _, _ uint64) uint64 { return a & 0xFFFF << 16 }},
		{"rff", "cvt.rn.f16x2.f32 %r0, %f1, %f2;", func(a, b, _ uint64) uint64 { return nearestHalf(a)<<16 | nearestHalf(b) }},
		{"hf", "cvt.rn.f16.f32 %h0, %f1;", func(a, _, _ uint64) uint64 { return nearestHalf(a) }},
		{"rff", "cvt.rn.bf16x2.f32 %r0, %f1, %f2;", func(a, b, _ uint64) uint64 {
			return bfloat16.encode(float64(f32(a)), nearestEven)<<16 | bfloat16.encode(float64(f32(b)), nearestEven)
		}},
		{"rf", "mov.b32 %r5, %f1; cvt.rna.tf32.f32 %r0, %f1; setp.nan.f32 %p1, %f1, %f1; selp.b32 %r0, 0x7FFFFFFF, %r0, %p1;", func(a, _, _ uint64) uint64 {
			if x := f32(a); x != x {
				return nan32
			}
			return format{exp: 8, man: 10}.encode(float64(f32(a)), nearestAway) << 13
		}},
	})
}

// nearestHalf is the f16 nearest to an f32, found by looking at all neighbours.
func nearestHalf(a uint64) uint64 {
	x := float64(f32(a))
	if x != x {
		return nan16
	}
	sign := uint64(0)
	if math.Signbit(x) {
		sign, x = 0x8000, -x
	}
	lo, hi := uint64(0), uint64(0x7C00)
	for hi-lo > 1 {
		if mid := (lo + hi) / 2; float16.decode(mid) <= x {
			lo = mid
		} else {
			hi = mid
		}
	}
	above := float16.decode(hi)
	if hi == 0x7C00 {
		above = 65536 // infinity counts as the next value
	}
	below := float16.decode(lo)
	if x-below > above-x || x-below == above-x && lo&1 == 1 {
		return sign | hi
	}
	return sign | lo
}

// Every value of a format is encoded to itself, and what lies between two values to
// the one that the mode says.
func TestFormats(t *testing.T) {
	for name, f := range map[string]format{"f16": float16, "bf16": bfloat16, "e4m3": float8e4m3, "e5m2": float8e5m2} {
		for x := uint64(0); x <= f.most(); x++ {
			v := f.decode(x)
			require.Equal(t, x, f.encode(v, nearestEven), "%s of %#x", name, x)
			require.Equal(t, x|f.sign(), f.encode(-v, towardsZero), "%s of %#x", name, x|f.sign())
			if x == f.most() {
				continue
			}
			next := f.decode(x + 1)
			require.Less(t, v, next)
			for mode, want := range map[rounding]uint64{nearestEven: x + x&1, nearestAway: x + 1, towardsZero: x, towardsMinus: x, towardsPlus: x + 1} {
				require.Equal(t, want, f.encode((v+next)/2, mode), "%s between %#x and the next", name, x)
			}
		}
	}
	for x := range uint64(1 << 16) {
		if v := float16.decode(x); v == v && math.Float64bits(v) != math.Float64bits(decodeHalf(x)) {
			require.Equal(t, v, decodeHalf(x), "%#x", x)
		}
	}
	assert.Equal(t, uint64(0x7E), float8e4m3.saturate(1e9, float8e4m3.encode(1e9, nearestEven)), "448")
	assert.Equal(t, 448.0, float8e4m3.decode(0x7E))
	assert.Equal(t, uint64(0xFB), float8e5m2.saturate(math.Inf(-1), float8e5m2.encode(math.Inf(-1), nearestEven)))
	assert.Equal(t, uint64(0x7C00), float16.encode(65520, nearestEven))
	assert.Equal(t, uint64(0x7BFF), float16.encode(65520, towardsZero))
	assert.True(t, math.IsNaN(float8e4m3.decode(0x7F)))
	assert.True(t, math.IsNaN(float16.decode(0x7C01)))
}

func TestEightBitConversions(t *testing.T) {
	checkLanes(t, []laneCase{
		{"hff", "cvt.rn.satfinite.e4m3x2.f32 %h0, %f1, %f2;", func(a, b, _ uint64) uint64 { return nearest8(f32(a), 448)<<8 | nearest8(f32(b), 448) }},
		{"rh", "cvt.rn.f16x2.e5m2x2 %r0, %h1;", func(a, _, _ uint64) uint64 {
			widen := func(x uint64) uint64 { // e5m2 is the upper half of f16
				if x&0x7F > 0x7C {
					return nan16
				}
				return x << 8
			}
			return widen(a&0xFF) | widen(a>>8&0xFF)<<16
		}},
	})
}

// nearest8 is the e4m3 nearest to x, limited to most.
func nearest8(x float32, most float64) uint64 {
	if x != x {
		return 0x7F
	}
	v := min(math.Abs(float64(x)), most)
	best := uint64(0)
	for e := uint64(0); e <= 0x7E; e++ {
		d, b := math.Abs(float8e4m3.decode(e)-v), math.Abs(float8e4m3.decode(best)-v)
		if d < b || d == b && e&1 == 0 {
			best = e
		}
	}
	if math.Signbit(float64(x)) {
		best |= 0x80
	}
	return best
}
