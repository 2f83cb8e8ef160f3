package refeval

import (
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// small draws small integers, whose sums of products are exact in every type.
func small[T Operand](n int) []T {
	rng := rand.New(rand.NewPCG(1, uint64(n)))
	xs := make([]T, n)
	for i := range xs {
		xs[i] = T(rng.IntN(17) - 8)
	}
	return xs
}

func checkMatMul[A Accum, E Operand](t *testing.T, batch, m, n, k int) {
	t.Helper()
	x, y := small[E](batch*m*k), small[E](batch*n*k)
	got := make([]A, batch*m*n)
	MatMul(got, x, y, batch, m, n, k)
	want := make([]A, batch*m*n)
	for b := range batch {
		for i := range m {
			for j := range n {
				for p := range k {
					want[(b*m+i)*n+j] += A(x[(b*m+i)*k+p]) * A(y[(b*n+j)*k+p])
				}
			}
		}
	}
	require.True(t, slices.Equal(want, got), "batch %d, m %d, n %d, k %d", batch, m, n, k)
}

func TestMatMulAtBlockEdges(t *testing.T) {
	for _, m := range []int{0, 1, 3, 4, 65} {
		for _, n := range []int{0, 1, 2, 7, 66} {
			for _, k := range []int{0, 1, 13, blockK, blockK + 1} {
				checkMatMul[float64, float32](t, 2, m, n, k)
			}
		}
	}
	checkMatMul[float64, float64](t, 1, 129, 131, 1030)
	checkMatMul[int64, int64](t, 3, 5, 67, 514)
}

func TestMatMulDoesNotDependOnProcessors(t *testing.T) {
	x, y := make([]float64, 70*600), make([]float64, 130*600)
	rng := rand.New(rand.NewPCG(1, 2))
	for _, xs := range [][]float64{x, y} {
		for i := range xs {
			xs[i] = rng.NormFloat64()
		}
	}
	run := func(procs int) []float64 {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(procs))
		out := make([]float64, 70*130)
		MatMul(out, x, y, 1, 70, 130, 600)
		return out
	}
	assert.Equal(t, run(1), run(7))
}

func TestParallelRunsEachTaskOnce(t *testing.T) {
	for _, n := range []int{0, 1, 2, 1000} {
		counts := make([]int, n)
		Parallel(n, func(i int) { counts[i]++ })
		assert.Equal(t, slices.Repeat([]int{1}, n), counts)
	}
}

func TestInRange(t *testing.T) {
	for size := range 6 {
		for outs := range 6 {
			for stride := 1; stride < 4; stride++ {
				for shift := -7; shift < 7; shift++ {
					lo, hi := InRange(size, outs, stride, shift)
					for o := range outs {
						inside := o*stride+shift >= 0 && o*stride+shift < size
						require.Equal(t, inside, o >= lo && o < hi, "size %d, outs %d, stride %d, shift %d, o %d", size, outs, stride, shift, o)
					}
					require.True(t, lo >= 0 && hi <= outs)
				}
			}
		}
	}
}

func TestWindowOfTrivialAxesIsTheOperand(t *testing.T) {
	x := small[float64](6)
	same := WindowAxis{In: 3, Out: 3, Window: 1, Stride: 1, Dilation: 1}
	assert.Equal(t, x, Window(x, []WindowAxis{{2, 2, 1, 1, 1, 0}, same}, 0, func(a, b float64) float64 { return a + b }))
	sum := Window(x, []WindowAxis{{2, 1, 2, 1, 1, 0}, same}, 0, func(a, b float64) float64 { return a + b })
	assert.Equal(t, []float64{x[0] + x[3], x[1] + x[4], x[2] + x[5]}, sum)
}

func TestWindowOfMuchPadding(t *testing.T) {
	const far = 1 << 40 // walking the padding would take hours
	add := func(a, b float64) float64 { return a + b }
	axis := WindowAxis{In: 3, Out: 4, Window: far + 1, Stride: 1, Dilation: 1, PadLow: far}
	assert.Equal(t, []float64{1, 3, 6, 6}, Window([]float64{1, 2, 3}, []WindowAxis{axis}, 0, add))
	axis = WindowAxis{In: 3, Out: 2, Window: far, Stride: 2, Dilation: far, PadLow: far}
	assert.Equal(t, []float64{1, 3}, Window([]float64{1, 2, 3}, []WindowAxis{axis}, 0, add))
}

func TestConvolveByHand(t *testing.T) {
	// One channel, [1 2 3 4] correlated with [1 10], stride 2, one element of padding:
	// [0*1 + 1*10, 2*1 + 3*10].
	out := make([]int64, 2)
	Convolve(out, []int64{1, 2, 3, 4}, []int64{1, 10}, Convolution{N: 1, Groups: 1, C: 1, O: 1,
		In: []int{4}, Kernel: []int{2}, Out: []int{2}, Stride: []int{2}, Dilation: []int{1}, PadLow: []int{1}})
	assert.Equal(t, []int64{10, 32}, out)
}

func BenchmarkMatMul(b *testing.B) {
	const m, n, k = 64, 1024, 768
	x, y, out := small[float32](m*k), small[float32](n*k), make([]float64, m*n)
	b.SetBytes(m * n * k) // one "byte" per multiply-add
	for b.Loop() {
		MatMul(out, x, y, 1, m, n, k)
	}
}

func BenchmarkConvolve(b *testing.B) {
	g := Convolution{N: 1, Groups: 1, C: 64, O: 64, In: []int{28, 28}, Kernel: []int{3, 3}, Out: []int{28, 28},
		Stride: []int{1, 1}, Dilation: []int{1, 1}, PadLow: []int{1, 1}}
	x, w, out := small[float64](64*28*28), small[float64](64*64*9), make([]float64, 64*28*28)
	b.SetBytes(64 * 64 * 9 * 28 * 28)
	for b.Loop() {
		clear(out)
		Convolve(out, x, w, g)
	}
}
