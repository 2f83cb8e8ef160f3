//go:build gpu

package jitc_test

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"jitc"
	"jitc/executors"
	_ "jitc/executors/cublas"
	"jitc/executors/cuda"
	"jitc/executors/cuda/driver"
	"jitc/executors/diskcache"
	"jitc/internal/expect"
	"jitc/internal/workload"
	"jitc/ir/tensor"
)

// These tests and benchmarks need an NVIDIA GPU: `make gpu`. What can be tested
// without one is tested without one, on a driver that interprets the code.

// device is the engine that computes on the GPU, and on the host what the GPU's
// executor does not take.
func device(t testing.TB) *jitc.Engine {
	return engine(t, jitc.Options{Executors: []string{"cuda", "native"}})
}

// on moves tensors to the GPU.
func on(t testing.TB, e *jitc.Engine, xs ...*T) []*T {
	out := make([]*T, len(xs))
	for i, x := range xs {
		var err error
		out[i], err = e.ToDevice(x, "cuda:0")
		require.NoError(t, err)
	}
	return out
}

// Every program gives PyTorch's results on the GPU.
func TestProgramsOnTheGPU(t *testing.T) {
	for _, r := range programRuns(t) {
		t.Run(strings.TrimSuffix(filepath.Base(r.file), ".npz"), func(t *testing.T) {
			f, args := load(t, r.name, r.sizes)
			want, err := tensor.OpenFile(r.file)
			require.NoError(t, err)
			defer want.Close()
			fn := device(t).Function(f.Func)
			for range 3 { // recorded, replayed, replayed with other memory
				results, err := fn.Call(context.Background(), args...)
				require.NoError(t, err)
				out, err := expect.Compare(want, expect.Names(f.Func), results, programTolerance)
				require.NoError(t, err)
				for _, o := range out {
					require.Nil(t, o.Mismatch, o.Key)
				}
			}
			c, err := fn.Compiled(context.Background())
			require.NoError(t, err)
			for _, g := range c.Report.Regions {
				require.Contains(t, onDevice, g.Executor, "%s: %s", g.Name, g.Detail)
			}
		})
	}
}

// GPT-2 small decodes on the GPU what PyTorch computes.
func TestDecodingOnTheGPU(t *testing.T) { decodeText(t, device(t), "cuda:0", 128) }

// The kernels of the table give on the GPU, at sizes that the host can check, what the
// host gives.
func TestKernelsOnTheGPU(t *testing.T) {
	e, host := device(t), engine(t, jitc.Options{Executors: []string{"native"}})
	for _, sizes := range []*workload.Sizes{&workload.Reduced, &workload.Middle} {
		for _, w := range append(workload.Kernels(sizes), sizes.Start()) {
			t.Run(w.Name, func(t *testing.T) { checkOnTheGPU(t, host, e, &w) })
		}
	}
}

func checkOnTheGPU(t *testing.T, host, e *jitc.Engine, w *workload.Workload) {
	args, err := w.Random()
	require.NoError(t, err)
	var want, got *T
	require.NoError(t, w.Prepare(host).Call(t.Context(), args, &want))
	if !w.OnHost {
		args = on(t, e, args...)
	}
	f := w.Prepare(e)
	for range 3 { // recorded, replayed
		require.NoError(t, f.Call(t.Context(), args, &got))
		require.Nil(t, tensor.Compare(got.Host(), want.Host(), w.Tolerance()))
	}
	for _, r := range f.Regions() {
		require.Contains(t, onDevice, r.Executor, "%v: %s", r.Ops, r.Detail)
	}
}

// BenchmarkDevice runs each workload on tensors that lie on the GPU, those that
// calculate also with a vendor's products where they can be had. A copy and a large
// product come first: they are the yardsticks of the others.
func BenchmarkDevice(b *testing.B) {
	ways := map[string]*jitc.Engine{"jitc": device(b)}
	if e, err := jitc.NewEngine(jitc.Options{Executors: []string{"cublas", "cuda", "native"}}); err == nil {
		b.Cleanup(e.Close)
		ways["jitc-cublas"] = e
	}
	copies, products := workload.Full.Yardsticks()
	best := map[string]float64{} // rates of the yardsticks
	for _, w := range workload.Kernels(&workload.Full) {
		for _, way := range slices.Sorted(maps.Keys(ways)) {
			if way != "jitc" && w.Flops == 0 {
				continue
			}
			b.Run(w.Name+"/"+way, func(b *testing.B) {
				d := measure(b, ways[way], &w)
				reportTime(b, d)
				moved, computed := w.Bytes/d.median(), w.Flops/d.median()
				if best[w.Name] = max(best[w.Name], moved, computed); moved > 0 {
					b.ReportMetric(moved/1e9, "GB/s")
					b.ReportMetric(of(moved, best[copies]), "of-copy")
				}
				if computed > 0 {
					b.ReportMetric(computed/1e12, "TFLOP/s")
					b.ReportMetric(of(computed, best[products]), "of-matmul")
				}
				if w.Kernels > 0 {
					b.ReportMetric(d.median()*1e6/float64(w.Kernels), "us/kernel")
				}
			})
		}
	}
}

func reportTime(b *testing.B, d times) {
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(d.median()*1e3, "ms")
	b.ReportMetric(d.min()*1e3, "ms-min")
}

// of is a share of a yardstick, 0 where that was left out (-bench).
func of(rate, yardstick float64) float64 {
	if yardstick == 0 {
		return 0
	}
	return rate / yardstick
}

// measure is the time of one call, in batches of calls that end with a wait.
func measure(b *testing.B, e *jitc.Engine, w *workload.Workload) (d times) {
	ctx, f := context.Background(), w.Prepare(e)
	args, err := w.Random()
	require.NoError(b, err)
	if !w.OnHost {
		args = on(b, e, args...)
	}
	var out *T
	run := func(n int) {
		for range n {
			if err := f.Call(ctx, args, &out); err != nil {
				b.Fatal(err)
			}
		}
		if err := e.Sync("cuda:0"); err != nil {
			b.Fatal(err)
		}
	}
	run(2) // compiled, recorded
	for _, r := range f.Regions() {
		require.Contains(b, onDevice, r.Executor, "%v: %s", r.Ops, r.Detail)
	}
	start := time.Now()
	run(2)
	n := max(1, min(1000, int(0.02/(time.Since(start).Seconds()/2))))
	for b.Loop() {
		start := time.Now()
		run(n)
		d = append(d, time.Since(start)/time.Duration(n))
	}
	return d
}

// onDevice are executors whose regions do not leave it.
var onDevice = []string{"cuda", "cublas", "runtime"}

// cold is the executor of GPU 0 under a name of its own: its kernels are assembled
// anew, or come from the disk cache it is given.
type cold struct {
	*cuda.Executor
	name string
}

func (c cold) Name() string { return c.name }

// newCold registers one; a nil cache is none.
func newCold(b *testing.B, name string, cache *diskcache.Cache) {
	b.Helper()
	api, err := driver.Open()
	require.NoError(b, err)
	o := cuda.Options{Cache: cache}
	if a, err := driver.FindAssembler(); err == nil {
		o.Assembler = a
	}
	x := cold{cuda.New(api, 0, o), name}
	executors.Register(x, 90)
	b.Cleanup(func() { require.NoError(b, x.Close()) })
}

var colds atomic.Int64

// BenchmarkDeviceStart is the first call of a model of 30 different kernels, by an
// engine and an executor that have compiled nothing: without a disk cache, and with
// one that another engine has filled. Without an assembler there is none to fill.
func BenchmarkDeviceStart(b *testing.B) {
	w := workload.Full.Start()
	args, err := w.Random()
	require.NoError(b, err)
	cache, err := diskcache.Open(diskcache.Options{Dir: b.TempDir()})
	require.NoError(b, err)
	first := func(cache *diskcache.Cache) time.Duration {
		name := fmt.Sprintf("cold-%d", colds.Add(1))
		newCold(b, name, cache)
		e := engine(b, jitc.Options{Executors: []string{name, "native"}})
		there := on(b, e, args...)
		f, out := w.Prepare(e), (*T)(nil)
		start := time.Now()
		require.NoError(b, f.Call(context.Background(), there, &out))
		require.NoError(b, e.Sync("cuda:0"))
		return time.Since(start)
	}
	for name, cache := range map[string]*diskcache.Cache{"cold": nil, "warm": cache} {
		b.Run(w.Name+"-"+name+"/jitc", func(b *testing.B) {
			first(cache)
			var d times
			for b.Loop() {
				d = append(d, first(cache))
			}
			reportTime(b, d)
		})
	}
}

// BenchmarkDeviceGPT2 is the forward pass of the GPT-2 program, its weights on the
// GPU, and how long its first call takes with an engine that has compiled nothing.
func BenchmarkDeviceGPT2(b *testing.B) {
	f, host := load(b, "gpt2", nil)
	e := device(b)
	args := make([]*tensor.Tensor, len(host))
	for i, h := range host {
		args[i] = on(b, e, jitc.FromHost(h))[0].Storage()
	}
	fn := e.Function(f.Func)
	start := time.Now()
	results, err := fn.Call(context.Background(), args...)
	require.NoError(b, err)
	require.NoError(b, e.Sync("cuda:0"))
	first := time.Since(start)
	var d times
	for b.Loop() {
		d.run(func() {
			require.NoError(b, fn.CallInto(context.Background(), results, args))
			require.NoError(b, e.Sync("cuda:0"))
		})
	}
	b.ReportMetric(first.Seconds()*1e3, "ms-first")
	b.ReportMetric(d.median()*1e3, "ms")
	b.ReportMetric(d.min()*1e3, "ms-min")
}

// BenchmarkDeviceDecodeGPT2 decodes with GPT-2 small whose weights and state lie on
// the GPU: the last token of a context, again and again, its row of the cache written
// in place. GB/s is the rate at which what a step must read passes: the weights, and
// the cache.
func BenchmarkDeviceDecodeGPT2(b *testing.B) {
	e := device(b)
	for _, row := range workload.Decodings(&workload.Full) {
		b.Run(row.Name+"/jitc", func(b *testing.B) {
			w, err := workload.Full.Model.Random(row.DType)
			require.NoError(b, err)
			w, err = w.On(e, "cuda:0")
			require.NoError(b, err)
			step, err := row.Prepare(e, workload.Full.Model, w)
			require.NoError(b, err)
			run := func(n int) {
				for range n {
					require.NoError(b, step(context.Background()))
				}
				require.NoError(b, e.Sync("cuda:0"))
			}
			run(3) // compiled, recorded, replayed
			const steps = 20
			var d times
			for b.Loop() {
				start := time.Now()
				run(steps)
				d = append(d, time.Since(start)/steps)
			}
			reportTime(b, d)
			b.ReportMetric(float64(row.Batch)/d.median(), "tokens/s")
			b.ReportMetric(float64(w.Bytes()+row.Cache)/d.median()/1e9, "GB/s")
		})
	}
}
