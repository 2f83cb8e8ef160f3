package ir

import (
	"fmt"
	"math"

	"jitc/ir/dim"
)

func normComposites() map[Op]OpRow {
	axis := AttrSpec{Name: "axis", Kind: KindInt, Doc: "axis to normalise", Required: true}
	axes := AttrSpec{Name: "axes", Kind: KindInts, Doc: "axes to normalise, ascending; default the last one"}
	eps := func(def float64) AttrSpec {
		return AttrSpec{Name: "eps", Kind: KindFloat, Doc: "added before the root is taken", Default: def}
	}
	return map[Op]OpRow{
		OpSoftmax: {
			Name: "softmax", MinArgs: 1, MaxArgs: 1, Traits: Approximate, DTypes: Floats,
			Doc:   "exp(x - m) / sum(exp(x - m)) along an axis, m being the greatest element there; NaN where all are -inf.",
			Attrs: []AttrSpec{axis},
			Infer: inferSoftmax, Decompose: decomposeSoftmax, Samples: softmaxSamples,
		},
		OpLogSoftmax: {
			Name: "log_softmax", MinArgs: 1, MaxArgs: 1, Traits: Approximate, DTypes: Floats,
			Doc:   "x - m - log(sum(exp(x - m))) along an axis, m being the greatest element there.",
			Attrs: []AttrSpec{axis},
			Infer: inferSoftmax, Decompose: decomposeLogSoftmax, Samples: softmaxSamples,
		},
		OpLayerNorm: {
			Name: "layer_norm", MinArgs: 1, MaxArgs: 3, Traits: Approximate, DTypes: Floats,
			Doc: "(x - mean) * rsqrt(variance + eps) * weight + bias over axes; weight and bias, the second and third operands, " +
				"are optional and have the normalised axes' shape.",
			Attrs: []AttrSpec{axes, eps(1e-5)},
			Infer: func(v *Value, facts *dim.Facts) (Type, error) { return inferNorm(v, facts, 1e-5) }, Decompose: decomposeLayerNorm, Samples: layerNormSamples,
		},
		OpRMSNorm: {
			Name: "rms_norm", MinArgs: 1, MaxArgs: 2, Traits: Approximate, DTypes: Floats,
			Doc: "x * rsqrt(mean(x*x) + eps) * weight over axes; weight, the second operand, " +
				"is optional and has the normalised axes' shape.",
			Attrs: []AttrSpec{axes, eps(1e-6)},
			Infer: func(v *Value, facts *dim.Facts) (Type, error) { return inferNorm(v, facts, 1e-6) }, Decompose: decomposeRMSNorm, Samples: rmsNormSamples,
		},
		OpBatchNorm: {
			Name: "batch_norm", MinArgs: 5, MaxArgs: 5, Traits: Approximate, DTypes: Floats,
			Doc: "x[N,C,...] * scale + shift per channel, with scale = weight * rsqrt(variance + eps) and shift = bias - mean * scale; " +
				"the operands after x are mean, variance, weight and bias, each of shape [C] (inference).",
			Attrs: []AttrSpec{eps(1e-5)},
			Infer: inferBatchNorm, Decompose: decomposeBatchNorm, Samples: batchNormSamples,
		},
	}
}

func inferSoftmax(v *Value, _ *dim.Facts) (Type, error) {
	if err := wantDType(v, 0, Floats); err != nil {
		return Type{}, err
	}
	_, err := axisAttr(v, "axis", v.Args[0].Type.Rank(), 0)
	return v.Args[0].Type, err
}

// shifted is x, widened, less its greatest element along the axis.
func shifted(b *Builder, v *Value) (x *Value, axis int64) {
	x, axis = widened(b, v.Args[0]), v.Attrs.Int("axis", 0)
	return b.Sub(x, b.ReduceKeep(OpReduceMax, x, axis)), axis
}

func decomposeSoftmax(b *Builder, v *Value) *Value {
	x, axis := shifted(b, v)
	return b.Cast(normalisedExp(b, x, axis), v.Type.DType)
}

// normalisedExp is exp(x) divided by its sum along the axis: times the
// reciprocal, which is one division for each sum instead of one for each
// element, and one rounding more.
func normalisedExp(b *Builder, x *Value, axis int64) *Value {
	e := b.Unary(OpExp, x)
	sum := b.Reduce(OpReduceSum, e, axis)
	if b.Err() != nil {
		return nil
	}
	return b.Mul(e, b.BroadcastBack(b.Unary(OpReciprocal, sum), x.Type.Shape, axis))
}

func decomposeLogSoftmax(b *Builder, v *Value) *Value {
	x, axis := shifted(b, v)
	sum := b.Reduce(OpReduceSum, b.Unary(OpExp, x), axis)
	return b.Cast(b.Sub(x, b.BroadcastBack(b.Unary(OpLog, sum), v.Args[0].Type.Shape, axis)), v.Type.DType)
}

// normAxes are the normalised axes: the attribute's, or the last one.
func normAxes(v *Value) ([]int64, error) {
	rank := v.Args[0].Type.Rank()
	if !v.Attrs.Has("axes") {
		return ints(int64(rank - 1)), nil
	}
	axes, err := axesAttr(v, "axes", rank)
	if err != nil {
		return nil, err
	}
	for i := 1; i < len(axes); i++ {
		if axes[i] < axes[i-1] {
			return nil, attrError(v, "axes", "axes are not in ascending order", AttrString(sorted(axes)), AttrString(axes), "")
		}
	}
	if len(axes) == 0 {
		return nil, attrError(v, "axes", "no axis to normalise", "at least one axis", "[]", "")
	}
	return axes, nil
}

// wantEps checks that eps, def where absent, is a usable addend of a variance.
func wantEps(v *Value, def float64) error {
	if e := v.Attrs.Float("eps", def); !(e >= 0) || math.IsInf(e, 1) {
		return attrError(v, "eps", "eps out of range", "a finite number of at least 0", AttrString(e), "")
	}
	return nil
}

func inferNorm(v *Value, facts *dim.Facts, eps float64) (Type, error) {
	if err := wantSameDTypes(v, Floats); err != nil {
		return Type{}, err
	}
	if err := wantMinRank(v, 0, 1); err != nil {
		return Type{}, err
	}
	axes, err := normAxes(v)
	if err != nil {
		return Type{}, err
	}
	x := v.Args[0].Type
	for i := 1; i < len(v.Args); i++ {
		if err := wantNormShape(v, facts, i, pick(x.Shape, axes)); err != nil {
			return Type{}, err
		}
	}
	return x, wantEps(v, eps)
}

// wantNormShape checks a weight or bias against the normalised sizes.
func wantNormShape(v *Value, facts *dim.Facts, arg int, want []dim.Expr) error {
	if ShapeEqual(facts, v.Args[arg].Type.Shape, want) {
		return nil
	}
	hint := ""
	for i, e := range v.Args[arg].Type.Shape {
		if i < len(want) && hint == "" && !SizeEqual(facts, e, want[i]) {
			hint = equalHint(facts, e, want[i])
		}
	}
	return argError(v, arg, fmt.Sprintf("%s does not have the shape of the normalised axes", ordinal(arg)),
		ShapeString(want), argTypes(v), hint)
}

// scaledByRoot is x * rsqrt(s + eps), s being a statistic of x over axes.
func scaledByRoot(b *Builder, x, s *Value, eps float64, axes []int64) *Value {
	if b.Err() != nil {
		return nil
	}
	root := b.Unary(OpRsqrt, b.Add(s, b.SplatLike(s, eps)))
	return b.Mul(x, b.BroadcastBack(root, x.Type.Shape, axes...))
}

// affine applies op to y and operand arg of v, laid on y's axes, where v has it.
func affine(b *Builder, op Op, y *Value, v *Value, arg int, axes []int64) *Value {
	if b.Err() != nil || arg >= len(v.Args) {
		return y
	}
	return b.Binary(op, y, b.Broadcast(b.Cast(v.Args[arg], y.Type.DType), y.Type.Shape, axes...))
}

func decomposeLayerNorm(b *Builder, v *Value) *Value {
	axes, err := normAxes(v)
	b.Fail(err)
	d := centered(b, widened(b, v.Args[0]), axes)
	if b.Err() != nil {
		return nil
	}
	y := scaledByRoot(b, d, meanOf(b, b.Mul(d, d), axes), v.Attrs.Float("eps", 1e-5), axes)
	y = affine(b, OpMul, y, v, 1, axes)
	y = affine(b, OpAdd, y, v, 2, axes)
	return b.Cast(y, v.Type.DType)
}

func decomposeRMSNorm(b *Builder, v *Value) *Value {
	axes, err := normAxes(v)
	b.Fail(err)
	x := widened(b, v.Args[0])
	if b.Err() != nil {
		return nil
	}
	y := scaledByRoot(b, x, meanOf(b, b.Mul(x, x), axes), v.Attrs.Float("eps", 1e-6), axes)
	return b.Cast(affine(b, OpMul, y, v, 1, axes), v.Type.DType)
}

func inferBatchNorm(v *Value, facts *dim.Facts) (Type, error) {
	if err := wantSameDTypes(v, Floats); err != nil {
		return Type{}, err
	}
	if err := wantMinRank(v, 0, 2); err != nil {
		return Type{}, err
	}
	x := v.Args[0].Type
	for i := 1; i < len(v.Args); i++ {
		if err := wantNormShape(v, facts, i, x.Shape[1:2]); err != nil {
			return Type{}, err
		}
	}
	return x, wantEps(v, 1e-5)
}

func decomposeBatchNorm(b *Builder, v *Value) *Value {
	var w [5]*Value
	for i, a := range v.Args {
		w[i] = widened(b, a)
	}
	if b.Err() != nil {
		return nil
	}
	x, mean, variance, weight, bias := w[0], w[1], w[2], w[3], w[4]
	scale := b.Mul(weight, b.Unary(OpRsqrt, b.Add(variance, b.SplatLike(variance, v.Attrs.Float("eps", 1e-5)))))
	shift := b.Sub(bias, b.Mul(mean, scale))
	y := b.Mul(x, b.Broadcast(scale, x.Type.Shape, 1))
	return b.Cast(b.Add(y, b.Broadcast(shift, x.Type.Shape, 1)), v.Type.DType)
}
