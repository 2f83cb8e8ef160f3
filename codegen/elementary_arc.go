package codegen

import (
	"math"

	"jitc/ir/tensor"
)

// Inverse trigonometric functions. The rational approximation of asin is that of
// e_asin.c in FreeBSD's msun (Sun Microsystems, 1993), that of atan is from
// Cephes atan.c.
var (
	asinP = []float64{3.47933107596021167570e-05, 7.91534994289814532176e-04, -4.00555345006794114027e-02,
		2.01212532134862925881e-01, -3.25565818622400915405e-01, 1.66666666666666657415e-01}
	asinQ = []float64{7.70381505559019352791e-02, -6.88283971605453293030e-01, 2.02094576023350569471e+00,
		-2.40339491173441421878e+00, 1}

	atanP = []float64{-8.750608600031904122785e-01, -1.615753718733365076637e+01, -7.500855792314704667340e+01,
		-1.228866684490136173410e+02, -6.485021904942025371773e+01}
	atanQ = []float64{1, 2.485846490142306297962e+01, 1.650270098316988542046e+02, 4.328810604912902668951e+02,
		4.853903996359136964868e+02, 1.945506571482613964425e+02}
)

// pi/2 beyond float64: math.Pi/2 + piOver2Lo.
const piOver2Lo = 6.123233995736765886130e-17

// asinCore gives v = asin(b), where b is |x| up to 1/2 and sqrt((1-|x|)/2) beyond.
func (e *expander) asinCore(x Val) (v, beyond Val) {
	ax := e.op(Abs, x)
	beyond = e.op(Gt, ax, e.ConstF64(0.5))
	far := e.mul(e.sub(e.ConstF64(1), ax), e.ConstF64(0.5))
	z := e.choose(beyond, far, e.mul(ax, ax))
	b := e.choose(beyond, e.op(Sqrt, far), ax)
	p := e.mul(z, e.div(e.poly(z, asinP...), e.poly(z, asinQ...)))
	return e.fma(b, p, b), beyond
}

func asin64(e *expander, _ tensor.DType, in Inst) Val {
	v, beyond := e.asinCore(in.A)
	// pi/2 - 2v
	far := e.add(e.fma(v, e.ConstF64(-2), e.ConstF64(math.Pi/2)), e.ConstF64(piOver2Lo))
	return e.orSign(e.choose(beyond, far, v), in.A)
}

func acos64(e *expander, _ tensor.DType, in Inst) Val {
	v, beyond := e.asinCore(in.A)
	neg := e.op(Lt, in.A, e.ConstF64(0))
	two := e.add(v, v)
	pi := e.sub(e.ConstF64(math.Pi), e.sub(two, e.ConstF64(2*piOver2Lo)))
	far := e.choose(neg, pi, two)
	near := e.sub(e.ConstF64(math.Pi/2), e.sub(e.orSign(v, in.A), e.ConstF64(piOver2Lo)))
	return e.choose(beyond, far, near)
}

// atan64 is the arc tangent of x >= 0: of -1/x beyond tan(3pi/8), of (x-1)/(x+1)
// beyond 0.66, each with the angle it was turned by added back.
func (e *expander) atan64(x Val) Val {
	zero, one := e.ConstF64(0), e.ConstF64(1)
	far, mid := e.op(Gt, x, e.ConstF64(math.Sqrt2+1)), e.op(Gt, x, e.ConstF64(0.66))
	num := e.choose(far, e.ConstF64(-1), e.choose(mid, e.sub(x, one), x))
	den := e.choose(far, x, e.choose(mid, e.add(x, one), one))
	t := e.div(num, den)
	z := e.mul(t, t)
	p := e.mul(z, e.div(e.poly(z, atanP...), e.poly(z, atanQ...)))
	r := e.fma(t, p, t)
	turn := e.choose(far, e.ConstF64(math.Pi/2), e.choose(mid, e.ConstF64(math.Pi/4), zero))
	low := e.choose(far, e.ConstF64(piOver2Lo), e.choose(mid, e.ConstF64(piOver2Lo/2), zero))
	return e.add(turn, e.add(r, low))
}

func expandAtan64(e *expander, _ tensor.DType, in Inst) Val {
	return e.orSign(e.atan64(e.op(Abs, in.A)), in.A)
}

// atan2F64 follows IEEE 754-2019, 9.2.1: signs of zeros and infinities count.
func atan2F64(e *expander, _ tensor.DType, in Inst) Val {
	y, x := in.A, in.B
	ay, ax := e.op(Abs, y), e.op(Abs, x)
	// 0/0 is 0 and inf/inf is 1 here; a NaN differs from itself and stays.
	q := e.choose(e.op(Eq, ay, ax), e.choose(e.op(Eq, ay, e.ConstF64(0)), e.ConstF64(0), e.ConstF64(1)), e.div(ay, ax))
	a := e.atan64(q)
	left := e.op(Lt, e.orSign(e.ConstF64(1), x), e.ConstF64(0))
	back := e.sub(e.ConstF64(math.Pi), e.sub(a, e.ConstF64(2*piOver2Lo)))
	r := e.orSign(e.choose(left, back, a), y)
	sum := e.add(x, y)
	ordered := e.op(And, e.op(Eq, x, x), e.op(Eq, y, y))
	return e.choose(ordered, r, sum)
}
