package ptx

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"jitc/codegen"
	"jitc/codegen/internal/elements"
	"jitc/codegen/internal/kernels"
	"jitc/internal/irgen"
	"jitc/ir"
	"jitc/ir/tensor"
)

// randomKernel is a random nest.
func randomKernel(t testing.TB, seed uint64) *codegen.Kernel {
	t.Helper()
	return kernels.Random(t, seed, kernels.Options{})
}

// TestRandomNests compares random nests with the interpreter of loop nests.
func TestRandomNests(t *testing.T) {
	count := uint64(300)
	if testing.Short() {
		count = 40
	}
	for seed := range count {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { check(t, randomKernel(t, seed), kernels.Sizes(seed), seed, 0) })
	}
}

// TestRandomRowForms compares random nests whose rows may not stay in registers,
// then not in shared memory either.
func TestRandomRowForms(t *testing.T) {
	count := uint64(100)
	if testing.Short() {
		count = 20
	}
	kept := 0
	for seed := range count {
		d := forDevice(t, compiled(t, randomKernel(t, seed), small, Options{}))
		if g, ok := d.m.steps[0].(*groups); !ok || g.variant(inShared, 1) == nil {
			continue
		}
		kept++
		for _, f := range []form{inRegisters, inShared} {
			without(d.m, f)
			checkOn(t, d, kernels.Sizes(seed), seed, 0, int(seed%2*8))
		}
	}
	require.Greater(t, kept, int(count/20))
}

// TestWideIndex: kernels that compute positions in 64 bits give the same.
func TestWideIndex(t *testing.T) {
	for seed := range uint64(60) {
		legal, err := codegen.Legalize(randomKernel(t, seed), Target(false, true))
		require.NoError(t, err)
		m, err := Compile(legal, small, Options{})
		require.NoError(t, err)
		checkOn(t, forDevice(t, m), kernels.Sizes(seed), seed, 0, 0)
	}
}

// TestUnalignedBuffers: where buffers start at a multiple of their elements' size
// only, no access is wider than that.
func TestUnalignedBuffers(t *testing.T) {
	for seed := range uint64(40) {
		checkOn(t, forDevice(t, compiled(t, randomKernel(t, seed), small, Options{})), kernels.Sizes(seed), seed, 0, 8)
	}
}

// TestRandomRegions compares the kernels of random regions.
func TestRandomRegions(t *testing.T) {
	count := uint64(150)
	if testing.Short() {
		count = 20
	}
	for seed := range count {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 5))
			o := irgen.Options{Values: 6, Static: seed%3 == 0, Keep: func(op ir.Op) bool { return op.Row().Decompose == nil }}
			if seed%2 == 0 {
				o.DTypes = []tensor.DType{tensor.F32}
			}
			f := irgen.Func(rng, o)
			k, err := codegen.Lower(f, codegen.Options{})
			if err != nil {
				return // control flow and the like are not loops
			}
			legal, err := codegen.Legalize(k, Target(false, false))
			require.NoError(t, err)
			m, err := Compile(legal, small, Options{})
			require.NoError(t, err)
			checkOn(t, forDevice(t, m), irgen.Sizes(rng, f), elements.Moderate+seed, 1e-4, 0)
		})
	}
}

// TestCompileIsDeterministic: equal kernels give equal text.
func TestCompileIsDeterministic(t *testing.T) {
	for seed := range uint64(20) {
		k := randomKernel(t, seed)
		require.Equal(t, compiled(t, k, small, Options{}).Text(), compiled(t, k, small, Options{}).Text())
	}
}
