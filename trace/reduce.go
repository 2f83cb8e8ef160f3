package trace

import (
	"slices"

	"jitc/ir"
	"jitc/ir/dim"
	"jitc/ir/tensor"
)

// Reductions fold the given axes, all of them if none is given; negative axes
// count from the end. The axes are dropped, or kept with size 1 by the variants
// with Keep.

// axes resolves axes, all if there are none, in increasing order.
func (s *scope) axes(x term, given []int) []int64 {
	var axes []int64
	for _, g := range given {
		axes = append(axes, int64(s.axis(g, x.rank())))
	}
	if len(given) == 0 {
		for i := range x.rank() {
			axes = append(axes, int64(i))
		}
	}
	slices.Sort(axes)
	if len(slices.Compact(slices.Clone(axes))) < len(axes) {
		s.rec.fail("an axis is given twice", "distinct axes", ir.AttrString(axes), "")
	}
	if axes == nil {
		axes = []int64{}
	}
	return axes
}

// axis resolves one axis of rank many.
func (s *scope) axis(axis, rank int) int {
	a, ok := wrapAxis(axis, rank)
	if !ok {
		e := axisError(s.rec.op, axis, rank)
		s.rec.fail(e.What, e.Expected, e.Got, e.Hint)
	}
	return a
}

// reduce folds axes by what fold builds.
func (t *Tensor) reduce(name string, keep bool, axes []int, fold func(s *scope, x term, axes []int64) term) *Tensor {
	return do(name, []any{t}, func(s *scope, x []term) term {
		at := s.axes(x[0], axes)
		y := fold(s, x[0], at)
		if keep {
			y = s.keepDims(y, x[0], at)
		}
		return y
	})
}

// keepDims gives a reduction over axes of x those axes back, with size 1.
func (s *scope) keepDims(y, x term, axes []int64) term {
	shape := slices.Clone(x.shape())
	for _, a := range axes {
		shape[a] = dim.Const(1)
	}
	return s.reshape(y, shape)
}

func folding(op ir.Op, prepare func(s *scope, x term) term) func(s *scope, x term, axes []int64) term {
	return func(s *scope, x term, axes []int64) term {
		return s.op(op, []term{prepare(s, x)}, attr("axes", axes))
	}
}

// asIs leaves a term alone, wide makes integers and bools i64 (u64 stays), truth
// compares with zero.
func asIs(_ *scope, x term) term { return x }

func wide(s *scope, x term) term {
	if dt := x.dtype(); dt.IsFloat() || dt == tensor.U64 {
		return x
	}
	return s.to(x, tensor.I64)
}

func truth(s *scope, x term) term {
	if x.dtype() == tensor.Bool {
		return x
	}
	return s.op(ir.OpNe, []term{x, splat(x, 0)})
}

func inFloats(s *scope, x term) term { return s.floats(x) }

// Sum is the sum; of bools and narrower integers in i64.
func (t *Tensor) Sum(axes ...int) *Tensor {
	return t.reduce("Sum", false, axes, folding(ir.OpReduceSum, wide))
}

// SumKeep is Sum with the axes kept.
func (t *Tensor) SumKeep(axes ...int) *Tensor {
	return t.reduce("SumKeep", true, axes, folding(ir.OpReduceSum, wide))
}

// Prod is the product; of bools and narrower integers in i64.
func (t *Tensor) Prod(axes ...int) *Tensor {
	return t.reduce("Prod", false, axes, folding(ir.OpReduceProd, wide))
}

// Max is the greatest element; NaN if there is one.
func (t *Tensor) Max(axes ...int) *Tensor {
	return t.reduce("Max", false, axes, folding(ir.OpReduceMax, asIs))
}

// MaxKeep is Max with the axes kept.
func (t *Tensor) MaxKeep(axes ...int) *Tensor {
	return t.reduce("MaxKeep", true, axes, folding(ir.OpReduceMax, asIs))
}

// Min is the least element; NaN if there is one.
func (t *Tensor) Min(axes ...int) *Tensor {
	return t.reduce("Min", false, axes, folding(ir.OpReduceMin, asIs))
}

// MinKeep is Min with the axes kept.
func (t *Tensor) MinKeep(axes ...int) *Tensor {
	return t.reduce("MinKeep", true, axes, folding(ir.OpReduceMin, asIs))
}

// Any tells whether an element is not zero.
func (t *Tensor) Any(axes ...int) *Tensor {
	return t.reduce("Any", false, axes, folding(ir.OpReduceAny, truth))
}

// All tells whether every element is not zero.
func (t *Tensor) All(axes ...int) *Tensor {
	return t.reduce("All", false, axes, folding(ir.OpReduceAll, truth))
}

// Mean is the mean; of integers in f32.
func (t *Tensor) Mean(axes ...int) *Tensor {
	return t.reduce("Mean", false, axes, folding(ir.OpMean, inFloats))
}

// MeanKeep is Mean with the axes kept.
func (t *Tensor) MeanKeep(axes ...int) *Tensor {
	return t.reduce("MeanKeep", true, axes, folding(ir.OpMean, inFloats))
}

// Var is the mean of squared differences from the mean.
func (t *Tensor) Var(axes ...int) *Tensor { return t.variance("Var", false, 0, axes) }

// VarKeep is Var with the axes kept.
func (t *Tensor) VarKeep(axes ...int) *Tensor { return t.variance("VarKeep", true, 0, axes) }

// VarCorrected is Var divided by n - correction instead of n: 1 gives the sample
// variance.
func (t *Tensor) VarCorrected(correction int, axes ...int) *Tensor {
	return t.variance("VarCorrected", false, correction, axes)
}

func (t *Tensor) variance(name string, keep bool, correction int, axes []int) *Tensor {
	return t.reduce(name, keep, axes, func(s *scope, x term, axes []int64) term {
		return s.variance(x, correction, axes)
	})
}

func (s *scope) variance(x term, correction int, axes []int64) term {
	return s.op(ir.OpVariance, []term{s.floats(x)}, attr("axes", axes), attr("correction", int64(correction)))
}

// Std is the root of Var.
func (t *Tensor) Std(axes ...int) *Tensor {
	return t.reduce("Std", false, axes, func(s *scope, x term, axes []int64) term {
		return s.op(ir.OpSqrt, []term{s.variance(x, 0, axes)})
	})
}

// Norm is the root of the sum of squares.
func (t *Tensor) Norm(axes ...int) *Tensor {
	return t.reduce("Norm", false, axes, func(s *scope, x term, axes []int64) term {
		square := s.op(ir.OpSquare, []term{s.floats(x)})
		return s.op(ir.OpSqrt, []term{s.op(ir.OpReduceSum, []term{square}, attr("axes", axes))})
	})
}

// LogSumExp is log(sum(e**t)), without overflow.
func (t *Tensor) LogSumExp(axes ...int) *Tensor {
	return t.reduce("LogSumExp", false, axes, func(s *scope, x term, axes []int64) term {
		x = s.floats(x)
		top := s.op(ir.OpReduceMax, []term{x}, attr("axes", axes))
		finite := s.op(ir.OpIsFinite, []term{top})
		shift := s.op(ir.OpSelect, []term{finite, top, number(top, 0)})
		apart := s.op(ir.OpSub, []term{x, s.toShape(s.keepDims(shift, x, axes), x.shape())})
		sum := s.op(ir.OpReduceSum, []term{s.op(ir.OpExp, []term{apart})}, attr("axes", axes))
		return s.op(ir.OpAdd, []term{s.op(ir.OpLog, []term{sum}), shift})
	})
}

// Argmax is the index along an axis of the greatest element, the first of equals.
func (t *Tensor) Argmax(axis int) *Tensor { return t.argument("Argmax", ir.OpArgmax, axis) }

// Argmin is the index along an axis of the least element, the first of equals.
func (t *Tensor) Argmin(axis int) *Tensor { return t.argument("Argmin", ir.OpArgmin, axis) }

func (t *Tensor) argument(name string, op ir.Op, axis int) *Tensor {
	return do(name, []any{t}, func(s *scope, x []term) term {
		return s.op(op, []term{x[0]}, attr("axis", int64(s.axis(axis, x[0].rank()))))
	})
}

// CumSum is the running sum along an axis; of bools and narrower integers in i64.
func (t *Tensor) CumSum(axis int) *Tensor { return t.cumulative("CumSum", "add", axis, wide) }

// CumProd is the running product along an axis; of bools and narrower integers in i64.
func (t *Tensor) CumProd(axis int) *Tensor { return t.cumulative("CumProd", "mul", axis, wide) }

// CumMax is the greatest element so far along an axis; NaN from the first one on.
func (t *Tensor) CumMax(axis int) *Tensor { return t.cumulative("CumMax", "max", axis, asIs) }

// CumMin is the least element so far along an axis; NaN from the first one on.
func (t *Tensor) CumMin(axis int) *Tensor { return t.cumulative("CumMin", "min", axis, asIs) }

func (t *Tensor) cumulative(name, combine string, axis int, prepare func(s *scope, x term) term) *Tensor {
	return do(name, []any{t}, func(s *scope, x []term) term {
		at := s.axis(axis, x[0].rank())
		return s.op(ir.OpCumulative, []term{prepare(s, x[0])}, attr("axis", int64(at)), attr("combine", combine))
	})
}
