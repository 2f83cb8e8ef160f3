package codegen

import (
	"math"

	"jitc/ir/tensor"
)

// Powers and roots.

// pow32 is x^y = 2^(y*log2|x|) in F64, whose 29 spare bits absorb the factor y.
func pow32(e *expander, _ tensor.DType, in Inst) Val {
	x, y := e.To(Cast, tensor.F64, in.A), e.To(Cast, tensor.F64, in.B)
	ax := e.op(Abs, x)
	k, _, m := e.splitFloat(ax) // subnormals of F32 are normal here
	l := e.mul(y, e.logSpecials(ax, e.log2Sum64(k, m), 0))
	l = e.clampTo(l, -160, 130)
	n := e.op(RoundEven, l)
	r := e.mul(e.sub(l, n), e.ConstF64(math.Ln2))
	// Degree 8: the remainder is below 2^-32.
	p := e.mul(e.poly(r, append(append([]float64(nil), expTail64[5:]...), 1, 1)...), e.pow2(n))
	return e.To(Cast, tensor.F32, e.powSpecials(x, y, p))
}

// pow64 is x^y = 2^(y*log2|x|), the logarithm as a sum of two floats: an exponent
// up to 1024 costs 10 bits, and the result must have 53 right.
func pow64(e *expander, t tensor.DType, in Inst) Val {
	x, y := in.A, in.B
	ax := e.op(Abs, x)
	k, m := e.splitAny(ax)
	hi, lo := e.log2Pair(m)
	hi, err := e.twoSum(k, hi)
	lo = e.add(err, lo)
	hi = e.logSpecials(ax, hi, 0)
	l := e.mul(y, hi)
	tail := e.fma(y, lo, e.fma(y, hi, e.op(Neg, l)))
	// Beyond all exponents the tail is inf - inf.
	limit := e.ConstF64(2000)
	tail = e.choose(e.op(Lt, e.op(Abs, l), limit), tail, e.ConstF64(0))
	l = e.clampTo(l, -1100, 1030)
	n := e.op(RoundEven, l)
	r := e.mul(e.add(e.sub(l, n), tail), e.ConstF64(math.Ln2))
	p := e.scale(e.poly(r, append(append([]float64(nil), expTail64...), 1, 1)...), n)
	return e.powSpecials(x, y, p)
}

// atanhTail64 is the series of atanh(s)/s - 1 - s^2/3 in s^2, without its factor
// s^4: 1/25, ..., 1/5. For s < 0.172 the rest is below 2^-59.
var atanhTail64 = func() []float64 {
	var c []float64
	for n := 25; n >= 5; n -= 2 {
		c = append(c, 1/float64(n))
	}
	return c
}()

// The parts of 1/3 and 2/ln 2 beyond float64.
const (
	thirdLo      = 1.850371707708594e-17
	twoOverLn2   = 2.8853900817779268
	twoOverLn2Lo = 4.0710547481862066e-17
)

// pair is an unevaluated sum of two floats, the second below an ulp of the first.
type pair struct{ hi, lo Val }

// mulPair is a*b, off by about 2^-104 of it.
func (e *expander) mulPair(a, b pair) pair {
	hi := e.mul(a.hi, b.hi)
	lo := e.fma(a.hi, b.hi, e.op(Neg, hi))
	return pair{hi, e.fma(a.lo, b.hi, e.fma(a.hi, b.lo, lo))}
}

// addPair is a + b.
func (e *expander) addPair(a, b pair) pair {
	hi, err := e.twoSum(a.hi, b.hi)
	return pair{hi, e.add(err, e.add(a.lo, b.lo))}
}

// log2Pair is log2 of m in [sqrt(1/2), sqrt(2)) as a sum of two floats:
// 2/ln2 * atanh(s) with s = (m-1)/(m+1), atanh(s) = s + s*s^2*(1/3 + s^2*(1/5 + ...)).
func (e *expander) log2Pair(m Val) (hi, lo Val) {
	zero, one := e.ConstF64(0), e.ConstF64(1)
	f := e.sub(m, one)
	den, denLo := e.twoSum(m, one)
	q := e.div(f, den)
	s := pair{q, e.div(e.fnma(q, denLo, e.fnma(q, den, f)), den)}
	z := e.mulPair(s, s)
	w := pair{e.mul(z.hi, e.poly(z.hi, atanhTail64...)), zero}
	w = e.addPair(pair{e.ConstF64(1.0 / 3), e.ConstF64(thirdLo)}, w)
	g := e.addPair(s, e.mulPair(s, e.mulPair(z, w)))
	r := e.mulPair(g, pair{e.ConstF64(twoOverLn2), e.ConstF64(twoOverLn2Lo)})
	return r.hi, r.lo
}

// powSpecials turns p = |x|^y into x^y by the rules of IEEE 754-2019, 9.2.1.
func (e *expander) powSpecials(x, y, p Val) Val {
	t := tensor.F64
	one, zero, inf := e.ConstF(t, 1), e.ConstF(t, 0), e.ConstF(t, math.Inf(1))
	unit := e.op(And, e.op(Eq, e.op(Abs, x), one), e.op(Eq, y, y))
	p = e.choose(unit, one, p) // (-1)^(+-inf) too

	whole := e.op(Eq, e.op(Trunc, y), y)
	half := e.mul(y, e.ConstF(t, 0.5))
	odd := e.op(And, whole, e.op(Ne, e.op(Trunc, half), half))
	p = e.choose(odd, e.orSign(p, x), p)

	root := e.op(And, e.op(Lt, x, zero), e.op(Gt, x, e.op(Neg, inf)))
	p = e.choose(e.op(And, root, e.op(Not, whole)), e.ConstF(t, math.NaN()), p)
	exact := e.op(Or, e.op(Eq, y, zero), e.op(Eq, x, one)) // even for NaN
	return e.choose(exact, one, p)
}

// cbrtStart approximates the cube root on [2^-1.5, 2^1.5] to 2^-9.07 (own
// minimax fit of the relative error).
var cbrtStart = []float64{-0.019551909948871505, 0.15332921219418652, -0.47388949233554556, 0.89838523526822245, 0.44356265756009539}

// cbrt64 takes a third of the exponent and refines an estimate of the rest by
// two steps of Halley's iteration, which triples the number of correct bits.
func cbrt64(e *expander, t tensor.DType, in Inst) Val {
	ax := e.op(Abs, in.A)
	k, m := e.splitAny(ax)
	q := e.op(RoundEven, e.mul(k, e.ConstF(t, 1.0/3)))
	w := e.mul(m, e.pow2(e.fnma(q, e.ConstF(t, 3), k)))
	r := e.poly(w, cbrtStart...)
	for range 2 {
		cube := e.mul(e.mul(r, r), r)
		r = e.fma(r, e.div(e.sub(w, cube), e.add(e.add(cube, cube), w)), r)
	}
	r = e.orSign(e.mul(r, e.pow2(q)), in.A)
	proper := e.op(And, e.op(Gt, ax, e.ConstF(t, 0)), e.op(Lt, ax, e.ConstF(t, math.Inf(1))))
	return e.choose(proper, r, in.A)
}
