package codegen

import (
	"math"

	"jitc/ir/tensor"
)

// Sine, cosine and tangent of F32, for arguments of any size. With x exact in
// F64, x*(2/pi) modulo 4 needs only the bits of 2/pi from 2^-1 - log2(x) on, so
// the constant is chosen by the size of x, in four ranges of 26 binary digits:
// the leading part c (52 bits, whole turns removed) and the rest d.
//
//	x*c             an integer multiple of 2^-51 for |x| >= 2^50: fma(x, c, -n) is exact
//	fma(x, d, ...)  off by at most 2^-55, where x comes no nearer than 2^-29 to
//	                a multiple of pi/2 (Muller et al., Handbook of
//	                Floating-Point Arithmetic, 11.3)
//
// The constants are 2^s*2/pi modulo 4 in [-2, 2), split and scaled by 2^-s.
var twoOverPi = [4]struct{ from, c, d float64 }{
	{0, 0x1.45f306dc9c884p-1, -0x1.5ac07b1505c16p-53},
	{0x1p50, 0x1.b9391054a7f0ap-26, -0x1.505c1596447e5p-81},
	{0x1p76, 0x1.529fc2757d1f6p-52, -0x1.96447e493ad4dp-105},
	{0x1p102, 0x1.d5f47d4d37704p-78, -0x1.24eb53361de38p-131},
}

// reduceTrig32 gives x = (4*m + q + r)*(pi/2) with q in {-2..2} and |r| <= 1/2,
// q and r in F64.
func (e *expander) reduceTrig32(x32 Val) (q, r Val) {
	x := e.To(Cast, tensor.F64, x32)
	ax := e.op(Abs, x)
	c, d := e.ConstF64(twoOverPi[0].c), e.ConstF64(twoOverPi[0].d)
	for _, row := range twoOverPi[1:] {
		far := e.op(Ge, ax, e.ConstF64(row.from))
		c, d = e.choose(far, e.ConstF64(row.c), c), e.choose(far, e.ConstF64(row.d), d)
	}
	n := e.op(RoundEven, e.mul(x, c))
	r = e.fma(x, d, e.fma(x, c, e.op(Neg, n)))
	// The product was rounded, so r may be beyond 1/2.
	n2 := e.op(RoundEven, r)
	q = e.add(n, n2)
	turns := e.op(RoundEven, e.mul(q, e.ConstF64(0.25)))
	return e.fnma(turns, e.ConstF64(4), q), e.sub(r, n2)
}

// Polynomials on [-pi/4, pi/4] of sinf and cosf in Cephes.
var (
	sinTail32 = []float64{-1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1}
	cosTail32 = []float64{2.443315711809948e-5, -1.388731625493765e-3, 4.166664568298827e-2}
)

// sinCos32 is sin(x + quarter*pi/2).
func (e *expander) sinCos32(x Val, quarter float64) Val {
	q64, r64 := e.reduceTrig32(x)
	r := e.To(Cast, tensor.F32, e.mul(r64, e.ConstF64(math.Pi/2)))
	q := e.bitsI(single, e.add(e.To(Cast, tensor.F32, q64), e.ConstF32(float32(single.magic()+quarter))))
	z := e.mul(r, r)
	s := e.fma(e.mul(z, r), e.poly(z, sinTail32...), r)
	c := e.fma(e.mul(z, z), e.poly(z, cosTail32...), e.fma(z, e.ConstF32(-0.5), e.ConstF32(1)))
	odd := e.op(Ne, e.op(And, q, e.ConstI(tensor.I32, 1)), e.ConstI(tensor.I32, 0))
	sign := e.op(Shl, e.op(And, q, e.ConstI(tensor.I32, 2)), e.ConstI(tensor.I32, 30))
	return e.bitsF(single, e.op(Xor, e.bitsI(single, e.choose(odd, c, s)), sign))
}

func sin32(e *expander, _ tensor.DType, in Inst) Val {
	return e.tinyAsIs(in.A, e.sinCos32(in.A, 0), 0x1p-13)
}

func cos32(e *expander, _ tensor.DType, in Inst) Val { return e.sinCos32(in.A, 1) }

// Rational approximation of (tan(r) - r)/r^3 in Cephes tan.c.
var (
	tanP = []float64{-1.30936939181383734205e4, 1.15351664838587416140e6, -1.79565251976484877988e7}
	tanQ = []float64{1, 1.36812963470692954678e4, -1.32089234440210967447e6, 2.50083801823357915839e7, -5.38695755929454629881e7}
)

// tanQuarter64 is tan((q + r)*pi/2).
func (e *expander) tanQuarter64(q, r Val) Val {
	r = e.mul(r, e.ConstF64(math.Pi/2))
	z := e.mul(r, r)
	p := e.mul(z, e.div(e.poly(z, tanP...), e.poly(z, tanQ...)))
	y := e.fma(p, r, r)
	odd := e.op(Eq, e.op(Abs, q), e.ConstF64(1))
	// One division: y/1, or -1/y in odd quarters.
	return e.div(e.choose(odd, e.ConstF64(-1), y), e.choose(odd, y, e.ConstF64(1)))
}

func tan32(e *expander, _ tensor.DType, in Inst) Val {
	q, r := e.reduceTrig32(in.A)
	return e.tinyAsIs(in.A, e.To(Cast, tensor.F32, e.tanQuarter64(q, r)), 0x1p-13)
}
