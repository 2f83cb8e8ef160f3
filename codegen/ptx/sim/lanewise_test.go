package sim

import (
	"math"
	"math/big"
	"math/bits"
	"testing"

	"github.com/stretchr/testify/require"
)

// laneCase is an instruction on registers 0 (the result) to 3, and its meaning.
type laneCase struct {
	regs, code string
	want       func(a, b, c uint64) uint64
}

func u32s(f func(a, b, c uint32) uint32) func(a, b, c uint64) uint64 {
	return func(a, b, c uint64) uint64 { return uint64(f(uint32(a), uint32(b), uint32(c))) }
}

func s32s(f func(a, b, c int32) int32) func(a, b, c uint64) uint64 {
	return u32s(func(a, b, c uint32) uint32 { return uint32(f(int32(a), int32(b), int32(c))) })
}

func s64s(f func(a, b, c int64) int64) func(a, b, c uint64) uint64 {
	return func(a, b, c uint64) uint64 { return uint64(f(int64(a), int64(b), int64(c))) }
}

func u16s(f func(a, b, c uint16) uint16) func(a, b, c uint64) uint64 {
	return func(a, b, c uint64) uint64 { return uint64(f(uint16(a), uint16(b), uint16(c))) }
}

// checkLanes compares every row. A NaN of a float result may be any.
func checkLanes(t *testing.T, cases []laneCase) {
	t.Helper()
	for _, c := range cases {
		checkRows(t, someInputs(c.regs), []laneCase{c})
	}
}

func checkRows(t *testing.T, in [][3]uint64, cases []laneCase) {
	t.Helper()
	for _, c := range cases {
		got := onLanes(t, c.code, c.regs, in)
		for i, row := range in {
			want := c.want(row[0], row[1], row[2])
			if isNaN(c.regs[0], got[i]) && isNaN(c.regs[0], want) {
				continue
			}
			require.Equalf(t, want, got[i], "%s of %#x: expected %#x, got %#x", c.code, row, want, got[i])
		}
	}
}

func isNaN(class byte, x uint64) bool {
	switch class {
	case 'f':
		return f32(x) != f32(x)
	case 'g':
		return f64(x) != f64(x)
	}
	return false
}

func truth(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

func TestIntegers(t *testing.T) {
	checkLanes(t, []laneCase{
		{"rrr", "add.u32 %r0, %r1, %r2;", u32s(func(a, b, _ uint32) uint32 { return a + b })},
		{"rrr", "sub.s32 %r0, %r1, %r2;", u32s(func(a, b, _ uint32) uint32 { return a - b })},
		{"rr", "add.s32 %r0, %r1, -7;", s32s(func(a, _, _ int32) int32 { return a - 7 })},
		{"hhh", "add.u16 %h0, %h1, %h2;", u16s(func(a, b, _ uint16) uint16 { return a + b })},
		{"ddd", "sub.u64 %d0, %d1, %d2;", s64s(func(a, b, _ int64) int64 { return a - b })},
		{"rrr", "mul.lo.u32 %r0, %r1, %r2;", u32s(func(a, b, _ uint32) uint32 { return a * b })},
		{"rrr", "mul.hi.u32 %r0, %r1, %r2;", u32s(func(a, b, _ uint32) uint32 { return uint32(uint64(a) * uint64(b) >> 32) })},
		{"rrr", "mul.hi.s32 %r0, %r1, %r2;", s32s(func(a, b, _ int32) int32 { return int32(int64(a) * int64(b) >> 32) })},
		{"ddd", "mul.hi.u64 %d0, %d1, %d2;", func(a, b, _ uint64) uint64 { hi, _ := bits.Mul64(a, b); return hi }},
		{"ddd", "mul.hi.s64 %d0, %d1, %d2;", func(a, b, _ uint64) uint64 {
			p := new(big.Int).Mul(big.NewInt(int64(a)), big.NewInt(int64(b)))
			return uint64(p.Rsh(p, 64).Int64())
		}},
		{"drr", "mul.wide.u32 %d0, %r1, %r2;", func(a, b, _ uint64) uint64 { return a & 0xFFFFFFFF * (b & 0xFFFFFFFF) }},
		{"drr", "mul.wide.s32 %d0, %r1, %r2;", func(a, b, _ uint64) uint64 { return uint64(int64(int32(a)) * int64(int32(b))) }},
		{"rhh", "mul.wide.s16 %r0, %h1, %h2;", s32s(func(a, b, _ int32) int32 { return int32(int16(a)) * int32(int16(b)) })},
		{"rrrr", "mad.lo.s32 %r0, %r1, %r2, %r3;", u32s(func(a, b, c uint32) uint32 { return a*b + c })},
		{"dddd", "mad.lo.u64 %d0, %d1, %d2, %d3;", func(a, b, c uint64) uint64 { return a*b + c }},
		{"rrrr", "mad.hi.u32 %r0, %r1, %r2, %r3;", u32s(func(a, b, c uint32) uint32 { return uint32(uint64(a)*uint64(b)>>32) + c })},
		{"drrd", "mad.wide.s32 %d0, %r1, %r2, %d3;", func(a, b, c uint64) uint64 { return uint64(int64(int32(a))*int64(int32(b))) + c }},
		{"drrd", "mad.wide.u32 %d0, %r1, %r2, %d3;", func(a, b, c uint64) uint64 { return a&0xFFFFFFFF*(b&0xFFFFFFFF) + c }},
		{"rrr", "or.b32 %r2, %r2, 1; div.u32 %r0, %r1, %r2;", u32s(func(a, b, _ uint32) uint32 { return a / (b | 1) })},
		{"rrr", "or.b32 %r2, %r2, 1; div.s32 %r0, %r1, %r2;", s32s(func(a, b, _ int32) int32 { return a / (b | 1) })},
		{"rrr", "or.b32 %r2, %r2, 1; rem.s32 %r0, %r1, %r2;", s32s(func(a, b, _ int32) int32 { return a % (b | 1) })},
		{"ddd", "or.b64 %d2, %d2, 1; rem.u64 %d0, %d1, %d2;", func(a, b, _ uint64) uint64 { return a % (b | 1) }},
		{"rrr", "min.u32 %r0, %r1, %r2;", u32s(func(a, b, _ uint32) uint32 { return min(a, b) })},
		{"rrr", "max.s32 %r0, %r1, %r2;", s32s(func(a, b, _ int32) int32 { return max(a, b) })},
		{"ddd", "min.s64 %d0, %d1, %d2;", s64s(func(a, b, _ int64) int64 { return min(a, b) })},
		{"hhh", "max.u16 %h0, %h1, %h2;", u16s(func(a, b, _ uint16) uint16 { return max(a, b) })},
		{"rr", "abs.s32 %r0, %r1;", s32s(func(a, _, _ int32) int32 { return max(a, -a) })},
		{"dd", "neg.s64 %d0, %d1;", s64s(func(a, _, _ int64) int64 { return -a })},
		{"hh", "neg.s16 %h0, %h1;", u16s(func(a, _, _ uint16) uint16 { return -a })},
		{"rrrr", "sad.u32 %r0, %r1, %r2, %r3;", u32s(func(a, b, c uint32) uint32 { return max(a, b) - min(a, b) + c })},
		{"rr", "popc.b32 %r0, %r1;", u32s(func(a, _, _ uint32) uint32 { return uint32(bits.OnesCount32(a)) })},
		{"rd", "clz.b64 %r0, %d1;", func(a, _, _ uint64) uint64 { return uint64(bits.LeadingZeros64(a)) }},
		{"rr", "clz.b32 %r0, %r1;", u32s(func(a, _, _ uint32) uint32 { return uint32(bits.LeadingZeros32(a)) })},
		{"rr", "brev.b32 %r0, %r1;", u32s(func(a, _, _ uint32) uint32 { return bits.Reverse32(a) })},
		{"rr", "bfind.u32 %r0, %r1;", u32s(func(a, _, _ uint32) uint32 { return uint32(bits.Len32(a) - 1) })},
	})
}

func TestBits(t *testing.T) {
	checkLanes(t, []laneCase{
		{"rrr", "and.b32 %r0, %r1, %r2;", func(a, b, _ uint64) uint64 { return a & b & 0xFFFFFFFF }},
		{"ddd", "or.b64 %d0, %d1, %d2;", func(a, b, _ uint64) uint64 { return a | b }},
		{"hhh", "xor.b16 %h0, %h1, %h2;", func(a, b, _ uint64) uint64 { return (a ^ b) & 0xFFFF }},
		{"rr", "not.b32 %r0, %r1;", u32s(func(a, _, _ uint32) uint32 { return ^a })},
		{"rrr", "shl.b32 %r0, %r1, %r2;", u32s(func(a, b, _ uint32) uint32 { return a << b })},
		{"ddr", "shl.b64 %d0, %d1, %r2;", func(a, b, _ uint64) uint64 { return a << uint32(b) }},
		{"rrr", "shr.u32 %r0, %r1, %r2;", u32s(func(a, b, _ uint32) uint32 { return a >> b })},
		{"rrr", "shr.s32 %r0, %r1, %r2;", u32s(func(a, b, _ uint32) uint32 { return uint32(int32(a) >> b) })},
		{"hhr", "shr.s16 %h0, %h1, %r2;", func(a, b, _ uint64) uint64 { return uint64(uint16(int16(a) >> uint32(b))) }},
		{"rrrr", "shf.l.wrap.b32 %r0, %r1, %r2, %r3;", func(a, b, c uint64) uint64 { return (b<<32 | a&0xFFFFFFFF) << (c & 31) >> 32 }},
		{"rrrr", "shf.r.clamp.b32 %r0, %r1, %r2, %r3;", func(a, b, c uint64) uint64 {
			return (b<<32 | a&0xFFFFFFFF) >> min(uint32(c), 32) & 0xFFFFFFFF
		}},
		{"rr", "bfe.u32 %r0, %r1, 5, 9;", u32s(func(a, _, _ uint32) uint32 { return a >> 5 & 511 })},
		{"rr", "bfe.s32 %r0, %r1, 5, 9;", s32s(func(a, _, _ int32) int32 { return a << 18 >> 23 })},
		{"rr", "bfe.s32 %r0, %r1, 28, 9;", s32s(func(a, _, _ int32) int32 { return a >> 28 })},
		{"rr", "bfe.u32 %r0, %r1, 5, 0;", func(_, _, _ uint64) uint64 { return 0 }},
		{"rrr", "bfi.b32 %r0, %r1, %r2, 4, 8;", u32s(func(a, b, _ uint32) uint32 { return b&^0xFF0 | a<<4&0xFF0 })},
		{"rrr", "prmt.b32 %r0, %r1, %r2, 0x7610;", u32s(func(a, b, _ uint32) uint32 { return a&0xFFFF | b&0xFFFF0000 })},
		{"rr", "prmt.b32 %r0, %r1, 0, 0x8880;", u32s(func(a, _, _ uint32) uint32 { return uint32(int32(int8(a)))&^0xFF | a&0xFF })},
		{"rrrr", "lop3.b32 %r0, %r1, %r2, %r3, 0x96;", u32s(func(a, b, c uint32) uint32 { return a ^ b ^ c })},
		{"rrrr", "lop3.b32 %r0, %r1, %r2, %r3, 0xCA;", u32s(func(a, b, c uint32) uint32 { return a&b | ^a&c })},
		{"drr", "mov.b64 %d0, {%r1, %r2};", func(a, b, _ uint64) uint64 { return a&0xFFFFFFFF | b<<32 }},
		{"rd", "mov.b64 {%r5, %r0}, %d1;", func(a, _, _ uint64) uint64 { return a >> 32 }},
		{"hr", "mov.b32 {%h0, %h5}, %r1;", func(a, _, _ uint64) uint64 { return a & 0xFFFF }},
		{"rhh", "mov.b32 %r0, {%h1, %h2};", func(a, b, _ uint64) uint64 { return a&0xFFFF | b&0xFFFF<<16 }},
		{"rf", "mov.b32 %r0, %f1;", func(a, _, _ uint64) uint64 { return a & 0xFFFFFFFF }},
		{"rrr", "setp.lt.s32 %p1, %r1, %r2; selp.b32 %r0, 1, 0, %p1;", func(a, b, _ uint64) uint64 { return truth(int32(a) < int32(b)) }},
		{"rrr", "setp.hs.u32 %p1, %r1, %r2; selp.u32 %r0, 1, 0, %p1;", func(a, b, _ uint64) uint64 { return truth(uint32(a) >= uint32(b)) }},
		{"rrr", "setp.eq.b32 %p1|%p2, %r1, %r2; selp.u32 %r0, 1, 0, %p2;", func(a, b, _ uint64) uint64 { return truth(uint32(a) != uint32(b)) }},
		{"rrr", "setp.gt.s32 %p3, %r1, 0; setp.ne.and.s32 %p1, %r1, %r2, !%p3; selp.u32 %r0, 1, 0, %p1;", func(a, b, _ uint64) uint64 {
			return truth(uint32(a) != uint32(b) && int32(a) <= 0)
		}},
		{"rff", "setp.lt.u32 %p2, 5, 6; setp.lt.or.f32 %p1, %f1, %f2, !%p2; setp.gt.xor.f32 %p1, %f1, 0f00000000, %p1; selp.u32 %r0, 1, 0, %p1;", func(a, b, _ uint64) uint64 {
			return truth((f32(a) < f32(b)) != (f32(a) > 0))
		}},
		{"rff", "setp.lt.ftz.f32 %p1, %f1, %f2; mov.pred %p2, %p1; selp.u32 %r0, 1, 0, %p2;", func(a, b, _ uint64) uint64 {
			return truth(flushed(f32(a)) < flushed(f32(b)))
		}},
		{"rh", "cvt.u32.u16 %r0, %h1; cvt.u16.u32 %h2, %r0; setp.gt.f16 %p1, %h1, %h2; selp.u32 %r0, 1, 0, %p1;", func(_, _, _ uint64) uint64 { return 0 }},
		{"rff", "setp.ltu.f32 %p1, %f1, %f2; selp.u32 %r0, 1, 0, %p1;", func(a, b, _ uint64) uint64 { return truth(!(f32(a) >= f32(b))) }},
		{"rff", "setp.ne.f32 %p1, %f1, %f2; selp.u32 %r0, 1, 0, %p1;", func(a, b, _ uint64) uint64 { return truth(f32(a) < f32(b) || f32(a) > f32(b)) }},
		{"rgg", "setp.nan.f64 %p1, %g1, %g2; selp.u32 %r0, 1, 0, %p1;", func(a, b, _ uint64) uint64 { return truth(f64(a) != f64(a) || f64(b) != f64(b)) }},
		{"rgg", "set.ge.u32.f64 %r0, %g1, %g2;", func(a, b, _ uint64) uint64 { return 0xFFFFFFFF * truth(f64(a) >= f64(b)) }},
		{"rrrr", "slct.u32.s32 %r0, %r1, %r2, %r3;", u32s(func(a, b, c uint32) uint32 {
			if int32(c) >= 0 {
				return a
			}
			return b
		})},
		{"rrr", "setp.lt.u32 %p1, %r1, %r2; setp.lt.u32 %p2, %r1, 99; xor.pred %p1, %p1, %p2; not.pred %p1, %p1; selp.u32 %r0, 1, 0, %p1;",
			func(a, b, _ uint64) uint64 { return truth((uint32(a) < uint32(b)) == (uint32(a) < 99)) }},
		{"rf", "testp.subnormal.f32 %p1, %f1; selp.u32 %r0, 1, 0, %p1;", func(a, _, _ uint64) uint64 {
			return truth(a&0x7F800000 == 0 && a&0x7FFFFF != 0)
		}},
		{"rf", "testp.finite.f32 %p1, %f1; selp.u32 %r0, 1, 0, %p1;", func(a, _, _ uint64) uint64 { return truth(a&0x7F800000 != 0x7F800000) }},
	})
}

func TestFloats(t *testing.T) {
	f1 := func(f func(x float64) float64) func(a, b, c uint64) uint64 {
		return func(a, _, _ uint64) uint64 { return uint64(math.Float32bits(float32(f(float64(f32(a)))))) }
	}
	f2 := func(f func(x, y float32) float32) func(a, b, c uint64) uint64 {
		return func(a, b, _ uint64) uint64 { return uint64(math.Float32bits(f(f32(a), f32(b)))) }
	}
	g2 := func(f func(x, y float64) float64) func(a, b, c uint64) uint64 {
		return func(a, b, _ uint64) uint64 { return math.Float64bits(f(f64(a), f64(b))) }
	}
	checkLanes(t, []laneCase{
		{"fff", "add.f32 %f0, %f1, %f2;", f2(func(x, y float32) float32 { return x + y })},
		{"fff", "sub.rn.f32 %f0, %f1, %f2;", f2(func(x, y float32) float32 { return x - y })},
		{"fff", "mul.f32 %f0, %f1, %f2;", f2(func(x, y float32) float32 { return x * y })},
		{"fff", "div.rn.f32 %f0, %f1, %f2;", f2(func(x, y float32) float32 { return x / y })},
		{"ff", "add.f32 %f0, %f1, 0f3F800000;", f1(func(x float64) float64 { return float64(float32(x) + 1) })},
		{"fff", "add.ftz.f32 %f0, %f1, %f2;", f2(func(x, y float32) float32 { return flushed(flushed(x) + flushed(y)) })},
		{"fff", "mul.sat.f32 %f0, %f1, %f2;", f2(func(x, y float32) float32 {
			if p := x * y; p > 0 {
				return min(p, 1)
			}
			return 0
		})},
		{"ffff", "fma.rn.ftz.f32 %f0, %f1, %f2, %f3;", func(a, b, c uint64) uint64 {
			x, y, z := flushed(f32(a)), flushed(f32(b)), flushed(f32(c))
			return uint64(math.Float32bits(flushed(float32(addOdd(float64(x)*float64(y), float64(z), 0)))))
		}},
		{"fff", "min.f32 %f0, %f1, %f2; neg.ftz.f32 %f0, %f0;", func(a, b, _ uint64) uint64 {
			x, y := f32(a), f32(b)
			switch {
			case x != x:
				x = y
			case y == y:
				x = min(x, y)
			}
			return uint64(math.Float32bits(-flushed(x)))
		}},
		{"ff", "mul.f32 %f0, %f1, 1.5;", f1(func(x float64) float64 { return float64(float32(x) * 1.5) })},
		{"gg", "mul.f64 %g0, %g1, -2.5e1;", g2(func(x, _ float64) float64 { return x * -25 })},
		{"gg", "mov.f64 %g2, 0f40000000; mul.f64 %g0, %g1, %g2;", g2(func(x, _ float64) float64 { return x * 2 })},
		{"ff", "mov.f32 %f2, 0d4000000000000000; mul.f32 %f0, %f1, %f2;", f1(func(x float64) float64 { return float64(float32(x) * 2) })},
		{"ff", "rcp.rn.f32 %f0, %f1;", f1(func(x float64) float64 { return float64(1 / float32(x)) })},
		{"ff", "sqrt.rn.f32 %f0, %f1;", f1(math.Sqrt)},
		{"ff", "abs.f32 %f0, %f1;", func(a, _, _ uint64) uint64 { return a & 0x7FFFFFFF }},
		{"ff", "neg.f32 %f0, %f1;", func(a, _, _ uint64) uint64 { return a&0xFFFFFFFF ^ 0x80000000 }},
		{"fff", "copysign.f32 %f0, %f1, %f2;", func(a, b, _ uint64) uint64 { return a&0x80000000 | b&0x7FFFFFFF }},
		{"fff", "min.NaN.f32 %f0, %f1, %f2;", f2(func(x, y float32) float32 { return min(x, y) })},
		{"fff", "max.NaN.f32 %f0, %f1, %f2;", f2(func(x, y float32) float32 { return max(x, y) })},
		{"fff", "max.f32 %f0, %f1, %f2;", f2(func(x, y float32) float32 {
			switch {
			case x != x:
				return y
			case y != y:
				return x
			}
			return max(x, y)
		})},
		{"ggg", "add.f64 %g0, %g1, %g2;", g2(func(x, y float64) float64 { return x + y })},
		{"ggg", "mul.rn.f64 %g0, %g1, %g2;", g2(func(x, y float64) float64 { return x * y })},
		{"ggg", "div.rn.f64 %g0, %g1, %g2;", g2(func(x, y float64) float64 { return x / y })},
		{"gggg", "fma.rn.f64 %g0, %g1, %g2, %g3;", func(a, b, c uint64) uint64 { return math.Float64bits(math.FMA(f64(a), f64(b), f64(c))) }},
		{"gg", "sqrt.rn.f64 %g0, %g1;", g2(func(x, _ float64) float64 { return math.Sqrt(x) })},
		{"ff", "ex2.approx.f32 %f0, %f1;", f1(math.Exp2)},
		{"ff", "lg2.approx.f32 %f0, %f1;", f1(math.Log2)},
		{"ff", "sin.approx.f32 %f0, %f1;", f1(math.Sin)},
		{"ff", "cos.approx.f32 %f0, %f1;", f1(math.Cos)},
		{"ff", "tanh.approx.f32 %f0, %f1;", f1(math.Tanh)},
		{"ff", "rsqrt.approx.f32 %f0, %f1;", f1(func(x float64) float64 { return 1 / math.Sqrt(x) })},
		{"ff", "rcp.approx.f32 %f0, %f1;", f1(func(x float64) float64 { return 1 / x })},
		{"ff", "ex2.approx.ftz.f32 %f0, %f1;", f1(func(x float64) float64 { return float64(flushed(float32(math.Exp2(float64(flushed(float32(x))))))) })},
		{"fff", "div.full.f32 %f0, %f1, %f2;", f2(func(x, y float32) float32 { return float32(float64(x) / float64(y)) })},
	})
}

func flushed(x float32) float32 {
	if math.Abs(float64(x)) < 0x1p-126 {
		return float32(math.Copysign(0, float64(x)))
	}
	return x
}

// bigModes are the rounding modes of math/big, an independent reference.
var bigModes = map[string]big.RoundingMode{"rn": big.ToNearestEven, "rz": big.ToZero, "rm": big.ToNegativeInf, "rp": big.ToPositiveInf}

// rounded is a value rounded to f32. It is exact for results that are 0 or normal.
func rounded(x *big.Float, mode string) uint64 {
	r := new(big.Float).SetPrec(24).SetMode(bigModes[mode]).Set(x)
	f, _ := r.Float32()
	return uint64(math.Float32bits(f))
}

// What is rounded in a direction, or fused, is right to the last bit.
func TestRoundingsOfFloats(t *testing.T) {
	wide := func(x uint64) *big.Float { return new(big.Float).SetPrec(1000).SetFloat64(float64(f32(x))) }
	ops := map[string]struct {
		regs string
		f    func(a, b, c uint64) *big.Float
	}{
		"add": {"%f1, %f2", func(a, b, _ uint64) *big.Float { return wide(a).Add(wide(a), wide(b)) }},
		"sub": {"%f1, %f2", func(a, b, _ uint64) *big.Float { return wide(a).Sub(wide(a), wide(b)) }},
		"mul": {"%f1, %f2", func(a, b, _ uint64) *big.Float { return wide(a).Mul(wide(a), wide(b)) }},
		"div": {"%f1, %f2", func(a, b, _ uint64) *big.Float { return wide(a).Quo(wide(a), wide(b)) }},
		"fma": {"%f1, %f2, %f3", func(a, b, c uint64) *big.Float { return wide(a).Add(wide(a).Mul(wide(a), wide(b)), wide(c)) }},
	}
	in := ordinary()
	for name, op := range ops {
		for mode := range bigModes {
			got := onLanes(t, name+"."+mode+".f32 %f0, "+op.regs+";", "ffff", in)
			for i, r := range in {
				require.Equalf(t, rounded(op.f(r[0], r[1], r[2]), mode), got[i], "%s.%s of %#x", name, mode, r)
			}
		}
	}
}

// The same of float64, and of one operand.
func TestOtherRoundings(t *testing.T) {
	for mode, m := range bigModes {
		exact := func() *big.Float { return new(big.Float).SetPrec(53).SetMode(m) }
		value := func(x *big.Float) uint64 { v, _ := x.Float64(); return math.Float64bits(v) }
		in := ordinary64()
		checkRows(t, in, []laneCase{
			{"ggg", "add." + mode + ".f64 %g0, %g1, %g2;", func(a, b, _ uint64) uint64 { return value(exact().Add(big.NewFloat(f64(a)), big.NewFloat(f64(b)))) }},
			{"ggg", "mul." + mode + ".f64 %g0, %g1, %g2;", func(a, b, _ uint64) uint64 { return value(exact().Mul(big.NewFloat(f64(a)), big.NewFloat(f64(b)))) }},
			{"ggg", "div." + mode + ".f64 %g0, %g1, %g2;", func(a, b, _ uint64) uint64 { return value(exact().Quo(big.NewFloat(f64(a)), big.NewFloat(f64(b)))) }},
			{"gg", "rcp." + mode + ".f64 %g0, %g1;", func(a, _, _ uint64) uint64 { return value(exact().Quo(big.NewFloat(1), big.NewFloat(f64(a)))) }},
			{"gg", "abs.f64 %g1, %g1; sqrt." + mode + ".f64 %g0, %g1;", func(a, _, _ uint64) uint64 { return value(exact().Sqrt(big.NewFloat(math.Abs(f64(a))))) }},
			{"gggg", "fma." + mode + ".f64 %g0, %g1, %g2, %g3;", func(a, b, c uint64) uint64 {
				p := new(big.Float).SetPrec(200).Mul(big.NewFloat(f64(a)), big.NewFloat(f64(b)))
				return value(exact().Add(p, big.NewFloat(f64(c))))
			}},
		})
		wide := func(x uint64) *big.Float { return new(big.Float).SetPrec(1000).SetFloat64(float64(f32(x))) }
		checkRows(t, ordinary(), []laneCase{
			{"ff", "rcp." + mode + ".f32 %f0, %f1;", func(a, _, _ uint64) uint64 { return rounded(wide(a).Quo(big.NewFloat(1), wide(a)), mode) }},
			{"ff", "abs.f32 %f1, %f1; sqrt." + mode + ".f32 %f0, %f1;", func(a, _, _ uint64) uint64 { return rounded(wide(a).Sqrt(wide(a).Abs(wide(a))), mode) }},
		})
	}
}

func ordinary64() [][3]uint64 {
	in := someInputs("gggg")
	for i := range in {
		for k := range in[i] {
			in[i][k] = in[i][k]&0x800FFFFFFFFFFFFF | (1000+uint64(i*(k+1))%60)<<52
		}
	}
	return in
}

// ordinary are rows of floats whose results are neither 0 nor subnormal nor infinite.
func ordinary() [][3]uint64 {
	in := someInputs("ffff")
	for i := range in {
		for k := range in[i] {
			in[i][k] = in[i][k]&0x807FFFFF | (120+uint64(i*(k+1))%17)<<23
		}
	}
	in[0] = [3]uint64{0x3F800001, 0x3F800001, 0xBF800000 + 1}
	return in
}

// A sum that is nearly in the middle of two floats, which rounding twice gets wrong.
func TestFusedMultiplyAddRoundsOnce(t *testing.T) {
	x := float32(1 + 0x1p-12) // x*x = 1 + 2^-11 + 2^-24: the middle of two floats
	in := make([][3]uint64, 128)
	for i := range in {
		in[i] = [3]uint64{bits32(x), bits32(x), bits32(float32(math.Copysign(0x1p-80, float64(i%2)-0.5)))}
	}
	got := onLanes(t, "fma.rn.f32 %f0, %f1, %f2, %f3;", "ffff", in)
	require.Equal(t, float32(1+0x1p-11), f32(got[0]), "a little less than the middle")
	require.Equal(t, float32(1+0x1p-11+0x1p-23), f32(got[1]), "a little more")
}

func TestHalfPrecision(t *testing.T) {
	halves := func(f format, op func(x, y, z float64) float64) func(a, b, c uint64) uint64 {
		return func(a, b, c uint64) uint64 {
			one := func(s uint) uint64 {
				return f.encode(op(f.decode(a>>s&0xFFFF), f.decode(b>>s&0xFFFF), f.decode(c>>s&0xFFFF)), nearestEven)
			}
			return one(0) | one(16)<<16
		}
	}
	low := func(f func(a, b, c uint64) uint64) func(a, b, c uint64) uint64 {
		return func(a, b, c uint64) uint64 { return f(a, b, c) & 0xFFFF }
	}
	add := func(x, y, _ float64) float64 { return x + y }
	mul := func(x, y, _ float64) float64 { return x * y }
	checkLanes(t, []laneCase{
		{"rrr", "add.rn.f16x2 %r0, %r1, %r2;", halves(float16, add)},
		{"rrr", "mul.rn.f16x2 %r0, %r1, %r2;", halves(float16, mul)},
		{"hhh", "sub.f16 %h0, %h1, %h2;", low(halves(float16, func(x, y, _ float64) float64 { return x - y }))},
		{"rrr", "mul.bf16x2 %r0, %r1, %r2;", halves(bfloat16, mul)},
		{"rrr", "max.NaN.bf16x2 %r0, %r1, %r2;", halves(bfloat16, func(x, y, _ float64) float64 { return max(x, y) })},
		{"rrr", "min.NaN.f16x2 %r0, %r1, %r2;", halves(float16, func(x, y, _ float64) float64 { return min(x, y) })},
		{"rr", "neg.bf16x2 %r0, %r1;", func(a, _, _ uint64) uint64 { return a&0xFFFFFFFF ^ 0x80008000 }},
		{"rr", "abs.f16x2 %r0, %r1;", func(a, _, _ uint64) uint64 { return a & 0x7FFF7FFF }},
		{"rrrr", "fma.rn.relu.f16x2 %r0, %r1, %r2, %r3;", halves(float16, func(x, y, z float64) float64 {
			if v := fmaOdd(x, y, z); !(v < 0) {
				return v
			}
			return 0
		})},
		{"rrr", "add.ftz.sat.f16x2 %r0, %r1, %r2;", halves(float16, func(x, y, _ float64) float64 {
			tiny := func(v float64) float64 {
				if math.Abs(v) < 0x1p-14 {
					return math.Copysign(0, v)
				}
				return v
			}
			if v := tiny(tiny(x) + tiny(y)); v > 0 {
				return min(v, 1)
			}
			return 0
		})},
		{"rr", "tanh.approx.f16x2 %r0, %r1;", halves(float16, func(x, _, _ float64) float64 { return math.Tanh(x) })},
	})
}
