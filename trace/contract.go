package trace

import (
	"slices"

	"jitc/ir"
	"jitc/ir/dim"
)

// MatMul is the matrix product of the last two axes, the others broadcast, as
// torch.matmul: a vector on the left is a row, one on the right a column, and that
// axis is dropped from the result.
func (t *Tensor) MatMul(o *Tensor) *Tensor {
	return do("MatMul", []any{t, o}, func(s *scope, x []term) term {
		xs := s.promote(x...)
		return s.matmul(xs[0], xs[1])
	})
}

func (s *scope) matmul(a, b term) term {
	if a.rank() == 0 || b.rank() == 0 {
		s.rec.fail("a scalar has no matrix product", "rank 1 or more", typesOf([]term{a, b}), "use Mul")
	}
	row, column := a.rank() == 1, b.rank() == 1
	s.contracted(a, b, a.rank()-1, max(b.rank()-2, 0))
	if row && column {
		return s.op(ir.OpDotGeneral, []term{a, b}, attr("lhs_contract", []int64{0}), attr("rhs_contract", []int64{0}))
	}
	one := dim.Const(1)
	if row {
		a = s.reshape(a, []dim.Expr{one, a.size(0)})
	}
	if column {
		b = s.reshape(b, []dim.Expr{b.size(0), one})
	}
	a, b = s.batch(a, b)
	y := s.op(ir.OpMatmul, []term{a, b})
	return s.reshape(y, rowless(y.shape(), row, column))
}

// rowless is the shape of a product without the axes that vectors got.
func rowless(shape []dim.Expr, row, column bool) []dim.Expr {
	n := len(shape)
	out := slices.Clone(shape[:n-2])
	if !row {
		out = append(out, shape[n-2])
	}
	if !column {
		out = append(out, shape[n-1])
	}
	return out
}

// contracted decides that two axes which are summed over have one size.
func (s *scope) contracted(a, b term, i, j int) {
	if !s.rec.equal(a.size(i), b.size(j), "inner dimensions are equal") {
		s.rec.fail("inner dimensions differ", a.size(i).String()+" == "+b.size(j).String(), typesOf([]term{a, b}), transposeHint(s, a, b, i))
	}
}

// transposeHint says whether the right operand's transpose would fit.
func transposeHint(s *scope, a, b term, i int) string {
	if b.rank() >= 2 && s.rec.facts.Equal(a.size(i), b.size(b.rank()-1)) {
		return "transpose the second operand: Transpose(-1, -2)"
	}
	return ""
}

// batch broadcasts all axes but the last two; a matrix on the right stays one.
func (s *scope) batch(a, b term) (term, term) {
	if b.rank() == 2 && a.rank() >= 2 {
		return a, b
	}
	la, lb := a.shape()[:a.rank()-2], b.shape()[:b.rank()-2]
	lead := s.joinShape(la, lb, []term{a, b})
	grow := func(x term) term {
		return s.toShape(x, append(slices.Clone(lead), x.shape()[x.rank()-2:]...))
	}
	return grow(a), grow(b)
}

// Dot is the sum of products of two vectors.
func (t *Tensor) Dot(o *Tensor) *Tensor {
	return do("Dot", []any{t, o}, func(s *scope, x []term) term {
		xs := s.promote(x...)
		if xs[0].rank() != 1 || xs[1].rank() != 1 {
			s.rec.fail("not two vectors", "rank 1", typesOf(xs), "use MatMul")
		}
		return s.matmul(xs[0], xs[1])
	})
}

// Outer is the products of each element of one vector with each of another.
func (t *Tensor) Outer(o *Tensor) *Tensor {
	return do("Outer", []any{t, o}, func(s *scope, x []term) term {
		xs := s.promote(x...)
		if xs[0].rank() != 1 || xs[1].rank() != 1 {
			s.rec.fail("not two vectors", "rank 1", typesOf(xs), "")
		}
		return s.op(ir.OpDotGeneral, xs)
	})
}

// Linear is t[..., I] times the transpose of w[O, I], plus bias[O]; nil for none.
func (t *Tensor) Linear(w, bias *Tensor) *Tensor { return t.linear("Linear", w, bias, true) }

// Dense is Linear with w stored as [I, O].
func (t *Tensor) Dense(w, bias *Tensor) *Tensor { return t.linear("Dense", w, bias, false) }

func (t *Tensor) linear(name string, w, bias *Tensor, transposed bool) *Tensor {
	return do(name, optional([]*Tensor{t, w}, bias), func(s *scope, x []term) term {
		xs := s.promote(x...)
		in, out := 1, 0
		var attrs []ir.Attr
		if !transposed {
			in, out = 0, 1
			attrs = append(attrs, attr("transposed", false))
		}
		if xs[0].rank() >= 1 && xs[1].rank() == 2 {
			s.contracted(xs[0], xs[1], xs[0].rank()-1, in)
			if len(xs) == 3 && xs[2].rank() == 1 {
				s.sameSize(xs[1], xs[2], out, 0, "the bias has one element for each output")
			}
		}
		return s.op(ir.OpLinear, xs, attrs...)
	})
}

// sameSize decides that two axes have one size; the type rule says what is wrong
// where they have not.
func (s *scope) sameSize(a, b term, i, j int, why string) { s.rec.equal(a.size(i), b.size(j), why) }

// optional lists operands, and those that may be nil at the end as long as they are
// not.
func optional(needed []*Tensor, more ...*Tensor) []any {
	for len(more) > 0 && more[len(more)-1] == nil {
		more = more[:len(more)-1]
	}
	return anys(slices.Concat(needed, more))
}
