package native_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"jitc/codegen/x64/asm"
	"jitc/executors"
	"jitc/executors/native"
	"jitc/executors/native/pool"
	"jitc/ir"
	"jitc/ir/tensor"
)

func cumulativeOf(t testing.TB, x ir.Type, axis int, combine string, reverse bool) *ir.Func {
	t.Helper()
	return parsed(t, fmt.Sprintf("func @f(%%x: %s) -> %s {\n  %%0: %s = cumulative(%%x) {axis=%d, combine=%q, reverse=%v}\n  return %%0\n}\n",
		x, x, x, axis, combine, reverse))
}

// bound is the launch of a region of constant sizes.
func bound(t testing.TB, region *ir.Func) executors.Launch {
	t.Helper()
	k, err := native.New(asm.Features{}).Compile(context.Background(), region, executors.Options{})
	require.NoError(t, err)
	require.Equal(t, "cumulative", k.Info().Kind)
	l, err := k.Bind(nil)
	require.NoError(t, err)
	return l
}

// numbers are near 1, so that products stay finite, and long sums are rounded.
func numbers(dt tensor.DType, shape []int) *tensor.Tensor {
	r := rand.New(rand.NewPCG(uint64(dt), 3))
	if dt.IsFloat() {
		return random(r, dt, shape, -1.1, 1.2)
	}
	return random(r, dt, shape, -9, 100)
}

// Every loop, for lines that are longer than a tile and shorter, neighbours and
// apart, is the definition to the bit, whatever the number of workers.
func TestCumulativeIsInOrder(t *testing.T) {
	shapes := []struct {
		shape []int
		axis  int
	}{{[]int{700}, 0}, {[]int{9, 257}, 1}, {[]int{257, 3}, 0}, {[]int{3, 31, 40}, 1}, {[]int{5, 300}, 0}, {[]int{4, 1}, 1}, {[]int{4, 0}, 1}, {[]int{0, 4}, 1}}
	for _, dt := range ir.Numbers.List() {
		for _, combine := range []string{"add", "mul", "min", "max"} {
			t.Run(dt.String()+" "+combine, func(t *testing.T) {
				for _, s := range shapes {
					x := numbers(dt, s.shape)
					for _, reverse := range []bool{false, true} {
						requireInOrder(t, x, s.axis, combine, reverse)
					}
				}
			})
		}
	}
}

func requireInOrder(t *testing.T, x *tensor.Tensor, axis int, combine string, reverse bool) {
	t.Helper()
	region := cumulativeOf(t, ir.TConst(x.DType(), x.Shape()...), axis, combine, reverse)
	want, err := ir.Eval(region, []*tensor.Tensor{x}, nil)
	require.NoError(t, err)
	l := bound(t, region)
	in, _ := x.Bytes()
	for _, workers := range []int{1, 2, 7} {
		got := tensor.New(x.DType(), x.Shape()...)
		out, _ := got.Bytes()
		require.NoError(t, l.Run([][]byte{in, out}, nil, turns(workers)))
		require.NoError(t, tensor.Check(got, want[0], tensor.Tolerance{NaNEqual: true, SignZero: true}),
			"%v, axis %d, reverse %v, %d workers", x.Shape(), axis, reverse, workers)
	}
}

// Work that is divided: by leading indices, and by columns where there are few.
func TestCumulativeOfManyChunks(t *testing.T) {
	for _, c := range []struct {
		dt    tensor.DType
		shape []int
		axis  int
	}{
		{tensor.F32, []int{300, 400}, 1}, {tensor.F32, []int{40, 3000}, 0}, {tensor.BF16, []int{2, 30, 3000}, 1},
		{tensor.F16, []int{500, 300}, 1}, {tensor.I64, []int{3, 50, 700}, 1}, {tensor.F64, []int{3000, 5, 6}, 1},
	} {
		for _, reverse := range []bool{false, true} {
			x := numbers(c.dt, c.shape)
			requireInOrder(t, x, c.axis, "add", reverse)
			l := bound(t, cumulativeOf(t, ir.TConst(c.dt, c.shape...), c.axis, "add", reverse))
			require.Greater(t, l.(interface{ Chunks() int }).Chunks(), 1)
		}
	}
}

// Values that are no numbers, infinite, zeros of both signs and the ends of ranges.
func TestCumulativeOfSpecialValues(t *testing.T) {
	inf, nan, minus := math.Inf(1), math.NaN(), math.Copysign(0, -1)
	values := []float64{minus, minus, 0, minus, 1, -2, inf, 3, nan, 1, -inf, 0, inf, -inf, 7, 8, minus, 0}
	for _, dt := range ir.Floats.List() {
		for _, combine := range []string{"add", "mul", "min", "max"} {
			for _, reverse := range []bool{false, true} {
				requireInOrder(t, tensor.FromFloats(dt, []int{18}, values), 0, combine, reverse)
				requireInOrder(t, tensor.FromFloats(dt, []int{2, 9}, values), 0, combine, reverse)
			}
		}
	}
	ends := tensor.Of([]int{6}, uint64(0), math.MaxUint64, 1<<63, 1<<63-1, 1, 5)
	for _, combine := range []string{"add", "mul", "min", "max"} {
		requireInOrder(t, ends, 0, combine, false)
		requireInOrder(t, ends, 0, combine, true)
	}
}

func TestCumulativeRunsMeetNoShortBuffers(t *testing.T) {
	l := bound(t, cumulativeOf(t, ir.TConst(tensor.F32, 4), 0, "add", false))
	require.ErrorContains(t, l.Run([][]byte{make([]byte, 16), make([]byte, 12)}, nil, turns(1)), "missing or short")
	require.ErrorContains(t, l.Run([][]byte{make([]byte, 16)}, nil, turns(1)), "missing or short")
}

// One kernel is for all sizes, and for threads at once.
func TestCumulativeOfSymbolicSizes(t *testing.T) {
	region := parsed(t, `func @f(%x: f16[B,S]) -> f16[B,S] where B in [0, 99], S in [0, 999] {
  %0: f16[B,S] = cumulative(%x) {axis=1, combine="add", reverse=true}
  return %0
}`)
	k, err := native.New(asm.Features{}).Compile(context.Background(), region, executors.Options{})
	require.NoError(t, err)
	workers := pool.New(3)
	defer workers.Close()
	for _, shape := range [][]int{{1, 1}, {64, 700}, {3, 0}, {0, 5}} {
		x := numbers(tensor.F16, shape)
		want, err := ir.Eval(region, []*tensor.Tensor{x}, nil)
		require.NoError(t, err)
		l, err := k.Bind(map[string]int64{"B": int64(shape[0]), "S": int64(shape[1])})
		require.NoError(t, err)
		got := tensor.New(tensor.F16, shape...)
		in, _ := x.Bytes()
		out, _ := got.Bytes()
		require.NoError(t, l.Run([][]byte{in, out}, nil, workers))
		require.NoError(t, tensor.Check(got, want[0], tensor.Exact))
	}
}

func BenchmarkCumulative(b *testing.B) {
	for _, c := range []struct {
		name  string
		dt    tensor.DType
		shape []int
		axis  int
	}{{"rows", tensor.F32, []int{1024, 1024}, 1}, {"columns", tensor.F32, []int{1024, 1024}, 0}, {"narrow rows", tensor.BF16, []int{1024, 1024}, 1},
		{"line", tensor.F32, []int{1 << 20}, 0}} {
		b.Run(c.name, func(b *testing.B) {
			l := bound(b, cumulativeOf(b, ir.TConst(c.dt, c.shape...), c.axis, "add", false))
			x, y := numbers(c.dt, c.shape), tensor.New(c.dt, c.shape...)
			in, _ := x.Bytes()
			out, _ := y.Bytes()
			b.SetBytes(int64(2 * len(in)))
			for b.Loop() {
				require.NoError(b, l.Run([][]byte{in, out}, nil, turns(1)))
			}
		})
	}
}
