package runtime

import (
	goruntime "runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"jitc/internal/testdevice"
	"jitc/ir/tensor"
)

// When no program and no tensor has a device any more, what the process kept for it
// is given back, and the queue is not held.
func TestADeviceThatNobodyHasIsGivenUp(t *testing.T) {
	d := testdevice.New("test:given-up", 51)
	ended := make(chan struct{})
	kept := func() *tensor.Tensor {
		r := twice(t, d, 5000)
		mustRun(t, r, tensor.New(tensor.U8, 5000))
		require.Positive(t, d.Counts().Bytes)
		return toDevice(t, d, tensor.New(tensor.U8, 777))
	}()
	held := func() bool {
		goruntime.GC()
		for _, a := range DeviceArenas() {
			if a.Device == "test:given-up" {
				return true
			}
		}
		return false
	}
	for range 3 {
		require.True(t, held(), "the tensor has it")
	}
	require.Same(t, kept.Device(), tensor.Device(deviceOf(d)), "one device for a queue")
	kept = nil
	eventually := func(what string, ok func() bool) {
		t.Helper()
		require.Eventually(t, ok, 5*time.Second, 5*time.Millisecond, what)
	}
	eventually("the tensor and the idle arenas are freed", func() bool { return !held() && d.Counts().Bytes == 0 })
	goruntime.AddCleanup(d, func(ended chan struct{}) { close(ended) }, ended)
	d = nil
	eventually("the queue is collected", func() bool {
		goruntime.GC()
		select {
		case <-ended:
			return true
		default:
			return false
		}
	})
}
