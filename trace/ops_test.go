package trace_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"jitc/ir"
	"jitc/ir/tensor"
	"jitc/trace"
)

// of makes one-operand cases shorter.
func of(f func(x *trace.Tensor) *trace.Tensor) traced {
	return func(x []*trace.Tensor) *trace.Tensor { return f(x[0]) }
}

// Every unary method against Go's own functions.
func TestUnaryMethods(t *testing.T) {
	type T = trace.Tensor
	sigmoid := func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }
	gelu := func(x float64) float64 { return 0.5 * x * (1 + math.Erf(x/math.Sqrt2)) }
	cases := []struct {
		name string
		fn   func(x *T) *T
		want func(x float64) float64
	}{
		{"Neg", (*T).Neg, func(x float64) float64 { return -x }}, {"Abs", (*T).Abs, math.Abs},
		{"Sign", (*T).Sign, func(x float64) float64 {
			if x == 0 {
				return x
			}
			return math.Copysign(1, x)
		}},
		{"Floor", (*T).Floor, math.Floor}, {"Ceil", (*T).Ceil, math.Ceil}, {"Round", (*T).Round, math.RoundToEven},
		{"Trunc", (*T).Trunc, math.Trunc}, {"Sqrt", (*T).Sqrt, math.Sqrt},
		{"Rsqrt", (*T).Rsqrt, func(x float64) float64 { return 1 / math.Sqrt(x) }}, {"Cbrt", (*T).Cbrt, math.Cbrt},
		{"Exp", (*T).Exp, math.Exp}, {"Exp2", (*T).Exp2, math.Exp2}, {"Expm1", (*T).Expm1, math.Expm1},
		{"Log", (*T).Log, math.Log}, {"Log2", (*T).Log2, math.Log2}, {"Log10", (*T).Log10, math.Log10}, {"Log1p", (*T).Log1p, math.Log1p},
		{"Sin", (*T).Sin, math.Sin}, {"Cos", (*T).Cos, math.Cos}, {"Tan", (*T).Tan, math.Tan},
		{"Asin", (*T).Asin, math.Asin}, {"Acos", (*T).Acos, math.Acos}, {"Atan", (*T).Atan, math.Atan},
		{"Sinh", (*T).Sinh, math.Sinh}, {"Cosh", (*T).Cosh, math.Cosh}, {"Tanh", (*T).Tanh, math.Tanh}, {"Erf", (*T).Erf, math.Erf},
		{"Square", (*T).Square, func(x float64) float64 { return x * x }},
		{"Reciprocal", (*T).Reciprocal, func(x float64) float64 { return 1 / x }},
		{"Sigmoid", (*T).Sigmoid, sigmoid}, {"Relu", (*T).Relu, func(x float64) float64 { return max(x, 0) }},
		{"Silu", (*T).Silu, func(x float64) float64 { return x * sigmoid(x) }}, {"Gelu", (*T).Gelu, gelu},
		{"GeluTanh", (*T).GeluTanh, func(x float64) float64 {
			return 0.5 * x * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x)))
		}},
		{"Softplus", (*T).Softplus, func(x float64) float64 { return math.Log1p(math.Exp(x)) }},
		{"LeakyRelu", func(x *T) *T { return x.LeakyRelu(0.1) }, func(x float64) float64 { return max(x, 0.1*x) }},
		{"Elu", func(x *T) *T { return x.Elu(2) }, func(x float64) float64 {
			if x > 0 {
				return x
			}
			return 2 * math.Expm1(x)
		}},
	}
	in := tensor.Of([]int{5}, -0.75, -0.25, 0, 0.5, 0.875)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			want := tensor.New(tensor.F64, 5)
			for i, x := range tensor.Data[float64](in) {
				tensor.Data[float64](want)[i] = c.want(x)
			}
			got := everyWay(t, of(c.fn), in)
			require.NoError(t, tensor.Check(got, want, tensor.Tolerance{Rel: 1e-14, Abs: 1e-15, NaNEqual: true}))
			if ints := everyWay(t, of(c.fn), i64s([]int{2}, 0, 1)); ints.DType() != tensor.I64 {
				require.Equal(t, tensor.F32, ints.DType()) // integers become f32 where there is no integer op
			}
		})
	}
}

func bools(shape []int, data ...bool) *tensor.Tensor { return tensor.Of(shape, data...) }

// Everything else, against results worked out by hand.
func TestMethods(t *testing.T) {
	type T = trace.Tensor
	a := f32s([]int{2, 3}, 1, 2, 3, 4, 5, 6)
	v := f32s([]int{3}, 3, 1, 2)
	m := i64s([]int{4}, -7, 7, -6, 0)
	two := i64s([]int{}, 2)
	square := f32s([]int{2, 2}, 1, 2, 3, 4)
	inf := float32(math.Inf(1))
	cases := []struct {
		name string
		in   []*tensor.Tensor
		fn   traced
		want *tensor.Tensor
	}{
		{"Add broadcasts", []*tensor.Tensor{a, v}, func(x []*T) *T { return x[0].Add(x[1]) }, f32s([]int{2, 3}, 4, 3, 5, 7, 6, 8)},
		{"Add of a Size", []*tensor.Tensor{v}, func(x []*T) *T { return x[0].Add(x[0].Size(0)) }, f32s([]int{3}, 6, 4, 5)},
		{"Sub", []*tensor.Tensor{v}, func(x []*T) *T { return x[0].Sub(1) }, f32s([]int{3}, 2, 0, 1)},
		{"Mul", []*tensor.Tensor{v, v}, func(x []*T) *T { return x[0].Mul(x[1]) }, f32s([]int{3}, 9, 1, 4)},
		{"Div of integers", []*tensor.Tensor{m}, of(func(x *T) *T { return x.Div(2) }), f32s([]int{4}, -3.5, 3.5, -3, 0)},
		{"FloorDivide", []*tensor.Tensor{m}, of(func(x *T) *T { return x.FloorDivide(2) }), i64s([]int{4}, -4, 3, -3, 0)},
		{"FloorDivide by negative", []*tensor.Tensor{m}, of(func(x *T) *T { return x.FloorDivide(-2) }), i64s([]int{4}, 3, -4, 3, 0)},
		{"FloorDivide of floats", []*tensor.Tensor{v}, of(func(x *T) *T { return x.FloorDivide(2) }), f32s([]int{3}, 1, 0, 1)},
		{"Rem", []*tensor.Tensor{m}, of(func(x *T) *T { return x.Rem(4) }), i64s([]int{4}, -3, 3, -2, 0)},
		{"Mod", []*tensor.Tensor{m}, of(func(x *T) *T { return x.Mod(4) }), i64s([]int{4}, 1, 3, 2, 0)},
		{"Pow", []*tensor.Tensor{v}, of(func(x *T) *T { return x.Pow(2) }), f32s([]int{3}, 9, 1, 4)},
		{"Pow of integers", []*tensor.Tensor{m}, of(func(x *T) *T { return x.Pow(3) }), i64s([]int{4}, -343, 343, -216, 0)},
		{"Pow 0 of integers", []*tensor.Tensor{m}, of(func(x *T) *T { return x.Pow(0) }), i64s([]int{4}, 1, 1, 1, 1)},
		{"Maximum", []*tensor.Tensor{v}, of(func(x *T) *T { return x.Maximum(2) }), f32s([]int{3}, 3, 2, 2)},
		{"Minimum", []*tensor.Tensor{v}, of(func(x *T) *T { return x.Minimum(2) }), f32s([]int{3}, 2, 1, 2)},
		{"Atan2", []*tensor.Tensor{v}, of(func(x *T) *T { return x.Atan2(x).Sub(math.Pi / 4).Abs().Lt(1e-6) }), bools([]int{3}, true, true, true)},
		{"And", []*tensor.Tensor{m}, of(func(x *T) *T { return x.And(3) }), i64s([]int{4}, 1, 3, 2, 0)},
		{"Or", []*tensor.Tensor{m}, of(func(x *T) *T { return x.Or(1) }), i64s([]int{4}, -7, 7, -5, 1)},
		{"Xor", []*tensor.Tensor{m}, of(func(x *T) *T { return x.Xor(-1) }), i64s([]int{4}, 6, -8, 5, -1)},
		{"Not", []*tensor.Tensor{m}, of((*T).Not), i64s([]int{4}, 6, -8, 5, -1)},
		{"Shl", []*tensor.Tensor{m}, of(func(x *T) *T { return x.Shl(1) }), i64s([]int{4}, -14, 14, -12, 0)},
		{"Shr", []*tensor.Tensor{m}, of(func(x *T) *T { return x.Shr(1) }), i64s([]int{4}, -4, 3, -3, 0)},
		{"Eq", []*tensor.Tensor{v}, of(func(x *T) *T { return x.Eq(2) }), bools([]int{3}, false, false, true)},
		{"Ne", []*tensor.Tensor{v}, of(func(x *T) *T { return x.Ne(2) }), bools([]int{3}, true, true, false)},
		{"Lt", []*tensor.Tensor{v}, of(func(x *T) *T { return x.Lt(2) }), bools([]int{3}, false, true, false)},
		{"Le", []*tensor.Tensor{v}, of(func(x *T) *T { return x.Le(2) }), bools([]int{3}, false, true, true)},
		{"Gt", []*tensor.Tensor{v}, of(func(x *T) *T { return x.Gt(2) }), bools([]int{3}, true, false, false)},
		{"Ge", []*tensor.Tensor{v}, of(func(x *T) *T { return x.Ge(2) }), bools([]int{3}, true, false, true)},
		{"Clamp", []*tensor.Tensor{v}, of(func(x *T) *T { return x.Clamp(1.5, 2.5) }), f32s([]int{3}, 2.5, 1.5, 2)},
		{"Where", []*tensor.Tensor{v}, of(func(x *T) *T { return trace.Where(x.Gt(1), x, 0) }), f32s([]int{3}, 3, 0, 2)},
		{"MaskedFill", []*tensor.Tensor{v}, of(func(x *T) *T { return x.MaskedFill(x.Gt(1), math.Inf(1)) }), f32s([]int{3}, inf, 1, inf)},
		{"Lerp", []*tensor.Tensor{v}, of(func(x *T) *T { return x.Lerp(5, 0.5) }), f32s([]int{3}, 4, 3, 3.5)},
		{"Tril", []*tensor.Tensor{a}, of(func(x *T) *T { return x.Tril(0) }), f32s([]int{2, 3}, 1, 0, 0, 4, 5, 0)},
		{"Triu", []*tensor.Tensor{a}, of(func(x *T) *T { return x.Triu(1) }), f32s([]int{2, 3}, 0, 2, 3, 0, 0, 6)},
		{"IsNaN", []*tensor.Tensor{v}, of(func(x *T) *T { return x.Sub(2).Sqrt().IsNaN() }), bools([]int{3}, false, true, false)},
		{"IsFinite", []*tensor.Tensor{v}, of(func(x *T) *T { return x.Sub(2).Reciprocal().IsFinite() }), bools([]int{3}, true, true, false)},
		{"IsInf", []*tensor.Tensor{v}, of(func(x *T) *T { return x.Sub(2).Reciprocal().IsInf() }), bools([]int{3}, false, false, true)},
		{"To", []*tensor.Tensor{v}, of(func(x *T) *T { return x.Div(2).To(tensor.I64) }), i64s([]int{3}, 1, 0, 1)},

		{"Sum", []*tensor.Tensor{a}, of(func(x *T) *T { return x.Sum(0) }), f32s([]int{3}, 5, 7, 9)},
		{"Sum of all", []*tensor.Tensor{a}, of(func(x *T) *T { return x.Sum() }), f32s([]int{}, 21)},
		{"Sum of bools", []*tensor.Tensor{a}, of(func(x *T) *T { return x.Gt(3).Sum() }), i64s([]int{}, 3)},
		{"SumKeep", []*tensor.Tensor{a}, of(func(x *T) *T { return x.SumKeep(-1) }), f32s([]int{2, 1}, 6, 15)},
		{"Prod", []*tensor.Tensor{a}, of(func(x *T) *T { return x.Prod(1) }), f32s([]int{2}, 6, 120)},
		{"Max", []*tensor.Tensor{a}, of(func(x *T) *T { return x.Max(1) }), f32s([]int{2}, 3, 6)},
		{"MaxKeep", []*tensor.Tensor{a}, of(func(x *T) *T { return x.MaxKeep(1, 0) }), f32s([]int{1, 1}, 6)},
		{"Min", []*tensor.Tensor{a}, of(func(x *T) *T { return x.Min(0) }), f32s([]int{3}, 1, 2, 3)},
		{"MinKeep", []*tensor.Tensor{a}, of(func(x *T) *T { return x.MinKeep(0) }), f32s([]int{1, 3}, 1, 2, 3)},
		{"Any", []*tensor.Tensor{a}, of(func(x *T) *T { return x.Gt(4).Any(0) }), bools([]int{3}, false, true, true)},
		{"All", []*tensor.Tensor{m}, of(func(x *T) *T { return x.All() }), bools([]int{}, false)},
		{"Mean", []*tensor.Tensor{a}, of(func(x *T) *T { return x.Mean(1) }), f32s([]int{2}, 2, 5)},
		{"MeanKeep", []*tensor.Tensor{a}, of(func(x *T) *T { return x.MeanKeep(1) }), f32s([]int{2, 1}, 2, 5)},
		{"Var", []*tensor.Tensor{square}, of(func(x *T) *T { return x.Var(0) }), f32s([]int{2}, 1, 1)},
		{"VarKeep", []*tensor.Tensor{square}, of(func(x *T) *T { return x.VarKeep() }), f32s([]int{1, 1}, 1.25)},
		{"VarCorrected", []*tensor.Tensor{square}, of(func(x *T) *T { return x.VarCorrected(1, 0) }), f32s([]int{2}, 2, 2)},
		{"Std", []*tensor.Tensor{square}, of(func(x *T) *T { return x.Std(0) }), f32s([]int{2}, 1, 1)},
		{"Norm", []*tensor.Tensor{f32s([]int{2}, 3, 4)}, of(func(x *T) *T { return x.Norm() }), f32s([]int{}, 5)},
		{"LogSumExp", []*tensor.Tensor{f32s([]int{1, 1}, 1000)}, of(func(x *T) *T { return x.LogSumExp(1) }), f32s([]int{1}, 1000)},
		{"Argmax", []*tensor.Tensor{v}, of(func(x *T) *T { return x.Argmax(0) }), i64s([]int{}, 0)},
		{"Argmin", []*tensor.Tensor{a}, of(func(x *T) *T { return x.Argmin(-2) }), i64s([]int{3}, 0, 0, 0)},
		{"CumSum", []*tensor.Tensor{a}, of(func(x *T) *T { return x.CumSum(1) }), f32s([]int{2, 3}, 1, 3, 6, 4, 9, 15)},
		{"CumSum 0", []*tensor.Tensor{a}, of(func(x *T) *T { return x.CumSum(0) }), f32s([]int{2, 3}, 1, 2, 3, 5, 7, 9)},
		{"CumSum of bools", []*tensor.Tensor{a}, of(func(x *T) *T { return x.Gt(2).CumSum(-1) }), i64s([]int{2, 3}, 0, 0, 1, 1, 2, 3)},
		{"CumProd", []*tensor.Tensor{a}, of(func(x *T) *T { return x.CumProd(1) }), f32s([]int{2, 3}, 1, 2, 6, 4, 20, 120)},
		{"CumProd of narrow integers", []*tensor.Tensor{m}, of(func(x *T) *T { return x.To(tensor.I8).CumProd(0) }), i64s([]int{4}, -7, -49, 294, 0)},
		{"CumMax", []*tensor.Tensor{m}, of(func(x *T) *T { return x.CumMax(0) }), i64s([]int{4}, -7, 7, 7, 7)},
		{"CumMin", []*tensor.Tensor{v}, of(func(x *T) *T { return x.CumMin(-1) }), f32s([]int{3}, 3, 1, 1)},

		{"Reshape", []*tensor.Tensor{a}, of(func(x *T) *T { return x.Reshape(3, 2) }), f32s([]int{3, 2}, 1, 2, 3, 4, 5, 6)},
		{"Reshape -1", []*tensor.Tensor{a}, of(func(x *T) *T { return x.View(-1, 2) }), f32s([]int{3, 2}, 1, 2, 3, 4, 5, 6)},
		{"Flatten", []*tensor.Tensor{a}, of(func(x *T) *T { return x.Unsqueeze(0).Flatten(0, 1) }), a},
		{"Ravel", []*tensor.Tensor{a}, of((*T).Ravel), f32s([]int{6}, 1, 2, 3, 4, 5, 6)},
		{"T", []*tensor.Tensor{a}, of((*T).T), f32s([]int{3, 2}, 1, 4, 2, 5, 3, 6)},
		{"Transpose", []*tensor.Tensor{a}, of(func(x *T) *T { return x.Transpose(-1, 0) }), f32s([]int{3, 2}, 1, 4, 2, 5, 3, 6)},
		{"Permute", []*tensor.Tensor{a}, of(func(x *T) *T { return x.Unsqueeze(-1).Permute(2, 1, 0) }), f32s([]int{1, 3, 2}, 1, 4, 2, 5, 3, 6)},
		{"MoveAxis", []*tensor.Tensor{a}, of(func(x *T) *T { return x.Unsqueeze(0).MoveAxis(-1, 0) }), f32s([]int{3, 1, 2}, 1, 4, 2, 5, 3, 6)},
		{"Squeeze", []*tensor.Tensor{a}, of(func(x *T) *T { return x.Unsqueeze(1).Squeeze(1) }), a},
		{"Squeeze all", []*tensor.Tensor{a}, of(func(x *T) *T { return x.Unsqueeze(1).Unsqueeze(0).Squeeze() }), a},
		{"BroadcastTo", []*tensor.Tensor{v}, of(func(x *T) *T { return x.BroadcastTo(2, -1) }), f32s([]int{2, 3}, 3, 1, 2, 3, 1, 2)},
		{"Expand", []*tensor.Tensor{v}, of(func(x *T) *T { return x.Unsqueeze(1).Expand(3, 2) }), f32s([]int{3, 2}, 3, 3, 1, 1, 2, 2)},
		{"BroadcastLike", []*tensor.Tensor{v, a}, func(x []*T) *T { return x[0].BroadcastLike(x[1]) }, f32s([]int{2, 3}, 3, 1, 2, 3, 1, 2)},
		{"Tile", []*tensor.Tensor{v}, of(func(x *T) *T { return x.Tile(2, 2) }), f32s([]int{2, 6}, 3, 1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2)},
		{"Flip", []*tensor.Tensor{a}, of(func(x *T) *T { return x.Flip(1) }), f32s([]int{2, 3}, 3, 2, 1, 6, 5, 4)},
		{"Roll", []*tensor.Tensor{a}, of(func(x *T) *T { return x.Roll(1, 1) }), f32s([]int{2, 3}, 3, 1, 2, 6, 4, 5)},
		{"Roll back", []*tensor.Tensor{v}, of(func(x *T) *T { return x.Roll(-4, 0) }), f32s([]int{3}, 1, 2, 3)},
		{"Concat", []*tensor.Tensor{v, i64s([]int{1}, 9)}, func(x []*T) *T { return trace.Concat(0, x...) }, f32s([]int{4}, 3, 1, 2, 9)},
		{"Stack", []*tensor.Tensor{v, v}, func(x []*T) *T { return trace.Stack(-1, x[0], x[1].Add(1)) }, f32s([]int{3, 2}, 3, 4, 1, 2, 2, 3)},
		{"OneHot", []*tensor.Tensor{i64s([]int{2}, 2, 0)}, of(func(x *T) *T { return x.OneHot(3, tensor.F32) }), f32s([]int{2, 3}, 0, 0, 1, 1, 0, 0)},

		{"Slice", []*tensor.Tensor{a}, of(func(x *T) *T { return x.Slice(1, 1, trace.End) }), f32s([]int{2, 2}, 2, 3, 5, 6)},
		{"Slice from the end", []*tensor.Tensor{v}, of(func(x *T) *T { return x.Slice(0, -2, -1) }), f32s([]int{1}, 1)},
		{"Slice clamps", []*tensor.Tensor{v}, of(func(x *T) *T { return x.Slice(0, -9, 9) }), v},
		{"Slice of nothing", []*tensor.Tensor{v}, of(func(x *T) *T { return x.Slice(0, 2, 1) }), f32s([]int{0})},
		{"SliceStep", []*tensor.Tensor{v}, of(func(x *T) *T { return x.SliceStep(0, 0, trace.End, 2) }), f32s([]int{2}, 3, 2)},
		{"Narrow", []*tensor.Tensor{a}, of(func(x *T) *T { return x.Narrow(-1, 1, 1) }), f32s([]int{2, 1}, 2, 5)},
		{"Index", []*tensor.Tensor{a}, of(func(x *T) *T { return x.Index(0, -1) }), f32s([]int{3}, 4, 5, 6)},
		{"Index by data", []*tensor.Tensor{a, two}, func(x []*T) *T { return x[0].Index(1, x[1]) }, f32s([]int{2}, 3, 6)},
		{"Split", []*tensor.Tensor{a}, of(func(x *T) *T { p := x.Split(1, 1, 2); return p[1].Sub(p[0]) }), f32s([]int{2, 2}, 1, 2, 1, 2)},
		{"Chunk", []*tensor.Tensor{a}, of(func(x *T) *T { p := x.Chunk(3, 1); return p[2].Sub(p[0]) }), f32s([]int{2, 1}, 2, 2)},
		{"Take", []*tensor.Tensor{a, two}, func(x []*T) *T { return x[0].Take(1, x[1].Unsqueeze(0)) }, f32s([]int{2, 1}, 3, 6)},
		{"Gather", []*tensor.Tensor{a, i64s([]int{2, 2}, 2, 0, 1, 1)}, func(x []*T) *T { return x[0].Gather(1, x[1]) }, f32s([]int{2, 2}, 3, 1, 5, 5)},
		{"Gather 0", []*tensor.Tensor{a, i64s([]int{1, 3}, 1, 0, 1)}, func(x []*T) *T { return x[0].Gather(0, x[1]) }, f32s([]int{1, 3}, 4, 2, 6)},
		{"IndexCopy", []*tensor.Tensor{a, i64s([]int{3}, 1, 1, 9), f32s([]int{2, 3}, 7, 8, 9, 10, 11, 12)},
			func(x []*T) *T { return x[0].IndexCopy(1, x[1], x[2]) }, f32s([]int{2, 3}, 1, 8, 9, 4, 11, 12)},
		{"IndexAdd", []*tensor.Tensor{a, i64s([]int{2, 2}, 1, 0, 1, 1), i64s([]int{2, 2, 3}, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 20, 30)},
			func(x []*T) *T { return x[0].IndexAdd(-2, x[1], x[2]) }, f32s([]int{2, 3}, 5, 7, 9, 22, 35, 48)},
		{"IndexReduce", []*tensor.Tensor{v, i64s([]int{2}, 0, 0), f32s([]int{2}, 2, 5)},
			func(x []*T) *T { return x[0].IndexReduce(0, x[1], x[2], "prod") }, f32s([]int{3}, 30, 1, 2)},
		{"Scatter", []*tensor.Tensor{a, i64s([]int{2, 2}, 2, 0, 1, 1), f32s([]int{2, 2}, 7, 8, 9, 10)},
			func(x []*T) *T { return x[0].Scatter(1, x[1], x[2]) }, f32s([]int{2, 3}, 8, 2, 7, 4, 10, 6)},
		{"ScatterAdd 0", []*tensor.Tensor{a, i64s([]int{2, 3}, 1, 0, 1, 1, 0, -5), i64s([]int{2, 3}, 1, 2, 3, 4, 5, 6)},
			func(x []*T) *T { return x[0].ScatterAdd(0, x[1], x[2]) }, f32s([]int{2, 3}, 1, 9, 9, 9, 5, 9)},
		{"ScatterReduce", []*tensor.Tensor{v, i64s([]int{2}, 0, 1), f32s([]int{2}, 1, 1.5)},
			func(x []*T) *T { return x[0].ScatterReduce(0, x[1], x[2], "amin") }, f32s([]int{3}, 1, 1, 2)},
		{"ScatterReduce amax", []*tensor.Tensor{v, i64s([]int{2}, 0, 1), f32s([]int{2}, 1, 1.5)},
			func(x []*T) *T { return x[0].ScatterReduce(0, x[1], x[2], "amax") }, f32s([]int{3}, 3, 1.5, 2)},
		{"Embedding", []*tensor.Tensor{a, i64s([]int{3}, 1, 0, 1)}, func(x []*T) *T { return x[0].Embedding(x[1]) }, f32s([]int{3, 3}, 4, 5, 6, 1, 2, 3, 4, 5, 6)},
		{"Pad", []*tensor.Tensor{v}, of(func(x *T) *T { return x.Pad(0, 1, 2, -1) }), f32s([]int{6}, -1, 3, 1, 2, -1, -1)},
		{"DynamicSlice", []*tensor.Tensor{a, two}, func(x []*T) *T { return x[0].DynamicSlice([]any{0, x[1]}, 1, 2) }, f32s([]int{1, 2}, 2, 3)},
		{"DynamicUpdateSlice", []*tensor.Tensor{v, f32s([]int{1}, 9), two}, func(x []*T) *T { return x[0].DynamicUpdateSlice(x[1], x[2]) }, f32s([]int{3}, 3, 1, 9)},

		{"MatMul", []*tensor.Tensor{a, f32s([]int{3, 1}, 1, 0, 2)}, func(x []*T) *T { return x[0].MatMul(x[1]) }, f32s([]int{2, 1}, 7, 16)},
		{"MatMul vector", []*tensor.Tensor{a, v}, func(x []*T) *T { return x[0].MatMul(x[1]) }, f32s([]int{2}, 11, 29)},
		{"MatMul of a vector", []*tensor.Tensor{f32s([]int{2}, 1, 2), a}, func(x []*T) *T { return x[0].MatMul(x[1]) }, f32s([]int{3}, 9, 12, 15)},
		{"MatMul batches", []*tensor.Tensor{f32s([]int{2, 1, 1, 2}, 1, 2, 3, 4), f32s([]int{2, 2, 1}, 1, 1, 2, 0)},
			func(x []*T) *T { return x[0].MatMul(x[1]) }, f32s([]int{2, 2, 1, 1}, 3, 2, 7, 6)},
		{"MatMul vector with batches", []*tensor.Tensor{f32s([]int{2}, 1, 2), f32s([]int{2, 2, 1}, 1, 1, 2, 0)},
			func(x []*T) *T { return x[0].MatMul(x[1]) }, f32s([]int{2, 1}, 3, 2)},
		{"Dot", []*tensor.Tensor{v, v}, func(x []*T) *T { return x[0].Dot(x[1]) }, f32s([]int{}, 14)},
		{"Outer", []*tensor.Tensor{f32s([]int{2}, 1, 2), v}, func(x []*T) *T { return x[0].Outer(x[1]) }, f32s([]int{2, 3}, 3, 1, 2, 6, 2, 4)},
		{"Linear", []*tensor.Tensor{v, a, f32s([]int{2}, 100, 200)}, func(x []*T) *T { return x[0].Linear(x[1], x[2]) }, f32s([]int{2}, 111, 229)},
		{"Dense", []*tensor.Tensor{f32s([]int{1, 2}, 1, 2), a}, func(x []*T) *T { return x[0].Dense(x[1], nil) }, f32s([]int{1, 3}, 9, 12, 15)},
		{"Einsum", []*tensor.Tensor{a, a}, func(x []*T) *T { return trace.Einsum("ij,kj->ki", x...) }, f32s([]int{2, 2}, 14, 32, 32, 77)},
		{"Einsum sums", []*tensor.Tensor{a}, func(x []*T) *T { return trace.Einsum("ij->j", x...) }, f32s([]int{3}, 5, 7, 9)},
		{"Einsum implicit", []*tensor.Tensor{a}, func(x []*T) *T { return trace.Einsum("ba", x...) }, f32s([]int{3, 2}, 1, 4, 2, 5, 3, 6)},
		{"Einsum trace", []*tensor.Tensor{square}, func(x []*T) *T { return trace.Einsum("ii->", x...) }, f32s([]int{}, 5)},
		{"Einsum diagonal", []*tensor.Tensor{square}, func(x []*T) *T { return trace.Einsum("ii->i", x...) }, f32s([]int{2}, 1, 4)},
		{"Einsum batches", []*tensor.Tensor{a, a}, func(x []*T) *T { return trace.Einsum("b i, b i -> b", x...) }, f32s([]int{2}, 14, 77)},
		{"Einsum outer and sum", []*tensor.Tensor{v, square}, func(x []*T) *T { return trace.Einsum("i,jk->ij", x...) }, f32s([]int{3, 2}, 9, 21, 3, 7, 6, 14)},
		{"Einsum of three", []*tensor.Tensor{f32s([]int{2}, 1, 2), square, f32s([]int{2}, 3, 1)},
			func(x []*T) *T { return trace.Einsum("i,ij,j->", x...) }, f32s([]int{}, 31)},

		{"Softmax", []*tensor.Tensor{f32s([]int{1, 2}, 0, 0)}, of(func(x *T) *T { return x.Softmax(-1) }), f32s([]int{1, 2}, 0.5, 0.5)},
		{"LogSoftmax", []*tensor.Tensor{f32s([]int{1, 1}, 7)}, of(func(x *T) *T { return x.LogSoftmax(0) }), f32s([]int{1, 1}, 0)},
		{"LayerNorm", []*tensor.Tensor{f32s([]int{1, 2}, 1, 3), f32s([]int{2}, 2, 2), f32s([]int{2}, 1, 1)},
			func(x []*T) *T { return x[0].LayerNorm(x[1], x[2], 0) }, f32s([]int{1, 2}, -1, 3)},
		{"LayerNorm bias only", []*tensor.Tensor{f32s([]int{1, 2}, 1, 3), f32s([]int{2}, 1, 1)},
			func(x []*T) *T { return x[0].LayerNorm(nil, x[1], 0) }, f32s([]int{1, 2}, 0, 2)},
		{"RMSNorm", []*tensor.Tensor{f32s([]int{1, 2}, 2, -2), f32s([]int{2}, 3, 5)}, func(x []*T) *T { return x[0].RMSNorm(x[1], 0) }, f32s([]int{1, 2}, 3, -5)},
		{"BatchNorm", []*tensor.Tensor{f32s([]int{1, 2}, 5, 7), f32s([]int{2}, 1, 3), f32s([]int{2}, 4, 1), f32s([]int{2}, 1, 2), f32s([]int{2}, 0, 1)},
			func(x []*T) *T { return x[0].BatchNorm(x[1], x[2], x[3], x[4], 0) }, f32s([]int{1, 2}, 2, 9)},
		{"Conv2D", []*tensor.Tensor{f32s([]int{1, 1, 2, 2}, 1, 2, 3, 4), f32s([]int{1, 1, 2, 2}, 1, 0, 0, 1), f32s([]int{1}, 10)},
			func(x []*T) *T {
				return x[0].Conv2D(x[1], x[2], trace.ConvOptions{Padding: []int{1}, Stride: []int{2}})
			},
			f32s([]int{1, 1, 2, 2}, 11, 10, 10, 14)},
		{"Conv1D", []*tensor.Tensor{f32s([]int{1, 1, 3}, 1, 2, 3), f32s([]int{1, 1, 2}, 1, 1)},
			func(x []*T) *T { return x[0].Conv1D(x[1], nil, trace.ConvOptions{}) }, f32s([]int{1, 1, 2}, 3, 5)},
		{"MaxPool2D", []*tensor.Tensor{f32s([]int{1, 1, 2, 2}, 1, 2, 3, 4)}, of(func(x *T) *T { return x.MaxPool2D(trace.PoolOptions{Window: []int{2}}) }), f32s([]int{1, 1, 1, 1}, 4)},
		{"AvgPool2D", []*tensor.Tensor{f32s([]int{1, 1, 2, 2}, 1, 2, 3, 4)},
			of(func(x *T) *T {
				return x.AvgPool2D(trace.PoolOptions{Window: []int{2}, Padding: []int{1}, ExcludePad: true})
			}),
			f32s([]int{1, 1, 2, 2}, 1, 2, 3, 4)},
		{"Attention", []*tensor.Tensor{f32s([]int{1, 2, 1}, 0, 0), f32s([]int{1, 2, 1}, 1, 2), f32s([]int{1, 2, 1}, 10, 20)},
			func(x []*T) *T { return trace.Attention(x[0], x[1], x[2], trace.AttentionOptions{Causal: true}) }, f32s([]int{1, 2, 1}, 10, 15)},
		{"Attention with mask", []*tensor.Tensor{f32s([]int{2, 2, 1}, 0, 0, 0, 0), f32s([]int{1, 2, 1}, 1, 2), f32s([]int{2, 1}, 10, 20), bools([]int{2}, false, true)},
			func(x []*T) *T {
				return trace.Attention(x[0], x[1], x[2], trace.AttentionOptions{Mask: x[3], Scale: 2})
			},
			f32s([]int{2, 2, 1}, 20, 20, 20, 20)},
		{"Attention with a mask for each query", []*tensor.Tensor{f32s([]int{2, 2, 1}, 0, 0, 0, 0), f32s([]int{2, 1}, 10, 20), bools([]int{2, 1, 2, 2}, false, true, true, false, true, false, true, false)},
			func(x []*T) *T {
				return trace.Attention(x[0].BroadcastTo(2, 2, 2, 1), x[1], x[1], trace.AttentionOptions{Mask: x[2]})
			},
			f32s([]int{2, 2, 2, 1}, 20, 10, 20, 10, 10, 10, 10, 10)},
		{"Attention with an added mask of leading sizes", []*tensor.Tensor{f32s([]int{1, 2, 2, 1}, 0, 0, 0, 0), f32s([]int{2, 1}, 10, 20), f32s([]int{2, 1, 2}, 0, -inf, -inf, 0)},
			func(x []*T) *T { return trace.Attention(x[0], x[1], x[1], trace.AttentionOptions{Mask: x[2]}) },
			f32s([]int{1, 2, 2, 1}, 10, 10, 20, 20)},
		{"Mod unsigned", []*tensor.Tensor{m}, of(func(x *T) *T { return x.Abs().To(tensor.U8).Mod(4).To(tensor.I64) }), i64s([]int{4}, 3, 3, 2, 0)},
		{"FloorDivide unsigned", []*tensor.Tensor{m}, of(func(x *T) *T { return x.Abs().To(tensor.U8).FloorDivide(4).To(tensor.I64) }), i64s([]int{4}, 1, 1, 1, 0)},
		{"Select", []*tensor.Tensor{v}, of(func(x *T) *T { return trace.Select(x.Gt(1), 1, x) }), f32s([]int{3}, 1, 1, 1)},
		{"Squeeze needs 1", []*tensor.Tensor{f32s([]int{1, 2}, 1, 2)}, of(func(x *T) *T { return x.Squeeze(0) }), f32s([]int{2}, 1, 2)},
		{"Cond of numbers", []*tensor.Tensor{v}, of(func(x *T) *T {
			return trace.Cond(x.Sum().Gt(0), func() *T { return trace.Scalar(2) }, func() *T { return x.Sum() }).Add(trace.Cond(x.Sum().Lt(0), func() *T { return x.Sum() }, func() *T { return trace.Scalar(1) }))
		}), f32s([]int{}, 3)},
		{"CrossEntropy", []*tensor.Tensor{f32s([]int{2, 1}, 3, 4), i64s([]int{2}, 0, 0)},
			func(x []*T) *T { return x[0].CrossEntropy(x[1], trace.CrossEntropyOptions{Reduction: "sum"}) }, f32s([]int{}, 0)},

		{"Nonzero", []*tensor.Tensor{a}, of(func(x *T) *T { return x.Gt(4).Nonzero() }), i64s([]int{2, 2}, 1, 1, 1, 2)},
		{"MaskedSelect", []*tensor.Tensor{a}, of(func(x *T) *T { return x.MaskedSelect(x.Gt(4)).Mul(2) }), f32s([]int{2}, 10, 12)},
		{"RepeatInterleave", []*tensor.Tensor{v, i64s([]int{3}, 0, 2, 1)}, func(x []*T) *T { return x[0].RepeatInterleave(x[1], 0) }, f32s([]int{3}, 1, 1, 2)},
		{"Item", []*tensor.Tensor{two}, of(func(x *T) *T { return trace.Ones(tensor.F32, x.Item().InRange(0, 8).Add(1)) }), f32s([]int{3}, 1, 1, 1)},
		{"Full", []*tensor.Tensor{v}, of(func(x *T) *T { return trace.Full(tensor.F32, x.Index(0, 0), x.Size(0)) }), f32s([]int{3}, 3, 3, 3)},
		{"Eye", []*tensor.Tensor{v}, of(func(x *T) *T { return trace.Eye(tensor.F32, 2).Mul(x.Sum()) }), f32s([]int{2, 2}, 6, 0, 0, 6)},
		{"Arange", []*tensor.Tensor{v}, of(func(x *T) *T { return x.Add(trace.Arange(tensor.F32, x.Size(0))) }), f32s([]int{3}, 3, 2, 4)},
		{"Zeros", []*tensor.Tensor{v}, of(func(x *T) *T { return x.Maximum(trace.Zeros(tensor.F32, 2, 1)) }), f32s([]int{2, 3}, 3, 1, 2, 3, 1, 2)},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got := everyWay(t, c.fn, c.in...)
			require.NoError(t, tensor.Check(got, c.want, tensor.Tolerance{Abs: 1e-6}))
			require.Equal(t, ir.TConst(c.want.DType(), c.want.Shape()...).String(), ir.TConst(got.DType(), got.Shape()...).String())
		})
	}
}
