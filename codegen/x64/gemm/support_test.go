//go:build unix

package gemm_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"jitc/codegen/x64/gemm"
	"jitc/executors/native/exec"
	"jitc/ir/tensor"
)

// install makes code executable on this machine.
func install(code []byte) (gemm.Caller, error) { return exec.Load(code) }

// threads is a Runner of that many goroutines, started for each Run.
type threads int

func (n threads) Workers() int { return int(n) }

func (n threads) Run(chunks int, f func(chunk, worker int)) {
	var next atomic.Int64
	work := func(w int) {
		for {
			c := int(next.Add(1)) - 1
			if c >= chunks {
				return
			}
			f(c, w)
		}
	}
	var wg sync.WaitGroup
	for w := 1; w < int(n); w++ {
		wg.Go(func() { work(w) })
	}
	work(0)
	wg.Wait()
}

// isas lists the instruction sets of this machine.
func isas(t testing.TB) []gemm.ISA {
	if !exec.Supported() {
		t.Skip("needs an x86-64 machine that can run installed code")
	}
	var out []gemm.ISA
	if hasAVX2 {
		out = append(out, gemm.AVX2)
	}
	if hasAVX512 {
		out = append(out, gemm.AVX512)
	}
	return out
}

var isaNames = map[gemm.ISA]string{gemm.AVX2: "avx2", gemm.AVX512: "avx512"}

var shared sync.Map // [2]any -> *gemm.Kernels

// kernels is the shared set for one instruction set and compute type.
func kernels(t testing.TB, isa gemm.ISA, dt tensor.DType) *gemm.Kernels {
	key := [2]any{isa, dt}
	if k, ok := shared.Load(key); ok {
		return k.(*gemm.Kernels)
	}
	k, err := gemm.NewKernels(gemm.Target{ISA: isa, L1: 48 << 10, L2: 1 << 20}, dt, install)
	require.NoError(t, err)
	got, _ := shared.LoadOrStore(key, k)
	return got.(*gemm.Kernels)
}

// newGuarded returns n bytes between inaccessible pages, flush with the one
// after them, or before them if front. n may be 0.
func newGuarded(t testing.TB, n int, front bool) unsafe.Pointer {
	page := os.Getpagesize()
	size := (n + page - 1) / page * page
	mem, err := unix.Mmap(-1, 0, size+2*page, unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANON)
	require.NoError(t, err)
	t.Cleanup(func() { _ = unix.Munmap(mem) })
	if size > 0 {
		require.NoError(t, unix.Mprotect(mem[page:page+size], unix.PROT_READ|unix.PROT_WRITE))
	}
	if front {
		return unsafe.Pointer(&mem[page])
	}
	return unsafe.Add(unsafe.Pointer(&mem[page]), size-n)
}

// span is the lowest and the highest element that strides over extents reach, from offset 0.
func span(extents, strides []int64) (lo, hi int64) {
	for i, e := range extents {
		if e == 0 {
			return 0, -1
		}
		if d := (e - 1) * strides[i]; d < 0 {
			lo += d
		} else {
			hi += d
		}
	}
	return lo, hi
}

// store and load convert between float64 and an element in memory.
func store(dt tensor.DType, p unsafe.Pointer, i int64, v float64) {
	switch dt {
	case tensor.F64:
		*(*float64)(unsafe.Add(p, i*8)) = v
	case tensor.F32:
		*(*float32)(unsafe.Add(p, i*4)) = float32(v)
	case tensor.F16:
		*(*uint16)(unsafe.Add(p, i*2)) = tensor.F32ToF16(float32(v))
	case tensor.BF16:
		*(*uint16)(unsafe.Add(p, i*2)) = tensor.F32ToBF16(float32(v))
	}
}

func load(dt tensor.DType, p unsafe.Pointer, i int64) float64 {
	switch dt {
	case tensor.F64:
		return *(*float64)(unsafe.Add(p, i*8))
	case tensor.F32:
		return float64(*(*float32)(unsafe.Add(p, i*4)))
	case tensor.F16:
		return float64(tensor.F16ToF32(*(*uint16)(unsafe.Add(p, i*2))))
	}
	return float64(tensor.BF16ToF32(*(*uint16)(unsafe.Add(p, i*2))))
}

// fill makes memory for an operand of rows x cols per batch, sets o.Offset so
// that its lowest element is the memory's first, and fills it.
func fill(t testing.TB, rng *rand.Rand, o *gemm.Operand, batch []int64, rows, cols int64, front bool) unsafe.Pointer {
	extents := append([]int64{rows, cols}, batch...)
	lo, hi := span(extents, append([]int64{o.Row, o.Col}, o.Batch...))
	o.Offset = -lo
	n := max(0, hi-lo+1)
	p := newGuarded(t, int(n)*o.DType.Size(), front)
	for i := range n {
		store(o.DType, p, i, rng.Float64()*2-1)
	}
	return p
}

// each calls f for every batch, with its number and coordinates.
func eachBatch(batch []int64, f func(coords []int64)) {
	total := int64(1)
	for _, e := range batch {
		total *= e
	}
	coords := make([]int64, len(batch))
	for i := range total {
		for d := len(batch) - 1; d >= 0; d-- {
			coords[d] = i % batch[d]
			i /= batch[d]
		}
		f(coords)
	}
}

func at(offset int64, strides, coords []int64) int64 {
	for i, c := range coords {
		offset += strides[i] * c
	}
	return offset
}

// product is the result by the definition, in float64, and for each element the
// sum of the magnitudes of its terms, dense [batch..., m, n].
func product(p *gemm.Problem, a, b unsafe.Pointer) (sum, size []float64) {
	eachBatch(p.Batch, func(c []int64) {
		ao, bo := at(p.A.Offset, p.A.Batch, c), at(p.B.Offset, p.B.Batch, c)
		av, bv := make([]float64, p.K), make([]float64, p.K*p.N)
		for k := range p.K {
			for n := range p.N {
				bv[n*p.K+k] = load(p.B.DType, b, bo+k*p.B.Row+n*p.B.Col)
			}
		}
		for m := range p.M {
			for k := range p.K {
				av[k] = load(p.A.DType, a, ao+m*p.A.Row+k*p.A.Col)
			}
			for n := range p.N {
				s, z := 0.0, 0.0
				for k, x := range av {
					t := x * bv[n*p.K+int64(k)]
					s += t
					z += math.Abs(t)
				}
				sum, size = append(sum, s), append(size, z)
			}
		}
	})
	return sum, size
}

// tolerance is the error bound per unit of the sum of magnitudes: k roundings at most.
func tolerance(dt tensor.DType, k int64) float64 {
	eps := 0x1p-23
	if dt == tensor.F64 {
		eps = 0x1p-52
	}
	return eps * (4 + float64(k))
}

// compare checks got[i] against the definition; index names the element.
func compare(t testing.TB, dt tensor.DType, k int64, got, sum, size []float64) {
	t.Helper()
	require.Equal(t, len(sum), len(got), "elements")
	for i := range sum {
		if !(math.Abs(got[i]-sum[i]) <= tolerance(dt, k)*size[i]) {
			require.Fail(t, "wrong element", "element %d: got %g, want %g (sum of magnitudes %g)", i, got[i], sum[i], size[i])
		}
	}
}

// layout names a way to lay out a matrix.
type layout string

const (
	rowMajor   layout = "row"
	colMajor   layout = "col"
	wideRows   layout = "wide"    // rows with gaps
	wideCols   layout = "widecol" // columns with gaps
	strided    layout = "strided"
	reversed   layout = "reversed"
	sameRow    layout = "samerow" // row stride 0
	sameCol    layout = "samecol" // column stride 0
	oneElement layout = "scalar"  // both 0
)

var layouts = []layout{rowMajor, colMajor, wideRows, wideCols, strided, reversed, sameRow, sameCol, oneElement}

// operand describes a rows x cols matrix per batch, batches one after another.
func operand(l layout, dt tensor.DType, rows, cols int64, batch []int64) gemm.Operand {
	o := gemm.Operand{DType: dt}
	switch l {
	case rowMajor:
		o.Row, o.Col = cols, 1
	case colMajor:
		o.Row, o.Col = 1, rows
	case wideRows:
		o.Row, o.Col = cols+5, 1
	case wideCols:
		o.Row, o.Col = 1, rows+3
	case strided:
		o.Row, o.Col = 3*cols+1, 3
	case reversed:
		o.Row, o.Col = -cols, -1
	case sameRow:
		o.Col = 1
	case sameCol:
		o.Row = 1
	}
	step := max(rows, 1)*max(o.Row, -o.Row) + max(cols, 1)*max(o.Col, -o.Col) + 1
	o.Batch = make([]int64, len(batch))
	for i := len(batch) - 1; i >= 0; i-- {
		o.Batch[i] = step
		step *= batch[i]
	}
	return o
}

func describe(p *gemm.Problem, la, lb layout) string {
	return fmt.Sprintf("%v_%dx%dx%d_%s-%s_%s-%s", p.Batch, p.M, p.N, p.K, p.A.DType, la, p.B.DType, lb)
}

// spinners is a Runner whose workers spin between runs.
type spinners struct {
	n      int
	epoch  atomic.Int64
	next   atomic.Int64
	busy   atomic.Int64
	closed atomic.Bool
	chunks int
	f      func(chunk, worker int)
}

func newSpinners(n int) *spinners {
	s := &spinners{n: n}
	for w := 1; w < n; w++ {
		go s.serve(w)
	}
	return s
}

func (s *spinners) Workers() int { return s.n }
func (s *spinners) stop()        { s.closed.Store(true) }

func (s *spinners) serve(w int) {
	for seen := int64(0); !s.closed.Load(); {
		if e := s.epoch.Load(); e != seen {
			seen = e
			s.work(w)
			s.busy.Add(-1)
		}
	}
}

func (s *spinners) work(w int) {
	for c := int(s.next.Add(1)) - 1; c < s.chunks; c = int(s.next.Add(1)) - 1 {
		s.f(c, w)
	}
}

func (s *spinners) Run(chunks int, f func(chunk, worker int)) {
	s.chunks, s.f = chunks, f
	s.next.Store(0)
	s.busy.Store(int64(s.n - 1))
	s.epoch.Add(1)
	s.work(0)
	for s.busy.Load() > 0 {
	}
}
