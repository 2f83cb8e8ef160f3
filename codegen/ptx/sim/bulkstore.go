package sim

import "math/bits"

// storeQueue are the copies of boxes to global memory that the lanes of a warp have
// begun. They read their source and write their target at the waits: as late as the
// program allows. Until then nobody may write the source.
type storeQueue struct {
	pending   []bulkStore
	committed [32]int32 // groups of each lane
}

// bulkStore is a copy under way.
type bulkStore struct {
	box
	in    *inst
	lane  int
	group int32
	cache int
	tick  uint32
	data  []byte // in order of rows; nil: it has not read its source
}

// store is cp.async.bulk.tensor.2d.global.shared::cta.tile.bulk_group [map, {x, y}],
// [from].
func (f *bulkForm) store(d *decoder) exec {
	d.one("shared::cta")
	d.has("tile")
	d.one("bulk_group")
	hint := d.has("L2::cache_hint")
	f.takeTensor(d)
	f.shared = d.addr(shared)
	if hint {
		d.src(types["b64"])
	}
	return func(w *warp) {
		w.b.shared.tick++
		for m := w.mask; m != 0 && w.b.fault == nil; m &= m - 1 {
			lane := bits.TrailingZeros32(m)
			x := f.box(w, lane)
			if x == nil || !w.inGlobal(lane, x, f.cache, writes) || !w.source16(lane, x, nil) {
				return
			}
			w.stores.pending = append(w.stores.pending, bulkStore{box: *x, in: w.in, lane: lane,
				group: w.stores.committed[lane], cache: f.cache, tick: w.b.shared.tick})
			w.b.stats.Bulk++
			w.b.stats.BulkBytes += int64(x.bytes)
		}
	}
}

// source16 checks that a box in shared memory may be read, and reads it where there is
// something to read to.
func (w *warp) source16(lane int, x *box, to []byte) bool {
	for offset := 0; offset < x.bytes; offset += 16 {
		at := x.chunk(offset)
		if !w.visibleTo(lane, at) {
			return false
		}
		if to != nil {
			copy(to[offset:], w.b.shared.data[at:at+16])
		}
	}
	return true
}

// commitStores ends the group of each lane of the mask.
func (w *warp) commitStores() {
	for m := w.mask; m != 0; m &= m - 1 {
		w.stores.committed[bits.TrailingZeros32(m)]++
	}
}

// landStores carries out the copies of all groups but the newest ones, which the lanes
// of the mask have committed; or just lets them read their source.
func (w *warp) landStores(keep int32, read bool) {
	w.b.shared.tick++
	kept := w.stores.pending[:0]
	for _, c := range w.stores.pending {
		if w.mask>>c.lane&1 == 0 || c.group >= w.stores.committed[c.lane]-keep {
			kept = append(kept, c)
			continue
		}
		if c.data == nil && !w.readSource(&c) {
			return
		}
		if read {
			kept = append(kept, c)
		} else {
			w.writeBox(&c)
		}
	}
	w.stores.pending = kept
}

// readSource reads the source of a copy, which must be as it was.
func (w *warp) readSource(c *bulkStore) bool {
	s := &w.b.shared
	for unit := c.shared >> s.shift; unit < (c.shared+uint32(c.bytes))>>s.shift; unit++ {
		if m := &s.marks[unit]; m.wrote > c.tick {
			w.fail(SharedRace, c.lane, "address %d, which line %d reads, was written by %s before the wait", unit<<s.shift, c.in.line, w.b.describeWriter(m))
			return false
		}
	}
	c.data = make([]byte, c.bytes)
	return w.source16(c.lane, &c.box, c.data)
}

// writeBox writes the parts of a box that lie in the tensor.
func (w *warp) writeBox(c *bulkStore) {
	c.rows(func(r boxRow) bool {
		if r.to > r.from {
			region := w.region(r.global, c.cache)
			o := r.global - region.addr
			copy(region.data[o:], c.data[r.offset+r.from:r.offset+r.to])
			mark(region.written[o : o+uint64(r.to-r.from)])
		}
		return true
	})
}

// endStores ends the copies of a warp at the end of the block: shared memory is gone
// then, so they must have read it.
func (w *warp) endStores() {
	for i := range w.stores.pending {
		c := &w.stores.pending[i]
		if c.data == nil {
			w.in = c.in
			w.fail(AsyncNotWaited, c.lane, "the block has ended before the copy was waited for")
			return
		}
		w.writeBox(c)
	}
}
