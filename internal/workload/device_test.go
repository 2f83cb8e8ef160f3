package workload_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"jitc"
	"jitc/executors"
	"jitc/executors/cuda"
	"jitc/executors/cuda/driver/fake"
)

var devices atomic.Int64 // device 0 is that of the machine

// named is an executor under a name of its own, so that a selection finds it.
type named struct {
	*cuda.Executor
	name string
}

func (n named) Name() string { return n.name }

// onFake is an engine with a GPU of a fake driver alone, and that device's name.
func onFake(t testing.TB, c fake.Config, o cuda.Options) (*jitc.Engine, *fake.Driver, string) {
	t.Helper()
	n := int(devices.Add(1))
	c.Devices = n + 1
	d := fake.New(c)
	x := named{cuda.New(d, n, o), fmt.Sprintf("fake-%d", n)}
	executors.Register(x, 90)
	e := engineOf(t, jitc.Options{Executors: []string{x.name}})
	t.Cleanup(func() { require.NoError(t, x.Close()) }) // before the engine's
	return e, d, string(x.Device())
}

// on moves tensors to a device.
func on(t testing.TB, e *jitc.Engine, device string, xs ...*jitc.Tensor) []*jitc.Tensor {
	t.Helper()
	out := make([]*jitc.Tensor, len(xs))
	for i, x := range xs {
		var err error
		out[i], err = e.ToDevice(x, device)
		require.NoError(t, err)
	}
	return out
}
