package x64

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"jitc/codegen"
	"jitc/codegen/x64/asm"
	"jitc/ir/dim"
	"jitc/ir/tensor"
)

var avx2 = asm.Features{AVX2: true, FMA: true, F16C: true, BMI2: true}

func scaleKernel(t *testing.T, dt tensor.DType) *codegen.Kernel {
	b := codegen.NewKernel("scale")
	n := dim.Sym("N")
	x := b.Buffer(codegen.Input, "x", dt, n)
	y := b.Buffer(codegen.Output, "y", dt, n)
	s := b.Nest([]codegen.Axis{{Name: "i", Extent: n}}, 1)
	s.Once()
	v := s.Load(codegen.At(x, 1))
	s.Store(codegen.At(y, 1), s.Op(codegen.Add, v, v))
	k, err := b.Build()
	require.NoError(t, err)
	return k
}

func TestUnsupported(t *testing.T) {
	k := scaleKernel(t, tensor.F32)
	var u *Unsupported
	_, err := Compile(k, k.Steps[0].Nest, asm.Features{AVX2: true}, Options{})
	require.ErrorAs(t, err, &u)
	k.Steps[0].Nest.Insts[1].Op = codegen.Exp // elementary functions are legalised first
	_, err = Compile(k, k.Steps[0].Nest, avx2, Options{})
	require.ErrorAs(t, err, &u)
	require.Contains(t, err.Error(), "exp of f32")
}

// TestTarget holds what the legaliser relies on.
func TestTarget(t *testing.T) {
	z := avx2
	z.AVX512 = true
	for _, f := range []asm.Features{avx2, z} {
		spells := Target(f, false).Spells
		for _, dt := range []tensor.DType{tensor.F32, tensor.F64} {
			for _, c := range []codegen.Code{codegen.Add, codegen.FMA, codegen.Max, codegen.RoundEven, codegen.Scale2, codegen.Select, codegen.Cast} {
				require.True(t, spells(c, dt), "%s %s", c, dt)
			}
			require.False(t, spells(codegen.Exp, dt))
		}
		require.True(t, spells(codegen.RcpE, tensor.F32))
		require.False(t, spells(codegen.RcpE, tensor.F64))
		require.False(t, spells(codegen.Shl, tensor.F32))
		require.False(t, spells(codegen.Add, tensor.BF16), "narrow types are not computed in")
	}
}

// TestConcurrentCompile: compilations share recycled memory.
func TestConcurrentCompile(t *testing.T) {
	types := []tensor.DType{tensor.F32, tensor.F64, tensor.BF16, tensor.I8}
	var want [4][]byte
	kernels := make([]*codegen.Kernel, len(types))
	for i, dt := range types {
		kernels[i] = scaleKernel(t, dt)
		c, err := Compile(kernels[i], kernels[i].Steps[0].Nest, avx2, Options{})
		require.NoError(t, err)
		want[i] = c.Bytes
	}
	var wg sync.WaitGroup
	failed := make(chan int, 100)
	for range 8 {
		wg.Go(func() {
			for j := range 40 {
				i := j % len(types)
				c, err := Compile(kernels[i], kernels[i].Steps[0].Nest, avx2, Options{})
				if err != nil || string(c.Bytes) != string(want[i]) {
					failed <- i
					return
				}
			}
		})
	}
	wg.Wait()
	require.Empty(t, failed)
}

func TestListing(t *testing.T) {
	k := scaleKernel(t, tensor.F32)
	c, err := Compile(k, k.Steps[0].Nest, avx2, Options{Listing: true})
	require.NoError(t, err)
	require.Contains(t, c.Listing, "vaddps")
	require.Zero(t, c.Stats.Spills)
	require.Equal(t, 8, c.Stats.Lanes)
}
