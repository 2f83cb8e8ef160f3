package ir

import (
	"fmt"
	"slices"

	"jitc/ir/dim"
	"jitc/ir/tensor"
)

// contractRows are the ops that sum products, and the windowed reduction, which
// shares the convolution's geometry.
func contractRows() map[Op]OpRow {
	return map[Op]OpRow{
		OpDotGeneral: {
			Name: "dot_general", MinArgs: 2, MaxArgs: 2, Traits: Contract, DTypes: Numbers,
			Doc: "Sums of products over the contracted axes, for each index of the batch axes. " +
				"The result's axes are the batch axes, the free axes of the first operand, then those of the second. Sums are rounded once.",
			Attrs: []AttrSpec{
				{Name: "lhs_batch", Kind: KindInts, Doc: "batch axes of the first operand; default none"},
				{Name: "rhs_batch", Kind: KindInts, Doc: "the second operand's axes that they go with"},
				{Name: "lhs_contract", Kind: KindInts, Doc: "contracted axes of the first operand; default none"},
				{Name: "rhs_contract", Kind: KindInts, Doc: "the second operand's axes that they go with"},
				{Name: "dtype", Kind: KindDType, Doc: "element type of the result; default the operands'"},
			},
			Infer: inferDotGeneral, Eval: evalDotGeneral, Samples: dotGeneralSamples,
		},
		OpConvolution: {
			Name: "convolution", MinArgs: 2, MaxArgs: 2, Traits: Contract, DTypes: Numbers,
			Doc: "Cross-correlation of x[N,C,spatial...] with w[O,C/groups,kernel...]: " +
				"result[n,o,p...] = sum over c and k of x[n,c,p*strides + k*dilation - padding_low] * w[o,c,k], x being 0 outside; of shape [N, O, windows per axis...]. " +
				"Output channel o belongs to group o floordiv (O/groups) and sees that group's input channels.",
			Attrs: append(slideAttrs("per spatial axis"),
				AttrSpec{Name: "groups", Kind: KindInt, Doc: "number of groups of channels; divides C and O", Default: int64(1)}),
			Infer: inferConvolution, Eval: evalConvolution, Decompose: decomposeConvolution, Samples: convolutionSamples,
		},
		OpReduceWindow: {
			Name: "reduce_window", MinArgs: 1, MaxArgs: 1, Traits: Reduce, DTypes: Numbers,
			Doc: "Windows of x folded by op: result[o...] = op over k of x[o*strides + k*dilation - padding_low]; padding counts as op's identity.",
			Attrs: append([]AttrSpec{
				{Name: "op", Kind: KindString, Doc: "how to fold", Required: true, Enum: []string{"max", "min", "sum"}},
			}, windowAttrs("per axis")...),
			Infer: inferReduceWindow, Eval: evalReduceWindow, Samples: reduceWindowSamples,
		},
	}
}

// dotAxes are the checked axes of a dot_general.
type dotAxes struct {
	lhsBatch, lhsFree, lhsContract []int64
	rhsBatch, rhsFree, rhsContract []int64
}

// dotAxesOf reads v's attributes: in range, distinct and as many on both sides.
func dotAxesOf(v *Value) (d dotAxes, err error) {
	lhs, rhs := v.Args[0].Type.Rank(), v.Args[1].Type.Rank()
	for _, a := range []struct {
		name string
		rank int
		to   *[]int64
	}{
		{"lhs_batch", lhs, &d.lhsBatch}, {"lhs_contract", lhs, &d.lhsContract},
		{"rhs_batch", rhs, &d.rhsBatch}, {"rhs_contract", rhs, &d.rhsContract},
	} {
		if *a.to, err = axesAttr(v, a.name, a.rank); err != nil {
			return d, err
		}
	}
	for _, p := range []struct {
		name   string
		ls, rs []int64
	}{{"batch", d.lhsBatch, d.rhsBatch}, {"contract", d.lhsContract, d.rhsContract}} {
		if len(p.ls) != len(p.rs) {
			return d, attrError(v, "rhs_"+p.name, "lhs_"+p.name+" and rhs_"+p.name+" differ in length",
				AttrString(p.ls), AttrString(p.rs), "axes go together in pairs")
		}
	}
	for _, side := range []struct {
		name            string
		batch, contract []int64
		rank            int
		free            *[]int64
	}{{"lhs", d.lhsBatch, d.lhsContract, lhs, &d.lhsFree}, {"rhs", d.rhsBatch, d.rhsContract, rhs, &d.rhsFree}} {
		for _, a := range side.contract {
			if slices.Contains(side.batch, a) {
				return d, attrError(v, side.name+"_contract", "axis is both batch and contracted",
					"distinct axes", fmt.Sprint(a), "")
			}
		}
		*side.free = keptAxes(side.rank, slices.Concat(side.batch, side.contract))
	}
	return d, nil
}

func inferDotGeneral(v *Value, facts *dim.Facts) (Type, error) {
	lhs, rhs := v.Args[0].Type, v.Args[1].Type
	if err := wantSameDTypes(v, Numbers); err != nil {
		return Type{}, err
	}
	d, err := dotAxesOf(v)
	if err != nil {
		return Type{}, err
	}
	for _, p := range []struct {
		what   string
		ls, rs []int64
	}{{"batch dimensions differ", d.lhsBatch, d.rhsBatch}, {"inner dimensions differ", d.lhsContract, d.rhsContract}} {
		for i, l := range p.ls {
			r := p.rs[i]
			names := fmt.Sprintf("lhs[%d] == rhs[%d]", l, r)
			if err := wantEqual(v, facts, 1, p.what, names, lhs.Shape[l], rhs.Shape[r]); err != nil {
				return Type{}, transposeHint(err, facts, lhs.Shape[l], rhs, d.rhsFree)
			}
		}
	}
	dt, err := resultDType(v, lhs.DType)
	if err != nil {
		return Type{}, err
	}
	shape := slices.Concat(pick(lhs.Shape, d.lhsBatch), pick(lhs.Shape, d.lhsFree), pick(rhs.Shape, d.rhsFree))
	return T(dt, shape...), nil
}

// transposeHint adds a hint to a size error without one, if another free axis of
// the second operand has the size.
func transposeHint(err error, facts *dim.Facts, size dim.Expr, rhs Type, free []int64) error {
	e, ok := err.(*OpError)
	if ok && e.Hint == "" && slices.ContainsFunc(free, func(a int64) bool { return SizeEqual(facts, size, rhs.Shape[a]) }) {
		e.Hint = "transpose the second operand"
	}
	return err
}

// wantSameDTypes checks that all operands have one element type of the set.
func wantSameDTypes(v *Value, set DTypeSet) error {
	if err := wantDType(v, 0, set); err != nil {
		return err
	}
	want := v.Args[0].Type.DType
	for i, a := range v.Args {
		if a.Type.DType != want {
			return argError(v, i, "operands differ in element type", want.String(), argTypes(v),
				fmt.Sprintf("cast %s to %s", ordinal(i), want))
		}
	}
	return nil
}

// resultDType is the element type that the dtype attribute asks for: of the class
// of the operands' type dt, which is the default.
func resultDType(v *Value, dt tensor.DType) (tensor.DType, error) {
	to := v.Attrs.DType("dtype")
	class := Ints
	if dt.IsFloat() {
		class = Floats
	}
	switch {
	case !v.Attrs.Has("dtype"):
		return dt, nil
	case !class.Has(to):
		return to, attrError(v, "dtype", "the result cannot have this element type", "one of "+class.String(),
			to.String(), "cast the operands first")
	}
	return to, nil
}

// pick is the elements of xs at the given axes.
func pick[T any](xs []T, axes []int64) []T {
	out := make([]T, len(axes))
	for i, a := range axes {
		out[i] = xs[a]
	}
	return out
}

// kernelOf is the spatial window of a convolution's filter, which must be static.
func kernelOf(v *Value) ([]int64, error) {
	var kernel []int64
	for i, e := range v.Args[1].Type.Shape[2:] {
		n, ok := e.Const()
		if !ok || n < 1 || n > maxAttrInt {
			return nil, argError(v, 1, fmt.Sprintf("filter size on axis %d", i+2), "a constant of at least 1",
				v.Args[1].Type.String(), "")
		}
		kernel = append(kernel, n)
	}
	return kernel, nil
}

func inferConvolution(v *Value, facts *dim.Facts) (Type, error) {
	x, w := v.Args[0].Type, v.Args[1].Type
	if err := wantSameDTypes(v, Numbers); err != nil {
		return Type{}, err
	}
	if err := wantMinRank(v, 0, 3); err != nil {
		return Type{}, err
	}
	if err := wantRank(v, 1, x.Rank()); err != nil {
		return Type{}, err
	}
	if err := wantChannels(v, facts); err != nil {
		return Type{}, err
	}
	kernel, err := kernelOf(v)
	if err != nil {
		return Type{}, err
	}
	s, err := slideOf(v, len(kernel), kernel)
	if err != nil {
		return Type{}, err
	}
	out, err := s.sizes(v, facts, 2)
	if err != nil {
		return Type{}, err
	}
	return x.WithShape(append([]dim.Expr{x.Shape[0], w.Shape[0]}, out...)), nil
}

// wantChannels checks a convolution's channels and groups.
func wantChannels(v *Value, facts *dim.Facts) error {
	x, w := v.Args[0].Type, v.Args[1].Type
	groups, err := intAttr(v, "groups", 1, 1)
	if err != nil {
		return err
	}
	names := "lhs[1] == rhs[1]"
	if groups > 1 {
		names = "lhs[1] == groups * rhs[1]"
	}
	if err := wantEqual(v, facts, 1, "numbers of channels differ", names, x.Shape[1], w.Shape[1].Mul(dim.Const(groups))); err != nil {
		return err
	}
	if SizeEqual(facts, w.Shape[0].Mod(dim.Const(groups)), dim.Const(0)) {
		return nil
	}
	hint := ""
	if sym, ok := w.Shape[0].IsSym(); ok {
		hint = fmt.Sprintf("declare \"%s %% %d == 0\" in the where clause", sym, groups)
	}
	return argError(v, 1, "groups do not divide the output channels", fmt.Sprintf("rhs[0] %% %d == 0", groups), argTypes(v), hint)
}

// decomposeConvolution sums products of filters and patches. With one group:
//
//	p = patches(x)            [N, C, k..., o...]    or x itself for 1x1 windows
//	w broadcast over N        [N, O, C, k...]
//	dot_general               [N, O, o...]          batch N; contract C, k...
//
// With G groups the channels are split first: p is [N, G, C/G, k..., o...], w is
// [N, G, O/G, C/G, k...], and N and G are batch axes.
func decomposeConvolution(b *Builder, v *Value) *Value {
	x, w := v.Args[0], v.Args[1]
	kernel, errKernel := kernelOf(v)
	s, err := slideOf(v, len(kernel), kernel)
	if errKernel != nil || err != nil {
		panic("BUG: ir: decomposing an ill-typed convolution")
	}
	p, k := convolutionPatches(b, v, s), w.Type.Shape[1:]
	if b.Err() != nil {
		return nil
	}
	if pointKernel(s) {
		k = k[:1]
		w = b.Reshape(w, w.Type.Shape[:2])
	}
	batch, n, o := ints(0), x.Type.Shape[0], w.Type.Shape[0]
	filters := []dim.Expr{o}
	if groups := v.Attrs.Int("groups", 1); groups > 1 {
		g := dim.Const(groups)
		batch, filters = ints(0, 1), []dim.Expr{g, o.FloorDiv(g)}
		p = b.Reshape(p, slices.Concat([]dim.Expr{n, g}, k[:1], p.Type.Shape[2:]))
	}
	shape := slices.Concat([]dim.Expr{n}, filters, k)
	w = b.Broadcast(b.Reshape(w, shape[1:]), shape, axesFrom(1, len(shape)-1)...)
	y := b.Emit(OpDotGeneral, []*Value{w, p}, Attr{"lhs_batch", batch}, Attr{"rhs_batch", batch},
		Attr{"lhs_contract", axesFrom(len(batch)+1, len(k))}, Attr{"rhs_contract", axesFrom(len(batch), len(k))})
	return b.Reshape(y, v.Type.Shape)
}

// axesFrom lists n axes from first on.
func axesFrom(first, n int) []int64 {
	axes := make([]int64, n)
	for i := range axes {
		axes[i] = int64(first + i)
	}
	return axes
}

// pointKernel reports whether every window is one unpadded element.
func pointKernel(s slide) bool {
	for i, k := range s.window {
		if k != 1 || s.low[i] != 0 || s.high[i] != 0 {
			return false
		}
	}
	return true
}

// convolutionPatches is the windows of the convolution's operand; where windows
// are single elements, only those that strides keep, without the window axes.
func convolutionPatches(b *Builder, v *Value, s slide) *Value {
	x := v.Args[0]
	if !pointKernel(s) {
		return b.Emit(OpPatches, []*Value{x}, Attr{"window", s.window}, Attr{"strides", s.strides},
			Attr{"padding_low", s.low}, Attr{"padding_high", s.high}, Attr{"dilation", s.dilation})
	}
	if !slices.ContainsFunc(s.strides, func(n int64) bool { return n != 1 }) {
		return x
	}
	starts := Dims(make([]int, x.Type.Rank())...)
	return b.Emit(OpSlice, []*Value{x}, Attr{"starts", starts}, Attr{"limits", x.Type.Shape},
		Attr{"strides", append(ints(1, 1), s.strides...)})
}

func inferReduceWindow(v *Value, facts *dim.Facts) (Type, error) {
	x := v.Args[0].Type
	if err := wantDType(v, 0, Numbers); err != nil {
		return Type{}, err
	}
	s, err := slideOf(v, x.Rank(), nil)
	if err != nil {
		return Type{}, err
	}
	shape, err := s.sizes(v, facts, 0)
	if err != nil {
		return Type{}, err
	}
	return x.WithShape(shape), nil
}
