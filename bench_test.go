package jitc_test

import (
	"context"
	"os"
	"runtime"
	"slices"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"

	"jitc"
	"jitc/codegen/x64/asm"
	"jitc/codegen/x64/gemm"
	"jitc/executors"
	"jitc/executors/native"
	"jitc/executors/native/exec"
	"jitc/fusion"
	"jitc/ir"
	"jitc/ir/tensor"
	"jitc/trace"
)

// The figures of docs/BENCHMARKS.md. A shared machine drifts, so each benchmark
// that quotes a ratio measures its yardstick in the same loop, alternating, and
// reports medians beside minima.

// times collects durations of alternating runs.
type times []time.Duration

func (t *times) run(f func()) {
	start := time.Now()
	f()
	*t = append(*t, time.Since(start))
}

func (t times) median() float64 {
	s := slices.Clone(t)
	slices.Sort(s)
	return s[len(s)/2].Seconds()
}

func (t times) min() float64 { return slices.Min(t).Seconds() }

func parse(b testing.TB, text string) *ir.Func {
	f, err := trace.Parse("bench.trace", text)
	require.NoError(b, err)
	return f.Func
}

// prepared is a program ready to run again and again.
type prepared struct {
	fn            *jitc.Function
	args, results []*tensor.Tensor
}

func prepare(b testing.TB, o jitc.Options, f *ir.Func, args ...*tensor.Tensor) *prepared {
	p := &prepared{fn: engine(b, o).Function(f), args: args}
	entry, err := p.fn.Lookup(context.Background(), args...)
	require.NoError(b, err)
	p.results = entry.Recording.Results()
	p.call(b)
	return p
}

func (p *prepared) call(b testing.TB) {
	if err := p.fn.CallInto(context.Background(), p.results, p.args); err != nil {
		b.Fatal(err)
	}
}

func normal(b testing.TB, seed uint64, shape ...int) *tensor.Tensor {
	t, err := tensor.Generate(tensor.Rule{Kind: "normal", Std: 1, Seed: seed}, tensor.F32, shape)
	require.NoError(b, err)
	return t
}

const geluChain = `func @gelu_chain(%x: f32[N], %r: f32[N]) -> f32[N] {
  %0: f32[N] = mul(%x, 1.1)
  %1: f32[N] = add(%0, 0.1)
  %2: f32[N] = gelu(%1) {approximate="tanh"}
  %3: f32[N] = add(%2, %r)
  return %3
}`

const triad = `func @triad(%x: f32[N], %r: f32[N]) -> f32[N] {
  %0: f32[N] = mul(%x, 1.1)
  %1: f32[N] = add(%0, %r)
  return %1
}`

// BenchmarkCompileRegion compiles one fused pointwise region, canonical form to
// installed machine code, with no cache.
func BenchmarkCompileRegion(b *testing.B) {
	e := engine(b, jitc.Options{})
	c, err := e.Compile(context.Background(), parse(b, geluChain), nil)
	require.NoError(b, err)
	require.Len(b, c.Program.Steps, 1)
	body := c.Program.Steps[0].Region.Bodies[0]
	x := native.New(asm.Detect())
	var d times
	for b.Loop() {
		d.run(func() {
			if _, err := x.Compile(context.Background(), fusion.Canonical(body).F, executors.Options{}); err != nil {
				b.Fatal(err)
			}
		})
	}
	b.ReportMetric(d.median()*1e3, "ms-median")
	b.ReportMetric(d.min()*1e3, "ms-min")
}

// BenchmarkCompileGPT2 parses, compiles, links and binds the GPT-2 program with
// an engine that has compiled nothing before.
func BenchmarkCompileGPT2(b *testing.B) {
	src, err := os.ReadFile("testdata/programs/gpt2.trace")
	require.NoError(b, err)
	var d times
	regions, kernels := 0, 0
	for b.Loop() {
		e, err := jitc.NewEngine(jitc.Options{})
		require.NoError(b, err)
		d.run(func() {
			f, err := trace.Parse("gpt2.trace", string(src))
			require.NoError(b, err)
			c, err := e.Compile(context.Background(), f.Func, nil)
			require.NoError(b, err)
			_, err = c.Program.Record(nil, e.Workers().Workers())
			require.NoError(b, err)
			regions, kernels = len(c.Report.Regions), c.Report.Kernels()
		})
		e.Close()
	}
	b.ReportMetric(d[0].Seconds()*1e3, "ms-first")
	b.ReportMetric(d.median()*1e3, "ms-median")
	b.ReportMetric(float64(regions), "regions")
	b.ReportMetric(float64(kernels), "kernels")
}

// BenchmarkPointwise runs gelu_tanh(1.1*x+0.1)+r over arrays of 64 MiB, beside a
// triad and a copy of as many bytes.
func BenchmarkPointwise(b *testing.B) {
	const n = 16 << 20
	x, r := normal(b, 1, n), normal(b, 2, n)
	gelu := prepare(b, jitc.Options{}, parse(b, geluChain), x, r)
	tri := prepare(b, jitc.Options{}, parse(b, triad), x, r)
	dst := make([]byte, n*4)
	src, _ := x.Bytes()
	var g, t, c times
	for b.Loop() {
		g.run(func() { gelu.call(b) })
		t.run(func() { tri.call(b) })
		c.run(func() { copy(dst, src) })
	}
	moved := float64(3 * n * 4)
	limit := max(moved/t.median(), moved*2/3/c.median())
	b.ReportMetric(moved/g.median()/1e9, "GB/s")
	b.ReportMetric(moved/g.min()/1e9, "GB/s-best")
	b.ReportMetric(moved/t.median()/1e9, "triad-GB/s")
	b.ReportMetric(moved/t.min()/1e9, "triad-GB/s-best")
	b.ReportMetric(moved*2/3/c.median()/1e9, "copy-GB/s")
	b.ReportMetric(moved/g.median()/limit, "of-bandwidth")
}

// probe runs independent chains of multiply-adds: the processor's peak.
func probe(b testing.TB) (run func(), flops float64) {
	isa := gemm.AVX2
	if asm.Detect().AVX512 {
		isa = gemm.AVX512
	}
	code, perIter := gemm.EmitFMAProbe(isa, tensor.F32)
	exe, err := exec.Load(code)
	require.NoError(b, err)
	const iterations = 20_000 // below a millisecond: machine code cannot be preempted
	args := new(gemm.ProbeArgs)
	return func() {
		args.Iterations = iterations // counted down by the code
		exe.Call(unsafe.Pointer(args))
	}, float64(perIter) * iterations
}

// BenchmarkGEMM1024 multiplies f32 matrices of 1024^3 on one thread, beside the
// peak of fused multiply-adds.
func BenchmarkGEMM1024(b *testing.B) {
	f := parse(b, `func @gemm(%a: f32[1024,1024], %b: f32[1024,1024]) -> f32[1024,1024] {
  %c: f32[1024,1024] = matmul(%a, %b)
  return %c
}`)
	p := prepare(b, jitc.Options{Threads: 1}, f, normal(b, 1, 1024, 1024), normal(b, 2, 1024, 1024))
	peak, peakFlops := probe(b)
	var g, k times
	for b.Loop() {
		g.run(func() { p.call(b) })
		k.run(peak)
	}
	flops := 2.0 * 1024 * 1024 * 1024
	b.ReportMetric(flops/g.median()/1e9, "GFLOP/s")
	b.ReportMetric(flops/g.min()/1e9, "GFLOP/s-best")
	b.ReportMetric(flops/g.median()/(peakFlops/k.median()), "of-peak")
}

// benchRows runs a program over 4096 rows of 1024, on one thread and on all.
func benchRows(b *testing.B, text string, more ...*tensor.Tensor) {
	args := append([]*tensor.Tensor{normal(b, 1, 4096, 1024)}, more...)
	one := prepare(b, jitc.Options{Threads: 1}, parse(b, text), args...)
	all := prepare(b, jitc.Options{}, parse(b, text), args...)
	require.Len(b, mustCompile(b, one).Program.Steps, 1, "one region")
	var o, a times
	for b.Loop() {
		o.run(func() { one.call(b) })
		a.run(func() { all.call(b) })
	}
	b.ReportMetric(o.median()*1e3, "ms-1T")
	b.ReportMetric(o.min()*1e3, "ms-1T-min")
	b.ReportMetric(a.median()*1e3, "ms-all")
	b.ReportMetric(2*4*4096*1024/o.median()/1e9, "GB/s-1T")
}

func mustCompile(b testing.TB, p *prepared) *jitc.Compiled {
	c, err := p.fn.Compiled(context.Background())
	require.NoError(b, err)
	return c
}

func BenchmarkSoftmax(b *testing.B) {
	benchRows(b, `func @softmax(%x: f32[N,C]) -> f32[N,C] {
  %y: f32[N,C] = softmax(%x) {axis=1}
  return %y
}`)
}

func BenchmarkLayerNorm(b *testing.B) {
	benchRows(b, `func @layer_norm(%x: f32[N,1024], %w: f32[1024], %b: f32[1024]) -> f32[N,1024] {
  %y: f32[N,1024] = layer_norm(%x, %w, %b)
  return %y
}`, normal(b, 2, 1024), normal(b, 3, 1024))
}

// BenchmarkGPT2Forward runs the GPT-2 program, 128 tokens, on all processors and
// on one.
func BenchmarkGPT2Forward(b *testing.B) {
	f, args := load(b, "gpt2", nil)
	all := prepare(b, jitc.Options{}, f.Func, args...)
	one := prepare(b, jitc.Options{Threads: 1}, f.Func, args...)
	var a, o times
	for b.Loop() {
		a.run(func() { all.call(b) })
		o.run(func() { one.call(b) })
	}
	b.ReportMetric(a.median()*1e3, "ms")
	b.ReportMetric(a.min()*1e3, "ms-min")
	b.ReportMetric(o.median()*1e3, "ms-1T")
	b.ReportMetric(float64(runtime.GOMAXPROCS(0)), "threads")
}
