package ir

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/ir/dim"
	"jitc/ir/tensor"
)

// evalText evaluates a function of the text form.
func evalText(t *testing.T, text string, args ...*tensor.Tensor) []*tensor.Tensor {
	t.Helper()
	f, _, diags := Parse("in.trace", text)
	require.NoError(t, diags.Err())
	require.NoError(t, Verify(f, Surface))
	out, err := Eval(f, args, nil)
	require.NoError(t, err)
	return out
}

const condText = `func @f(%p: bool[], %x: i64[B], %y: i64[B]) -> (i64[B], i64[B]) {
  %c = cond(%p, %x, %y) func(%x: i64[B], %y: i64[B]) -> (i64[B], i64[B]) {
    %s = sub(%x, %y)
    return %s, %x
  } func(%x: i64[B], %y: i64[B]) -> (i64[B], i64[B]) {
    return %y, %x
  }
  %0 = get(%c) {index=0}
  %1 = get(%c) {index=1}
  return %0, %1
}
`

func vector(xs ...int64) *tensor.Tensor { return tensor.FromInts(tensor.I64, []int{len(xs)}, xs) }

func TestCondRunsOneBranch(t *testing.T) {
	x, y := vector(5, 7), vector(1, 2)
	out := evalText(t, condText, tensor.IntScalar(tensor.Bool, 1), x, y)
	assert.Equal(t, []int64{4, 5}, tensor.Ints(out[0]))
	assert.Equal(t, []int64{5, 7}, tensor.Ints(out[1]))
	out = evalText(t, condText, tensor.IntScalar(tensor.Bool, 0), x, y)
	assert.Equal(t, []int64{1, 2}, tensor.Ints(out[0]))
	assert.Equal(t, []int64{5, 7}, tensor.Ints(out[1]))
}

// A division by an invariant counts in a second carry.
const whileText = `func @log(%x: i64[], %base: i64[]) -> (i64[], i64[]) {
  %zero = constant() {value=0, dtype=i64, shape=[]}
  %l = while(%x, %zero, %base) {carries=2} func(%x: i64[], %n: i64[], %base: i64[]) -> bool[] {
    %p = ge(%x, %base)
    return %p
  } func(%x: i64[], %n: i64[], %base: i64[]) -> (i64[], i64[]) {
    %d = div(%x, %base)
    %m = add(%n, 1)
    return %d, %m
  }
  %0 = get(%l) {index=0}
  %1 = get(%l) {index=1}
  return %0, %1
}
`

func TestWhileRunsUntilItsConditionFails(t *testing.T) {
	for _, c := range [][4]int64{{1000, 10, 1, 3}, {9, 10, 9, 0}, {64, 2, 1, 6}} {
		out := evalText(t, whileText, tensor.IntScalar(tensor.I64, c[0]), tensor.IntScalar(tensor.I64, c[1]))
		assert.Equal(t, []int64{c[2]}, tensor.Ints(out[0]))
		assert.Equal(t, []int64{c[3]}, tensor.Ints(out[1]))
	}
}

// Fibonacci numbers, and products of an input's rows with them.
const scanText = `func @f(%a: i64[], %b: i64[], %xs: i64[S,2]) -> (i64[], i64[], i64[S], i64[S,2]) {
  %r = scan(%a, %b, %xs) {carries=2, inputs=1, length=[S]} func(%a: i64[], %b: i64[], %x: i64[2]) -> (i64[], i64[], i64[], i64[2]) {
    %c = add(%a, %b)
    %w = broadcast(%a) {axes=[], shape=[2]}
    %y = mul(%x, %w)
    return %b, %c, %a, %y
  }
  %0 = get(%r) {index=0}
  %1 = get(%r) {index=1}
  %2 = get(%r) {index=2}
  %3 = get(%r) {index=3}
  return %0, %1, %2, %3
}
`

func TestScanStacksItsOutputs(t *testing.T) {
	one := tensor.IntScalar(tensor.I64, 1)
	xs := tensor.FromInts(tensor.I64, []int{4, 2}, []int64{1, 2, 3, 4, 5, 6, 7, 8})
	out := evalText(t, scanText, one, one, xs)
	assert.Equal(t, []int64{5}, tensor.Ints(out[0]))
	assert.Equal(t, []int64{8}, tensor.Ints(out[1]))
	assert.Equal(t, []int64{1, 1, 2, 3}, tensor.Ints(out[2]))
	assert.Equal(t, []int64{1, 2, 3, 4, 10, 12, 21, 24}, tensor.Ints(out[3]))

	out = evalText(t, scanText, one, one, tensor.New(tensor.I64, 0, 2))
	assert.Equal(t, []int64{1}, tensor.Ints(out[0]))
	assert.Equal(t, []int{0}, out[2].Shape())
	assert.Equal(t, []int{0, 2}, out[3].Shape())
}

// Sizes that are equal under the facts only are equal in bodies too.
func TestControlKnowsTheFacts(t *testing.T) {
	text := `func @f(%p: bool[], %x: f32[N], %y: f32[M]) -> f32[N]
    where N == M {
  %0: f32[N] = cond(%p, %x, %y) func(%x: f32[N], %y: f32[M]) -> f32[N] {
    %s: f32[N] = add(%x, %y)
    return %s
  } func(%x: f32[N], %y: f32[M]) -> f32[M] {
    return %y
  }
  return %0
}
`
	f, _, diags := Parse("in.trace", text)
	require.NoError(t, diags.Err())
	require.NoError(t, Verify(f, Surface))
	_, _, diags = Parse("in.trace", strings.Replace(text, "N == M", "N >= 0, M >= 0", 1))
	require.ErrorContains(t, diags.Err(), "differ")
}

func TestEmitControl(t *testing.T) {
	facts := dim.NewFacts()
	body := func(op Op) *Func {
		f := NewFunc("", facts)
		x := f.AddParam("x", TConst(tensor.F32, 2), nil)
		f.Results = []*Value{NewBuilder(f).Unary(op, x)}
		return f
	}
	f := NewFunc("f", facts)
	p, x := f.AddParam("p", T(tensor.Bool), nil), f.AddParam("x", TConst(tensor.F32, 2), nil)
	b := NewBuilder(f)
	v := b.EmitControl(OpCond, []*Value{p, x}, []*Func{body(OpNeg), body(OpExp)})
	require.NoError(t, b.Err())
	f.Results = []*Value{v}
	require.NoError(t, Verify(f, Primitive))
	assert.False(t, v.HasEffect())
	assert.Equal(t, "else", BodyRole(v.Op, 1))

	assert.Nil(t, b.EmitControl(OpCond, []*Value{x, x}, v.Bodies))
	var oe *OpError
	require.ErrorAs(t, b.Err(), &oe)
	assert.Equal(t, 0, oe.Arg)
	assert.Nil(t, b.Emit(OpNeg, []*Value{x}), "the first error sticks")
}

// A body's mistakes are the function's.
func TestVerifyLooksIntoBodies(t *testing.T) {
	f, _, diags := Parse("in.trace", scanText)
	require.NoError(t, diags.Err())
	body := f.Values[0].Bodies[0]
	body.Values[0].Type = TConst(tensor.I64, 7)
	require.ErrorContains(t, Verify(f, Surface), "in.trace:3:5: add (id 3): type is i64[7]")
	body.Values[0].Args[0] = f.Params[0]
	require.ErrorContains(t, Verify(f, Surface), "operand 0 is not defined above")
}
