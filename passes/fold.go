package passes

import (
	"slices"

	"jitc/ir"
	"jitc/ir/dim"
	"jitc/ir/tensor"
)

// fold computes ops on constants by the ops' own evaluation, so that elements
// are rounded as the element types demand. Splats stay splats, of any size;
// constants of many elements are computed up to a limit, and where the result
// does not take more memory than they do.
//
//	before  %0: f16[B,4] = constant() {value=2.0}
//	        %1: f16[B,4] = sqrt(%0)
//	after   %1: f16[B,4] = constant() {value=1.4140625}
func fold(f *ir.Func, o Options) (*ir.Func, error) {
	return rewrite(f, pick(sets().fold, o), false), nil
}

const (
	// foldElements bounds the elements that one op is evaluated on and gives.
	foldElements = 1 << 16
	// foldSmall is how many elements a result may have, whatever the operands have.
	foldSmall = 64
	// foldWork bounds the multiplications of a contraction.
	foldWork = 1 << 20
)

func foldRules() []rule {
	foldable := slices.DeleteFunc(ir.Ops(), func(op ir.Op) bool {
		return op.Row().Traits&(ir.Structural|ir.Source|ir.Random|ir.Effect|ir.Dynamic) != 0
	})
	return []rule{
		{ops: withTraits(ir.Pointwise), from: "op(splat, splat)", to: "splat", apply: foldSplats},
		{ops: reductions, from: "reduce(splat)", to: "splat", apply: foldReduction},
		{ops: foldable, from: "op(constant, constant)", to: "constant", apply: foldConstants},
	}
}

// foldSplats computes one element.
func foldSplats(e *rewriter, v *ir.Value) *ir.Value {
	for _, a := range v.Args {
		if !isSplat(a) {
			return nil
		}
	}
	return e.foldedAt(v, nil)
}

// foldReduction computes one result. Its row has static sizes; or it does not
// matter how long the row is, if it is not empty.
func foldReduction(e *rewriter, v *ir.Value) *ir.Value {
	x := v.Args[0]
	if !isSplat(x) {
		return nil
	}
	row := pickSizes(x.Type.Shape, v.Attrs.Ints("axes"))
	n, static := dim.Product(row).Const()
	switch v.Op {
	case ir.OpReduceSum, ir.OpReduceProd:
		if !static {
			return nil
		}
	default:
		if !static && !e.nonEmpty(row) {
			return nil
		}
		if !static || n > 1 {
			n = 1
		}
	}
	if n > foldElements {
		return nil
	}
	return e.foldedAt(v, []dim.Expr{dim.Const(n)})
}

// foldedAt evaluates v with operands of the given shape, over axis 0 if v is a
// reduction, and spreads the one element of the result.
func (e *rewriter) foldedAt(v *ir.Value, shape []dim.Expr) *ir.Value {
	small := &ir.Value{Op: v.Op, Type: ir.T(v.Type.DType), Attrs: v.Attrs}
	if v.Is(ir.Reduce) {
		small.Attrs = v.Attrs.With("axes", []int64{0})
	}
	var args []*tensor.Tensor
	for _, a := range v.Args {
		c := &ir.Value{Op: ir.OpConstant, Type: ir.T(a.Type.DType, shape...), Attrs: a.Attrs.With("shape", shape)}
		t, err := ir.EvalValue(c, nil, nil)
		if err != nil {
			return nil
		}
		small.Args, args = append(small.Args, c), append(args, t[0])
	}
	out, err := ir.EvalValue(small, args, nil)
	if err != nil {
		return nil
	}
	n, ok := elementNumber(out[0])
	if !ok {
		return nil
	}
	return e.splat(v.Type, n)
}

// elementNumber is the element of a tensor of one element, as the value of a
// splat; false if its bits do not survive that, as a NaN's may not.
func elementNumber(t *tensor.Tensor) (any, bool) {
	dt := t.DType()
	if !dt.IsFloat() {
		return numberAttr(dt, 0, tensor.Ints(t)[0]), true
	}
	x := tensor.Floats(t)[0]
	a, _ := tensor.Fill(dt, t.Shape(), x).Bytes()
	b, _ := t.Contiguous().Bytes()
	return x, slices.Equal(a, b)
}

// foldConstants evaluates any op on constants of static shape.
func foldConstants(e *rewriter, v *ir.Value) *ir.Value {
	if len(v.Args) == 0 || !v.Type.IsStatic() || v.Type.IsTuple() {
		return nil
	}
	given, total := int64(0), elements(v.Type)
	for _, a := range v.Args {
		if !isConstant(a) || !a.Type.IsStatic() {
			return nil
		}
		n := elements(a.Type)
		if total += n; !isSplat(a) {
			given += n
		}
	}
	if total > foldElements || elements(v.Type) > max(given, foldSmall) || work(v) > foldWork {
		return nil
	}
	args := make([]*tensor.Tensor, len(v.Args))
	for i, a := range v.Args {
		out, err := ir.EvalValue(a, nil, nil)
		if err != nil {
			return nil
		}
		args[i] = out[0]
	}
	out, err := ir.EvalValue(v, args, nil)
	if err != nil {
		return nil
	}
	if n, ok := uniform(out[0]); ok {
		return e.splat(v.Type, n)
	}
	return e.data(out[0])
}

// elements is the number of elements of a static type, at most 2*foldElements.
func elements(t ir.Type) int64 {
	n, ok := t.Elements().Const()
	if !ok || n > foldElements {
		return 2 * foldElements
	}
	return n
}

// work estimates the multiplications of a contraction or a window.
func work(v *ir.Value) int64 {
	switch {
	case v.Op == ir.OpReduceWindow:
		n := elements(v.Type)
		for _, w := range v.Attrs.Ints("window") {
			n = min(n*min(w, foldWork+1), foldWork+1)
		}
		return n
	case v.Is(ir.Contract):
		return elements(v.Type) * min(elements(v.Args[0].Type), elements(v.Args[1].Type))
	}
	return 0
}

// uniform is the element of a tensor whose elements all have the same bits.
func uniform(t *tensor.Tensor) (any, bool) {
	size := t.DType().Size()
	data, _ := t.Contiguous().Bytes()
	for i := size; i < len(data); i++ {
		if data[i] != data[i-size] {
			return nil, false
		}
	}
	if len(data) == 0 {
		return numberAttr(t.DType(), 0, 0), true
	}
	one, err := tensor.FromBytes(t.DType(), nil, data[:size])
	if err != nil {
		return nil, false
	}
	return elementNumber(one)
}
