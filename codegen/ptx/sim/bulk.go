package sim

import (
	"math/bits"
	"slices"
)

// bulkLoad is a copy of a box to shared memory, which has begun.
type bulkLoad struct {
	box
	in     *inst
	thread int
	cache  int // index into block.near
}

// bulkForm are the operands of a copy of boxes.
type bulkForm struct {
	rank     int
	shared   address
	tensor   address // of the map
	coords   []int32
	mbarrier address
	mapCache int
	cache    int
}

// bulkCopies is what begins with cp.async.bulk.
func bulkCopies(d *decoder) exec {
	d.needsGroupVersion()
	d.needs(90, "cp.async.bulk")
	switch d.one("tensor", "commit_group", "wait_group") {
	case "commit_group":
		return func(w *warp) { w.commitStores() }
	case "wait_group":
		read := d.has("read")
		keep := d.number()
		if keep < 0 {
			d.fail("expected a number of groups, got %d", keep)
		}
		return func(w *warp) { w.landStores(int32(keep), read) }
	}
	ranks := []string{"1d", "2d", "3d", "4d", "5d"}
	f := &bulkForm{rank: 1 + slices.Index(ranks, d.one(ranks...))}
	if d.has("global") {
		return f.store(d)
	}
	return f.load(d)
}

// load is cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes
// [to], [map, {x, y}], [mbarrier].
func (f *bulkForm) load(d *decoder) exec {
	d.partial = true
	if d.one("shared::cluster", "shared::cta") == "shared::cta" && d.m.version < 86 {
		d.fail("expected .version 8.6 or up for .shared::cta as a target, or .shared::cluster")
	}
	d.one("global")
	d.has("tile")
	d.one("mbarrier::complete_tx::bytes")
	hint := d.has("L2::cache_hint")
	f.shared = d.addr(shared)
	f.takeTensor(d)
	f.mbarrier = d.addr(shared)
	if hint {
		d.src(types["b64"])
	}
	return func(w *warp) {
		s := &w.b.shared
		s.tick++
		s.flags = true
		for m := w.mask; m != 0 && w.b.fault == nil; m &= m - 1 {
			f.begin(w, bits.TrailingZeros32(m))
		}
	}
}

// takeTensor takes "[map, {x, y}]".
func (f *bulkForm) takeTensor(d *decoder) {
	text := d.arg()
	var parts []string
	if len(text) > 2 && text[0] == '[' && text[len(text)-1] == ']' {
		parts = split(text[1 : len(text)-1])
	}
	if len(parts) != 2 {
		d.fail("expected a map and coordinates such as [%%d1, {%%r1, %%r2}], got %q", text)
		return
	}
	d.args = append([]string{"[" + parts[0] + "]", parts[1]}, d.args...)
	f.tensor = d.addr(generic)
	f.coords = d.srcVec(types["s32"], f.rank)
	f.mapCache, f.cache = d.caches, d.caches+1
	d.caches += 2
}

// box is the box that a lane names; nil after a fault.
func (f *bulkForm) box(w *warp, lane int) *box {
	s := &w.b.shared
	m, tensor, ok := w.tensorMap(lane, f.tensor.of(w.regs[f.tensor.slot][lane]), f.mapCache)
	if !ok {
		return nil
	}
	if m.Rank != f.rank {
		w.fail(BadTensorMap, lane, "a map of %d axes for a copy of %d", m.Rank, f.rank)
		return nil
	}
	at := f.shared.of(w.regs[f.shared.slot][lane])
	bytes := m.BoxBytes()
	if at > uint64(len(s.data)) || uint64(bytes) > uint64(len(s.data))-at {
		w.fail(SharedBounds, lane, "a box of %d bytes at %d of %d", bytes, int64(at), len(s.data))
		return nil
	}
	if at%128 != 0 {
		w.fail(Misaligned, lane, "a box at %d in shared memory; expected a multiple of 128", at)
		return nil
	}
	x := &box{m: m, tensor: tensor, shared: uint32(at), bytes: bytes}
	for i, r := range f.coords {
		x.at[i] = signExtend(w.regs[r][lane], 32)
	}
	return x
}

// begin begins the copy of a lane.
func (f *bulkForm) begin(w *warp, lane int) {
	m := w.mbarrier(lane, f.mbarrier.of(w.regs[f.mbarrier.slot][lane]))
	if m == nil {
		return
	}
	x := f.box(w, lane)
	if x == nil || !w.mbarrierFenced(lane, m) || !w.claim(lane, m, x) || !w.inGlobal(lane, x, f.cache, reads) {
		return
	}
	m.incoming = append(m.incoming, bulkLoad{*x, w.in, w.thread(lane), f.cache})
	m.flying += x.bytes
	w.b.stats.Bulk++
	w.b.stats.BulkBytes += int64(x.bytes)
	w.settle(lane, m)
}

// mbarrierFenced checks that the copies, which are another kind of accesses, see an
// mbarrier initialised.
func (w *warp) mbarrierFenced(lane int, m *mbarrier) bool {
	by := w.b.warps[m.by/32]
	if max(by.inited[m.by%32], by.products.proxied[m.by%32]) >= m.made {
		return true
	}
	w.fail(NotFenced, lane, "the mbarrier at %d was initialised without a fence.mbarrier_init or fence.proxy.async behind it", m.addr)
	return false
}

// claim checks that a box may be written from now on, and marks it as under way: what
// was there is ordered before, and fenced if it is not of a copy.
func (w *warp) claim(lane int, barrier *mbarrier, x *box) bool {
	s := &w.b.shared
	me := uint16(w.thread(lane))
	for unit := x.shared >> s.shift; unit < (x.shared+uint32(x.bytes))>>s.shift; unit++ {
		m := &s.marks[unit]
		ordered := m.wrote <= s.epoch || m.writer == me || w.afterWrite(m, lane, writes)
		if m.writer&(pendingFlag|barrierFlag) != 0 || !ordered || m.read > s.epoch && !w.afterReads(unit, lane) {
			return w.raced(m, lane, unit<<s.shift, writes)
		}
		if m.wrote > s.began && !w.b.proxied(m) {
			return w.unfenced(lane, unit)
		}
		m.writer, m.wrote = pendingFlag|bulkFlag|uint16(barrier.index), s.tick
	}
	return true
}

// proxied reports whether the last write of a unit is one of a copy, or has a fence
// of its thread behind it.
func (b *block) proxied(m *unitMark) bool {
	if m.writer&bulkFlag != 0 {
		return true
	}
	by := int(m.writer & threadBits)
	return by != threadBits && b.warps[by/32].products.proxied[by%32] >= m.wrote
}

func (w *warp) unfenced(lane int, unit uint32) bool {
	w.fail(NotFenced, lane, "address %d was written without a fence.proxy.async of its writer behind it", unit<<w.b.shared.shift)
	return false
}

// inGlobal checks that the parts of a box that lie in the tensor are memory, and
// written where they are read.
func (w *warp) inGlobal(lane int, x *box, cache int, a access) bool {
	return x.rows(func(row boxRow) bool {
		n := uint64(row.to - row.from)
		if n == 0 {
			return true
		}
		r := w.region(row.global, cache)
		if r == nil || n > r.end()-row.global {
			w.fail(OutOfBounds, lane, "%d bytes at %#x of the tensor at %#x: %s", n, row.global, x.tensor, w.b.mem.near(row.global))
			return false
		}
		o := row.global - r.addr
		if a == reads && !isWritten(r.written[o:o+n]) {
			w.fail(UnwrittenGlobal, lane, "%d bytes at %#x, offset %d of the %d bytes at %#x", n, row.global, o, len(r.data), r.addr)
			return false
		}
		return w.b.races == nil || w.aloneAlong(lane, row.global, int(n), a)
	})
}

// aloneAlong is alone for bytes that are not of one page.
func (w *warp) aloneAlong(lane int, addr uint64, n int, a access) bool {
	for n > 0 {
		part := min(n, racePageBytes-int(addr%racePageBytes))
		if !w.mayAccess(lane, addr, part, a, proxied) {
			return false
		}
		addr += uint64(part)
		n -= part
	}
	return true
}

// landBoxes carries out the copies to an mbarrier if they are all that its phase waits
// for, which completes it.
func (w *warp) landBoxes(m *mbarrier) {
	if m.left > 0 || m.flying < m.bytes {
		return
	}
	b := w.b
	s := &b.shared
	s.tick++
	for i := range m.incoming {
		w.landBox(&m.incoming[i])
		x := &m.incoming[i].box
		for unit := x.shared >> s.shift; unit < (x.shared+uint32(x.bytes))>>s.shift; unit++ {
			s.marks[unit].writer &^= pendingFlag
			s.marks[unit].wrote = s.tick
		}
	}
	m.bytes -= m.flying
	m.flying, m.incoming = 0, m.incoming[:0]
	m.arrived.note(len(b.warps)+m.index, moment{tick: s.tick})
	m.complete()
	b.events++
}

// landBox brings a box, with zeros outside of the tensor.
func (w *warp) landBox(c *bulkLoad) {
	s := &w.b.shared
	row := make([]byte, int(c.m.Box[0])*c.m.Type.Size())
	c.rows(func(r boxRow) bool {
		clear(row)
		if r.to > r.from {
			region := w.region(r.global, c.cache)
			copy(row[r.from:r.to], region.data[r.global-region.addr:])
		}
		for at := 0; at < len(row); at += 16 {
			copy(s.data[c.chunk(r.offset+at):][:16], row[at:])
		}
		return true
	})
}

// endCopies checks at the end of a block that there was a wait for all copies, and
// lets stores that have read their source take place.
func (b *block) endCopies() {
	for _, m := range b.mbarriers {
		if m.flying > 0 {
			c := &m.incoming[0]
			w := b.warps[c.thread/32]
			w.in = c.in
			w.fail(AsyncNotWaited, c.thread%32, "the block has ended before copies of %d bytes to the mbarrier at %d were waited for", m.flying, m.addr)
			return
		}
	}
	for _, w := range b.warps {
		w.endStores()
	}
}
