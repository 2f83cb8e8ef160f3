package native_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"jitc/codegen/x64/asm"
	"jitc/executors"
	"jitc/executors/native"
	"jitc/executors/native/pool"
	"jitc/ir"
	"jitc/ir/tensor"
)

// features lists the executors to test: every emitter that this processor can
// run, and the interpreter.
func features() map[string]asm.Features {
	out := map[string]asm.Features{"interpreted": {}}
	f := asm.Detect()
	if f.AVX512 {
		out["avx512"] = f
		f.AVX512, f.AVX512BF16 = false, false
	}
	if f.AVX2 {
		out["avx2"] = f
	}
	return out
}

// Regions as fusion makes them, against the reference evaluation.
var regions = map[string]string{
	"gelu chain": `func @f(%x: f32[N], %a: f32[], %b: f32[], %r: f32[N]) -> f32[N] {
  %0: f32[N] = broadcast(%a) {axes=[]}
  %1: f32[N] = broadcast(%b) {axes=[]}
  %2: f32[N] = mul(%x, %0)
  %3: f32[N] = add(%2, %1)
  %4: f32[N] = tanh(%3)
  %5: f32[N] = add(%4, %r)
  return %5
}`,
	"softmax": `func @f(%x: f32[N,C]) -> f32[N,C] {
  %m: f32[N] = reduce_max(%x) {axes=[1]}
  %mb: f32[N,C] = broadcast(%m) {axes=[0]}
  %d: f32[N,C] = sub(%x, %mb)
  %e: f32[N,C] = exp(%d)
  %s: f32[N] = reduce_sum(%e) {axes=[1]}
  %sb: f32[N,C] = broadcast(%s) {axes=[0]}
  %y: f32[N,C] = div(%e, %sb)
  return %y
}`,
	"linear with epilogue": `func @f(%x: f32[N,C], %w: f32[48,C], %b: f32[48], %r: f32[N,48]) -> f32[N,48] {
  %0: f32[N,48] = dot_general(%x, %w) {lhs_contract=[1], rhs_contract=[1]}
  %1: f32[N,48] = broadcast(%b) {axes=[1]}
  %2: f32[N,48] = add(%0, %1)
  %3: f32[N,48] = tanh(%2)
  %4: f32[N,48] = add(%3, %r)
  return %4
}`,
	"linear with a transposed addend": `func @f(%x: f32[N,C], %w: f32[48,C], %r: f32[N,48]) -> f32[48,N] {
  %0: f32[N,48] = dot_general(%x, %w) {lhs_contract=[1], rhs_contract=[1]}
  %1: f32[N,48] = add(%0, %r)
  %2: f32[48,N] = transpose(%1) {perm=[1, 0]}
  return %2
}`,
	"attention heads": `func @f(%qkv: f32[N,96]) -> f32[4,N,N] {
  %q0: f32[N,32] = slice(%qkv) {limits=[N, 32], starts=[0, 0]}
  %q1: f32[N,4,8] = reshape(%q0)
  %q: f32[4,N,8] = transpose(%q1) {perm=[1, 0, 2]}
  %k0: f32[N,32] = slice(%qkv) {limits=[N, 64], starts=[0, 32]}
  %k1: f32[N,4,8] = reshape(%k0)
  %k: f32[4,N,8] = transpose(%k1) {perm=[1, 0, 2]}
  %0: f32[4,N,N] = dot_general(%q, %k) {lhs_batch=[0], lhs_contract=[2], rhs_batch=[0], rhs_contract=[2]}
  %1: f32[4,N,N] = mul(%0, 0.35)
  return %1
}`,
}

func TestRegions(t *testing.T) {
	workers := pool.New(2)
	defer workers.Close()
	for fname, f := range features() {
		x := native.New(f)
		for name, text := range regions {
			t.Run(fname+"/"+name, func(t *testing.T) {
				region, _, diags := ir.Parse(name, text)
				require.NoError(t, diags.Err())
				k, err := x.Compile(context.Background(), region, executors.Options{})
				require.NoError(t, err)
				for _, n := range []int64{0, 1, 2, 17, 64, 200} {
					check(t, region, k, workers, map[string]int64{"N": n, "C": 2*n + 3})
				}
			})
		}
	}
}

// check runs a kernel at sizes and compares it with the reference evaluation.
func check(t *testing.T, region *ir.Func, k executors.Kernel, w executors.Workers, sizes map[string]int64) {
	t.Helper()
	var args []*tensor.Tensor
	var bufs [][]byte
	for i, p := range region.Params {
		shape, err := ir.EvalShape(p.Type.Shape, sizes)
		require.NoError(t, err)
		a, err := tensor.Generate(tensor.Rule{Kind: "normal", Std: 1, Seed: uint64(i)}, p.Type.DType, shape)
		require.NoError(t, err)
		args = append(args, a)
		data, _ := a.Bytes()
		bufs = append(bufs, data)
	}
	want, err := ir.Eval(region, args, sizes)
	require.NoError(t, err)
	var got []*tensor.Tensor
	for _, r := range want {
		g := tensor.New(r.DType(), r.Shape()...)
		got = append(got, g)
		data, _ := g.Bytes()
		bufs = append(bufs, data)
	}
	l, err := k.Bind(sizes)
	require.NoError(t, err)
	scratch, _ := tensor.New(tensor.U8, l.ScratchBytes(w.Workers())+1).Bytes()
	for range 2 {
		require.NoError(t, l.Run(bufs, scratch, w))
		for i := range got {
			require.Nil(t, tensor.Compare(got[i], want[i], tensor.Tolerance{Abs: 5e-5, Rel: 1e-5, NaNEqual: true}), "%v", sizes)
		}
	}
}
