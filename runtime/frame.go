package runtime

import "jitc/ir/tensor"

// frame is what one run needs beside its arena: where every slot lies, and the
// buffers of every launch. Frames are used again, by one run at a time.
type frame struct {
	r       *Recording
	slots   [][]byte   // by slot
	args    [][][]byte // by step: what it reads, then what it writes
	flat    [][]byte   // the memory of args
	results [][]byte   // by result
	sharing sharing
}

func (r *Recording) newFrame() *frame {
	n := 0
	for _, s := range r.p.steps {
		n += len(s.in) + len(s.out)
	}
	f := &frame{r: r, slots: make([][]byte, len(r.p.slots)), flat: make([][]byte, n),
		args: make([][][]byte, len(r.p.steps)), results: make([][]byte, len(r.p.results))}
	rest := f.flat
	for i, s := range r.p.steps {
		n := len(s.in) + len(s.out)
		f.args[i], rest = rest[:n:n], rest[n:]
	}
	return f
}

// release keeps the frame for a later run, without the memory it pointed at.
func (r *Recording) release(f *frame) {
	clear(f.slots)
	clear(f.flat)
	clear(f.results)
	r.frames.Put(f)
}

// setTensors checks the caller's tensors and points their slots at them. A
// result that is copied is no slot's memory.
func (f *frame) setTensors(args, results []*tensor.Tensor) error {
	r := f.r
	if err := count("arguments", len(args), len(r.p.params)); err != nil {
		return err
	}
	if err := count("results", len(results), len(r.p.results)); err != nil {
		return err
	}
	for i, n := range r.p.params {
		if err := r.check("argument", i, n, args[i]); err != nil {
			return err
		}
		f.slots[n], _ = args[i].Contiguous().Bytes()
	}
	for i, res := range r.p.results {
		if err := r.check("result", i, res.slot, results[i]); err != nil {
			return err
		}
		f.results[i], _ = results[i].Bytes()
	}
	if err := f.checkSharing(); err != nil {
		return err
	}
	for i, res := range r.p.results {
		if !res.copied {
			f.slots[res.slot] = f.results[i]
		}
	}
	return nil
}

// setArena points the other slots at the arena and the constants.
func (f *frame) setArena(block []byte) {
	r := f.r
	for i := range r.p.slots {
		switch r.p.slots[i].kind {
		case slotConst:
			f.slots[i] = r.fixed[i]
		case slotTemp:
			lo, hi := r.offsets[i], r.offsets[i]+r.bytes[i]
			f.slots[i] = block[lo:hi:hi]
		}
	}
}

// buffers are what a step reads and then what it writes.
func (f *frame) buffers(step int) [][]byte {
	bufs, s := f.args[step], &f.r.p.steps[step]
	for k, n := range s.in {
		bufs[k] = f.slots[n]
	}
	for k, n := range s.out {
		bufs[len(s.in)+k] = f.slots[n]
	}
	return bufs
}

// copyResults fills the results that no step wrote.
func (f *frame) copyResults() {
	for i, res := range f.r.p.results {
		if res.copied {
			copy(f.results[i], f.slots[res.slot])
		}
	}
}
