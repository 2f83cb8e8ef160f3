package codegen

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/ir/tensor"
)

func TestDumpSoftmax(t *testing.T) {
	assert.Equal(t, `kernel softmax
  in   x: f32[C*N]
  out  y: f32[C*N]
  row  row: f32[C]
nest outer(i: N) inner(j: C) vec(j)
  phase loop
    %0 = load.f32 x[i*C + j]
    acc %1 = max %0
  phase loop
    %2 = load.f32 x[i*C + j]
    %3 = sub.f32 %2, %1
    %4 = exp.f32 %3
    store.f32 row[j], %4
    acc %6 = add %4
  phase once
    %7 = const.f32 1
    %8 = div.f32 %7, %6
  phase loop
    %9 = load.f32 row[j]
    %10 = mul.f32 %9, %8
    store.f32 y[i*C + j], %10
`, softmaxKernel(t).String())
}

func TestDumpMasks(t *testing.T) {
	k, err := Legalize(padKernel(t), Target{})
	require.NoError(t, err)
	assert.Contains(t, padKernel(t).String(),
		"%0 = load.f32 x[i*W + j - W - 2] where 0 <= i - 1 < H (stride W) and 0 <= j - 2 < W (stride 1)\n")
	assert.Contains(t, k.String(), "(stride 1) if %")
	assert.Contains(t, gatherKernel(t, tensor.I32).String(), "%1 = load.f32 table[j + clamp(%0, V)*D]\n")
}
