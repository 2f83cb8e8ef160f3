package trace

import (
	"fmt"
	"slices"

	"jitc/ir"
	"jitc/ir/dim"
	"jitc/ir/tensor"
)

func (s *scope) reshape(x term, shape []dim.Expr) term {
	if x.v == nil {
		return term{num: x.num, t: ir.T(x.t.DType, shape...), weak: x.weak}
	}
	if ir.ShapeEqual(s.rec.facts, x.shape(), shape) {
		return x
	}
	return term{v: s.emit(ir.OpReshape, []*ir.Value{x.v}, attr("shape", shape)), weak: x.weak}
}

// onShape is an op on one tensor that takes extents.
func (t *Tensor) onShape(name string, sizes []Extent, build func(s *scope, x term, sizes []dim.Expr) term) *Tensor {
	given, err := extents(sizes)
	if err != nil {
		return failedHere(named(err, name))
	}
	return do(name, sizesAs([]any{t}, given...), func(s *scope, x []term) term { return build(s, x[0], exprs(given)) })
}

// Reshape is t's elements, in row-major order, under other sizes. One of them may
// be -1: what is left.
func (t *Tensor) Reshape(sizes ...Extent) *Tensor {
	return t.onShape("Reshape", sizes, func(s *scope, x term, shape []dim.Expr) term {
		return s.reshape(x, s.fillRest(x, shape))
	})
}

// View is Reshape.
func (t *Tensor) View(sizes ...Extent) *Tensor { return t.Reshape(sizes...) }

// fillRest replaces the size -1 by what the others leave, and checks that the shape
// has as many elements as x.
func (s *scope) fillRest(x term, shape []dim.Expr) []dim.Expr {
	shape = slices.Clone(shape)
	rest, others := -1, dim.Const(1)
	for i, e := range shape {
		switch n, ok := e.Const(); {
		case ok && n == -1 && rest >= 0:
			s.rec.fail("more than one size is -1", "at most one", ir.ShapeString(shape), "")
		case ok && n == -1:
			rest = i
		case ok && n < 0:
			s.rec.fail("a size is negative", "sizes >= 0, or -1 for what is left", ir.ShapeString(shape), "")
		default:
			others = others.Mul(e)
		}
	}
	all := dim.Product(x.shape())
	mismatch := func() {
		s.rec.fail("the shapes have different numbers of elements", "as many as "+x.typ().String(), ir.ShapeString(shape), "")
	}
	if rest < 0 {
		if !s.rec.equal(all, others, "the shapes have equal numbers of elements") {
			mismatch()
		}
		return shape
	}
	q, ok := s.rec.facts.Quotient(all, others)
	if !ok {
		if !s.rec.decide(dim.Eq(all.Mod(others), dim.Const(0)), "the sizes divide the number of elements") {
			mismatch()
		}
		q = s.rec.facts.Simplify(all.FloorDiv(others))
	}
	shape[rest] = q
	return shape
}

// Flatten joins the axes from first to last into one.
func (t *Tensor) Flatten(first, last int) *Tensor {
	return do("Flatten", []any{t}, func(s *scope, x []term) term {
		if x[0].rank() == 0 {
			return s.reshape(x[0], constants(1))
		}
		a, b := s.axis(first, x[0].rank()), s.axis(last, x[0].rank())
		if a > b {
			s.rec.fail("the first axis is after the last", "first <= last", fmt.Sprintf("%d and %d", first, last), "")
		}
		shape := slices.Clone(x[0].shape())
		return s.reshape(x[0], slices.Replace(shape, a, b+1, dim.Product(shape[a:b+1])))
	})
}

// Ravel is t as a vector.
func (t *Tensor) Ravel() *Tensor { return t.Reshape(-1) }

// Permute is t with its axes in another order: axis i of the result is axis perm[i].
func (t *Tensor) Permute(perm ...int) *Tensor {
	return do("Permute", []any{t}, func(s *scope, x []term) term {
		if len(perm) != x[0].rank() {
			s.rec.fail("not a permutation of the axes", fmt.Sprintf("each of the %d axes once", x[0].rank()), fmt.Sprint(perm), "")
		}
		at := make([]int64, len(perm))
		for i, p := range perm {
			if at[i] = int64(s.axis(p, len(perm))); slices.Contains(at[:i], at[i]) {
				s.rec.fail("an axis is given twice", "each axis once", fmt.Sprint(perm), "")
			}
		}
		return s.permute(x[0], at)
	})
}

func (s *scope) permute(x term, perm []int64) term {
	if slices.IsSorted(perm) {
		return x
	}
	return s.op(ir.OpTranspose, []term{x}, attr("perm", perm))
}

// Transpose exchanges two axes.
func (t *Tensor) Transpose(a, b int) *Tensor {
	return do("Transpose", []any{t}, func(s *scope, x []term) term {
		i, j := s.axis(a, x[0].rank()), s.axis(b, x[0].rank())
		perm := identity(x[0].rank())
		perm[i], perm[j] = perm[j], perm[i]
		return s.permute(x[0], perm)
	})
}

// T is t with its axes reversed: of a matrix, the transpose.
func (t *Tensor) T() *Tensor {
	return do("T", []any{t}, func(s *scope, x []term) term {
		perm := identity(x[0].rank())
		slices.Reverse(perm)
		return s.permute(x[0], perm)
	})
}

// MoveAxis moves an axis to another place; the others keep their order.
func (t *Tensor) MoveAxis(from, to int) *Tensor {
	return do("MoveAxis", []any{t}, func(s *scope, x []term) term {
		i, j := s.axis(from, x[0].rank()), s.axis(to, x[0].rank())
		return s.permute(x[0], moving(x[0].rank(), i, j))
	})
}

// moving is the permutation that moves axis i to j.
func moving(rank, i, j int) []int64 {
	perm := identity(rank)
	perm = slices.Delete(perm, i, i+1)
	return slices.Insert(perm, j, int64(i))
}

func identity(n int) []int64 {
	perm := make([]int64, n)
	for i := range perm {
		perm[i] = int64(i)
	}
	return perm
}

// Unsqueeze adds an axis of size 1; -1 adds it at the end.
func (t *Tensor) Unsqueeze(axis int) *Tensor {
	return do("Unsqueeze", []any{t}, func(s *scope, x []term) term {
		a := s.axis(axis, x[0].rank()+1)
		return s.reshape(x[0], slices.Insert(slices.Clone(x[0].shape()), a, dim.Const(1)))
	})
}

// Squeeze drops axes of size 1: the given ones, or all there are.
func (t *Tensor) Squeeze(axes ...int) *Tensor {
	return do("Squeeze", []any{t}, func(s *scope, x []term) term {
		drop := map[int]bool{}
		for _, a := range axes {
			a = s.axis(a, x[0].rank())
			if !s.rec.equal(x[0].size(a), dim.Const(1), "an axis of size 1 is dropped") {
				s.rec.fail(fmt.Sprintf("axis %d is not of size 1", a), "size 1", x[0].typ().String(), "")
			}
			drop[a] = true
		}
		var shape []dim.Expr
		for i, e := range x[0].shape() {
			if !drop[i] && (len(axes) > 0 || !s.rec.equal(e, dim.Const(1), "axes of size 1 are dropped")) {
				shape = append(shape, e)
			}
		}
		return s.reshape(x[0], shape)
	})
}

// BroadcastTo repeats t to the given sizes, as NumPy does: from the last axis on,
// axes of size 1 are repeated. A size of -1 is t's own.
func (t *Tensor) BroadcastTo(sizes ...Extent) *Tensor { return t.expand("BroadcastTo", sizes) }

// Expand is BroadcastTo.
func (t *Tensor) Expand(sizes ...Extent) *Tensor { return t.expand("Expand", sizes) }

func (t *Tensor) expand(name string, sizes []Extent) *Tensor {
	return t.onShape(name, sizes, func(s *scope, x term, shape []dim.Expr) term {
		lead := len(shape) - x.rank()
		misfit := func() {
			s.rec.fail("the tensor does not broadcast to the sizes", ir.ShapeString(shape), x.typ().String(), "")
		}
		if lead < 0 {
			misfit()
		}
		shape = slices.Clone(shape)
		for i, e := range shape {
			if n, ok := e.Const(); ok && n == -1 && i >= lead {
				shape[i] = x.size(i - lead)
			} else if ok && n < 0 {
				misfit()
			}
			if i >= lead && !s.isOne(x.size(i-lead)) && !s.rec.equal(x.size(i-lead), shape[i], "the size to broadcast to") &&
				!s.rec.equal(x.size(i-lead), dim.Const(1), "an axis of size 1 is broadcast") {
				misfit()
			}
		}
		return s.toShape(x, shape)
	})
}

// BroadcastLike is BroadcastTo the sizes of o.
func (t *Tensor) BroadcastLike(o *Tensor) *Tensor {
	sizes := make([]Extent, o.Rank())
	for i, e := range o.Sizes() {
		sizes[i] = e
	}
	return t.expand("BroadcastLike", sizes)
}

// Tile repeats t as a whole, times[i] times along axis i of the last ones.
func (t *Tensor) Tile(times ...Extent) *Tensor {
	return t.onShape("Tile", times, func(s *scope, x term, times []dim.Expr) term {
		for x.rank() < len(times) {
			x = s.reshape(x, slices.Insert(slices.Clone(x.shape()), 0, dim.Const(1)))
		}
		for len(times) < x.rank() {
			times = slices.Insert(slices.Clone(times), 0, dim.Const(1))
		}
		var rows, wide, out []dim.Expr
		for i, e := range x.shape() {
			rows = append(rows, dim.Const(1), e)
			wide = append(wide, times[i], e)
			out = append(out, times[i].Mul(e))
		}
		return s.reshape(s.toShape(s.reshape(x, rows), wide), out)
	})
}

// Flip reverses the order of elements along axes, all of them if none is given.
func (t *Tensor) Flip(axes ...int) *Tensor {
	return do("Flip", []any{t}, func(s *scope, x []term) term {
		return s.op(ir.OpReverse, []term{x[0]}, attr("axes", s.axes(x[0], axes)))
	})
}

// Concat joins tensors along an axis; their element types meet as those of Add do.
func Concat(axis int, ts ...*Tensor) *Tensor { return concat("Concat", ts, axis, false) }

// Stack joins tensors of one shape along a new axis.
func Stack(axis int, ts ...*Tensor) *Tensor { return concat("Stack", ts, axis, true) }

func concat(name string, ts []*Tensor, axis int, stack bool) *Tensor {
	if len(ts) == 0 {
		return failedHere(&Error{Op: name, What: "no tensors", Expected: "at least one"})
	}
	return do(name, anys(ts), func(s *scope, x []term) term {
		xs := s.promote(x...)
		rank := xs[0].rank()
		if stack {
			rank++
		}
		a := s.axis(axis, rank)
		for i := range xs {
			s.alignRank(xs, i, a, stack)
			if stack {
				xs[i] = s.reshape(xs[i], slices.Insert(slices.Clone(xs[i].shape()), a, dim.Const(1)))
			}
		}
		if len(xs) == 1 {
			return xs[0]
		}
		return s.op(ir.OpConcat, xs, attr("axis", int64(a)))
	})
}

// alignRank decides that term i agrees with the first but for the joined axis.
func (s *scope) alignRank(xs []term, i, axis int, all bool) {
	first, x := xs[0], xs[i]
	if all && i > 0 { // the first has its new axis already
		shape := slices.Delete(slices.Clone(first.shape()), axis, axis+1)
		first = term{num: true, t: ir.T(first.dtype(), shape...)}
	}
	if x.rank() != first.rank() {
		s.rec.fail("tensors differ in rank", first.typ().String(), x.typ().String(), "")
	}
	for a, e := range x.shape() {
		if (all || a != axis) && !s.rec.equal(first.size(a), e, "joined tensors have equal sizes") {
			s.rec.fail(fmt.Sprintf("sizes differ on axis %d", a), first.typ().String(), x.typ().String(), "")
		}
	}
}

func anys(ts []*Tensor) []any {
	xs := make([]any, len(ts))
	for i, t := range ts {
		xs[i] = t
	}
	return xs
}

// Roll moves the elements along an axis by shift places; those that leave at the end
// enter at the start.
func (t *Tensor) Roll(shift, axis int) *Tensor {
	return do("Roll", []any{t}, func(s *scope, x []term) term {
		a := s.axis(axis, x[0].rank())
		n := x[0].size(a)
		cut := s.rec.facts.Simplify(dim.Const(-int64(shift)).Mod(n.Max(dim.Const(1))))
		if c, ok := cut.Const(); ok && c == 0 {
			return x[0]
		}
		tail, head := s.slice(x[0], a, cut, n, 1), s.slice(x[0], a, dim.Const(0), cut, 1)
		return s.op(ir.OpConcat, []term{tail, head}, attr("axis", int64(a)))
	})
}

// OneHot is, for integer indices, vectors along a new last axis of n elements that
// are one at the index, of element type dt.
func (t *Tensor) OneHot(n Extent, dt tensor.DType) *Tensor {
	return t.onShape("OneHot", []Extent{n}, func(s *scope, x term, n []dim.Expr) term {
		shape := append(slices.Clone(x.shape()), n[0])
		ids := s.toShape(s.reshape(s.to(x, tensor.I64), append(slices.Clone(x.shape()), dim.Const(1))), shape)
		return s.to(s.op(ir.OpEq, []term{ids, s.iota(ids.typ(), len(shape)-1)}), dt)
	})
}
