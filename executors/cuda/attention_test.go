package cuda_test

import (
	"slices"
	"strings"
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
		require.Equal(t, c.why == "", claim.Level == fusion.Strided)
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

type attendView struct {
	region   string
	launches int
	scratch  bool
}

// attendViews are regions of attention that reads through views, with what the plan
// at B=2, S=5 is to be.
var attendViews = map[string]attendView{
	"heads split by a transposition": {`func @r(%x: f32[B,S,24]) -> f32[B,2,S,4] {
  %0 = slice(%x) {starts=[0,0,0], limits=[B,S,8]}
  %1 = slice(%x) {starts=[0,0,8], limits=[B,S,16]}
  %2 = slice(%x) {starts=[0,0,16], limits=[B,S,24]}
  %3 = reshape(%0) {shape=[B,S,2,4]}
  %4 = reshape(%1) {shape=[B,S,2,4]}
  %5 = reshape(%2) {shape=[B,S,2,4]}
  %6 = transpose(%3) {perm=[0,2,1,3]}
  %7 = transpose(%4) {perm=[0,2,1,3]}
  %8 = transpose(%5) {perm=[0,2,1,3]}
  %9 = scaled_dot_product_attention(%6, %7, %8) {causal=true}
  return %9
}`, 1, false},
	"the used part of a cache": {`func @r(%q: bf16[B,2,1,8], %k: bf16[B,2,32,8], %v: bf16[B,2,32,8]) -> bf16[B,2,1,8] {
  %0 = slice(%k) {starts=[0,0,0,0], limits=[B,2,S,8]}
  %1 = slice(%v) {starts=[0,0,0,0], limits=[B,2,S,8]}
  %2 = scaled_dot_product_attention(%q, %0, %1)
  return %2
}`, 1, false},
	"shared heads, and a part of a mask": {`func @r(%q: f32[B,4,S,4], %k: f32[B,2,S,4], %m: f32[64,64]) -> f32[B,4,S,4] {
  %0 = broadcast(%k) {axes=[0,1,3,4], shape=[B,2,2,S,4]}
  %1 = reshape(%0) {shape=[B,4,S,4]}
  %2 = slice(%m) {starts=[0,0], limits=[S,S]}
  %3 = scaled_dot_product_attention(%q, %1, %1, %2)
  return %3
}`, 2, true},
	"columns that are not neighbours": {`func @r(%q: f32[B,S,4], %k: f32[B,4,S]) -> f32[B,S,4] {
  %0 = transpose(%k) {perm=[0,2,1]}
  %1 = scaled_dot_product_attention(%q, %0, %q)
  return %1
}`, 2, true},
	"rows between vectors": {`func @r(%q: f32[B,S,4], %x: f32[B,S,9]) -> f32[B,S,4] {
  %0 = slice(%x) {starts=[0,0,1], limits=[B,S,5]}
  %1 = scaled_dot_product_attention(%q, %0, %0)
  return %1
}`, 2, true},
	"backwards, and queries as keys": {`func @r(%x: bf16[B,S,8]) -> bf16[B,S,8] {
  %0 = reverse(%x) {axes=[1]}
  %1 = scaled_dot_product_attention(%x, %0, %x)
  return %1
}`, 2, true},
	"one view twice, and one of no columns in order": {`func @r(%x: f32[B,8,S]) -> f32[B,S,8] {
  %0 = transpose(%x) {perm=[0,2,1]}
  %1 = reverse(%0) {axes=[2]}
  %2 = scaled_dot_product_attention(%0, %1, %0)
  return %2
}`, 3, true},
	"heads side by side": {`func @r(%q: bf16[B,2,S,8], %k: bf16[B,2,S,8]) -> bf16[B,S,16] {
  %0 = scaled_dot_product_attention(%q, %k, %k)
  %1 = transpose(%0) {perm=[0,2,1,3]}
  %2 = reshape(%1) {shape=[B,S,16]}
  return %2
}`, 1, false},
	"columns apart": {`func @r(%q: f32[B,S,4], %k: f32[B,S,4]) -> f32[B,4,S] {
  %0 = scaled_dot_product_attention(%q, %k, %k)
  %1 = transpose(%0) {perm=[0,2,1]}
  return %1
}`, 2, true},
	"no regular order": {`func @r(%q: f32[B,S,4], %x: f32[B,4,S]) -> f32[S,B,4] {
  %0 = transpose(%x) {perm=[0,2,1]}
  %1 = scaled_dot_product_attention(%q, %0, %q)
  %2 = reshape(%1) {shape=[S,B,4]}
  %3 = transpose(%2) {perm=[0,2,1]}
  %4 = reshape(%3) {shape=[S,B,4]}
  return %4
}`, 4, true},
}

// Attention reads through views, and copies what the template cannot read.
func TestAttentionThroughViews(t *testing.T) {
	e, _ := newExecutor(t, fake.Config{}, cuda.Options{})
	q := queueOf(t, e)
	for name, c := range attendViews {
		t.Run(name, func(t *testing.T) {
			region := parseRegion(t, c.region)
			k, err := e.Compile(t.Context(), region, executors.Options{})
			require.NoError(t, err)
			require.Equal(t, "attention", k.Info().Kind)
			for _, sizes := range []map[string]int64{{"B": 2, "S": 5}, {"B": 1, "S": 1}, {"B": 2, "S": 17}, {"B": 0, "S": 3}, {"B": 3, "S": 0}} {
				l := bind(t, k, sizes)
				if sizes["S"] == 5 {
					require.Equal(t, c.launches, cuda.Entries(l))
					require.Equal(t, c.scratch, l.ScratchBytes(1) > 0)
				}
				requireLikeReference(t, q, l, region, sizes)
			}
		})
	}
}

// parseRegion reads a region whose sizes are up to 32.
func parseRegion(t *testing.T, text string) *ir.Func {
	t.Helper()
	f, _, diags := ir.Parse("region", strings.Replace(text, " {\n", "\n    where B in [0, 8], S in [0, 32] {\n", 1))
	require.NoError(t, diags.Err())
	return f
}

// requireLikeReference runs a launch on random operands.
func requireLikeReference(t *testing.T, q executors.Queue, l executors.Launch, region *ir.Func, sizes map[string]int64) {
	t.Helper()
	var args []*tensor.Tensor
	var bufs [][]byte
	for i, v := range slices.Concat(region.Params, region.Results) {
		shape, err := ir.EvalShape(v.Type.Shape, sizes)
		require.NoError(t, err)
		x, err := tensor.Generate(tensor.Rule{Kind: "normal", Std: 1, Seed: uint64(i + 1)}, v.Type.DType, shape)
		require.NoError(t, err)
		data, _ := x.Bytes()
		mem, err := q.Alloc(len(data))
		require.NoError(t, err)
		defer q.Free(mem)
		require.NoError(t, q.Upload(mem, data))
		args, bufs = append(args, x), append(bufs, mem)
	}
	n := len(region.Params)
	want, err := ir.Eval(region, args[:n], sizes)
	require.NoError(t, err)
	scratch, err := q.Alloc(l.ScratchBytes(1))
	require.NoError(t, err)
	defer q.Free(scratch)
	require.NoError(t, l.Run(bufs, scratch, nil))
	data, _ := args[n].Bytes()
	require.NoError(t, q.Download(data, bufs[n]))
	tolerance := tensor.Tolerance{Abs: 1e-5, Rel: 1e-5}
	if args[n].DType() == tensor.BF16 {
		tolerance = tensor.Tolerance{Abs: 2e-2, Rel: 2e-2}
	}
	require.NoError(t, tensor.Check(args[n], want[0], tolerance))
}
