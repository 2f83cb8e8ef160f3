package trace_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/ir/tensor"
	"jitc/trace"
)

func TestPromotion(t *testing.T) {
	const (
		b, u8, u16, u32, u64 = tensor.Bool, tensor.U8, tensor.U16, tensor.U32, tensor.U64
		i8, i16, i32, i64    = tensor.I8, tensor.I16, tensor.I32, tensor.I64
		e4, e5, f16, bf16    = tensor.F8E4M3, tensor.F8E5M2, tensor.F16, tensor.BF16
		f32, f64, none       = tensor.F32, tensor.F64, tensor.Invalid
	)
	for _, c := range []struct{ a, b, want tensor.DType }{
		{b, b, b}, {b, u8, u8}, {b, f16, f16}, {u8, u16, u16}, {u8, i8, i16}, {u8, i64, i64}, {u16, i8, i32}, {u16, i64, i64},
		{u32, i8, i64}, {u64, u8, u64}, {u64, i8, none}, {u64, i64, none}, {i8, i32, i32}, {i64, f16, f16}, {u64, f32, f32},
		{e4, e4, e4}, {e4, e5, f16}, {e4, bf16, bf16}, {f16, bf16, f32}, {f16, f32, f32}, {bf16, f64, f64}, {f32, f64, f64},
	} {
		for _, pair := range [][2]tensor.DType{{c.a, c.b}, {c.b, c.a}} {
			y := trace.FromHost(tensor.New(pair[0], 2)).Eq(trace.FromHost(tensor.New(pair[1], 2)))
			z := trace.Concat(0, trace.FromHost(tensor.New(pair[0], 2)), trace.FromHost(tensor.New(pair[1], 2)))
			if c.want == none {
				require.ErrorContains(t, y.Err(), "no element type holds those of the operands", "%v", pair)
				continue
			}
			require.NoError(t, y.Err())
			assert.Equal(t, c.want, z.DType(), "%v", pair)
		}
	}
	weak := []struct {
		dt   tensor.DType
		v    any
		want tensor.DType
	}{
		{f16, 2.5, f16}, {f16, 2, f16}, {f16, true, f16}, {f64, float32(2), f64}, {i8, 2, i8}, {u64, int64(1), u64},
		{i32, 2.5, f32}, {b, 2, i64}, {b, 2.5, f32}, {i8, int32(1), i8}, {bf16, trace.NewInt(3), bf16}, {f16, trace.NewFloat(3), f16},
		{e4, trace.SizeOf(3), e4}, {i16, trace.Scalar(2).Mul(3), i16}, {f16, trace.Scalar(2).Div(3), f16}, {f16, trace.Scalar(2).Sqrt(), f16},
	}
	for _, c := range weak {
		y := trace.Concat(0, trace.FromHost(tensor.New(c.dt, 1)), trace.Where(trace.Scalar(true), c.v, trace.Zeros(c.dt, 1)))
		require.NoError(t, y.Err())
		assert.Equal(t, c.want, y.DType(), "%s with %v", c.dt, c.v)
	}
	assert.Equal(t, f64, trace.Scalar(2).Add(0.5).DType())
	assert.Equal(t, i64, trace.Scalar(true).Sum().DType())
}

func TestScalarTakesTheOtherType(t *testing.T) {
	y := trace.FromHost(tensor.FromFloats(tensor.F16, []int{2}, []float64{1, 2})).Mul(0.1)
	require.NoError(t, y.Err())
	want := tensor.RoundFloat(tensor.F16, tensor.RoundFloat(tensor.F16, 0.1)*2)
	assert.Equal(t, want, tensor.Floats(y.Host())[1])
	z := trace.FromHost(tensor.Of([]int{1}, int8(3))).Add(200)
	require.NoError(t, z.Err())
	assert.Equal(t, int64(int8(-53)), tensor.Ints(z.Host())[0]) // the number takes i8, wrapped, as cast does
}

func TestConstants(t *testing.T) {
	x, err := trace.From([]float32{1, 2, 3, 4}, 2, 2)
	require.NoError(t, err)
	assert.Equal(t, []int{2, 2}, x.Shape())
	_, err = trace.From([]int64{1, 2, 3}, 2, 2)
	require.ErrorContains(t, err, "needs 4 elements, got 3")
	v, err := trace.From([]bool{true})
	require.NoError(t, err)
	ok, err := v.Bool()
	require.NoError(t, err)
	assert.True(t, ok)

	data, err := trace.Data[int32](trace.Iota(tensor.I32, -1, 2, 3))
	require.NoError(t, err)
	assert.Equal(t, []int32{0, 1, 2, 0, 1, 2}, data)
	_, err = trace.Data[float32](x.To(tensor.F64))
	require.ErrorContains(t, err, "wrong element type")
	f, err := trace.Full(tensor.BF16, 1.5).Value()
	require.NoError(t, err)
	assert.Equal(t, 1.5, f)
	assert.True(t, trace.Zeros(tensor.F32, 1<<20, 1<<20, 1).Err() == nil) // takes no memory
	for _, bad := range []*trace.Tensor{
		trace.Full(tensor.U8, 300), trace.Full(tensor.Invalid, 1), trace.Zeros(tensor.F32, -1), trace.Zeros(tensor.F32, 1<<40, 1<<40),
		trace.Zeros(tensor.F32, "2"), trace.Zeros(tensor.F32, trace.Dim("B")), trace.Scalar("x"), trace.Iota(tensor.F32, 2, 3),
		trace.Concat(0), trace.FromHost(nil), trace.Arange(tensor.Bool, 3).Add(1), trace.Einsum("ij", x, x), trace.Einsum("ij->ijk", x),
		x.Reshape(3, -1), x.Reshape(-1, -1), x.Reshape(5), x.Index(0, 7), x.Index(3, 0), x.Add("1"), x.MatMul(trace.Ones(tensor.F32, 3)),
		x.To(tensor.Invalid), x.Sum(0, 0), x.Narrow(0, 1, 5), x.Split(0, 3)[0], x.Chunk(0, 0)[0], x.Chunk(3, 0)[0], x.Pad(0, -1, 0, 0),
		x.SliceStep(0, 0, 1, 0), x.Permute(0), x.Permute(0, 0), x.Flatten(1, 0), x.Squeeze(0), x.Expand(3, 2), x.Expand(2), x.Not(),
		x.Conv2D(x, nil, trace.ConvOptions{}), x.MaxPool2D(trace.PoolOptions{}), x.DynamicSlice([]any{0}, 1, 1), x.DynamicSlice([]any{0, 0}, 3, 1),
		trace.Where(x, x, x), trace.Cond(x, func() *trace.Tensor { return x }, func() *trace.Tensor { return x }), (*trace.Tensor)(nil).Add(1),
		trace.Full(tensor.F32, x, 2), x.Pow(x).To(tensor.I64).Pow(-1), x.Item().Tensor().Reshape(2),
	} {
		require.Error(t, bad.Err(), "%v", bad)
		require.Nil(t, bad.Host())
		require.Equal(t, bad.Err(), bad.Add(1).Sum().Reshape(3, 3).Err(), "contagious")
		require.Equal(t, 0, bad.Rank())
	}
}
