//go:build gpu

package cuda_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"jitc/executors/conformance"
	"jitc/executors/cuda"
	"jitc/executors/cuda/driver"
)

// The whole suite on the GPU of this machine: `make gpu`.
func TestConformanceOnTheGPU(t *testing.T) {
	e := cuda.At(0)
	require.NoError(t, e.Available())
	t.Log(e.Features())
	conformance.Run(t, e, conformance.Options{})
	q, err := e.Queue()
	require.NoError(t, err)
	require.NoError(t, q.Sync())
}

// And with kernels that the driver assembles, launched one by one.
func TestConformanceAssembledOnTheGPU(t *testing.T) {
	api, err := driver.Open()
	require.NoError(t, err)
	e := cuda.New(api, 0, cuda.Options{Blocking: true, NoReuse: true})
	conformance.Run(t, e, conformance.Options{Thin: true})
	require.NoError(t, e.Close())
}
