package jitc_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc"
	"jitc/ir/dim"
	"jitc/trace"
)

const layeredTrace = `func @layers(%x: f32[B,64], %w: f32[32,64]) -> f32[B,32]
    where B in [0, 5000] {
  %h: f32[B,32] = linear(%x, %w)
  %y: f32[B,32] = softmax(%h) {axis=1}
  return %y
}`

const gridTrace = `func @grid(%x: f32[M,N]) -> f32[M,N]
    where M in [0, 90], N in [0, 90] {
  %y: f32[M,N] = exp(%x)
  return %y
}`

func classesOf(t *testing.T, text string, executors ...string) *jitc.SizeClasses {
	t.Helper()
	file, err := trace.Parse("sizes.trace", text)
	require.NoError(t, err)
	e, err := jitc.NewEngine(jitc.Options{Executors: executors, Threads: 1})
	require.NoError(t, err)
	defer e.Close()
	s, err := e.Function(file.Func).Sizes(context.Background())
	require.NoError(t, err)
	return s
}

// classAt is the one class that sizes are in.
func classAt(t *testing.T, s *jitc.SizeClasses, sizes map[string]int64) *jitc.SizeClass {
	t.Helper()
	var in []*jitc.SizeClass
	for i := range s.Classes {
		if allHold(t, s.Classes[i].Conds, sizes) {
			in = append(in, &s.Classes[i])
		}
	}
	require.Len(t, in, 1, "%v in %s", sizes, s)
	return in[0]
}

func allHold(t *testing.T, cs []dim.Constraint, sizes map[string]int64) bool {
	t.Helper()
	for _, c := range cs {
		holds, err := c.Holds(sizes)
		require.NoError(t, err)
		if !holds {
			return false
		}
	}
	return true
}

func whats(choices []jitc.Choice) []string {
	var out []string
	for _, c := range choices {
		out = append(out, c.By+": "+c.What)
	}
	return out
}

// Every valid size is in one class, at whose smallest member the program chooses
// what it chooses there.
func TestSizesPartitionTheValidSizes(t *testing.T) {
	for _, text := range []string{layeredTrace, gridTrace} {
		file, err := trace.Parse("sizes.trace", text)
		require.NoError(t, err)
		e, err := jitc.NewEngine(jitc.Options{Threads: 1})
		require.NoError(t, err)
		defer e.Close()
		fn := e.Function(file.Func)
		s, err := fn.Sizes(context.Background())
		require.NoError(t, err)
		require.True(t, s.Complete, s.Rest)
		compiled, err := fn.Compiled(context.Background())
		require.NoError(t, err)
		least := map[*jitc.SizeClass]map[string]int64{}
		for sizes := range everySize(file.Func.Facts) {
			class := classAt(t, s, sizes)
			if least[class] == nil || sum(sizes) < sum(least[class]) {
				least[class] = maps.Clone(sizes)
			}
			if sum(sizes)%7 != 0 {
				continue
			}
			all, err := compiled.Choices(sizes)
			require.NoError(t, err)
			for _, want := range whats(class.Choices) {
				require.Contains(t, whats(all), want, "%v", sizes)
			}
		}
		require.Len(t, least, len(s.Classes), "a class without members")
		for class, sizes := range least {
			assert.Equal(t, sum(sizes), sum(class.Smallest), "%v is smaller than %v", sizes, class.Smallest)
		}
	}
}

// everySize are the sizes that the ranges of one or two symbols allow, those of
// one a little thinned out.
func everySize(f *dim.Facts) func(yield func(map[string]int64) bool) {
	return func(yield func(map[string]int64) bool) {
		syms := f.Syms()
		_, hi := f.Range(dim.Sym(syms[0]))
		for a := int64(0); a <= hi; a++ {
			if len(syms) == 1 && !yield(map[string]int64{syms[0]: a}) {
				return
			}
			for b := int64(0); len(syms) > 1 && b <= 90; b++ {
				if !yield(map[string]int64{syms[0]: a, syms[1]: b}) {
					return
				}
			}
		}
	}
}

func sum(sizes map[string]int64) (n int64) {
	for _, v := range sizes {
		n += v
	}
	return n
}

func TestSizesOfTheReferenceAreOneClass(t *testing.T) {
	s := classesOf(t, layeredTrace, "reference")
	require.Len(t, s.Classes, 1)
	assert.True(t, s.Complete)
	assert.Empty(t, s.Classes[0].Conds)
	assert.Equal(t, map[string]int64{"B": 0}, s.Classes[0].Smallest)
	assert.Equal(t, "all sizes: smallest B=0\n", s.String())
}

func TestSizesOfControlFlow(t *testing.T) {
	s := classesOf(t, `func @f(%x: f32[L,B], %c: f32[B]) -> f32[B] where L in [1, 9], B in [1, 9000] {
  %y: f32[B] = scan(%c, %x) {carries=1, inputs=1, length=[L]} func(%a: f32[B], %s: f32[B]) -> f32[B] {
    %n: f32[B] = add(%a, %s)
    return %n
  }
  return %y
}`)
	require.True(t, s.Complete)
	for _, c := range s.Classes {
		for _, cond := range c.Conds {
			assert.Equal(t, []string{"B"}, cond.Syms(), "the body's code does not depend on the number of steps")
		}
	}
}

// Sizes that the function was made with are the only valid ones, and sizes that
// data decides are not among them.
func TestSizesThatAreGivenOrFound(t *testing.T) {
	file, err := trace.Parse("f.trace", `func @f(%x: f32[N]) -> i64[U,1] where N in [0, 8], U in [0, 8] {
  %m: bool[N] = gt(%x, 0.0)
  %i: i64[U,1] = nonzero(%m) {count=[U]}
  return %i
}`)
	require.NoError(t, err)
	e, err := jitc.NewEngine(jitc.Options{Executors: []string{"reference"}})
	require.NoError(t, err)
	defer e.Close()
	s, err := e.FunctionAt(file.Func, map[string]int64{"N": 3}).Sizes(context.Background())
	require.NoError(t, err)
	assert.Equal(t, []string{"N"}, s.Syms)
	assert.Equal(t, map[string]int64{"N": 3}, s.Classes[0].Smallest)
	assert.True(t, s.Complete)
	_, err = e.FunctionAt(file.Func, map[string]int64{"N": 9}).Sizes(context.Background())
	assert.ErrorIs(t, err, dim.ErrContradiction)
}

func TestSizesEndWithTheContext(t *testing.T) {
	file, err := trace.Parse("sizes.trace", gridTrace)
	require.NoError(t, err)
	e, err := jitc.NewEngine(jitc.Options{Threads: 1})
	require.NoError(t, err)
	defer e.Close()
	fn := e.Function(file.Func)
	_, err = fn.Compiled(context.Background())
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err = fn.Sizes(ctx)
	assert.ErrorIs(t, err, context.Canceled)
}

// A Go function's branches make classes; the line that decided is told.
func TestSizesOfAGoFunction(t *testing.T) {
	e, err := jitc.NewEngine(jitc.Options{Executors: []string{"reference"}})
	require.NoError(t, err)
	defer e.Close()
	traced := 0
	fn := jitc.Func2(e, func(x *jitc.Tensor, n jitc.Int) *jitc.Tensor {
		traced++
		if x.Size(0).Less(8) {
			return x.Neg()
		}
		if n.Size().GreaterEq(3) {
			return x.Exp()
		}
		return x
	}, jitc.ArgNames("x", "n"), jitc.Marks(
		jitc.MaybeDynamic("x", 0, jitc.Dim("B")).Range(2, 100), jitc.MaybeDynamic("n", -1, jitc.Dim("n"))))
	x, err := jitc.From(make([]float32, 30), 10, 3)
	require.NoError(t, err)
	s, err := fn.Traced().Sizes(context.Background(), x, jitc.NewInt(5))
	require.NoError(t, err)
	require.True(t, s.Complete, s)
	var got []string
	for _, c := range s.Classes {
		got = append(got, fmt.Sprint(c.Conds, c.Smallest))
	}
	slices.Sort(got)
	assert.Equal(t, []string{
		"[B <= 7] map[B:2 n:0]",
		"[B >= 8 n <= 2] map[B:8 n:0]",
		"[B >= 8 n >= 3] map[B:8 n:3]",
	}, got)
	assert.Equal(t, 3, traced, "one trace per class")
	first := s.Classes[0].Choices[0]
	assert.Equal(t, "trace", first.By)
	assert.True(t, strings.HasSuffix(first.At.File, "sizes_test.go"), first.At)
	assert.Contains(t, first.What, "Less")
	assert.Zero(t, fn.Traced().Stats().Calls, "nothing is called")
	assert.Empty(t, fn.Traced().Entries())
}

// Each value that a trace asks for is a class, and the search ends.
func TestSizesAreBounded(t *testing.T) {
	e, err := jitc.NewEngine(jitc.Options{Executors: []string{"reference"}})
	require.NoError(t, err)
	defer e.Close()
	fn := jitc.Func1(e, func(x *jitc.Tensor) *jitc.Tensor {
		return x.Mul(float64(x.Size(0).Int()))
	}, jitc.Marks(jitc.MaybeDynamic("0", 0, jitc.Dim("B"))))
	x, err := jitc.From(make([]float32, 4), 4)
	require.NoError(t, err)
	s, err := fn.Traced().Sizes(context.Background(), x)
	require.NoError(t, err)
	assert.Len(t, s.Classes, jitc.MaxSizeClasses)
	assert.False(t, s.Complete)
	assert.Contains(t, s.Rest, "the search stopped")
	assert.Contains(t, s.String(), s.Rest)
	assert.Equal(t, map[string]int64{"B": 63}, s.Classes[63].Smallest)
}

// Where the function has no program, its error is the class.
func TestSizesThatCannotBeTraced(t *testing.T) {
	e, err := jitc.NewEngine(jitc.Options{Executors: []string{"reference"}})
	require.NoError(t, err)
	defer e.Close()
	fn := jitc.Func1(e, func(x *jitc.Tensor) *jitc.Tensor {
		if x.Size(0).Equal(1) {
			return x.Add(jitc.Ones(jitc.F32, 7, 7)).MatMul(x)
		}
		return x
	}, jitc.Marks(jitc.MaybeDynamic("0", 0, jitc.Dim("B"))))
	x, err := jitc.From(make([]float32, 12), 4, 3)
	require.NoError(t, err)
	s, err := fn.Traced().Sizes(context.Background(), x)
	require.NoError(t, err)
	require.Len(t, s.Classes, 2, s)
	assert.NoError(t, s.Classes[0].Err)
	assert.Equal(t, "[B != 1]", fmt.Sprint(s.Classes[0].Conds))
	assert.Error(t, s.Classes[1].Err)
	assert.Equal(t, "[B == 1]", fmt.Sprint(s.Classes[1].Conds))
	assert.True(t, s.Complete)
	assert.Contains(t, s.String(), "no program")
}

func TestSizesArguments(t *testing.T) {
	e, err := jitc.NewEngine(jitc.Options{Executors: []string{"reference"}})
	require.NoError(t, err)
	defer e.Close()
	type model struct{ W *jitc.Tensor }
	fn := jitc.Func2(e, func(m *jitc.Frozen[model], x *jitc.Tensor) *jitc.Tensor { return x.MatMul(m.Value().W) },
		jitc.ArgNames("m", "x"), jitc.Marks(jitc.Dynamic("x", 0, jitc.Dim("B")).Range(1, 8)))
	w, err := jitc.From(make([]float32, 6), 3, 2)
	require.NoError(t, err)
	x, err := jitc.From(make([]float32, 6), 2, 3)
	require.NoError(t, err)
	frozen, err := jitc.Freeze(model{w})
	require.NoError(t, err)
	ctx, sizes := context.Background(), fn.Traced().Sizes
	s, err := sizes(ctx, frozen, x)
	require.NoError(t, err)
	require.Len(t, s.Classes, 1, s)
	assert.Equal(t, map[string]int64{"B": 1}, s.Classes[0].Smallest)

	_, err = sizes(ctx, x)
	assert.ErrorContains(t, err, "expected 2 arguments, got 1")
	_, err = sizes(ctx, x, frozen)
	assert.ErrorContains(t, err, "argument m: expected a *jitc.Frozen")
	_, err = sizes(ctx, frozen, nil)
	assert.ErrorContains(t, err, "argument x: expected a *trace.Tensor, got <nil>")
	_, err = sizes(ctx, frozen, (*jitc.Tensor)(nil))
	assert.ErrorContains(t, err, "x: expected a tensor, got nil")
	many, err := jitc.From(make([]float32, 27), 9, 3)
	require.NoError(t, err)
	_, err = sizes(ctx, frozen, many)
	assert.ErrorContains(t, err, "expected B <= 8")
}

func TestGuardsOfAFunction(t *testing.T) {
	file, err := trace.Parse("sizes.trace", layeredTrace)
	require.NoError(t, err)
	e, err := jitc.NewEngine(jitc.Options{Executors: []string{"reference"}})
	require.NoError(t, err)
	defer e.Close()
	fn := e.Function(file.Func)
	set, err := fn.Guards()
	require.NoError(t, err)
	var texts []string
	for i := range set.Guards {
		texts = append(texts, set.Guards[i].Text(fn.Schema()))
	}
	assert.Contains(t, texts, "%x.size(0) <= 5000")
	assert.Equal(t, []string{"B = %x.size(0)"}, set.Sources[0].Text(fn.Schema()))
	assert.Zero(t, e.KernelStats().Misses, "nothing is compiled")
}

// Branches on sizes divide them into classes, each with the smallest sizes to test
// it with.
func ExampleTraced_Sizes() {
	engine, err := jitc.NewEngine(jitc.Options{Executors: []string{"reference"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer engine.Close()
	pool := jitc.Func1(engine, func(x *jitc.Tensor) *jitc.Tensor {
		if x.Size(0).DivisibleBy(2) {
			return x.Reshape(x.Size(0).Div(2), 2).Mean(1)
		}
		return x
	}, jitc.ArgNames("x"), jitc.Marks(jitc.MaybeDynamic("x", 0, jitc.Dim("N")).Range(1, 1024)))
	classes, err := pool.Traced().Sizes(context.Background(), jitc.Ones(jitc.F32, 8))
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, c := range classes.Classes {
		fmt.Println(c.Conds, c.Smallest)
	}
	// Output:
	// [N % 2 != 0] map[N:1]
	// [N % 2 == 0] map[N:2]
}
