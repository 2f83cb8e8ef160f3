package codegen

import (
	"math"

	"jitc/ir/tensor"
)

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
