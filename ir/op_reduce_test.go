package ir

import (
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/ir/tensor"
)

func axesOf(axes ...int64) Attrs { return NewAttrs(Attr{"axes", axes}) }

// naiveReduce visits every element and folds it into the place it belongs to.
func naiveReduce(x *tensor.Tensor, axes []int64, start float64, f func(acc, x float64) float64) []float64 {
	place := func(index []int) (p int) {
		for a, n := range x.Shape() {
			if !slices.Contains(axes, int64(a)) {
				p = p*n + index[a]
			}
		}
		return p
	}
	size := 1
	for a, n := range x.Shape() {
		if !slices.Contains(axes, int64(a)) {
			size *= n
		}
	}
	out := slices.Repeat([]float64{start}, size)
	for i, v := range tensor.Floats(x) {
		p := place(unravel(i, x.Shape()))
		out[p] = f(out[p], v)
	}
	return out
}

// TestReductionsFold uses small integers, so that every order of folding is exact.
func TestReductionsFold(t *testing.T) {
	folds := map[Op]struct {
		start float64
		f     func(acc, x float64) float64
	}{
		OpReduceSum:  {0, func(a, x float64) float64 { return a + x }},
		OpReduceProd: {1, func(a, x float64) float64 { return a * x }},
		OpReduceMax:  {math.Inf(-1), math.Max},
		OpReduceMin:  {math.Inf(1), math.Min},
		OpReduceAny:  {0, math.Max},
		OpReduceAll:  {1, math.Min},
	}
	for op, fold := range folds {
		for _, s := range op.Row().Samples() {
			for _, dt := range []tensor.DType{tensor.F64, tensor.F32, tensor.F16, tensor.I32, tensor.U64} {
				if op == OpReduceAny || op == OpReduceAll {
					dt = tensor.Bool
				}
				shape, err := EvalShape(s.Args[0].Shape, nil)
				require.NoError(t, err)
				n, err := tensor.CheckedElements(shape)
				require.NoError(t, err)
				xs := make([]float64, n)
				for i := range xs {
					xs[i] = float64((i*7 + 3) % 3)
					if op == OpReduceProd || op == OpReduceAll {
						xs[i] = float64(1 + min(i%29/28, 1))
					}
				}
				x := tensor.FromFloats(dt, shape, xs)
				axes := s.Attrs.Ints("axes")
				if n == 0 && dt.IsInt() && (op == OpReduceMax || op == OpReduceMin) {
					continue // see TestReductionsOfNothing
				}
				got := evalOp(t, op, s.Attrs, x)
				assert.Equal(t, naiveReduce(x, axes, fold.start, fold.f), tensor.Floats(got), "%s %s%v %v", op, dt, shape, axes)
			}
		}
	}
}

func TestReductionsOfNothing(t *testing.T) {
	for _, c := range []struct {
		op   Op
		dt   tensor.DType
		want float64
	}{
		{OpReduceSum, tensor.F32, 0}, {OpReduceProd, tensor.I16, 1}, {OpReduceMax, tensor.F32, ninf}, {OpReduceMin, tensor.BF16, inf},
		{OpReduceMax, tensor.F8E4M3, -448}, {OpReduceMin, tensor.F8E4M3, 448}, {OpReduceMax, tensor.F8E5M2, ninf},
		{OpReduceMax, tensor.I8, -128}, {OpReduceMin, tensor.I8, 127}, {OpReduceMax, tensor.U16, 0}, {OpReduceMin, tensor.U16, 65535},
		{OpReduceMax, tensor.I32, math.MinInt32}, {OpReduceMin, tensor.I64, math.MaxInt64}, {OpReduceMin, tensor.U64, math.MaxUint64},
		{OpReduceAny, tensor.Bool, 0}, {OpReduceAll, tensor.Bool, 1},
	} {
		got := evalOp(t, c.op, axesOf(1), tensor.New(c.dt, 2, 0))
		assert.Equal(t, []float64{c.want, c.want}, tensor.Floats(got), "%s of %s", c.op, c.dt)
	}
}

func TestReductionValues(t *testing.T) {
	sum := func(x *tensor.Tensor) float64 { return tensor.Floats(evalOp(t, OpReduceSum, axesOf(0), x))[0] }
	// 4096 + 4096 ones stays at 4096 or so in f16 arithmetic; f32 stops at 2^24.
	ones := tensor.Fill(tensor.F16, []int{4097}, 1)
	assert.Equal(t, 4096.0, sum(ones), "4097 rounds to even, once")
	assert.Equal(t, float64(1<<24+2), sum(tensor.Of([]int{4}, float32(1<<24), 1, 1, 0)))
	many := make([]float64, 1<<16)
	for i := range many {
		many[i] = 0.1
	}
	assert.InEpsilon(t, 6553.6, sum(tensor.Of([]int{len(many)}, many...)), 1e-15)
	assert.Equal(t, int64(-56), tensor.Ints(evalOp(t, OpReduceSum, axesOf(0), tensor.Of([]int{2}, int8(100), 100)))[0], "wraps")
	assert.Equal(t, int64(1<<63-1), tensor.Ints(evalOp(t, OpReduceMin, axesOf(0), tensor.Of([]int{2}, uint64(1<<64-1), 1<<63-1)))[0])

	assert.Equal(t, ninf, sum(tensor.Of([]int{3}, 1, ninf, 2)))

	x := tensor.Of([]int{2, 3}, float32(nan), 1, float32(inf), 2, float32(nzro), 0)
	exact := tensor.Tolerance{NaNEqual: true, SignZero: true}
	require.NoError(t, tensor.Check(evalOp(t, OpReduceMax, axesOf(1), x), tensor.Of([]int{2}, float32(nan), 2), exact))
	require.NoError(t, tensor.Check(evalOp(t, OpReduceMin, axesOf(1), x), tensor.Of([]int{2}, float32(nan), float32(nzro)), exact))
	require.NoError(t, tensor.Check(evalOp(t, OpReduceSum, axesOf(0), x), tensor.Of([]int{3}, float32(nan), 1, float32(inf)), exact))
}

func TestReduceTypes(t *testing.T) {
	x := typed(tensor.F32, "B", "S", "8")
	got, err := inferOp(OpReduceMax, nil, axesOf(2, 0), x)
	require.NoError(t, err)
	assert.Equal(t, "f32[S]", got.String())
	got, err = inferOp(OpReduceSum, nil, axesOf(), x)
	require.NoError(t, err)
	assert.Equal(t, "f32[B,S,8]", got.String())
	for _, c := range []struct {
		op   Op
		axes []int64
		arg  Type
		want string
	}{
		{OpReduceSum, []int64{3}, x, `reduce_sum: axis out of range: expected 0 to 2, got 3`},
		{OpReduceSum, []int64{-1}, x, `reduce_sum: axis out of range: expected 0 to 2, got -1 (axes count from 0: use 2)`},
		{OpReduceSum, []int64{1, 1}, x, `reduce_sum: axis given twice: expected distinct axes, got [1, 1]`},
		{OpReduceAny, []int64{1}, x, `reduce_any: wrong element type of the first operand: expected one of bool, got f32[B,S,8] (compare it with ne)`},
		{OpReduceSum, []int64{0}, typed(tensor.Bool, "B"), `reduce_sum: wrong element type of the first operand: expected one of ` + Numbers.String() + `, got bool[B] (cast it, for example to f32)`},
	} {
		_, err := inferOp(c.op, nil, axesOf(c.axes...), c.arg)
		var oe *OpError
		require.ErrorAs(t, err, &oe)
		assert.Equal(t, c.want, err.Error())
	}
}
