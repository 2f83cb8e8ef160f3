package runtime

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"jitc/executors"
	"jitc/ir/call"
	"jitc/ir/tensor"
)

// spread is the part of a frame that a program with steps on devices needs.
type spread struct {
	args      []int    // by parameter: the side on which the argument lies
	results   []int    // by result: the side of the caller's tensor
	kept      []bool   // by parameter: its copies are those of its set
	staged    []bool   // by slot: it lies behind the arena of its side
	current   []bool   // by slot: the copy of a parameter that was staged has its elements
	elsewhere []int    // the slots that do
	offsets   []int    // by slot: where
	need      []int    // by side: how much that takes
	scratch   [][]byte // by step
	memory    [][]byte // by side: the arena
	slabs     []*slab  // by side; the host's is the frame's, and bodies have none
	stripes   []uint32
	behind    [][]byte // by side: where those lie, behind the arena as a rule
}

func newSpread(r *Recording) *spread {
	sides := len(r.p.placed.devices)
	s := &spread{args: make([]int, len(r.p.params)), results: make([]int, len(r.p.results)), kept: make([]bool, len(r.p.params)),
		staged: make([]bool, len(r.p.slots)), current: make([]bool, len(r.p.slots)), memory: make([][]byte, sides), offsets: make([]int, len(r.p.slots)), need: make([]int, sides),
		scratch: make([][]byte, len(r.p.steps)), slabs: make([]*slab, sides), stripes: make([]uint32, sides),
		behind: make([][]byte, sides)}
	for i := range s.stripes {
		s.stripes[i] = homeStripe()
	}
	return s
}

// sideOf is the side on which a tensor lies: 0 also for one on a device that the
// program has no steps on.
func (r *Recording) sideOf(t *tensor.Tensor) int {
	if r.p.placed == nil {
		return 0
	}
	return r.sideOfDevice(t.Device())
}

func (r *Recording) sideOfDevice(on tensor.Device) int {
	d, ok := on.(*device)
	if !ok {
		return 0
	}
	return max(slices.Index(r.p.placed.devices, d), 0)
}

// bring is the memory of argument i, which is not dense or not on the host: its own,
// if the program has steps there, else that of a copy.
func (f *frame) bring(i int, t *tensor.Tensor) ([]byte, error) {
	if side := f.r.sideOf(t); side > 0 {
		f.spread.args[i] = side
		return t.DeviceBytes(), nil
	}
	h, err := t.ToHost()
	if err != nil {
		return nil, fmt.Errorf("@%s: argument %d: %w", f.r.p.F.Name, i, err)
	}
	b, _ := h.Contiguous().Bytes()
	return b, nil
}

// errElsewhere says that a result lies on a device on which the program has no
// steps.
var errElsewhere = errors.New("a result lies on a device without steps")

// takeResult makes the memory of a tensor that of result i; false if no step may
// write there.
func (f *frame) takeResult(i int, t *tensor.Tensor) bool {
	side := f.r.sideOf(t)
	if side == 0 && t.Device() != nil {
		return false
	}
	if f.spread != nil {
		f.spread.results[i] = side
	}
	f.results[i] = memoryOf(t)
	return true
}

// orNear is the error of setTensors, unless it is errElsewhere: then it is runNear.
func (r *Recording) orNear(err error, in *inputs, results []*tensor.Tensor, w executors.Workers, took func(int, time.Duration)) error {
	if err != errElsewhere {
		return err
	}
	return r.runNear(in, results, w, took)
}

// runNear is run for results on devices on which the program has no steps: they are
// computed on the host, and then copied.
func (r *Recording) runNear(in *inputs, results []*tensor.Tensor, w executors.Workers, took func(int, time.Duration)) error {
	if err := apart(nil, results); err != nil {
		return err
	}
	near := slices.Clone(results)
	for i, t := range results {
		if t.Device() != nil && r.sideOf(t) == 0 {
			near[i] = tensor.New(t.DType(), t.Shape()...)
		}
	}
	if err := r.run(in, near, w, took); err != nil {
		return err
	}
	for i, t := range results {
		if t == near[i] {
			continue
		}
		if err := t.CopyFrom(near[i]); err != nil {
			return fmt.Errorf("@%s: result %d: %w", r.p.F.Name, i, err)
		}
	}
	return nil
}

// keptRange are n parameters whose arguments are the tensors of a set, from number
// from on. The set keeps copies of them on devices.
type keptRange struct {
	param, from, n int
	set            *call.Frozen
}

type keptRanges []keptRange

// setKept points the copies of parameters at those that sets keep; nil keeps none.
func (f *frame) setKept(kept *keptRanges) error {
	if f.spread == nil || kept == nil {
		return nil
	}
	for _, k := range *kept {
		for i := k.param; i < k.param+k.n; i++ {
			if err := f.keep(i, k.set, k.from+i-k.param); err != nil {
				return fmt.Errorf("@%s: argument %d: %w", f.r.p.F.Name, i, err)
			}
		}
	}
	return nil
}

// keep points the copies of a parameter at those of tensor k of a set.
func (f *frame) keep(param int, set *call.Frozen, k int) error {
	for _, m := range f.r.p.placed.copies[param] {
		b, err := f.keptCopy(param, m, set, k)
		if err != nil {
			return err
		}
		f.set(m, b)
	}
	f.spread.kept[param] = true
	return nil
}

func (f *frame) keptCopy(param, m int, set *call.Frozen, k int) ([]byte, error) {
	p := f.r.p
	side := p.slots[m].side
	if side == f.spread.args[param] {
		return f.slots[p.params[param]], nil
	}
	d := p.placed.devices[side]
	t, err := set.Copy(d, k, func(t *tensor.Tensor) (*tensor.Tensor, error) {
		if d == nil {
			return t.ToHost()
		}
		return d.copyOf(t)
	})
	if err != nil {
		return nil, err
	}
	return memoryOf(t), nil
}

// forget lets go of what the copies of parameters [lo, hi) were.
func (s *spread) forget(f *frame, lo, hi int) {
	for i := lo; i < hi; i++ {
		s.args[i], s.kept[i] = 0, false
		for _, m := range f.r.p.placed.copies[i] {
			f.set(m, nil)
		}
	}
}
