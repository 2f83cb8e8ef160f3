package cublas_test

import (
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"jitc"
	"jitc/executors"
	"jitc/executors/cublas"
	"jitc/executors/cuda"
	"jitc/executors/cuda/cublaslt"
	ltfake "jitc/executors/cuda/cublaslt/fake"
	"jitc/executors/cuda/driver/fake"
	"jitc/internal/irgen"
	"jitc/internal/spread"
	"jitc/ir"
	"jitc/ir/tensor"
)

// named are the executors under names of their own.
type namedDevice struct {
	*cuda.Executor
	name string
}

func (x namedDevice) Name() string { return x.name }

type namedLibrary struct {
	*cublas.Executor
	name string
}

func (x namedLibrary) Name() string { return x.name }

var engines atomic.Int64

// engine has the machine's executors, and the host for what they do not take.
func (m *machine) engine(t *testing.T, o jitc.Options) *jitc.Engine {
	t.Helper()
	n := engines.Add(1)
	device, library := namedDevice{m.device, fmt.Sprint("cuda-", n)}, namedLibrary{m.cublas, fmt.Sprint("cublas-", n)}
	executors.Register(library, 0)
	executors.Register(device, 10)
	o.Executors = []string{library.name, device.name, "native"}
	e, err := jitc.NewEngine(o)
	require.NoError(t, err)
	t.Cleanup(e.Close)
	return e
}

const mlpText = `func @mlp(%x: bf16[B,24], %w: bf16[32,24], %b: bf16[32], %u: bf16[2,16,32], %h: bf16[4,B,16]) -> (bf16[B,16], bf16[16,B], f32[4,B,B]) where B in [1, 40] {
  %0: bf16[B,32] = linear(%x, %w, %b)
  %1: bf16[B,32] = gelu(%0)
  %2: bf16[1,16,32] = slice(%u) {limits=[2, 16, 32], starts=[1, 0, 0]}
  %3: bf16[16,32] = reshape(%2)
  %4: bf16[32,16] = transpose(%3) {perm=[1, 0]}
  %5: bf16[B,16] = matmul(%1, %4)
  %6: bf16[16,B] = transpose(%5) {perm=[1, 0]}
  %7: bf16[16,B] = tanh(%6)
  %8: f32[4,B,B] = dot_general(%h, %h) {dtype=f32, lhs_batch=[0], lhs_contract=[2], rhs_batch=[0], rhs_contract=[2]}
  %9: f32[4,B,B] = softmax(%8) {axis=2}
  return %5, %7, %9
}`

// A program's products are the library's, in graphs with the kernels of the rest, and
// its results those of ir.Eval, at every size.
func TestProgram(t *testing.T) {
	for _, o := range []jitc.Options{{Verify: true}, {NoFuse: true}, {Threads: 2}} {
		m := newMachine(t, fake.Config{Seed: 11, Races: true}, ltfake.Config{Workspace: 1 << 10}, cuda.Options{})
		f := parse(t, mlpText)
		checkProgram(t, m.engine(t, o), f)
		require.GreaterOrEqual(t, m.library.Count("Prepare"), 3*4, "three products at each size")
		require.Positive(t, m.driver.Count("AddChildNode"))
		require.Positive(t, m.driver.Count("LaunchGraph"))
	}
}

// checkProgram runs a program of B rows at several sizes.
func checkProgram(t *testing.T, e *jitc.Engine, f *ir.Func) {
	t.Helper()
	fn := e.Function(f)
	var sum spread.Tally
	for turn, b := range []int64{7, 7, 16, 1, 33, 7} {
		rng := rand.New(rand.NewPCG(uint64(turn), 3))
		sizes := map[string]int64{"B": b}
		args := irgen.Args(rng, f, sizes)
		want, err := spread.New(rng, f, args, sizes)
		require.NoError(t, err)
		for range 3 {
			got, err := fn.Call(t.Context(), args...)
			require.NoError(t, err)
			require.NoError(t, want.Check(&sum, got), "%d rows", b)
		}
	}
	require.Less(t, 4*sum.Undefined, sum.Elements, "most elements must be compared")
}

// What is not worth it stays with the device's own kernels, which fuse.
func TestProgramOfSmallProducts(t *testing.T) {
	m := newMachine(t, fake.Config{Eager: true}, ltfake.Config{}, cuda.Options{})
	m.cublas = cublas.New(m.device, m.library, cublas.Options{})
	f := parse(t, mlpText)
	sizes := map[string]int64{"B": 5}
	_, err := m.engine(t, jitc.Options{}).Function(f).Call(t.Context(), numbers(t, f, sizes, 1)...)
	require.NoError(t, err)
	require.Zero(t, m.library.Count("Prepare"))
	require.Positive(t, m.driver.Count("Launch")+m.driver.Count("LaunchGraph"))
}

// Random programs of products among other things, at several sizes.
func TestRandomPrograms(t *testing.T) {
	m := newMachine(t, fake.Config{Seed: 4}, ltfake.Config{Workspace: 512}, cuda.Options{})
	flaky := newMachine(t, fake.Config{Seed: 5}, ltfake.Config{Uncapturable: true,
		Nodes: func(o cublaslt.Operands) int { return int(o.D>>9) % 3 }}, cuda.Options{})
	es := []*jitc.Engine{m.engine(t, jitc.Options{Verify: true}), flaky.engine(t, jitc.Options{NoFuse: true})}
	seeds := uint64(60)
	if testing.Short() {
		seeds = 15
	}
	var sum spread.Tally
	for seed := range seeds {
		rng := rand.New(rand.NewPCG(31, seed))
		f := irgen.Func(rng, irgen.Options{MaxElements: 300, DTypes: []tensor.DType{tensor.F32, tensor.BF16, tensor.F16, tensor.F64}})
		if !hasProducts(f) {
			continue
		}
		for turn := range 2 {
			sizes := irgen.SizesAt(rng, f, turn)
			args := irgen.Args(rng, f, sizes)
			want, err := spread.New(rng, f, args, sizes)
			require.NoError(t, err)
			for i, e := range es {
				got, err := e.Function(f).Call(t.Context(), args...)
				require.NoError(t, err, "seed %d, engine %d\n%s", seed, i, f)
				require.NoError(t, want.Check(&sum, got), "seed %d, engine %d, sizes %v\n%s", seed, i, sizes, f)
			}
		}
	}
	require.Greater(t, m.library.Count("Multiply"), 10)
	require.Greater(t, flaky.library.Count("Multiply"), 10)
}

func hasProducts(f *ir.Func) bool {
	for _, v := range f.Values {
		if v.Op == ir.OpDotGeneral || v.Op == ir.OpMatmul || v.Op == ir.OpLinear {
			return true
		}
	}
	return false
}
