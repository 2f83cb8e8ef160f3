package cuda_test

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"jitc"
	"jitc/executors"
	"jitc/executors/cuda"
	"jitc/executors/cuda/driver"
	"jitc/executors/cuda/driver/fake"
	"jitc/ir/tensor"
	"jitc/trace"
)

// Whole programs, through the compiler and the runtime, on a fake device.

// onDevice registers an executor for device n of a fake driver, under its own name,
// and returns an engine that prefers it.
func onDevice(t *testing.T, n int, c fake.Config) (*jitc.Engine, *fake.Driver) {
	t.Helper()
	c.Devices = n + 1
	d := fake.New(c)
	x := cuda.New(d, n, cuda.Options{})
	executors.Register(x, 10)
	return engineOf(t, x.Name(), "native"), d
}

func engineOf(t *testing.T, names ...string) *jitc.Engine {
	t.Helper()
	e, err := jitc.NewEngine(jitc.Options{Executors: names, Verify: true})
	require.NoError(t, err)
	t.Cleanup(e.Close)
	return e
}

var programTolerance = tensor.Tolerance{Abs: 2e-5, Rel: 2e-5}

// Programs give on the device what they give on the host, wherever arguments lie,
// and are replayed as graphs.
func TestPrograms(t *testing.T) {
	device, d := onDevice(t, 1, fake.Config{})
	host := engineOf(t, "native")
	for _, p := range []struct {
		name  string
		sizes []map[string]int64
	}{{"mlp", []map[string]int64{{"B": 3}, {"B": 8}}}, {"lstm", []map[string]int64{{"B": 1}, {"B": 4}}}} {
		if testing.Short() {
			p.sizes = p.sizes[:1]
		}
		f, err := trace.Read(filepath.Join("../../testdata/programs", p.name+".trace"))
		require.NoError(t, err)
		onHost, there := host.Function(f.Func), device.Function(f.Func)
		for _, sizes := range p.sizes {
			args, _, err := f.Arguments(trace.Sources{Sizes: sizes})
			require.NoError(t, err)
			want, err := onHost.Call(t.Context(), args...)
			require.NoError(t, err)
			for call := range 3 {
				got, err := there.Call(t.Context(), args...)
				require.NoError(t, err)
				for i := range got {
					require.Nil(t, tensor.Compare(got[i], want[i], programTolerance), "%s %v, call %d", p.name, sizes, call)
				}
			}
		}
		report, err := there.Compiled(context.Background())
		require.NoError(t, err)
		for _, g := range report.Report.Regions {
			require.Contains(t, []string{"cuda:1", "runtime"}, g.Executor, g.Name)
		}
	}
	require.Positive(t, d.Count("LaunchGraph"))
}

// addTwice is a function of two kernels that cannot be one: a product between sums.
func addTwice(e *jitc.Engine) *jitc.F1[*jitc.Tensor, *jitc.Tensor] {
	return jitc.Func1(e, func(x *jitc.Tensor) *jitc.Tensor { return x.Add(1).MatMul(x).Softmax(1).MatMul(x) })
}

func square(t *testing.T, n int) *jitc.Tensor {
	t.Helper()
	x, err := tensor.Generate(tensor.Rule{Kind: "normal", Std: 1, Seed: 1}, tensor.F32, []int{n, n})
	require.NoError(t, err)
	return jitc.FromHost(x)
}

// A device that is lost fails its calls, with the first error; the host goes on.
func TestProgramOnALostDevice(t *testing.T) {
	device, d := onDevice(t, 2, fake.Config{})
	x := square(t, 9)
	f := addTwice(device)
	y, err := f.Call(t.Context(), x)
	require.NoError(t, err)
	require.NoError(t, y.Err())
	d.FailNext("LaunchGraph", 1, driver.IllegalAddress)
	for range 3 {
		_, err = f.Call(t.Context(), x)
		require.ErrorContains(t, err, "device cuda:2 lost: cuGraphLaunch: an illegal memory access was encountered")
	}
	_, err = addTwice(engineOf(t, "native")).Call(t.Context(), x)
	require.NoError(t, err)
}

// Too little memory is an error of the call, and the next that needs less works.
func TestProgramWithoutMemory(t *testing.T) {
	device, _ := onDevice(t, 3, fake.Config{Memory: 2 << 20})
	f := addTwice(device)
	for _, n := range []int{16, 600, 17} {
		_, err := f.Call(t.Context(), square(t, n))
		if n < 100 {
			require.NoError(t, err, fmt.Sprint(n))
			continue
		}
		require.ErrorContains(t, err, "out of memory: asked for ")
		var short *cuda.OutOfMemoryError
		require.ErrorAs(t, err, &short)
	}
}

// What lies on the device stays there.
func TestProgramOnDeviceMemory(t *testing.T) {
	device, d := onDevice(t, 4, fake.Config{})
	x, err := device.ToDevice(square(t, 9), "cuda:4")
	require.NoError(t, err)
	f := addTwice(device)
	want, err := addTwice(engineOf(t, "native")).Call(t.Context(), square(t, 9))
	require.NoError(t, err)
	for range 3 {
		y, err := f.Call(t.Context(), x)
		require.NoError(t, err)
		require.Equal(t, "cuda:4", y.Device())
		back, err := device.ToDevice(y, "cpu")
		require.NoError(t, err)
		require.Nil(t, tensor.Compare(back.Storage(), want.Storage(), programTolerance))
	}
	uploads := d.Count("CopyToDevice")
	_, err = f.Call(t.Context(), x)
	require.NoError(t, err)
	require.Equal(t, uploads, d.Count("CopyToDevice"), "nothing is copied for a call on device memory")
}
