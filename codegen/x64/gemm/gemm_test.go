//go:build unix

package gemm_test

import (
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/codegen/x64/gemm"
	"jitc/ir/tensor"
)

// testCase is a problem with its operands in guarded memory.
type testCase struct {
	p    gemm.Problem
	a, b unsafe.Pointer
	sum  []float64
	size []float64
}

func newCase(t testing.TB, rng *rand.Rand, m, n, k int64, batch []int64, la, lb layout, da, db tensor.DType) *testCase {
	c := &testCase{p: gemm.Problem{Batch: batch, M: m, N: n, K: k,
		A: operand(la, da, m, k, batch), B: operand(lb, db, k, n, batch)}}
	front := rng.IntN(2) == 0
	c.a = fill(t, rng, &c.p.A, batch, m, k, front)
	c.b = fill(t, rng, &c.p.B, batch, k, n, front)
	c.sum, c.size = product(&c.p, c.a, c.b)
	c.p.C = gemm.Result{Batch: operand(rowMajor, da, m, n+3, batch).Batch, Row: n + 3}
	return c
}

// direct runs without an epilogue; the result is guarded at one end, and gaps between its rows must stay as they were.
func (c *testCase) direct(t testing.TB, plan *gemm.Plan, dt tensor.DType, workers int, front bool) []float64 {
	p := &c.p
	_, hi := span(append([]int64{p.M, p.N}, p.Batch...), append([]int64{p.C.Row, 1}, p.C.Batch...))
	mem := newGuarded(t, int(hi+1)*dt.Size(), front)
	const gap = 12345
	for i := range hi + 1 {
		store(dt, mem, i, gap)
	}
	require.NoError(t, plan.Run(threads(workers), c.a, c.b, mem, make([]byte, plan.ScratchBytes(workers)), nil))
	out := []float64{}
	eachBatch(p.Batch, func(coords []int64) {
		for m := range p.M {
			for n := range p.N {
				i := at(p.C.Offset, p.C.Batch, coords) + m*p.C.Row + n
				out = append(out, load(dt, mem, i))
				store(dt, mem, i, gap)
			}
		}
	})
	for i := range hi + 1 {
		require.Equal(t, float64(gap), load(dt, mem, i), "gap at %d was written", i)
	}
	return out
}

// throughEpilogue runs with an epilogue that counts visits.
func (c *testCase) throughEpilogue(t testing.TB, plan *gemm.Plan, dt tensor.DType, workers int) []float64 {
	p := &c.p
	out, seen := make([]float64, len(c.sum)), make([]int, len(c.sum))
	var mu sync.Mutex
	ep := func(worker int, batch []int64, m0, m1, n0, n1 int64, tile unsafe.Pointer, ld int64) {
		mu.Lock()
		defer mu.Unlock()
		assert.Less(t, worker, workers)
		b := int64(0)
		for i, x := range batch {
			b = b*p.Batch[i] + x
		}
		for m := m0; m < m1; m++ {
			for n := n0; n < n1; n++ {
				i := (b*p.M+m)*p.N + n
				out[i] = load(dt, tile, (m-m0)*ld+n-n0)
				seen[i]++
			}
		}
	}
	require.NoError(t, plan.Run(threads(workers), c.a, c.b, nil, make([]byte, plan.ScratchBytes(workers)), ep))
	for i, s := range seen {
		require.Equal(t, 1, s, "visits of element %d", i)
	}
	return out
}

// verify runs a case both ways on one and two workers and compares with the definition.
func verify(t testing.TB, isa gemm.ISA, dt tensor.DType, c *testCase) {
	plan, err := kernels(t, isa, dt).NewPlan(c.p)
	require.NoError(t, err)
	one := c.direct(t, plan, dt, 1, false)
	compare(t, dt, c.p.K, one, c.sum, c.size)
	require.Equal(t, one, c.direct(t, plan, dt, 2, true), "two workers")
	require.Equal(t, one, c.throughEpilogue(t, plan, dt, 2), "epilogue")
}

var dtypePairs = []struct{ compute, a, b tensor.DType }{
	{tensor.F32, tensor.F32, tensor.F32},
	{tensor.F64, tensor.F64, tensor.F64},
	{tensor.F32, tensor.F32, tensor.BF16},
	{tensor.F32, tensor.F16, tensor.F16},
	{tensor.F32, tensor.BF16, tensor.F32},
}

// sizes are awkward on purpose: empty, one, primes, around vector and panel sizes.
var sizes = [][3]int64{ // m, n, k
	{0, 5, 3}, {5, 0, 3}, {5, 3, 0}, {1, 1, 1}, {1, 1, 37}, {1, 33, 1}, {33, 1, 19}, {2, 3, 5}, {1, 300, 65},
	{3, 97, 131}, {4, 513, 40}, {7, 31, 17}, {8, 48, 16}, {13, 29, 67}, {14, 32, 64}, {15, 33, 65}, {17, 100, 3},
	{31, 61, 257}, {61, 37, 300}, {64, 1, 64}, {101, 113, 107},
}

func TestProducts(t *testing.T) {
	for _, isa := range isas(t) {
		for _, d := range dtypePairs {
			t.Run(isaNames[isa]+"_"+d.compute.String()+"_"+d.a.String()+"_"+d.b.String(), func(t *testing.T) {
				rng := rand.New(rand.NewPCG(1, 2))
				for i, s := range sizes {
					for j, la := range layouts {
						lb := layouts[(i+2*j)%len(layouts)]
						var batch []int64
						if (i+j)%5 == 0 {
							batch = []int64{2, 3}
						}
						c := newCase(t, rng, s[0], s[1], s[2], batch, la, lb, d.a, d.b)
						t.Run(describe(&c.p, la, lb), func(t *testing.T) { verify(t, isa, d.compute, c) })
					}
				}
			})
		}
	}
}

// TestSkinny covers few rows, each kernel height, in both directions of B.
func TestSkinny(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for _, isa := range isas(t) {
		for _, d := range dtypePairs {
			for m := int64(1); m <= 15; m++ {
				for _, lb := range []layout{wideRows, wideCols} {
					for _, la := range []layout{rowMajor, colMajor} {
						n, k := 1+rng.Int64N(90), 1+rng.Int64N(90)
						c := newCase(t, rng, m, n, k, nil, la, lb, d.a, d.b)
						t.Run(isaNames[isa]+describe(&c.p, la, lb), func(t *testing.T) { verify(t, isa, d.compute, c) })
					}
				}
			}
		}
	}
}

// TestLarge covers several blocks of k, several tiles and A packed first.
func TestLarge(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for _, isa := range isas(t) {
		for _, s := range [][3]int64{{150, 330, 700}, {530, 70, 290}, {40, 1500, 530}, {1, 3000, 1100}, {2100, 1, 700}, {3, 1700, 600},
			{1, 1, 70001}, {3, 2, 40000}, {2, 30, 9001}} {
			for _, l := range [][2]layout{{rowMajor, colMajor}, {colMajor, rowMajor}, {wideRows, wideRows}} {
				c := newCase(t, rng, s[0], s[1], s[2], nil, l[0], l[1], tensor.F32, tensor.F32)
				t.Run(isaNames[isa]+describe(&c.p, l[0], l[1]), func(t *testing.T) { verify(t, isa, tensor.F32, c) })
			}
		}
	}
}

// TestManySmall covers chunks of several tiles, with batches cut unevenly.
func TestManySmall(t *testing.T) {
	rng := rand.New(rand.NewPCG(17, 18))
	for _, isa := range isas(t) {
		for _, s := range [][3]int64{{4, 4, 4}, {1, 5, 7}, {5, 1, 3}, {2, 3, 0}, {16, 33, 9}} {
			c := newCase(t, rng, s[0], s[1], s[2], []int64{13, 7, 11}, rowMajor, colMajor, tensor.F32, tensor.F32)
			verify(t, isa, tensor.F32, c)
		}
	}
}

func TestSharedOperandAcrossBatches(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	for _, isa := range isas(t) {
		c := newCase(t, rng, 20, 40, 30, []int64{3, 4}, rowMajor, rowMajor, tensor.F32, tensor.F32)
		c.p.A.Batch = []int64{0, 0} // one A for all batches
		c.p.B.Batch[0] = 0
		c.sum, c.size = product(&c.p, c.a, c.b)
		verify(t, isa, tensor.F32, c)
	}
}

func TestConcurrentRuns(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 10))
	for _, isa := range isas(t) {
		ks, err := gemm.NewKernels(gemm.Target{ISA: isa}, tensor.F32, install)
		require.NoError(t, err)
		c := newCase(t, rng, 70, 300, 200, nil, rowMajor, colMajor, tensor.F32, tensor.F32)
		var wg sync.WaitGroup
		results := make([][]float64, 8)
		for i := range results {
			wg.Go(func() {
				plan, err := ks.NewPlan(c.p)
				if assert.NoError(t, err) {
					results[i] = c.throughEpilogue(t, plan, tensor.F32, 2)
				}
			})
		}
		wg.Wait()
		compare(t, tensor.F32, c.p.K, results[0], c.sum, c.size)
		for _, r := range results[1:] {
			require.Equal(t, results[0], r)
		}
	}
}

func TestRunAllocatesNothing(t *testing.T) {
	rng := rand.New(rand.NewPCG(11, 12))
	for _, isa := range isas(t) {
		for _, s := range [][3]int64{{200, 100, 300}, {1, 500, 200}, {30, 20, 10}} {
			c := newCase(t, rng, s[0], s[1], s[2], []int64{2}, rowMajor, rowMajor, tensor.F32, tensor.F32)
			plan, err := kernels(t, isa, tensor.F32).NewPlan(c.p)
			require.NoError(t, err)
			scratch := make([]byte, plan.ScratchBytes(1))
			out := make([]float32, 2*(c.p.C.Batch[0]+s[0]*c.p.C.Row))
			allocs := testing.AllocsPerRun(10, func() {
				if err := plan.Run(serial{}, c.a, c.b, unsafe.Pointer(&out[0]), scratch, nil); err != nil {
					t.Error(err)
				}
			})
			assert.Zero(t, allocs, "%v", s)
		}
	}
}

// serial runs chunks in order on the calling goroutine.
type serial struct{}

func (serial) Workers() int { return 1 }
func (serial) Run(chunks int, f func(chunk, worker int)) {
	for c := range chunks {
		f(c, 0)
	}
}

func TestMistakes(t *testing.T) {
	ks, err := gemm.NewKernels(gemm.Target{ISA: gemm.AVX2}, tensor.F32, install)
	require.NoError(t, err)
	good := gemm.Problem{M: 2, N: 2, K: 2, A: gemm.Operand{DType: tensor.F32}, B: gemm.Operand{DType: tensor.F32}}
	for name, change := range map[string]func(p *gemm.Problem){
		"negative":      func(p *gemm.Problem) { p.K = -1 },
		"batch strides": func(p *gemm.Problem) { p.Batch = []int64{2} },
		"packed batches": func(p *gemm.Problem) {
			p.Batch, p.A.Batch, p.B.Batch, p.C.Batch = []int64{2}, []int64{1}, []int64{1}, []int64{1}
			p.PackedB = true
		},
		"element type": func(p *gemm.Problem) { p.A.DType = tensor.F64 },
		"integer":      func(p *gemm.Problem) { p.B.DType = tensor.I8 },
	} {
		p := good
		change(&p)
		_, err := ks.NewPlan(p)
		assert.ErrorContains(t, err, "gemm: ", name)
		assert.ErrorContains(t, err, "expected", name)
	}
	_, err = gemm.NewKernels(gemm.Target{}, tensor.F32, install)
	assert.ErrorContains(t, err, "instruction set")
	_, err = gemm.NewKernels(gemm.Target{ISA: gemm.AVX2}, tensor.I32, install)
	assert.ErrorContains(t, err, "compute type")
	_, err = gemm.NewKernels(gemm.Target{ISA: gemm.AVX2}, tensor.F32, nil)
	assert.ErrorContains(t, err, "nil")
}

func TestPackedB(t *testing.T) {
	rng := rand.New(rand.NewPCG(15, 16))
	for _, isa := range isas(t) {
		for _, d := range dtypePairs {
			ks := kernels(t, isa, d.compute)
			c := newCase(t, rng, 37, 75, 530, []int64{2}, rowMajor, colMajor, d.a, d.b)
			c.p.B.Batch[0], c.p.PackedB = 0, true
			plan, err := ks.NewPlan(c.p)
			require.NoError(t, err)
			packed, scratch := make([]byte, plan.PackedBytes()), make([]byte, plan.ScratchBytes(2))
			require.ErrorContains(t, plan.PackB(threads(2), c.b, packed[1:], scratch), "PackedBytes")
			require.NoError(t, plan.PackB(threads(2), c.b, packed, scratch))
			original := c.b
			for _, m := range []int64{37, 20, 1} { // one packed B serves any number of rows
				c.p.M = m
				c.sum, c.size = product(&c.p, c.a, original)
				c.b = unsafe.Pointer(&packed[0])
				verify(t, isa, d.compute, c)
			}
		}
	}
}

func TestInstallFailure(t *testing.T) {
	failed := errors.New("no memory")
	ks, err := gemm.NewKernels(gemm.Target{ISA: gemm.AVX512}, tensor.F32, func([]byte) (gemm.Caller, error) { return nil, failed })
	require.NoError(t, err)
	for _, m := range []int64{1, 100} {
		_, err = ks.NewPlan(gemm.Problem{M: m, N: 100, K: 100, A: operand(rowMajor, tensor.F32, m, 100, nil), B: operand(colMajor, tensor.F32, 100, 100, nil)})
		require.ErrorIs(t, err, failed)
	}
}

func TestProbe(t *testing.T) {
	for _, isa := range isas(t) {
		code, flops := gemm.EmitFMAProbe(isa, tensor.F32)
		c, err := install(code)
		require.NoError(t, err)
		args := &gemm.ProbeArgs{Iterations: 100}
		c.Call(unsafe.Pointer(args))
		assert.Zero(t, args.Iterations)
		assert.Positive(t, flops)
	}
}

func TestScratchTooSmall(t *testing.T) {
	for _, isa := range isas(t) {
		rng := rand.New(rand.NewPCG(13, 14))
		c := newCase(t, rng, 20, 20, 20, nil, rowMajor, rowMajor, tensor.F32, tensor.F32)
		plan, err := kernels(t, isa, tensor.F32).NewPlan(c.p)
		require.NoError(t, err)
		err = plan.Run(threads(1), c.a, c.b, nil, make([]byte, 10), nil)
		assert.ErrorContains(t, err, "ScratchBytes")
	}
}
