package codegen

import (
	"math"

	"jitc/ir/tensor"
)

// expander emits codes that the target spells, and the expansions of others.
type expander struct {
	*NestBuilder
	target Target
}

// expansion emits a code's value from operands of type t.
type expansion func(e *expander, t tensor.DType, in Inst) Val

// expansions has one row per code that Legalize can expand, for operands of each
// type; filled by init, since expansions emit codes that expand in turn.
//
// F32 is accurate to 2 ulp and F64 to 4 ulp over the whole range. A code without
// a row for a type needs a backend that spells it: Rem of floats, Div and Rem of
// 64-bit integers.
var expansions [numCodes]struct{ f32, f64, i32, u32 expansion }

func init() {
	both := func(c Code, x expansion) { expansions[c].f32, expansions[c].f64 = x, x }
	viaF64 := func(c Code) { expansions[c].f32 = widened }
	x := &expansions

	both(Exp, expandExp)
	x[Exp2].f32, x[Exp2].f64 = exp2F32, exp2F64
	both(Expm1, expandExpm1)
	x[Tanh].f32, x[Tanh].f64 = tanh32, tanh64
	both(Sigmoid, expandSigmoid)
	x[Sinh].f64, x[Cosh].f64 = sinh64, cosh64
	x[Log].f32, x[Log].f64 = log32, log64
	x[Log2].f32, x[Log2].f64 = log2F32, log2F64
	x[Log1p].f32, x[Log1p].f64 = log1p32, log1p64
	both(Rsqrt, expandRsqrt)
	x[Cbrt].f64 = cbrt64
	x[Pow].f32, x[Pow].f64 = pow32, pow64
	x[Sin].f32, x[Cos].f32, x[Tan].f32 = sin32, cos32, tan32
	x[Sin].f64, x[Cos].f64, x[Tan].f64 = sin64, cos64, tan64
	x[Asin].f64, x[Acos].f64, x[Atan].f64, x[Atan2].f64 = asin64, acos64, expandAtan64, atan2F64
	x[Erf].f32, x[Erf].f64 = erf32, erf64
	for _, c := range []Code{Sinh, Cosh, Cbrt, Asin, Acos, Atan, Atan2} {
		viaF64(c)
	}

	both(FNMA, expandFNMA)
	both(Floor, expandFloor)
	both(Ceil, expandCeil)
	both(Trunc, expandTrunc)
	both(Scale2, expandScale2)
	both(RoundTo, roundToFloat)
	x[RoundTo].i32 = roundToInt
	x[Div].i32, x[Div].u32 = divViaF64, divViaF64
	x[Rem].i32, x[Rem].u32 = remViaF64, remViaF64
}

// expand emits an instruction, or what the target spells in its place.
func (e *expander) expand(in Inst) Val {
	t := in.Type
	if in.Op >= Eq && in.Op <= Ge {
		t = e.TypeOf(in.A)
	}
	if e.target.Spells(in.Op, t) {
		return e.Emit(in)
	}
	row := &expansions[in.Op]
	var x expansion
	switch in.Type {
	case tensor.F32:
		x = row.f32
	case tensor.F64:
		x = row.f64
	case tensor.I32:
		x = row.i32
	case tensor.U32:
		x = row.u32
	}
	if x == nil {
		return e.Emit(in)
	}
	return x(e, in.Type, in)
}

// op emits a code on operands, expanded if need be; its type is as for Op.
func (e *expander) op(c Code, args ...Val) Val {
	t := e.TypeOf(args[len(args)-1])
	if c >= Eq && c <= Ge {
		t = tensor.Bool
	}
	return e.expand(NewInst(c, t, args...))
}

// Shorthands for expansions.

func (e *expander) add(a, b Val) Val             { return e.op(Add, a, b) }
func (e *expander) sub(a, b Val) Val             { return e.op(Sub, a, b) }
func (e *expander) mul(a, b Val) Val             { return e.op(Mul, a, b) }
func (e *expander) div(a, b Val) Val             { return e.op(Div, a, b) }
func (e *expander) fma(a, b, c Val) Val          { return e.op(FMA, a, b, c) }
func (e *expander) fnma(a, b, c Val) Val         { return e.op(FNMA, a, b, c) }
func (e *expander) choose(p, a, b Val) Val       { return e.op(Select, p, a, b) }
func (e *expander) bitsF(f floatType, a Val) Val { return e.To(Bits, f.typ, a) }
func (e *expander) bitsI(f floatType, a Val) Val { return e.To(Bits, f.int, a) }

// clampTo is a cut to [lo, hi]; a NaN stays one. The constant comes second: a
// backend may then use minimum instructions that return their first operand for
// a NaN.
func (e *expander) clampTo(a Val, lo, hi float64) Val {
	t := e.TypeOf(a)
	return e.op(Max, e.op(Min, a, e.ConstF(t, hi)), e.ConstF(t, lo))
}

// poly evaluates the polynomial with these coefficients, highest power first, by
// Horner's rule.
func (e *expander) poly(x Val, coef ...float64) Val {
	t := e.TypeOf(x)
	r := e.ConstF(t, coef[0])
	for _, c := range coef[1:] {
		r = e.fma(r, x, e.ConstF(t, c))
	}
	return r
}

// floatType describes a float type's encoding.
type floatType struct {
	typ, int tensor.DType // and the integers of its width
	man      int64        // explicit bits of the mantissa
	bias     int64
}

var (
	single = floatType{tensor.F32, tensor.I32, 23, 127}
	double = floatType{tensor.F64, tensor.I64, 52, 1023}
)

func floatTypeOf(t tensor.DType) floatType {
	if t == tensor.F32 {
		return single
	}
	return double
}

// signBit is the integer with only the sign bit of the float type set.
func (f floatType) signBit() int64 {
	if f.typ == tensor.F32 {
		return math.MinInt32
	}
	return math.MinInt64
}

// magic is 1.5 * 2^man: added to a float of magnitude below 2^(man-1), it leaves
// the integral part in the low bits of the sum, in two's complement.
func (f floatType) magic() float64 { return math.Ldexp(1.5, int(f.man)) }

// orSign sets the sign bit of r where x has it.
func (e *expander) orSign(r, x Val) Val {
	f := floatTypeOf(e.TypeOf(x))
	sign := e.op(And, e.bitsI(f, x), e.ConstI(f.int, f.signBit()))
	return e.bitsF(f, e.op(Or, e.bitsI(f, r), sign))
}

// pow2 is 2^n for an integral float n within the normal exponents.
func (e *expander) pow2(n Val) Val {
	f := floatTypeOf(e.TypeOf(n))
	// The exponent's bias rides on the magic constant; the shift drops the rest.
	i := e.bitsI(f, e.add(n, e.ConstF(f.typ, f.magic()+float64(f.bias))))
	return e.bitsF(f, e.op(Shl, i, e.ConstI(f.int, f.man)))
}

// scale is a * 2^n where a is near 1 and n within twice the normal exponents:
// two factors, of which only the second may leave the normal range, so that the
// result is rounded once.
func (e *expander) scale(a, n Val) Val {
	t := e.TypeOf(a)
	if e.target.Spells(Scale2, t) {
		return e.op(Scale2, a, n)
	}
	half := e.op(RoundEven, e.mul(n, e.ConstF(t, 0.5)))
	return e.mul(e.mul(a, e.pow2(half)), e.pow2(e.sub(n, half)))
}

// widened computes a function of F32 in F64, whose expansion or spelling is far
// more accurate than the result needs.
func widened(e *expander, _ tensor.DType, in Inst) Val {
	a := e.To(Cast, tensor.F64, in.A)
	out := NewInst(in.Op, tensor.F64, a)
	if in.B != None {
		out.B = e.To(Cast, tensor.F64, in.B)
	}
	return e.To(Cast, tensor.F32, e.expand(out))
}

// tinyAsIs gives x itself where it is so small that f(x) rounds to x: it keeps
// subnormals and the sign of zero.
func (e *expander) tinyAsIs(x, r Val, below float64) Val {
	return e.choose(e.op(Lt, e.op(Abs, x), e.ConstF(e.TypeOf(x), below)), x, r)
}
