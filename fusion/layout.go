package fusion

import (
	"jitc/ir"
	"jitc/ir/dim"
)

// layout says where a view's elements are in its root's row-major buffer: the
// element at index i is at an offset plus sum(i[k] * strides[k]). The offset is
// of no interest here. Nil strides are row-major ones.
type layout struct{ strides []dim.Expr }

// of returns the strides for a shape.
func (l layout) of(shape []dim.Expr) []dim.Expr {
	if l.strides != nil {
		return l.strides
	}
	s := make([]dim.Expr, len(shape))
	step := dim.Const(1)
	for i := len(shape) - 1; i >= 0; i-- {
		s[i] = step
		step = step.Mul(shape[i])
	}
	return s
}

// layoutRules have one row per view: the layout of v given its operand's; ok is
// false where the addresses are not affine in the index.
var layoutRules = map[ir.Op]func(v *ir.Value, x layout, facts *dim.Facts) (layout, bool){
	ir.OpReshape:   reshapeLayout,
	ir.OpTranspose: transposeLayout,
	ir.OpBroadcast: broadcastLayout,
	ir.OpSlice:     sliceLayout,
	ir.OpReverse:   reverseLayout,
}

// viewLayout is the layout of a view; ok is false where there is none.
func viewLayout(v *ir.Value, x layout, facts *dim.Facts) (layout, bool) {
	rule := layoutRules[v.Op]
	if rule == nil {
		return layout{}, false
	}
	return rule(v, x, facts)
}

func transposeLayout(v *ir.Value, x layout, _ *dim.Facts) (layout, bool) {
	from := x.of(v.Args[0].Type.Shape)
	s := make([]dim.Expr, len(from))
	for i, p := range v.Attrs.Ints("perm") {
		s[i] = from[p]
	}
	return layout{s}, true
}

func broadcastLayout(v *ir.Value, x layout, facts *dim.Facts) (layout, bool) {
	operand := v.Args[0].Type.Shape
	from := x.of(operand)
	s := make([]dim.Expr, len(v.Type.Shape)) // 0: repeated
	for i, a := range v.Attrs.Ints("axes") {
		if ir.SizeEqual(facts, operand[i], v.Type.Shape[a]) {
			s[a] = from[i]
		}
	}
	return layout{s}, true
}

func sliceLayout(v *ir.Value, x layout, _ *dim.Facts) (layout, bool) {
	from := x.of(v.Args[0].Type.Shape)
	steps := v.Attrs.Ints("strides")
	s := make([]dim.Expr, len(from))
	for i := range from {
		s[i] = from[i]
		if steps != nil {
			s[i] = from[i].Mul(dim.Const(steps[i]))
		}
	}
	return layout{s}, true
}

func reverseLayout(v *ir.Value, x layout, _ *dim.Facts) (layout, bool) {
	s := append([]dim.Expr{}, x.of(v.Type.Shape)...)
	for _, a := range v.Attrs.Ints("axes") {
		s[a] = s[a].Neg()
	}
	return layout{s}, true
}

// reshapeLayout splits axes freely, but joins them only where they lie one
// within the other: [H,D] with strides [S*D, 1] is not one axis of H*D elements.
func reshapeLayout(v *ir.Value, x layout, facts *dim.Facts) (layout, bool) {
	if x.strides == nil {
		return x, true
	}
	from, to := v.Args[0].Type.Shape, v.Type.Shape
	out := make([]dim.Expr, len(to))
	for i, j := 0, 0; i < len(from) || j < len(to); {
		a, b := sameProduct(from[i:], to[j:], facts)
		inner, ok := joined(from[i:i+a], x.strides[i:i+a], facts)
		if !ok {
			return layout{}, false
		}
		for k := j + b - 1; k >= j; k-- {
			out[k] = inner
			inner = inner.Mul(to[k])
		}
		i, j = i+a, j+b
	}
	return layout{out}, true
}

// sameProduct returns the least numbers of leading sizes, at least one of both
// together, whose products are provably equal; all sizes if there are none.
func sameProduct(from, to []dim.Expr, facts *dim.Facts) (a, b int) {
	for n := 1; n < len(from)+len(to); n++ {
		for a := 0; a <= min(n, len(from)); a++ {
			if b := n - a; b <= len(to) && ir.SizeEqual(facts, dim.Product(from[:a]), dim.Product(to[:b])) {
				return a, b
			}
		}
	}
	return len(from), len(to)
}

// joined returns the stride of the axes taken as one; of no axes, 0.
func joined(shape, strides []dim.Expr, facts *dim.Facts) (dim.Expr, bool) {
	inner, step, first := dim.Const(0), dim.Const(0), true
	for i := len(shape) - 1; i >= 0; i-- {
		if n, ok := shape[i].Const(); ok && n == 1 {
			continue
		}
		if !first && !ir.SizeEqual(facts, strides[i], step) {
			return dim.Expr{}, false
		}
		if first {
			inner, first = strides[i], false
		}
		step = strides[i].Mul(shape[i])
	}
	return inner, true
}
