//go:build !race

package cublas_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"jitc/executors"
	"jitc/executors/cublas"
	"jitc/executors/cuda"
	ltfake "jitc/executors/cuda/cublaslt/fake"
	"jitc/executors/cuda/driver/fake"
	"jitc/ir/tensor"
)

// A run allocates nothing of the executor's own; the library that is not there does.
// (Pools forget at random under the race detector.)
func TestRunAllocatesNothing(t *testing.T) {
	m := newMachine(t, fake.Config{Eager: true}, ltfake.Config{}, cuda.Options{})
	quiet := cublas.New(m.device, quietLibrary{m.library}, cublas.Options{Any: true})
	f := parse(t, dot(tensor.F32, tensor.F32, "4", "8", "4"))
	k, err := quiet.Compile(t.Context(), f, executors.Options{})
	require.NoError(t, err)
	l, err := k.Bind(nil)
	require.NoError(t, err)
	x := prepare(t, m.queue(t), f, l, nil, 1)
	require.Zero(t, testing.AllocsPerRun(100, func() {
		if err := l.Run(x.bufs, x.scratch, nil); err != nil {
			panic(err)
		}
	}))
}
