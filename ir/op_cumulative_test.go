package ir

import (
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"jitc/ir/tensor"
)

// TestCumulativeDefinition: an element is the fold, in order, of those that come
// before it, and itself.
func TestCumulativeDefinition(t *testing.T) {
	requireDefinitions(t, map[Op]definition{
		OpCumulative: func(c call, index []int) float64 {
			axis := c.int("axis", 0)
			xs := line(c.args[0], axis, slices.Delete(slices.Clone(index), axis, axis+1))
			at := index[axis]
			if c.v.Attrs.Bool("reverse", false) {
				slices.Reverse(xs)
				at = len(xs) - 1 - at
			}
			out := xs[0]
			for _, x := range xs[1 : at+1] {
				out = definedScatters[c.v.Attrs.Str("combine", "")](out, x)
			}
			return out
		},
	}, tensor.Exact)
}

func cumulativeAttrs(axis int64, combine string, reverse bool) Attrs {
	return NewAttrs(Attr{"axis", axis}, Attr{"combine", combine}, Attr{"reverse", reverse})
}

func TestCumulativeOrderAndRounding(t *testing.T) {
	add, back := cumulativeAttrs(0, "add", false), cumulativeAttrs(0, "add", true)
	// In one order the small number is lost; in the other it is not.
	x := tensor.Of([]int{3}, float32(1), 0x1p24, -0x1p24)
	requireSame(t, evalOp(t, OpCumulative, add, x), tensor.Of([]int{3}, float32(1), 0x1p24, 0))
	requireSame(t, evalOp(t, OpCumulative, back, x), tensor.Of([]int{3}, float32(1), 0, -0x1p24))
	// In bf16, 256 + 1 would stay 256 each time; carried in f32 it does not.
	x = tensor.FromFloats(tensor.BF16, []int{4}, []float64{256, 1, 1, 1})
	requireSame(t, evalOp(t, OpCumulative, add, x), tensor.FromFloats(tensor.BF16, []int{4}, []float64{256, 256, 258, 260}))
	// Integers wrap, u64 is not signed.
	requireSame(t, evalOp(t, OpCumulative, add, tensor.Of([]int{3}, int8(100), 100, 50)), tensor.Of([]int{3}, int8(100), -56, -6))
	requireSame(t, evalOp(t, OpCumulative, cumulativeAttrs(0, "max", false), tensor.Of([]int{3}, uint64(1), 1<<63, 2)),
		tensor.Of([]int{3}, uint64(1), 1<<63, 1<<63))
	requireSame(t, evalOp(t, OpCumulative, cumulativeAttrs(0, "min", true), tensor.Of([]int{3}, uint64(1<<63), 1<<63, 2)),
		tensor.Of([]int{3}, uint64(2), 2, 2))
	// -0 is kept, and less than +0.
	minus := math.Copysign(0, -1)
	requireSame(t, evalOp(t, OpCumulative, add, tensor.Of([]int{2}, minus, minus)), tensor.Of([]int{2}, minus, minus))
	requireSame(t, evalOp(t, OpCumulative, cumulativeAttrs(0, "min", false), tensor.Of([]int{2}, 0, minus)), tensor.Of([]int{2}, 0, minus))
}

// A NaN is carried to where the axis ends, and not to where it begins.
func TestCumulativeCarriesNaN(t *testing.T) {
	nan := math.NaN()
	for _, dt := range []tensor.DType{tensor.F64, tensor.F32, tensor.F16, tensor.F8E4M3} {
		for _, combine := range []string{"add", "mul", "min", "max"} {
			x := tensor.FromFloats(dt, []int{4}, []float64{1, 1, nan, 1})
			last := map[string][]float64{"add": {1, 2, nan, nan}}[combine]
			if last == nil {
				last = []float64{1, 1, nan, nan}
			}
			requireSame(t, evalOp(t, OpCumulative, cumulativeAttrs(0, combine, false), x), tensor.FromFloats(dt, []int{4}, last))
			first := []float64{nan, nan, nan, 1}
			requireSame(t, evalOp(t, OpCumulative, cumulativeAttrs(0, combine, true), x), tensor.FromFloats(dt, []int{4}, first))
		}
	}
}

// TestCumulativePartsOfIntegers: no order of integers is another one, so that both
// decompositions give every bit, at the ends of the range too.
func TestCumulativePartsOfIntegers(t *testing.T) {
	xs := tensor.Of([]int{2, 5}, int32(math.MinInt32), math.MaxInt32, 7, -3, 2, 5, math.MinInt32, math.MinInt32, 0, math.MaxInt32)
	for _, sizes := range [][]string{{"2", "5"}, {"2", "S"}, {"B", "5"}, {"B", "S"}} {
		for _, combine := range []string{"add", "mul", "min", "max"} {
			for _, axis := range []int64{0, 1} {
				for _, reverse := range []bool{false, true} {
					attrs := cumulativeAttrs(axis, combine, reverse)
					f := NewFunc("f", factsOf(t, "B in [1, 9]", "S in [1, 9]"))
					v := &Value{Op: OpCumulative, Type: typed(tensor.I32, sizes...), Attrs: attrs}
					v.Args = []*Value{f.AddParam("x", v.Type, nil)}
					b := NewBuilder(f)
					f.Results = []*Value{decomposeCumulative(b, v)}
					require.NoError(t, b.Err())
					got, err := Eval(f, []*tensor.Tensor{xs}, nil)
					require.NoError(t, err)
					requireSame(t, got[0], evalOp(t, OpCumulative, attrs, xs))
				}
			}
		}
	}
}

func TestCumulativeTypeRules(t *testing.T) {
	x := typed(tensor.F32, "B", "8")
	requireTypeRules(t, factsOf(t, "B in [0, 64]"), []typeRuleCase{
		{OpCumulative, cumulativeAttrs(0, "add", true), []Type{x}, "f32[B,8]"},
		{OpCumulative, cumulativeAttrs(2, "add", false), []Type{x}, `cumulative: axis out of range: expected 0 to 1, got 2`},
		{OpCumulative, cumulativeAttrs(0, "add", false), []Type{typed(tensor.F32)}, `cumulative: a scalar has no axes: expected no axis, got 0`},
		{OpCumulative, cumulativeAttrs(0, "max", false), []Type{typed(tensor.Bool, "3")},
			`cumulative: wrong element type of the first operand: expected one of u8, u16, u32, u64, i8, i16, i32, i64, f8e4m3, f8e5m2, f16, bf16, f32, f64, got bool[3] (cast it, for example to f32)`},
		{OpCumulative, cumulativeAttrs(0, "or", false), []Type{x}, `cumulative: attribute combine has an unknown value: expected one of "add", "mul", "min", "max", got "or"`},
	})
}
