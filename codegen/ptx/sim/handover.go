package sim

import "math/bits"

// Blocks of a launch hand over what they write by an atomic, as in "the last block
// reduces":
//
//	block i    st x   (bar.sync)   fence   atom c  -.
//	block j                                         '->  atom c   fence   (bar.sync)   ld x
//
// What a thread does before its fence, and what others of its block do before a barrier
// of the whole block in front of that, is released by its next atomics on global memory.
// Another thread whose atomic on the same address comes later acquires it with its next
// fence, and others of its block with a barrier of the whole block behind that. (PTX ISA,
// "Memory Consistency Model", release and acquire patterns, and causality order.) Fences
// are of the device or the system; acquire and release of an atomic are one behind and
// one before it.
//
// Stricter than that: what a block has acquired it does not hand on; bulk and cp.async
// copies neither release nor acquire; barriers of parts of a block, and mbarriers, order
// nothing here; and only reads of what was handed over are allowed.

// release is what a thread has ordered before what it does next.
type release struct {
	block  uint32 // index plus 1
	thread uint32
	tick   uint32 // up to which it is ordered what the thread did
	epoch  uint32 // and what the others did
}

// covers reports whether a write is ordered.
func (r *release) covers(block, thread, tick uint32) bool {
	return r.block == block && (tick <= r.epoch || r.thread == thread && tick <= r.tick)
}

// acquired is what was released by another block, and by which thread it was acquired.
type acquired struct {
	release
	by   uint32
	when uint32 // the tick of its fence
}

// handed reports whether a thread may read what another block wrote at a tick; epoch is
// the tick of the last barrier.
func (r *blockRaces) handed(block, thread, tick, reader, epoch uint32) bool {
	for i := range r.acquired {
		a := &r.acquired[i]
		if a.covers(block, thread, tick) && (a.by == reader || a.when <= epoch) {
			return true
		}
	}
	return false
}

// fence is a fence of the device, of the lanes of the mask.
func (w *warp) fence() {
	r := w.b.races
	if r == nil {
		return
	}
	s := &w.b.shared
	s.tick++
	for m := w.mask; m != 0; m &= m - 1 {
		lane := bits.TrailingZeros32(m)
		thread := uint32(w.thread(lane))
		w.ordered[lane] = release{uint32(w.b.index + 1), thread, s.tick, s.epoch}
		for _, x := range w.met[lane] {
			r.acquired = append(r.acquired, acquired{x, thread, s.tick})
		}
		w.met[lane] = w.met[lane][:0]
	}
}

// meet notes atomics of the lanes of the mask: they release, and, where they return what
// was there, meet what was released before.
func (w *warp) meet(a *memoryAccess, returns bool) {
	r := w.b.races
	for m := w.mask; m != 0; m &= m - 1 {
		lane := bits.TrailingZeros32(m)
		addr := a.address(w, lane)
		if returns {
			w.met[lane] = append(w.met[lane], r.released[addr]...)
		}
		if w.ordered[lane].block != 0 {
			r.released[addr] = append(r.released[addr], w.ordered[lane])
		}
	}
}
