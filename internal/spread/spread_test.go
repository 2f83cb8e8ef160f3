package spread_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/internal/irgen"
	"jitc/internal/spread"
	"jitc/ir"
	"jitc/ir/tensor"
)

const text = `func @f(%x: f32[S]) -> (f32[S], f32[S], f32[]) where S in [0, 9] {
	%e: f32[S] = exp(%x)
	%n: f32[S] = neg(%x)
	%s: f32[] = reduce_sum(%x) {axes=[0]}
	return %e, %n, %s
}`

func oracleOf(t *testing.T, xs ...float64) (*spread.Oracle, []*tensor.Tensor) {
	t.Helper()
	f, _, diags := ir.Parse("f.trace", text)
	require.NoError(t, diags.Err())
	args := []*tensor.Tensor{tensor.FromFloats(tensor.F32, []int{len(xs)}, xs)}
	o, err := spread.New(rand.New(rand.NewPCG(1, 2)), f, args, map[string]int64{"S": int64(len(xs))})
	require.NoError(t, err)
	want, err := ir.Eval(f, args, map[string]int64{"S": int64(len(xs))})
	require.NoError(t, err)
	return o, want
}

// scaled is x times a factor that is near 1.
func scaled(x *tensor.Tensor, by float64) *tensor.Tensor {
	xs := tensor.Floats(x)
	for i := range xs {
		xs[i] *= by
	}
	return tensor.FromFloats(x.DType(), x.Shape(), xs)
}

// What is a few ulp away is right where the op is inexact, and what is further is
// wrong; exact ops give exact results; terms that cancel leave their error.
func TestCheck(t *testing.T) {
	o, want := oracleOf(t, 1e6, 0.25, -1e6)
	const ulp = 1.0 / (1 << 23)
	with := func(k int, x *tensor.Tensor) []*tensor.Tensor {
		got := append([]*tensor.Tensor{}, want...)
		got[k] = x
		return got
	}
	var sum spread.Tally
	require.NoError(t, o.Check(&sum, want))
	assert.Equal(t, 7, sum.Elements)
	require.NoError(t, o.Check(&sum, with(0, scaled(want[0], 1+2*ulp))))
	require.ErrorContains(t, o.Check(&sum, with(0, scaled(want[0], 1+4096*ulp))), "result 0")
	require.ErrorContains(t, o.Check(&sum, with(1, scaled(want[1], 1+2*ulp))), "result 1")
	require.NoError(t, o.Check(&sum, with(2, tensor.Fill(tensor.F32, nil, 0.5))), "an error of one of the terms, which are 1e6")
	require.ErrorContains(t, o.Check(&sum, with(2, tensor.Fill(tensor.F32, nil, 900))), "result 2")
	require.ErrorContains(t, o.Check(&sum, with(2, tensor.Fill(tensor.F32, nil, math.NaN()))), "result 2")
	require.ErrorContains(t, o.Check(&sum, with(2, want[0])), "expected")
}

// The oracle's own evaluation passes, whatever the function.
func TestRandomFunctions(t *testing.T) {
	var sum spread.Tally
	for seed := range uint64(60) {
		rng, f := irgen.Seeded(seed)
		sizes := irgen.SizesAt(rng, f, int(seed%3))
		o, err := spread.New(rng, f, irgen.Args(rng, f, sizes), sizes)
		require.NoError(t, err)
		require.NoError(t, o.Check(&sum, o.Results()))
	}
	assert.Less(t, 4*sum.Undefined, sum.Elements)
}
