package cuda_test

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc"
	"jitc/executors/cuda"
	"jitc/executors/cuda/driver"
	"jitc/executors/cuda/driver/fake"
	"jitc/ir/tensor"
	rt "jitc/runtime"
)

// What outlives what: tensors, engines, devices, recordings.

// Tensors outlive the engine that computed them, and may be given to engines that
// do not have their device.
func TestTensorsOutliveEngines(t *testing.T) {
	w := newWay(t, fake.Config{Seed: 4}, cuda.Options{}, jitc.Options{}, all)
	x := w.far(t, ramp(tensor.F32, 5, 3))
	double := func(x *T) *T { return x.Mul(2).Exp() }
	f := jitc.Func1(w.engine, double)
	y, err := f.Call(t.Context(), x)
	require.NoError(t, err)
	w.engine.Close()
	want := double(ramp(tensor.F32, 5, 3))
	requireAlike(t, want, y)
	for range 3 {
		z, err := jitc.Func1(engineOf(t, "native"), double).Call(t.Context(), x)
		require.NoError(t, err)
		require.Equal(t, "cpu", z.Device())
		requireAlike(t, want, z)
	}
	requireAlike(t, ramp(tensor.F32, 5, 3).Add(1), x.Add(1))
}

// Tensors of a device that was closed, or lost, have an error, can be lost
// themselves, and fail calls that need them.
func TestTensorsOutliveDevices(t *testing.T) {
	for name, end := range map[string]func(w way, d *fake.Driver) error{
		"closed": func(w way, d *fake.Driver) error { return w.device.Close() },
		"lost": func(w way, d *fake.Driver) error {
			d.FailNext("SyncStream", 1, driver.IllegalAddress)
			if err := w.queue.Sync(); err == nil {
				return errors.New("the device was not lost")
			}
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := fake.New(fake.Config{Seed: 4})
			w := wayOn(t, d, cuda.Options{}, jitc.Options{}, all)
			f := jitc.Func1(w.engine, func(x *T) *T { return x.Mul(2).Exp() })
			x := w.far(t, ramp(tensor.F32, 5, 3))
			y, err := f.Call(t.Context(), x)
			require.NoError(t, err)
			require.NoError(t, end(w, d))
			_, err = jitc.Data[float32](y)
			require.ErrorContains(t, err, name)
			require.ErrorContains(t, y.Add(1).Err(), name)
			for _, z := range []*T{x, y, ramp(tensor.F32, 5, 3)} {
				_, err = f.Call(t.Context(), z)
				require.ErrorContains(t, err, name)
			}
			_, err = w.engine.ToDevice(ramp(tensor.F32, 2), string(w.queue.Device()))
			require.ErrorContains(t, err, name)
			_, err = jitc.Func1(engineOf(t, "native"), func(x *T) *T { return x.Neg() }).Call(t.Context(), y)
			require.ErrorContains(t, err, name)
			x, y = nil, nil
			requireCollected(t, w)
		})
	}
}

// requireCollected waits until no tensors are on the device.
func requireCollected(t *testing.T, w way) {
	t.Helper()
	require.Eventually(t, func() bool {
		runtime.GC()
		for _, a := range w.engine.Stats().Devices {
			if a.Device == string(w.queue.Device()) && a.Tensors > 0 {
				return false
			}
		}
		return true
	}, 5e9, 1e7)
}

// A fault among the calls of many goroutines fails each of them from then on, and
// nothing else: another device of the driver, and the host, go on.
func TestAFaultAmongGoroutines(t *testing.T) {
	d := fake.New(fake.Config{Devices: 2, Seed: 6})
	w := wayOn(t, d, cuda.Options{}, jitc.Options{Threads: 1}, all)
	f := jitc.Func1(w.engine, func(x *T) *T { return x.MatMul(x.Transpose(0, 1)).Softmax(1) })
	d.FailNext("LaunchGraph", 12, driver.LaunchFailed)
	var failed, fine atomic.Int64
	var calls sync.WaitGroup
	for g := range 4 {
		calls.Go(func() {
			x := ramp(tensor.F32, 3+g, 3)
			want := x.MatMul(x.Transpose(0, 1)).Softmax(1)
			for range 8 {
				y, err := f.Call(t.Context(), x)
				if err == nil {
					err = y.Err()
				}
				var lost *cuda.LostError
				switch {
				case err == nil:
					fine.Add(1)
					assert.Nil(t, tensor.Compare(y.Host(), want.Host(), apiTolerance))
				case assert.ErrorAs(t, err, &lost):
					failed.Add(1)
				}
			}
		})
	}
	calls.Wait()
	require.Positive(t, fine.Load())
	require.Positive(t, failed.Load())
	_, err := f.Call(t.Context(), ramp(tensor.F32, 3, 3))
	require.ErrorContains(t, err, "cuda:0 lost")

	other := cuda.New(d, 1, cuda.Options{})
	q, err := other.Queue()
	require.NoError(t, err)
	far, err := rt.ToQueue(ramp(tensor.F32, 4).Host(), q)
	require.NoError(t, err)
	requireAlike(t, ramp(tensor.F32, 4), jitc.FromHost(far))
	require.NoError(t, other.Close())
}

// Recordings of sizes that were given up take their graphs with them, and modules
// go with the functions that had them.
func TestRecordingsAreFreed(t *testing.T) {
	d := fake.New(fake.Config{})
	w := wayOn(t, d, cuda.Options{}, jitc.Options{Limits: rt.Limits{Recordings: 2}, Kernels: 2}, all)
	f := jitc.Func1(w.engine, func(x *T) *T { return x.MatMul(x.Transpose(0, 1)).Softmax(1) },
		jitc.Marks(jitc.Dynamic("0", 0, jitc.Dim("B")).Range(1, 64)))
	for n := range 30 {
		x := ramp(tensor.F32, n+1, 3)
		got, err := f.Call(t.Context(), x)
		require.NoError(t, err)
		requireAlike(t, x.MatMul(x.Transpose(0, 1)).Softmax(1), got)
	}
	require.Eventually(t, func() bool {
		runtime.GC()
		return w.queue.Sync() == nil && d.Live().GraphExecs <= 4 && d.Live().Graphs <= 4
	}, 5e9, 1e7, "%+v", d.Live())
	for n := range 12 {
		_, err := jitc.Func1(w.engine, func(x *T) *T { return x.Add(n).Exp() }).Call(t.Context(), ramp(tensor.F32, 3))
		require.NoError(t, err)
	}
	f = nil
	require.Eventually(t, func() bool {
		runtime.GC()
		return w.queue.Sync() == nil && d.Live().Modules <= 4
	}, 5e9, 1e7, "%+v", d.Live())
}

// In memory that is never used again every run has other addresses: batches give up
// their graphs, and say so.
func TestMovingResults(t *testing.T) {
	d := fake.New(fake.Config{})
	w := wayOn(t, d, cuda.Options{NoReuse: true}, jitc.Options{}, all)
	f := jitc.Func1(w.engine, func(x *T) []*T { return []*T{x.Softmax(1), x.MatMul(x).Exp(), x.Sum(0)} })
	for n := range 14 {
		x := ramp(tensor.F32, 4, 4).Add(n)
		got, err := f.Call(t.Context(), w.far(t, x))
		require.NoError(t, err)
		for i, want := range []*T{x.Softmax(1), x.MatMul(x).Exp(), x.Sum(0)} {
			requireAlike(t, want, got[i], fmt.Sprint(n))
		}
	}
}
