package jitc_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc"
	"jitc/internal/irgen"
	"jitc/ir"
	"jitc/ir/tensor"
	rt "jitc/runtime"
)

// chainTraces are functions whose sizes depend on data.
var chainTraces = map[string]string{
	"select, then compute": `func @f(%x: f32[N], %k: f32[]) -> (f32[U], i64[], f32[], f32[U])
    where N >= 0, U >= 0 {
  %y: f32[N] = mul(%x, %x)
  %m: bool[N] = gt(%x, 0.0)
  %p: f32[U] = masked_select(%y, %m) {count=[U]}
  %r: f32[U] = sqrt(%p)
  %n: i64[] = size {of=[3*U - N]}
  %s: f32[] = reduce_sum(%r) {axes=[0]}
  return %r, %n, %s, %p
}
`,
	"nonzero of a nonzero": `func @f(%x: f32[N,M], %k: f32[]) -> (i64[U,2], i64[V,2], f32[V])
    where U >= 0, V >= 0 {
  %a: i64[U,2] = nonzero(%x) {count=[U]}
  %b: i64[V,2] = nonzero(%a) {count=[V]}
  %c: i64[V,1] = slice(%b) {starts=[0, 0], limits=[V, 1]}
  %i: i64[V] = reshape(%c)
  %f: f32[V] = cast(%i)
  %g: f32[V] = exp(%f)
  return %a, %b, %g
}
`,
	"two at once, then one of both": `func @f(%x: f32[N], %y: i64[N]) -> (f32[U], f32[V], f32[W], f32[U,V])
    where U >= 0, V >= 0, W >= 0 {
  %c: i64[N] = and(%y, 3)
  %m: bool[N] = lt(%x, 0.5)
  %a: f32[U] = masked_select(%x, %m) {count=[U]}
  %b: f32[V] = repeat(%x, %c) {axis=0, total=[V]}
  %0: f32[U,V] = broadcast(%a) {axes=[0]}
  %1: f32[U,V] = broadcast(%b) {axes=[1]}
  %o: f32[U,V] = mul(%0, %1)
  %p: bool[U,V] = gt(%o, 0.25)
  %w: f32[W] = masked_select(%o, %p) {count=[W]}
  return %a, %b, %w, %o
}
`,
	"a size from data": `func @f(%x: f32[N,3], %y: i64[N]) -> (i64[], f32[U,3], f32[N,3])
    where U >= 0, N >= 0 {
  %0: i64[N] = and(%y, 7)
  %1: i64[] = reduce_sum(%0) {axes=[0]}
  %n: i64[] = size_from(%1) {size=[U]}
  %m: f32[3] = reduce_max(%x) {axes=[0]}
  %b: f32[U,3] = broadcast(%m) {axes=[1]}
  %i: f32[U,3] = iota {axis=0}
  %r: f32[U,3] = add(%b, %i)
  return %n, %r, %x
}
`,
	"rows of a matrix": `func @f(%x: f32[N,4], %w: f32[4,5]) -> (f32[U,5], i64[U])
    where U >= 0, N >= 1 {
  %s: f32[N] = reduce_sum(%x) {axes=[1]}
  %m: bool[N] = gt(%s, 0.0)
  %z: i64[U,1] = nonzero(%m) {count=[U]}
  %i: i64[U] = reshape(%z)
  %g: f32[U,4] = gather(%x, %i) {axis=0}
  %d: f32[U,5] = dot_general(%g, %w) {lhs_contract=[1], rhs_contract=[0]}
  %r: f32[U,5] = relu(%d)
  return %r, %i
}
`,
}

func parseTrace(t testing.TB, text string) *ir.Func {
	t.Helper()
	f, _, diags := ir.Parse("in.trace", text)
	require.Empty(t, diags)
	require.NoError(t, ir.Verify(f, ir.Surface))
	return f
}

func chainEngine(t testing.TB, o jitc.Options) *jitc.Engine {
	t.Helper()
	o.Verify, o.Threads = true, 2
	e, err := jitc.NewEngine(o)
	require.NoError(t, err)
	t.Cleanup(e.Close)
	return e
}

// near is how far a compiled sum may be from the evaluated one.
var near = tensor.Tolerance{Abs: 1e-4, Rel: 1e-4, NaNEqual: true}

// TestChainsAgreeWithEvaluation runs every trace at sizes from 0 on, with random
// elements, with none selected and with all.
func TestChainsAgreeWithEvaluation(t *testing.T) {
	for name, text := range chainTraces {
		for _, o := range []jitc.Options{{}, {NoFuse: true}, {Executors: []string{"reference"}}} {
			t.Run(fmt.Sprintf("%s/%v %v", name, o.NoFuse, o.Executors), func(t *testing.T) {
				f := parseTrace(t, text)
				fn := chainEngine(t, o).Function(f)
				rng := rand.New(rand.NewPCG(5, 6))
				for n := range int64(12) {
					if n == 0 && name == "rows of a matrix" {
						continue // declared to be at least 1
					}
					args := irgen.Args(rng, f, map[string]int64{"N": n, "M": n % 5})
					for i, a := range args {
						if a.DType() == tensor.F32 {
							args[i] = mixed(rng, a.Shape(), int(n)%3)
						}
					}
					requireSameAsEval(t, fn, f, args)
				}
			})
		}
	}
}

// mixed makes a tensor of both signs, of -1 only, or of 1 only.
func mixed(rng *rand.Rand, shape []int, sort int) *tensor.Tensor {
	if sort != 0 {
		return tensor.Fill(tensor.F32, shape, float64(2*sort-3))
	}
	x := tensor.New(tensor.F32, shape...)
	for i := range tensor.Data[float32](x) {
		tensor.Data[float32](x)[i] = float32(rng.IntN(5) - 2)
	}
	return x
}

func requireSameAsEval(t testing.TB, fn *jitc.Function, f *ir.Func, args []*tensor.Tensor) []*tensor.Tensor {
	t.Helper()
	want, err := ir.Eval(f, args, nil)
	require.NoError(t, err)
	got, err := fn.Call(context.Background(), args...)
	require.NoError(t, err)
	if m := tensor.CompareAll(got, want, near); m != nil {
		require.Fail(t, m.Error())
	}
	return got
}

func compiledChain(t testing.TB, fn *jitc.Function) *rt.Chain {
	t.Helper()
	c, err := fn.Compiled(context.Background())
	require.NoError(t, err)
	require.NotNil(t, c.Chain)
	require.Len(t, c.Programs(), len(c.Segments))
	return c.Chain
}

func ints(n ...int64) *tensor.Tensor { return tensor.FromInts(tensor.I64, []int{len(n)}, n) }

func TestChainReusesRecordings(t *testing.T) {
	f := parseTrace(t, chainTraces["a size from data"])
	fn := chainEngine(t, jitc.Options{Limits: rt.Limits{Recordings: 2}}).Function(f)
	x := tensor.Arange(tensor.F32, 2, 3)
	for _, y := range []*tensor.Tensor{ints(1, 2), ints(2, 1), ints(3, 0)} { // U is 3
		got := requireSameAsEval(t, fn, f, []*tensor.Tensor{x, y})
		require.Equal(t, []int{3, 3}, got[1].Shape())
	}
	require.Equal(t, "data decides sizes: each of 2 segments is recorded by itself", fn.Stats().Entries[0].Unrecorded)
	require.Equal(t, 2, fn.Stats().Entries[0].Recordings)
	stats := compiledChain(t, fn).Stats()
	require.Len(t, stats, 2)
	assert.EqualValues(t, 2, stats[0].Hits)
	assert.EqualValues(t, 1, stats[0].Misses)
	assert.EqualValues(t, 2, stats[1].Hits)
	assert.EqualValues(t, 1, stats[1].Misses)
	assert.Equal(t, 1, stats[0].Definers)
	for n := range int64(5) {
		requireSameAsEval(t, fn, f, []*tensor.Tensor{x, ints(n, 0)})
	}
	stats = compiledChain(t, fn).Stats()
	assert.Equal(t, 2, stats[1].Recordings)
	assert.EqualValues(t, 4, stats[1].Evicted)
	assert.Equal(t, 1, stats[0].Recordings, "the first segment does not have U")
}

func TestChainRefusesSizes(t *testing.T) {
	const text = `func @f(%n: i64[], %x: f32[B]) -> f32[U]
    where B >= 0, U in [1, 8], U % 2 == 0 {
  %m: i64[] = size_from(%n) {size=[U]}
  %f: f32[] = cast(%n)
  %r: f32[U] = broadcast(%f) {axes=[]}
  return %r
}
`
	f := parseTrace(t, text)
	fn := chainEngine(t, jitc.Options{}).Function(f)
	x := tensor.New(tensor.F32, 3)
	for _, c := range []struct {
		n    int64
		want string
	}{
		{9, "in.trace:3:3: size_from: the size U: expected U in [1, 8], got U = 9"},
		{0, "in.trace:3:3: size_from: the size U: expected U in [1, 8], got U = 0"},
		{3, "in.trace:3:3: size_from: the size U: expected U % 2 == 0, got U = 3"},
		{-2, "in.trace:3:3: size_from: the size U: expected U >= 0, got U = -2"},
	} {
		args := []*tensor.Tensor{tensor.Scalar(c.n), x}
		_, err := fn.Call(context.Background(), args...)
		require.EqualError(t, err, c.want)
		var de *ir.DefineError
		require.ErrorAs(t, err, &de)
		_, err = ir.Eval(f, args, nil)
		require.EqualError(t, err, c.want)
	}
	requireSameAsEval(t, fn, f, []*tensor.Tensor{tensor.Scalar(int64(4)), x})

	_, err := fn.Call(context.Background(), tensor.Scalar(int64(4)))
	require.ErrorContains(t, err, "wrong number of arguments")
	at := chainEngine(t, jitc.Options{}).FunctionAt(f, map[string]int64{"U": 4})
	_, err = at.Call(context.Background(), tensor.Scalar(int64(4)), x)
	require.ErrorContains(t, err, "size_from at in.trace:3:3 defines it")
	ad, err := fn.Lookup(context.Background(), tensor.Scalar(int64(4)), x)
	require.NoError(t, err)
	require.Nil(t, ad.Recording, "which one runs, the elements decide")
}

func TestChainIntoGivenResults(t *testing.T) {
	f := parseTrace(t, chainTraces["a size from data"])
	fn := chainEngine(t, jitc.Options{}).Function(f)
	args := []*tensor.Tensor{tensor.Arange(tensor.F32, 2, 3), ints(1, 3)}
	want, err := ir.Eval(f, args, nil)
	require.NoError(t, err)
	into := []*tensor.Tensor{tensor.New(tensor.I64), tensor.New(tensor.F32, 4, 3), tensor.New(tensor.F32, 2, 3)}
	require.NoError(t, fn.CallInto(context.Background(), into, args))
	if m := tensor.CompareAll(into, want, near); m != nil {
		require.Fail(t, m.Error())
	}

	var be *rt.BufferError
	into[1] = tensor.New(tensor.F32, 5, 3)
	require.ErrorAs(t, fn.CallInto(context.Background(), into, args), &be)
	assert.Equal(t, "result 1: expected f32[4 3], got f32[5 3] (its size depends on the arguments' elements)", be.Error())
	into[1] = tensor.New(tensor.F32, 4, 3)
	into[2] = args[0]
	require.ErrorAs(t, fn.CallInto(context.Background(), into, args), &be)
	assert.Contains(t, be.Error(), "memory of its own")
	into[2] = nil
	require.ErrorAs(t, fn.CallInto(context.Background(), into, args), &be)
	require.ErrorAs(t, fn.CallInto(context.Background(), into[:2], args), &be)
}

func TestChainsRunConcurrently(t *testing.T) {
	f := parseTrace(t, chainTraces["two at once, then one of both"])
	fn := chainEngine(t, jitc.Options{Limits: rt.Limits{Recordings: 3}}).Function(f)
	var all sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		all.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(i), 1))
			for range 10 {
				args := irgen.Args(rng, f, map[string]int64{"N": rng.Int64N(6)})
				want, err := ir.Eval(f, args, nil)
				if err == nil {
					var got []*tensor.Tensor
					if got, err = fn.Call(context.Background(), args...); err == nil {
						if m := tensor.CompareAll(got, want, near); m != nil {
							err = m
						}
					}
				}
				if err != nil {
					errs[i] = err
					return
				}
			}
		})
	}
	all.Wait()
	for _, err := range errs {
		require.NoError(t, err)
	}
}

// TestUnneededDefinersVanish: what nobody needs is not run, unless the function
// promises something of its size.
func TestUnneededDefinersVanish(t *testing.T) {
	text := `func @f(%%x: f32[N]) -> f32[N]
    where N >= 0, %s {
  %%a: i64[U,1] = nonzero(%%x) {count=[U]}
  %%r: f32[N] = neg(%%x)
  return %%r
}
`
	free := parseTrace(t, fmt.Sprintf(text, "U >= 0"))
	fn := chainEngine(t, jitc.Options{}).Function(free)
	c, err := fn.Compiled(context.Background())
	require.NoError(t, err)
	assert.Nil(t, c.Chain)
	assert.NotContains(t, c.Canonical.Facts.Syms(), "U")
	requireSameAsEval(t, fn, free, []*tensor.Tensor{tensor.Arange(tensor.F32, 4)})
	_, err = fn.Lookup(context.Background(), tensor.Arange(tensor.F32, 4))
	require.NoError(t, err)

	bound := parseTrace(t, fmt.Sprintf(text, "U in [0, 2]"))
	fn = chainEngine(t, jitc.Options{}).Function(bound)
	compiledChain(t, fn)
	_, err = fn.Call(context.Background(), tensor.Arange(tensor.F32, 4))
	require.EqualError(t, err, "in.trace:3:3: nonzero: the size U: expected U in [0, 2], got U = 3")
}
