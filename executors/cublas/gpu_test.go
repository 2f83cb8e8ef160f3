//go:build gpu

package cublas_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"jitc"
	"jitc/executors"
	"jitc/executors/conformance"
	"jitc/executors/cublas"
	"jitc/executors/cuda"
	"jitc/executors/cuda/cublaslt"
	"jitc/ir"
	"jitc/ir/tensor"
)

// gpu is this machine's device and library, whatever the size of products.
func gpu(t *testing.T) *machine {
	t.Helper()
	device := cuda.At(0)
	require.NoError(t, device.Available())
	version, err := device.Version()
	require.NoError(t, err)
	found, err := cublaslt.Find(version)
	if err != nil {
		t.Skipf("left out: products by the library: %v", err)
	}
	api, err := found.Open()
	require.NoError(t, err)
	m := &machine{device: device, cublas: cublas.New(device, api, cublas.Options{Any: true})}
	t.Log(device.Features())
	t.Log(m.cublas.Features())
	return m
}

// The suite on the GPU of this machine: `make gpu`.
func TestConformanceOnTheGPU(t *testing.T) {
	m := gpu(t)
	conformance.Run(t, pair{m}, conformance.Options{MustClaim: takesProducts, Ops: []ir.Op{ir.OpDotGeneral, ir.OpLinear, ir.OpMatmul, ir.OpAdd}})
	require.NoError(t, m.queue(t).Sync())
}

// Every layout and type that the tests without a GPU pin.
func TestLayoutsOnTheGPU(t *testing.T) {
	m := gpu(t)
	for _, c := range layoutCases {
		f, k := m.compile(t, c.text, executors.Options{})
		m.run(t, f, k, nil)
	}
	for _, dt := range []tensor.DType{tensor.F64, tensor.F32, tensor.F16, tensor.BF16} {
		f, k := m.compile(t, dot(dt, dt, "M", "N", "K"), executors.Options{})
		for _, n := range []int64{1, 8, 65, 256} {
			m.run(t, f, k, map[string]int64{"M": n + 3, "N": n, "K": 2*n + 1})
		}
	}
}

// A large product is the reference's, with the same bits each time.
func TestLargeProductOnTheGPU(t *testing.T) {
	m := gpu(t)
	f, k := m.compile(t, dot(tensor.BF16, tensor.BF16, "1024", "1024", "1024"), executors.Options{})
	l, err := k.Bind(nil)
	require.NoError(t, err)
	q := m.queue(t)
	x := prepare(t, q, f, l, nil, 5)
	var first *tensor.Tensor
	for range 5 {
		require.NoError(t, l.Run(x.bufs, x.scratch, nil))
		got := download(t, q, x.want, x.bufs[2])
		if first == nil {
			first = got
		}
		require.Nil(t, tensor.Compare(got, first, tensor.Exact), "run to run")
	}
	require.Nil(t, tensor.Compare(first, x.want, tensor.Tolerance{Rel: 1e-2, Abs: 1e-2}))
}

// In graphs with kernels: replayed, patched, and in programs.
func TestBatchesOnTheGPU(t *testing.T) {
	m := gpu(t)
	l := newLayers(t, m)
	for range 3 {
		l.run(t)
	}
	require.NoError(t, l.b.Recorded(), "the library is captured")
	for range 3 {
		l.out, l.between[0] = l.memory(t), l.memory(t)
		l.run(t)
		l.run(t)
	}
	require.NoError(t, l.b.Recorded(), "and captured again")
	checkProgram(t, m.engine(t, jitc.Options{}), parse(t, mlpText))
}

// What each costs beside the executor cuda: `go test -tags gpu -run - -bench GPU`.
func BenchmarkProductOnTheGPU(b *testing.B) {
	for _, n := range []string{"1024", "4096", "8192"} {
		for _, e := range []executors.Executor{cublas.At(0), cuda.At(0)} {
			b.Run(n+"/"+e.Name(), func(b *testing.B) { benchmark(b, e, n) })
		}
	}
}

func benchmark(b *testing.B, e executors.Executor, n string) {
	if err := e.Available(); err != nil {
		b.Skip(err)
	}
	f := parse(b, dot(tensor.BF16, tensor.BF16, n, n, n))
	k, err := e.Compile(b.Context(), f, executors.Options{})
	require.NoError(b, err)
	l, err := k.Bind(nil)
	require.NoError(b, err)
	q, err := e.(executors.Accelerator).Queue()
	require.NoError(b, err)
	bytes, err := f.Params[0].Type.Bytes().Eval(nil)
	require.NoError(b, err)
	var bufs [][]byte
	for range 3 {
		mem, err := q.Alloc(int(bytes))
		require.NoError(b, err)
		defer q.Free(mem)
		bufs = append(bufs, mem)
	}
	scratch, err := q.Alloc(l.ScratchBytes(1))
	require.NoError(b, err)
	defer q.Free(scratch)
	require.NoError(b, l.Run(bufs, scratch, nil))
	require.NoError(b, q.Sync())
	for b.Loop() {
		require.NoError(b, l.Run(bufs, scratch, nil))
		require.NoError(b, q.Sync())
	}
	flops, err := k.Info().Flops.Eval(nil)
	require.NoError(b, err)
	b.ReportMetric(float64(flops)*float64(b.N)/b.Elapsed().Seconds()/1e12, "TFLOP/s")
}
