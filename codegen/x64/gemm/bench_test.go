//go:build unix

package gemm_test

import (
	"fmt"
	"slices"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"

	"jitc/codegen/x64/gemm"
	"jitc/executors/native/exec"
	"jitc/ir/tensor"
)

// probe measures the FMA peak of one core, in GFLOP/s.
type probe struct {
	code  *exec.Code
	flops int
	args  *gemm.ProbeArgs
}

func newProbe(b *testing.B, isa gemm.ISA, dt tensor.DType) *probe {
	code, flops := gemm.EmitFMAProbe(isa, dt)
	c, err := exec.Load(code)
	require.NoError(b, err)
	return &probe{c, flops, new(gemm.ProbeArgs)}
}

func (p *probe) peak() float64 {
	const iterations = 3000
	p.args.Iterations = iterations
	start := time.Now()
	p.code.Call(unsafe.Pointer(p.args))
	return float64(p.flops) * iterations / float64(time.Since(start).Nanoseconds())
}

// fast is the widest instruction set of this machine.
func fast(b *testing.B) gemm.ISA {
	all := isas(b)
	return all[len(all)-1]
}

// measure reports the speed of p and its share of the FMA peak, product and probe taking turns:
// the median share and the best (fastest product against fastest probe).
func measure(b *testing.B, isa gemm.ISA, dt tensor.DType, p gemm.Problem, workers int) {
	plan, err := kernels(b, isa, dt).NewPlan(p)
	require.NoError(b, err)
	batches := 1
	for _, e := range p.Batch {
		batches *= int(e)
	}
	alloc := func(n int64, dt tensor.DType) unsafe.Pointer {
		mem := make([]byte, int(n)*batches*dt.Size()+64)
		for i := range n * int64(batches) {
			store(dt, unsafe.Pointer(&mem[0]), i, float64(i%7)-3)
		}
		return unsafe.Pointer(&mem[0])
	}
	x, y, z := alloc(p.M*p.K, p.A.DType), alloc(p.K*p.N, p.B.DType), alloc(p.M*p.N, dt)
	scratch := make([]byte, plan.ScratchBytes(workers))
	r := newSpinners(workers)
	defer r.stop()
	pr := newProbe(b, isa, dt)
	var times, peaks, shares []float64
	flops := 2 * float64(p.M*p.N*p.K) * float64(batches)
	once := func() float64 {
		start := time.Now()
		if err := plan.Run(r, x, y, z, scratch, nil); err != nil {
			b.Fatal(err)
		}
		return float64(time.Since(start).Nanoseconds())
	}
	once()
	for b.Loop() {
		peak := max(pr.peak(), pr.peak())
		ns := once()
		times, peaks = append(times, ns), append(peaks, peak)
		shares = append(shares, flops/ns/peak)
	}
	slices.Sort(times)
	slices.Sort(shares)
	slices.Sort(peaks)
	b.ReportMetric(times[len(times)/2]/1e3, "us-median")
	b.ReportMetric(times[0]/1e3, "us-min")
	b.ReportMetric(flops/times[0], "GFLOP/s-best")
	b.ReportMetric(flops/times[len(times)/2], "GFLOP/s-median")
	b.ReportMetric(flops/times[0]/peaks[len(peaks)-1], "of-peak-best")
	b.ReportMetric(shares[len(shares)/2], "of-peak-median")
	b.ReportMetric(peaks[len(peaks)/2], "peak-GFLOP/s")
	b.ReportMetric(0, "ns/op")
}

// rows and cols are row-major and column-major operands.
func rows(dt tensor.DType, cols int64) gemm.Operand {
	return gemm.Operand{DType: dt, Row: cols, Col: 1}
}
func cols(dt tensor.DType, rows int64) gemm.Operand {
	return gemm.Operand{DType: dt, Row: 1, Col: rows}
}

func plain(dt tensor.DType, m, n, k int64) gemm.Problem {
	return gemm.Problem{M: m, N: n, K: k, A: rows(dt, k), B: rows(dt, n), C: gemm.Result{Row: n}}
}

func BenchmarkProduct1024(b *testing.B) {
	for _, isa := range isas(b) {
		for _, dt := range []tensor.DType{tensor.F32, tensor.F64} {
			for workers := 1; workers <= 2; workers++ {
				b.Run(fmt.Sprintf("%s/%s/%dT", isaNames[isa], dt, workers), func(b *testing.B) {
					measure(b, isa, dt, plain(dt, 1024, 1024, 1024), workers)
				})
			}
		}
	}
}

func BenchmarkShapes(b *testing.B) {
	f := tensor.F32
	attention := gemm.Problem{Batch: []int64{12}, M: 128, N: 128, K: 64,
		A: gemm.Operand{DType: f, Row: 64, Col: 1, Batch: []int64{128 * 64}},
		B: gemm.Operand{DType: f, Row: 128, Col: 1, Batch: []int64{128 * 64}},
		C: gemm.Result{Row: 128, Batch: []int64{128 * 128}}}
	scores := attention
	scores.B = gemm.Operand{DType: f, Row: 1, Col: 64, Batch: []int64{128 * 64}}
	half := plain(f, 128, 3072, 768)
	half.B.DType = tensor.BF16
	halfRow := plain(f, 1, 3072, 768)
	halfRow.B.DType = tensor.BF16
	for _, c := range []struct {
		name string
		p    gemm.Problem
	}{
		{"qkv_128x2304x768", plain(f, 128, 2304, 768)},
		{"proj_128x768x768", plain(f, 128, 768, 768)},
		{"up_128x3072x768", plain(f, 128, 3072, 768)},
		{"down_128x768x3072", plain(f, 128, 768, 3072)},
		{"head_128x50257x768", transposed(f, 128, 50257, 768)},
		{"up_bf16", half},
		{"attention", attention},
		{"scores", scores},
		{"conv_64x12544x147", plain(f, 64, 12544, 147)},
		{"conv_128x784x1152", plain(f, 128, 784, 1152)},
		{"conv_512x49x4608", plain(f, 512, 49, 4608)},
		{"conv_512x196x2304", plain(f, 512, 196, 2304)},
		{"rows8_up", plain(f, 8, 3072, 768)},
		{"rows4_up", plain(f, 4, 3072, 768)},
		{"rows1_up", plain(f, 1, 3072, 768)},
		{"rows1_up_bf16", halfRow},
		{"rows1_head", transposed(f, 1, 50257, 768)},
		{"rows1_big", plain(f, 1, 12288, 4096)},
		{"column_big", gemm.Problem{M: 12288, N: 1, K: 4096, A: rows(f, 4096), B: rows(f, 1), C: gemm.Result{Row: 1}}},
	} {
		for workers := 1; workers <= 2; workers++ {
			b.Run(fmt.Sprintf("%s/%dT", c.name, workers), func(b *testing.B) {
				measure(b, fast(b), f, c.p, workers)
			})
		}
	}
}

// BenchmarkPlan measures making a plan whose kernels exist.
func BenchmarkPlan(b *testing.B) {
	ks := kernels(b, fast(b), tensor.F32)
	p := plain(tensor.F32, 128, 3072, 768)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ks.NewPlan(p); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkTiny measures the fixed cost of a run.
func BenchmarkTiny(b *testing.B) {
	p := plain(tensor.F32, 8, 8, 8)
	plan, err := kernels(b, fast(b), tensor.F32).NewPlan(p)
	require.NoError(b, err)
	x, scratch := make([]float32, 3*64), make([]byte, plan.ScratchBytes(1))
	b.ReportAllocs()
	for b.Loop() {
		if err := plan.Run(serial{}, unsafe.Pointer(&x[0]), unsafe.Pointer(&x[64]), unsafe.Pointer(&x[128]), scratch, nil); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkEmit measures emitting the largest micro-kernel.
func BenchmarkEmit(b *testing.B) {
	ks, err := gemm.NewKernels(gemm.Target{ISA: gemm.AVX512}, tensor.F32, func(code []byte) (gemm.Caller, error) { return nil, fmt.Errorf("%d bytes", len(code)) })
	require.NoError(b, err)
	for b.Loop() {
		if _, err := ks.NewPlan(plain(tensor.F32, 14, 32, 64)); err == nil {
			b.Fatal("expected the install error")
		}
	}
}

func transposed(dt tensor.DType, m, n, k int64) gemm.Problem {
	p := plain(dt, m, n, k)
	p.B = cols(dt, k)
	return p
}
