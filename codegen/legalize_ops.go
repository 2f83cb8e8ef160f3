package codegen

import (
	"math"

	"jitc/ir/tensor"
)

// Expansions of primitive codes that a target may lack.

func expandFNMA(e *expander, _ tensor.DType, in Inst) Val {
	return e.Op(FMA, e.Op(Neg, in.A), in.B, in.C)
}

// expandFloor is exact for every magnitude, since RoundEven is.
func expandFloor(e *expander, t tensor.DType, in Inst) Val {
	r := e.op(RoundEven, in.A)
	return e.choose(e.op(Gt, r, in.A), e.sub(r, e.ConstF(t, 1)), r)
}

func expandCeil(e *expander, t tensor.DType, in Inst) Val {
	r := e.op(RoundEven, in.A)
	return e.orSign(e.choose(e.op(Lt, r, in.A), e.add(r, e.ConstF(t, 1)), r), in.A)
}

func expandTrunc(e *expander, _ tensor.DType, in Inst) Val {
	return e.orSign(e.op(Floor, e.op(Abs, in.A)), in.A)
}

// expandScale2 is a * 2^n with one rounding: the mantissa m in [1, 2) of a times
// two factors whose product is its exponent plus n, of which only the second may
// leave the normal range.
func expandScale2(e *expander, t tensor.DType, in Inst) Val {
	f := floatTypeOf(t)
	ax := e.op(Abs, in.A)
	k, m := e.splitAny(ax)
	limit := 2*float64(f.bias) - 6 // twice a normal exponent, beyond every finite result
	n := e.clampTo(e.add(k, e.clampTo(in.B, -4*limit, 4*limit)), -limit, limit)
	half := e.op(RoundEven, e.mul(n, e.ConstF(t, 0.5)))
	r := e.mul(e.mul(m, e.pow2(half)), e.pow2(e.sub(n, half)))
	proper := e.op(And, e.op(Gt, ax, e.ConstF(t, 0)), e.op(Lt, ax, e.ConstF(t, math.Inf(1))))
	return e.choose(proper, e.orSign(r, in.A), in.A)
}

// narrowFormat is an encoding of at most 16 bits, or F32 as seen from F64.
type narrowFormat struct {
	man    int64
	minExp int     // of the least normal number
	over   float64 // from here on a value rounds beyond the largest one ...
	past   float64 // ... to this
	strict bool    // over itself still rounds to the largest value
}

var narrowFormats = map[tensor.DType]narrowFormat{
	tensor.F16:    {10, -14, 65520, math.Inf(1), false},
	tensor.BF16:   {7, -126, 0x1.ffp127, math.Inf(1), false},
	tensor.F8E4M3: {3, -6, 464, math.NaN(), true},
	tensor.F8E5M2: {2, -14, 61440, math.Inf(1), false},
}

// roundToFloat rounds the bits of normal results to nearest even by an integer
// addition, and subnormal ones by adding and subtracting a constant whose last
// place is the format's.
func roundToFloat(e *expander, t tensor.DType, in Inst) Val {
	if in.Round == tensor.F32 {
		return e.To(Cast, tensor.F64, e.To(Cast, tensor.F32, in.A))
	}
	f, nf := floatTypeOf(t), narrowFormats[in.Round]
	drop := f.man - nf.man
	a := e.op(Abs, in.A)
	i := e.bitsI(f, a)
	last := e.op(And, e.op(ShrL, i, e.ConstI(f.int, drop)), e.ConstI(f.int, 1))
	i = e.op(Add, e.op(Add, i, e.ConstI(f.int, 1<<(drop-1)-1)), last)
	r := e.bitsF(f, e.op(And, i, e.ConstI(f.int, -1<<drop)))
	if nf.minExp > 1-int(f.bias) {
		unit := e.ConstF(t, math.Ldexp(1.5, nf.minExp-int(nf.man)+int(f.man)))
		small := e.sub(e.add(a, unit), unit)
		r = e.choose(e.op(Lt, a, e.ConstF(t, math.Ldexp(1, nf.minExp))), small, r)
	}
	past := Ge
	if nf.strict {
		past = Gt
	}
	r = e.choose(e.op(past, a, e.ConstF(t, nf.over)), e.ConstF(t, nf.past), r)
	r = e.choose(e.op(Eq, in.A, in.A), r, in.A)
	return e.orSign(r, in.A)
}

func roundToInt(e *expander, t tensor.DType, in Inst) Val {
	if in.Round.IsUnsigned() {
		return e.op(And, in.A, e.ConstI(t, 1<<(8*in.Round.Size())-1))
	}
	by := e.ConstI(t, int64(32-8*in.Round.Size()))
	return e.op(ShrA, e.op(Shl, in.A, by), by)
}

// divViaF64 divides 32-bit integers exactly: a quotient in F64 is never rounded
// up to an integer, since it would have to be within 2^-53 of it, relatively.
func divViaF64(e *expander, t tensor.DType, in Inst) Val {
	a, b := e.To(Cast, tensor.F64, in.A), e.To(Cast, tensor.F64, in.B)
	q := e.To(Cast, t, e.op(Trunc, e.div(a, b)))
	if t.IsSigned() {
		// The least integer over -1 leaves the range; negation wraps as it should.
		q = e.choose(e.op(Eq, in.B, e.ConstI(t, -1)), e.op(Neg, in.A), q)
	}
	return e.choose(e.op(Eq, in.B, e.ConstI(t, 0)), e.ConstI(t, -1), q)
}

func remViaF64(e *expander, t tensor.DType, in Inst) Val {
	q := e.op(Div, in.A, in.B)
	r := e.op(Sub, in.A, e.op(Mul, q, in.B))
	return e.choose(e.op(Eq, in.B, e.ConstI(t, 0)), in.A, r)
}
