package runtime

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/executors"
	"jitc/internal/testdevice"
	"jitc/ir"
	"jitc/ir/tensor"
	"jitc/passes"
)

// partedChain is the chain of a trace whose sizes data decides.
func partedChain(t testing.TB, text string, xs ...executors.Executor) *Chain {
	t.Helper()
	f, _, diags := ir.Parse("in.trace", text)
	require.NoError(t, diags.Err())
	f, err := passes.Run(f, passes.Options{KeepComposite: func(v *ir.Value) bool { return v.Is(ir.Dynamic) }}, nil)
	require.NoError(t, err)
	var segments []ChainSegment
	for _, s := range passes.Split(f) {
		segments = append(segments, ChainSegment{Program: parted(t, s.F, xs...), Params: s.Params, Results: s.Results, Definers: s.Definers})
	}
	c, err := NewChain(f, segments, 4)
	require.NoError(t, err)
	return c
}

// crossing has values that cross from segment to segment: %a is computed and read on
// the device, %w is an argument that several segments read, %m is for a definer only.
const crossing = `func @crossing(%x: f32[N], %w: f32[N]) -> (f32[N], f32[U], f32[V], f32[], f32[N])
    where N in [1, 100], U in [0, 100], V in [0, 100] {
  %a = mul(%x, %w)
  %e = softmax(%a) {axis=0}
  %m = gt(%a, 0.0)
  %u = masked_select(%x, %m) {count=[U]}
  %s = reduce_sum(%e) {axes=[0]}
  %b = broadcast(%s) {axes=[], shape=[U]}
  %v = add(%u, %b)
  %i = reduce_sum(%w) {axes=[0]}
  %j = broadcast(%i) {axes=[], shape=[U]}
  %k = add(%v, %j)
  %p = gt(%k, 1.0)
  %y = masked_select(%k, %p) {count=[V]}
  %h = reduce_max(%w) {axes=[0]}
  %q = broadcast(%h) {axes=[], shape=[V]}
  %z = mul(%y, %q)
  %l = reduce_sum(%z) {axes=[0]}
  %r = broadcast(%l) {axes=[], shape=[N]}
  %o = add(%r, %e)
  return %o, %v, %z, %l, %x
}
`

// A chain gives what evaluation gives, wherever its ops, arguments and results lie.
func TestChainsOnDevicesComputeWhatEvalDoes(t *testing.T) {
	devices := []*testdevice.Device{testdevice.New("test:0", 41), testdevice.New("test:1", 42)}
	for salt := range uint64(12) {
		first := func(v *ir.Value) bool { return salt == 0 || (uint64(v.Op)*7+salt)%4 != 0 }
		second := func(v *ir.Value) bool { return salt%3 == 1 }
		c := partedChain(t, crossing, someOf(devices[0], first), someOf(devices[1], second))
		rng := rand.New(rand.NewPCG(salt, 3))
		for range 6 {
			n := 1 + rng.IntN(20)
			var args []*tensor.Tensor
			for range 2 {
				x, err := tensor.Generate(tensor.Rule{Kind: "uniform", Seed: rng.Uint64(), Lo: -2, Hi: 2}, tensor.F32, []int{n})
				require.NoError(t, err)
				args = append(args, x)
			}
			want, err := ir.Eval(c.f, args, nil)
			require.NoError(t, err)
			for i := range args {
				args[i] = somewhere(t, rng, args[i], devices)
			}
			got, err := c.Run(args, nil, serial{})
			require.NoError(t, err)
			require.Nil(t, tensor.CompareAll(got, want, tensor.Exact), "salt %d", salt)
			for i, x := range got {
				for _, y := range append(append([]*tensor.Tensor{}, args...), got[:i]...) {
					require.NotSame(t, x, y)
				}
			}
			into := make([]*tensor.Tensor, len(want))
			for i := range want {
				into[i] = emptyAt(t, rng, want[i], devices)
			}
			require.NoError(t, c.RunInto(args, into, nil, serial{}))
			require.Nil(t, tensor.CompareAll(into, want, tensor.Exact), "salt %d", salt)
		}
	}
	for _, d := range devices {
		assert.Positive(t, d.Counts().Launches)
		assert.Zero(t, deviceOf(d).arenas.stats().Lent)
	}
}

// Values that a device computes and reads stay there; what several segments read
// there is brought there once; the definers fetch what they read.
func TestAChainKeepsValuesOnItsDevice(t *testing.T) {
	d := testdevice.New("test:0", 43)
	c := partedChain(t, crossing, someOf(d, nil))
	x, w := tensor.FromFloats(tensor.F32, []int{4}, []float64{1, -2, 3, 1}), tensor.FromFloats(tensor.F32, []int{4}, []float64{0.5, 1, 2, -1})
	want, err := ir.Eval(c.f, []*tensor.Tensor{x, w}, nil)
	require.NoError(t, err)
	run := func(args ...*tensor.Tensor) (counts [2]int, got []*tensor.Tensor) {
		before := d.Counts()
		got, err := c.Run(args, nil, serial{})
		require.NoError(t, err)
		after := d.Counts()
		counts = [2]int{after.Uploads - before.Uploads, after.Downloads - before.Downloads}
		require.Nil(t, tensor.CompareAll(got, want, tensor.Exact))
		return counts, got
	}
	cold, _ := run(x, w)
	first, got := run(x, w)
	assert.Equal(t, cold, first)
	for _, x := range got {
		assert.Nil(t, x.Device())
	}
	fx, fw := toDevice(t, d, x), toDevice(t, d, w)
	there, got := run(fx, fw)
	for i, x := range got {
		assert.Equal(t, "test:0", x.Layout().Device, "result %d", i)
	}
	assert.Equal(t, [2]int{4, 7}, first, "two arguments and what two definers give; two operands of each definer but one argument, and the results but one")
	assert.Equal(t, [2]int{2, 4}, there, "what two definers give; two operands of each definer")
}

// A result that later segments read from copies elsewhere is not copied itself.
func TestAResultThatIsReadElsewhereIsNotCopied(t *testing.T) {
	near, far := testdevice.New("test:0", 46), testdevice.New("test:1", 47)
	c := partedChain(t, `func @f(%x: f32[N]) -> (f32[N], f32[N])
    where N in [1, 100], U in [0, 100], V in [0, 100] {
  %a = exp(%x)
  %p = gt(%x, 0.0)
  %u = masked_select(%x, %p) {count=[U]}
  %s = reduce_sum(%u) {axes=[0]}
  %b = broadcast(%s) {axes=[], shape=[N]}
  %v = add(%a, %b)
  %q = gt(%v, 1.0)
  %w = masked_select(%v, %q) {count=[V]}
  %m = reduce_sum(%w) {axes=[0]}
  %c = broadcast(%m) {axes=[], shape=[N]}
  %z = mul(%a, %c)
  return %a, %z
}
`, someOf(near, func(v *ir.Value) bool { return v.Op == ir.OpExp }), someOf(far, nil))
	x := tensor.FromFloats(tensor.F32, []int{4}, []float64{1, -2, 3, 1})
	want, err := ir.Eval(c.f, []*tensor.Tensor{x}, nil)
	require.NoError(t, err)
	got, err := c.Run([]*tensor.Tensor{toDevice(t, near, x)}, nil, serial{})
	require.NoError(t, err)
	require.Nil(t, tensor.CompareAll(got, want, tensor.Exact))
	require.Equal(t, "test:0", got[0].Device().Name())
	require.Same(t, deviceOf(far), c.homes[c.results[0].slot], "two segments read it there")
	assert.Zero(t, near.Counts().Copies)
}

func TestChainsCountTheMemoryOfDevices(t *testing.T) {
	d := testdevice.New("test:0", 45)
	c := partedChain(t, crossing, someOf(d, nil))
	_, err := c.Run([]*tensor.Tensor{tensor.Fill(tensor.F32, []int{9}, 1), tensor.Fill(tensor.F32, []int{9}, 1)}, nil, serial{})
	require.NoError(t, err)
	for k, s := range c.Stats() {
		assert.Equal(t, s.Steps > 0, s.Devices > 0, "segment %d", k)
	}
}

// A chain that fails gives its memory back.
func TestAChainThatFails(t *testing.T) {
	d := testdevice.New("test:0", 44)
	c := partedChain(t, crossing, someOf(d, nil))
	x, w := tensor.FromFloats(tensor.F32, []int{4}, []float64{1, -2, 3, 1}), tensor.FromFloats(tensor.F32, []int{4}, []float64{0.5, 1, 2, -1})
	want, err := ir.Eval(c.f, []*tensor.Tensor{x, w}, nil)
	require.NoError(t, err)
	for after := range 6 {
		d.Fail(after, false, assert.AnError)
		_, err := c.Run([]*tensor.Tensor{x, w}, nil, serial{})
		require.ErrorIs(t, err, assert.AnError)
		assert.Zero(t, deviceOf(d).arenas.stats().Lent)
		got, err := c.Run([]*tensor.Tensor{x, w}, nil, serial{})
		require.NoError(t, err)
		require.Nil(t, tensor.CompareAll(got, want, tensor.Exact))
	}
}
