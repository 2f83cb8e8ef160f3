//go:build gpu

package cuda_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"jitc/executors/cuda"
	"jitc/executors/cuda/driver"
)

// Products of warp groups are those of the tensor-core template, where the device has
// them: each configuration, each layout, rows that are no multiple of a tile.
func TestHopperProductsOnTheGPU(t *testing.T) {
	api, err := driver.Open()
	require.NoError(t, err)
	plain, hopper := cuda.New(api, 0, cuda.Options{}), cuda.New(api, 0, cuda.Options{Wgmma: true})
	t.Cleanup(func() {
		require.NoError(t, plain.Close())
		require.NoError(t, hopper.Close())
	})
	require.NoError(t, hopper.Available())
	if !strings.Contains(hopper.Features(), "compute capability 9.0") {
		t.Log("left out, as the device is another:", hopper.Features())
		return
	}
	for _, c := range []productCase{
		{"bf16", []int{4096, 1024}, []int{4096, 1024}, 1, 1, "neg"},
		{"f16", []int{8192, 1024}, []int{1024, 4096}, 1, 0, "erf"}, // in turn
		{"bf16", []int{768, 2048}, []int{768, 768}, 0, 1, "tanh"},
		{"f16", []int{768, 2048}, []int{768, 768}, 0, 0, "tanh"},
		{"bf16", []int{1024, 1024}, []int{1024, 1024}, 0, 0, "tanh"},
		{"bf16", []int{4104, 1032}, []int{1032, 2056}, 1, 0, "erf"},
		{"bf16", []int{4104, 1032}, []int{2056, 1032}, 1, 1, "neg"},
		{"f16", []int{256, 16384}, []int{4096, 16384}, 1, 1, "neg"}, // split
	} {
		t.Run(c.text(), func(t *testing.T) { c.compare(t, plain, hopper) })
	}
}
