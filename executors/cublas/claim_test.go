package cublas_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"jitc/executors/cublas"
	"jitc/executors/cuda"
	ltfake "jitc/executors/cuda/cublaslt/fake"
	"jitc/executors/cuda/driver/fake"
	"jitc/fusion"
	"jitc/ir/tensor"
)

const small = "too small to be worth a kernel that fuses nothing: "

// claimCases are values, and why they are refused; nothing: they are claimed.
var claimCases = []struct{ text, why string }{
	{dot(tensor.BF16, tensor.BF16, "1024", "1024", "4096"), ""},
	{dot(tensor.F16, tensor.F32, "4096", "512", "8192"), ""},
	{dot(tensor.F32, tensor.F32, "1024", "1024", "512"), ""},
	{dot(tensor.F64, tensor.F64, "1024", "1024", "1024"), ""},
	{dot(tensor.BF16, tensor.BF16, "1024*B", "1024", "4096"), ""},
	{dot(tensor.BF16, tensor.BF16, "B+1023", "1024", "4096"), ""},

	{dot(tensor.BF16, tensor.BF16, "1024", "1024", "4095"), small + "4096 contracted elements needed, it has 4095"},
	{dot(tensor.BF16, tensor.F32, "1024", "1024", "4096"), small + "8192 contracted elements needed, it has 4096"},
	{dot(tensor.BF16, tensor.BF16, "256", "65536", "4096"), small + "512 rows needed, it has 256"},
	{dot(tensor.BF16, tensor.BF16, "65536", "1", "4096"), small + "512 columns needed, it has 1"},
	{dot(tensor.F32, tensor.F32, "1023", "1024", "4096"), small + "1048576 results needed, it has 1047552"},
	{dot(tensor.F32, tensor.F32, "B", "1024", "4096"), small + "512 rows needed, it has B, which may be 1"},
	{dot(tensor.F32, tensor.F32, "1024", "1024", "0"), small + "512 contracted elements needed, it has 0"},
	{dot(tensor.I32, tensor.I32, "4096", "4096", "4096"), "no product of i32 into i32"},
	{dot(tensor.BF16, tensor.F16, "4096", "4096", "4096"), "no product of bf16 into f16"},
	{dot(tensor.F32, tensor.F64, "4096", "4096", "4096"), "no product of f32 into f64"},

	{`func @f(%x: f32[8,512,1024], %y: f32[8,1024,512]) -> f32[8,512,512] {
  %0: f32[8,512,512] = dot_general(%x, %y) {lhs_batch=[0], lhs_contract=[2], rhs_batch=[0], rhs_contract=[1]}
  return %0
}`, ""},
	{`func @heads(%x: f32[8,512,16,1024], %y: f32[8,512,16,1024]) -> f32[8,16,512,512] {
  %0: f32[8,16,512,512] = dot_general(%x, %y) {lhs_batch=[0, 2], lhs_contract=[3], rhs_batch=[0, 2], rhs_contract=[3]}
  return %0
}`, "its batch, free or contracted axes lie apart in memory: they make no matrices"},
	{`func @inner(%x: f32[512,1024,S], %y: f32[1024,512,S]) -> f32[S,512,512] {
  %0: f32[S,512,512] = dot_general(%x, %y) {lhs_batch=[2], lhs_contract=[1], rhs_batch=[2], rhs_contract=[0]}
  return %0
}`, small + "1048576 results needed, it has 262144*S, which may be 262144"},
	{`func @inner(%x: f32[512,1024,8], %y: f32[1024,512,8]) -> f32[8,512,512] {
  %0: f32[8,512,512] = dot_general(%x, %y) {lhs_batch=[2], lhs_contract=[1], rhs_batch=[2], rhs_contract=[0]}
  return %0
}`, "its batch, free or contracted axes lie apart in memory: they make no matrices"},
	{`func @add(%x: f32[4096,4096]) -> f32[4096,4096] {
  %0: f32[4096,4096] = add(%x, %x)
  return %0
}`, "not a product"},
	{`func @layer(%x: bf16[8,1024,4096], %w: bf16[1024,4096], %b: bf16[1024]) -> bf16[8,1024,1024] {
  %0: bf16[8,1024,1024] = linear(%x, %w, %b)
  return %0
}`, ""},
	{`func @layer(%x: f32[1024,512], %w: f32[512,1024], %b: f32[1024]) -> f32[1024,1024] {
  %0: f32[1024,1024] = linear(%x, %w, %b) {transposed=false}
  return %0
}`, ""},
	{`func @layer(%x: bf16[8,1024,4096], %w: bf16[1024,4096]) -> bf16[8,1024,1024] {
  %0: bf16[8,1024,1024] = linear(%x, %w)
  return %0
}`, "computed through its decomposition"},
	{`func @layer(%x: f64[1024,1024], %w: f64[1024,1024], %b: f64[1024]) -> f64[1024,1024] {
  %0: f64[1024,1024] = linear(%x, %w, %b)
  return %0
}`, "computed through its decomposition: no bias of f64"},
	{`func @mm(%x: f32[4096,4096]) -> f32[4096,4096] {
  %0: f32[4096,4096] = matmul(%x, %x)
  return %0
}`, "computed through its decomposition"},
}

func TestClaims(t *testing.T) {
	d := fake.New(fake.Config{})
	e := cublas.New(cuda.New(d, 0, cuda.Options{}), ltfake.New(d, ltfake.Config{}), cublas.Options{})
	for _, c := range claimCases {
		want := fusion.Claim{Level: fusion.Strided}
		if c.why != "" {
			want = fusion.Claim{Level: fusion.Refused, Why: c.why, Obvious: c.why == "not a product"}
		}
		require.Equal(t, want, e.Claim(parse(t, c.text).Values[0]), c.text)
	}
}

// heads is the case of two batches apart.
var heads = slices.IndexFunc(claimCases, func(c struct{ text, why string }) bool { return strings.Contains(c.text, "@heads") })

// What is worth a kernel that fuses nothing is another matter than what can be computed.
func TestAnyClaims(t *testing.T) {
	m := newMachine(t, fake.Config{}, ltfake.Config{}, cuda.Options{})
	for _, text := range []string{
		dot(tensor.BF16, tensor.BF16, "B", "3", "0"),
		dot(tensor.F64, tensor.F64, "1", "1", "1"),
		claimCases[heads].text,
	} {
		require.Equal(t, fusion.Strided, m.cublas.Claim(parse(t, text).Values[0]).Level, text)
	}
	require.Equal(t, fusion.Refused, m.cublas.Claim(parse(t, dot(tensor.U8, tensor.U8, "4", "4", "4")).Values[0]).Level)
}

// A region is the library's if it holds a product and views, and nothing else.
func TestRegions(t *testing.T) {
	m := newMachine(t, fake.Config{}, ltfake.Config{}, cuda.Options{})
	for text, why := range map[string]string{
		dot(tensor.I8, tensor.I32, "4", "4", "4"): "cublas cannot compile it: no product of i8 into i32",
		`func @f(%x: f32[4,4]) -> (f32[4,4], f32[4,4]) {
  %0: f32[4,4] = dot_general(%x, %x) {lhs_contract=[1], rhs_contract=[0]}
  %1: f32[4,4] = dot_general(%x, %x) {lhs_contract=[0], rhs_contract=[0]}
  return %0, %1
}`: "cublas cannot compile it: it is not one product",
		`func @f(%x: f32[4,4]) -> f32[4,4] {
  %0: f32[4,4] = exp(%x)
  %1: f32[4,4] = dot_general(%0, %x) {lhs_contract=[1], rhs_contract=[0]}
  return %1
}`: "cublas cannot compile it: it is not one product",
		`func @f(%x: f32[4,4]) -> f32[4,4] {
  %0: f32[4,4] = transpose(%x) {perm=[1, 0]}
  return %0
}`: "cublas cannot compile it: not a product",
	} {
		_, err := m.cublas.Compile(t.Context(), parse(t, text), executorsOptions)
		require.EqualError(t, err, why)
	}
}
