package jitc_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc"
	"jitc/ir"
	"jitc/ir/tensor"
)

// TestMistakesInOptions: what is wrong with an option, the function or an argument is
// an error that names it, and never a panic.
func TestMistakesInOptions(t *testing.T) {
	e := chainEngine(t, jitc.Options{})
	double := func(x *jitc.Tensor) *jitc.Tensor { return x.Add(x) }
	x, err := jitc.From([]float32{1, 2, 3, 4}, 2, 2)
	require.NoError(t, err)
	b := jitc.Dim("B")
	for want, opts := range map[string][]jitc.FuncOption{
		`mark dynamic y[0] as B: no argument is called "y": expected one of ["x"]`: {jitc.Marks(jitc.Dynamic("y", 0, b))},
		`no argument is called "params": expected one of ["x"]`:                    {jitc.Marks(jitc.Static("params.W[2]", -1))},
		"axis 2 of x: there is no such axis: expected one below 2, got 2":          {jitc.Marks(jitc.MaybeDynamic("x", 2, b))},
		`mark unbacked x[0] as 2*B: expected the name of a symbol`:                 {jitc.Marks(jitc.Unbacked("x", 0, b.Mul(2)))},
		"mark dynamic x[0] as B: divisible by 0: expected 1 or more":               {jitc.Marks(jitc.Dynamic("x", 0, b).Divisible(0))},
		"contradict":                  {jitc.Marks(jitc.Dynamic("x", 0, b).Range(5, 1))},
		"an empty Mark":               {jitc.Marks(jitc.Mark{}.Range(0, 1))},
		"bucket B: expected buckets":  {jitc.Bucket("B", nil)},
		`(hint: a_b)`:                 {jitc.Name("a b")},
		"expected at most 1":          {jitc.ArgNames("x", "y")},
		`donate "z": no tensor argum`: {jitc.Donate("z")},
		`bucket Q: no size is called that: expected one of ["B"]`: {jitc.Marks(jitc.Dynamic("x", 0, b)), jitc.Bucket("Q", jitc.Steps(4))},
	} {
		_, err := jitc.Func1(e, double, append([]jitc.FuncOption{jitc.ArgNames("x"), nil}, opts...)...).Call(context.Background(), x)
		assert.ErrorContains(t, err, want)
	}
	_, err = jitc.Func1[*jitc.Tensor, *jitc.Tensor](e, nil).Call(context.Background(), x)
	assert.ErrorContains(t, err, "expected a Go function, got nil")
	_, err = jitc.Func1(e, double).Call(context.Background(), new(jitc.Tensor))
	assert.ErrorContains(t, err, "an empty tensor")
	_, err = jitc.Func1(e, double, jitc.Name("twice")).Call(context.Background(), nil)
	assert.ErrorContains(t, err, "@twice: 0: expected a tensor, got nil")
	frozen := jitc.Func1(e, func(p *jitc.Frozen[*jitc.Tensor]) *jitc.Tensor { return p.Value().Relu() })
	_, err = frozen.Call(context.Background(), new(jitc.Frozen[*jitc.Tensor]))
	assert.ErrorContains(t, err, "expected what Freeze made")
	_, err = jitc.NewEngine(jitc.Options{Kernels: -1})
	assert.ErrorContains(t, err, "kernels: expected 0 or more, got -1")
}

// TestMistakesInFunctions: a Function tells them at every call, compiled or not.
func TestMistakesInFunctions(t *testing.T) {
	e := chainEngine(t, jitc.Options{})
	f, _, diags := ir.Parse("t", "func @f(%x: f32[B]) -> f32[B] where B >= 0 {\n  %y: f32[B] = relu(%x)\n  return %y\n}\n")
	require.NoError(t, diags.Err())
	for want, fn := range map[string]*jitc.Function{
		"@nil: expected a trace, got nil":                             e.Function(nil),
		"@f: bucket B: expected buckets":                              e.Function(f, jitc.Bucket("B", nil)),
		`@f: bucket N: no size is called that: expected one of ["B"]`: e.Function(f, jitc.Bucket("N", jitc.Steps(8))),
	} {
		_, err := fn.Call(context.Background(), tensor.New(tensor.F32, 2))
		assert.ErrorContains(t, err, want)
		_, err = fn.Compiled(context.Background())
		assert.ErrorContains(t, err, want)
		_, err = fn.Guards()
		assert.ErrorContains(t, err, want)
		_, err = fn.Sizes(context.Background())
		assert.ErrorContains(t, err, want)
	}
}

func été(x *jitc.Tensor) *jitc.Tensor { return x.Abs() }

func generic[T any](x *jitc.Tensor) *jitc.Tensor { return x.Neg() }

// TestNamesOfGoFunctions: they are names of the text form.
func TestNamesOfGoFunctions(t *testing.T) {
	e := chainEngine(t, jitc.Options{})
	for _, fn := range []func(*jitc.Tensor) *jitc.Tensor{generic[int], été, (*jitc.Tensor).Exp} {
		f := jitc.Func1(e, fn)
		_, err := f.Call(context.Background(), jitc.Scalar(1.0))
		require.NoError(t, err)
		parsed, _, diags := ir.Parse("t", f.String())
		require.NoError(t, diags.Err(), f.String())
		assert.Equal(t, f.Traced().Name(), parsed.Name)
	}
	assert.Equal(t, "generic", jitc.Func1(e, generic[int]).Traced().Name())
}

// TestSeparateSizes: sizes that were equal in all calls share a symbol, or not.
func TestSeparateSizes(t *testing.T) {
	e := chainEngine(t, jitc.Options{})
	neg := func(x *jitc.Tensor) *jitc.Tensor { return x.Neg() }
	for want, opts := range map[string][]jitc.FuncOption{"f32[s0,s0]": nil, "f32[s0,s1]": {jitc.SeparateSizes()}} {
		f := jitc.Func1(e, neg, opts...)
		for _, n := range []int{2, 3} {
			_, err := f.Call(context.Background(), jitc.Zeros(jitc.F32, n, n))
			require.NoError(t, err)
		}
		entries := f.Traced().Entries()
		require.Len(t, entries, 2)
		assert.Equal(t, want, entries[1].Traced.F.Params[0].Type.String())
	}
}

// TestLimitsOfAChain: the recordings of a chain are bounded by the function's limits.
func TestLimitsOfAChain(t *testing.T) {
	e := chainEngine(t, jitc.Options{Limits: jitc.Limits{Recordings: 100}})
	f, _, diags := ir.Parse("t", chainTraces["select, then compute"])
	require.NoError(t, diags.Err())
	fn := e.Function(f, jitc.WithLimits(jitc.Limits{Recordings: 2}))
	for n := range 6 {
		_, err := fn.Call(context.Background(), tensor.New(tensor.F32, n), tensor.New(tensor.F32))
		require.NoError(t, err)
	}
	c, err := fn.Compiled(context.Background())
	require.NoError(t, err)
	assert.Equal(t, 2, c.Chain.Stats()[0].Recordings)
}

// TestWhatCallersHold: what a caller gave or got and then changes is not the
// engine's.
func TestWhatCallersHold(t *testing.T) {
	e := chainEngine(t, jitc.Options{})
	execs := e.Executors()
	execs[0] = nil
	assert.NotNil(t, e.Executors()[0])
	f, _, diags := ir.Parse("t", "func @f(%x: f32[B + N]) -> i64[] where B >= 0, N >= 0 {\n  %y: i64[] = size {of=[B]}\n  return %y\n}\n")
	require.NoError(t, diags.Err())
	sizes := map[string]int64{"N": 3}
	fn := e.FunctionAt(f, sizes)
	sizes["N"] = 1
	got, err := fn.Call(context.Background(), tensor.New(tensor.F32, 5))
	require.NoError(t, err)
	assert.Equal(t, []int64{2}, tensor.Data[int64](got[0]))
}
