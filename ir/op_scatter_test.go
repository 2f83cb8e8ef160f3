package ir

import (
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/ir/tensor"
)

var definedScatters = map[string]func(a, b float64) float64{
	"set": func(_, b float64) float64 { return b },
	"add": func(a, b float64) float64 { return a + b },
	"mul": func(a, b float64) float64 { return a * b },
	"min": math.Min,
	"max": math.Max,
}

// TestScatterDefinition: an element is what all updates that fall on it make of it,
// found by looking at every update of the result's element.
func TestScatterDefinition(t *testing.T) {
	requireDefinitions(t, map[Op]definition{
		OpScatter: func(c call, index []int) float64 {
			x, at, updates := c.args[0], c.args[1], c.args[2]
			axis, batch := c.int("axis", 0), c.int("batch_dims", 0)
			n := len(at.shape) - batch
			f := definedScatters[c.v.Attrs.Str("combine", "")]
			out := x.get(index...)
			for _, u := range indices(updates.shape) {
				pick := slices.Concat(u[:batch], u[axis:axis+n])
				to := clampInt(int(at.get(pick...)), x.shape[axis]-1)
				if slices.Equal(slices.Concat(u[:axis], []int{to}, u[axis+n:]), index) {
					out = f(out, updates.get(u...))
				}
			}
			return out
		},
	}, tensor.Exact)
}

// Gather reads what scatter has set.
func TestScatterUndoesGather(t *testing.T) {
	x := tensor.Arange(tensor.F32, 4, 5, 3)
	at := tensor.Of([]int{4, 2}, int64(0), 3, 4, 1, 2, 2, 9, -9)
	attrs := NewAttrs(Attr{"axis", int64(1)}, Attr{"batch_dims", int64(1)})
	read := evalOp(t, OpGather, attrs, x, at)
	requireSame(t, evalOp(t, OpScatter, attrs.With("combine", "set"), x, at, read), x)
	doubled := evalOp(t, OpScatter, attrs.With("combine", "max"), tensor.New(tensor.F32, 4, 5, 3), at, read)
	requireSame(t, evalOp(t, OpGather, attrs, doubled, at), read)
}

func scatterAttrs(combine string) Attrs {
	return NewAttrs(Attr{"axis", int64(0)}, Attr{"combine", combine})
}

func TestScatterOrderAndRounding(t *testing.T) {
	zeros := tensor.Of([]int{3}, int64(0), 0, 0)
	// In this order the small number is lost; in another it is not.
	x, u := tensor.Of([]int{1}, float32(1)), tensor.Of([]int{3}, float32(0x1p24), float32(-0x1p24), 3)
	requireSame(t, evalOp(t, OpScatter, scatterAttrs("add"), x, zeros, u), tensor.Of([]int{1}, float32(3)))
	requireSame(t, evalOp(t, OpScatter, scatterAttrs("set"), x, zeros, u), tensor.Of([]int{1}, float32(3)))
	// In bf16, 256 + 1 would stay 256 each time; in f32 it does not.
	x, u = tensor.FromFloats(tensor.BF16, []int{1}, []float64{256}), tensor.FromFloats(tensor.BF16, []int{3}, []float64{1, 1, 1})
	requireSame(t, evalOp(t, OpScatter, scatterAttrs("add"), x, zeros, u), tensor.FromFloats(tensor.BF16, []int{1}, []float64{260}))
	// Integers wrap, bool's sum is or.
	x, u = tensor.Of([]int{1}, int8(100)), tensor.Of([]int{3}, int8(100), 50, 20)
	requireSame(t, evalOp(t, OpScatter, scatterAttrs("add"), x, zeros, u), tensor.Of([]int{1}, int8(14)))
	x, u = tensor.Of([]int{1}, true), tensor.Of([]int{3}, true, false, true)
	requireSame(t, evalOp(t, OpScatter, scatterAttrs("add"), x, zeros, u), tensor.Of([]int{1}, true))
	requireSame(t, evalOp(t, OpScatter, scatterAttrs("mul"), x, zeros, u), tensor.Of([]int{1}, false))
	x, u = tensor.Of([]int{1}, uint64(1)), tensor.Of([]int{3}, uint64(1)<<63, 5, 7)
	requireSame(t, evalOp(t, OpScatter, scatterAttrs("max"), x, zeros, u), tensor.Of([]int{1}, uint64(1)<<63))
	requireSame(t, evalOp(t, OpScatter, scatterAttrs("min"), x, zeros, u), tensor.Of([]int{1}, uint64(1)))
}

func TestScatterKeepsBits(t *testing.T) {
	// NaNs with payloads, in x and in what is set, are moved as they are.
	x, err := tensor.FromBytes(tensor.F16, []int{3}, []byte{0x01, 0x7d, 0x00, 0x80, 0x02, 0xfe})
	require.NoError(t, err)
	u, err := tensor.FromBytes(tensor.F16, []int{1}, []byte{0x03, 0x7d})
	require.NoError(t, err)
	one := tensor.Of([]int{1}, int64(1))
	got, _ := evalOp(t, OpScatter, scatterAttrs("set"), x, one, u).Bytes()
	assert.Equal(t, []byte{0x01, 0x7d, 0x03, 0x7d, 0x02, 0xfe}, got)
	sum, _ := evalOp(t, OpScatter, scatterAttrs("add"), x, one, tensor.FromFloats(tensor.F16, []int{1}, []float64{1})).Bytes()
	assert.Equal(t, []byte{0x01, 0x7d, 0x00, 0x3c, 0x02, 0xfe}, sum)
}

func TestScatterOfNothing(t *testing.T) {
	f := NewFunc("f", factsOf(t, "S in [0, 9]"))
	b := NewBuilder(f)
	x, at := f.AddParam("x", typed(tensor.F32, "S"), nil), f.AddParam("i", typed(tensor.I64, "2"), nil)
	u := f.AddParam("u", typed(tensor.F32, "2"), nil)
	f.Results = []*Value{b.EmitAttrs(OpScatter, []*Value{x, at, u}, scatterAttrs("add"))}
	require.NoError(t, b.Err())
	args := []*tensor.Tensor{tensor.New(tensor.F32, 0), tensor.New(tensor.I64, 2), tensor.New(tensor.F32, 2)}
	_, err := Eval(f, args, map[string]int64{"S": 0})
	require.ErrorContains(t, err, "axis 0 of the first operand has size 0: there is nothing to index")
}

func TestScatterTypeRules(t *testing.T) {
	x, index := typed(tensor.F32, "B", "8"), typed(tensor.I32, "B", "S")
	at := func(axis, batch int64) Attrs {
		return NewAttrs(Attr{"axis", axis}, Attr{"batch_dims", batch}, Attr{"combine", "add"})
	}
	requireTypeRules(t, factsOf(t, "B in [1, 64]", "S in [1, 8]"), []typeRuleCase{
		{OpScatter, at(1, 1), []Type{x, index, index.WithDType(tensor.F32)}, "f32[B,8]"},
		{OpScatter, at(0, 0), []Type{x, index, typed(tensor.F32, "B", "S", "8")}, "f32[B,8]"},
		{OpScatter, at(0, 0), []Type{x, index, index.WithDType(tensor.F32)},
			`scatter: the updates have another shape than what the indices choose: expected f32[B,S,8], got f32[B,S] (broadcast it to [B,S,8] first)`},
		{OpScatter, at(1, 1), []Type{x, index, index},
			`scatter: the updates have another element type: expected f32, got f32[B,8] x i32[B,S] x i32[B,S] (cast the updates to f32)`},
		{OpScatter, at(1, 2), []Type{x, index, index.WithDType(tensor.F32)},
			`scatter: batch_dims out of range: expected 0 to 1, got 2 (shared axes lead in both operands and come before axis)`},
		{OpScatter, at(0, 0), []Type{typed(tensor.F32, "0"), typed(tensor.I64, "2"), typed(tensor.F32, "2")},
			`scatter: there is nothing to index: expected at least 1 element on axis 0, got f32[0] x i64[2] x f32[2]`},
		{OpScatter, at(0, 0), []Type{typed(tensor.F32, "0"), typed(tensor.I64, "0"), typed(tensor.F32, "0")}, "f32[0]"},
	})
}
