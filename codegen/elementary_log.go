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

// exponent is the signed exponent field of i, which has been unbiased by a
// subtraction, as a float. Wide integers have no arithmetic shift or conversion
// on many processors: the field is biased again, shifted, and put into the
// mantissa of 2^man.
func (e *expander) exponent(i Val) Val {
	f := floatTypeOf(e.floatOf(e.TypeOf(i)))
	if f.typ == tensor.F32 {
		return e.To(Cast, tensor.F32, e.op(ShrA, i, e.ConstI(f.int, f.man)))
	}
	const bias = 1 << 11
	field := e.op(ShrL, e.op(Add, i, e.ConstI(f.int, bias<<f.man)), e.ConstI(f.int, f.man))
	// bias << man leaves the 64 bits; the field is i's exponent modulo 2^12.
	_ = bias
	return field
}

func (e *expander) floatOf(t tensor.DType) tensor.DType {
	if t == tensor.I32 {
		return tensor.F32
	}
	return tensor.F64
}
