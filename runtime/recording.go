package runtime

import (
	"errors"
	"fmt"
	"time"

	"jitc/executors"
	"jitc/ir/tensor"
)

// Run computes the program on w. args have the parameters' types at the
// recording's sizes; results are contiguous tensors of the result types, as
// Results makes them, that share memory with no argument and no other result.
// A strided argument is copied first; apart from that, a run allocates nothing
// once a first one has. Tensors that do not fit are a *BufferError, and nothing
// has run; after another error, the results' elements are undefined.
func (r *Recording) Run(args, results []*tensor.Tensor, w executors.Workers) error {
	return r.run(args, results, w, nil)
}

// Profile is Run that reports how long each step took, on the calling goroutine.
func (r *Recording) Profile(args, results []*tensor.Tensor, w executors.Workers, took func(step int, d time.Duration)) error {
	return r.run(args, results, w, took)
}

func (r *Recording) run(args, results []*tensor.Tensor, w executors.Workers, took func(int, time.Duration)) error {
	if w == nil {
		return errors.New("no workers to run on")
	}
	if n := w.Workers(); n > r.Workers {
		return fmt.Errorf("recorded for at most %d workers, run on %d", r.Workers, n)
	}
	f := r.frames.Get().(*frame)
	defer r.release(f)
	if err := f.setTensors(args, results); err != nil {
		return err
	}
	n := r.Arena + r.Scratch
	block := r.p.memory.take(n)
	defer r.p.memory.give(block, n)
	f.setArena(block)
	if err := r.launch(f, block, w, took); err != nil {
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

func (r *Recording) launch(f *frame, block []byte, w executors.Workers, took func(int, time.Duration)) error {
	scratch := block[min(r.Arena, len(block)):]
	if s, ok := w.(spinner); ok {
		s.Begin()
		defer s.End()
	}
	var start time.Time
	if took != nil {
		start = time.Now()
	}
	for i, l := range r.launches {
		if err := l.Run(f.buffers(i), scratch, w); err != nil {
			return fmt.Errorf("@%s: region at %s: %w", r.p.F.Name, r.p.Steps[i].Region.Pos, err)
		}
		if took != nil {
			now := time.Now()
			took(i, now.Sub(start))
			start = time.Now() // what took does is not the next step's time
		}
	}
	return nil
}
