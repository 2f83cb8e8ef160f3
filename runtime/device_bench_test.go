package runtime

import (
	"testing"

	"github.com/stretchr/testify/require"

	"jitc/executors"
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

func TestASteadyRunOnADeviceAllocatesNothing(t *testing.T) {
	run := steady(t)
	assertNoAllocs(t, func() { require.NoError(t, run()) })
}
