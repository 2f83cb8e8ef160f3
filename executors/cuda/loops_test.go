package cuda_test

import (
	"context"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"jitc"
	"jitc/executors/cuda"
	"jitc/executors/cuda/driver"
	"jitc/executors/cuda/driver/fake"
	"jitc/ir"
	"jitc/ir/tensor"
	rt "jitc/runtime"
)

// Loops whose bodies run on the device stay there.

const rnnTrace = `func @rnn(%h: f32[B,8], %xs: f32[S,B,8], %w: f32[8,8], %u: f32[8,8]) -> (f32[B,8], f32[S,B,8])
    where B in [1, 64], S in [0, 200] {
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
`

// deepTrace has several kernels in an iteration, two of which have slices.
const deepTrace = `func @deep(%h: f32[B,8], %xs: f32[S,B,8], %w: f32[8,8], %u: f32[8,8]) -> (f32[B,8], f32[S,B,8])
    where B in [1, 64], S in [0, 200] {
  %r = scan(%h, %xs, %w, %u) {carries=1, inputs=1, length=[S]} func(%h: f32[B,8], %x: f32[B,8], %w: f32[8,8], %u: f32[8,8]) -> (f32[B,8], f32[B,8]) {
    %a = matmul(%x, %u)
    %b = matmul(%h, %w)
    %s = add(%a, %b)
    %t = tanh(%s)
    %c = matmul(%t, %u)
    %d = softmax(%c) {axis=1}
    %e = matmul(%d, %w)
    %n = tanh(%e)
    %y = matmul(%n, %u)
    return %n, %y
  }
  %last = get(%r) {index=0}
  %all = get(%r) {index=1}
  return %last, %all
}
`

const decodeTrace = `func @decode(%prompt: i64[], %table: i64[N]) -> (i64[16], i64[])
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

// looped is a function of a trace that is called with tensors on the device.
type looped struct {
	w             way
	d             *fake.Driver
	fn            *jitc.Function
	args, results []*tensor.Tensor
	want          []*tensor.Tensor
}

func newLooped(t *testing.T, text string, o cuda.Options, args []*tensor.Tensor) *looped {
	t.Helper()
	f, _, diags := ir.Parse("loop.trace", text)
	require.NoError(t, diags.Err())
	d := fake.New(fake.Config{Races: true, Seed: 3})
	w := wayOn(t, d, o, jitc.Options{Verify: true}, all)
	want, err := ir.Eval(f, args, nil)
	require.NoError(t, err)
	l := &looped{w: w, d: d, fn: w.engine.Function(f), want: want}
	for _, x := range args {
		l.args = append(l.args, toQueue(t, x, w))
	}
	for _, x := range want {
		l.results = append(l.results, toQueue(t, tensor.New(x.DType(), x.Shape()...), w))
	}
	return l
}

func toQueue(t *testing.T, x *tensor.Tensor, w way) *tensor.Tensor {
	t.Helper()
	y, err := rt.ToQueue(x, w.queue)
	require.NoError(t, err)
	return y
}

// call calls it, and returns what the driver was asked for meanwhile.
func (l *looped) call(t *testing.T) map[string]int {
	t.Helper()
	counted := []string{"CopyToHost", "CopyToDevice", "CopyOnDevice", "Launch", "LaunchGraph", "SetKernelNode", "Instantiate"}
	before := map[string]int{}
	for _, c := range counted {
		before[c] = l.d.Count(c)
	}
	require.NoError(t, l.fn.CallInto(context.Background(), l.results, l.args))
	done := map[string]int{}
	for _, c := range counted {
		done[c] = l.d.Count(c) - before[c]
	}
	require.Nil(t, tensor.CompareAll(l.results, l.want, programTolerance))
	return done
}

func rnnArgs(t *testing.T, b, s int) []*tensor.Tensor {
	t.Helper()
	var args []*tensor.Tensor
	rng := rand.New(rand.NewPCG(3, 4))
	for _, shape := range [][]int{{b, 8}, {s, b, 8}, {8, 8}, {8, 8}} {
		x, err := tensor.Generate(tensor.Rule{Kind: "uniform", Seed: rng.Uint64(), Lo: -1, Hi: 1}, tensor.F32, shape)
		require.NoError(t, err)
		args = append(args, x)
	}
	return args
}

// A scan of many iterations copies nothing, makes its graphs once, and patches only
// the nodes that have slices.
func TestAScanReplaysItsGraphs(t *testing.T) {
	const steps = 60
	l := newLooped(t, deepTrace, cuda.Options{}, rnnArgs(t, 2, steps))
	for range 2 {
		l.call(t)
	}
	done := l.call(t)
	require.Zero(t, done["CopyToHost"]+done["CopyToDevice"]+done["CopyOnDevice"])
	require.Zero(t, done["Instantiate"])
	require.Equal(t, steps, done["LaunchGraph"])
	require.Zero(t, done["Launch"])
	require.LessOrEqual(t, done["SetKernelNode"], 2*steps)
}

// Iterations that are few, odd, even or none give what they should, on memory that
// moves from call to call.
func TestScansOfFewIterations(t *testing.T) {
	for s := range 5 {
		l := newLooped(t, rnnTrace, cuda.Options{}, rnnArgs(t, 3, s))
		for range 4 {
			l.call(t)
			for i, x := range l.results {
				l.results[i] = toQueue(t, tensor.New(x.DType(), x.Shape()...), l.w)
			}
		}
	}
}

// A loop that decodes fetches one byte in each iteration.
func TestADecodingLoopFetchesItsCondition(t *testing.T) {
	table := make([]int64, 20)
	for i := range table {
		table[i] = int64(max(i-1, 0))
	}
	l := newLooped(t, decodeTrace, cuda.Options{}, []*tensor.Tensor{tensor.FromInts(tensor.I64, []int{}, []int64{12}), tensor.FromInts(tensor.I64, []int{20}, table)})
	l.call(t)
	done := l.call(t)
	require.Equal(t, 13, done["CopyToHost"])
	require.Zero(t, done["CopyToDevice"])
	require.LessOrEqual(t, done["CopyOnDevice"], 3, "carries whose last place is not the result's")
}

// A fault in an iteration that the context survives is the error of its call only.
func TestAFaultInALoop(t *testing.T) {
	l := newLooped(t, rnnTrace, cuda.Options{NoGraphs: "a test"}, rnnArgs(t, 2, 10))
	launches := l.call(t)["Launch"]
	require.GreaterOrEqual(t, launches, 10)
	for after := 1; after <= launches; after += 3 {
		l.d.FailNext("Launch", after, driver.InvalidValue)
		require.Error(t, l.fn.CallInto(context.Background(), l.results, l.args))
		l.call(t)
	}
}
