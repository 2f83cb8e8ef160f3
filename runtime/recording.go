package runtime

import (
	"fmt"
	"sync"
	"time"

	"jitc/executors"
	"jitc/ir"
	"jitc/ir/tensor"
)

// Recording is a program at concrete sizes. Safe for concurrent use.
type Recording struct {
	p        *Program
	Sizes    map[string]int64
	Arena    int // bytes of planned intermediates
	Scratch  int // bytes of the largest kernel scratch, part of the same block
	Workers  int // most workers that a run may have
	launches []executors.Launch
	shapes   [][]int // by slot
	offsets  []int   // by slot; temporaries only
	bytes    []int   // by slot
	frames   sync.Pool
}

// MaxBytes bounds one tensor; larger sizes are refused before anything runs.
const MaxBytes = 1 << 46

// Record binds every kernel to the sizes and plans the memory, for runs on at
// most that many workers.
func (p *Program) Record(sizes map[string]int64, workers int) (*Recording, error) {
	r := &Recording{p: p, Sizes: sizes, Workers: workers}
	for i := range p.slots {
		t := p.slots[i].typ
		shape, err := ir.EvalShape(t.Shape, sizes)
		if err != nil {
			return nil, err
		}
		n, err := tensor.CheckedElements(shape)
		if err != nil || n > MaxBytes/t.DType.Size() {
			return nil, fmt.Errorf("a tensor of type %s is too large at these sizes: %v", t, shape)
		}
		r.shapes = append(r.shapes, shape)
		r.bytes = append(r.bytes, n*t.DType.Size())
	}
	for i := range p.Steps {
		l, err := p.Steps[i].Kernel.Bind(p.Steps[i].sizes(sizes))
		if err != nil {
			return nil, fmt.Errorf("region at %s: %w", p.Steps[i].Region.Pos, err)
		}
		r.launches = append(r.launches, l)
		r.Scratch = max(r.Scratch, alignUp(l.ScratchBytes(workers)))
	}
	r.plan()
	r.frames.New = func() any { return r.newFrame() }
	return r, nil
}

func (r *Recording) plan() {
	r.offsets = make([]int, len(r.p.slots))
	var blocks []*block
	var of []int
	for i, s := range r.p.slots {
		if s.kind == slotTemp && r.bytes[i] > 0 {
			blocks = append(blocks, &block{bytes: r.bytes[i], first: s.first, last: s.last})
			of = append(of, i)
		}
	}
	r.Arena = place(blocks)
	for i, b := range blocks {
		r.offsets[of[i]] = b.offset
	}
}

// frame is what one run needs beside its arena: the buffers of every launch.
type frame struct {
	slots [][]byte
	args  [][][]byte // per step
}

func (r *Recording) newFrame() *frame {
	f := &frame{slots: make([][]byte, len(r.p.slots))}
	for _, s := range r.p.steps {
		f.args = append(f.args, make([][]byte, len(s.in)+len(s.out)))
	}
	return f
}

// Results allocates tensors for the results of a run.
func (r *Recording) Results() []*tensor.Tensor {
	out := make([]*tensor.Tensor, len(r.p.result))
	for i, n := range r.p.result {
		out[i] = tensor.New(r.p.slots[n].typ.DType, r.shapes[n]...)
	}
	return out
}

// Run computes the program. args fit the sizes (BindSizes gave them); results
// are tensors of the result types and shapes, contiguous, as Results makes
// them, and overlap nothing. A strided argument is copied first.
func (r *Recording) Run(args, results []*tensor.Tensor, w executors.Workers) error {
	return r.run(args, results, w, nil)
}

// Profile is Run that reports how long each step took.
func (r *Recording) Profile(args, results []*tensor.Tensor, w executors.Workers, took func(step int, d time.Duration)) error {
	return r.run(args, results, w, took)
}

func (r *Recording) run(args, results []*tensor.Tensor, w executors.Workers, took func(int, time.Duration)) error {
	if w.Workers() > r.Workers {
		return fmt.Errorf("recorded for %d workers, run on %d", r.Workers, w.Workers())
	}
	f := r.frames.Get().(*frame)
	block := shared.take(r.Arena + r.Scratch)
	defer func() {
		clear(f.slots) // do not keep the caller's tensors alive
		for _, a := range f.args {
			clear(a)
		}
		r.frames.Put(f)
		shared.give(block)
	}()
	if err := r.fill(f, block, args, results); err != nil {
		return err
	}
	if err := r.launch(f, block, w, took); err != nil {
		return err
	}
	r.copyOut(f, results)
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
		if err := l.Run(r.buffers(f, i), scratch, w); err != nil {
			return fmt.Errorf("region at %s: %w", r.p.Steps[i].Region.Pos, err)
		}
		if took != nil {
			now := time.Now()
			took(i, now.Sub(start))
			start = now
		}
	}
	return nil
}

// buffers are what launch i reads and then what it writes.
func (r *Recording) buffers(f *frame, i int) [][]byte {
	bufs, s := f.args[i], r.p.steps[i]
	for k, n := range s.in {
		bufs[k] = f.slots[n]
	}
	for k, n := range s.out {
		bufs[len(s.in)+k] = f.slots[n]
	}
	return bufs
}

// fill points every slot at its memory.
func (r *Recording) fill(f *frame, block []byte, args, results []*tensor.Tensor) error {
	if len(args) != len(r.p.params) || len(results) != len(r.p.result) {
		return fmt.Errorf("got %d arguments and %d results, expected %d and %d",
			len(args), len(results), len(r.p.params), len(r.p.result))
	}
	for i, n := range r.p.params {
		data, err := r.data(n, args[i].Contiguous())
		if err != nil {
			return fmt.Errorf("argument %d: %w", i, err)
		}
		f.slots[n] = data
	}
	for i, s := range r.p.slots {
		switch s.kind {
		case slotConst:
			f.slots[i], _ = s.constant.Bytes()
		case slotTemp:
			f.slots[i] = block[r.offsets[i] : r.offsets[i]+r.bytes[i] : r.offsets[i]+r.bytes[i]]
		}
	}
	for i, n := range r.p.result {
		data, err := r.data(n, results[i])
		if err != nil {
			return fmt.Errorf("result %d: %w", i, err)
		}
		if r.p.slots[n].kind == slotResult && f.slots[n] == nil {
			f.slots[n] = data
		}
	}
	return nil
}

// data checks a tensor against its slot and returns its elements.
func (r *Recording) data(n int, t *tensor.Tensor) ([]byte, error) {
	data, ok := t.Bytes()
	if !ok || t.DType() != r.p.slots[n].typ.DType || len(data) != r.bytes[n] {
		return nil, fmt.Errorf("expected a contiguous %s%v, got %s%v", r.p.slots[n].typ.DType, r.shapes[n], t.DType(), t.Shape())
	}
	return data, nil
}

// copyOut fills the results that no launch wrote: those that are parameters,
// constants, or returned twice.
func (r *Recording) copyOut(f *frame, results []*tensor.Tensor) {
	for i, n := range r.p.result {
		data, _ := results[i].Bytes()
		if len(data) > 0 && &data[0] != &f.slots[n][0] {
			copy(data, f.slots[n])
		}
	}
}
