package trace_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/ir"
	"jitc/ir/dim"
	"jitc/ir/tensor"
	"jitc/trace"
)

type traced = func(x []*trace.Tensor) *trace.Tensor

// specOf describes inputs; symbolic ones have a symbol of its own for every size.
func specOf(name string, symbolic bool, in ...*tensor.Tensor) trace.Spec {
	spec := trace.Spec{Name: name}
	for i, x := range in {
		sizes := ir.Dims(x.Shape()...)
		if symbolic {
			for a := range sizes {
				sizes[a] = dim.Sym(fmt.Sprintf("S%d_%d", i, a))
			}
		}
		spec.Inputs = append(spec.Inputs, trace.Input{Path: fmt.Sprintf("x%d", i), DType: x.DType(), Sizes: sizes, Hint: x.Shape()})
	}
	return spec
}

// record traces fn, checks that its text reads back, and returns the trace.
func record(t *testing.T, spec trace.Spec, fn traced) *trace.Recorded {
	t.Helper()
	r, err := trace.Record(spec, func(in []*trace.Tensor, _ []any) ([]*trace.Tensor, error) {
		return []*trace.Tensor{fn(in)}, nil
	})
	require.NoError(t, err)
	require.NoError(t, ir.Verify(r.F, ir.Surface))
	text := r.F.String()
	back, _, diags := ir.Parse("recorded.trace", text)
	require.NoError(t, diags.Err(), text)
	require.Equal(t, text, back.String())
	return r
}

// eval runs a recorded function on inputs.
func eval(t *testing.T, r *trace.Recorded, in []*tensor.Tensor) *tensor.Tensor {
	t.Helper()
	var args []*tensor.Tensor
	for _, p := range r.Params {
		if p.Kind == trace.ParamCaptured {
			args = append(args, r.Captured[p.Index].Host())
		} else {
			args = append(args, in[p.Index])
		}
	}
	out, err := ir.Eval(r.F, args, nil)
	require.NoError(t, err, r.F.String())
	return out[0]
}

// everyWay computes fn at once, through a trace of these sizes and through one of
// symbolic sizes, and checks that all give the same.
func everyWay(t *testing.T, fn traced, in ...*tensor.Tensor) *tensor.Tensor {
	t.Helper()
	now := make([]*trace.Tensor, len(in))
	for i, x := range in {
		now[i] = trace.FromHost(x)
	}
	y := fn(now)
	require.NoError(t, y.Err())
	want := y.Host()
	for _, symbolic := range []bool{false, true} {
		r := record(t, specOf("f", symbolic, in...), fn)
		got := eval(t, r, in)
		require.NoError(t, tensor.Check(got, want, tensor.Exact), r.F.String())
		require.Equal(t, want.DType(), got.DType())
	}
	return want
}

func f32s(shape []int, data ...float32) *tensor.Tensor { return tensor.Of(shape, data...) }

func i64s(shape []int, data ...int64) *tensor.Tensor { return tensor.Of(shape, data...) }

func TestRecordPrintsWell(t *testing.T) {
	spec := trace.Spec{Name: "mlp", Inputs: []trace.Input{
		{Path: "x", DType: tensor.F32, Sizes: []dim.Expr{dim.Sym("B"), dim.Const(4)}, Hint: []int{3, 4}},
		{Path: "p.Layers[0].W", DType: tensor.F32, Sizes: ir.Dims(2, 4), Hint: []int{2, 4}},
	}}
	bias := trace.FromHost(f32s([]int{2}, 1, 2))
	r := record(t, spec, func(x []*trace.Tensor) *trace.Tensor {
		return x[0].Linear(x[1], bias).Mul(2).Gelu().Softmax(-1)
	})
	require.Equal(t, `func @mlp(%x: f32[B,4], %p.Layers.0.W: f32[2,4], %captured.0: f32[2]) -> f32[B,2]
    where B >= 0 {
  %0: f32[B,2] = linear(%x, %p.Layers.0.W, %captured.0)
  %1: f32[B,2] = constant() {value=2.0}
  %2: f32[B,2] = mul(%0, %1)
  %3: f32[B,2] = gelu(%2)
  %4: f32[B,2] = softmax(%3) {axis=1}
  return %4
}
`, r.F.String())
	require.Empty(t, r.Conditions)
	require.Equal(t, []*trace.Tensor{bias}, r.Captured)
	require.Equal(t, []trace.Param{{Kind: trace.ParamInput, Index: 0}, {Kind: trace.ParamInput, Index: 1}, {Kind: trace.ParamCaptured, Index: 0}}, r.Params)
	for _, v := range r.F.Values {
		assert.Equal(t, "record_test.go", v.Pos.File)
		assert.Equal(t, r.F.Values[0].Pos, v.Pos)
	}
}
