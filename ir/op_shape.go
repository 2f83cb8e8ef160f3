package ir

import (
	"fmt"
	"slices"

	"jitc/ir/dim"
	"jitc/ir/tensor"
)

// shapeRows are the ops that only place elements: element i of the result is an
// element of the operand, at an index that sizes alone decide.
func shapeRows() map[Op]OpRow {
	view := func(name, doc string, infer func(*Value, *dim.Facts) (Type, error), eval func(*Call) (*tensor.Tensor, error),
		samples func() []Sample, attrs ...AttrSpec) OpRow {
		return OpRow{Name: name, Doc: doc, MinArgs: 1, MaxArgs: 1, Attrs: attrs, Traits: View, DTypes: Anything,
			Infer: infer, Eval: eval, Samples: samples}
	}
	return map[Op]OpRow{
		OpReshape: view("reshape", "x's elements, in row-major order, under another shape of as many elements.",
			inferReshape, evalReshape, reshapeSamples,
			AttrSpec{Name: "shape", Kind: KindDims, Doc: "shape of the result", Required: true, FromType: true}),
		OpBroadcast: view("broadcast", "x repeated: its axis i is laid on axis axes[i] of the result, where it has the same size or size 1.",
			inferBroadcast, evalBroadcast, broadcastSamples,
			AttrSpec{Name: "shape", Kind: KindDims, Doc: "shape of the result", Required: true, FromType: true},
			AttrSpec{Name: "axes", Kind: KindInts, Doc: "for each axis of x, its axis in the result, increasing", Required: true}),
		OpTranspose: view("transpose", "x with its axes permuted: axis i of the result is axis perm[i] of x.",
			inferTranspose, evalTranspose, transposeSamples,
			AttrSpec{Name: "perm", Kind: KindInts, Doc: "a permutation of x's axes", Required: true}),
		OpSlice: view("slice", "Along each axis, the elements starts, starts+strides, ... below limits. "+
			"It must be known that 0 <= starts <= limits <= the size.",
			inferSlice, evalSlice, sliceSamples,
			AttrSpec{Name: "starts", Kind: KindDims, Doc: "first index of each axis", Required: true},
			AttrSpec{Name: "limits", Kind: KindDims, Doc: "index after the last of each axis", Required: true},
			AttrSpec{Name: "strides", Kind: KindInts, Doc: "step of each axis, at least 1", Default: "all 1"}),
		OpReverse: view("reverse", "x with the order of elements reversed along the axes.",
			inferReverse, evalReverse, reverseSamples,
			AttrSpec{Name: "axes", Kind: KindInts, Doc: "axes to reverse", Required: true}),
	}
}

func inferReshape(v *Value, facts *dim.Facts) (Type, error) {
	x := v.Args[0].Type
	shape, err := shapeAttr(v, "shape", facts)
	if err != nil {
		return Type{}, err
	}
	from, to := x.Elements(), dim.Product(shape)
	if !SizeEqual(facts, from, to) {
		return Type{}, attrError(v, "shape", "number of elements changes", from.String(),
			fmt.Sprintf("%s in %s", to, ShapeString(shape)), equalHint(facts, from, to))
	}
	return x.WithShape(shape), nil
}

// evalReshape copies, since a result has storage of its own.
func evalReshape(c *Call) (*tensor.Tensor, error) {
	return c.Args[0].Clone().Reshape(c.Shape...)
}

// own makes a row-major copy of a view.
func own(view *tensor.Tensor, err error) (*tensor.Tensor, error) {
	if err != nil {
		return nil, err
	}
	return view.Clone(), nil
}

func inferBroadcast(v *Value, facts *dim.Facts) (Type, error) {
	x := v.Args[0].Type
	shape, err := shapeAttr(v, "shape", facts)
	if err != nil {
		return Type{}, err
	}
	axes, err := axesAttr(v, "axes", len(shape))
	if err != nil {
		return Type{}, err
	}
	if len(axes) != x.Rank() {
		return Type{}, attrError(v, "axes", "wrong number of axes", fmt.Sprintf("one for each axis of %s", x),
			AttrString(axes), "")
	}
	if !slices.IsSorted(axes) {
		return Type{}, attrError(v, "axes", "axes are not increasing", "increasing axes", AttrString(axes), "transpose first")
	}
	for i, a := range axes {
		if !SizeEqual(facts, x.Shape[i], shape[a]) && !SizeEqual(facts, x.Shape[i], dim.Const(1)) {
			return Type{}, argError(v, 0, fmt.Sprintf("axis %d does not fit axis %d of the result", i, a),
				fmt.Sprintf("size 1 or %s", shape[a]), x.String(), equalHint(facts, x.Shape[i], shape[a]))
		}
	}
	return x.WithShape(shape), nil
}

func evalBroadcast(c *Call) (*tensor.Tensor, error) {
	x := c.Args[0]
	strides := make([]int, len(c.Shape))
	for i, a := range c.V.Attrs.Ints("axes") {
		switch x.Shape()[i] {
		case c.Shape[a]:
			strides[a] = x.Strides()[i]
		case 1: // the one element repeats: stride 0
		default:
			return nil, fmt.Errorf("axis %d of size %d does not fit size %d", i, x.Shape()[i], c.Shape[a])
		}
	}
	return own(x.View(strides, x.Offset(), c.Shape))
}

func inferTranspose(v *Value, _ *dim.Facts) (Type, error) {
	x := v.Args[0].Type
	perm, err := axesAttr(v, "perm", x.Rank())
	if err != nil {
		return Type{}, err
	}
	if len(perm) != x.Rank() {
		return Type{}, attrError(v, "perm", "not a permutation of the axes", fmt.Sprintf("each of the %d axes once", x.Rank()),
			AttrString(perm), "")
	}
	shape := make([]dim.Expr, len(perm))
	for i, p := range perm {
		shape[i] = x.Shape[p]
	}
	return x.WithShape(shape), nil
}

func evalTranspose(c *Call) (*tensor.Tensor, error) {
	perm := c.V.Attrs.Ints("perm")
	axes := make([]int, len(perm))
	for i, p := range perm {
		axes[i] = int(p)
	}
	return own(c.Args[0].Permute(axes...))
}

func inferSlice(v *Value, facts *dim.Facts) (Type, error) {
	x := v.Args[0].Type
	starts, err := dimsAttr(v, "starts", x.Rank())
	if err != nil {
		return Type{}, err
	}
	limits, err := dimsAttr(v, "limits", x.Rank())
	if err != nil {
		return Type{}, err
	}
	strides, err := intsAttr(v, "strides", x.Rank(), 1, 1)
	if err != nil {
		return Type{}, err
	}
	shape := make([]dim.Expr, x.Rank())
	for i, size := range x.Shape {
		if err := checkBounds(v, facts, i, starts[i], limits[i], size); err != nil {
			return Type{}, err
		}
		shape[i] = limits[i].Sub(starts[i]).CeilDiv(dim.Const(strides[i]))
	}
	return x.WithShape(shape), nil
}

// checkBounds asks for a proof of 0 <= start <= limit <= size: a kernel reads
// memory by these bounds, so a size that breaks them must not get that far.
func checkBounds(v *Value, facts *dim.Facts, axis int, start, limit, size dim.Expr) error {
	if err := wantNonNegative(v, facts, "starts", start); err != nil {
		return err
	}
	at := fmt.Sprintf("[%d]", axis)
	if err := wantAtMost(v, facts, "starts", "the slice starts after its limit", "starts"+at+" <= limits"+at, start, limit); err != nil {
		return err
	}
	return wantAtMost(v, facts, "limits", "the slice passes the end of the axis", "limits"+at+" <= the size", limit, size)
}

func evalSlice(c *Call) (*tensor.Tensor, error) {
	x := c.Args[0]
	starts, err := c.Dims("starts")
	if err != nil {
		return nil, err
	}
	limits, err := c.Dims("limits")
	if err != nil {
		return nil, err
	}
	steps, strides, offset := c.V.Attrs.Ints("strides"), slices.Clone(x.Strides()), x.Offset()
	for i, n := range x.Shape() {
		if starts[i] < 0 || starts[i] > limits[i] || limits[i] > n {
			return nil, fmt.Errorf("bounds %d to %d of axis %d with %d elements", starts[i], limits[i], i, n)
		}
		offset += starts[i] * strides[i]
		if steps != nil {
			strides[i] *= int(steps[i])
		}
	}
	if slices.Contains(c.Shape, 0) { // the offset may lie outside then
		return tensor.Make(c.DType, c.Shape)
	}
	return own(x.View(strides, offset, c.Shape))
}

func inferReverse(v *Value, _ *dim.Facts) (Type, error) {
	x := v.Args[0].Type
	_, err := axesAttr(v, "axes", x.Rank())
	return x, err
}

func evalReverse(c *Call) (*tensor.Tensor, error) {
	x := c.Args[0]
	strides, offset := slices.Clone(x.Strides()), x.Offset()
	if x.NumElements() == 0 {
		return x.Clone(), nil
	}
	for _, a := range c.V.Attrs.Ints("axes") {
		offset += (x.Shape()[a] - 1) * strides[a]
		strides[a] = -strides[a]
	}
	return own(x.View(strides, offset, x.Shape()))
}
