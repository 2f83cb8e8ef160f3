package sim

import "math/bits"

var asyncOps = map[string]opcode{"cp": copiesAsync}

// asyncQueue are the copies of a warp that have begun and not ended. They take
// place at the wait: as late as the program allows.
type asyncQueue struct {
	pending   []asyncCopy
	committed [32]int32 // groups of each lane
}

type asyncCopy struct {
	to     uint32
	from   uint64
	bytes  int // of the target; what source leaves is zero
	source int
	lane   int
	group  int32
	cache  int
}

// copiesAsync is cp.async and what belongs to it.
func copiesAsync(d *decoder) exec {
	d.one("async")
	if d.has("bulk") {
		return bulkCopies(d)
	}
	switch d.any("commit_group", "wait_group", "wait_all") {
	case "commit_group":
		return func(w *warp) { w.commit() }
	case "wait_all":
		return func(w *warp) {
			w.commit()
			w.land(0)
		}
	case "wait_group":
		keep := d.number()
		if keep < 0 {
			d.fail("expected a number of groups, got %d", keep)
		}
		return func(w *warp) { w.land(int32(keep)) }
	}
	return beginCopy(d)
}

// beginCopy is cp.async.ca.shared.global [to], [from], bytes{, source}.
func beginCopy(d *decoder) exec {
	level := d.one("ca", "cg")
	d.one("shared", "shared::cta")
	d.one("global")
	d.hints()
	to := d.addr(shared)
	from := d.addr(global)
	n := d.number()
	if n != 4 && n != 8 && n != 16 || level == "cg" && n != 16 {
		d.fail("expected 4, 8 or 16 bytes (.cg: 16), got %d", n)
		n = 16
	}
	d.grain = min(d.grain, n)
	source := d.constant(constSlot{value: uint64(n)})
	if len(d.args) > 0 {
		source = d.src(types["u32"])
	}
	dst := memoryAccess{space: shared, at: to, bytes: n, kind: writes}
	src := memoryAccess{space: global, at: from, bytes: n, kind: reads, cache: d.caches}
	d.caches++
	return func(w *warp) { w.begin(&dst, &src, source) }
}

// begin starts the copies of the lanes of the mask.
func (w *warp) begin(dst, src *memoryAccess, source int32) {
	s := &w.b.shared
	s.tick++
	s.flags = true
	for m := w.mask; m != 0; m &= m - 1 {
		lane := bits.TrailingZeros32(m)
		c := asyncCopy{to: uint32(dst.address(w, lane)), from: src.address(w, lane), bytes: dst.bytes,
			source: int(w.regs[source][lane]), lane: lane, group: w.async.committed[lane], cache: src.cache}
		if c.source > c.bytes {
			w.fail(OutOfBounds, lane, "a source of %d bytes for a copy of %d", c.source, c.bytes)
			return
		}
		if !w.touch(lane, uint64(c.to), c.bytes, writes) || !w.readable(&c) {
			return
		}
		first := c.to >> s.shift
		for i := range uint32(c.bytes) >> s.shift {
			s.marks[first+i].writer |= pendingFlag
		}
		w.async.pending = append(w.async.pending, c)
		w.b.stats.Async++
		if c.bytes == 16 && c.source == 16 {
			w.b.stats.Vec128++
		}
	}
}

// readable checks the source of a copy: aligned, and what is read of it written.
func (w *warp) readable(c *asyncCopy) bool {
	if c.from%uint64(c.bytes) != 0 {
		w.fail(Misaligned, c.lane, "the source of %d bytes at %#x", c.bytes, c.from)
		return false
	}
	return c.source == 0 || w.source(c) != nil
}

// source is the memory that a copy reads; nil after a fault.
func (w *warp) source(c *asyncCopy) []byte {
	r := w.region(c.from, c.cache)
	if r == nil || uint64(c.source) > r.end()-c.from {
		w.fail(OutOfBounds, c.lane, "%d bytes at %#x: %s", c.source, c.from, w.b.mem.near(c.from))
		return nil
	}
	o := c.from - r.addr
	if !isWritten(r.written[o : o+uint64(c.source)]) {
		w.fail(UnwrittenGlobal, c.lane, "%d bytes at %#x, offset %d of the %d bytes at %#x", c.source, c.from, o, len(r.data), r.addr)
		return nil
	}
	if w.b.races != nil && !w.mayAccess(c.lane, c.from, c.source, reads, proxied) {
		return nil
	}
	return r.data[o : o+uint64(c.source)]
}

// commit ends the group of each lane of the mask.
func (w *warp) commit() {
	for m := w.mask; m != 0; m &= m - 1 {
		w.async.committed[bits.TrailingZeros32(m)]++
	}
}

// land carries out the copies of all groups but the newest ones, which the lanes of
// the mask have committed.
func (w *warp) land(keep int32) {
	s := &w.b.shared
	s.tick++
	kept := w.async.pending[:0]
	for _, c := range w.async.pending {
		if w.mask>>c.lane&1 == 0 || c.group >= w.async.committed[c.lane]-keep {
			kept = append(kept, c)
			continue
		}
		data := s.data[c.to : int(c.to)+c.bytes]
		clear(data)
		if c.source > 0 {
			copy(data, w.source(&c))
		}
		first := c.to >> s.shift
		for i := range uint32(c.bytes) >> s.shift {
			s.marks[first+i].writer &^= pendingFlag
			s.marks[first+i].wrote = s.tick
		}
	}
	w.async.pending = kept
}
