package ir

import (
	"fmt"

	"jitc/ir/dim"
	"jitc/ir/tensor"
)

func structuralRows() map[Op]OpRow {
	return map[Op]OpRow{
		OpParam: {
			Name: "param", Traits: Structural, DTypes: Anything,
			Doc: "A parameter of the function: an input, or a weight that a file or a seeded rule provides.",
			Attrs: []AttrSpec{
				{Name: "weight", Kind: KindString, Doc: "key of the tensor in the weights file"},
				{Name: "init", Kind: KindString, Doc: "rule that generates the tensor", Enum: []string{"zeros", "ones", "normal", "uniform", "ints", "arange"}},
				{Name: "seed", Kind: KindInt, Doc: "seed of the rule", Default: int64(0)},
				{Name: "mean", Kind: KindFloat, Doc: "mean of normal", Default: 0.0},
				{Name: "std", Kind: KindFloat, Doc: "standard deviation of normal", Default: 1.0},
				{Name: "lo", Kind: KindFloat, Doc: "lower bound of uniform and ints, first element of arange", Default: 0.0},
				{Name: "step", Kind: KindFloat, Doc: "step of arange", Default: 1.0},
				{Name: "hi", Kind: KindFloat, Doc: "upper bound (excluded) of uniform and ints", Default: 1.0},
			},
			Infer: func(v *Value, _ *dim.Facts) (Type, error) { return v.Type, nil },
		},
		OpFused: {
			Name: "fused", MaxArgs: -1, Bodies: 1, Traits: Structural, DTypes: Anything,
			Doc:   "A region: its body applied to the operands, computed by one kernel. Several results make a tuple.",
			Infer: inferFused,
			EvalBodies: func(c *Call) ([]*tensor.Tensor, error) {
				return Eval(c.V.Bodies[0], c.Args, c.Sizes)
			},
		},
		OpGet: {
			Name: "get", MinArgs: 1, MaxArgs: 1, Traits: Structural, DTypes: Anything,
			Doc:   "One result of a region or of control flow that has several.",
			Attrs: []AttrSpec{{Name: "index", Kind: KindInt, Doc: "which result, from 0", Required: true}},
			Infer: inferGet,
		},
	}
}

func inferFused(v *Value, facts *dim.Facts) (Type, error) {
	body := v.Bodies[0]
	if err := wantParams(v, facts, "region", body, v.Args, 0); err != nil {
		return Type{}, err
	}
	return resultType(v, body.ResultTypes())
}

func inferGet(v *Value, _ *dim.Facts) (Type, error) {
	t, i := v.Args[0].Type, v.Attrs.Int("index", 0)
	if !t.IsTuple() {
		return Type{}, &OpError{Op: v.Op, Arg: 0, What: "operand has one result only", Expected: "a tuple", Got: t.String()}
	}
	if i < 0 || int(i) >= len(t.Tuple) {
		return Type{}, &OpError{Op: v.Op, Arg: -1, Attr: "index", What: "no such result",
			Expected: fmt.Sprintf("0 to %d", len(t.Tuple)-1), Got: fmt.Sprint(i)}
	}
	return t.Tuple[i], nil
}

// ParamRule returns the seeded rule that generates a parameter; ok is false for
// inputs and for weights read from a file.
func ParamRule(p *Value) (rule tensor.Rule, ok bool) {
	kind := p.Attrs.Str("init", "")
	if kind == "" {
		return tensor.Rule{}, false
	}
	return tensor.Rule{
		Kind: kind,
		Seed: uint64(p.Attrs.Int("seed", 0)),
		Mean: p.Attrs.Float("mean", 0), Std: p.Attrs.Float("std", 1),
		Lo: p.Attrs.Float("lo", 0), Hi: p.Attrs.Float("hi", 1), Step: p.Attrs.Float("step", 1),
	}, true
}

// IsWeight reports whether a parameter is a weight: read from a file or generated.
func IsWeight(p *Value) bool { return p.Attrs.Has("weight") || p.Attrs.Has("init") }
