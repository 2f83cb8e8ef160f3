package ir

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/ir/tensor"
)

func parse(t *testing.T, text string) *Func {
	t.Helper()
	f, _, diags := Parse("test.trace", text)
	require.NoError(t, diags.Err())
	return f
}

const attention = `func @f(%q: f32[B,2*S], %k: i64[S], %w: f32[T,4]) -> f32[B,2*S]
    where B in [1, 8], B % 2 == 0, S >= 1, T == B*S {
  %0: f32[B,2*S] = exp(%q)
  return %0
}`

func TestBindSizes(t *testing.T) {
	f := parse(t, attention)
	q := func(shape ...int) *tensor.Tensor { return tensor.New(tensor.F32, shape...) }
	k := func(shape ...int) *tensor.Tensor { return tensor.New(tensor.I64, shape...) }
	cases := []struct {
		name   string
		args   []*tensor.Tensor
		preset map[string]int64
		want   string
	}{
		{"too few", []*tensor.Tensor{q(2, 6)}, nil, "wrong number of arguments to @f: expected 3, got 1"},
		{"nil", []*tensor.Tensor{q(2, 6), nil, q(6, 4)}, nil, "argument %k: no tensor given: expected i64[S]"},
		{"element type", []*tensor.Tensor{q(2, 6), q(3), q(6, 4)}, nil, "argument %k: wrong element type: expected i64[S], got f32[3]"},
		{"rank", []*tensor.Tensor{q(2, 6, 1), k(3), q(6, 4)}, nil, "argument %q: wrong rank"},
		{"constant size", []*tensor.Tensor{q(2, 6), k(3), q(6, 5)}, nil, "argument %w: wrong size on axis 1: expected f32[T,4], got f32[6,5]"},
		{"symbols disagree", []*tensor.Tensor{q(2, 8), k(3), q(6, 4)}, nil, "wrong size on axis 0"},
		{"not a multiple", []*tensor.Tensor{q(2, 7), k(3), q(6, 4)}, nil, "argument %q: wrong size on axis 1"},
		{"range", []*tensor.Tensor{q(10, 6), k(3), q(30, 4)}, nil, "argument %q: a size violates a declared fact: expected B in [1, 8], got B = 10"},
		{"divisor", []*tensor.Tensor{q(3, 6), k(3), q(9, 4)}, nil, "expected B % 2 == 0, got B = 3"},
		{"equality", []*tensor.Tensor{q(2, 6), k(3), q(7, 4)}, nil, "argument %w: a size violates a declared fact"},
		{"empty", []*tensor.Tensor{q(2, 0), k(0), q(0, 4)}, nil, "a size violates a declared fact"},
		{"preset disagrees", []*tensor.Tensor{q(2, 6), k(3), q(6, 4)}, map[string]int64{"B": 4}, "argument %q: wrong size on axis 0"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := BindSizes(f, c.args, c.preset)
			var be *BindError
			require.ErrorAs(t, err, &be)
			require.ErrorContains(t, err, c.want)
		})
	}
	sizes, err := BindSizes(f, []*tensor.Tensor{q(2, 6), k(3), q(6, 4)}, nil)
	require.NoError(t, err)
	assert.Equal(t, map[string]int64{"B": 2, "S": 3, "T": 6}, sizes)
}

// A size of two unknowns is bound once others have bound all but one of them.
func TestBindSizesInRounds(t *testing.T) {
	f := parse(t, `func @f(%a: f32[A*B], %b: f32[A + C], %c: f32[C]) -> f32[C] {
  return %c
}`)
	v := func(n int) *tensor.Tensor { return tensor.New(tensor.F32, n) }
	sizes, err := BindSizes(f, []*tensor.Tensor{v(15), v(7), v(4)}, nil)
	require.NoError(t, err)
	assert.Equal(t, map[string]int64{"A": 3, "B": 5, "C": 4}, sizes)
}

func TestBindSizesNeedsPresets(t *testing.T) {
	f := parse(t, `func @f(%a: f32[A*B]) -> f32[A*B] {
  return %a
}`)
	a := []*tensor.Tensor{tensor.New(tensor.F32, 15)}
	_, err := BindSizes(f, a, nil)
	require.ErrorContains(t, err, "a symbol's value does not follow from the shapes")
	sizes, err := BindSizes(f, a, map[string]int64{"A": 3})
	require.NoError(t, err)
	assert.Equal(t, map[string]int64{"A": 3, "B": 5}, sizes)

	g := parse(t, `func @g(%a: f32[]) -> f32[Q] where Q in [2, 9] {
  %0: f32[Q] = broadcast(%a) {axes=[]}
  return %0
}`)
	_, err = Eval(g, []*tensor.Tensor{tensor.Scalar(float32(3))}, nil)
	require.ErrorContains(t, err, "no value for the size Q")
	_, err = Eval(g, []*tensor.Tensor{tensor.Scalar(float32(3))}, map[string]int64{"Q": 1})
	require.ErrorContains(t, err, "expected Q in [2, 9], got Q = 1")
	out, err := Eval(g, []*tensor.Tensor{tensor.Scalar(float32(3))}, map[string]int64{"Q": 4})
	require.NoError(t, err)
	require.NoError(t, tensor.Check(out[0], tensor.Fill(tensor.F32, []int{4}, 3), tensor.Exact))
}

// A region computes what its values compute one by one; get takes its results apart.
func TestEvalOfRegions(t *testing.T) {
	plain := parse(t, `func @f(%x: f32[B,4]) -> (f32[B], f32[B,4]) {
  %0 = exp(%x)
  %1 = reduce_sum(%0) {axes=[1]}
  %2 = neg(%0)
  return %1, %2
}`)
	fused := parse(t, `func @f(%x: f32[B,4]) -> (f32[B], f32[B,4]) {
  %0 = fused(%x) func(%a: f32[B,4]) -> (f32[B,4], f32[B]) {
    %e = exp(%a)
    %s = reduce_sum(%e) {axes=[1]}
    %n = neg(%e)
    return %n, %s
  }
  %1 = get(%0) {index=1}
  %2 = get(%0) {index=0}
  return %1, %2
}`)
	x := tensor.Arange(tensor.F32, 3, 4)
	want, err := Eval(plain, []*tensor.Tensor{x}, nil)
	require.NoError(t, err)
	got, err := Eval(fused, []*tensor.Tensor{x}, nil)
	require.NoError(t, err)
	require.Nil(t, tensor.CompareAll(got, want, tensor.Exact))
}

func TestEvalErrorsNameTheValue(t *testing.T) {
	f := parse(t, `func @f(%x: f32[4], %y: f32[N]) -> f32[2*N] {
  %0: f32[4611686018427387904,N] = broadcast(%y) {axes=[1]}
  %1: f32[2*N] = concat(%y, %y) {axis=0}
  return %1
}`)
	_, err := Eval(f, []*tensor.Tensor{tensor.New(tensor.F32, 4), tensor.New(tensor.F32, 4)}, nil)
	require.ErrorContains(t, err, "test.trace:2:3: ")
}

func TestEvalShape(t *testing.T) {
	f := parse(t, `func @f(%x: f32[B - 4,1000000*B]) -> f32[B - 4,1000000*B] {
  return %x
}`)
	shape := f.Params[0].Type.Shape
	got, err := EvalShape(shape, map[string]int64{"B": 6})
	require.NoError(t, err)
	assert.Equal(t, []int{2, 6000000}, got)
	_, err = EvalShape(shape, nil)
	require.ErrorContains(t, err, "size B - 4")
	_, err = EvalShape(shape, map[string]int64{"B": 1 << 60})
	require.Error(t, err, "overflow")
}

func TestDecomposeValueReportsItsOp(t *testing.T) {
	f := parse(t, `func @f(%x: f32[B,4]) -> f32[B,4] {
  %0 = softmax(%x) {axis=1}
  return %0
}`)
	g, err := DecomposeValue(f.Values[0])
	require.NoError(t, err)
	require.NoError(t, Verify(g, Surface))
	require.True(t, g.Results[0].Type.Equal(f.Values[0].Type))
}
