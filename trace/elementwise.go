package trace

import (
	"math"

	"jitc/ir"
	"jitc/ir/tensor"
)

// unary applies an op to every element; where it is for floats only, integers and
// bools become f32.
func (t *Tensor) unary(name string, op ir.Op) *Tensor {
	return do(name, []any{t}, func(s *scope, x []term) term { return s.unary(op, x[0]) })
}

func (s *scope) unary(op ir.Op, x term) term {
	if in := op.Row().DTypes; in == ir.Floats {
		x = s.floats(x)
	}
	y := s.op(op, []term{x})
	y.weak = x.weak
	return y
}

// compose applies what build makes of simpler ops to every element of a float
// tensor.
func (t *Tensor) compose(name string, build func(s *scope, x term) term) *Tensor {
	return do(name, []any{t}, func(s *scope, x []term) term {
		f := s.floats(x[0])
		y := build(s, f)
		y.weak = f.weak
		return y
	})
}

// number is a splat of x's type.
func number(x term, f float64) term { return term{num: f, t: x.typ()} }

// Neg is -t.
func (t *Tensor) Neg() *Tensor { return t.unary("Neg", ir.OpNeg) }

// Abs is |t|.
func (t *Tensor) Abs() *Tensor { return t.unary("Abs", ir.OpAbs) }

// Sign is -1, 0 or 1 by the sign.
func (t *Tensor) Sign() *Tensor { return t.unary("Sign", ir.OpSign) }

// Floor is the greatest integral value <= t.
func (t *Tensor) Floor() *Tensor { return t.unary("Floor", ir.OpFloor) }

// Ceil is the least integral value >= t.
func (t *Tensor) Ceil() *Tensor { return t.unary("Ceil", ir.OpCeil) }

// Round is the nearest integral value, halves to even.
func (t *Tensor) Round() *Tensor { return t.unary("Round", ir.OpRound) }

// Trunc is t without its fraction, towards zero.
func (t *Tensor) Trunc() *Tensor { return t.unary("Trunc", ir.OpTrunc) }

// Sqrt is the square root.
func (t *Tensor) Sqrt() *Tensor { return t.unary("Sqrt", ir.OpSqrt) }

// Rsqrt is 1/sqrt(t).
func (t *Tensor) Rsqrt() *Tensor { return t.unary("Rsqrt", ir.OpRsqrt) }

// Cbrt is the cube root.
func (t *Tensor) Cbrt() *Tensor { return t.unary("Cbrt", ir.OpCbrt) }

// Exp is e**t.
func (t *Tensor) Exp() *Tensor { return t.unary("Exp", ir.OpExp) }

// Exp2 is 2**t.
func (t *Tensor) Exp2() *Tensor { return t.unary("Exp2", ir.OpExp2) }

// Expm1 is e**t - 1, accurate near 0.
func (t *Tensor) Expm1() *Tensor { return t.unary("Expm1", ir.OpExpm1) }

// Log is the natural logarithm.
func (t *Tensor) Log() *Tensor { return t.unary("Log", ir.OpLog) }

// Log2 is the binary logarithm.
func (t *Tensor) Log2() *Tensor { return t.unary("Log2", ir.OpLog2) }

// Log10 is the decimal logarithm.
func (t *Tensor) Log10() *Tensor {
	return t.compose("Log10", func(s *scope, x term) term {
		return s.op(ir.OpMul, []term{s.op(ir.OpLog, []term{x}), number(x, math.Log10E)})
	})
}

// Log1p is log(1+t), accurate near 0.
func (t *Tensor) Log1p() *Tensor { return t.unary("Log1p", ir.OpLog1p) }

// Sin is the sine of t in radians.
func (t *Tensor) Sin() *Tensor { return t.unary("Sin", ir.OpSin) }

// Cos is the cosine of t in radians.
func (t *Tensor) Cos() *Tensor { return t.unary("Cos", ir.OpCos) }

// Tan is the tangent of t in radians.
func (t *Tensor) Tan() *Tensor { return t.unary("Tan", ir.OpTan) }

// Asin is the arc sine.
func (t *Tensor) Asin() *Tensor { return t.unary("Asin", ir.OpAsin) }

// Acos is the arc cosine.
func (t *Tensor) Acos() *Tensor { return t.unary("Acos", ir.OpAcos) }

// Atan is the arc tangent.
func (t *Tensor) Atan() *Tensor { return t.unary("Atan", ir.OpAtan) }

// Sinh is the hyperbolic sine.
func (t *Tensor) Sinh() *Tensor { return t.unary("Sinh", ir.OpSinh) }

// Cosh is the hyperbolic cosine.
func (t *Tensor) Cosh() *Tensor { return t.unary("Cosh", ir.OpCosh) }

// Tanh is the hyperbolic tangent.
func (t *Tensor) Tanh() *Tensor { return t.unary("Tanh", ir.OpTanh) }

// Erf is the error function.
func (t *Tensor) Erf() *Tensor { return t.unary("Erf", ir.OpErf) }

// Square is t * t.
func (t *Tensor) Square() *Tensor { return t.unary("Square", ir.OpSquare) }

// Reciprocal is 1 / t.
func (t *Tensor) Reciprocal() *Tensor { return t.unary("Reciprocal", ir.OpReciprocal) }

// Not is the logical not of bools, the bitwise complement of integers.
func (t *Tensor) Not() *Tensor { return t.unary("Not", ir.OpNot) }

// IsNaN tells which elements are NaN.
func (t *Tensor) IsNaN() *Tensor { return t.unary("IsNaN", ir.OpIsNaN) }

// IsFinite tells which elements are neither NaN nor an infinity.
func (t *Tensor) IsFinite() *Tensor { return t.unary("IsFinite", ir.OpIsFinite) }

// IsInf tells which elements are an infinity.
func (t *Tensor) IsInf() *Tensor {
	return t.compose("IsInf", func(s *scope, x term) term {
		return s.op(ir.OpEq, []term{s.op(ir.OpAbs, []term{x}), number(x, math.Inf(1))})
	})
}

// To converts to another element type: to a float rounding to nearest, to an
// integer truncating and saturating.
func (t *Tensor) To(dt tensor.DType) *Tensor {
	return do("To", []any{t}, func(s *scope, x []term) term {
		if !ir.Anything.Has(dt) {
			s.rec.fail("not an element type", ir.Anything.String(), dt.String(), "")
		}
		return s.to(x[0], dt)
	})
}

// Sigmoid is 1 / (1 + e**-t).
func (t *Tensor) Sigmoid() *Tensor { return t.unary("Sigmoid", ir.OpSigmoid) }

// Relu is max(t, 0).
func (t *Tensor) Relu() *Tensor { return t.unary("Relu", ir.OpRelu) }

// Silu is t * sigmoid(t).
func (t *Tensor) Silu() *Tensor { return t.unary("Silu", ir.OpSilu) }

// Gelu is 0.5 * t * (1 + erf(t / sqrt 2)).
func (t *Tensor) Gelu() *Tensor { return t.unary("Gelu", ir.OpGelu) }

// GeluTanh is Gelu's approximation by tanh.
func (t *Tensor) GeluTanh() *Tensor {
	return t.compose("GeluTanh", func(s *scope, x term) term {
		return s.op(ir.OpGelu, []term{x}, attr("approximate", "tanh"))
	})
}

// Softplus is log(1 + e**t).
func (t *Tensor) Softplus() *Tensor {
	return t.compose("Softplus", func(s *scope, x term) term {
		decay := s.op(ir.OpExp, []term{s.op(ir.OpNeg, []term{s.op(ir.OpAbs, []term{x})})})
		return s.op(ir.OpAdd, []term{s.op(ir.OpRelu, []term{x}), s.op(ir.OpLog1p, []term{decay})})
	})
}

// LeakyRelu is t where it is positive, slope * t elsewhere.
func (t *Tensor) LeakyRelu(slope float64) *Tensor {
	return t.compose("LeakyRelu", func(s *scope, x term) term {
		return s.op(ir.OpSelect, []term{s.op(ir.OpGt, []term{x, number(x, 0)}), x, s.op(ir.OpMul, []term{x, number(x, slope)})})
	})
}

// Elu is t where it is positive, alpha * (e**t - 1) elsewhere.
func (t *Tensor) Elu(alpha float64) *Tensor {
	return t.compose("Elu", func(s *scope, x term) term {
		low := s.op(ir.OpMul, []term{s.op(ir.OpExpm1, []term{x}), number(x, alpha)})
		return s.op(ir.OpSelect, []term{s.op(ir.OpGt, []term{x, number(x, 0)}), x, low})
	})
}
