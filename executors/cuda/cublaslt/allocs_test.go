//go:build linux && (amd64 || arm64) && !race

package cublaslt

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/executors/cuda/clib"
)

// A call of the library's own costs no memory. (Pools forget at random under the race
// detector.)
func TestMultiplyAllocatesNothing(t *testing.T) {
	lib, err := clib.File("libc.so.6")
	require.NoError(t, err)
	d := &binding{}
	d.fns[fnMatmul], d.fns[fnDescSet] = lib.Lookup("abs"), lib.Lookup("abs") // of the handle 0
	x, a, api := &Product{Problem: Problem{Bias: 16}, scale: factors(F32)}, &Algorithm{}, API(d)
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		if err := api.Multiply(0, x, a, Operands{A: 1}, 2); err != nil {
			panic(err)
		}
	}))
}
