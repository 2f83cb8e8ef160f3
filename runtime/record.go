package runtime

import (
	"fmt"
	"maps"
	goruntime "runtime"
	"runtime/debug"
	"sync"

	"golang.org/x/sync/errgroup"

	"jitc/executors"
	"jitc/ir"
	"jitc/ir/tensor"
)

// Recording is a program at concrete sizes. Immutable, so safe for concurrent
// use: any number of goroutines may run it at once.
type Recording struct {
	Sizes   map[string]int64 // of the symbols; not to be changed
	Arena   int              // bytes of planned intermediates
	Live    int              // most bytes of intermediates alive at one step: no plan has a smaller Arena
	Scratch int              // bytes of the largest kernel scratch, part of the same block
	Workers int              // most workers that a run may have

	p        *Program
	launches []executors.Launch // by step; nil for control flow
	controls []*control         // by step; nil for regions
	shapes   [][]int            // by slot
	bytes    []int              // by slot
	offsets  []int              // by slot, into the arena; temporaries only
	homeOf   []int              // by slot: the one in whose memory it lies, itself but for updates
	until    []int              // by slot: the last step that reads what lies there
	fixed    [][]byte           // by slot; constants only
	how      []stepHow          // by step
	serial   bool               // no launch needs any
	loops    bool               // a step, or one in a body, is a loop
	donated  []int              // by result: the parameter whose memory it may take, or -1
	devices  *deviceRecording   // of a program with steps on devices; else nil
	slotIndex
	frames sync.Pool
}

// MaxBytes bounds one tensor, and the memory of one run without its arguments
// and results; larger sizes are refused before anything runs.
const MaxBytes = 1 << 46

// Record binds every kernel to the sizes and plans the memory, for runs on at
// most that many workers, at least 1. Sizes that break the function's facts,
// make a dimension negative or need more than MaxBytes, or than the machine's
// memory, are an error.
func (p *Program) Record(sizes map[string]int64, workers int) (*Recording, error) {
	if workers < 1 {
		return nil, fmt.Errorf("expected at least one worker, got %d", workers)
	}
	if err := p.F.Facts.Check(sizes); err != nil {
		return nil, fmt.Errorf("@%s: %w", p.F.Name, err)
	}
	r, err := p.record(sizes, workers)
	if err != nil {
		return nil, fmt.Errorf("@%s: %w", p.F.Name, err)
	}
	return r, nil
}

// record is Record for sizes that satisfy the facts, and for bodies too.
func (p *Program) record(sizes map[string]int64, workers int) (*Recording, error) {
	r := &Recording{p: p, Sizes: maps.Clone(sizes), Workers: workers}
	for _, prepare := range []func() error{r.recordBodies, r.measure, r.standApart, r.plan, r.afford, r.evalConstants, r.bind, r.share, r.scratch, r.index, r.donate, r.recordDevices} {
		if err := prepare(); err != nil {
			return nil, err
		}
	}
	r.frames.New = func() any { return r.newFrame() }
	return r, nil
}

// recordBodies records the programs of control flow.
func (r *Recording) recordBodies() (err error) {
	r.controls = make([]*control, len(r.p.Steps))
	for i := range r.p.Steps {
		if r.p.Steps[i].Bodies != nil {
			if r.controls[i], err = r.recordControl(i); err != nil {
				return err
			}
		}
	}
	return nil
}

// measure finds the shape and size of every slot.
func (r *Recording) measure() error {
	for _, s := range r.p.slots {
		shape, err := ir.EvalShape(s.typ.Shape, r.Sizes)
		if err != nil {
			return err
		}
		n, err := tensor.CheckedBytes(s.typ.DType, shape)
		if err != nil {
			return fmt.Errorf("a tensor of type %s at these sizes: %w", s.typ, err)
		}
		if n > MaxBytes {
			return fmt.Errorf("a tensor of type %s is too large at these sizes: expected at most %d bytes, got %d", s.typ, MaxBytes, n)
		}
		r.shapes = append(r.shapes, shape)
		r.bytes = append(r.bytes, n)
	}
	for i, c := range r.controls {
		if c == nil {
			continue
		}
		for k, n := range r.p.steps[i].work() {
			r.bytes[n] = c.works[k]
		}
	}
	return nil
}

// plan places the temporaries of the host in the arena.
func (r *Recording) plan() (err error) {
	r.offsets = make([]int, len(r.p.slots))
	l := layout{of: r}
	for i := range r.p.slots {
		l.temp(i, 0, align)
	}
	r.Arena, r.Live, err = l.place()
	return err
}

// layout places blocks of one side.
type layout struct {
	of      *Recording
	blocks  []block
	at      []*int // where the offset of each block goes
	lodgers []int  // slots that lie where others do
}

// temp adds slot i if it is an intermediate of the side. Its place is a multiple of
// align.
func (l *layout) temp(i, side, align int) {
	s := &l.of.p.slots[i]
	switch {
	case s.kind != slotTemp || s.side != side:
	case l.of.homeOf[i] != i:
		l.lodgers = append(l.lodgers, i)
	default:
		l.add(l.of.bytes[i], align, s.first, l.of.until[i], &l.of.offsets[i])
	}
}

func (l *layout) add(bytes, align, first, last int, at *int) {
	if bytes > 0 {
		l.blocks = append(l.blocks, block{bytes: (bytes + align - 1) / align * align, first: first, last: last})
		l.at = append(l.at, at)
	}
}

// place gives the blocks their offsets. total is the bytes needed, and live the most
// that live at one step.
func (l *layout) place() (total, live int, err error) {
	sum := uint64(0)
	for _, b := range l.blocks {
		if sum += uint64(b.bytes); sum > 1<<62 { // place adds sizes up
			return 0, 0, tooMuch(sum)
		}
	}
	total, live = place(l.blocks), peakLive(l.blocks)
	for i, b := range l.blocks {
		*l.at[i] = b.offset
	}
	for _, i := range l.lodgers {
		l.of.offsets[i] = l.of.offsets[l.of.homeOf[i]]
	}
	if total > MaxBytes {
		return 0, 0, tooMuch(uint64(total))
	}
	return total, live, nil
}

// afford refuses what the machine has no memory for: Go cannot refuse to allocate
// it. Parameters are there already, perhaps as mapped files.
func (r *Recording) afford() error {
	needed := r.Arena
	for i, s := range r.p.slots {
		if s.kind == slotConst || s.kind == slotResult && s.side == 0 {
			needed = max(needed, r.bytes[i])
		}
	}
	if have := tensor.Memory(); needed > have {
		return fmt.Errorf("%d bytes are needed at these sizes: expected at most the machine's %d", needed, have)
	}
	return nil
}

func tooMuch(bytes uint64) error {
	return fmt.Errorf("the intermediates need too much memory at these sizes: expected at most %d bytes, got %d", MaxBytes, bytes)
}

// evalConstants points the constants' slots at their elements.
func (r *Recording) evalConstants() error {
	r.fixed = make([][]byte, len(r.p.slots))
	for i, s := range r.p.slots {
		if s.kind != slotConst {
			continue
		}
		t := s.constant
		if t == nil {
			var err error
			if t, err = evalConstant(s.value, r.Sizes); err != nil {
				return err
			}
		}
		r.fixed[i], _ = t.Bytes()
	}
	return nil
}

// bind makes the launches.
func (r *Recording) bind() (err error) {
	r.launches, err = r.launchesOf()
	return err
}

// scratch finds what the launches need beside the plan.
func (r *Recording) scratch() error {
	r.serial = true
	for i, l := range r.launches {
		if c := r.controls[i]; c != nil {
			r.how = append(r.how, stepControl)
			r.serial, r.loops, r.Scratch = r.serial && c.serial, r.loops || c.loops, max(r.Scratch, c.scratch)
			continue
		}
		workers, how := r.Workers, stepPooled
		if isSerial(l) || r.p.where(i) != "" {
			workers, how = 1, stepAlone
		}
		n := l.ScratchBytes(workers)
		if n < 0 || n > MaxBytes-r.Arena {
			return fmt.Errorf("%s: its kernel needs %d bytes of scratch: expected 0 to %d", &r.p.Steps[i], n, MaxBytes-r.Arena)
		}
		r.how = append(r.how, how)
		r.serial = r.serial && how == stepAlone
		if r.p.where(i) == "" {
			r.Scratch = max(r.Scratch, alignUp(n))
		}
	}
	return nil
}

// stepHow is how a step runs.
type stepHow uint8

const (
	stepPooled  stepHow = iota // on the workers of the run
	stepAlone                  // on the calling goroutine
	stepControl                // its bodies do
)

// launchesOf binds the steps, those on accelerators side by side: which code they
// need is known with the sizes, and making it takes tens of milliseconds each.
func (r *Recording) launchesOf() ([]executors.Launch, error) {
	out := make([]executors.Launch, len(r.p.Steps))
	var group errgroup.Group
	group.SetLimit(goruntime.GOMAXPROCS(0))
	for i := range r.p.Steps {
		bind := func() (err error) {
			defer r.catch(i, &err)
			if out[i], err = r.launchOf(i); err != nil {
				return fmt.Errorf("%s: %w", &r.p.Steps[i], err)
			}
			return nil
		}
		if r.p.where(i) != "" {
			group.Go(bind)
		} else if err := bind(); err != nil {
			_ = group.Wait()
			return nil, err
		}
	}
	return out, group.Wait()
}

// catch turns a panic on a binding goroutine, which would end the process, into an
// error.
func (r *Recording) catch(i int, err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("BUG: binding the %s: %v\n%s", &r.p.Steps[i], p, debug.Stack())
	}
}

// launchOf binds a step to the sizes. Control flow has no launch.
func (r *Recording) launchOf(i int) (executors.Launch, error) {
	if r.controls[i] != nil {
		return nil, nil
	}
	step := &r.p.Steps[i]
	sizes, err := step.sizes(r.Sizes)
	if err != nil {
		return nil, err
	}
	return step.Kernel.Bind(sizes)
}

// Results allocates tensors for the results of a run.
func (r *Recording) Results() []*tensor.Tensor {
	out := make([]*tensor.Tensor, len(r.p.results))
	for i, res := range r.p.results {
		out[i] = tensor.New(r.p.slots[res.slot].typ.DType, r.shapes[res.slot]...)
	}
	return out
}
