package runtime

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"jitc/executors"
	"jitc/internal/testdevice"
	"jitc/ir/call"
	"jitc/ir/dim"
	"jitc/ir/tensor"
)

// idle is a queue that does nothing: what remains is the runtime's own time.
type idle struct{ memory []byte }

func (*idle) Device() executors.Device                                     { return "idle:0" }
func (q *idle) Alloc(n int) ([]byte, error)                                { return q.memory[:n:n], nil }
func (*idle) Free([]byte)                                                  {}
func (*idle) Upload(dst, src []byte) error                                 { return nil }
func (*idle) Download(dst, src []byte) error                               { return nil }
func (*idle) Copy(dst, src []byte) error                                   { return nil }
func (*idle) Sync() error                                                  { return nil }
func (*idle) Run([][][]byte, [][]byte) error                               { return nil }
func (*idle) Recorded() error                                              { return nil }
func (q *idle) Batch([]executors.Launch, [][]int) (executors.Batch, error) { return q, nil }

// steady is a run of 100 steps on a device, each with a weight of a frozen set.
func steady(b testing.TB) func() error {
	q := &idle{make([]byte, 1<<20)}
	bl := newBuilder(b)
	n := dim.Const(1000)
	x := bl.param(n)
	y := x
	var weights []*tensor.Tensor
	for range 100 {
		w := bl.param(n)
		y = bl.region(Step{Kernel: summing(), Queue: q}, []dim.Expr{n}, y, w)
		weights = append(weights, tensor.New(tensor.U8, 1000))
	}
	r := record(b, bl.link(y), nil)
	set := call.NewFrozen(weights, nil)
	arg, err := ToQueue(tensor.New(tensor.U8, 1000), q)
	require.NoError(b, err)
	c := &call.Call{Tensors: []*tensor.Tensor{arg}, Frozen: []*call.Frozen{set}}
	results := make([]*tensor.Tensor, 1)
	q.memory = q.memory[4096:] // apart from the argument
	results[0], err = tensor.OnDevice(deviceOf(q), tensor.U8, []int{1000}, q.memory[:1000], nil)
	require.NoError(b, err)
	return func() error { return r.RunCall(c, nil, results, serial{}) }
}

func BenchmarkDeviceRun(b *testing.B) {
	run := steady(b)
	b.ReportAllocs()
	for b.Loop() {
		if err := run(); err != nil {
			b.Fatal(err)
		}
	}
}

// bumping is an idle queue whose memory is given out once.
type bumping struct{ idle }

func (q *bumping) Alloc(n int) ([]byte, error) {
	b := q.memory[:n:n]
	q.memory = q.memory[(n+255)&^255:]
	return b, nil
}

// steadyLoop is a run of a scan on a device.
func steadyLoop(b testing.TB, iterations int64) func() error {
	q := &bumping{idle{make([]byte, 64<<20)}}
	x := someOf(testdevice.New("test:0", 1), nil)
	x.queue = q
	r := record(b, partedText(b, rnn, x), map[string]int64{"B": 2, "S": iterations})
	var args, results []*tensor.Tensor
	for _, x := range loopArgs(b, rand.New(rand.NewPCG(1, 2)), r.p.F, r.Sizes) {
		x, err := ToQueue(x, q)
		require.NoError(b, err)
		args = append(args, x)
	}
	for _, x := range r.Results() {
		x, err := ToQueue(x, q)
		require.NoError(b, err)
		results = append(results, x)
	}
	return func() error { return r.Run(args, results, serial{}) }
}

func BenchmarkDeviceScan(b *testing.B) {
	for _, n := range []int64{1, 100} {
		run := steadyLoop(b, n)
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := run(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func TestASteadyLoopOnADeviceAllocatesNothing(t *testing.T) {
	run := steadyLoop(t, 20)
	assertNoAllocs(t, func() { require.NoError(t, run()) })
}

func TestASteadyRunOnADeviceAllocatesNothing(t *testing.T) {
	run := steady(t)
	assertNoAllocs(t, func() { require.NoError(t, run()) })
}
