package trace

import (
	"jitc/ir"
	"jitc/ir/dim"
	"jitc/ir/tensor"
)

// binary broadcasts two operands, takes them to one element type and applies an op
// to each pair of elements.
func binary(name string, op ir.Op, a, b Operand) *Tensor {
	return do(name, []any{a, b}, func(s *scope, x []term) term { return s.binary(op, x[0], x[1]) })
}

func (s *scope) binary(op ir.Op, a, b term) term {
	xs := s.broadcast(s.promote(a, b)...)
	y := s.op(op, xs)
	y.weak = xs[0].weak && y.dtype() != tensor.Bool
	return y
}

// Add is t + o.
func (t *Tensor) Add(o Operand) *Tensor { return binary("Add", ir.OpAdd, t, o) }

// Sub is t - o.
func (t *Tensor) Sub(o Operand) *Tensor { return binary("Sub", ir.OpSub, t, o) }

// Mul is t * o.
func (t *Tensor) Mul(o Operand) *Tensor { return binary("Mul", ir.OpMul, t, o) }

// Div is t / o; of integers, in f32.
func (t *Tensor) Div(o Operand) *Tensor {
	return do("Div", []any{t, o}, func(s *scope, x []term) term {
		xs := s.promote(x...)
		return s.binary(ir.OpDiv, s.floats(xs[0]), s.floats(xs[1]))
	})
}

// FloorDivide is t / o rounded down.
func (t *Tensor) FloorDivide(o Operand) *Tensor {
	return do("FloorDivide", []any{t, o}, func(s *scope, x []term) term {
		xs := s.broadcast(s.promote(x...)...)
		q := s.op(ir.OpDiv, xs)
		switch {
		case q.dtype().IsFloat():
			return s.op(ir.OpFloor, []term{q})
		case !q.dtype().IsSigned():
			return q
		}
		down := s.unevenAndOpposite(s.op(ir.OpRem, xs), xs[1])
		return s.op(ir.OpSelect, []term{down, s.op(ir.OpSub, []term{q, splat(q, 1)}), q})
	})
}

// Rem is the remainder of the division rounded towards zero, with the sign of t:
// Go's %.
func (t *Tensor) Rem(o Operand) *Tensor { return binary("Rem", ir.OpRem, t, o) }

// Mod is the remainder of the division rounded down, with the sign of o.
func (t *Tensor) Mod(o Operand) *Tensor {
	return do("Mod", []any{t, o}, func(s *scope, x []term) term {
		xs := s.broadcast(s.promote(x...)...)
		r := s.op(ir.OpRem, xs)
		if r.dtype().IsUnsigned() {
			return r
		}
		return s.op(ir.OpSelect, []term{s.unevenAndOpposite(r, xs[1]), s.op(ir.OpAdd, []term{r, xs[1]}), r})
	})
}

// unevenAndOpposite tells where a remainder is not 0 and has another sign than the
// divisor: where rounding towards zero and down differ.
func (s *scope) unevenAndOpposite(r, divisor term) term {
	zero := splat(r, 0)
	opposite := s.op(ir.OpNe, []term{s.op(ir.OpLt, []term{r, zero}), s.op(ir.OpLt, []term{divisor, zero})})
	return s.op(ir.OpAnd, []term{s.op(ir.OpNe, []term{r, zero}), opposite})
}

// splat is an integer in every element, of x's type.
func splat(x term, n int64) term {
	switch {
	case x.dtype().IsFloat():
		return term{num: float64(n), t: x.typ()}
	case x.dtype() == tensor.Bool:
		return term{num: n != 0, t: x.typ()}
	}
	return term{num: n, t: x.typ()}
}

// Pow is t ** o. Of integers, o must be a constant of at least 0.
func (t *Tensor) Pow(o Operand) *Tensor {
	return do("Pow", []any{t, o}, func(s *scope, x []term) term {
		n, isInt := x[1].num.(int64)
		if xs := s.promote(x...); xs[0].dtype().IsFloat() {
			return s.binary(ir.OpPow, xs[0], xs[1])
		}
		if !isInt || n < 0 || x[1].rank() > 0 {
			s.rec.fail("a power of integers needs a constant exponent >= 0", "a Go integer", typesOf(x), "convert to a float type with To")
		}
		return s.integerPower(x[0], n)
	})
}

// integerPower multiplies by squares.
func (s *scope) integerPower(x term, n int64) term {
	y := splat(x, 1)
	for first := true; n > 0; n >>= 1 {
		if n&1 == 1 && first {
			y, first = x, false
		} else if n&1 == 1 {
			y = s.op(ir.OpMul, []term{y, x})
		}
		if n > 1 {
			x = s.op(ir.OpMul, []term{x, x})
		}
	}
	return y
}

// Maximum is the greater of t and o; NaN if either is.
func (t *Tensor) Maximum(o Operand) *Tensor { return binary("Maximum", ir.OpMax, t, o) }

// Minimum is the lesser of t and o; NaN if either is.
func (t *Tensor) Minimum(o Operand) *Tensor { return binary("Minimum", ir.OpMin, t, o) }

// Atan2 is the angle of the point (o, t).
func (t *Tensor) Atan2(o Operand) *Tensor {
	return do("Atan2", []any{t, o}, func(s *scope, x []term) term {
		xs := s.promote(x...)
		return s.binary(ir.OpAtan2, s.floats(xs[0]), s.floats(xs[1]))
	})
}

// And is the logical and of bools, the bitwise one of integers.
func (t *Tensor) And(o Operand) *Tensor { return binary("And", ir.OpAnd, t, o) }

// Or is the logical or of bools, the bitwise one of integers.
func (t *Tensor) Or(o Operand) *Tensor { return binary("Or", ir.OpOr, t, o) }

// Xor is the exclusive or of bools, the bitwise one of integers.
func (t *Tensor) Xor(o Operand) *Tensor { return binary("Xor", ir.OpXor, t, o) }

// Shl is t * 2**o, wrapped.
func (t *Tensor) Shl(o Operand) *Tensor { return binary("Shl", ir.OpShl, t, o) }

// Shr is t shifted right by o.
func (t *Tensor) Shr(o Operand) *Tensor { return binary("Shr", ir.OpShr, t, o) }

// Eq tells where t == o.
func (t *Tensor) Eq(o Operand) *Tensor { return binary("Eq", ir.OpEq, t, o) }

// Ne tells where t != o.
func (t *Tensor) Ne(o Operand) *Tensor { return binary("Ne", ir.OpNe, t, o) }

// Lt tells where t < o.
func (t *Tensor) Lt(o Operand) *Tensor { return binary("Lt", ir.OpLt, t, o) }

// Le tells where t <= o.
func (t *Tensor) Le(o Operand) *Tensor { return binary("Le", ir.OpLe, t, o) }

// Gt tells where t > o.
func (t *Tensor) Gt(o Operand) *Tensor { return binary("Gt", ir.OpGt, t, o) }

// Ge tells where t >= o.
func (t *Tensor) Ge(o Operand) *Tensor { return binary("Ge", ir.OpGe, t, o) }

// Clamp is min(max(t, lo), hi), of t's element type.
func (t *Tensor) Clamp(lo, hi Operand) *Tensor {
	return do("Clamp", []any{t, lo, hi}, func(s *scope, x []term) term { return s.op(ir.OpClamp, s.broadcast(s.promote(x...)...)) })
}

// Where is a where cond is true, b elsewhere; the three are broadcast.
func Where(cond *Tensor, a, b Operand) *Tensor {
	return do("Where", []any{cond, a, b}, func(s *scope, x []term) term {
		if x[0].dtype() != tensor.Bool {
			s.rec.fail("the condition is not bool", "bool", x[0].typ().String(), "compare it, for example with Ne(0)")
		}
		ab := s.promote(x[1], x[2])
		xs := s.broadcast(x[0], ab[0], ab[1])
		y := s.op(ir.OpSelect, xs)
		y.weak = ab[0].weak
		return y
	})
}

// Select is Where: a where p is true, b elsewhere, both computed. Cond computes
// only one.
func Select(p *Tensor, a, b Operand) *Tensor { return Where(p, a, b) }

// MaskedFill is t with value where mask is true.
func (t *Tensor) MaskedFill(mask *Tensor, value Operand) *Tensor { return Where(mask, value, t) }

// Lerp is t + weight * (end - t).
func (t *Tensor) Lerp(end, weight Operand) *Tensor {
	return do("Lerp", []any{t, end, weight}, func(s *scope, x []term) term {
		xs := s.broadcast(s.promote(x...)...)
		return s.op(ir.OpAdd, []term{xs[0], s.op(ir.OpMul, []term{xs[2], s.op(ir.OpSub, []term{xs[1], xs[0]})})})
	})
}

// Tril is t with zeros above diagonal k of its last two axes (k > 0 lies above the
// main one).
func (t *Tensor) Tril(k int) *Tensor { return t.triangle("Tril", ir.OpGe, k) }

// Triu is t with zeros below diagonal k of its last two axes.
func (t *Tensor) Triu(k int) *Tensor { return t.triangle("Triu", ir.OpLe, k) }

func (t *Tensor) triangle(name string, keep ir.Op, k int) *Tensor {
	return do(name, []any{t}, func(s *scope, x []term) term {
		n := x[0].rank()
		if n < 2 {
			s.rec.fail("rank is too low", "rank 2 or more", x[0].typ().String(), "")
		}
		at := ir.T(tensor.I64, x[0].shape()[n-2:]...)
		row := s.op(ir.OpAdd, []term{s.iota(at, 0), {num: int64(k), t: at}})
		mask := s.toShape(s.op(keep, []term{row, s.iota(at, 1)}), x[0].shape())
		return s.op(ir.OpSelect, []term{mask, x[0], splat(x[0], 0)})
	})
}

// isOne reports whether a size is known to be 1.
func (s *scope) isOne(e dim.Expr) bool { return s.rec.facts.Equal(e, dim.Const(1)) }
