package workload_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"jitc"
	"jitc/executors/cuda"
	"jitc/executors/cuda/driver/fake"
	"jitc/internal/workload"
)

// Every workload gives on a GPU, and on the host, what the ops' definitions give, in
// kernels of that device alone, and in the number of them that it is about.
func TestKernels(t *testing.T) {
	host := engineOf(t, jitc.Options{Executors: []string{"native"}})
	ampere, _, name := onFake(t, fake.Config{Eager: true}, cuda.Options{})
	hopper, _, hopperName := onFake(t, fake.Config{Eager: true, Major: 9, SharedPerBlock: 227 << 10}, cuda.Options{Wgmma: true})
	rows := append(workload.Kernels(&workload.Reduced), workload.Reduced.Start())
	for _, w := range rows {
		t.Run(w.Name, func(t *testing.T) {
			args, err := w.Random()
			require.NoError(t, err)
			var want *jitc.Tensor
			require.NoError(t, w.Prepare(host).Call(reference(), args, &want))
			for _, way := range []struct {
				engine *jitc.Engine
				device string
			}{{host, "cpu"}, {ampere, name}, {hopper, hopperName}} {
				there := args
				if !w.OnHost {
					there = on(t, way.engine, way.device, args...)
				}
				f, out := w.Prepare(way.engine), (*jitc.Tensor)(nil)
				for range 3 { // recorded, replayed
					require.NoError(t, f.Call(ctx, there, &out))
					alike(t, want, out, w.Tolerance())
				}
				require.GreaterOrEqual(t, len(f.Regions()), max(1, w.Kernels))
				for _, r := range f.Regions() {
					require.NotEqual(t, "reference", r.Executor, "%s on %s: %v: %s", w.Name, way.device, r.Ops, r.Detail)
				}
				if w.OnHost {
					require.Equal(t, "cpu", out.Device())
				} else {
					require.Equal(t, way.device, out.Device())
				}
			}
		})
	}
}

// No kernel of the model whose start is measured serves two of its layers.
func TestStartIsManyKernels(t *testing.T) {
	w := workload.Reduced.Start()
	args, err := w.Random()
	require.NoError(t, err)
	gpu, d, name := onFake(t, fake.Config{Eager: true}, cuda.Options{})
	f, out := w.Prepare(gpu), (*jitc.Tensor)(nil)
	require.NoError(t, f.Call(ctx, on(t, gpu, name, args...), &out))
	keys := map[string]bool{}
	for _, r := range f.Regions() {
		keys[r.Key] = true
	}
	require.Len(t, keys, workload.Reduced.Layers)
	require.Equal(t, workload.Reduced.Layers, d.Count("LoadModule"))
}

// The yardsticks come first: what is compared with them is measured after them.
func TestYardsticksComeFirst(t *testing.T) {
	for _, s := range []*workload.Sizes{&workload.Full, &workload.Reduced} {
		rows := workload.Kernels(s)
		copies, products := s.Yardsticks()
		require.Equal(t, copies, rows[0].Name)
		require.Equal(t, products, rows[1].Name)
		seen := map[string]bool{}
		for _, w := range rows {
			require.False(t, seen[w.Name], w.Name)
			seen[w.Name] = true
			require.False(t, w.Bytes > 0 && w.Flops > 0, "%s is bound by one of the two", w.Name)
		}
	}
}
