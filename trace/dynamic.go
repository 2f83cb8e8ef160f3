package trace

import (
	"jitc/ir"
	"jitc/ir/dim"
	"jitc/ir/tensor"
)

// Sizes that data decides: the trace goes on with a symbol, and the program learns
// its value when it runs. What must be known of such a size is stated with
// Size.InRange; it cannot be compared with the value at hand, for there is none.

// fresh is the symbol of a new size, with the attribute that defines it.
func (s *scope) fresh(name string) (dim.Expr, ir.Attr) {
	if s != s.rec.root {
		s.rec.fail("a size that data decides cannot come from a branch or loop body", "sizes known before",
			"", "compute it before Cond, While or Scan, or use a mask of known size")
	}
	u := s.rec.freshSym()
	return u, attr(name, []dim.Expr{u})
}

// Nonzero is the indices of the elements that are not zero, one row each, in
// row-major order: i64 of a size that data decides.
func (t *Tensor) Nonzero() *Tensor {
	return do("Nonzero", []any{t}, func(s *scope, x []term) term {
		_, count := s.fresh("count")
		return s.op(ir.OpNonzero, x, count)
	})
}

// MaskedSelect is the elements where mask, broadcast, is true, in row-major order:
// a vector of a size that data decides.
func (t *Tensor) MaskedSelect(mask *Tensor) *Tensor {
	return do("MaskedSelect", []any{t, mask}, func(s *scope, x []term) term {
		_, count := s.fresh("count")
		return s.op(ir.OpMaskedSelect, s.broadcast(x...), count)
	})
}

// RepeatInterleave is t with its part i along an axis repeated counts[i] times:
// of a size that data decides.
func (t *Tensor) RepeatInterleave(counts *Tensor, axis int) *Tensor {
	return do("RepeatInterleave", []any{t, counts}, func(s *scope, x []term) term {
		a := s.axis(axis, x[0].rank())
		if x[1].rank() == 1 {
			s.sameSize(x[0], x[1], a, 0, "one count for each part")
		}
		_, total := s.fresh("total")
		return s.op(ir.OpRepeat, []term{x[0], s.to(x[1], tensor.I64)}, attr("axis", int64(a)), total)
	})
}

// Item is the value of an integer tensor of one element as a size. In a trace it is
// a symbol whose value data decides, at least 0; bound it with InRange. Of a tensor
// that has no such value it is -1, and the trace ends.
func (t *Tensor) Item() Size {
	if !t.Traced() && current() == nil {
		return t.itemNow()
	}
	var u dim.Expr
	r := do("Item", []any{t}, func(s *scope, x []term) term {
		if !x[0].dtype().IsInt() {
			s.rec.fail("not an integer", "one integer", x[0].typ().String(), "convert it with To")
		}
		if !s.rec.equal(dim.Product(x[0].shape()), dim.Const(1), "one element") {
			s.rec.fail("not one element", "one integer", x[0].typ().String(), "")
		}
		var size ir.Attr
		u, size = s.fresh("size")
		return s.op(ir.OpSizeFrom, []term{s.reshape(s.to(x[0], tensor.I64), nil)}, size)
	})
	if r.Err() != nil {
		return SizeOf(-1)
	}
	return Size{e: u, rec: r.rec}
}

// itemNow is Item outside a trace.
func (t *Tensor) itemNow() Size {
	if h := t.Host(); h != nil && h.DType().IsInt() && h.NumElements() == 1 {
		return Size{e: dim.Const(tensor.Ints(h)[0])}
	}
	return SizeOf(-1)
}
