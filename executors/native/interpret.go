package native

import (
	"sync"

	"jitc/codegen"
	"jitc/executors"
)

// interpreted is a kernel at concrete sizes whose loop nests are interpreted.
type interpreted struct {
	b        *codegen.Bound
	wide     bool      // there is machine code, for sizes less large
	given    []int     // buffers of the caller
	temps    []part    // temporaries in the scratch
	scratch  int       // bytes
	machines sync.Pool // *codegen.Machine
}

func bindInterpreted(b *codegen.Bound, wide bool) *interpreted {
	l := &interpreted{b: b, wide: wide, given: callers(b.Kernel)}
	l.temps, l.scratch = layOut(b, codegen.Temp)
	return l
}

// ScratchBytes is what the temporaries need; a machine has the rest itself.
func (l *interpreted) ScratchBytes(int) int { return l.scratch }

// Run interprets every step, in parallel chunks of its outer points.
func (l *interpreted) Run(bufs [][]byte, scratch []byte, w executors.Workers) error {
	all := make([][]byte, len(l.b.Lens))
	for n, i := range l.given {
		all[i] = bufs[n]
	}
	for _, t := range l.temps {
		all[t.buf] = scratch[t.offset:]
	}
	for i := range l.b.Steps {
		if err := l.step(i, all, w); err != nil {
			return err
		}
	}
	return nil
}

// interpretedPoints is about how many points take 100 microseconds.
const interpretedPoints = 1 << 13

func (l *interpreted) step(i int, bufs [][]byte, w executors.Workers) error {
	nest, points := l.b.Steps[i].Nest, int64(interpretedPoints)
	if g := l.b.Steps[i].Gemm; g != nil {
		nest, points = g.Epilogue, max(interpretedPoints/max(g.K, 1), 1)
	}
	chunks := codegen.Chunks(nest, points)
	errs := make([]error, w.Workers())
	run := func(chunk, worker int) {
		m, err := l.machine(bufs)
		if err == nil {
			box := codegen.NewBox(len(nest.Nest.Outer))
			chunks.At(int64(chunk), &box)
			err = m.RunStep(i, box)
			l.machines.Put(m)
		}
		if err != nil {
			errs[worker] = err
		}
	}
	w.Run(int(chunks.Count), run)
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// machine takes an idle machine and points it at the buffers.
func (l *interpreted) machine(bufs [][]byte) (*codegen.Machine, error) {
	m, ok := l.machines.Get().(*codegen.Machine)
	if !ok {
		var err error
		if m, err = codegen.NewMachine(l.b); err != nil {
			return nil, err
		}
	}
	return m, m.SetBuffers(bufs)
}
