package runtime

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/executors"
	"jitc/internal/testdevice"
	"jitc/ir"
	"jitc/ir/call"
	"jitc/ir/tensor"
)

// Loops agree with their evaluation wherever their parts, arguments and results lie.
func TestLoopsOnDevicesComputeWhatEvalDoes(t *testing.T) {
	for name, c := range loops {
		for who, takes := range mostly {
			t.Run(name+" "+who, func(t *testing.T) {
				d := testdevice.New("test:0", 21)
				p := partedText(t, c.text, someOf(d, takes))
				rng := rand.New(rand.NewPCG(4, 5))
				for _, sizes := range c.sizes {
					r := record(t, p, sizes)
					for range 3 {
						args := loopArgs(t, rng, p.F, sizes)
						want, err := ir.Eval(p.F, args, sizes)
						require.NoError(t, err)
						got := make([]*tensor.Tensor, len(want))
						for i := range args {
							args[i] = somewhere(t, rng, args[i], []*testdevice.Device{d})
						}
						for i := range want {
							got[i] = emptyAt(t, rng, want[i], []*testdevice.Device{d})
						}
						require.NoError(t, r.Run(args, got, serial{}))
						require.Nil(t, tensor.CompareAll(got, want, tensor.Exact), "at %v", sizes)
					}
				}
				assert.Equal(t, len(p.Devices()) > 0, d.Counts().Launches > 0)
				assert.Zero(t, deviceOf(d).arenas.stats().Lent)
			})
		}
	}
}

// scanned is a loop on a device with its arguments and results there; run runs it.
func scanned(t *testing.T, q *spy, text string, sizes map[string]int64) (r *Recording, run func()) {
	x := someOf(q.spied, nil)
	x.queue = q
	r = record(t, partedText(t, text, x), sizes)
	args := loopArgs(t, rand.New(rand.NewPCG(1, 2)), r.p.F, r.Sizes)
	want, err := ir.Eval(r.p.F, args, r.Sizes)
	require.NoError(t, err)
	results := make([]*tensor.Tensor, len(want))
	for i := range args {
		args[i], err = ToQueue(args[i], q)
		require.NoError(t, err)
	}
	for i := range want {
		results[i], err = deviceOf(q).tensor(want[i].DType(), want[i].Shape())
		require.NoError(t, err)
	}
	return r, func() {
		require.NoError(t, r.Run(args, results, serial{}))
		require.Nil(t, tensor.CompareAll(results, want, tensor.Exact))
	}
}

// A scan on a device copies nothing between it and the host, and nothing within it.
func TestAScanStaysOnItsDevice(t *testing.T) {
	q := &spy{spied: testdevice.New("test:0", 22)}
	r, run := scanned(t, q, rnn, map[string]int64{"B": 2, "S": 100})
	assert.Equal(t, []string{"test:0"}, r.p.Devices())
	assert.Equal(t, "test:0", r.p.where(0))
	assert.Zero(t, r.Arena, "nothing is on the host")
	require.Len(t, r.Devices(), 1)
	assert.Positive(t, r.Devices()[0].Arena)
	run()
	run()
	before := q.Counts()
	run()
	after := q.Counts()
	assert.Equal(t, before.Uploads, after.Uploads)
	assert.Equal(t, before.Downloads+2, after.Downloads, "those of the comparison")
	assert.Equal(t, before.Copies, after.Copies)
	assert.Equal(t, before.Allocs, after.Allocs)
	assert.Equal(t, before.Runs+100, after.Runs)
	assert.Equal(t, before.Batches, after.Batches, "batches are made once")
}

// What moves from iteration to iteration are the slices, not the carries, whether
// they have one place or two; slices that are not aligned are copied to one place.
func TestBatchesOfAScanKeepTheirPlaces(t *testing.T) {
	for _, c := range []struct {
		text   string
		sizes  map[string]int64
		runs   []int // of each batch in three runs
		moves  int   // of buffers in a run of a batch, but for the first iterations
		copies int   // in an iteration
	}{
		{rnn, map[string]int64{"B": 2, "S": 101}, []int{3, 300}, 2, 0},
		{prefix, map[string]int64{"N": 4, "S": 101}, []int{3, 150, 150}, 2, 0},
		{prefix, map[string]int64{"N": 4, "S": 2}, []int{3, 3}, 0, 0},
		{prefix, map[string]int64{"N": 5, "S": 101}, []int{3, 150, 150}, 0, 2},
	} {
		q := &spy{spied: testdevice.New("test:0", 23)}
		_, run := scanned(t, q, c.text, c.sizes)
		for range 3 {
			run()
		}
		require.Len(t, q.batches, len(c.runs), "%s", q.text())
		for i, b := range q.batches {
			assert.Equal(t, c.runs[i], b.runs)
			assert.LessOrEqual(t, b.moved, c.moves*b.runs, "%s", q.text())
			if i == 0 {
				assert.Zero(t, b.moved, "in the first iteration all is where it was")
			}
		}
		assert.Equal(t, c.copies*3*int(c.sizes["S"]), q.Counts().Copies)
	}
}

func TestBatchesOfBodiesAreReported(t *testing.T) {
	q := &spy{spied: testdevice.New("test:0", 23)}
	r, run := scanned(t, q, rnn, map[string]int64{"B": 2, "S": 101})
	in := "body of the scan at in.trace:3:3"
	for _, b := range r.Batches() {
		assert.Equal(t, BatchReport{Device: "test:0", Last: b.Last, In: in, Unrecorded: b.Unrecorded}, b)
	}
	assert.NotEmpty(t, r.Batches())
	run()
	q.batches[1].gone = errors.New("too restless")
	assert.Equal(t, "too restless", r.Batches()[0].Unrecorded, "what later iterations do")
}

// A while fetches its condition in each iteration, and nothing else. What its body
// updates has one place.
func TestAWhileFetchesItsCondition(t *testing.T) {
	q := &spy{spied: testdevice.New("test:0", 24)}
	x := someOf(q.spied, nil)
	x.queue = q
	r := record(t, partedText(t, decode, x), map[string]int64{"N": 20})
	table := make([]int64, 20)
	for i := range table {
		table[i] = int64(max(i-1, 0)) // 12, 11, ... 1, 0
	}
	args := []*tensor.Tensor{tensor.FromInts(tensor.I64, []int{}, []int64{12}), tensor.FromInts(tensor.I64, []int{20}, table)}
	want, err := ir.Eval(r.p.F, args, r.Sizes)
	require.NoError(t, err)
	require.Equal(t, []int64{12}, tensor.Ints(want[1]))
	before := q.Counts()
	got := mustRun(t, r, args...)
	require.Nil(t, tensor.CompareAll(got, want, tensor.Exact))
	after := q.Counts()
	assert.Equal(t, before.Downloads+13+2, after.Downloads, "13 conditions, 2 results")
	assert.Equal(t, before.Uploads+2, after.Uploads, "2 arguments")
	assert.LessOrEqual(t, after.Copies-before.Copies, 3, "carries whose last place is not the result's")
}

// Predicates are the only thing that a cond fetches.
func TestACondFetchesItsPredicate(t *testing.T) {
	d := testdevice.New("test:0", 25)
	p := partedText(t, `func @f(%x: f32[8], %y: f32[8], %k: f32[]) -> f32[8] {
  %p = gt(%k, 0.0)
  %c = cond(%p, %x, %y) func(%x: f32[8], %y: f32[8]) -> f32[8] {
    %z = add(%x, %y)
    return %z
  } func(%x: f32[8], %y: f32[8]) -> f32[8] {
    return %y
  }
  return %c
}
`, someOf(d, nil))
	r := record(t, p, nil)
	x, y := toDevice(t, d, tensor.Fill(tensor.F32, []int{8}, 1)), toDevice(t, d, tensor.Fill(tensor.F32, []int{8}, 2))
	for k, want := range map[float64]float64{1: 3, -1: 2} {
		scalar := toDevice(t, d, tensor.Fill(tensor.F32, []int{}, k))
		out := toDevice(t, d, tensor.New(tensor.F32, 8))
		before := d.Counts()
		require.NoError(t, r.Run([]*tensor.Tensor{x, y, scalar}, []*tensor.Tensor{out}, serial{}))
		after := d.Counts()
		assert.Equal(t, before.Downloads+1, after.Downloads)
		assert.Equal(t, before.Uploads, after.Uploads)
		h, err := out.ToHost()
		require.NoError(t, err)
		assert.Nil(t, tensor.Compare(h, tensor.Fill(tensor.F32, []int{8}, want), tensor.Exact))
	}
}

// What a step of the host in a body reads of invariants is fetched once.
func TestInvariantsAreFetchedOnce(t *testing.T) {
	d := testdevice.New("test:0", 26)
	takes := func(v *ir.Value) bool { return v.Op != ir.OpExp && v.Op != ir.OpNeg }
	p := partedText(t, `func @f(%c: f32[8], %w: f32[8]) -> f32[8] {
  %r = scan(%c, %w) {carries=1, inputs=0, length=[10]} func(%c: f32[8], %w: f32[8]) -> f32[8] {
    %e = exp(%w)
    %m = mul(%c, %c)
    %t = sqrt(%m)
    %s = reduce_sum(%t) {axes=[0]}
    %b = broadcast(%s) {axes=[], shape=[8]}
    %n = add(%b, %e)
    return %n
  }
  return %r
}
`, someOf(d, takes))
	r := record(t, p, nil)
	require.Equal(t, "test:0", p.where(0))
	args := []*tensor.Tensor{tensor.Fill(tensor.F32, []int{8}, 0.5), tensor.Fill(tensor.F32, []int{8}, 0.25)}
	want, err := ir.Eval(p.F, args, nil)
	require.NoError(t, err)
	there := []*tensor.Tensor{toDevice(t, d, args[0]), toDevice(t, d, args[1])}
	before := d.Counts()
	got := mustRun(t, r, there...)
	after := d.Counts()
	require.Nil(t, tensor.CompareAll(got, want, tensor.Exact))
	assert.Equal(t, before.Downloads+2, after.Downloads, "the invariant, and the result")
	assert.Equal(t, before.Uploads+10, after.Uploads, "what the host computes")
}

// A fault in an iteration is the error of its call, and of no other.
func TestAFaultInAnIteration(t *testing.T) {
	for name, text := range map[string]string{"rnn": rnn, "decode": decode, "turns": turns} {
		d := testdevice.New("test:0", 27)
		p := partedText(t, text, someOf(d, nil))
		sizes := loops[name].sizes[len(loops[name].sizes)-1]
		r := record(t, p, sizes)
		args := loopArgs(t, rand.New(rand.NewPCG(8, 9)), p.F, sizes)
		want, err := ir.Eval(p.F, args, sizes)
		require.NoError(t, err)
		for after := range 12 {
			boom := errors.New("the kernel divided by zero")
			d.Fail(after%6, false, boom)
			err := r.Run(args, r.Results(), serial{})
			if err == nil {
				err = d.Sync() // a result did not depend on it
			}
			require.ErrorIs(t, err, boom, name)
			require.Nil(t, tensor.CompareAll(mustRun(t, r, args...), want, tensor.Exact), name)
		}
		assert.Zero(t, deviceOf(d).arenas.stats().Lent)
	}
}

// Loops of one recording run side by side.
func TestLoopsOnADeviceAtTheSameTime(t *testing.T) {
	d := testdevice.New("test:0", 28)
	p := partedText(t, turns, someOf(d, mostly["but tanh"]))
	r := record(t, p, map[string]int64{"N": 20, "S": 5})
	var wg sync.WaitGroup
	for g := range 6 {
		rng := rand.New(rand.NewPCG(9, uint64(g)))
		args := loopArgs(t, rng, p.F, r.Sizes)
		want, err := ir.Eval(p.F, args, r.Sizes)
		require.NoError(t, err)
		wg.Go(func() {
			for range 5 {
				got := r.Results()
				if !assert.NoError(t, r.Run(args, got, serial{})) || !assert.Nil(t, tensor.CompareAll(got, want, tensor.Exact)) {
					return
				}
			}
		})
	}
	wg.Wait()
	assert.Zero(t, deviceOf(d).arenas.stats().Lent)
}

// A profile has one time for the whole loop, which includes the device's work.
func TestProfileOfALoopOnADevice(t *testing.T) {
	d := testdevice.New("test:0", 29)
	p := partedText(t, rnn, someOf(d, nil))
	r := record(t, p, map[string]int64{"B": 2, "S": 5})
	args := loopArgs(t, rand.New(rand.NewPCG(1, 2)), p.F, r.Sizes)
	want, err := ir.Eval(p.F, args, r.Sizes)
	require.NoError(t, err)
	got, steps := r.Results(), 0
	require.NoError(t, r.Profile(args, got, serial{}, func(int, time.Duration) { steps++ }))
	assert.Equal(t, len(p.Steps), steps)
	assert.Nil(t, tensor.CompareAll(got, want, tensor.Exact))
}

// endless runs until somebody ends it.
const endless = `func @endless(%x: f32[4]) -> f32[4] {
  %l = while(%x) {carries=1} func(%x: f32[4]) -> bool[] {
    %n = ne(%x, %x)
    %any = reduce_any(%n) {axes=[0]}
    %more = not(%any)
    return %more
  } func(%x: f32[4]) -> f32[4] {
    %y = mul(%x, 0.5)
    return %y
  }
  return %l
}
`

func TestAContextEndsALoop(t *testing.T) {
	d := testdevice.New("test:0", 30)
	for _, xs := range [][]executors.Executor{nil, {someOf(d, nil)}} {
		r := record(t, partedText(t, endless, xs...), nil)
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(5*time.Millisecond, func() { cancel(errors.New("enough")) })
		a := &Admission{Entry: &Entry{Traced: &Traced{F: r.p.F}}, Recording: r}
		x := &call.Call{Tensors: []*tensor.Tensor{tensor.Fill(tensor.F32, []int{4}, 1)}}
		_, err := a.Run(ctx, x, nil, serial{})
		require.ErrorContains(t, err, "@endless: while at in.trace:2:3: after ")
		require.ErrorContains(t, err, " iterations: context canceled: enough")
		require.ErrorIs(t, err, context.Canceled)
		ended, stop := context.WithCancel(t.Context())
		stop()
		_, err = a.Run(ended, x, r.Results(), serial{})
		require.EqualError(t, err, "@endless: while at in.trace:2:3: after 0 iterations: context canceled")
		x.Tensors[0] = tensor.Fill(tensor.F32, []int{4}, math.NaN())
		_, err = a.Run(t.Context(), x, nil, serial{})
		require.NoError(t, err, "the next one is well")
	}
	assert.Zero(t, deviceOf(d).arenas.stats().Lent)
}

// Control flow without kernels is where its operands are computed.
func TestControlWithoutKernelsFollowsItsOperands(t *testing.T) {
	d := testdevice.New("test:0", 31)
	p := partedText(t, `func @f(%x: f32[8], %p: bool[]) -> f32[8] {
  %e = neg(%x)
  %a = abs(%x)
  %c = cond(%p, %e, %a) func(%e: f32[8], %a: f32[8]) -> f32[8] {
    return %e
  } func(%e: f32[8], %a: f32[8]) -> f32[8] {
    return %a
  }
  %y = add(%c, %a)
  return %y
}
`, someOf(d, nil))
	at := slices.IndexFunc(p.Steps, func(s Step) bool { return s.Bodies != nil })
	assert.Equal(t, "test:0", p.where(at))
	r := record(t, p, nil)
	x := tensor.Fill(tensor.F32, []int{8}, 3)
	for i, want := range []float64{6, 0} {
		got := mustRun(t, r, x, tensor.IntScalar(tensor.Bool, int64(i)))
		assert.Equal(t, want, tensor.Floats(got[0])[0])
	}
}
