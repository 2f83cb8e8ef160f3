package passes

import (
	"slices"

	"jitc/ir"
	"jitc/ir/tensor"
)

var reductions = ops(ir.OpReduceSum, ir.OpReduceProd, ir.OpReduceMax, ir.OpReduceMin, ir.OpReduceAny, ir.OpReduceAll)

func reduceRules() []rule {
	return []rule{
		{ops: reductions, from: "reduce(x) over no axes", to: "x", apply: func(_ *rewriter, v *ir.Value) *ir.Value {
			if len(v.Attrs.Ints("axes")) == 0 {
				return v.Args[0]
			}
			return nil
		}},
		{ops: reductions, from: "reduce(x) {axes=[1, 0]}", to: "reduce(x) {axes=[0, 1]}", apply: reduceSorted},
		{ops: reductions, from: "reduce(x) over axes of size 1", to: "reshape(x)", apply: reduceUnits},
		{ops: reductions, from: "reduce(transpose(x))", to: "reduce(x), other axes", apply: reduceTransposed},
		{ops: reductions, from: "reduce_max(reduce_max(x))", to: "reduce_max(x), all axes", apply: reduceTwice},
	}
}

// reduceSorted: the order in which axes are named does not matter.
func reduceSorted(e *rewriter, v *ir.Value) *ir.Value {
	axes := v.Attrs.Ints("axes")
	if slices.IsSorted(axes) {
		return nil
	}
	axes = slices.Clone(axes)
	slices.Sort(axes)
	return e.with(v, v.Attrs.With("axes", axes), v.Args[0])
}

// reduceUnits does not fold axes of a single element.
func reduceUnits(e *rewriter, v *ir.Value) *ir.Value {
	x, axes := v.Args[0], v.Attrs.Ints("axes")
	kept, folded := withoutAxes(x.Type.Rank(), axes), []int64{}
	squeezed := []int64{} // x's axes without the folded ones of size 1
	for a := range int64(x.Type.Rank()) {
		if slices.Contains(axes, a) {
			if isConstOne(x.Type.Shape[a]) {
				continue
			}
			folded = append(folded, int64(len(squeezed)))
		}
		squeezed = append(squeezed, a)
	}
	switch {
	case len(folded) == len(axes):
		return nil
	case len(folded) == 0:
		return e.reshape(x, pickSizes(x.Type.Shape, kept))
	}
	y := e.reshape(x, pickSizes(x.Type.Shape, squeezed))
	if y == nil {
		return nil
	}
	return e.with(v, v.Attrs.With("axes", folded), y)
}

// exactReduction reports whether the order in which elements are folded cannot
// show in the result.
func exactReduction(v *ir.Value) bool {
	return !v.Type.DType.IsFloat() || v.Op == ir.OpReduceMax || v.Op == ir.OpReduceMin
}

// reduceTransposed folds x's own axes, if those that stay keep their order; and
// those that are folded, if their order could show.
func reduceTransposed(e *rewriter, v *ir.Value) *ir.Value {
	t := v.Args[0]
	if t.Op != ir.OpTranspose {
		return nil
	}
	perm, axes := t.Attrs.Ints("perm"), v.Attrs.Ints("axes")
	folded := pickAxes(perm, axes)
	if !slices.IsSorted(pickAxes(perm, withoutAxes(len(perm), axes))) || !slices.IsSorted(folded) && !exactReduction(v) {
		return nil
	}
	slices.Sort(folded)
	return e.with(v, v.Attrs.With("axes", folded), t.Args[0])
}

// reduceTwice folds at once what two exact reductions fold.
func reduceTwice(e *rewriter, v *ir.Value) *ir.Value {
	x := v.Args[0]
	if x.Op != v.Op || !exactReduction(v) {
		return nil
	}
	axes := slices.Clone(x.Attrs.Ints("axes"))
	axes = append(axes, pickAxes(withoutAxes(x.Args[0].Type.Rank(), axes), v.Attrs.Ints("axes"))...)
	slices.Sort(axes)
	return e.with(v, v.Attrs.With("axes", axes), x.Args[0])
}

func castRules() []rule {
	c := ops(ir.OpCast)
	return []rule{
		{ops: c, from: "cast(x) to x's type", to: "x", apply: func(_ *rewriter, v *ir.Value) *ir.Value {
			if v.Type.DType == v.Args[0].Type.DType {
				return v.Args[0]
			}
			return nil
		}},
		{ops: c, from: "cast(cast(x)) through a type that holds every x", to: "cast(x)", apply: castTwice},
		{ops: c, from: "cast(iota of i64)", to: "iota", apply: castIota},
	}
}

func castTwice(e *rewriter, v *ir.Value) *ir.Value {
	x := v.Args[0]
	if x.Op != ir.OpCast || !castThrough(x.Args[0].Type.DType, x.Type.DType, v.Type.DType) {
		return nil
	}
	return e.emit(ir.OpCast, []*ir.Value{x.Args[0]}, ir.Attr{Name: "dtype", Value: v.Type.DType})
}

// castThrough reports whether a cast from a to b to c is one from a to c: b holds
// every value of a, and treats a value out of c's range as a does. (From a float,
// that is the nearest end; from an integer, the low bits.)
func castThrough(a, b, c tensor.DType) bool {
	return holds(b, a) && (a == c || a == tensor.Bool || c == tensor.Bool || c.IsFloat() || a.IsFloat() == b.IsFloat())
}

// precision is the significand's bits of a float type, and its range of exponents.
var precision = map[tensor.DType]struct{ bits, min, max int }{
	tensor.F8E4M3: {4, -9, 8}, tensor.F8E5M2: {3, -16, 15}, tensor.F16: {11, -24, 15},
	tensor.BF16: {8, -133, 127}, tensor.F32: {24, -149, 127}, tensor.F64: {53, -1074, 1023},
}

// holds reports whether every value of type a is one of type b.
func holds(b, a tensor.DType) bool {
	bits := 8*a.Size() - map[bool]int{true: 1}[a.IsSigned()] // of an integer's magnitude
	switch {
	case a == b, a == tensor.Bool:
		return true
	case b == tensor.Bool:
		return false
	case a.IsFloat():
		p, q := precision[a], precision[b]
		return b.IsFloat() && p.bits <= q.bits && p.min >= q.min && p.max <= q.max
	case b.IsFloat():
		return bits <= precision[b].bits
	case a.IsSigned() && b.IsUnsigned():
		return false
	case a.IsUnsigned() && b.IsSigned():
		return a.Size() < b.Size()
	}
	return a.Size() <= b.Size()
}

// castIota counts in the type at once; an iota converts its count as a cast does.
func castIota(e *rewriter, v *ir.Value) *ir.Value {
	x := v.Args[0]
	if x.Op != ir.OpIota || x.Type.DType != tensor.I64 || v.Type.DType == tensor.Bool {
		return nil
	}
	return e.iota(v.Type, x.Attrs.Int("axis", 0))
}
