package trace

import (
	"fmt"
	"slices"

	"jitc/ir"
	"jitc/ir/dim"
	"jitc/ir/tensor"
)

// slice is the elements from, from+step, ... below to of an axis; the bounds are
// known to be in order.
func (s *scope) slice(x term, axis int, from, to dim.Expr, step int64) term {
	starts, steps := make([]dim.Expr, x.rank()), make([]int64, x.rank())
	limits := slices.Clone(x.shape())
	for i := range steps {
		steps[i] = 1
	}
	starts[axis], limits[axis], steps[axis] = from, to, step
	attrs := []ir.Attr{attr("starts", starts), attr("limits", limits)}
	if step != 1 {
		attrs = append(attrs, attr("strides", steps))
	}
	return s.op(ir.OpSlice, []term{x}, attrs...)
}

// Slice is the elements from <= i < to of an axis. As in Python, negative integers
// count from the end and bounds beyond an end stop there; End is the end.
func (t *Tensor) Slice(axis int, from, to Extent) *Tensor { return t.SliceStep(axis, from, to, 1) }

// SliceStep is every step-th element of Slice; step is at least 1.
func (t *Tensor) SliceStep(axis int, from, to Extent, step int) *Tensor {
	return t.onShape("Slice", []Extent{from, to}, func(s *scope, x term, b []dim.Expr) term {
		a := s.axis(axis, x.rank())
		if step < 1 {
			s.rec.fail("the step is not positive", "at least 1", fmt.Sprint(step), "reverse with Flip")
		}
		n := x.size(a)
		lo, hi := s.bound(b[0], n), s.bound(b[1], n)
		if !s.rec.decide(dim.Le(lo, hi), "the slice does not end before it starts") {
			hi = lo
		}
		if step == 1 && s.whole(lo, hi, n) {
			return x
		}
		return s.slice(x, a, lo, hi, int64(step))
	})
}

func (s *scope) whole(lo, hi, n dim.Expr) bool {
	return lo.Equal(dim.Const(0)) && s.rec.facts.Equal(hi, n)
}

// bound resolves a bound of a slice of n elements.
func (s *scope) bound(e, n dim.Expr) dim.Expr {
	zero := dim.Const(0)
	if c, ok := e.Const(); ok && c == End {
		return n
	} else if ok && c < 0 {
		e = n.Add(e)
	}
	switch {
	case !s.rec.decide(dim.Ge(e, zero), "the bound is in the axis"):
		return zero
	case !s.rec.decide(dim.Le(e, n), "the bound is in the axis"):
		return n
	}
	return e
}

// Narrow is length elements of an axis from start on, which must be there.
func (t *Tensor) Narrow(axis int, start, length Extent) *Tensor {
	return t.onShape("Narrow", []Extent{start, length}, func(s *scope, x term, b []dim.Expr) term {
		a := s.axis(axis, x.rank())
		lo, hi, n := b[0], b[0].Add(b[1]), x.size(a)
		inside := []dim.Constraint{dim.Ge(lo, dim.Const(0)), dim.Ge(b[1], dim.Const(0)), dim.Le(hi, n)}
		for _, c := range inside {
			if !s.rec.decide(c, "the elements are in the axis") {
				s.rec.fail("the elements are not all in the axis", fmt.Sprintf("0 <= start, start + length <= %s", n),
					fmt.Sprintf("start %s, length %s", lo, b[1]), "")
			}
		}
		if s.whole(lo, hi, n) {
			return x
		}
		return s.slice(x, a, lo, hi, 1)
	})
}

// Index is element i of an axis, which is dropped. i is an Extent (a negative integer
// counts from the end), which must be in the axis, or an integer tensor of rank 0,
// which is clamped into it.
func (t *Tensor) Index(axis int, i Operand) *Tensor {
	if at, ok := i.(*Tensor); ok {
		return do("Index", []any{t, at}, func(s *scope, x []term) term {
			if x[1].rank() != 0 {
				s.rec.fail("the index is not a scalar", "a tensor of rank 0", x[1].typ().String(), "use Take")
			}
			return s.op(ir.OpGather, x, attr("axis", int64(s.axis(axis, x[0].rank()))))
		})
	}
	return t.onShape("Index", []Extent{i}, func(s *scope, x term, b []dim.Expr) term {
		a, e := s.axis(axis, x.rank()), b[0]
		n := x.size(a)
		if c, ok := e.Const(); ok && c < 0 {
			e = n.Add(e)
		}
		if !s.rec.decide(dim.Ge(e, dim.Const(0)), "the index is in the axis") || !s.rec.decide(dim.Lt(e, n), "the index is in the axis") {
			s.rec.fail("index out of range", fmt.Sprintf("less than %s", n), b[0].String(), "")
		}
		part := s.slice(x, a, e, e.Add(dim.Const(1)), 1)
		return s.reshape(part, slices.Delete(slices.Clone(x.shape()), a, a+1))
	})
}

// Select is Index.
func (t *Tensor) Select(axis int, i Operand) *Tensor { return t.Index(axis, i) }

// Split cuts an axis into parts of the given sizes, which must add up to it.
func (t *Tensor) Split(axis int, sizes ...Extent) []*Tensor {
	given, err := extents(sizes)
	if err == nil && len(given) == 0 {
		err = &Error{What: "no parts", Expected: "at least one size"}
	}
	if err != nil {
		current().abort(named(err, "Split"))
		return failures(max(len(sizes), 1), err)
	}
	return doAll("Split", len(given), sizesAs([]any{t}, given...), func(s *scope, x []term) []term {
		a, at := s.axis(axis, x[0].rank()), dim.Const(0)
		var cuts []dim.Expr
		for _, g := range given {
			if !s.rec.decide(dim.Ge(g.e, dim.Const(0)), "a part is not negative") {
				s.rec.fail("a part is negative", "sizes >= 0", g.String(), "")
			}
			at = at.Add(g.e)
			cuts = append(cuts, at)
		}
		if !s.rec.equal(at, x[0].size(a), "the parts make the axis") {
			s.rec.fail("the parts do not make the axis", x[0].size(a).String(), at.String(), "")
		}
		return s.cut(x[0], a, cuts)
	})
}

// cut slices an axis at increasing places.
func (s *scope) cut(x term, axis int, ends []dim.Expr) []term {
	out := make([]term, len(ends))
	from := dim.Const(0)
	for i, to := range ends {
		if s.whole(from, to, x.size(axis)) {
			out[i] = x
		} else {
			out[i] = s.slice(x, axis, from, to, 1)
		}
		from = to
	}
	return out
}

// Chunk cuts an axis into n equal parts; n must divide its size.
func (t *Tensor) Chunk(n, axis int) []*Tensor {
	if n < 1 {
		return []*Tensor{failedHere(&Error{Op: "Chunk", What: "the number of parts is not positive", Got: fmt.Sprint(n)})}
	}
	return doAll("Chunk", n, []any{t}, func(s *scope, x []term) []term {
		a := s.axis(axis, x[0].rank())
		size := x[0].size(a)
		if !s.rec.decide(dim.Divisible(size, int64(n)), "the parts are equal") {
			s.rec.fail("the axis does not divide into equal parts", fmt.Sprintf("a multiple of %d", n), size.String(), "use Split")
		}
		part := s.rec.facts.Simplify(size.FloorDiv(dim.Const(int64(n))))
		ends := make([]dim.Expr, n)
		for i := range ends {
			ends[i] = part.Mul(dim.Const(int64(i + 1)))
		}
		return s.cut(x[0], a, ends)
	})
}

// Take is the elements of an axis at integer indices, clamped into it: of sizes
// t[:axis] + indices + t[axis+1:].
func (t *Tensor) Take(axis int, indices *Tensor) *Tensor {
	return do("Take", []any{t, indices}, func(s *scope, x []term) term {
		return s.op(ir.OpGather, x, attr("axis", int64(s.axis(axis, x[0].rank()))))
	})
}

// Gather is, for each index, the element of t at that place of an axis and the
// index's own place on the others, as torch.gather: both have the same rank and,
// but for the axis, the same sizes. Indices are clamped.
func (t *Tensor) Gather(axis int, indices *Tensor) *Tensor {
	return do("Gather", []any{t, indices}, func(s *scope, x []term) term {
		rank := x[0].rank()
		a := s.axis(axis, rank)
		if x[1].rank() != rank {
			s.rec.fail("the indices have another rank", fmt.Sprintf("rank %d", rank), typesOf(x), "for indices of any shape use Take")
		}
		for i := range rank {
			if i != a && !s.rec.equal(x[0].size(i), x[1].size(i), "sizes of the indices") {
				s.rec.fail(fmt.Sprintf("sizes differ on axis %d", i), x[0].typ().String(), x[1].typ().String(), "")
			}
		}
		toLast := moving(rank, a, rank-1)
		last := int64(rank - 1)
		y := s.op(ir.OpGather, []term{s.permute(x[0], toLast), s.permute(x[1], toLast)}, attr("axis", last), attr("batch_dims", last))
		return s.permute(y, moving(rank, rank-1, a))
	})
}

// Embedding is the rows of t, a table of rank 2, at integer ids.
func (t *Tensor) Embedding(ids *Tensor) *Tensor {
	return do("Embedding", []any{t, ids}, func(s *scope, x []term) term { return s.op(ir.OpEmbedding, x) })
}

// Pad adds low elements of value before and high ones after an axis.
func (t *Tensor) Pad(axis int, low, high Extent, value Operand) *Tensor {
	given, err := extents([]Extent{low, high})
	if err != nil {
		return failedHere(named(err, "Pad"))
	}
	return do("Pad", sizesAs([]any{t, value}, given...), func(s *scope, x []term) term {
		a := s.axis(axis, x[0].rank())
		for _, g := range given {
			if !s.rec.decide(dim.Ge(g.e, dim.Const(0)), "the padding is not negative") {
				s.rec.fail("the padding is negative", "at least 0", g.String(), "use Slice")
			}
		}
		xs := s.promote(x...)
		return s.pad(xs[0], a, given[0].e, given[1].e, xs[1])
	})
}

func (s *scope) pad(x term, axis int, low, high dim.Expr, value term) term {
	lows, highs := make([]dim.Expr, x.rank()), make([]dim.Expr, x.rank())
	lows[axis], highs[axis] = low, high
	return s.op(ir.OpPad, []term{x, value}, attr("low", lows), attr("high", highs))
}

// DynamicSlice is the part of t of the given sizes that starts at integer scalars,
// one for each axis (tensors of rank 0 or Go integers), clamped so that it fits.
func (t *Tensor) DynamicSlice(starts []Operand, sizes ...Extent) *Tensor {
	given, err := extents(sizes)
	if err != nil {
		return failedHere(named(err, "DynamicSlice"))
	}
	return do("DynamicSlice", sizesAs(append([]any{t}, starts...), given...), func(s *scope, x []term) term {
		if len(given) != x[0].rank() {
			s.rec.fail("wrong number of sizes", fmt.Sprintf("one for each axis of %s", x[0].typ()), fmt.Sprint(len(given)), "")
		}
		for i, g := range given {
			if !s.rec.decide(dim.Le(g.e, x[0].size(i)), "the part fits the tensor") {
				s.rec.fail("the part is larger than the tensor", x[0].typ().String(), ir.ShapeString(exprs(given)), "")
			}
		}
		return s.op(ir.OpDynamicSlice, append(x[:1:1], s.starts(x[0], x[1:])...), attr("sizes", exprs(given)))
	})
}

// DynamicUpdateSlice is t with the part that starts at integer scalars, one for each
// axis, replaced by update; the start is clamped so that it fits.
func (t *Tensor) DynamicUpdateSlice(update *Tensor, starts ...Operand) *Tensor {
	return do("DynamicUpdateSlice", append([]any{t, update}, starts...), func(s *scope, x []term) term {
		x[1] = s.to(x[1], x[0].dtype())
		if x[1].rank() != x[0].rank() {
			s.rec.fail("the update has another rank", fmt.Sprintf("rank %d", x[0].rank()), x[1].typ().String(), "")
		}
		for i, e := range x[1].shape() {
			if !s.rec.decide(dim.Le(e, x[0].size(i)), "the update fits the tensor") {
				s.rec.fail("the update is larger than the tensor", x[0].typ().String(), x[1].typ().String(), "")
			}
		}
		return s.op(ir.OpDynamicUpdateSlice, append(x[:2:2], s.starts(x[0], x[2:])...))
	})
}

// starts are start indices as i64 scalars.
func (s *scope) starts(x term, given []term) []term {
	if len(given) != x.rank() {
		s.rec.fail("wrong number of starts", fmt.Sprintf("one for each axis of %s", x.typ()), fmt.Sprint(len(given)), "")
	}
	out := make([]term, len(given))
	for i, g := range given {
		if !g.dtype().IsInt() {
			s.rec.fail("a start is not an integer", "an integer scalar", g.typ().String(), "")
		}
		out[i] = s.to(g, tensor.I64)
	}
	return out
}
