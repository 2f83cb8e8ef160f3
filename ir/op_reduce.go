package ir

import (
	"jitc/ir/dim"
	"jitc/ir/internal/refeval"
	"jitc/ir/tensor"
)

// reduceRows are the reductions over whole axes.
func reduceRows() map[Op]OpRow {
	return map[Op]OpRow{
		OpReduceSum: reduction("reduce_sum", "The sum over the axes, 0 of nothing. Floats accumulate in f32 or wider "+
			"in any order; integers wrap.", Numbers,
			refeval.Reduction{Float: refeval.PairwiseSum, Int: foldedInts(refeval.Add[int64]), Identity: refeval.Constant(0)}),
		OpReduceProd: reduction("reduce_prod", "The product over the axes, 1 of nothing. Integers wrap.", Numbers,
			refeval.Folded(refeval.Binary{Float: refeval.Mul[float64], Int: refeval.Mul[int64]}, refeval.Constant(1))),
		OpReduceMax: reduction("reduce_max", "The greatest element over the axes; NaN if there is one. "+
			"Of nothing: -inf, or the lowest value of a type without infinities.", Numbers, refeval.Folded(maxOf, refeval.Lowest)),
		OpReduceMin: reduction("reduce_min", "The least element over the axes; NaN if there is one. "+
			"Of nothing: +inf, or the highest value of a type without infinities.", Numbers, refeval.Folded(minOf, refeval.Highest)),
		OpReduceAny: reduction("reduce_any", "Whether an element over the axes is true; false of nothing.", Bools,
			refeval.Folded(refeval.Binary{Int: refeval.Or[int64]}, refeval.Constant(0))),
		OpReduceAll: reduction("reduce_all", "Whether every element over the axes is true; true of nothing.", Bools,
			refeval.Folded(refeval.Binary{Int: refeval.And[int64]}, refeval.Constant(1))),
	}
}

func foldedInts(f func(x, y int64) int64) func([]int64) int64 {
	return refeval.Folded(refeval.Binary{Int: f}, nil).Int
}

func reduction(name, doc string, dtypes DTypeSet, r refeval.Reduction) OpRow {
	return OpRow{
		Name: name, Doc: doc + " The axes are dropped.", MinArgs: 1, MaxArgs: 1, Traits: Reduce, DTypes: dtypes,
		Attrs: []AttrSpec{{Name: "axes", Kind: KindInts, Doc: "axes to fold, in any order; none: x itself", Required: true}},
		Infer: inferReduce,
		Eval: func(c *Call) (*tensor.Tensor, error) {
			return r.Apply(c.Args[0], c.V.Attrs.Ints("axes"))
		},
		Samples: reduceSamples(dtypes),
	}
}

func inferReduce(v *Value, _ *dim.Facts) (Type, error) {
	if err := wantDType(v, 0, v.Row().DTypes); err != nil {
		return Type{}, err
	}
	x := v.Args[0].Type
	axes, err := axesAttr(v, "axes", x.Rank())
	if err != nil {
		return Type{}, err
	}
	shape := []dim.Expr{}
	for _, a := range keptAxes(x.Rank(), axes) {
		shape = append(shape, x.Shape[a])
	}
	return x.WithShape(shape), nil
}

// reduceSamples fold the last axis, the first, one in the middle, several, all
// and none, rows of nothing, and no rows. The range keeps products finite.
func reduceSamples(dtypes DTypeSet) func() []Sample {
	return func() []Sample {
		dt := tensor.F32
		if !dtypes.Has(dt) {
			dt = tensor.Bool
		}
		s := func(shape []int, axes ...int64) Sample {
			return Sample{Args: []Type{TConst(dt, shape...)}, Attrs: NewAttrs(Attr{"axes", axes}), Lo: -1.5, Hi: 1.5}
		}
		return []Sample{
			s([]int{13}, 0), s([]int{3, 131}, 1), s([]int{7, 5}, 0), s([]int{2, 5, 3}, 1), s([]int{2, 3, 5}, 2, 0),
			s([]int{3, 4}, 0, 1), s([]int{2, 3}), s([]int{}), s([]int{3, 0}, 1), s([]int{0, 3}, 1), s([]int{1, 17, 1}, 1),
		}
	}
}
