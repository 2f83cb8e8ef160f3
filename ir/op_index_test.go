package ir

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/ir/dim"
	"jitc/ir/tensor"
)

func clampInt(x, hi int) int { return min(max(x, 0), hi) }

// start is the clamped start operands from operand first on, for a part of the
// given sizes.
func (c call) start(first int, sizes []int) []int {
	var at []int
	for i, x := range c.args[0].shape {
		at = append(at, clampInt(int(c.args[first+i].data[0]), x-sizes[i]))
	}
	return at
}

func TestIndexDefinitions(t *testing.T) {
	requireDefinitions(t, map[Op]definition{
		OpPad: func(c call, index []int) float64 {
			from := slices.Clone(index)
			for i, e := range c.v.Attrs.Dims("low") {
				n, _ := e.Const()
				from[i] -= int(n)
			}
			if x, ok := c.args[0].at(from...); ok {
				return x
			}
			return c.args[1].data[0]
		},
		OpConcat: func(c call, index []int) float64 {
			axis, from := c.int("axis", 0), slices.Clone(index)
			for _, x := range c.args {
				if from[axis] < x.shape[axis] {
					return x.get(from...)
				}
				from[axis] -= x.shape[axis]
			}
			panic("beyond the last operand")
		},
		OpGather: func(c call, index []int) float64 {
			x, at := c.args[0], c.args[1]
			axis, batch := c.int("axis", 0), c.int("batch_dims", 0)
			n := len(at.shape) - batch
			pick := slices.Concat(index[:batch], index[axis:axis+n])
			i := clampInt(int(at.get(pick...)), x.shape[axis]-1)
			return x.get(slices.Concat(index[:axis], []int{i}, index[axis+n:])...)
		},
		OpDynamicSlice: func(c call, index []int) float64 {
			from := c.start(1, c.out)
			for i := range from {
				from[i] += index[i]
			}
			return c.args[0].get(from...)
		},
		OpDynamicUpdateSlice: func(c call, index []int) float64 {
			at := c.start(2, c.args[1].shape)
			for i := range at {
				at[i] = index[i] - at[i]
			}
			if x, ok := c.args[1].at(at...); ok {
				return x
			}
			return c.args[0].get(index...)
		},
		OpPatches: func(c call, index []int) float64 {
			n := len(c.args[0].shape) - 2
			from := slices.Clone(index[:2])
			strides, low, dilation := c.ints("strides", n, 1), c.ints("padding_low", n, 0), c.ints("dilation", n, 1)
			for i := range n {
				from = append(from, index[2+n+i]*strides[i]+index[2+i]*dilation[i]-low[i])
			}
			x, _ := c.args[0].at(from...)
			return x
		},
	}, tensor.Exact)
}

func TestGatherClampsLargeUnsignedIndices(t *testing.T) {
	x := tensor.Of([]int{3}, float32(1), 2, 3)
	at := tensor.Of([]int{3}, uint64(1)<<63, 1, 1<<64-1)
	got := evalOp(t, OpGather, NewAttrs(Attr{"axis", int64(0)}), x, at)
	requireSame(t, got, tensor.Of([]int{3}, float32(3), 2, 3))
}

func TestPadKeepsBits(t *testing.T) {
	// Payloads of f16 NaNs and the sign of zero survive moves.
	x, err := tensor.FromBytes(tensor.F16, []int{2}, []byte{0x01, 0x7e, 0x00, 0x80})
	require.NoError(t, err)
	fill, err := tensor.FromBytes(tensor.F16, nil, []byte{0x02, 0xfe})
	require.NoError(t, err)
	got := evalOp(t, OpPad, NewAttrs(Attr{"low", Dims(1)}, Attr{"high", Dims(0)}), x, fill)
	b, _ := got.Bytes()
	assert.Equal(t, []byte{0x02, 0xfe, 0x01, 0x7e, 0x00, 0x80}, b)
}

// typeRuleCase is an application that a type rule refuses, or its type.
type typeRuleCase struct {
	op    Op
	attrs Attrs
	args  []Type
	want  string // the error, or the type
}

func requireTypeRules(t *testing.T, facts *dim.Facts, cases []typeRuleCase) {
	t.Helper()
	for _, c := range cases {
		got, err := inferOp(c.op, facts, c.attrs, c.args...)
		if err == nil {
			assert.Equal(t, c.want, got.String(), "%s %v", c.op, c.args)
			continue
		}
		var oe *OpError
		require.ErrorAs(t, err, &oe)
		assert.Equal(t, c.want, err.Error())
	}
}

func TestIndexTypeRules(t *testing.T) {
	x := typed(tensor.F32, "B", "8")
	scalar, index := typed(tensor.F32), typed(tensor.I64)
	at := func(name string, v any, more ...Attr) Attrs { return NewAttrs(append(more, Attr{name, v})...) }
	facts := factsOf(t, "B in [1, 64]", "S in [1, 8]")
	requireTypeRules(t, facts, []typeRuleCase{
		{OpPad, at("low", exprs("S", "0"), Attr{"high", exprs("1", "2*B")}), []Type{x, scalar}, "f32[B + S + 1,2*B + 8]"},
		{OpPad, at("low", exprs("0", "S - 2"), Attr{"high", Dims(0, 0)}), []Type{x, scalar},
			`pad: low must not be negative: expected sizes known to be >= 0, got S - 2 (declare "S >= 2" in the where clause)`},
		{OpPad, at("low", Dims(0), Attr{"high", Dims(0, 0)}), []Type{x, scalar}, `pad: wrong number of low: expected 2, got [0] (one per axis)`},
		{OpPad, at("low", Dims(0, 0), Attr{"high", Dims(0, 0)}), []Type{x, index},
			`pad: operands differ in element type: expected f32, got f32[B,8] x i64[] (cast the second operand to f32)`},
		{OpConcat, at("axis", int64(0)), []Type{x, x, typed(tensor.F32, "S", "8")}, "f32[2*B + S,8]"},
		{OpConcat, at("axis", int64(1)), []Type{x, typed(tensor.F32, "S", "8")},
			`concat: sizes differ on an axis that is not joined: expected size B on axis 0, got f32[B,8] x f32[S,8] (declare "B == S" in the where clause)`},
		{OpConcat, at("axis", int64(-1)), []Type{x, x}, `concat: axis out of range: expected 0 to 1, got -1 (axes count from 0: use 1)`},
		{OpGather, at("axis", int64(1), Attr{"batch_dims", int64(1)}), []Type{x, typed(tensor.I32, "B", "S", "3")}, "f32[B,S,3]"},
		{OpGather, at("axis", int64(0)), []Type{x, typed(tensor.I32, "S")}, "f32[S,8]"},
		{OpGather, at("axis", int64(0), Attr{"batch_dims", int64(1)}), []Type{x, typed(tensor.I32, "B")},
			`gather: batch_dims out of range: expected 0 to 0, got 1 (shared axes lead in both operands and come before axis)`},
		{OpDynamicSlice, at("sizes", exprs("1", "S")), []Type{x, index, index}, "f32[1,S]"},
		{OpDynamicSlice, at("sizes", exprs("2", "S")), []Type{x, index, index},
			`dynamic_slice: the slice is larger than the operand: expected sizes[0] <= operand[0], got 2 and B (declare "B >= 2" in the where clause)`},
		{OpDynamicSlice, at("sizes", exprs("1", "S")), []Type{x, index},
			`dynamic_slice: wrong number of start operands: expected 2, got 1 (one per axis of the first operand)`},
		{OpDynamicUpdateSlice, nil, []Type{x, typed(tensor.F32, "1", "S"), index, index}, "f32[B,8]"},
		{OpDynamicUpdateSlice, nil, []Type{x, typed(tensor.F32, "1", "9"), index, index},
			`dynamic_update_slice: the update is larger than the operand: expected rhs[1] <= lhs[1], got f32[1,9] into f32[B,8]`},
		{OpPatches, at("window", ints(3), Attr{"strides", ints(2)}), []Type{typed(tensor.F32, "B", "3", "2*B + 1")}, "f32[B,3,3,B]"},
		{OpPatches, at("window", ints(9)), []Type{typed(tensor.F32, "B", "3", "7")},
			`patches: the window does not fit axis 2 of the first operand: expected a padded size of at least the dilated window, got f32[B,3,7] (pad the axis or shrink the window)`},
		{OpPatches, at("window", ints(0)), []Type{typed(tensor.F32, "B", "3", "7")},
			`patches: window out of range: expected 1 to 2147483647, got [0]`},
	})
}

func TestSymbolicSizesEvaluate(t *testing.T) {
	f := NewFunc("pad", factsOf(t, "B in [1, 64]"))
	x := f.AddParam("x", typed(tensor.F32, "B"), nil)
	b := NewBuilder(f)
	zero := b.Splat(typed(tensor.F32), 9)
	y := b.Emit(OpPad, []*Value{x, zero}, Attr{"low", exprs("B")}, Attr{"high", exprs("0")})
	require.NoError(t, b.Err())
	f.Results = []*Value{y}
	got, err := Eval(f, []*tensor.Tensor{tensor.Of([]int{2}, float32(1), 2)}, nil)
	require.NoError(t, err)
	requireSame(t, got[0], tensor.Of([]int{4}, float32(9), 9, 1, 2))
}
