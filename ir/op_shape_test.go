package ir

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/ir/dim"
	"jitc/ir/tensor"
)

// unravel is the multi-index of the i-th element of a shape in row-major order.
func unravel(i int, shape []int) []int {
	index := make([]int, len(shape))
	for a := len(shape) - 1; a >= 0; a-- {
		index[a], i = i%shape[a], i/shape[a]
	}
	return index
}

// at is the element of a row-major list at a multi-index.
func at(xs []float64, shape, index []int) float64 {
	i := 0
	for a, n := range shape {
		i = i*n + index[a]
	}
	return xs[i]
}

// sourceIndex defines each shape op by where a result's element comes from.
var sourceIndex = map[Op]func(v *Value, in []int, out []int) []int{
	OpBroadcast: func(v *Value, in, out []int) []int {
		src := make([]int, len(in))
		for i, a := range v.Attrs.Ints("axes") {
			if in[i] != 1 {
				src[i] = out[a]
			}
		}
		return src
	},
	OpTranspose: func(v *Value, in, out []int) []int {
		src := make([]int, len(in))
		for i, p := range v.Attrs.Ints("perm") {
			src[p] = out[i]
		}
		return src
	},
	OpSlice: func(v *Value, in, out []int) []int {
		src := make([]int, len(in))
		for i, start := range v.Attrs.Dims("starts") {
			n, _ := start.Const()
			step := int64(1)
			if steps := v.Attrs.Ints("strides"); steps != nil {
				step = steps[i]
			}
			src[i] = int(n + int64(out[i])*step)
		}
		return src
	},
	OpReverse: func(v *Value, in, out []int) []int {
		src := append([]int(nil), out...)
		for _, a := range v.Attrs.Ints("axes") {
			src[a] = in[a] - 1 - out[a]
		}
		return src
	},
}

func TestShapeOpsPlaceElements(t *testing.T) {
	for op, source := range sourceIndex {
		t.Run(op.String(), func(t *testing.T) {
			for _, s := range op.Row().Samples() {
				for _, dt := range []tensor.DType{tensor.F64, tensor.I16, tensor.F16} {
					v, err := applied(op, s.withDType(dt))
					require.NoError(t, err)
					in, err := EvalShape(v.Args[0].Type.Shape, nil)
					require.NoError(t, err)
					x := tensor.Arange(dt, in...)
					xs, got := tensor.Floats(x), evalOp(t, op, s.Attrs, x)
					for i, g := range tensor.Floats(got) {
						want := at(xs, in, source(v, in, unravel(i, got.Shape())))
						require.Equal(t, want, g, "%v of %v %v", unravel(i, got.Shape()), in, s.Attrs)
					}
				}
			}
		})
	}
}

func TestReshapeKeepsOrder(t *testing.T) {
	for _, s := range OpReshape.Row().Samples() {
		in, err := EvalShape(s.Args[0].Shape, nil)
		require.NoError(t, err)
		x := tensor.Arange(tensor.I32, in...)
		assert.Equal(t, tensor.Ints(x), tensor.Ints(evalOp(t, OpReshape, s.Attrs, x)))
	}
}

func TestShapeOpsByHand(t *testing.T) {
	x := tensor.Of([]int{2, 3}, int32(1), 2, 3, 4, 5, 6)
	got := evalOp(t, OpTranspose, NewAttrs(Attr{"perm", []int64{1, 0}}), x)
	assert.Equal(t, []int64{1, 4, 2, 5, 3, 6}, tensor.Ints(got))
	got = evalOp(t, OpReverse, NewAttrs(Attr{"axes", []int64{1}}), x)
	assert.Equal(t, []int64{3, 2, 1, 6, 5, 4}, tensor.Ints(got))
	got = evalOp(t, OpBroadcast, NewAttrs(Attr{"shape", Dims(2, 3, 2)}, Attr{"axes", []int64{0, 1}}), x)
	assert.Equal(t, []int64{1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6}, tensor.Ints(got))
	got = evalOp(t, OpSlice, NewAttrs(Attr{"starts", Dims(1, 0)}, Attr{"limits", Dims(2, 3)}, Attr{"strides", []int64{1, 2}}), x)
	assert.Equal(t, []int64{4, 6}, tensor.Ints(got))
}

func TestShapeTypeErrors(t *testing.T) {
	bn := typed(tensor.F32, "B", "6")
	for _, c := range []struct {
		op    Op
		attrs Attrs
		arg   Type
		want  string
	}{
		{OpReshape, NewAttrs(Attr{"shape", exprs("B", "2", "4")}), bn, `reshape: number of elements changes: expected 6*B, got 8*B in [B,2,4] (relate the symbols of 8*B and 6*B in the where clause)`},
		{OpReshape, NewAttrs(Attr{"shape", Dims(7)}), typed(tensor.F32, "6"), `reshape: number of elements changes: expected 6, got 7 in [7]`},
		{OpReshape, NewAttrs(Attr{"shape", Dims(-1, 6)}), bn, `reshape: invalid size in shape: expected sizes >= 0, got [-1,6]`},
		{OpTranspose, NewAttrs(Attr{"perm", []int64{1}}), bn, `transpose: not a permutation of the axes: expected each of the 2 axes once, got [1]`},
		{OpTranspose, NewAttrs(Attr{"perm", []int64{1, 1}}), bn, `transpose: axis given twice: expected distinct axes, got [1, 1]`},
		{OpTranspose, NewAttrs(Attr{"perm", []int64{0, -1}}), bn, `transpose: axis out of range: expected 0 to 1, got -1 (axes count from 0: use 1)`},
		{OpBroadcast, NewAttrs(Attr{"shape", exprs("C", "6")}, Attr{"axes", []int64{0, 1}}), bn, `broadcast: axis 0 does not fit axis 0 of the result: expected size 1 or C, got f32[B,6] (declare "B == C" in the where clause)`},
		{OpBroadcast, NewAttrs(Attr{"shape", exprs("6", "B")}, Attr{"axes", []int64{1, 0}}), bn, `broadcast: axes are not increasing: expected increasing axes, got [1, 0] (transpose first)`},
		{OpBroadcast, NewAttrs(Attr{"shape", exprs("B", "6")}, Attr{"axes", []int64{0}}), bn, `broadcast: wrong number of axes: expected one for each axis of f32[B,6], got [0]`},
		{OpSlice, NewAttrs(Attr{"starts", Dims(0, 0)}, Attr{"limits", Dims(4, 6)}), bn, `slice: the slice passes the end of the axis: expected limits[0] <= the size, got 4 and B (declare "B >= 4" in the where clause)`},
		{OpSlice, NewAttrs(Attr{"starts", exprs("B - 1", "0")}, Attr{"limits", exprs("B", "6")}), bn, `slice: starts must not be negative: expected sizes known to be >= 0, got B - 1 (declare "B >= 1" in the where clause)`},
		{OpSlice, NewAttrs(Attr{"starts", Dims(0, 7)}, Attr{"limits", exprs("B", "6")}), bn, `slice: the slice starts after its limit: expected starts[1] <= limits[1], got 7 and 6`},
		{OpSlice, NewAttrs(Attr{"starts", Dims(0)}, Attr{"limits", exprs("B", "6")}), bn, `slice: wrong number of starts: expected 2, got [0] (one per axis)`},
		{OpSlice, NewAttrs(Attr{"starts", Dims(0, 0)}, Attr{"limits", exprs("B", "6")}, Attr{"strides", []int64{1, 0}}), bn, `slice: strides out of range: expected 1 to 2147483647, got [1, 0]`},
		{OpReverse, NewAttrs(Attr{"axes", []int64{2}}), bn, `reverse: axis out of range: expected 0 to 1, got 2`},
		{OpReverse, NewAttrs(Attr{"axes", []int64{0}}), typed(tensor.F32), `reverse: a scalar has no axes: expected no axis, got 0`},
	} {
		_, err := inferOp(c.op, nil, c.attrs, c.arg)
		var oe *OpError
		require.ErrorAs(t, err, &oe, "%s %v", c.op, c.attrs)
		assert.Equal(t, c.want, err.Error())
	}
}

func TestShapeOpsSymbolic(t *testing.T) {
	for _, c := range []struct {
		op    Op
		attrs Attrs
		arg   Type
		facts []string
		want  string
	}{
		{OpReshape, NewAttrs(Attr{"shape", exprs("B", "2", "3")}), typed(tensor.F32, "B", "6"), nil, "f32[B,2,3]"},
		{OpReshape, NewAttrs(Attr{"shape", exprs("B*S", "8")}), typed(tensor.F32, "B", "S", "8"), nil, "f32[B*S,8]"},
		{OpReshape, NewAttrs(Attr{"shape", exprs("B floordiv 4", "4")}), typed(tensor.F32, "B"), []string{"B % 4 == 0"}, "f32[B floordiv 4,4]"},
		{OpBroadcast, NewAttrs(Attr{"shape", exprs("B", "S")}, Attr{"axes", []int64{1}}), typed(tensor.F32, "T"), []string{"T == S"}, "f32[B,S]"},
		{OpBroadcast, NewAttrs(Attr{"shape", exprs("B", "S")}, Attr{"axes", []int64{0, 1}}), typed(tensor.F32, "B", "1"), nil, "f32[B,S]"},
		{OpTranspose, NewAttrs(Attr{"perm", []int64{2, 0, 1}}), typed(tensor.I8, "A", "B", "C"), nil, "i8[C,A,B]"},
		{OpSlice, NewAttrs(Attr{"starts", exprs("1")}, Attr{"limits", exprs("S")}), typed(tensor.F32, "S"), []string{"S >= 1"}, "f32[S - 1]"},
		{OpSlice, NewAttrs(Attr{"starts", exprs("0")}, Attr{"limits", exprs("S")}, Attr{"strides", []int64{2}}), typed(tensor.F32, "S"), nil, "f32[(S + 1) floordiv 2]"},
		{OpSlice, NewAttrs(Attr{"starts", exprs("0", "0")}, Attr{"limits", exprs("S", "S")}), typed(tensor.Bool, "1024", "1024"), []string{"S in [1, 1024]"}, "bool[S,S]"},
	} {
		got, err := inferOp(c.op, factsOf(t, c.facts...), c.attrs, c.arg)
		require.NoError(t, err)
		assert.Equal(t, c.want, got.String())
	}
}

// TestSliceChecksSizes evaluates a slice whose proof rests on facts that the
// given sizes break: an error, not a read outside the operand.
func TestSliceChecksSizes(t *testing.T) {
	facts := factsOf(t, "S in [4, 8]")
	f := NewFunc("f", facts)
	x := f.AddParam("x", typed(tensor.F32, "S"), nil)
	v := &Value{Op: OpSlice, Args: []*Value{x}, Attrs: NewAttrs(Attr{"starts", Dims(1)}, Attr{"limits", Dims(4)})}
	var err error
	v.Type, err = InferType(v, facts)
	require.NoError(t, err)
	_, err = EvalValue(v, []*tensor.Tensor{tensor.Arange(tensor.F32, 3)}, map[string]int64{"S": 3})
	require.ErrorContains(t, err, "bounds 1 to 4 of axis 0 with 3 elements")
	out, err := EvalValue(v, []*tensor.Tensor{tensor.Arange(tensor.F32, 5)}, map[string]int64{"S": 5})
	require.NoError(t, err)
	assert.Equal(t, []float64{1, 2, 3}, tensor.Floats(out[0]))
}

func TestConstantAndIota(t *testing.T) {
	splat := func(value any, dt tensor.DType, shape ...int) *tensor.Tensor {
		return evalOp(t, OpConstant, NewAttrs(Attr{"value", value}, Attr{"dtype", dt}, Attr{"shape", Dims(shape...)}))
	}
	assert.Equal(t, []float64{0.5, 0.5}, tensor.Floats(splat(0.5, tensor.F16, 2)))
	assert.Equal(t, []float64{3}, tensor.Floats(splat(int64(3), tensor.F32)))
	assert.Equal(t, []int64{-8, -8, -8, -8}, tensor.Ints(splat(int64(-8), tensor.I8, 2, 2)))
	assert.Equal(t, []bool{true}, tensor.Data[bool](splat(true, tensor.Bool, 1)))
	assert.Equal(t, []uint64{1<<64 - 1}, tensor.Data[uint64](splat(int64(-1), tensor.U64, 1)))
	data := tensor.Of([]int{2, 2}, float32(1), 2, 3, 4)
	got := evalOp(t, OpConstant, NewAttrs(Attr{"data", data}, Attr{"dtype", tensor.F32}, Attr{"shape", Dims(2, 2)}))
	requireSame(t, got, data)

	count := func(dt tensor.DType, axis int64, shape ...int) *tensor.Tensor {
		return evalOp(t, OpIota, NewAttrs(Attr{"dtype", dt}, Attr{"shape", Dims(shape...)}, Attr{"axis", axis}))
	}
	assert.Equal(t, []int64{0, 0, 0, 1, 1, 1}, tensor.Ints(count(tensor.I32, 0, 2, 3)))
	assert.Equal(t, []float64{0, 1, 2, 0, 1, 2}, tensor.Floats(count(tensor.F16, 1, 2, 3)))
	assert.Equal(t, int64(-1), tensor.Ints(count(tensor.I8, 0, 256))[255], "wraps")
}

func TestSymbolicSources(t *testing.T) {
	f := NewFunc("f", factsOf(t, "B in [1, 64]"))
	x := f.AddParam("x", typed(tensor.F32, "B", "2"), nil)
	b := NewBuilder(f)
	sum := b.Add(b.Add(x, b.Iota(x.Type, 0)), b.SplatLike(x, 0.5))
	require.NoError(t, b.Err())
	f.Results = []*Value{sum}
	out, err := Eval(f, []*tensor.Tensor{tensor.New(tensor.F32, 3, 2)}, nil)
	require.NoError(t, err)
	assert.Equal(t, []float64{0.5, 0.5, 1.5, 1.5, 2.5, 2.5}, tensor.Floats(out[0]))
}

func TestSourceTypeErrors(t *testing.T) {
	constant := func(value any, dt tensor.DType, shape ...dim.Expr) Attrs {
		return NewAttrs(Attr{"value", value}, Attr{"dtype", dt}, Attr{"shape", shape})
	}
	three := tensor.Arange(tensor.F32, 3)
	for _, c := range []struct {
		op    Op
		attrs Attrs
		want  string
	}{
		{OpConstant, constant(int64(300), tensor.U8), `constant: value does not fit the element type: expected an integer in the range of u8, got 300`},
		{OpConstant, constant(int64(-1), tensor.U32), `constant: value does not fit the element type: expected an integer in the range of u32, got -1`},
		{OpConstant, constant(1.5, tensor.I32), `constant: value does not fit the element type: expected an integer in the range of i32, got 1.5`},
		{OpConstant, constant(int64(1), tensor.Bool), `constant: value does not fit the element type: expected true or false, got 1`},
		{OpConstant, constant(true, tensor.F32), `constant: value does not fit the element type: expected a number, got true`},
		{OpConstant, constant(1.0, tensor.F32, dim.Const(-2)), `constant: invalid size in shape: expected sizes >= 0, got [-2]`},
		{OpConstant, NewAttrs(Attr{"dtype", tensor.F32}, Attr{"shape", Dims()}), `constant: a constant has either value or data: expected one of them, got none`},
		{OpConstant, constant(1.0, tensor.F32, dim.Const(3)).With("data", three), `constant: a constant has either value or data: expected one of them, got both`},
		{OpConstant, NewAttrs(Attr{"data", three}, Attr{"dtype", tensor.F32}, Attr{"shape", Dims(4)}), `constant: data has another type: expected f32[4], got f32[3]`},
		{OpIota, NewAttrs(Attr{"dtype", tensor.F32}, Attr{"shape", Dims(4)}, Attr{"axis", int64(1)}), `iota: axis out of range: expected 0 to 0, got 1`},
		{OpIota, NewAttrs(Attr{"dtype", tensor.F32}, Attr{"shape", Dims()}, Attr{"axis", int64(0)}), `iota: a scalar has no axes: expected no axis, got 0`},
	} {
		_, err := inferOp(c.op, nil, c.attrs)
		var oe *OpError
		require.ErrorAs(t, err, &oe, "%v", c.attrs)
		assert.Equal(t, c.want, err.Error())
	}
}
