package jitc_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc"
	"jitc/codegen/x64/asm"
	"jitc/executors"
	"jitc/executors/native"
	"jitc/internal/irgen"
	"jitc/internal/spread"
	"jitc/ir"
	"jitc/ir/tensor"
)

// limited is the native executor for fewer features than the processor has.
type limited struct {
	*native.Executor
	name string
}

func (l limited) Name() string { return l.name }

// registerLimited puts them behind the native executor in the default order, where
// nothing is left to claim. Benchmarks do without.
var registerLimited = sync.OnceFunc(func() {
	f := asm.Detect()
	f.AVX512, f.AVX512BF16 = false, false
	executors.Register(limited{native.New(f), "native-avx2"}, 98)
	executors.Register(limited{native.New(asm.Features{}), "native-interpreted"}, 99)
})

// ways are the ways of computing that must agree with ir.Eval.
var ways = []struct {
	name string
	o    jitc.Options
}{
	{"fused", jitc.Options{Threads: 1, Executors: []string{"native"}, Verify: true}},
	{"two threads", jitc.Options{Threads: 2, Executors: []string{"native"}}},
	{"unfused", jitc.Options{NoFuse: true, Executors: []string{"native"}}},
	{"avx2", jitc.Options{Threads: 1, Executors: []string{"native-avx2"}}},
	{"interpreted", jitc.Options{Threads: 1, Executors: []string{"native-interpreted"}}},
}

// wayEngines makes an engine for each way.
func wayEngines(t *testing.T) []*jitc.Engine {
	registerLimited()
	engines := make([]*jitc.Engine, len(ways))
	for i, w := range ways {
		engines[i] = engine(t, w.o)
	}
	return engines
}

// seeds gives the seeds to test: n from 0, or what JITC_SEEDS says ("1000-2000").
func seeds(t *testing.T, n uint64) (from, to uint64) {
	text := os.Getenv("JITC_SEEDS")
	if text == "" {
		return 0, n
	}
	_, err := fmt.Sscanf(text, "%d-%d", &from, &to)
	require.NoError(t, err, "JITC_SEEDS=%s", text)
	return from, to
}

// Random functions, at several sizes from one compilation, give what ir.Eval gives.
func TestRandomFunctions(t *testing.T) {
	from, to := seeds(t, 500)
	engines := wayEngines(t)
	var sum spread.Tally
	for seed := from; seed < to; seed++ {
		rng, f := irgen.Seeded(seed)
		fns := make([]*jitc.Function, len(ways))
		for i, e := range engines {
			fns[i] = e.Function(f)
		}
		for turn := range 2 + int(seed%2) {
			sizes := irgen.SizesAt(rng, f, turn)
			args := irgen.Args(rng, f, sizes)
			want, err := spread.New(rng, f, args, sizes)
			require.NoError(t, err, "seed %d", seed)
			if turn == 2 {
				for i := range args {
					args[i] = irgen.Strided(rng, args[i])
				}
			}
			for i, fn := range fns {
				got, err := fn.Call(context.Background(), args...)
				if assert.NoError(t, err, "seed %d, %s, sizes %v\n%s", seed, ways[i].name, sizes, f) {
					err = want.Check(&sum, got)
					assert.NoError(t, err, "seed %d, %s, sizes %v, turn %d\n%s", seed, ways[i].name, sizes, turn, f)
				}
			}
		}
	}
	t.Logf("%d elements, %d not defined", sum.Elements, sum.Undefined)
	require.Less(t, 4*sum.Undefined, sum.Elements, "most elements must be compared")
}

// foundWrong are functions, cut down, that random ones found to fail.
var foundWrong = map[string]string{
	"the sum of no infinities is 0, as is that of no NaN": `func @f(%x: f32[B,S]) -> (f8e4m3[B], f32[B]) where B in [1, 5], S in [0, 6] {
		%c: f8e4m3[B,S] = constant() {value=1e30}
		%s: f8e4m3[B] = reduce_sum(%c) {axes=[1]}
		%d: f32[B,S] = constant() {value=-inf}
		%t: f32[B] = reduce_sum(%d) {axes=[1]}
		return %s, %t
	}`,
	"reductions over nothing, axes in any order": `func @f(%x: f32[2,0,3,0], %y: u8[S,2*S,0,B]) -> (f32[3], f32[3], u8[B], u8[B]) where B in [1, 5], S in [0, 6] {
		%s: f32[3] = reduce_sum(%x) {axes=[0, 3, 1]}
		%m: f32[3] = reduce_min(%x) {axes=[0, 3, 1]}
		%p: u8[B] = reduce_prod(%y) {axes=[0, 2, 1]}
		%q: u8[B] = reduce_min(%y) {axes=[0, 2, 1]}
		return %s, %m, %p, %q
	}`,
	"masked stores of narrow floats in 16 registers": `func @f(%x: f8e5m2[1,2,2*B + 1], %y: f32[S]) -> (i64[1,2], f8e5m2[1,2,2*B + 1]) where B in [1, 5], S in [0, 6] {
		%i: i64[1,2] = argmin(%x) {axis=2}
		%l: f8e5m2[1,2,2*B + 1] = log(%x)
		return %i, %l
	}`,
}

func TestFunctionsFoundWrong(t *testing.T) {
	engines := wayEngines(t)
	for name, text := range foundWrong {
		t.Run(name, func(t *testing.T) {
			f, _, diags := ir.Parse("wrong.trace", text)
			require.NoError(t, diags.Err())
			for seed := range uint64(4) {
				rng := rand.New(rand.NewPCG(12, seed))
				sizes := irgen.SizesAt(rng, f, int(seed))
				args := irgen.Args(rng, f, sizes)
				want, err := spread.New(rng, f, args, sizes)
				require.NoError(t, err)
				for i, w := range ways {
					got, err := engines[i].FunctionAt(f, sizes).Call(context.Background(), args...)
					require.NoError(t, err, w.name)
					require.NoError(t, want.Check(&spread.Tally{}, got), "%s, sizes %v", w.name, sizes)
				}
			}
		})
	}
}

// One Function serves goroutines that call it at different sizes at once.
func TestRandomFunctionsConcurrently(t *testing.T) {
	for seed := range uint64(6) {
		rng, f := irgen.Seeded(4*seed + 3)
		fn := engine(t, jitc.Options{Threads: 2}).Function(f)
		type job struct {
			args []*tensor.Tensor
			want *spread.Oracle
		}
		var jobs []job
		for turn := range 5 {
			sizes := maps.Clone(irgen.SizesAt(rng, f, turn))
			args := irgen.Args(rng, f, sizes)
			want, err := spread.New(rng, f, args, sizes)
			require.NoError(t, err)
			jobs = append(jobs, job{args, want})
		}
		var all sync.WaitGroup
		for g := range 8 {
			all.Go(func() {
				var sum spread.Tally
				for c := range 10 {
					j := jobs[(g+c)%len(jobs)]
					got, err := fn.Call(context.Background(), j.args...)
					if assert.NoError(t, err) {
						assert.NoError(t, j.want.Check(&sum, got), "seed %d", seed)
					}
				}
			})
		}
		all.Wait()
	}
}
