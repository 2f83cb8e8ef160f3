package padding

import (
	"slices"

	"jitc/ir"
	"jitc/ir/dim"
	"jitc/ir/tensor"
)

// reshape: the parts of the operand's axes and the axes of the result are cut
// into groups of equal products, each of which is a reshape by itself:
//
//	[B, S, 4, 3] -> [B*S, 12]     groups [B, S] -> [B*S] and [4, 3] -> [12]
//
// A group that becomes one axis is merged. One in which only the outermost sizes
// depend on the symbol keeps padding last: [4*B] -> [B, 4]. In any other, such as
// [2*B] -> [2, B], kept elements change places.
func reshape(w *walker, v *ir.Value) ([]axis, error) {
	var from []part
	for _, a := range w.axes[v.Args[0]] {
		for _, p := range a.parts {
			if !isOne(p.size) {
				from = append(from, p)
			}
		}
	}
	out, to := make([]axis, v.Type.Rank()), []int{}
	for i, e := range v.Type.Shape {
		out[i] = oneAxis(part{size: e})
		if !isOne(e) {
			to = append(to, i)
		}
	}
	for len(from)+len(to) > 0 {
		n, m := w.cut(from, to, v.Type.Shape)
		if err := w.regroup(v, from[:n], to[:m], out); err != nil {
			return nil, err
		}
		from, to = from[n:], to[m:]
	}
	return out, nil
}

func isOne(e dim.Expr) bool { return e.Equal(dim.Const(1)) }

// cut finds the least leading groups of equal products; all that is left if there
// are no others.
func (w *walker) cut(from []part, to []int, shape []dim.Expr) (n, m int) {
	for n, left := 0, dim.Const(1); n < len(from); n++ {
		left = left.Mul(from[n].size)
		for m, right := 0, dim.Const(1); m < len(to); m++ {
			if right = right.Mul(shape[to[m]]); ir.SizeEqual(w.facts, left, right) {
				return n + 1, m + 1
			}
		}
	}
	return len(from), len(to)
}

// regroup fills in the result's axes, at places to, that a group of parts becomes.
func (w *walker) regroup(v *ir.Value, from []part, to []int, out []axis) error {
	parts := make([]part, len(to))
	for i, at := range to {
		parts[i] = w.partOf(v.Type.Shape[at])
	}
	padded := func(p part) bool { return p.padded }
	switch {
	case len(to) == 1 && len(from) > 0:
		out[to[0]] = w.merged(v, from, parts[0])
		return nil
	case !slices.ContainsFunc(from, func(p part) bool { return !p.uniform }):
		for i := range parts {
			parts[i].uniform = true
			parts[i].fill = commonFill(from)
		}
	case slices.ContainsFunc(from[1:], padded) || len(parts) == 0 || slices.ContainsFunc(parts[1:], padded):
		return w.refuse(v, "make it the outermost of the axes that are split or merged",
			"moves padding among kept elements: %s to %s", v.Args[0].Type, v.Type)
	default:
		parts[0].fill = from[0].fill
	}
	for i, at := range to {
		out[at] = oneAxis(parts[i])
	}
	return w.sizesGrow(v)
}

// merged is the axis p that parts become: one part if padding stays last in it.
func (w *walker) merged(v *ir.Value, from []part, p part) axis {
	if len(from) == 1 {
		p.uniform, p.fill = from[0].uniform, from[0].fill
		return oneAxis(p)
	}
	a := axis{parts: slices.Clone(from), by: v}
	p.uniform = a.uniform()
	switch {
	case p.uniform:
		p.fill = commonFill(from)
	case slices.ContainsFunc(from[1:], func(p part) bool { return p.padded }):
		return a
	default:
		p.fill = from[0].fill
	}
	return oneAxis(p)
}

// commonFill is the fill of all parts, along which nothing depends on the index: of
// one that is not padded there is none.
func commonFill(parts []part) *tensor.Tensor {
	for _, p := range parts {
		if p.padded {
			return p.fill
		}
	}
	return nil
}
