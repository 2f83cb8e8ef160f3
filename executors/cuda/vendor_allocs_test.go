//go:build !race

package cuda_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"jitc/executors/cuda"
	"jitc/executors/cuda/driver"
	"jitc/executors/cuda/driver/fake"
)

// A run of a library's work allocates nothing of the executor's own. (Pools forget at random under the
// race detector.)
func TestWorkAllocatesNothing(t *testing.T) {
	e, d := newExecutor(t, fake.Config{Eager: true}, cuda.Options{})
	s := newShared(t, e, d)
	l, err := e.NewLaunch(cuda.Work{Label: "nothing", Buffers: []cuda.Buffer{{Name: "x", Bytes: 32, Align: 4}},
		Queue: func(driver.Stream, cuda.Addresses) error { return nil }})
	require.NoError(t, err)
	bufs := [][]byte{s.x}
	require.Zero(t, testing.AllocsPerRun(100, func() {
		if err := l.Run(bufs, nil, nil); err != nil {
			panic(err)
		}
	}))
}
