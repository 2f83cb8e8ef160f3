package native_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/codegen/x64/asm"
	"jitc/executors"
	"jitc/executors/native"
	"jitc/executors/native/pool"
	"jitc/fusion"
	"jitc/ir"
	"jitc/ir/tensor"
)

// turns is so many workers, one after the other.
type turns int

func (t turns) Workers() int { return int(t) }

func (t turns) Run(chunks int, f func(chunk, worker int)) {
	for i := chunks - 1; i >= 0; i-- {
		f(i, i%int(t))
	}
}

// update is a region of an update, with operands.
type update struct {
	region *ir.Func
	args   []*tensor.Tensor
}

// scatterOf makes a scatter with indices that meet, and reach beyond both ends.
func scatterOf(t testing.TB, dt, index tensor.DType, combine string, x, at []int, axis, batch int) update {
	t.Helper()
	shape := append(append(append([]int{}, x[:axis]...), at[batch:]...), x[axis+1:]...)
	text := fmt.Sprintf("func @f(%%x: %s, %%i: %s, %%u: %s) -> %s {\n  %%0: %s = scatter(%%x, %%i, %%u) {axis=%d, batch_dims=%d, combine=%q}\n  return %%0\n}\n",
		ir.TConst(dt, x...), ir.TConst(index, at...), ir.TConst(dt, shape...), ir.TConst(dt, x...), ir.TConst(dt, x...), axis, batch, combine)
	r := rand.New(rand.NewPCG(uint64(dt), uint64(len(text))))
	return update{parsed(t, text), []*tensor.Tensor{
		random(r, dt, x, -3, 3), random(r, index, at, -2, float64(x[axis]+2)), random(r, dt, shape, -3, 3),
	}}
}

func parsed(t testing.TB, text string) *ir.Func {
	t.Helper()
	f, _, diags := ir.Parse("region", text)
	require.NoError(t, diags.Err(), text)
	return f
}

func random(r *rand.Rand, dt tensor.DType, shape []int, lo, hi float64) *tensor.Tensor {
	n, _ := tensor.CheckedElements(shape)
	xs := make([]float64, n)
	for i := range xs {
		xs[i] = lo + r.Float64()*(hi-lo)
		if dt.IsUnsigned() {
			xs[i] = max(xs[i], 0)
		}
	}
	return tensor.FromFloats(dt, shape, xs)
}

// launched binds the update and gives buffers for it, the result apart.
func (u update) launched(t testing.TB) (executors.InPlacer, [][]byte) {
	t.Helper()
	k, err := native.New(asm.Features{}).Compile(context.Background(), u.region, executors.Options{})
	require.NoError(t, err)
	l, err := k.Bind(nil)
	require.NoError(t, err)
	in, ok := l.(executors.InPlacer)
	require.True(t, ok)
	bufs := make([][]byte, 0, len(u.args)+1)
	for _, a := range u.args {
		b, _ := a.Clone().Bytes()
		bufs = append(bufs, b)
	}
	shape, err := ir.EvalShape(u.region.Results[0].Type.Shape, nil)
	require.NoError(t, err)
	out, _ := tensor.New(u.args[0].DType(), shape...).Bytes()
	return in, append(bufs, out)
}

func scratchOf(l executors.Launch, workers int) []byte {
	b, _ := tensor.New(tensor.U8, l.ScratchBytes(workers)+1).Bytes()
	return b
}

// Sizes that are divided among workers in every way, against the reference, to the
// bit, in place and apart, whatever the number of workers.
func TestUpdatesOfManyChunks(t *testing.T) {
	box := update{parsed(t, `func @f(%x: bf16[3,40,33,50], %u: bf16[3,1,30,50], %i: i32[], %j: i32[], %k: i32[], %l: i32[]) -> bf16[3,40,33,50] {
  %0: bf16[3,40,33,50] = dynamic_update_slice(%x, %u, %i, %j, %k, %l)
  return %0
}`), nil}
	r := rand.New(rand.NewPCG(1, 2))
	box.args = []*tensor.Tensor{random(r, tensor.BF16, []int{3, 40, 33, 50}, -1, 1), random(r, tensor.BF16, []int{3, 1, 30, 50}, -1, 1),
		tensor.Scalar(int32(5)), tensor.Scalar(int32(39)), tensor.Scalar(int32(2)), tensor.Scalar(int32(-4))}
	columns := update{parsed(t, `func @f(%x: u16[90,3000], %u: u16[90,1], %i: u64[], %j: u64[]) -> u16[90,3000] {
  %0: u16[90,3000] = dynamic_update_slice(%x, %u, %i, %j)
  return %0
}`), []*tensor.Tensor{random(r, tensor.U16, []int{90, 3000}, 0, 9), random(r, tensor.U16, []int{90, 1}, 0, 9),
		tensor.Scalar(uint64(0)), tensor.Scalar(uint64(1) << 63)}}
	for name, u := range map[string]update{
		"box": box, "columns": columns,
		"rows":             scatterOf(t, tensor.F32, tensor.I32, "add", []int{300, 700}, []int{900}, 0, 0),
		"narrow rows":      scatterOf(t, tensor.F32, tensor.I64, "add", []int{5000, 3}, []int{70000}, 0, 0),
		"single elements":  scatterOf(t, tensor.F64, tensor.U32, "add", []int{5000}, []int{70000}, 0, 0),
		"many leads":       scatterOf(t, tensor.I16, tensor.U8, "max", []int{900, 50}, []int{900, 80}, 1, 1),
		"shared indices":   scatterOf(t, tensor.U64, tensor.I16, "min", []int{3, 7, 50, 11}, []int{3, 400}, 2, 1),
		"carried":          scatterOf(t, tensor.BF16, tensor.I64, "add", []int{3000, 70}, []int{2000}, 0, 0),
		"carried elements": scatterOf(t, tensor.F16, tensor.I64, "add", []int{5000}, []int{30000}, 0, 0),
		"carried wide":     scatterOf(t, tensor.F8E4M3, tensor.I8, "mul", []int{2, 9, 1200}, []int{40}, 1, 0),
		"carried leads":    scatterOf(t, tensor.F8E5M2, tensor.I64, "max", []int{500, 7, 3}, []int{500, 80}, 1, 1),
		"set":              scatterOf(t, tensor.Bool, tensor.I64, "set", []int{7, 4000}, []int{7, 30000}, 1, 1),
	} {
		t.Run(name, func(t *testing.T) {
			want, err := ir.Eval(u.region, u.args, nil)
			require.NoError(t, err)
			wanted, _ := want[0].Bytes()
			l, bufs := u.launched(t)
			require.Zero(t, l.InPlace(0))
			out := len(bufs) - 1
			for _, workers := range []int{1, 2, 7} {
				clear(bufs[out])
				require.NoError(t, l.Run(bufs, scratchOf(l, workers), turns(workers)))
				require.Equal(t, wanted, bufs[out], "%d workers", workers)
				for i, a := range u.args {
					before, _ := a.Bytes()
					require.Equal(t, before, bufs[i], "operand %d", i)
				}
				_, same := u.launched(t)
				same[out] = same[0]
				require.NoError(t, l.Run(same, scratchOf(l, workers), turns(workers)))
				require.Equal(t, wanted, same[0], "in place, %d workers", workers)
			}
		})
	}
}

// updatesThroughViews are regions of updates with views of what they read, and of
// their result, with the parameter that the result may lie in.
var updatesThroughViews = map[string]struct {
	region  string
	inPlace int
}{
	"a slice of a row": {`func @f(%x: f32[1,3,400,8], %q: f32[1,72], %i: i64[], %z: i64[]) -> f32[1,3,400,8] {
  %0 = slice(%q) {starts=[0,24], limits=[1,48]}
  %1 = reshape(%0) {shape=[1,3,1,8]}
  %2 = dynamic_update_slice(%x, %1, %z, %z, %i, %z)
  return %2
}`, 0},
	"heads of rows": {`func @f(%x: u16[3,90,8], %q: u16[5,24], %i: i64[], %z: i64[]) -> u16[3,90,8] {
  %0 = reshape(%q) {shape=[5,3,8]}
  %1 = transpose(%0) {perm=[1,0,2]}
  %2 = dynamic_update_slice(%x, %1, %z, %i, %z)
  return %2
}`, 0},
	"a reshaped operand": {`func @f(%x: f32[3,3200], %u: f32[3,1,8], %i: i64[], %z: i64[]) -> f32[3,400,8] {
  %0 = reshape(%x) {shape=[3,400,8]}
  %1 = dynamic_update_slice(%0, %u, %z, %i, %z)
  return %1
}`, 0},
	"a part of the operand": {`func @f(%x: f32[4,3200], %u: f32[3,8], %i: i64[], %z: i64[]) -> f32[3,3200] {
  %0 = slice(%x) {starts=[1,0], limits=[4,3200]}
  %1 = dynamic_update_slice(%0, %u, %z, %i)
  return %1
}`, -1},
	"a repeated operand": {`func @f(%x: i64[9], %u: i64[2,9], %i: i64[], %z: i64[]) -> i64[70,9] {
  %0 = broadcast(%x) {shape=[70,9], axes=[1]}
  %1 = dynamic_update_slice(%0, %u, %i, %z)
  return %1
}`, -1},
	"backwards": {`func @f(%x: f64[60,9], %u: f64[2,9], %i: i64[], %z: i64[]) -> f64[60,9] {
  %0 = reverse(%u) {axes=[0,1]}
  %1 = reverse(%x) {axes=[1]}
  %2 = dynamic_update_slice(%1, %0, %i, %z)
  return %2
}`, -1},
	"starts from a vector": {`func @f(%x: f32[60,30], %u: f32[2,30], %s: i64[4]) -> f32[60,30] {
  %0 = slice(%s) {starts=[1], limits=[2]}
  %1 = slice(%s) {starts=[3], limits=[4]}
  %2 = reshape(%0) {shape=[]}
  %3 = reshape(%1) {shape=[]}
  %4 = dynamic_update_slice(%x, %u, %2, %3)
  return %4
}`, 0},
	"starts from a copy": {`func @f(%x: f32[60,30], %u: f32[2,30], %s: i32[2,3]) -> f32[60,30] {
  %0 = transpose(%s) {perm=[1,0]}
  %1 = reshape(%0) {shape=[6]}
  %2 = slice(%1) {starts=[1], limits=[2]}
  %3 = reshape(%2) {shape=[]}
  %4 = dynamic_update_slice(%x, %u, %3, %3)
  return %4
}`, 0},
	"stored transposed": {`func @f(%x: u8[90,50], %u: u8[3,50], %i: i64[], %z: i64[]) -> u8[50,90] {
  %0 = dynamic_update_slice(%x, %u, %i, %z)
  %1 = transpose(%0) {perm=[1,0]}
  return %1
}`, -1},
	"stored reshaped": {`func @f(%x: u16[90,50], %u: u16[3,50], %i: i64[], %z: i64[]) -> u16[4500] {
  %0 = dynamic_update_slice(%x, %u, %i, %z)
  %1 = reshape(%0) {shape=[4500]}
  return %1
}`, 0},
	"an update without strides": {`func @f(%x: f32[90,60], %u: f32[60,5], %i: i64[], %z: i64[]) -> f32[90,60] {
  %0 = transpose(%u) {perm=[1,0]}
  %1 = reshape(%0) {shape=[20,15]}
  %2 = transpose(%1) {perm=[1,0]}
  %3 = dynamic_update_slice(%x, %2, %i, %i)
  return %3
}`, 0},
	"a result without strides": {`func @f(%x: f32[90,60], %u: f32[1,60], %i: i64[], %z: i64[]) -> f32[75,72] {
  %0 = dynamic_update_slice(%x, %u, %i, %z)
  %1 = transpose(%0) {perm=[1,0]}
  %2 = reshape(%1) {shape=[72,75]}
  %3 = transpose(%2) {perm=[1,0]}
  return %3
}`, -1},
	"rows of a slice": {`func @f(%x: bf16[50,24], %q: bf16[7,72], %i: i32[7]) -> bf16[50,24] {
  %0 = slice(%q) {starts=[0,24], limits=[7,48]}
  %1 = scatter(%x, %i, %0) {axis=0, combine="set"}
  return %1
}`, 0},
	"heads that share their indices": {`func @f(%x: f32[3,50,8], %q: f32[7,72], %i: i64[14]) -> f32[3,50,8] {
  %0 = slice(%q) {starts=[0,0], limits=[7,24]}
  %1 = reshape(%0) {shape=[7,3,8]}
  %2 = transpose(%1) {perm=[1,0,2]}
  %3 = slice(%i) {starts=[3], limits=[10]}
  %4 = scatter(%x, %3, %2) {axis=1, combine="add"}
  return %4
}`, 0},
	"carried from a slice": {`func @f(%x: f16[5,40,3], %q: f16[5,30,6], %i: u8[5,30]) -> f16[5,40,3] {
  %0 = slice(%q) {starts=[0,0,3], limits=[5,30,6]}
  %1 = scatter(%x, %i, %0) {axis=1, batch_dims=1, combine="add"}
  return %1
}`, 0},
	"columns, every other index": {`func @f(%x: i32[50,4], %q: i32[4,9], %i: i64[18]) -> i32[4,50] {
  %0 = transpose(%q) {perm=[1,0]}
  %1 = slice(%i) {starts=[0], limits=[18], strides=[2]}
  %2 = scatter(%x, %1, %0) {axis=0, combine="max"}
  %3 = transpose(%2) {perm=[1,0]}
  return %3
}`, -1},
	"one update for all": {`func @f(%x: f32[600], %u: f32[6], %i: i64[30]) -> f32[20,30] {
  %0 = broadcast(%u) {shape=[6,5], axes=[0]}
  %1 = reshape(%0) {shape=[30]}
  %2 = scatter(%x, %i, %1) {axis=0, combine="mul"}
  %3 = reshape(%2) {shape=[20,30]}
  return %3
}`, 0},
	"a part of itself": {`func @f(%x: f32[90,60], %i: i64[], %z: i64[]) -> f32[90,60] {
  %0 = slice(%x) {starts=[3,0], limits=[5,60]}
  %1 = dynamic_update_slice(%x, %0, %i, %z)
  return %1
}`, -1},
}

func TestUpdatesThroughViews(t *testing.T) {
	for name, c := range updatesThroughViews {
		t.Run(name, func(t *testing.T) {
			u := update{region: parsed(t, c.region)}
			r := rand.New(rand.NewPCG(5, 6))
			for _, p := range u.region.Params {
				shape, err := ir.EvalShape(p.Type.Shape, nil)
				require.NoError(t, err)
				u.args = append(u.args, random(r, p.Type.DType, shape, -9, 99))
			}
			want, err := ir.Eval(u.region, u.args, nil)
			require.NoError(t, err)
			wanted, _ := want[0].Contiguous().Bytes()
			l, bufs := u.launched(t)
			require.Equal(t, c.inPlace, l.InPlace(0))
			for _, workers := range []int{1, 3} {
				clear(bufs[len(bufs)-1])
				require.NoError(t, l.Run(bufs, scratchOf(l, workers), turns(workers)))
				require.Equal(t, wanted, bufs[len(bufs)-1])
			}
			if c.inPlace >= 0 {
				bufs[len(bufs)-1] = bufs[c.inPlace]
				require.NoError(t, l.Run(bufs, scratchOf(l, 1), turns(1)))
				require.Equal(t, wanted, bufs[c.inPlace])
			}
		})
	}
}

// An update by the operand itself cannot be in place.
func TestUpdateByItself(t *testing.T) {
	x := tensor.Arange(tensor.I64, 9)
	for _, text := range []string{
		"%0: i64[9] = scatter(%x, %x, %i) {axis=0, combine=\"add\"}", "%0: i64[9] = scatter(%x, %i, %x) {axis=0, combine=\"mul\"}",
	} {
		u := update{parsed(t, "func @f(%x: i64[9], %i: i64[9]) -> i64[9] {\n  "+text+"\n  return %0\n}\n"), []*tensor.Tensor{x, tensor.FillInt(tensor.I64, []int{9}, 4)}}
		want, err := ir.Eval(u.region, u.args, nil)
		require.NoError(t, err)
		l, bufs := u.launched(t)
		assert.Equal(t, -1, l.InPlace(0))
		require.NoError(t, l.Run(bufs, scratchOf(l, 1), turns(1)))
		wanted, _ := want[0].Bytes()
		assert.Equal(t, wanted, bufs[2])
	}
}

func TestUpdateClaims(t *testing.T) {
	e := native.New(asm.Features{})
	for text, want := range map[string]fusion.Level{
		"f32[32,32] u: f32[1,32]":   fusion.Strided,
		"f32[31,32] u: f32[1,32]":   fusion.Fusible, // small
		"f32[64,64] u: f32[32,64]":  fusion.Fusible, // much of it
		"f32[64,64] u: f32[64,S]":   fusion.Strided,
		"f32[S,64] u: f32[1,64]":    fusion.Strided,
		"f32[S,64] u: f32[S,64]":    fusion.Fusible, // all of it
		"u8[4096,1] u: u8[1023,1]":  fusion.Strided,
		"u8[4096,1] u: u8[1024,1]":  fusion.Fusible,
		"u8[4095,1] u: u8[1023,1]":  fusion.Fusible,
		"bf16[S,9] u: bf16[1,S]":    fusion.Strided,
		"bool[8192,2] u: bool[S,2]": fusion.Strided,
	} {
		var x, u string
		_, err := fmt.Sscanf(text, "%s u: %s", &x, &u)
		require.NoError(t, err)
		f := parsed(t, fmt.Sprintf("func @f(%%x: %s, %%u: %s, %%i: i64[]) -> %s where S in [1, 9] {\n  %%0: %s = dynamic_update_slice(%%x, %%u, %%i, %%i)\n  return %%0\n}\n", x, u, x, x))
		assert.Equal(t, want, e.Claim(f.Values[0]).Level, text)
	}
	u := scatterOf(t, tensor.F32, tensor.I64, "add", []int{2}, []int{1}, 0, 0)
	claim := e.Claim(u.region.Values[0])
	assert.Equal(t, fusion.Strided, claim.Level)
	assert.NotEmpty(t, claim.Why)
}

func TestUpdateErrors(t *testing.T) {
	f := parsed(t, `func @f(%x: f16[S], %i: i64[3], %u: f16[3]) -> f16[S] where S in [0, 9] {
  %0: f16[S] = scatter(%x, %i, %u) {axis=0, combine="add"}
  return %0
}`)
	k, err := native.New(asm.Features{}).Compile(context.Background(), f, executors.Options{})
	require.NoError(t, err)
	assert.Equal(t, "update", k.Info().Kind)
	_, err = k.Bind(map[string]int64{"S": 0})
	require.ErrorContains(t, err, "there is nothing to index")
	_, err = k.Bind(nil)
	require.Error(t, err)
	l, err := k.Bind(map[string]int64{"S": 4})
	require.NoError(t, err)
	require.ErrorContains(t, l.Run(make([][]byte, 4), scratchOf(l, 1), turns(1)), "missing or short")
	bufs := [][]byte{make([]byte, 8), make([]byte, 24), make([]byte, 6), make([]byte, 8)}
	require.ErrorContains(t, l.Run(bufs, nil, turns(1)), "scratch of 0 bytes")
}

func BenchmarkUpdate(b *testing.B) {
	for name, u := range map[string]update{
		"embedding gradient f32":  scatterOf(b, tensor.F32, tensor.I64, "add", []int{8192, 768}, []int{2048}, 0, 0),
		"embedding gradient bf16": scatterOf(b, tensor.BF16, tensor.I64, "add", []int{8192, 768}, []int{2048}, 0, 0),
		"histogram f32":           scatterOf(b, tensor.F32, tensor.I32, "add", []int{1 << 14}, []int{1 << 20}, 0, 0),
		"histogram bf16":          scatterOf(b, tensor.BF16, tensor.I32, "add", []int{1 << 14}, []int{1 << 20}, 0, 0),
		"rows set":                scatterOf(b, tensor.BF16, tensor.I64, "set", []int{8192, 1024}, []int{64}, 0, 0),
		"elements set":            scatterOf(b, tensor.F32, tensor.I64, "set", []int{1024, 1024}, []int{1024, 1024}, 1, 1),
	} {
		b.Run(name, func(b *testing.B) {
			l, bufs := u.launched(b)
			bufs[len(bufs)-1] = bufs[0]
			workers := pool.New(2)
			defer workers.Close()
			scratch := scratchOf(l, 2)
			b.SetBytes(int64(len(bufs[2])))
			for b.Loop() {
				require.NoError(b, l.Run(bufs, scratch, workers))
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(u.args[2].NumElements()), "ns/element")
		})
	}
}
