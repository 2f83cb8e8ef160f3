//go:build unix && amd64

package x64

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"jitc/codegen"
	"jitc/codegen/internal/kernels"
	"jitc/codegen/x64/asm"
	"jitc/ir/tensor"
)

// TestSpills has far more values alive than registers, vectors and masks, with
// every number of copies.
func TestSpills(t *testing.T) {
	for _, dt := range []tensor.DType{tensor.F32, tensor.F64, tensor.I32} {
		k := kernels.Pointwise(t, "wide", []tensor.DType{dt, dt}, dt, func(n *codegen.NestBuilder, a []codegen.Val) codegen.Val {
			var vs, ms []codegen.Val
			for i := range 40 {
				c := n.ConstBits(dt, constBits(dt, i+1))
				vs = append(vs, n.Op(codegen.Add, n.Op(codegen.Mul, a[0], c), a[1]))
				ms = append(ms, n.Op(codegen.Lt, vs[i], a[i%2]))
			}
			acc := a[0]
			for i := range vs {
				v := n.Op(codegen.Select, ms[(i*7)%40], vs[39-i], vs[(i*11)%40])
				acc = n.Op(codegen.Sub, v, acc)
			}
			return acc
		})
		for _, u := range []int{0, 1, 2, 4} {
			for name, f := range targets(t) {
				c := compileKernel(t, k, f, Options{Unroll: u})
				require.Positive(t, c.codes[0].Stats.Spills)
				checkTarget(t, name, c, map[string]int64{"N": 203}, 9, 0)
			}
		}
	}
}

func constBits(dt tensor.DType, i int) uint64 {
	if dt.IsFloat() {
		return codegenFloat(dt, float64(i)/8)
	}
	return uint64(i)
}

func codegenFloat(dt tensor.DType, x float64) uint64 {
	b := codegen.NewKernel("c")
	n := b.Nest(nil, 0).Vec(-1)
	n.Once()
	v := n.ConstF(dt, x)
	return n.Nest().Insts[v].Imm
}

// randomKernel is a random nest with conversions that all processors have.
func randomKernel(t testing.TB, seed uint64) *codegen.Kernel {
	t.Helper()
	return kernels.Random(t, seed, kernels.Options{Converts: func(from, to tensor.DType) bool {
		return !castRows[kindOf(from)][kindOf(to)].half
	}})
}

// TestRandomNests compares random nests with the interpreter.
func TestRandomNests(t *testing.T) {
	count := uint64(400)
	if testing.Short() {
		count = 50
	}
	for seed := range count {
		k := randomKernel(t, seed)
		unroll := []int{0, 0, 1, 2, 4}[seed%5]
		t.Run(fmt.Sprint(seed), func(t *testing.T) { check(t, k, kernels.Sizes(seed), seed, 0, Options{Unroll: unroll}) })
	}
}

// TestCompileIsDeterministic: equal nests give equal bytes.
func TestCompileIsDeterministic(t *testing.T) {
	f := asm.Features{AVX2: true, FMA: true, F16C: true, BMI2: true, AVX512: true}
	for seed := range uint64(20) {
		k, err := codegen.Legalize(randomKernel(t, seed), Target(f, false))
		require.NoError(t, err)
		a, err := Compile(k, k.Steps[0].Nest, f, Options{})
		require.NoError(t, err)
		b, err := Compile(k, k.Steps[0].Nest, f, Options{})
		require.NoError(t, err)
		require.Equal(t, a.Bytes, b.Bytes)
	}
}
