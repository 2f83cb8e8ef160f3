//go:build gpu

package jitc_test

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"jitc"
	_ "jitc/executors/cuda"
	"jitc/internal/expect"
	"jitc/ir/tensor"
	"jitc/trace"
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
				require.Contains(t, []string{"cuda", "runtime"}, g.Executor, "%s: %s", g.Name, g.Detail)
			}
		})
	}
}

// workload is a row of the device table. What it moves and computes is the least
// that any way must.
type workload struct {
	name  string
	args  []*T
	run   func(e *jitc.Engine) func(ctx context.Context, args []*T, out **T) error
	bytes float64
	flops float64
}

// randoms are tensors of a type with normal elements.
func randoms(t testing.TB, dt tensor.DType, shapes ...[]int) []*T {
	out := make([]*T, len(shapes))
	for i, shape := range shapes {
		x, err := tensor.Generate(tensor.Rule{Kind: "normal", Std: 1, Seed: uint64(i + 1)}, dt, shape)
		require.NoError(t, err)
		out[i] = jitc.FromHost(x)
	}
	return out
}

func unary(f func(x *T) *T) func(*jitc.Engine) func(context.Context, []*T, **T) error {
	return func(e *jitc.Engine) func(context.Context, []*T, **T) error {
		fn := jitc.Func1(e, f)
		return func(ctx context.Context, a []*T, out **T) error { return fn.CallInto(ctx, out, a[0]) }
	}
}

func binary(f func(x, y *T) *T) func(*jitc.Engine) func(context.Context, []*T, **T) error {
	return func(e *jitc.Engine) func(context.Context, []*T, **T) error {
		fn := jitc.Func2(e, f)
		return func(ctx context.Context, a []*T, out **T) error { return fn.CallInto(ctx, out, a[0], a[1]) }
	}
}

func ternary(f func(x, y, z *T) *T) func(*jitc.Engine) func(context.Context, []*T, **T) error {
	return func(e *jitc.Engine) func(context.Context, []*T, **T) error {
		fn := jitc.Func3(e, f)
		return func(ctx context.Context, a []*T, out **T) error { return fn.CallInto(ctx, out, a[0], a[1], a[2]) }
	}
}

// workloads are those of testdata/peers/peers.py, by the same names.
func workloads(t testing.TB) []workload {
	const rows, cols, wide, side = 8192, 4096, 16 << 20, 4096
	const batch, heads, length, head = 4, 16, 2048, 64
	matrix, vector, big := []int{rows, cols}, []int{cols}, []int{wide}
	square, split := []int{side, side}, []int{batch, heads, length, head}
	moved, product := 2.0*4*rows*cols, 2.0*side*side*side
	return []workload{
		{name: "copy-256MiB", args: randoms(t, tensor.F32, []int{64 << 20}), bytes: 2 * 4 * (64 << 20),
			run: unary(func(x *T) *T { return x.Neg() })},
		{name: "pointwise-64MiB", args: randoms(t, tensor.F32, big, big), bytes: 3 * 4 * wide,
			run: binary(func(x, r *T) *T { return x.Mul(1.1).Add(0.1).GeluTanh().Add(r) })},
		{name: "softmax-8192x4096", args: randoms(t, tensor.F32, matrix), bytes: moved,
			run: unary(func(x *T) *T { return x.Softmax(1) })},
		{name: "layernorm-8192x4096", args: randoms(t, tensor.F32, matrix, vector, vector), bytes: moved,
			run: ternary(func(x, w, b *T) *T { return x.LayerNorm(w, b, 1e-5) })},
		{name: "transpose-8192x4096", args: randoms(t, tensor.F32, matrix), bytes: moved,
			run: unary(func(x *T) *T { return x.Transpose(1, 0) })},
		{name: "gemm-bf16-4096", args: randoms(t, tensor.BF16, square, square), flops: product,
			run: binary(func(a, b *T) *T { return a.MatMul(b) })},
		{name: "gemm-f32-4096", args: randoms(t, tensor.F32, square, square), flops: product,
			run: binary(func(a, b *T) *T { return a.MatMul(b) })},
		{name: "attention-bf16", args: randoms(t, tensor.BF16, split, split, split), flops: 2 * batch * heads * length * length * head,
			run: ternary(func(q, k, v *T) *T { return jitc.Attention(q, k, v, trace.AttentionOptions{Causal: true}) })},
		{name: "add-2x2", args: randoms(t, tensor.F32, []int{2, 2}, []int{2, 2}),
			run: binary(func(a, b *T) *T { return a.Add(b) })},
	}
}

// BenchmarkDevice runs each workload on tensors that lie on the GPU. The first, a
// copy, is the yardstick of the others that move memory.
func BenchmarkDevice(b *testing.B) {
	e := device(b)
	copyRate := 0.0
	for _, w := range workloads(b) {
		b.Run(w.name+"/jitc", func(b *testing.B) {
			d := w.measure(b, e)
			b.ReportMetric(d.median()*1e3, "ms")
			b.ReportMetric(d.min()*1e3, "ms-min")
			if rate := w.bytes / d.median(); rate > 0 {
				if copyRate == 0 {
					copyRate = rate
				}
				b.ReportMetric(rate/1e9, "GB/s")
				b.ReportMetric(rate/copyRate, "of-copy")
			}
			if w.flops > 0 {
				b.ReportMetric(w.flops/d.median()/1e12, "TFLOP/s")
			}
		})
	}
}

// measure is the time of one call, in batches of calls that end with a wait.
func (w *workload) measure(b *testing.B, e *jitc.Engine) (d times) {
	ctx, args, call := context.Background(), on(b, e, w.args...), w.run(e)
	var out *T
	run := func(n int) {
		for range n {
			if err := call(ctx, args, &out); err != nil {
				b.Fatal(err)
			}
		}
		if err := e.Sync("cuda:0"); err != nil {
			b.Fatal(err)
		}
	}
	run(2) // compiled, recorded
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
