package cuda_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"jitc/executors"
	"jitc/executors/conformance"
	"jitc/executors/cuda"
	"jitc/executors/cuda/driver/fake"
	"jitc/fusion"
	"jitc/ir"
	"jitc/ir/tensor"
)

const (
	cacheText = `func @cache(%x: f32[S,64], %u: f32[1,64], %i: i64[], %j: i64[]) -> f32[S,64] where S in [1, 512] {
  %0: f32[S,64] = dynamic_update_slice(%x, %u, %i, %j)
  return %0
}
`
	slotsText = `func @slots(%x: f32[S,64], %i: i32[3], %u: f32[3,64]) -> f32[S,64] where S in [1, 512] {
  %0: f32[S,64] = scatter(%x, %i, %u) {axis=0, combine="add"}
  return %0
}
`
)

// What is large against its update is updated alone; the rest is a loop nest.
func TestUpdateClaims(t *testing.T) {
	e, _ := newExecutor(t, fake.Config{}, cuda.Options{})
	none := cuda.New(fake.New(fake.Config{Devices: -1}), 0, cuda.Options{})
	for text, want := range map[string]fusion.Level{
		cacheText: fusion.Strided, slotsText: fusion.Strided, strings.ReplaceAll(cacheText, "S,64", "8,64"): fusion.Fusible,
	} {
		v := parse(t, text).Values[0]
		require.Equal(t, want, e.Claim(v).Level, text)
		if want != fusion.Fusible {
			require.NotEmpty(t, e.Claim(v).Why)
			require.Equal(t, "there is no device", none.Claim(v).Why)
		}
	}
	k := compile(t, e, slotsText, executors.Options{})
	require.Equal(t, "update", k.Info().Kind)
	text, ok := k.Dump("ptx")
	require.True(t, ok)
	require.Contains(t, text, ".visible .entry scatter_order(")
	_, ok = k.Dump("loops")
	require.False(t, ok)
	text, _ = compile(t, e, slotsText, executors.Options{FastMath: true}).Dump("ptx")
	require.Contains(t, text, "red.global.add.f32")
}

// A cache is updated in its own memory, run after run, by a recorded batch: a row
// where a scalar of the device says, then three that meet.
func TestUpdatesInPlace(t *testing.T) {
	e, d := newExecutor(t, fake.Config{Races: true}, cuda.Options{})
	q, sizes := queueOf(t, e), map[string]int64{"S": 100}
	row, slots := bind(t, compile(t, e, cacheText, executors.Options{}), sizes), bind(t, compile(t, e, slotsText, executors.Options{}), sizes)
	for _, l := range []executors.Launch{row, slots} {
		require.Zero(t, l.(executors.InPlacer).InPlace(0))
	}
	b, err := q.Batch([]executors.Launch{row, slots}, nil)
	require.NoError(t, err)
	filled := func(n int, x float32) []byte { return elementsOn(t, q, slices.Repeat([]float32{x}, n)) }
	x, u, v := filled(6400, 1), filled(64, 7), filled(192, 0.5)
	at, zero, three := elementsOn(t, q, []int64{0}), elementsOn(t, q, []int64{0}), elementsOn(t, q, []int32{4, 200, 4})
	want := slices.Repeat([]float32{1}, 6400)
	for _, i := range []int64{3, 99, 4, -5, 4} {
		upload(t, q, at, []int64{i})
		require.NoError(t, b.Run([][][]byte{{x, u, at, zero, x}, {x, three, v, x}}, make([][]byte, 2)))
		for c := range 64 {
			want[max(i, 0)*64+int64(c)] = 7
			want[4*64+c]++
			want[99*64+c] += 0.5
		}
		require.Equal(t, want, floats(t, q, x))
	}
	require.NoError(t, b.Recorded())
	require.Equal(t, 5, d.Count("LaunchGraph"))
	require.Equal(t, slices.Repeat([]float32{7}, 64), floats(t, q, u))
	require.NoError(t, q.Sync())
}

func elementsOn[T tensor.Element](t *testing.T, q executors.Queue, xs []T) []byte {
	t.Helper()
	mem, err := q.Alloc(len(xs) * tensor.DTypeOf[T]().Size())
	require.NoError(t, err)
	upload(t, q, mem, xs)
	return mem
}

func upload[T tensor.Element](t *testing.T, q executors.Queue, mem []byte, xs []T) {
	t.Helper()
	data, _ := tensor.Of([]int{len(xs)}, xs...).Bytes()
	require.NoError(t, q.Upload(mem, data))
}

// An operand that is its own update needs memory apart; other kernels always do.
func TestNotInPlace(t *testing.T) {
	e, _ := newExecutor(t, fake.Config{}, cuda.Options{})
	for text, sizes := range map[string]map[string]int64{
		addText: {"N": 8},
		"func @f(%x: i64[9], %i: i64[9]) -> i64[9] {\n  %0: i64[9] = scatter(%x, %i, %x) {axis=0, combine=\"mul\"}\n  return %0\n}\n": nil,
	} {
		l := bind(t, compile(t, e, text, executors.Options{}), sizes)
		require.Equal(t, -1, l.(executors.InPlacer).InPlace(0), text)
	}
}

// Where an update begins may be said by what a launch before has copied.
func TestStartsFromACopy(t *testing.T) {
	e, _ := newExecutor(t, fake.Config{Races: true}, cuda.Options{})
	q := queueOf(t, e)
	l := bind(t, compile(t, e, `func @f(%x: f32[60,30], %u: f32[2,30], %s: i32[2,3]) -> f32[60,30] {
  %0: i32[3,2] = transpose(%s) {perm=[1,0]}
  %1: i32[6] = reshape(%0) {shape=[6]}
  %2: i32[1] = slice(%1) {starts=[1], limits=[2]}
  %3: i32[] = reshape(%2) {shape=[]}
  %4: f32[60,30] = dynamic_update_slice(%x, %u, %3, %3)
  return %4
}
`, executors.Options{}), nil)
	require.Zero(t, l.(executors.InPlacer).InPlace(0))
	scratch, err := q.Alloc(l.ScratchBytes(1))
	require.NoError(t, err)
	x, u := elementsOn(t, q, make([]float32, 1800)), elementsOn(t, q, slices.Repeat([]float32{7}, 60))
	require.NoError(t, l.Run([][]byte{x, u, elementsOn(t, q, []int32{50, 51, 52, 11, 53, 54}), x}, scratch, nil))
	want := make([]float32, 1800)
	copy(want[11*30:], slices.Repeat([]float32{7}, 60))
	require.Equal(t, want, floats(t, q, x))
}

func TestUpdateSizes(t *testing.T) {
	e, _ := newExecutor(t, fake.Config{}, cuda.Options{})
	k := compile(t, e, `func @f(%x: f32[S], %i: i64[3], %u: f32[3]) -> f32[S] where S in [0, 9] {
  %0: f32[S] = scatter(%x, %i, %u) {axis=0, combine="add"}
  return %0
}
`, executors.Options{})
	_, err := k.Bind(map[string]int64{"S": 0})
	require.ErrorContains(t, err, "there is nothing to index")
}

// Sums in any order are what FastMath allows, and nothing else.
func TestConformanceOfFastUpdates(t *testing.T) {
	for _, major := range []int{8, 9} {
		e, _ := newExecutor(t, fake.Config{Major: major, Races: true}, cuda.Options{})
		conformance.Run(t, e, conformance.Options{
			Ops: []ir.Op{ir.OpScatter}, DTypes: []tensor.DType{tensor.F32, tensor.F64, tensor.F16, tensor.BF16, tensor.F8E5M2},
			Compile: executors.Options{FastMath: true},
			Tolerance: func(region *ir.Func) (tensor.Tolerance, bool) {
				v := region.Values[0]
				if v.Attrs.Str("combine", "") != "add" || !v.Type.DType.IsFloat() {
					return tensor.Tolerance{}, false
				}
				eps := map[tensor.DType]float64{tensor.F64: 0x1p-52, tensor.F32: 0x1p-23, tensor.F16: 0x1p-10, tensor.BF16: 0x1p-7}[v.Type.DType]
				return tensor.Tolerance{Abs: 200 * eps, Rel: 20 * eps, NaNEqual: true}, eps > 0
			},
		})
	}
}
