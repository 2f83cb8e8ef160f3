package jitc_test

import (
	"context"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc"
	"jitc/ir/tensor"
	rt "jitc/runtime"
)

func gaussian(t testing.TB, seed uint64, shape ...int) *jitc.Tensor {
	t.Helper()
	x, err := tensor.Generate(tensor.Rule{Kind: "normal", Seed: seed, Std: 1}, tensor.F32, shape)
	require.NoError(t, err)
	return jitc.FromHost(x)
}

// TestBucketsEqualTheUnpadded runs a softmax whose rows, and a mean whose columns,
// are padded, at every size up to the largest bucket.
func TestBucketsEqualTheUnpadded(t *testing.T) {
	e := engine(t, jitc.Options{})
	model := func(x *jitc.Tensor) (r struct{ Soft, Mean, Plus *jitc.Tensor }) {
		r.Soft, r.Mean, r.Plus = x.Softmax(1), x.Mean(1), x.Add(1)
		return r
	}
	marks := jitc.Marks(jitc.Dynamic("0", 1, jitc.Dim("S")).Range(0, 64))
	plain := jitc.Func1(e, model, jitc.Name("plain"))
	padded := jitc.Func1(e, model, jitc.Name("padded"), marks, jitc.Bucket("S", jitc.PowersOfTwo(8)))
	into := padded
	var out struct{ Soft, Mean, Plus *jitc.Tensor }
	for n := 1; n <= 64; n++ {
		x := gaussian(t, uint64(n), 3, n)
		want, err := plain.Call(context.Background(), x)
		require.NoError(t, err)
		got, err := padded.Call(context.Background(), x)
		require.NoError(t, err)
		require.NoError(t, into.CallInto(context.Background(), &out, x))
		near := tensor.Tolerance{Abs: 1e-6, Rel: 1e-5}
		require.Nil(t, tensor.Compare(got.Soft.Host(), want.Soft.Host(), near), "S=%d", n)
		require.Nil(t, tensor.Compare(got.Mean.Host(), want.Mean.Host(), near), "S=%d", n)
		require.Nil(t, tensor.Compare(got.Plus.Host(), want.Plus.Host(), tensor.Exact), "S=%d", n)
		require.Nil(t, tensor.Compare(out.Soft.Host(), got.Soft.Host(), tensor.Exact), "S=%d", n)
	}
	s := padded.Traced().Stats()
	assert.Len(t, s.Entries, 1)
	assert.Equal(t, 4, s.Recordings, "8, 16, 32, 64")
	_, err := padded.Call(context.Background(), gaussian(t, 1, 3, 65))
	var outside *rt.MarkError
	require.ErrorAs(t, err, &outside)
}

func TestBucketsThatCannotBe(t *testing.T) {
	e := engine(t, jitc.Options{})
	ctx := context.Background()
	marks := jitc.Marks(jitc.Dynamic("0", 0, jitc.Dim("B")).Range(0, 60))
	flip := jitc.Func1(e, func(x *jitc.Tensor) *jitc.Tensor { return x.Flip(0) }, marks, jitc.Bucket("B", jitc.Steps(16)))
	_, err := flip.Call(ctx, gaussian(t, 1, 3, 2))
	require.ErrorContains(t, err, "cannot pad B")
	require.ErrorContains(t, err, "reverse")
	require.ErrorContains(t, err, "bucket_test.go")

	relu := func(x *jitc.Tensor) *jitc.Tensor { return x.Relu() }
	listed := jitc.Func1(e, relu, marks, jitc.Bucket("B", jitc.Listed(4, 8)))
	_, err = listed.Call(ctx, gaussian(t, 1, 9, 2))
	require.EqualError(t, err, "B = 9 is larger than every bucket: expected one of 4, 8")
	stepped := jitc.Func1(e, relu, marks, jitc.Bucket("B", jitc.Steps(16)))
	_, err = stepped.Call(ctx, gaussian(t, 1, 50, 2))
	require.ErrorContains(t, err, "choose them inside the declared range")
	_, err = stepped.Call(ctx, gaussian(t, 1, 48, 2))
	require.NoError(t, err)
}

func TestBucketSizes(t *testing.T) {
	for _, c := range []struct {
		b    rt.Buckets
		n    int64
		want int64
	}{
		{jitc.Listed(8, 2, 4), 3, 4}, {jitc.Listed(8, 2, 4), 0, 2}, {jitc.Listed(8, 2, 4), 8, 8}, {jitc.Listed(8, 2, 4), 9, -1},
		{jitc.Listed(), 0, -1},
		{jitc.PowersOfTwo(0), 0, 1}, {jitc.PowersOfTwo(5), 1, 8}, {jitc.PowersOfTwo(1), 9, 16},
		{jitc.PowersOfTwo(1), 1 << 62, 1 << 62}, {jitc.PowersOfTwo(1), 1<<62 + 1, -1},
		{jitc.Steps(16), 0, 16}, {jitc.Steps(16), 16, 16}, {jitc.Steps(16), 17, 32}, {jitc.Steps(0), 5, 5},
		{jitc.Steps(16), math.MaxInt64 - 3, -1},
	} {
		got, ok := c.b.Bucket(c.n)
		if !ok {
			got = -1
		}
		assert.Equal(t, c.want, got, "%s of %d", c.b, c.n)
	}
}
