package padding

import (
	"fmt"
	"math"
	"slices"

	"jitc/ir"
	"jitc/ir/tensor"
)

// identity is what a reduction ignores: f for floats, n for integers and bool.
type identity struct {
	f float64
	n int64
}

// The identities that depend on the element type.
var (
	lowest  = identity{f: math.Inf(-1), n: math.MinInt64}
	highest = identity{f: math.Inf(1), n: math.MaxInt64}
)

// of is the identity as a scalar: an infinity, or an end of the range, is that of
// the element type.
func (id identity) of(dt tensor.DType) *tensor.Tensor {
	switch {
	case dt == tensor.F8E4M3 && math.IsInf(id.f, 0):
		return tensor.FloatScalar(dt, math.Copysign(448, id.f)) // it has no infinities
	case dt.IsFloat():
		return tensor.FloatScalar(dt, id.f)
	case id != lowest && id != highest:
		return tensor.IntScalar(dt, id.n)
	case dt.IsSigned():
		return tensor.IntScalar(dt, id.n>>(64-8*dt.Size()))
	case id == lowest:
		return tensor.IntScalar(dt, 0)
	}
	return tensor.IntScalar(dt, -1) // all bits set
}

// reduce is the rule of folds over whole axes: padded ones are masked. rounds says
// that the order of terms decides bits, for floats.
func reduce(id identity, rounds bool) rule {
	return func(w *walker, v *ir.Value) ([]axis, error) {
		c := id.of(v.Type.DType)
		axes := v.Attrs.Ints("axes")
		if v.Op == ir.OpReduceSum && v.Type.Rank() == 0 && same(scalarOf(v.Args[0]), identity{1, 1}.of(v.Type.DType)) {
			return nil, w.counted(v)
		}
		for _, a := range axes {
			of := w.axes[v.Args[0]][a]
			if !of.padded() {
				continue
			}
			if err := w.mask(v, 0, int(a), of.parts, c, fmt.Sprintf("folds axis %d", a)); err != nil {
				return nil, err
			}
			w.rounds(v, rounds)
		}
		var out []axis
		for i, a := range w.axes[v.Args[0]] {
			if !slices.Contains(axes, int64(i)) {
				out = append(out, fillOnly(a, c)) // a fold of identities is one, other folds count
			}
		}
		return out, nil
	}
}

// counted makes of v, the sum of as many ones as a shape has elements, the true
// number of them:
//
//	before  %1: f32[] = reduce_sum(ones of f32[S,2])
//	after   %1: f32[] = cast(2 * S.valid)
func (w *walker) counted(v *ir.Value) error {
	w.edits++
	size := v.Args[0].Type.Elements()
	n, err := w.trueSize(v, size)
	if err != nil {
		return err
	}
	_, hi := w.facts.Range(size)
	w.rounds(v, hi > 1<<24) // an f32 counts that far
	w.note(v, 0, 0, "the true "+size.String(), "counts elements")
	v.Op, v.Args, v.Attrs = ir.OpCast, []*ir.Value{n}, ir.NewAttrs(ir.Attr{Name: "dtype", Value: v.Type.DType})
	return nil
}

// rounds notes that v folds other terms, or the same in another order.
func (w *walker) rounds(v *ir.Value, rounds bool) {
	s := Site{Op: v.Op.String(), Pos: v.Pos}
	if w.whole != nil {
		s.Op = w.whole.Op.String()
	}
	if rounds && v.Type.DType.IsFloat() && !slices.Contains(w.rounded, s) {
		w.rounded = append(w.rounded, s)
	}
}

// dotGeneral: batch axes meet as those of a pointwise op do; of contracted ones
// the products in the padding must be 0.
func dotGeneral(w *walker, v *ir.Value) ([]axis, error) {
	lists := [2][2][]int64{
		{v.Attrs.Ints("lhs_batch"), v.Attrs.Ints("lhs_contract")},
		{v.Attrs.Ints("rhs_batch"), v.Attrs.Ints("rhs_contract")},
	}
	paired := func(list int) (lhs, rhs []axis) {
		return pickAxes(w.axes[v.Args[0]], lists[0][list]), pickAxes(w.axes[v.Args[1]], lists[1][list])
	}
	lhs, rhs := paired(0)
	out, err := w.join(v, lhs, rhs)
	if err != nil {
		return nil, err
	}
	lhs, rhs = paired(1)
	if _, err := w.join(v, lhs, rhs); err != nil {
		return nil, err
	}
	for i := range lists[0][1] {
		if err := w.contract(v, int(lists[0][1][i]), int(lists[1][1][i])); err != nil {
			return nil, err
		}
	}
	for side, x := range v.Args {
		for i, a := range w.axes[x] {
			if !slices.Contains(slices.Concat(lists[side][0], lists[side][1]), int64(i)) {
				out = append(out, a.withFill(nil))
			}
		}
	}
	return out, nil
}

func pickAxes(axes []axis, at []int64) []axis {
	out := make([]axis, len(at))
	for i, a := range at {
		out[i] = axes[a]
	}
	return out
}

// contract masks a pair of contracted axes with 0: of floats both operands, since
// 0 times NaN is NaN; of integers one.
func (w *walker) contract(v *ir.Value, left, right int) error {
	at := [2]int{left, right}
	of := [2]axis{w.axes[v.Args[0]][left], w.axes[v.Args[1]][right]}
	if !of[0].padded() {
		return nil
	}
	w.rounds(v, true)
	dt := v.Args[0].Type.DType
	zero := identity{}.of(dt)
	if !dt.IsFloat() && (holds(of[0], zero) || holds(of[1], zero)) {
		return nil
	}
	for side := range of {
		if err := w.mask(v, side, at[side], laidOn(of[side], of[1-side]), zero, fmt.Sprintf("contracts axis %d", at[side])); err != nil {
			return err
		}
		if !dt.IsFloat() {
			break
		}
	}
	return nil
}

// laidOn are the parts of an axis that meets another one: the other's, where
// nothing depends on the index along the first. What is not kept of both lies in
// the same places then.
func laidOn(a, other axis) []part {
	if !a.uniform() || !other.interleaved() {
		return a.parts
	}
	parts := slices.Clone(other.parts)
	for i := range parts {
		parts[i].uniform, parts[i].fill = true, commonFill(a.parts)
	}
	return parts
}

// holds reports whether all padding along an axis is the scalar c.
func holds(a axis, c *tensor.Tensor) bool {
	return !slices.ContainsFunc(a.parts, func(p part) bool { return p.padded && !same(p.fill, c) })
}
