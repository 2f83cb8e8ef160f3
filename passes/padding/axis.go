package padding

import (
	"fmt"
	"math"
	"slices"

	"jitc/ir"
	"jitc/ir/dim"
	"jitc/ir/tensor"
)

// An axis of a value is one part, or several that a reshape merged, outermost
// first, where padding lies between kept elements. With S padded from 2 to 3:
//
//	axes [B][S]    k k .      axis [B,S]    k k . k k . k k .
//	               k k .
//	               k k .      axis [S]      k k .
type axis struct {
	parts []part
	by    *ir.Value // the reshape that merged several parts
}

// part is an axis in its own right: what is kept is its leading elements.
type part struct {
	size   dim.Expr
	padded bool // the size depends on the symbol
	// uniform: elements do not depend on the index along the part, so that they are
	// right wherever padding lies.
	uniform bool
	// fill is the scalar that all elements hold whose index along the part is in its
	// padding; nil: anything.
	fill *tensor.Tensor
}

func (a axis) padded() bool {
	return slices.ContainsFunc(a.parts, func(p part) bool { return p.padded })
}

func (a axis) uniform() bool {
	return !slices.ContainsFunc(a.parts, func(p part) bool { return !p.uniform })
}

// part is the only part of an axis that is not interleaved.
func (a axis) part() part {
	if len(a.parts) != 1 {
		panic(fmt.Sprintf("BUG: padding: an axis of %d parts", len(a.parts)))
	}
	return a.parts[0]
}

// interleaved reports whether padding lies between kept elements.
func (a axis) interleaved() bool { return len(a.parts) > 1 }

func oneAxis(p part) axis { return axis{parts: []part{p}} }

// withFill is the axis with other fills, by part; nil: none is known.
func (a axis) withFill(fill func(p part) *tensor.Tensor) axis {
	out := axis{parts: slices.Clone(a.parts), by: a.by}
	for i, p := range out.parts {
		out.parts[i].fill = nil
		if fill != nil && p.padded {
			out.parts[i].fill = fill(p)
		}
	}
	return out
}

// withoutFill forgets what padding holds.
func withoutFill(axes []axis) []axis {
	out := make([]axis, len(axes))
	for i, a := range axes {
		out[i] = a.withFill(nil)
	}
	return out
}

// fillOnly keeps what is known of padding only where it is the scalar c.
func fillOnly(a axis, c *tensor.Tensor) axis {
	return a.withFill(func(p part) *tensor.Tensor {
		if same(p.fill, c) {
			return c
		}
		return nil
	})
}

// same reports whether both scalars are there and of the same bits.
func same(a, b *tensor.Tensor) bool {
	if a == nil || b == nil || a.DType() != b.DType() {
		return false
	}
	x, _ := a.Bytes()
	y, _ := b.Bytes()
	return slices.Equal(x, y)
}

// uniformAxes are axes along which nothing depends on the index.
func uniformAxes(axes []axis) []axis {
	out := make([]axis, len(axes))
	for i, a := range axes {
		out[i] = axis{parts: slices.Clone(a.parts), by: a.by}
		for j := range out[i].parts {
			out[i].parts[j].uniform = true
		}
	}
	return out
}

// partOf is a part of which nothing is known but its size.
func (w *walker) partOf(size dim.Expr) part { return part{size: size, padded: w.depends(size)} }

// plain is one part per axis of v, with unknown padding.
func (w *walker) plain(v *ir.Value) ([]axis, error) {
	axes := make([]axis, v.Type.Rank())
	for i, e := range v.Type.Shape {
		axes[i] = oneAxis(w.partOf(e))
	}
	return axes, w.sizesGrow(v)
}

// padded lists the axes of t whose sizes depend on the symbol.
func (w *walker) padded(t ir.Type) []Axis {
	out := []Axis{}
	for i, e := range t.Shape {
		if w.depends(e) {
			out = append(out, Axis{Axis: i, Size: e})
		}
	}
	return out
}

// depends reports whether a size is another one for another value of the symbol.
func (w *walker) depends(e dim.Expr) bool {
	if _, ok := e.Const(); ok {
		return false
	}
	if !slices.ContainsFunc(e.Syms(), func(s string) bool { return w.tied[s] }) {
		return false
	}
	return slices.Contains(w.facts.Simplify(e).Syms(), w.sym)
}

// sizesGrow checks that no size of v shrinks where the symbol grows: what is kept
// would not be there.
func (w *walker) sizesGrow(v *ir.Value) error {
	for i, e := range v.Type.Shape {
		if w.depends(e) && !w.grow(e) {
			return w.refuse(v, w.leaveOut(), "has the size %s on axis %d, which is not known to grow with %s", e, i, w.sym)
		}
	}
	return nil
}

// grow reports whether it is provable that e does not shrink where the symbol
// grows by any amount.
func (w *walker) grow(e dim.Expr) bool {
	if known, ok := w.grows[e.Key()]; ok {
		return known
	}
	facts := w.facts.Clone()
	if err := facts.Declare(w.ahead, 0, math.MaxInt64); err != nil {
		panic("BUG: padding: " + err.Error())
	}
	from := w.facts.Simplify(e)
	to := from.Subst(map[string]dim.Expr{w.sym: dim.Sym(w.sym).Add(dim.Sym(w.ahead))})
	w.grows[e.Key()] = facts.LessEq(from, to)
	return w.grows[e.Key()]
}

// kept checks that a result's padding comes after what is kept.
func (w *walker) kept(r *ir.Value) error {
	for i, a := range w.axes[r] {
		if a.interleaved() && !a.uniform() {
			return w.refuse(a.by, w.leaveOut(), "leaves padding between kept elements on axis %d of a result", i)
		}
	}
	return nil
}

// wantWhole checks that an axis of an operand is not interleaved.
func (w *walker) wantWhole(v *ir.Value, arg, at int) error {
	a := w.axes[v.Args[arg]][at]
	if !a.interleaved() {
		return nil
	}
	return w.refuse(v, fmt.Sprintf("reshape at %s merges it; keep its axes apart", a.by.Pos),
		"needs axis %d, where padding lies between kept elements", at)
}

// join is the axes of values that meet element by element: v's result has the
// axes of each of them. Where both are known, padding keeps its place; fills are
// lost.
func (w *walker) join(v *ir.Value, first []axis, others ...[]axis) ([]axis, error) {
	out := withoutFill(first)
	for _, o := range others {
		for i := range out {
			j, ok := w.joinAxis(out[i], o[i])
			if !ok {
				return nil, w.refuse(v, w.leaveOut(), "meets operands whose padding lies in different places on axis %d", i)
			}
			out[i] = j
		}
	}
	return out, nil
}

func (w *walker) joinAxis(a, b axis) (axis, bool) {
	switch {
	case a.uniform():
		return b.withFill(nil), true
	case b.uniform():
		return a.withFill(nil), true
	case !a.padded() && !b.padded():
		return a.withFill(nil), true
	case len(a.parts) != len(b.parts):
		return a, false
	}
	out := a.withFill(nil)
	for i := range out.parts {
		if !ir.SizeEqual(w.facts, a.parts[i].size, b.parts[i].size) {
			return a, false
		}
		out.parts[i].uniform = a.parts[i].uniform && b.parts[i].uniform
	}
	return out, true
}
