package ir

import (
	"fmt"
	"slices"

	"jitc/ir/dim"
)

// indexRows are the ops that move elements to or from places that data or
// bounds decide.
func indexRows() map[Op]OpRow {
	return map[Op]OpRow{
		OpPad: {
			Name: "pad", MinArgs: 2, MaxArgs: 2, Traits: Indexed, DTypes: Anything,
			Doc: "The first operand with low[i] and high[i] elements of the second, a scalar, before and after it on axis i.",
			Attrs: []AttrSpec{
				{Name: "low", Kind: KindDims, Doc: "elements before, per axis, at least 0", Required: true},
				{Name: "high", Kind: KindDims, Doc: "elements after, per axis, at least 0", Required: true},
			},
			Infer: inferPad, Eval: evalPad, Samples: padSamples,
		},
		OpPatches: {
			Name: "patches", MinArgs: 1, MaxArgs: 1, Traits: Indexed, DTypes: Anything,
			Doc: "The windows of x[N,C,spatial...] (im2col): result[n,c,k...,o...] = x[n,c,o*strides + k*dilation - padding_low], 0 outside of x; " +
				"of shape [N, C, window..., windows per axis...].",
			Attrs: windowAttrs("per spatial axis"),
			Infer: inferPatches, Eval: evalPatches, Samples: patchesSamples,
		},
		OpConcat: {
			Name: "concat", MinArgs: 1, MaxArgs: -1, Traits: Indexed, DTypes: Anything,
			Doc:   "The operands one after the other along an axis; their other sizes are equal.",
			Attrs: []AttrSpec{{Name: "axis", Kind: KindInt, Doc: "axis along which to join", Required: true}},
			Infer: inferConcat, Eval: evalConcat, Samples: concatSamples,
		},
		OpGather: {
			Name: "gather", MinArgs: 2, MaxArgs: 2, Traits: Indexed, DTypes: Anything,
			Doc: "Elements of x along an axis, at integer indices clamped to [0, size-1]. The shape is " +
				"x[:axis] + indices[batch_dims:] + x[axis+1:]; the first batch_dims axes are shared.",
			Attrs: []AttrSpec{
				{Name: "axis", Kind: KindInt, Doc: "axis of x that is indexed", Required: true},
				{Name: "batch_dims", Kind: KindInt, Doc: "leading axes that x and the indices share, at most axis", Default: int64(0)},
			},
			Infer: inferGather, Eval: evalGather, Samples: gatherSamples,
		},
		OpDynamicSlice: {
			Name: "dynamic_slice", MinArgs: 1, MaxArgs: -1, Traits: Indexed, DTypes: Anything,
			Doc:   "The part of x of the given sizes that starts where the scalar operands say, one per axis; the start is clamped to [0, size of x - sizes].",
			Attrs: []AttrSpec{{Name: "sizes", Kind: KindDims, Doc: "shape of the part", Required: true}},
			Infer: inferDynamicSlice, Eval: evalDynamicSlice, Samples: dynamicSliceSamples,
		},
		OpDynamicUpdateSlice: {
			Name: "dynamic_update_slice", MinArgs: 2, MaxArgs: -1, Traits: Indexed, DTypes: Anything,
			Doc:   "x with the part that starts where the scalar operands say, one per axis, replaced by the second operand; the start is clamped so that it fits.",
			Infer: inferDynamicUpdateSlice, Eval: evalDynamicUpdateSlice, Samples: dynamicUpdateSliceSamples,
		},
		OpScatter: scatterRow(),
	}
}

// windowAttrs declares the attributes that ops on windows share.
func windowAttrs(per string) []AttrSpec {
	return append([]AttrSpec{
		{Name: "window", Kind: KindInts, Doc: "size of the window, " + per + ", at least 1", Required: true},
	}, slideAttrs(per)...)
}

// slideAttrs declares how a window moves over its operand.
func slideAttrs(per string) []AttrSpec {
	return []AttrSpec{
		{Name: "strides", Kind: KindInts, Doc: "distance of neighbouring windows, " + per + "; default all 1"},
		{Name: "padding_low", Kind: KindInts, Doc: "elements added before, " + per + "; default all 0"},
		{Name: "padding_high", Kind: KindInts, Doc: "elements added after, " + per + "; default all 0"},
		{Name: "dilation", Kind: KindInts, Doc: "distance of a window's neighbouring elements, " + per + "; default all 1"},
	}
}

// slide is how windows lie over axes: the checked, defaulted attributes of
// windowAttrs, each of one length.
type slide struct{ window, strides, low, high, dilation []int64 }

// slideOf reads v's attributes; window is the window of each axis, nil to take it
// from the attribute.
func slideOf(v *Value, axes int, window []int64) (s slide, err error) {
	s.window = window
	if window == nil {
		if s.window, err = intsAttr(v, "window", axes, 1, 1); err != nil {
			return s, err
		}
	}
	for _, a := range []struct {
		name     string
		to       *[]int64
		def, low int64
	}{
		{"strides", &s.strides, 1, 1}, {"padding_low", &s.low, 0, 0},
		{"padding_high", &s.high, 0, 0}, {"dilation", &s.dilation, 1, 1},
	} {
		if *a.to, err = intsAttr(v, a.name, axes, a.def, a.low); err != nil {
			return s, err
		}
	}
	return s, nil
}

// sizes are the numbers of windows along the axes of operand 0 from first on.
func (s slide) sizes(v *Value, facts *dim.Facts, first int) ([]dim.Expr, error) {
	out := make([]dim.Expr, len(s.window))
	for i := range out {
		in := v.Args[0].Type.Shape[first+i]
		out[i] = windowSize(in, s.window[i], s.strides[i], s.low[i], s.high[i], s.dilation[i])
		if err := wantWindows(v, facts, 0, first+i, out[i]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func inferPad(v *Value, facts *dim.Facts) (Type, error) {
	x, value := v.Args[0].Type, v.Args[1].Type
	if err := wantRank(v, 1, 0); err != nil {
		return Type{}, err
	}
	if value.DType != x.DType {
		return Type{}, argError(v, 1, "operands differ in element type", x.DType.String(), argTypes(v),
			"cast the second operand to "+x.DType.String())
	}
	shape := slices.Clone(x.Shape)
	for _, name := range []string{"low", "high"} {
		es, err := dimsAttr(v, name, x.Rank())
		if err != nil {
			return Type{}, err
		}
		for i, e := range es {
			if err := wantNonNegative(v, facts, name, e); err != nil {
				return Type{}, err
			}
			shape[i] = shape[i].Add(e)
		}
	}
	return x.WithShape(shape), wantValid(v, shape)
}

// wantValid checks that no size of a result left int64.
func wantValid(v *Value, shape []dim.Expr) error {
	for _, e := range shape {
		if e.Invalid() {
			return argError(v, -1, "the result is too large", "sizes that fit 64 bits", ShapeString(shape), "")
		}
	}
	return nil
}

func inferPatches(v *Value, facts *dim.Facts) (Type, error) {
	if err := wantMinRank(v, 0, 3); err != nil {
		return Type{}, err
	}
	x := v.Args[0].Type
	s, err := slideOf(v, x.Rank()-2, nil)
	if err != nil {
		return Type{}, err
	}
	out, err := s.sizes(v, facts, 2)
	if err != nil {
		return Type{}, err
	}
	shape := slices.Clone(x.Shape[:2])
	for _, w := range s.window {
		shape = append(shape, dim.Const(w))
	}
	return x.WithShape(append(shape, out...)), nil
}

func inferConcat(v *Value, facts *dim.Facts) (Type, error) {
	x := v.Args[0].Type
	axis, err := axisAttr(v, "axis", x.Rank(), 0)
	if err != nil {
		return Type{}, err
	}
	shape := slices.Clone(x.Shape)
	for i := 1; i < len(v.Args); i++ {
		t := v.Args[i].Type
		if err := wantRank(v, i, x.Rank()); err != nil {
			return Type{}, err
		}
		if t.DType != x.DType {
			return Type{}, argError(v, i, "operands differ in element type", x.DType.String(), argTypes(v),
				fmt.Sprintf("cast %s to %s", ordinal(i), x.DType))
		}
		for a := range shape {
			if a == axis {
				shape[a] = shape[a].Add(t.Shape[a])
				continue
			}
			names := fmt.Sprintf("size %s on axis %d", x.Shape[a], a)
			if err := wantEqual(v, facts, i, "sizes differ on an axis that is not joined", names, x.Shape[a], t.Shape[a]); err != nil {
				return Type{}, err
			}
		}
	}
	return x.WithShape(shape), wantValid(v, shape)
}

func inferGather(v *Value, facts *dim.Facts) (Type, error) {
	shape, err := indexedShape(v, facts)
	return v.Args[0].Type.WithShape(shape), err
}

// indexedShape is the shape of the elements of operand 0 at the indices of operand
// 1, by the attributes axis and batch_dims.
func indexedShape(v *Value, facts *dim.Facts) ([]dim.Expr, error) {
	x, at := v.Args[0].Type, v.Args[1].Type
	if err := wantDType(v, 1, Ints); err != nil {
		return nil, err
	}
	axis, err := axisAttr(v, "axis", x.Rank(), 0)
	if err != nil {
		return nil, err
	}
	batch := v.Attrs.Int("batch_dims", 0)
	if batch < 0 || batch > int64(axis) || batch > int64(at.Rank()) {
		return nil, attrError(v, "batch_dims", "batch_dims out of range",
			fmt.Sprintf("0 to %d", min(axis, at.Rank())), fmt.Sprint(batch), "shared axes lead in both operands and come before axis")
	}
	for i := range int(batch) {
		names := fmt.Sprintf("lhs[%d] == rhs[%d]", i, i)
		if err := wantEqual(v, facts, 1, "batch dimensions differ", names, x.Shape[i], at.Shape[i]); err != nil {
			return nil, err
		}
	}
	if n, ok := x.Shape[axis].Const(); ok && n == 0 && !provablyEmpty(at) {
		return nil, argError(v, 0, "there is nothing to index", fmt.Sprintf("at least 1 element on axis %d", axis), argTypes(v), "")
	}
	return slices.Concat(x.Shape[:axis], at.Shape[batch:], x.Shape[axis+1:]), nil
}

// provablyEmpty reports whether a size is the constant 0.
func provablyEmpty(t Type) bool {
	return slices.ContainsFunc(t.Shape, func(e dim.Expr) bool { return e.Equal(dim.Const(0)) })
}

// wantStarts checks the operands from index first on: one integer scalar per axis
// of operand 0, of one type.
func wantStarts(v *Value, first int) error {
	rank := v.Args[0].Type.Rank()
	if n := len(v.Args) - first; n != rank {
		return argError(v, -1, "wrong number of start operands", fmt.Sprint(rank), fmt.Sprint(n), "one per axis of the first operand")
	}
	for i := first; i < len(v.Args); i++ {
		if err := wantDType(v, i, Ints); err != nil {
			return err
		}
		if err := wantRank(v, i, 0); err != nil {
			return err
		}
		if t, want := v.Args[i].Type, v.Args[first].Type; t.DType != want.DType {
			return argError(v, i, "start operands differ in element type", want.DType.String(), t.DType.String(), "")
		}
	}
	return nil
}

func inferDynamicSlice(v *Value, facts *dim.Facts) (Type, error) {
	x := v.Args[0].Type
	if err := wantStarts(v, 1); err != nil {
		return Type{}, err
	}
	sizes, err := dimsAttr(v, "sizes", x.Rank())
	if err != nil {
		return Type{}, err
	}
	for i, e := range sizes {
		if err := wantNonNegative(v, facts, "sizes", e); err != nil {
			return Type{}, err
		}
		names := fmt.Sprintf("sizes[%d] <= operand[%d]", i, i)
		if err := wantAtMost(v, facts, "sizes", "the slice is larger than the operand", names, e, x.Shape[i]); err != nil {
			return Type{}, err
		}
	}
	return x.WithShape(sizes), nil
}

func inferDynamicUpdateSlice(v *Value, facts *dim.Facts) (Type, error) {
	x, update := v.Args[0].Type, v.Args[1].Type
	if err := wantRank(v, 1, x.Rank()); err != nil {
		return Type{}, err
	}
	if update.DType != x.DType {
		return Type{}, argError(v, 1, "operands differ in element type", x.DType.String(), argTypes(v),
			"cast the second operand to "+x.DType.String())
	}
	if err := wantStarts(v, 2); err != nil {
		return Type{}, err
	}
	for i, e := range update.Shape {
		if lo, _ := sizeRange(facts, x.Shape[i].Sub(e)); lo < 0 {
			return Type{}, argError(v, 1, "the update is larger than the operand", fmt.Sprintf("rhs[%d] <= lhs[%d]", i, i),
				update.String()+" into "+x.String(), boundHint(facts, x.Shape[i].Sub(e)))
		}
	}
	return x, nil
}
