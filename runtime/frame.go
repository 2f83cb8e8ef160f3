package runtime

import (
	"context"
	"slices"

	"jitc/ir/call"
	"jitc/ir/tensor"
)

// frame is what one run needs: where every slot lies, and the buffers of every
// launch, in which each slot has fixed places. Frames are used again, by one run
// at a time.
//
//	slots   x  w  t  y        one per slot
//	flat    x w t | t y       args of step 0 | of step 1: a slot is set in its
//	                          places, so that a launch finds its buffers made
//
// Between runs, constants and the tensors of frozen sets stay set; of a set with a
// strided tensor it is a copy that is set, which the next run makes anew.
type frame struct {
	r       *Recording
	slots   [][]byte   // by slot
	args    [][][]byte // by step: what it reads, then what it writes
	flat    [][]byte   // the memory of args
	results [][]byte   // by result
	frozen  frozenSlots
	sharing sharing
	stripe  uint32 // of the arenas
	slab    *slab
	own     []byte          // all memory of a small recording; then there is no slab
	spread  *spread         // of a program with steps on devices; else nil
	ctx     context.Context // ends loops; nil if nobody can
	round   int             // which of the batches run: see rounds
}

// frozenSlots are the parameters [lo, hi) that frozen sets stand for.
type frozenSlots struct {
	ids    []uint64
	lo, hi int
}

// same reports whether the sets are those, from parameter lo to hi. Sets that are
// known by no number are not.
func (k *frozenSlots) same(lo, hi int, sets []*call.Frozen) bool {
	if len(sets) != len(k.ids) || lo != k.lo || hi != k.hi {
		return false
	}
	for i, s := range sets {
		if s.ID != k.ids[i] {
			return false
		}
	}
	return true
}

// slotIndex says where slots go in the frames of a recording.
type slotIndex struct {
	temps         []int   // slots in the host's arena
	consts        []int   // and of constants
	places        [][]int // by slot: indices into a frame's flat
	flat          int     // its length
	argLayouts    []*tensor.Layout
	resultLayouts []*tensor.Layout
}

// index fills the recording's slotIndex.
func (r *Recording) index() error {
	r.places = make([][]int, len(r.p.slots))
	for i, s := range r.p.slots {
		switch s.kind {
		case slotTemp:
			if s.side == 0 {
				r.temps = append(r.temps, i)
			}
		case slotConst:
			r.consts = append(r.consts, i)
		}
	}
	for _, s := range r.p.steps {
		for _, n := range slices.Concat(s.in, s.out) {
			r.places[n] = append(r.places[n], r.flat)
			r.flat++
		}
	}
	layout := func(n int) *tensor.Layout { return tensor.LayoutOf(r.p.slots[n].typ.DType, r.shapes[n]) }
	for _, n := range r.p.params {
		r.argLayouts = append(r.argLayouts, layout(n))
	}
	for _, res := range r.p.results {
		r.resultLayouts = append(r.resultLayouts, layout(res.slot))
	}
	return nil
}

// ownBytes is the most memory that a frame has of its own: a trip to the arenas
// takes a small run longer than its kernel.
const ownBytes = 1 << 10

func (r *Recording) newFrame() *frame {
	f := &frame{r: r, slots: make([][]byte, len(r.p.slots)), flat: make([][]byte, r.flat),
		args: make([][][]byte, len(r.p.steps)), results: make([][]byte, len(r.p.results)), stripe: homeStripe()}
	rest := f.flat
	for i, s := range r.p.steps {
		n := len(s.in) + len(s.out)
		f.args[i], rest = rest[:n:n], rest[n:]
	}
	for _, n := range r.consts {
		f.set(n, r.fixed[n])
	}
	if r.devices != nil {
		f.spread = newSpread(r)
	} else if n := r.Arena + r.Scratch; n <= ownBytes {
		f.own, _ = tensor.New(tensor.U8, n).Bytes()
		f.setTemps(f.own)
	}
	return f
}

// setContext lets a context end the loops of a run, if it can end.
func (f *frame) setContext(ctx context.Context) {
	if f.ctx = nil; ctx != nil && ctx.Done() != nil {
		f.ctx = ctx
	}
}

// set points a slot at its memory.
func (f *frame) set(n int, b []byte) {
	f.slots[n] = b
	for _, at := range f.r.places[n] {
		f.flat[at] = b
	}
}

func (f *frame) setTemps(memory []byte) {
	r := f.r
	for _, n := range r.temps {
		lo, hi := r.offsets[n], r.offsets[n]+r.bytes[n]
		f.set(n, memory[lo:hi:hi])
	}
}

// takeMemory is the memory of the intermediates, and then of the scratch.
func (f *frame) takeMemory() []byte {
	if f.own != nil {
		return f.own
	}
	n := f.r.Arena + f.r.Scratch
	if f.spread != nil {
		n += f.spread.need[0]
	}
	f.slab, _ = f.r.p.memory.take(n, &f.stripe) // the host's memory is never refused
	if f.slab == nil {
		f.setTemps(nil)
		return nil
	}
	f.setTemps(f.slab.bytes)
	return f.slab.bytes
}

func (f *frame) giveMemory() {
	if f.slab == nil {
		return
	}
	for _, n := range f.r.temps {
		f.set(n, nil)
	}
	f.r.p.memory.give(f.slab, f.stripe)
	f.slab = nil
}

// release keeps the frame for a later run, without the memory it pointed at.
func (r *Recording) release(f *frame) {
	f.unset(0, f.frozen.lo)
	f.unset(f.frozen.hi, len(r.p.params))
	if f.ctx != nil {
		f.ctx = nil
	}
	if f.spread != nil {
		f.spread.forget(f, 0, f.frozen.lo)
		f.spread.forget(f, f.frozen.hi, len(r.p.params))
	}
	for i := range r.p.results {
		if f.results[i] = nil; !r.p.results[i].copied {
			f.set(r.p.results[i].slot, nil)
		}
	}
	r.frames.Put(f)
}

// unset lets go of parameters [lo, hi).
func (f *frame) unset(lo, hi int) {
	for _, n := range f.r.p.params[lo:hi] {
		f.set(n, nil)
	}
}

// unsetFrozen lets go of the parameters that frozen sets stand for.
func (f *frame) unsetFrozen() {
	f.unset(f.frozen.lo, f.frozen.hi)
	if f.spread != nil {
		f.spread.forget(f, f.frozen.lo, f.frozen.hi)
	}
}

// setTensors checks the caller's tensors and points their slots at them. A
// result that is copied is no slot's memory.
func (f *frame) setTensors(in *inputs, results []*tensor.Tensor) error {
	r := f.r
	if err := f.setArgs(in); err != nil {
		return err
	}
	if err := count("results", len(results), len(r.p.results)); err != nil {
		return err
	}
	for i := range r.p.results {
		if err := r.check("result", i, r.p.results[i].slot, results[i]); err != nil {
			return err
		}
		var dense bool
		if f.results[i], dense = results[i].Bytes(); !dense || f.spread != nil {
			if !f.takeResult(i, results[i]) {
				return errElsewhere
			}
		}
	}
	if err := f.checkSharing(); err != nil {
		return err
	}
	if f.spread == nil { // else settle does
		for i := range r.p.results {
			if !r.p.results[i].copied {
				f.set(r.p.results[i].slot, f.results[i])
			}
		}
	}
	return nil
}

func (f *frame) setArgs(in *inputs) error {
	lo := len(in.leaves)
	hi := lo
	for _, s := range in.frozen {
		hi += len(s.Tensors)
	}
	if err := count("arguments", hi+len(in.extra), len(f.r.p.params)); err != nil {
		return err
	}
	if !f.frozen.same(lo, hi, in.frozen) {
		if err := f.setFrozen(lo, hi, in.frozen); err != nil {
			return err
		}
	}
	if err := f.setParams(0, in.leaves); err != nil {
		return err
	}
	if err := f.setParams(hi, in.extra); err != nil || f.spread == nil {
		return err
	}
	return f.setKept(in.kept)
}

// setParams points the parameters from number at on at tensors.
func (f *frame) setParams(at int, ts []*tensor.Tensor) error {
	r := f.r
	for i, t := range ts {
		n := r.p.params[at+i]
		if t == nil || t.Layout() != r.argLayouts[at+i] {
			if err := r.check("argument", at+i, n, t); err != nil {
				return err
			}
		}
		b, dense := t.Bytes()
		if !dense {
			var err error
			if b, err = f.bring(at+i, t); err != nil {
				return err
			}
		}
		if len(b) != r.bytes[n] {
			return r.wrong("argument", at+i, n, t)
		}
		f.set(n, b)
	}
	return nil
}

// setFrozen puts other frozen sets in the place of those of the last run.
func (f *frame) setFrozen(lo, hi int, sets []*call.Frozen) error {
	f.unsetFrozen()
	f.frozen.ids, f.frozen.lo, f.frozen.hi = f.frozen.ids[:0], lo, lo
	f.sharing.forget()
	at := lo
	for _, s := range sets {
		err := f.setParams(at, s.Tensors)
		if err == nil {
			err = f.setKept(&keptRanges{{at, 0, len(s.Tensors), s}})
		}
		if err != nil {
			f.frozen.hi = hi
			f.unsetFrozen()
			f.frozen.ids, f.frozen.hi = f.frozen.ids[:0], lo
			return err
		}
		f.frozen.ids = append(f.frozen.ids, s.ID)
		at += len(s.Tensors)
	}
	if slices.ContainsFunc(sets, isStrided) {
		f.frozen.ids = f.frozen.ids[:0] // known by no number: elements may change
	}
	f.frozen.hi = hi
	f.sharing.frozen = union(f.spans(f.sharing.frozen[:0], lo, hi))
	return nil
}

// isStrided reports whether a tensor of the set is copied for a run.
func isStrided(set *call.Frozen) bool {
	return slices.ContainsFunc(set.Tensors, func(t *tensor.Tensor) bool { return !t.IsContiguous() })
}

// copyResults fills the results that no step wrote.
func (f *frame) copyResults() {
	for i := range f.r.p.results {
		if res := &f.r.p.results[i]; res.copied {
			copy(f.results[i], f.slots[res.slot])
		}
	}
}
