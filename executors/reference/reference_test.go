package reference_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/executors"
	"jitc/executors/conformance"
	"jitc/executors/reference"
	"jitc/fusion"
	"jitc/ir"
	"jitc/ir/dim"
	"jitc/ir/tensor"
)

// It refuses nothing. (Package conformance runs its whole suite on it.)
func TestConformance(t *testing.T) {
	conformance.Run(t, reference.Executor{}, conformance.Options{
		Thin:      true,
		Ops:       []ir.Op{ir.OpAdd, ir.OpCast, ir.OpReduceSum, ir.OpDotGeneral, ir.OpSoftmax, ir.OpConcat},
		MustClaim: func(*ir.Value) bool { return true },
	})
}

// Imported, it is registered, and last in every selection.
func TestRegistered(t *testing.T) {
	list, err := executors.Select()
	require.NoError(t, err)
	require.Equal(t, []executors.Executor{reference.Executor{}}, list)
	require.NoError(t, list[0].Available())
	assert.Equal(t, executors.CPU, list[0].Device())
}

func parse(t *testing.T, text string) *ir.Func {
	t.Helper()
	f, _, diags := ir.Parse("f", text)
	require.NoError(t, diags.Err())
	return f
}

func TestClaim(t *testing.T) {
	f := parse(t, "func @f(%x: f32[4]) -> f32[4] {\n  %y: f32[4] = exp(%x)\n  return %y\n}")
	assert.Equal(t, fusion.Alone, reference.Executor{}.Claim(f.Values[0]).Level)
	c := reference.Executor{}.Claim(f.Params[0])
	assert.Equal(t, fusion.Refused, c.Level)
	assert.NotEmpty(t, c.Why)
}

// One kernel serves every size; results go where the caller says.
func TestRun(t *testing.T) {
	f := parse(t, "func @f(%x: f32[N], %y: f32[N]) -> (f32[N], f32[]) {\n  %s: f32[N] = add(%x, %y)\n"+
		"  %t: f32[] = reduce_sum(%s) {axes=[0]}\n  return %s, %t\n}")
	k, err := reference.Executor{}.Compile(context.Background(), f, executors.Options{})
	require.NoError(t, err)
	info := k.Info()
	assert.Equal(t, executors.Reference, info.Executor)
	assert.True(t, info.Bytes.Equal(dim.Sym("N").Mul(dim.Const(12)).Add(dim.Const(4))), "%s", info.Bytes)
	_, ok := k.Dump("asm")
	assert.False(t, ok)

	for _, n := range []int{0, 1, 5} {
		l, err := k.Bind(map[string]int64{"N": int64(n)})
		require.NoError(t, err)
		x, y := tensor.Arange(tensor.F32, n), tensor.Fill(tensor.F32, []int{n}, 1)
		s, sum := tensor.New(tensor.F32, n), tensor.Fill(tensor.F32, nil, -1)
		var bufs [][]byte
		for _, a := range []*tensor.Tensor{x, y, s, sum} {
			b, ok := a.Bytes()
			require.True(t, ok)
			bufs = append(bufs, b)
		}
		assert.Zero(t, l.ScratchBytes(2))
		require.NoError(t, l.Run(bufs, nil, nil))
		want, err := ir.Eval(f, []*tensor.Tensor{x, y}, nil)
		require.NoError(t, err)
		require.Nil(t, tensor.CompareAll([]*tensor.Tensor{s, sum}, want, tensor.Exact))
		assert.Equal(t, []float64{float64(n * (n + 1) / 2)}, tensor.Floats(sum))
	}
	_, err = k.Bind(nil)
	var unbound *dim.UnboundError
	require.ErrorAs(t, err, &unbound)
	require.Equal(t, "N", unbound.Sym)
}

func TestNoResults(t *testing.T) {
	_, err := reference.Executor{}.Compile(context.Background(), &ir.Func{Name: "f"}, executors.Options{})
	require.ErrorContains(t, err, "region @f has no results")
}
