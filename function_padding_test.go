package jitc_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc"
	"jitc/ir/tensor"
	"jitc/passes/padding"
	"jitc/trace"
)

const meanTrace = `func @f(%x: f32[3,S]) -> (f32[3], f32[3,S]) where S in [1, 64] {
  %m: f32[3] = mean(%x) {axes=[1]}
  %y: f32[3,S] = exp(%x)
  return %m, %y
}
`

// TestFunctionsOfTracesPad runs a trace with buckets at every size, and looks at what
// the buckets made of it.
func TestFunctionsOfTracesPad(t *testing.T) {
	e, ctx := engine(t, jitc.Options{}), context.Background()
	file, err := trace.Parse("mean.trace", meanTrace)
	require.NoError(t, err)
	plain, padded := e.Function(file.Func), e.Function(file.Func, jitc.Bucket("S", jitc.Listed(16, 64)))
	p, err := plain.Padding()
	require.NoError(t, err)
	assert.Nil(t, p)
	p, err = padded.Padding()
	require.NoError(t, err)
	require.Len(t, p.Steps, 1)
	assert.False(t, p.Exact(), "a mean runs over S")
	assert.NotEmpty(t, p.Steps[0].Masked)
	c, err := padded.Compiled(ctx)
	require.NoError(t, err)
	assert.Same(t, p.F, c.Trace, "what runs is what is compiled")
	for n := 1; n <= 64; n++ {
		x := gaussian(t, uint64(n), 3, n).Host()
		want, err := plain.Call(ctx, x)
		require.NoError(t, err)
		got, err := padded.Call(ctx, x)
		require.NoError(t, err)
		require.Nil(t, tensor.Compare(got[0], want[0], tensor.Tolerance{Abs: 1e-6, Rel: 1e-5}), "S=%d", n)
		require.Nil(t, tensor.Compare(got[1], want[1], tensor.Exact), "S=%d", n)
	}
	s := padded.Stats()
	assert.Equal(t, 2, s.Recordings)
	assert.Len(t, s.Entries, 1)
}

// TestSizesFromDataAreNotPadded refuses with the op that finds the size.
func TestSizesFromDataAreNotPadded(t *testing.T) {
	e := engine(t, jitc.Options{})
	file, err := trace.Parse("data.trace", `func @f(%x: f32[N]) -> i64[U,1] where N >= 0, U >= 0 {
  %i: i64[U,1] = nonzero(%x) {count=[U]}
  return %i
}
`)
	require.NoError(t, err)
	fn := e.Function(file.Func, jitc.Bucket("N", jitc.PowersOfTwo(1)))
	_, err = fn.Call(context.Background(), gaussian(t, 1, 5).Host())
	var refusal *padding.Refusal
	require.ErrorAs(t, err, &refusal)
	assert.Equal(t, "nonzero", refusal.Op)
	assert.Equal(t, 2, refusal.Pos.Line)
	_, err = fn.Compiled(context.Background())
	require.ErrorAs(t, err, &refusal)
}
