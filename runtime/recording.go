package runtime

import (
	"context"
	"errors"
	"fmt"
	"time"

	"jitc/executors"
	"jitc/ir/call"
	"jitc/ir/tensor"
)

// Run computes the program on w. args have the parameters' types at the
// recording's sizes; results are contiguous tensors of the result types, as
// Results makes them, that share memory with no other result and no argument,
// but for what Donated allows. A strided argument is copied first; apart from
// that, a run on the host allocates nothing once a first one has. Arguments and
// results may lie on any device. Tensors that do not fit are
// a *BufferError, and nothing has run; after another error, the elements of the
// results, and so of donated arguments, are undefined.
func (r *Recording) Run(args, results []*tensor.Tensor, w executors.Workers) error {
	return r.run(&inputs{leaves: args}, results, w, nil)
}

// RunCall is Run for the tensors of a call and then extra ones. Frozen
// sets with which the last run was called take no time per tensor, and stay
// reachable until the memory of idle runs is collected.
func (r *Recording) RunCall(c *call.Call, extra, results []*tensor.Tensor, w executors.Workers) error {
	return r.runCall(context.Background(), c, extra, results, w)
}

// runCall is RunCall that ctx may end between two iterations of a loop.
func (r *Recording) runCall(ctx context.Context, c *call.Call, extra, results []*tensor.Tensor, w executors.Workers) error {
	return r.run(&inputs{leaves: c.Tensors, frozen: c.Frozen, extra: extra, ctx: ctx}, results, w, nil)
}

// Profile is Run that reports how long each step took, on the calling goroutine.
func (r *Recording) Profile(args, results []*tensor.Tensor, w executors.Workers, took func(step int, d time.Duration)) error {
	return r.run(&inputs{leaves: args}, results, w, took)
}

// ResultLayouts are the layouts of the results; not to be changed.
func (r *Recording) ResultLayouts() []*tensor.Layout { return r.resultLayouts }

// inputs are the arguments of a run: leaves, the tensors of frozen sets, extra.
type inputs struct {
	leaves []*tensor.Tensor
	frozen []*call.Frozen
	extra  []*tensor.Tensor
	kept   *keptRanges     // those of leaves that sets keep on devices
	ctx    context.Context // ends loops; may be nil
}

// alone is one worker: the goroutine that runs the launch.
type alone struct{}

func (alone) Workers() int { return 1 }

func (alone) Run(chunks int, f func(chunk, worker int)) {
	for i := range chunks {
		f(i, 0)
	}
}

// chunked is implemented by launches that know into how many chunks they split
// their work at most. One chunk needs no workers: none is woken for it, and it
// gets scratch for one only.
type chunked interface {
	Chunks() int
}

func isSerial(l executors.Launch) bool {
	c, ok := l.(chunked)
	return ok && c.Chunks() <= 1
}

func (r *Recording) run(in *inputs, results []*tensor.Tensor, w executors.Workers, took func(int, time.Duration)) error {
	if w == nil {
		return errors.New("no workers to run on")
	}
	if !r.serial {
		if n := w.Workers(); n > r.Workers {
			return fmt.Errorf("recorded for at most %d workers, run on %d", r.Workers, n)
		}
	}
	if r.devices != nil {
		return r.runAcross(in, results, w, took)
	}
	f := r.frames.Get().(*frame)
	defer r.release(f)
	if r.loops {
		f.setContext(in.ctx)
	}
	if err := f.setTensors(in, results); err != nil {
		return r.orNear(err, in, results, w, took)
	}
	memory := f.takeMemory()
	defer f.giveMemory()
	if err := r.launch(f, memory, w, took); err != nil {
		return err
	}
	f.copyResults()
	return nil
}

// spinner is implemented by workers that stay awake between the launches of a plan.
type spinner interface {
	Begin()
	End()
}

func (r *Recording) launch(f *frame, memory []byte, w executors.Workers, took func(int, time.Duration)) error {
	scratch := memory[min(r.Arena, len(memory)):]
	if !r.serial {
		if s, ok := w.(spinner); ok {
			s.Begin()
			defer s.End()
		}
	}
	var start time.Time
	if took != nil {
		start = time.Now()
	}
	for i := range r.launches {
		if err := r.step(f, i, scratch, w); err != nil {
			return fmt.Errorf("@%s: %w", r.p.F.Name, err)
		}
		if took != nil {
			now := time.Now()
			took(i, now.Sub(start))
			start = time.Now() // what took does is not the next step's time
		}
	}
	return nil
}

// step runs one step; its buffers are set.
func (r *Recording) step(f *frame, i int, scratch []byte, w executors.Workers) (err error) {
	switch r.how[i] {
	case stepControl:
		err = r.controls[i].run(f, i, scratch, w)
	case stepAlone:
		err = r.launches[i].Run(f.args[i], scratch, alone{})
	default:
		err = r.launches[i].Run(f.args[i], scratch, w)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", &r.p.Steps[i], err)
	}
	return nil
}
