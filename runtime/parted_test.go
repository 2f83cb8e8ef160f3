package runtime

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"jitc/executors"
	"jitc/executors/reference"
	"jitc/fusion"
	"jitc/internal/testdevice"
	"jitc/ir"
)

// some is an accelerator that takes some of the ops, and runs what it compiles on a
// queue that counts.
type some struct {
	testdevice.Executor
	name  string
	queue executors.Queue // that stands for the device's own; nil for that
}

// someOf is an executor for what takes says; nil: all.
func someOf(d *testdevice.Device, takes func(v *ir.Value) bool) *some {
	return &some{Executor: testdevice.Executor{Queued: d, Takes: takes}, name: d.Name()}
}

func (x *some) Name() string { return x.name }

func (x *some) Queue() (executors.Queue, error) {
	if x.queue != nil {
		return x.queue, nil
	}
	return x.Queued, nil
}

// parted partitions a function among executors, the last of which is the reference,
// and links it.
func parted(t testing.TB, f *ir.Func, xs ...executors.Executor) *Program {
	t.Helper()
	return partedAmong(t, f, append(xs, reference.Executor{}))
}

// partedAmong is parted for executors the last of which takes everything.
func partedAmong(t testing.TB, f *ir.Func, xs []executors.Executor) *Program {
	t.Helper()
	claimers := make([]fusion.Claimer, len(xs))
	for i, x := range xs {
		claimers[i] = x
	}
	r, err := fusion.Partition(f, claimers, fusion.Options{})
	require.NoError(t, err)
	return linkParted(t, r, xs)
}

func linkParted(t testing.TB, r *fusion.Result, xs []executors.Executor) *Program {
	steps := map[int]Step{}
	for _, g := range r.Regions {
		x := xs[r.Owner[g.Value.ID]]
		k, err := x.Compile(t.Context(), g.Value.Bodies[0], executors.Options{})
		require.NoError(t, err)
		step := Step{Kernel: k, Executor: x.Name()}
		if a, ok := x.(executors.Accelerator); ok {
			step.Queue, err = a.Queue()
			require.NoError(t, err)
		}
		steps[g.Value.ID] = step
	}
	for _, c := range r.Control {
		step := Step{}
		for _, body := range c.Bodies {
			step.Bodies = append(step.Bodies, linkParted(t, body, xs))
		}
		steps[c.Value.ID] = step
	}
	p, err := Link(r.F, steps)
	require.NoError(t, err)
	p.memory = &arenas{}
	return p
}

// partedText is parted for a trace.
func partedText(t testing.TB, text string, xs ...executors.Executor) *Program {
	t.Helper()
	f, _, diags := ir.Parse("in.trace", text)
	require.NoError(t, diags.Err())
	return parted(t, f, xs...)
}

type spied = testdevice.Device // whose name is not that of a method

// spy is a queue that notes which addresses batches are run with.
type spy struct {
	*spied
	batches []*spiedBatch
}

// spiedBatch counts the runs of a batch, and those buffers that were elsewhere than
// in the run before.
type spiedBatch struct {
	executors.Batch
	last  []uintptr
	runs  int
	moved int
	gone  error // why it is recorded no more
}

// Recorded is gone, or what the device says.
func (b *spiedBatch) Recorded() error {
	if b.gone != nil {
		return b.gone
	}
	return b.Batch.Recorded()
}

func (q *spy) Batch(launches []executors.Launch, after [][]int) (executors.Batch, error) {
	b, err := q.spied.Batch(launches, after)
	s := &spiedBatch{Batch: b}
	q.batches = append(q.batches, s)
	return s, err
}

func (b *spiedBatch) Run(args [][][]byte, scratch [][]byte) error {
	var now []uintptr
	for _, bufs := range args {
		for _, x := range bufs {
			now = append(now, address(x))
		}
	}
	for _, x := range scratch {
		now = append(now, address(x))
	}
	for i := range b.last {
		if b.last[i] != now[i] {
			b.moved++
		}
	}
	b.last = now
	b.runs++
	return b.Batch.Run(args, scratch)
}

// text is what the batches did.
func (q *spy) text() (out []string) {
	for _, b := range q.batches {
		out = append(out, fmt.Sprintf("%d runs, %d moved", b.runs, b.moved))
	}
	return out
}
