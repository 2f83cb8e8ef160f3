package cublas_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/executors"
	"jitc/executors/cuda"
	"jitc/executors/cuda/cublaslt"
	ltfake "jitc/executors/cuda/cublaslt/fake"
	"jitc/executors/cuda/driver/fake"
	"jitc/ir/tensor"
)

// layoutCases are products, and what the library is asked for: op(A) op(B) and the
// matrices, in column-major order. Without matrices, the device's own kernel computes
// it.
var layoutCases = []struct {
	name, text     string
	transA, transB bool
	a, b, d        cublaslt.Matrix
	bias           int // its alignment
}{
	{name: "row-major: the product of the transposes", text: dot(tensor.F32, tensor.F32, "5", "7", "11"),
		a: matrix(7, 11, 7), b: matrix(11, 5, 11), d: matrix(7, 5, 7)},
	{name: "weights by output", text: `func @f(%x: f32[5,11], %w: f32[7,11]) -> f32[5,7] {
  %0: f32[5,7] = dot_general(%x, %w) {lhs_contract=[1], rhs_contract=[1]}
  return %0
}`, transA: true, a: matrix(11, 7, 11), b: matrix(11, 5, 11), d: matrix(7, 5, 7)},
	{name: "contracted rows, as a weight's gradient", text: `func @f(%x: f32[11,5], %g: f32[11,7]) -> f32[5,7] {
  %0: f32[5,7] = dot_general(%x, %g) {lhs_contract=[0], rhs_contract=[0]}
  return %0
}`, transB: true, a: matrix(7, 11, 7), b: matrix(5, 11, 5), d: matrix(7, 5, 7)},
	{name: "several axes as one", text: `func @f(%x: f32[2,3,4,5], %w: f32[4,5,2,7]) -> f32[2,3,2,7] {
  %0: f32[2,3,2,7] = dot_general(%x, %w) {lhs_contract=[3, 2], rhs_contract=[1, 0]}
  return %0
}`, a: matrix(14, 20, 14), b: matrix(20, 6, 20), d: matrix(14, 6, 14)},
	{name: "batches", text: `func @f(%x: f32[3,5,11], %y: f32[3,11,7]) -> f32[3,5,7] {
  %0: f32[3,5,7] = dot_general(%x, %y) {lhs_batch=[0], lhs_contract=[2], rhs_batch=[0], rhs_contract=[1]}
  return %0
}`, a: batched(matrix(7, 11, 7), 3, 77), b: batched(matrix(11, 5, 11), 3, 55), d: batched(matrix(7, 5, 7), 3, 35)},
	{name: "batches between", text: `func @f(%x: f32[5,3,11], %y: f32[11,3,7]) -> f32[3,5,7] {
  %0: f32[3,5,7] = dot_general(%x, %y) {lhs_batch=[1], lhs_contract=[2], rhs_batch=[1], rhs_contract=[0]}
  return %0
}`, a: batched(matrix(7, 11, 21), 3, 7), b: batched(matrix(11, 5, 33), 3, 11), d: batched(matrix(7, 5, 7), 3, 35)},
	{name: "a vector", text: `func @f(%x: f32[11], %w: f32[7,11]) -> f32[7] {
  %0: f32[7] = dot_general(%x, %w) {lhs_contract=[0], rhs_contract=[1]}
  return %0
}`, transA: true, a: matrix(11, 7, 11), b: matrix(11, 1, 11), d: matrix(7, 1, 7)},
	{name: "vectors", text: `func @f(%x: f32[11], %y: f32[11]) -> f32[] {
  %0: f32[] = dot_general(%x, %y) {lhs_contract=[0], rhs_contract=[0]}
  return %0
}`, a: matrix(1, 11, 1), b: matrix(11, 1, 11), d: matrix(1, 1, 1)},
	{name: "nothing contracted", text: `func @f(%x: f32[5], %y: f32[7]) -> f32[5,7] {
  %0: f32[5,7] = dot_general(%x, %y)
  return %0
}`, a: matrix(7, 1, 7), b: matrix(1, 5, 1), d: matrix(7, 5, 7)},

	{name: "a part of a view", text: `func @f(%x: f32[5,3,11], %w: f32[11,7]) -> f32[5,7] {
  %0: f32[5,1,11] = slice(%x) {limits=[5, 2, 11], starts=[0, 1, 0]}
  %1: f32[5,11] = reshape(%0)
  %2: f32[5,7] = dot_general(%1, %w) {lhs_contract=[1], rhs_contract=[0]}
  return %2
}`, a: matrix(7, 11, 7), b: at(matrix(11, 5, 33), 4), d: matrix(7, 5, 7)},
	{name: "one operand for all batches", text: `func @f(%x: f32[3,5,11], %w: f32[11,7]) -> f32[3,5,7] {
  %0: f32[3,11,7] = broadcast(%w) {axes=[1, 2]}
  %1: f32[3,5,7] = dot_general(%x, %0) {lhs_batch=[0], lhs_contract=[2], rhs_batch=[0], rhs_contract=[1]}
  return %1
}`, a: batched(matrix(7, 11, 7), 3, 0), b: batched(matrix(11, 5, 11), 3, 55), d: batched(matrix(7, 5, 7), 3, 35)},
	{name: "stored as its transpose", text: `func @f(%x: f32[5,11], %y: f32[11,7]) -> f32[7,5] {
  %0: f32[5,7] = dot_general(%x, %y) {lhs_contract=[1], rhs_contract=[0]}
  %1: f32[7,5] = transpose(%0) {perm=[1, 0]}
  return %1
}`, transA: true, transB: true, a: matrix(11, 5, 11), b: matrix(7, 11, 7), d: matrix(5, 7, 5)},
	{name: "stored apart", text: `func @f(%x: f32[3,5,11], %y: f32[3,11,7]) -> f32[5,3,7] {
  %0: f32[3,5,7] = dot_general(%x, %y) {lhs_batch=[0], lhs_contract=[2], rhs_batch=[0], rhs_contract=[1]}
  %1: f32[5,3,7] = transpose(%0) {perm=[1, 0, 2]}
  return %1
}`, a: batched(matrix(7, 11, 7), 3, 77), b: batched(matrix(11, 5, 11), 3, 55), d: batched(matrix(7, 5, 21), 3, 7)},
	{name: "one tensor twice", text: `func @f(%x: f32[5,11]) -> f32[5,5] {
  %0: f32[5,5] = dot_general(%x, %x) {lhs_contract=[1], rhs_contract=[1]}
  return %0
}`, transA: true, a: matrix(11, 5, 11), b: matrix(11, 5, 11), d: matrix(5, 5, 5)},

	{name: "a layer with its bias", text: `func @f(%x: f32[2,3,11], %w: f32[7,11], %b: f32[7]) -> f32[2,3,7] {
  %0: f32[2,3,7] = linear(%x, %w, %b)
  return %0
}`, transA: true, a: matrix(11, 7, 11), b: matrix(11, 6, 11), d: matrix(7, 6, 7), bias: 16},
	{name: "a layer with a part of a bias", text: `func @f(%x: f32[5,11], %w: f32[11,8], %b: f32[3,8]) -> f32[5,8] {
  %0: f32[1,8] = slice(%b) {limits=[3, 8], starts=[2, 0]}
  %1: f32[8] = reshape(%0)
  %2: f32[5,8] = linear(%x, %w, %1) {transposed=false}
  return %2
}`, a: matrix(8, 11, 8), b: matrix(11, 5, 11), d: matrix(8, 5, 8), bias: 16},
	{name: "a bias at no multiple of 16 bytes", text: `func @f(%x: f32[5,11], %w: f32[11,7], %b: f32[3,7]) -> f32[5,7] {
  %0: f32[1,7] = slice(%b) {limits=[3, 7], starts=[2, 0]}
  %1: f32[7] = reshape(%0)
  %2: f32[5,7] = linear(%x, %w, %1) {transposed=false}
  return %2
}`},

	{name: "a bias of a result stored as its transpose", text: `func @f(%x: f32[5,11], %w: f32[7,11], %b: f32[7]) -> f32[7,5] {
  %0: f32[5,7] = linear(%x, %w, %b)
  %1: f32[7,5] = transpose(%0) {perm=[1, 0]}
  return %1
}`},
	{name: "a bias that is one number", text: `func @f(%x: f32[5,11], %w: f32[7,11], %b: f32[]) -> f32[5,7] {
  %0: f32[7] = broadcast(%b) {axes=[]}
  %1: f32[5,7] = linear(%x, %w, %0)
  return %1
}`},
	{name: "two batches apart", text: `func @f(%x: f32[2,5,3,11], %y: f32[2,7,3,11]) -> f32[2,3,5,7] {
  %0: f32[2,3,5,7] = dot_general(%x, %y) {lhs_batch=[0, 2], lhs_contract=[3], rhs_batch=[0, 2], rhs_contract=[3]}
  return %0
}`},
	{name: "innermost batches", text: `func @f(%x: f32[5,11,3], %y: f32[11,7,3]) -> f32[3,5,7] {
  %0: f32[3,5,7] = dot_general(%x, %y) {lhs_batch=[2], lhs_contract=[1], rhs_batch=[2], rhs_contract=[0]}
  return %0
}`},
	{name: "every other column", text: `func @f(%x: f32[5,22], %y: f32[11,7]) -> f32[5,7] {
  %0: f32[5,11] = slice(%x) {limits=[5, 22], starts=[0, 0], strides=[1, 2]}
  %1: f32[5,7] = dot_general(%0, %y) {lhs_contract=[1], rhs_contract=[0]}
  return %1
}`},
	{name: "backwards", text: `func @f(%x: f32[5,11], %y: f32[11,7]) -> f32[5,7] {
  %0: f32[5,11] = reverse(%x) {axes=[0]}
  %1: f32[5,7] = dot_general(%0, %y) {lhs_contract=[1], rhs_contract=[0]}
  return %1
}`},
	{name: "rows that are one", text: `func @f(%x: f32[11], %y: f32[11,7]) -> f32[5,7] {
  %0: f32[5,11] = broadcast(%x) {axes=[1]}
  %1: f32[5,7] = dot_general(%0, %y) {lhs_contract=[1], rhs_contract=[0]}
  return %1
}`},
	{name: "a reshape that is no view", text: `func @f(%x: f32[11,3,2], %y: f32[11,7]) -> f32[6,7] {
  %0: f32[11,2,3] = transpose(%x) {perm=[0, 2, 1]}
  %1: f32[11,6] = reshape(%0)
  %2: f32[6,7] = dot_general(%1, %y) {lhs_contract=[0], rhs_contract=[0]}
  return %2
}`},
	{name: "no sum", text: dot(tensor.F32, tensor.F32, "5", "7", "0")},
}

func matrix(rows, cols, ld int) cublaslt.Matrix {
	return cublaslt.Matrix{Type: cublaslt.F32, Rows: rows, Cols: cols, LD: ld, Batch: 1, Alignment: 16}
}

func batched(m cublaslt.Matrix, batch, stride int) cublaslt.Matrix {
	m.Batch, m.Stride = batch, stride
	return m
}

// at is a matrix whose addresses have that alignment.
func at(m cublaslt.Matrix, alignment int) cublaslt.Matrix {
	m.Alignment = alignment
	return m
}

func TestLayouts(t *testing.T) {
	for _, c := range layoutCases {
		t.Run(c.name, func(t *testing.T) {
			m := newMachine(t, fake.Config{}, ltfake.Config{Workspace: 512}, cuda.Options{})
			f, k := m.compile(t, c.text, executors.Options{})
			m.run(t, f, k, nil)
			if c.d.Rows == 0 {
				require.Zero(t, m.library.Count("Multiply"))
				require.Positive(t, m.driver.Count("Launch"))
				return
			}
			require.Equal(t, [2]int{1, 0}, [2]int{m.library.Count("Multiply"), m.driver.Count("Launch")})
			p := m.library.Last()
			assert.Equal(t, [2]bool{c.transA, c.transB}, [2]bool{p.TransA, p.TransB})
			assert.Equal(t, [3]cublaslt.Matrix{c.a, c.b, c.d}, [3]cublaslt.Matrix{p.A, p.B, p.D})
			assert.Equal(t, c.bias, p.Bias)
		})
	}
}

// Types are the library's, sums in f32 or f64, and parts of sums in nothing narrower.
func TestTypes(t *testing.T) {
	for _, c := range []struct {
		in, out tensor.DType
		fast    bool
		compute cublaslt.ComputeType
		scale   cublaslt.DataType
		detail  string
	}{
		{tensor.BF16, tensor.BF16, false, cublaslt.ComputeF32, cublaslt.F32, "cuBLASLt 12.8.5, bf16 x bf16 -> bf16, sums in f32"},
		{tensor.F16, tensor.F32, true, cublaslt.ComputeF32, cublaslt.F32, "cuBLASLt 12.8.5, f16 x f16 -> f32, sums in f32"},
		{tensor.F32, tensor.F32, false, cublaslt.ComputeF32, cublaslt.F32, "cuBLASLt 12.8.5, f32 x f32 -> f32, sums in f32"},
		{tensor.F32, tensor.F32, true, cublaslt.ComputeTF32, cublaslt.F32, "cuBLASLt 12.8.5, f32 x f32 -> f32, sums in f32, operands rounded to tf32"},
		{tensor.F64, tensor.F64, true, cublaslt.ComputeF64, cublaslt.F64, "cuBLASLt 12.8.5, f64 x f64 -> f64, sums in f64"},
	} {
		m := newMachine(t, fake.Config{}, ltfake.Config{Workspace: 4096}, cuda.Options{})
		f, k := m.compile(t, dot(c.in, c.out, "6", "10", "12"), executors.Options{FastMath: c.fast})
		if c.compute != cublaslt.ComputeTF32 {
			m.run(t, f, k, nil)
		} else {
			_, err := k.Bind(nil)
			require.NoError(t, err)
		}
		p := m.library.Last()
		assert.Equal(t, c.compute, p.Compute)
		assert.Equal(t, c.scale, p.Scale)
		assert.Equal(t, cublaslt.InCompute, p.Reductions)
		assert.Equal(t, 32<<20, p.Workspace)
		info := k.Info()
		assert.Equal(t, c.detail, info.Detail)
		assert.Equal(t, [2]string{"cublas", "gemm"}, [2]string{info.Executor, info.Kind})
		_, ok := k.Dump("ptx")
		assert.False(t, ok)
	}
}

// A layer's sums and its bias are rounded once.
func TestLayersOfNarrowTypes(t *testing.T) {
	for _, dt := range []tensor.DType{tensor.F16, tensor.BF16} {
		m := newMachine(t, fake.Config{}, ltfake.Config{Workspace: 256}, cuda.Options{})
		f, k := m.compile(t, strings.ReplaceAll(`func @layer(%x: DT[N,24], %w: DT[32,24], %b: DT[32]) -> DT[N,32] {
  %0: DT[N,32] = linear(%x, %w, %b)
  return %0
}`, "DT", dt.String()), executors.Options{})
		for _, n := range []int64{1, 7, 0, 33} {
			m.run(t, f, k, map[string]int64{"N": n})
		}
		require.Equal(t, 3, m.library.Count("Multiply"))
		assert.Contains(t, k.Info().Detail, "sums in f32, with a bias")
		flops, err := k.Info().Flops.Eval(map[string]int64{"N": 10})
		require.NoError(t, err)
		assert.Equal(t, int64(2*10*24*32+10*32), flops-int64(32+10*32), "beside the casts")
	}
}

// One kernel is good for all sizes, those of nothing too.
func TestSymbolicSizes(t *testing.T) {
	m := newMachine(t, fake.Config{}, ltfake.Config{}, cuda.Options{})
	f, k := m.compile(t, dot(tensor.BF16, tensor.BF16, "M", "N", "K"), executors.Options{})
	for _, sizes := range []map[string]int64{
		{"M": 3, "N": 5, "K": 7}, {"M": 1, "N": 1, "K": 1}, {"M": 16, "N": 1, "K": 8}, {"M": 1, "N": 9, "K": 2},
		{"M": 0, "N": 5, "K": 7}, {"M": 4, "N": 0, "K": 7},
	} {
		m.run(t, f, k, sizes)
	}
	require.Equal(t, 4, m.library.Count("Multiply"))
	require.Zero(t, m.driver.Count("LoadModule"))
	m.run(t, f, k, map[string]int64{"M": 3, "N": 5, "K": 0}) // zeros, by the device's own kernel
	require.Equal(t, 4, m.library.Count("Multiply"))
	_, err := k.Bind(map[string]int64{"M": 3})
	require.Error(t, err)
}
