package codegen

import (
	"math"

	"jitc/ir/tensor"
)

// Exponentials: x = n*ln2 + r with |r| <= ln2/2, so e^x = 2^n * e^r.
//
// The polynomials for F32 are own minimax fits (Remez exchange on the relative
// error of the result, in 200-bit arithmetic, coefficients rounded at the end),
// with relative errors of 2^-28.3 (e^r) and 2^-28.9 (2^r). Those for F64 are the
// Taylor series of degree 13, whose remainder at ln2/2 is below 2^-57.

// expTail32 is (e^r - 1 - r)/r^2.
var expTail32 = []float64{0.00138145953, 0.00836871658, 0.041668389, 0.166665211, 0.49999994}

// exp2Tail32 is (2^r - 1)/r.
var exp2Tail32 = []float64{0.000154763256, 0.00134002964, 0.00961800385, 0.055503279, 0.240226507, 0.693147182}

// expTail64 is (e^r - 1 - r)/r^2: 1/13!, ..., 1/2!.
var expTail64 = func() []float64 {
	var c []float64
	for n := 13; n >= 2; n-- {
		f := 1.0
		for i := 2; i <= n; i++ {
			f *= float64(i)
		}
		c = append(c, 1/f)
	}
	return c
}()

// expRow holds the constants of the exponentials of a float type. ln2 is split
// so that n times the first part is exact (Cody and Waite).
type expRow struct {
	lo, hi       float64 // e^lo rounds to 0, e^hi overflows
	ln2Hi, ln2Lo float64
	tail         []float64
	tiny         float64 // below it e^x - 1 rounds to x
}

var (
	expRow32 = expRow{-104, 89, 0x1.62e4p-1, 1.42860677e-06, expTail32, 0x1p-26}
	expRow64 = expRow{-746, 710, 6.93147180369123816490e-01, 1.90821492927058770002e-10, expTail64, 0x1p-55}
)

func expRowOf(t tensor.DType) *expRow {
	if t == tensor.F32 {
		return &expRow32
	}
	return &expRow64
}

// reduceExp splits x, which is clamped already.
func (e *expander) reduceExp(x Val) (n, r Val) {
	t := e.TypeOf(x)
	row := expRowOf(t)
	n = e.op(RoundEven, e.mul(x, e.ConstF(t, math.Log2E)))
	r = e.fnma(n, e.ConstF(t, row.ln2Hi), x)
	return n, e.fnma(n, e.ConstF(t, row.ln2Lo), r)
}

// expOf is e^x for x within the clamps.
func (e *expander) expOf(x Val) Val {
	t := e.TypeOf(x)
	n, r := e.reduceExp(x)
	p := e.poly(r, append(append([]float64(nil), expRowOf(t).tail...), 1, 1)...)
	return e.scale(p, n)
}

func expandExp(e *expander, t tensor.DType, in Inst) Val {
	row := expRowOf(t)
	return e.expOf(e.clampTo(in.A, row.lo, row.hi))
}

func exp2F32(e *expander, t tensor.DType, in Inst) Val {
	x := e.clampTo(in.A, -151, 129)
	n := e.op(RoundEven, x)
	return e.scale(e.poly(e.sub(x, n), append(append([]float64(nil), exp2Tail32...), 1)...), n)
}

func exp2F64(e *expander, t tensor.DType, in Inst) Val {
	x := e.clampTo(in.A, -1076, 1025)
	n := e.op(RoundEven, x)
	r := e.mul(e.sub(x, n), e.ConstF(t, math.Ln2))
	return e.scale(e.poly(r, append(append([]float64(nil), expTail64...), 1, 1)...), n)
}

// expm1Parts gives n and p = e^r - 1, from which e^x - 1 = 2^n*p + (2^n - 1).
func (e *expander) expm1Parts(x Val) (n, p Val) {
	n, r := e.reduceExp(x)
	q := e.poly(r, expRowOf(e.TypeOf(x)).tail...)
	return n, e.fma(e.mul(r, r), q, r)
}

func expandExpm1(e *expander, t tensor.DType, in Inst) Val {
	row := expRowOf(t)
	n, p := e.expm1Parts(e.clampTo(in.A, -40, row.hi))
	// 2^(n-1) instead of 2^n, which may overflow where the result does not.
	h := e.pow2(e.sub(n, e.ConstF(t, 1)))
	r := e.fma(h, p, e.sub(h, e.ConstF(t, 0.5)))
	return e.tinyAsIs(in.A, e.add(r, r), row.tiny)
}

// tanhTail32 is (tanh(x)/x - 1)/x^2 in x^2 for |x| < 0.625, from Cephes tanhf.c.
var tanhTail32 = []float64{-5.70498872745e-3, 2.06390887954e-2, -5.37397155531e-2, 1.33314422036e-1, -3.33332819422e-1}

// tanh32 is a polynomial near 0 and 1 - 2/(e^2|x| + 1) beyond.
func tanh32(e *expander, t tensor.DType, in Inst) Val {
	z := e.mul(in.A, in.A)
	near := e.fma(e.mul(in.A, z), e.poly(z, tanhTail32...), in.A)
	a := e.op(Min, e.op(Abs, in.A), e.ConstF32(10)) // tanh(10) rounds to 1
	one := e.ConstF32(1)
	far := e.sub(one, e.quotient(e.ConstF32(2), e.add(e.expOf(e.add(a, a)), one)))
	return e.orSign(e.choose(e.op(Lt, a, e.ConstF32(0.625)), near, far), in.A)
}

// tanh |x| = (e^2x - 1)/(e^2x + 1) = 1 - 2/(e^2x + 1), both from the parts of
// expm1: the first form is accurate near 0, the second near 1.
func tanh64(e *expander, t tensor.DType, in Inst) Val {
	a := e.op(Min, e.op(Abs, in.A), e.ConstF(t, 20)) // tanh(20) rounds to 1
	n, p := e.expm1Parts(e.add(a, a))
	s, one, two := e.pow2(n), e.ConstF(t, 1), e.ConstF(t, 2)
	num := e.fma(s, p, e.sub(s, one))
	den := e.add(num, two)
	big := e.op(Gt, a, e.ConstF(t, 0.55))
	q := e.div(e.choose(big, two, num), den)
	return e.orSign(e.choose(big, e.sub(one, q), q), in.A)
}

// sigmoid x = e/(1+e) with e = e^-|x|, or 1/(1+e) for x >= 0: e^-|x| neither
// overflows nor loses the small results.
func expandSigmoid(e *expander, t tensor.DType, in Inst) Val {
	f := floatTypeOf(t)
	x := e.bitsF(f, e.op(Or, e.bitsI(f, in.A), e.ConstI(f.int, f.signBit()))) // -|x|
	ex := e.expOf(e.op(Max, x, e.ConstF(t, expRowOf(t).lo)))
	one := e.ConstF(t, 1)
	num := e.choose(e.op(Ge, in.A, e.ConstF(t, 0)), one, ex)
	den := e.add(one, ex)
	q := e.quotient(num, den)
	if e.target.FastMath {
		return q
	}
	// The sum's rounding error is a whole ulp of a small quotient.
	return e.fnma(q, e.sub(ex, e.sub(den, one)), q)
}

// quotient is a/b for a b in [1, 2^60]; with FastMath by the processor's
// estimate of 1/b and one Newton step.
func (e *expander) quotient(a, b Val) Val {
	if !e.target.FastMath || e.TypeOf(b) != tensor.F32 || !e.target.Spells(RcpE, tensor.F32) {
		return e.div(a, b)
	}
	r := e.Op(RcpE, b)
	q := e.mul(a, r)
	return e.fma(e.fnma(q, b, a), r, q)
}

// quarterExp gives h and p with e^|x| = 4*(h*p + h): e^|x|/2 is finite for
// longer than e^|x|. |x| is cut where sinh and cosh overflow.
func (e *expander) quarterExp(x Val) (h, p Val) {
	t := e.TypeOf(x)
	n, p := e.expm1Parts(e.op(Min, e.op(Abs, x), e.ConstF(t, 710.5)))
	return e.pow2(e.sub(n, e.ConstF(t, 2))), p
}

// sinh x = m + m/(2m + 1) with m = (e^|x| - 1)/2.
func sinh64(e *expander, t tensor.DType, in Inst) Val {
	h, p := e.quarterExp(in.A)
	m := e.fma(h, p, e.sub(h, e.ConstF(t, 0.25)))
	m = e.add(m, m)
	s := e.op(Min, m, e.ConstF(t, 0x1p100)) // beyond, the quotient is 1/2 and must not be inf/inf
	r := e.add(m, e.div(s, e.add(e.add(s, s), e.ConstF(t, 1))))
	return e.orSign(e.tinyAsIs(in.A, r, 0x1p-28), in.A)
}

// cosh x = c + 1/(4c) with c = e^|x|/2.
func cosh64(e *expander, t tensor.DType, in Inst) Val {
	h, p := e.quarterExp(in.A)
	c := e.fma(h, p, h)
	c = e.add(c, c)
	return e.add(c, e.div(e.ConstF(t, 0.25), c))
}

func expandRsqrt(e *expander, t tensor.DType, in Inst) Val {
	return e.div(e.ConstF(t, 1), e.op(Sqrt, in.A))
}
