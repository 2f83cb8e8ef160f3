package runtime

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"jitc/ir"
	"jitc/ir/tensor"
)

// rnn has a carry, slices of inputs and outputs, and invariants.
const rnn = `func @rnn(%h: f32[B,8], %xs: f32[S,B,8], %w: f32[8,8], %u: f32[8,8]) -> (f32[B,8], f32[S,B,8])
    where B in [1, 64], S in [0, 200] {
  %r = scan(%h, %xs, %w, %u) {carries=1, inputs=1, length=[S]} func(%h: f32[B,8], %x: f32[B,8], %w: f32[8,8], %u: f32[8,8]) -> (f32[B,8], f32[B,8]) {
    %a = dot_general(%h, %w) {lhs_contract=[1], rhs_contract=[0]}
    %b = dot_general(%x, %u) {lhs_contract=[1], rhs_contract=[0]}
    %s = add(%a, %b)
    %t = tanh(%s)
    %y = mul(%t, 0.5)
    return %t, %y
  }
  %last = get(%r) {index=0}
  %all = get(%r) {index=1}
  return %last, %all
}
`

// decode appends to a row of tokens until one is 0: a loop whose end data decides,
// with a carry that is updated and one that is counted.
const decode = `func @decode(%prompt: i64[], %table: i64[N]) -> (i64[16], i64[])
    where N in [1, 100] {
  %row0: i64[16] = constant() {value=0, dtype=i64, shape=[16]}
  %n0: i64[] = constant() {value=0, dtype=i64, shape=[]}
  %l = while(%prompt, %row0, %n0, %table) {carries=3} func(%t: i64[], %row: i64[16], %n: i64[], %table: i64[N]) -> bool[] {
    %p = ne(%t, 0)
    %q = lt(%n, 16)
    %more = and(%p, %q)
    return %more
  } func(%t: i64[], %row: i64[16], %n: i64[], %table: i64[N]) -> (i64[], i64[16], i64[]) {
    %one = broadcast(%t) {axes=[], shape=[1]}
    %next = dynamic_update_slice(%row, %one, %n)
    %u = dynamic_slice(%table, %t) {sizes=[1]}
    %v = reshape(%u) {shape=[]}
    %m = add(%n, 1)
    return %v, %next, %m
  }
  %row = get(%l) {index=1}
  %n = get(%l) {index=2}
  return %row, %n
}
`

// turns has carries that change places, one that is given back, outputs that are
// slices, loops and branches in a loop; slices of 4*N bytes and of 8.
const turns = `func @turns(%xs: f32[S,N], %ks: i64[S], %a: f32[N], %b: f32[N]) -> (f32[N], f32[N], f32[S,N], f32[S,N])
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
      %t = exp(%y)
      %u = neg(%t)
      return %u, %b
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
`

// swap has carries that change places in each iteration, and results given twice.
const swap = `func @swap(%a: f32[N], %b: f32[N], %xs: f32[S,N]) -> (f32[N], f32[N], f32[N], f32[S,N], f32[S,N])
    where N in [1, 64], S in [0, 16] {
  %r = scan(%a, %b, %a, %xs) {carries=3, inputs=1, length=[S]} func(%a: f32[N], %b: f32[N], %c: f32[N], %x: f32[N]) -> (f32[N], f32[N], f32[N], f32[N], f32[N]) {
    %s = add(%c, %x)
    return %b, %a, %s, %s, %s
  }
  %0 = get(%r) {index=0}
  %1 = get(%r) {index=1}
  %2 = get(%r) {index=2}
  %3 = get(%r) {index=3}
  %4 = get(%r) {index=4}
  return %0, %1, %2, %3, %4
}
`

// loops are programs of control flow and sizes to run them at.
var loops = map[string]struct {
	text  string
	sizes []map[string]int64
}{
	"rnn":    {rnn, []map[string]int64{{"B": 4, "S": 0}, {"B": 4, "S": 1}, {"B": 1, "S": 2}, {"B": 3, "S": 7}}},
	"decode": {decode, []map[string]int64{{"N": 5}, {"N": 40}}},
	"turns":  {turns, []map[string]int64{{"N": 3, "S": 0}, {"N": 1, "S": 1}, {"N": 64, "S": 2}, {"N": 5, "S": 9}}},
	"swap":   {swap, []map[string]int64{{"N": 3, "S": 0}, {"N": 1, "S": 1}, {"N": 64, "S": 2}, {"N": 5, "S": 9}}},
}

// loopArgs makes arguments with small elements; those of integers are indices.
func loopArgs(t testing.TB, rng *rand.Rand, f *ir.Func, sizes map[string]int64) []*tensor.Tensor {
	var args []*tensor.Tensor
	for _, p := range f.Params {
		shape, err := ir.EvalShape(p.Type.Shape, sizes)
		require.NoError(t, err)
		rule := tensor.Rule{Kind: "uniform", Seed: rng.Uint64(), Lo: -2, Hi: 2}
		if !p.Type.DType.IsFloat() {
			rule = tensor.Rule{Kind: "ints", Seed: rng.Uint64(), Hi: 4}
		}
		a, err := tensor.Generate(rule, p.Type.DType, shape)
		require.NoError(t, err)
		args = append(args, a)
	}
	return args
}

// mostly are ways of giving ops to a device.
var mostly = map[string]func(v *ir.Value) bool{
	"all":        nil,
	"but tanh":   func(v *ir.Value) bool { return v.Op != ir.OpTanh && v.Op != ir.OpExp },
	"but counts": func(v *ir.Value) bool { return v.Type.DType != tensor.I64 },
	"products": func(v *ir.Value) bool {
		return v.Op == ir.OpDotGeneral || v.Op == ir.OpMul || v.Op == ir.OpDynamicSlice
	},
}

// prefix has a carry that each iteration reads while it computes the next one.
const prefix = `func @prefix(%c: f32[N], %xs: f32[S,N]) -> (f32[N], f32[S,N])
    where N in [1, 64], S in [0, 200] {
  %r = scan(%c, %xs) {carries=1, inputs=1, length=[S]} func(%c: f32[N], %x: f32[N]) -> (f32[N], f32[N]) {
    %h = neg(%c)
    %s = add(%c, %x)
    return %s, %h
  }
  %0 = get(%r) {index=0}
  %1 = get(%r) {index=1}
  return %0, %1
}
`
