package codegen

import (
	"math"

	"jitc/ir/tensor"
)

// Logarithms: x = 2^k * (1+f) with 1+f in about [0.7, 1.41].
//
// The F32 polynomial is that of logf in the Cephes library (S. L. Moshier), the
// F64 series that of e_log.c in FreeBSD's msun (Sun Microsystems, 1993).

// logTail32 is (log(1+f) - f + f^2/2)/f^3.
var logTail32 = []float64{7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1,
	1.4249322787e-1, -1.6668057665e-1, 2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1}

// logTail64 is the series of log((1+s)/(1-s))/s - 2 in s^2, without its factor s^2.
var logTail64 = []float64{1.479819860511658591e-01, 1.531383769920937332e-01, 1.818357216161805012e-01,
	2.222219843214978396e-01, 2.857142874366239149e-01, 3.999999999940941908e-01, 6.666666666666735130e-01}

// splitFloat writes a positive normal x as 2^k * m, m in [sqrt(1/2), sqrt(2)),
// by integer arithmetic on its bits; k is a float, bits are those of 2^k's
// exponent field alone, unbiased.
func (e *expander) splitFloat(x Val) (k, kBits, m Val) {
	t := e.TypeOf(x)
	f := floatTypeOf(t)
	root := floatBits(t, math.Sqrt2/2)
	// From the bits of sqrt(1/2) on, the exponent steps where the mantissa wraps.
	i := e.op(Sub, e.bitsI(f, x), e.ConstI(f.int, root))
	kBits = e.op(And, i, e.ConstI(f.int, -1<<f.man))
	m = e.bitsF(f, e.op(Sub, e.bitsI(f, x), kBits))
	return e.exponent(i), kBits, m
}

func floatBits(t tensor.DType, x float64) int64 {
	if t == tensor.F32 {
		return int64(math.Float32bits(float32(x)))
	}
	return int64(math.Float64bits(x))
}

// exponent is the signed exponent field of i, which an earlier subtraction has
// unbiased, as a float. Processors lack an arithmetic shift and a conversion of
// 64-bit lanes: there the field is biased again, shifted down, and read as the
// mantissa of 2^52 + field.
func (e *expander) exponent(i Val) Val {
	if e.TypeOf(i) == tensor.I32 {
		return e.To(Cast, tensor.F32, e.op(ShrA, i, e.ConstI(tensor.I32, single.man)))
	}
	field := e.op(ShrL, e.op(Xor, i, e.ConstI(tensor.I64, math.MinInt64)), e.ConstI(tensor.I64, double.man))
	x := e.bitsF(double, e.op(Or, field, e.ConstI(tensor.I64, floatBits(tensor.F64, 0x1p52))))
	return e.sub(x, e.ConstF64(0x1p52+1<<11))
}

// splitAny is splitFloat for any positive finite x: subnormals are scaled up.
func (e *expander) splitAny(x Val) (k, m Val) {
	t := e.TypeOf(x)
	f := floatTypeOf(t)
	low := e.op(Lt, x, e.ConstF(t, math.Ldexp(1, int(1-f.bias))))
	up := float64(f.man + 1)
	k, _, m = e.splitFloat(e.choose(low, e.mul(x, e.ConstF(t, math.Exp2(up))), x))
	return e.sub(k, e.choose(low, e.ConstF(t, up), e.ConstF(t, 0))), m
}

// logSpecials is r, a logarithm of x > pole, with its values elsewhere: -inf at
// the pole, NaN below, x itself if it is +inf or NaN.
func (e *expander) logSpecials(x, r Val, pole float64) Val {
	t := e.TypeOf(x)
	p := e.ConstF(t, pole)
	outside := e.choose(e.op(Eq, x, p), e.ConstF(t, math.Inf(-1)), e.ConstF(t, math.NaN()))
	r = e.choose(e.op(Lt, x, e.ConstF(t, math.Inf(1))), r, x)
	return e.choose(e.op(Le, x, p), outside, r)
}

// logParts32 gives y with log(1+f) = f + y.
func (e *expander) logParts32(f Val) Val {
	z := e.mul(f, f)
	y := e.mul(e.mul(f, z), e.poly(f, logTail32...))
	return e.fma(z, e.ConstF32(-0.5), y)
}

// logSum32 is k*ln2 + log(1+f).
func (e *expander) logSum32(k, f Val) Val {
	y := e.fma(k, e.ConstF32(-2.12194440e-4), e.logParts32(f))
	return e.fma(k, e.ConstF32(0.693359375), e.add(f, y))
}

func log32(e *expander, t tensor.DType, in Inst) Val {
	k, m := e.splitAny(in.A)
	r := e.logSum32(k, e.sub(m, e.ConstF32(1)))
	return e.logSpecials(in.A, r, 0)
}

func log2F32(e *expander, t tensor.DType, in Inst) Val {
	k, m := e.splitAny(in.A)
	f := e.sub(m, e.ConstF32(1))
	// log2(e) in two parts: its rounding error alone would cost half an ulp.
	y := e.mul(e.logParts32(f), e.ConstF32(math.Log2E))
	y = e.fma(f, e.ConstF32(1.92596303e-08), y)
	y = e.fma(f, e.ConstF32(1.44269502), y)
	return e.logSpecials(in.A, e.add(k, y), 0)
}

// logParts64 gives hf = f^2/2 and w with log(1+f) = f - (hf - w).
func (e *expander) logParts64(f Val) (hf, w Val) {
	s := e.div(f, e.add(f, e.ConstF64(2)))
	z := e.mul(s, s)
	hf = e.mul(e.mul(f, f), e.ConstF64(0.5))
	return hf, e.mul(s, e.fma(z, e.poly(z, logTail64...), hf))
}

// logSum64 is k*ln2 + log(1+f).
func (e *expander) logSum64(k, f Val) Val {
	hf, w := e.logParts64(f)
	w = e.fma(k, e.ConstF64(expRow64.ln2Lo), w)
	return e.fma(k, e.ConstF64(expRow64.ln2Hi), e.sub(f, e.sub(hf, w)))
}

func log64(e *expander, t tensor.DType, in Inst) Val {
	k, m := e.splitAny(in.A)
	return e.logSpecials(in.A, e.logSum64(k, e.sub(m, e.ConstF64(1))), 0)
}

// log2Sum64 is k + log2(m).
func (e *expander) log2Sum64(k, m Val) Val {
	f := e.sub(m, e.ConstF64(1))
	hf, w := e.logParts64(f)
	return e.fma(e.sub(f, e.sub(hf, w)), e.ConstF64(math.Log2E), k)
}

func log2F64(e *expander, t tensor.DType, in Inst) Val {
	k, m := e.splitAny(in.A)
	return e.logSpecials(in.A, e.log2Sum64(k, m), 0)
}

// log1pParts writes 1+x = 2^k * (1+f), f rounded once although 1+x is not exact.
func (e *expander) log1pParts(x Val) (k, f Val) {
	t := e.TypeOf(x)
	ft := floatTypeOf(t)
	k, kBits, _ := e.splitFloat(e.add(x, e.ConstF(t, 1)))
	// 4 * 2^-k is normal for all k; f = x*2^-k + (2^-k - 1).
	s4 := e.bitsF(ft, e.op(Sub, e.ConstI(ft.int, floatBits(t, 4)), kBits))
	quarter := e.ConstF(t, 0.25)
	return k, e.fma(e.mul(x, quarter), s4, e.fma(s4, quarter, e.ConstF(t, -1)))
}

func log1p32(e *expander, t tensor.DType, in Inst) Val {
	k, f := e.log1pParts(in.A)
	return e.tinyAsIs(in.A, e.logSpecials(in.A, e.logSum32(k, f), -1), 0x1p-26)
}

func log1p64(e *expander, t tensor.DType, in Inst) Val {
	k, f := e.log1pParts(in.A)
	return e.tinyAsIs(in.A, e.logSpecials(in.A, e.logSum64(k, f), -1), 0x1p-55)
}
