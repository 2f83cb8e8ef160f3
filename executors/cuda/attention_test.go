package cuda_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"jitc/executors"
	"jitc/executors/conformance"
	"jitc/executors/cuda"
	"jitc/executors/cuda/driver/fake"
	"jitc/fusion"
	"jitc/ir"
	"jitc/ir/dim"
	"jitc/ir/tensor"
)

// attend is attention of queries and keys of a type.
func attend(t *testing.T, dt tensor.DType, lead, rows, cols dim.Expr, self bool) *ir.Func {
	t.Helper()
	facts := dim.NewFacts()
	for _, s := range []string{"B", "L", "E"} {
		require.NoError(t, facts.Declare(s, 0, 1<<12))
	}
	b := ir.NewBuilder(ir.NewFunc("attend", facts))
	x := ir.Type{DType: dt}.WithShape([]dim.Expr{lead, rows, cols})
	q := b.F.AddParam("q", x, nil)
	k, v := q, q
	if !self {
		k, v = b.F.AddParam("k", x, nil), b.F.AddParam("v", x, nil)
	}
	b.F.Results = []*ir.Value{b.EmitAttrs(ir.OpAttention, []*ir.Value{q, k, v}, ir.NewAttrs(ir.Attr{Name: "causal", Value: true}))}
	require.NoError(t, b.Err())
	return b.F
}

// Attention is claimed where the template takes it, and comes back as its parts
// elsewhere, with the reason.
func TestClaimsOfAttention(t *testing.T) {
	e, _ := newExecutor(t, fake.Config{}, cuda.Options{})
	batch, length := dim.Sym("B"), dim.Sym("L")
	for _, c := range []struct {
		dt   tensor.DType
		cols dim.Expr
		why  string
	}{
		{tensor.BF16, dim.Const(64), ""},
		{tensor.F32, dim.Const(3), ""},
		{tensor.F64, dim.Const(64), "computed through its decomposition: attention: element type: expected f16, bf16 or f32, got f64"},
		{tensor.F16, dim.Sym("E"), "computed through its decomposition: a head dimension of E, the template takes constants to 256"},
		{tensor.F32, dim.Const(1000), "computed through its decomposition: a head dimension of 1000, the template takes constants to 256"},
	} {
		claim := e.Claim(attend(t, c.dt, batch, length, c.cols, false).Values[0])
		require.Equal(t, c.why, claim.Why)
		require.Equal(t, c.why == "", claim.Level == fusion.Alone)
	}
	none := cuda.New(fake.New(fake.Config{Devices: -1}), 0, cuda.Options{})
	require.Equal(t, "there is no device", none.Claim(attend(t, tensor.F32, batch, length, dim.Const(4), false).Values[0]).Why)
}

// One value may be queries, keys and values.
func TestAttentionToItself(t *testing.T) {
	e, _ := newExecutor(t, fake.Config{}, cuda.Options{})
	q := queueOf(t, e)
	region := attend(t, tensor.F32, dim.Sym("B"), dim.Sym("L"), dim.Const(4), true)
	k, err := e.Compile(t.Context(), region, executors.Options{})
	require.NoError(t, err)
	require.Equal(t, "attention", k.Info().Kind)
	_, ok := k.Dump("loops")
	require.False(t, ok)
	sizes := map[string]int64{"B": 2, "L": 5}
	l := bind(t, k, sizes)
	x, y := vector(t, q, 40, -7), vector(t, q, 40, 0)
	scratch, err := q.Alloc(l.ScratchBytes(1))
	require.NoError(t, err)
	defer q.Free(scratch)
	require.NoError(t, l.Run([][]byte{x, y}, scratch, nil))
	arg := tensor.New(tensor.F32, 2, 5, 4)
	data, _ := arg.Bytes()
	require.NoError(t, q.Download(data, x))
	want, err := ir.Eval(region, []*tensor.Tensor{arg}, sizes)
	require.NoError(t, err)
	got := tensor.New(tensor.F32, 2, 5, 4)
	data, _ = got.Bytes()
	require.NoError(t, q.Download(data, y))
	if m := tensor.Compare(got, want[0], tensor.Tolerance{Abs: 1e-5, Rel: 1e-5}); m != nil {
		require.NoError(t, m)
	}
}

// The template in each of its types, on buffers that are aligned to vectors and on
// others, which are moved.
func TestConformanceOfAttention(t *testing.T) {
	for _, major := range []int{8, 9} {
		e, _ := newExecutor(t, fake.Config{Major: major}, cuda.Options{})
		conformance.Run(t, e, conformance.Options{Ops: []ir.Op{ir.OpAttention}, DTypes: []tensor.DType{tensor.F16, tensor.BF16, tensor.F32}})
	}
}
