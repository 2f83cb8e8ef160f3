package ir

import (
	"jitc/ir/dim"
	"jitc/ir/tensor"
)

func castRows() map[Op]OpRow {
	return map[Op]OpRow{
		OpCast: {
			Name: "cast", MinArgs: 1, MaxArgs: 1, Traits: Pointwise, DTypes: Anything,
			Doc: "x converted to another element type. To a float: rounded to nearest, ties to even. Float to integer: " +
				"truncated towards zero, saturated, NaN gives 0. Integer to integer: wrapped. To bool: x != 0.",
			Attrs: []AttrSpec{{Name: "dtype", Kind: KindDType, Doc: "element type of the result", Required: true, FromType: true}},
			Infer: inferCast, Samples: castSamples,
			Eval: func(c *Call) (*tensor.Tensor, error) {
				if x := c.Args[0]; x.DType() != c.DType {
					return tensor.Cast(x, c.DType), nil
				}
				return c.Args[0].Clone(), nil
			},
		},
	}
}

func inferCast(v *Value, _ *dim.Facts) (Type, error) {
	dt, err := dtypeAttr(v, "dtype", Anything)
	return v.Args[0].Type.WithDType(dt), err
}

// castSamples reach past the ranges of the 8-bit types.
func castSamples() []Sample {
	var out []Sample
	for _, dt := range tensor.DTypes() {
		out = append(out, Sample{Args: []Type{TConst(tensor.F32, 3, 7)}, Attrs: NewAttrs(Attr{"dtype", dt}), Lo: -300, Hi: 300})
	}
	for _, shape := range [][]int{{}, {0, 2}, {131}} {
		out = append(out, Sample{Args: []Type{TConst(tensor.F32, shape...)}, Attrs: NewAttrs(Attr{"dtype", tensor.I32}), Lo: -9, Hi: 9})
	}
	return out
}
