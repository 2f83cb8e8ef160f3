package jitc_test

import (
	"context"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc"
	"jitc/internal/irgen"
	"jitc/ir"
	"jitc/ir/tensor"
	rt "jitc/runtime"
)

// controlTraces are programs with control flow, and the sizes to run them at.
var controlTraces = map[string]struct {
	text  string
	sizes []map[string]int64
}{
	"rnn": {`func @rnn(%h: f32[B,8], %xs: f32[S,B,8], %w: f32[8,8], %u: f32[8,8]) -> (f32[B,8], f32[S,B,8])
    where B in [1, 64], S in [0, 64] {
  %r = scan(%h, %xs, %w, %u) {carries=1, inputs=1, length=[S]} func(%h: f32[B,8], %x: f32[B,8], %w: f32[8,8], %u: f32[8,8]) -> (f32[B,8], f32[B,8]) {
    %a = matmul(%h, %w)
    %b = matmul(%x, %u)
    %s = add(%a, %b)
    %t = tanh(%s)
    %y = mul(%t, 0.5)
    return %t, %y
  }
  %last = get(%r) {index=0}
  %all = get(%r) {index=1}
  return %last, %all
}
`, []map[string]int64{{"B": 4, "S": 0}, {"B": 4, "S": 1}, {"B": 1, "S": 2}, {"B": 3, "S": 7}, {"B": 33, "S": 12}}},
	"newton": {`func @newton(%a: f32[N]) -> (f32[N], i64[])
    where N in [1, 1000] {
  %zero = constant() {value=0, dtype=i64, shape=[]}
  %p = abs(%a)
  %q = add(%p, 0.25)
  %l = while(%q, %zero, %q) {carries=2} func(%x: f32[N], %n: i64[], %q: f32[N]) -> bool[] {
    %xx = mul(%x, %x)
    %d = sub(%xx, %q)
    %e = abs(%d)
    %r = div(%e, %q)
    %m = reduce_max(%r) {axes=[0]}
    %far = gt(%m, 1e-5)
    %few = lt(%n, 40)
    %more = and(%far, %few)
    return %more
  } func(%x: f32[N], %n: i64[], %q: f32[N]) -> (f32[N], i64[]) {
    %d = div(%q, %x)
    %s = add(%x, %d)
    %y = mul(%s, 0.5)
    %m = add(%n, 1)
    return %y, %m
  }
  %x = get(%l) {index=0}
  %n = get(%l) {index=1}
  return %x, %n
}
`, []map[string]int64{{"N": 1}, {"N": 5}, {"N": 700}}},
	"branches": {`func @branches(%k: f32[], %x: f32[B,4], %y: f32[B,4]) -> (f32[B,4], f32[B,4], f32[B])
    where B in [1, 64] {
  %p = gt(%k, 0.0)
  %c = cond(%p, %x, %y) func(%x: f32[B,4], %y: f32[B,4]) -> (f32[B,4], f32[B,4], f32[B]) {
    %m = mul(%x, %y)
    %e = softmax(%m) {axis=1}
    %s = reduce_sum(%m) {axes=[1]}
    return %e, %x, %s
  } func(%x: f32[B,4], %y: f32[B,4]) -> (f32[B,4], f32[B,4], f32[B]) {
    %s = reduce_max(%y) {axes=[1]}
    return %y, %y, %s
  }
  %0 = get(%c) {index=0}
  %1 = get(%c) {index=1}
  %2 = get(%c) {index=2}
  %3 = add(%0, %1)
  return %3, %1, %2
}
`, []map[string]int64{{"B": 1}, {"B": 9}, {"B": 64}}},
	// Carries that change places, one that is given back, a loop and a branch in a
	// loop, an output that is a slice itself.
	"nested": {`func @nested(%xs: f32[S,N], %ks: i64[S], %a: f32[N], %b: f32[N]) -> (f32[N], f32[N], f32[S,N], f32[S,N])
    where N in [1, 64], S in [0, 16] {
  %r = scan(%a, %b, %xs, %ks) {carries=2, inputs=2, length=[S]} func(%a: f32[N], %b: f32[N], %x: f32[N], %k: i64[]) -> (f32[N], f32[N], f32[N], f32[N]) {
    %l = while(%a, %k, %x) {carries=2} func(%a: f32[N], %k: i64[], %x: f32[N]) -> bool[] {
      %p = gt(%k, 0)
      return %p
    } func(%a: f32[N], %k: i64[], %x: f32[N]) -> (f32[N], i64[]) {
      %h = mul(%a, 0.5)
      %y = add(%h, %x)
      %j = sub(%k, 1)
      return %y, %j
    }
    %y = get(%l) {index=0}
    %odd = rem(%k, 2)
    %p = eq(%odd, 1)
    %c = cond(%p, %y, %b) func(%y: f32[N], %b: f32[N]) -> (f32[N], f32[N]) {
      return %b, %y
    } func(%y: f32[N], %b: f32[N]) -> (f32[N], f32[N]) {
      %t = tanh(%y)
      return %t, %b
    }
    %c0 = get(%c) {index=0}
    %c1 = get(%c) {index=1}
    return %c0, %c1, %y, %x
  }
  %0 = get(%r) {index=0}
  %1 = get(%r) {index=1}
  %2 = get(%r) {index=2}
  %3 = get(%r) {index=3}
  return %0, %1, %2, %3
}
`, []map[string]int64{{"N": 3, "S": 0}, {"N": 1, "S": 1}, {"N": 64, "S": 2}, {"N": 5, "S": 9}}},
	// Results that are operands, constants and one value twice; constants of
	// symbolic size with data outside of regions.
	"passed through": {`func @pass(%x: f32[N], %y: f32[N], %p: bool[]) -> (f32[N], f32[N], f32[3], f32[3], i64[])
    where N in [1, 64] {
  %c = cond(%p, %x, %y) func(%x: f32[N], %y: f32[N]) -> (f32[N], f32[N], f32[3], f32[3], i64[]) {
    %k: f32[3] = constant() {data=hex"0000803f0000004000004040"}
    %n = constant() {value=7, dtype=i64, shape=[]}
    return %y, %y, %k, %k, %n
  } func(%x: f32[N], %y: f32[N]) -> (f32[N], f32[N], f32[3], f32[3], i64[]) {
    %k: f32[3] = constant() {data=hex"0000803f0000004000004040"}
    %l = neg(%k)
    %n = constant() {value=8, dtype=i64, shape=[]}
    return %x, %y, %k, %l, %n
  }
  %0 = get(%c) {index=0}
  %1 = get(%c) {index=1}
  %2 = get(%c) {index=2}
  %3 = get(%c) {index=3}
  %4 = get(%c) {index=4}
  return %0, %1, %2, %3, %4
}
`, []map[string]int64{{"N": 1}, {"N": 40}}},
}

// recorded compiles a function and records it.
func recorded(t testing.TB, e *jitc.Engine, f *ir.Func, sizes map[string]int64) (*jitc.Compiled, *rt.Recording) {
	t.Helper()
	c, err := e.Compile(context.Background(), f, nil)
	require.NoError(t, err)
	r, err := c.Program.Record(sizes, e.Workers().Workers())
	require.NoError(t, err)
	return c, r
}

// smallArgs makes arguments with elements within [-2, 2], integers within [0, 4).
func smallArgs(t testing.TB, rng *rand.Rand, f *ir.Func, sizes map[string]int64) []*tensor.Tensor {
	var args []*tensor.Tensor
	for _, p := range f.Params {
		shape, err := ir.EvalShape(p.Type.Shape, sizes)
		require.NoError(t, err)
		rule := tensor.Rule{Kind: "uniform", Seed: rng.Uint64(), Lo: -2, Hi: 2}
		if !p.Type.DType.IsFloat() {
			rule = tensor.Rule{Kind: "ints", Seed: rng.Uint64(), Hi: 4}
		}
		if p.Type.DType == tensor.Bool {
			rule.Hi = 2
		}
		a, err := tensor.Generate(rule, p.Type.DType, shape)
		require.NoError(t, err)
		args = append(args, a)
	}
	return args
}

// TestControlAgreesWithEvaluation runs each program on every way of computing,
// twice with one recording.
func TestControlAgreesWithEvaluation(t *testing.T) {
	engines := wayEngines(t)
	for name, c := range controlTraces {
		t.Run(name, func(t *testing.T) {
			f := parseTrace(t, c.text)
			rng := rand.New(rand.NewPCG(4, 5))
			for _, sizes := range c.sizes {
				for w, e := range engines {
					_, r := recorded(t, e, f, sizes)
					for range 2 {
						args := smallArgs(t, rng, f, sizes)
						want, err := ir.Eval(f, args, sizes)
						require.NoError(t, err)
						got := r.Results()
						require.NoError(t, r.Run(args, got, e.Workers()))
						for i := range want {
							require.NoError(t, tensor.Check(got[i], want[i], tensor.Tolerance{Abs: 1e-5, Rel: 1e-4}),
								"%s at %v, result %d", ways[w].name, sizes, i)
						}
					}
				}
			}
		})
	}
}

// TestRandomControl compares random functions with control flow bit by bit: on the
// reference executor in all types, on native code in types that do not round.
func TestRandomControl(t *testing.T) {
	exact := []tensor.DType{tensor.I32, tensor.I64, tensor.U8, tensor.I16, tensor.Bool}
	reference := engine(t, jitc.Options{Threads: 1, Executors: []string{"reference"}, Verify: true})
	native := engine(t, jitc.Options{Threads: 2, Executors: []string{"native"}, Verify: true})
	from, to := seeds(t, 150)
	control := 0
	for seed := from; seed < to; seed++ {
		rng := rand.New(rand.NewPCG(21, seed))
		o, e := irgen.Options{Control: true, Static: seed%4 == 0, Values: 3 + rng.IntN(12), MaxElements: 300}, reference
		if seed%2 == 0 {
			o.DTypes, e = exact, native
		}
		f := irgen.Func(rng, o)
		sizes := irgen.Sizes(rng, f)
		c, r := recorded(t, e, f, sizes)
		for range 2 {
			args := irgen.Args(rng, f, sizes)
			want, err := ir.Eval(f, args, sizes)
			require.NoError(t, err)
			got := r.Results()
			require.NoError(t, r.Run(args, got, e.Workers()), "seed %d", seed)
			for i := range want {
				require.NoError(t, tensor.Check(got[i], want[i], tensor.Exact), "seed %d, result %d at %v of\n%s\n%s", seed, i, sizes, f, c.Fused)
			}
		}
		for _, s := range c.Program.Steps {
			if s.Bodies != nil {
				control++
			}
		}
	}
	assert.Greater(t, control, int(to-from)/4, "hardly any control flow is left to run")
}

// One recording runs on many goroutines at once, and reports its steps' times.
func TestControlRunsConcurrently(t *testing.T) {
	e := engine(t, jitc.Options{Threads: 2})
	c := controlTraces["nested"]
	f, sizes := parseTrace(t, c.text), map[string]int64{"N": 64, "S": 9}
	compiled, r := recorded(t, e, f, sizes)
	var wg sync.WaitGroup
	for g := range 4 {
		rng := rand.New(rand.NewPCG(9, uint64(g)))
		args := smallArgs(t, rng, f, sizes)
		want, err := ir.Eval(f, args, sizes)
		require.NoError(t, err)
		wg.Go(func() {
			for range 5 {
				got := r.Results()
				took := 0
				err := r.Profile(args, got, e.Workers(), func(int, time.Duration) { took++ })
				assert.NoError(t, err)
				assert.Equal(t, len(compiled.Program.Steps), took)
				assert.Nil(t, tensor.CompareAll(got, want, tensor.Tolerance{Abs: 1e-5, Rel: 1e-4}))
			}
		})
	}
	wg.Wait()
}

// Regions in bodies share kernels with those outside, and are reported with the
// body that holds them; the plan has the bodies' memory.
func TestControlIsReported(t *testing.T) {
	f := parseTrace(t, `func @f(%x: f32[N,64], %p: bool[]) -> (f32[N,64], f32[N,64])
    where N in [1, 64] {
  %e = exp(%x)
  %s = reduce_sum(%e) {axes=[1]}
  %b = broadcast(%s) {axes=[0], shape=[N, 64]}
  %d = div(%x, %b)
  %c = cond(%p, %x) func(%x: f32[N,64]) -> f32[N,64] {
    %e = exp(%x)
    %s = reduce_sum(%e) {axes=[1]}
    %b = broadcast(%s) {axes=[0], shape=[N, 64]}
    %d = div(%x, %b)
    return %d
  } func(%x: f32[N,64]) -> f32[N,64] {
    %w = dot_general(%x, %x) {lhs_contract=[1], rhs_contract=[1]}
    %v = dot_general(%w, %x) {lhs_contract=[1], rhs_contract=[0]}
    return %v
  }
  return %d, %c
}
`)
	e := engine(t, jitc.Options{Threads: 1})
	c, r := recorded(t, e, f, map[string]int64{"N": 16})
	steps := c.Steps()
	require.Len(t, c.Report.Regions, len(steps))
	var control *jitc.RegionReport
	keys := map[string][]string{}
	for i := range c.Report.Regions {
		g := &c.Report.Regions[i]
		if g.Kind == jitc.ControlKind {
			control = g
			continue
		}
		keys[g.Key] = append(keys[g.Key], g.In)
	}
	require.NotNil(t, control)
	assert.Equal(t, []string{"cond"}, control.Ops)
	shared := false
	for _, in := range keys {
		shared = shared || len(in) == 2 && in[0] == "" && in[1] == "c.then"
	}
	assert.True(t, shared, "the branch has a kernel of its own: %v", keys)
	assert.Equal(t, len(keys), c.Report.Kernels())
	assert.Contains(t, c.Parts.Report(), "%c, cond: else")
	found := false
	for _, b := range r.Plan() {
		if b.Result == -1 {
			found = true
			assert.GreaterOrEqual(t, b.Bytes, 16*16*4, "the product of the else branch")
		}
	}
	assert.True(t, found)
}

// What is wrong in a body is reported with its place.
func TestControlErrorsHavePositions(t *testing.T) {
	e := engine(t, jitc.Options{Threads: 1})
	f := parseTrace(t, controlTraces["rnn"].text)
	c, err := e.Compile(context.Background(), f, nil)
	require.NoError(t, err)
	_, err = c.Program.Record(map[string]int64{"B": 4}, 1)
	require.ErrorContains(t, err, "S")
	big := strings.ReplaceAll(controlTraces["newton"].text, "[1, 1000]", "[1, 9000000000000000]")
	c, err = e.Compile(context.Background(), parseTrace(t, big), nil)
	require.NoError(t, err)
	_, err = c.Program.Record(map[string]int64{"N": 1 << 50}, 1)
	require.ErrorContains(t, err, "too large at these sizes")
	assert.ErrorContains(t, err, "cond of the while at in.trace:6:3: ")
}

// Control flow over sizes that data decides is in the segment that knows them.
func TestControlOfSizesFromData(t *testing.T) {
	f := parseTrace(t, `func @f(%x: f32[N], %p: bool[]) -> (f32[U], f32[], f32[N])
    where N in [0, 64], U in [0, 64] {
  %m = gt(%x, 0.0)
  %y = masked_select(%x, %m) {count=[U]}
  %c = cond(%p, %y) func(%y: f32[U]) -> f32[U] {
    %z = neg(%y)
    return %z
  } func(%y: f32[U]) -> f32[U] {
    return %y
  }
  %zero = constant() {value=0.0, dtype=f32, shape=[]}
  %s = scan(%zero, %c) {carries=1, inputs=1, length=[U]} func(%a: f32[], %y: f32[]) -> f32[] {
    %b = add(%a, %y)
    return %b
  }
  %n = cond(%p, %x) func(%x: f32[N]) -> f32[N] {
    %e = exp(%x)
    return %e
  } func(%x: f32[N]) -> f32[N] {
    return %x
  }
  return %c, %s, %n
}
`)
	e := engine(t, jitc.Options{Threads: 1, Verify: true})
	fn := e.Function(f)
	for _, p := range []int64{0, 1} {
		args := []*tensor.Tensor{tensor.FromFloats(tensor.F32, []int{5}, []float64{1, -2, 3, 4, -5}), tensor.IntScalar(tensor.Bool, p)}
		want, err := ir.Eval(f, args, nil)
		require.NoError(t, err)
		got, err := fn.Call(context.Background(), args...)
		require.NoError(t, err)
		for i := range want {
			require.NoError(t, tensor.Check(got[i], want[i], tensor.Tolerance{Abs: 1e-5, Rel: 1e-5}))
		}
	}
}
