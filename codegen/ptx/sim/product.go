package sim

import (
	"math/bits"
	"slices"
)

// productQueue is what a warp has begun of wgmma. Products are made at their wait,
// as late as the program allows, each warp its 16 rows. Until then
//   - a register that holds sums counts as not written, and nobody may write it, or a
//     register with a fragment of a,
//   - the chunks of shared memory that the group reads must stay as they are.
//
// What was written while a product was under way is found at its wait.
type productQueue struct {
	steps     []groupStep // what the group has carried out; its first warp has them
	done      int         // of steps, by this warp
	fence     int64       // when the last wgmma.fence was; 0: never
	committed int         // groups
	pending   []pendingProduct
	stamps    []int64         // by slot, when an instruction last wrote the register; 0: never
	owner     []*groupProduct // by slot, the last pending product whose sum it is to hold
	registers int             // per thread, that the last setmaxnreg says
	moved     *inst           // that
	proxied   [32]uint32      // ticks of the last fence.proxy.async of the lanes
	tiles     [32]*groupTiles // of the last steps of the group; its first warp has them
}

// pendingProduct is a product under way.
type pendingProduct struct {
	*groupProduct
	in        *inst
	group     int
	step      int   // of the group's
	began     int64 // as stamps
	tick      uint32
	latest    uint32 // when its tiles were last written
	left      tile   // without one, the fragments
	right     tile
	adds      bool
	fragments [4]lanes
}

// groupTiles are the operands of a product, unpacked at a tick by the first of the four
// warps that makes its part.
type groupTiles struct {
	a    [64][groupDepth]float64
	b    [256][groupDepth]float64
	step int
	tick uint32
}

// groupStep is what all four warps of a group have to carry out alike.
type groupStep struct {
	in   *inst
	a, b uint64 // descriptors
	adds bool
}

// now counts the instructions of the block's warps, from 1.
func (b *block) now() int64 { return b.limit - b.left }

// start forgets everything, for the next block. No product is pending.
func (q *productQueue) start(slots int) {
	if q.stamps == nil {
		q.stamps = make([]int64, slots)
	}
	clear(q.stamps)
	for _, t := range q.tiles {
		if t != nil {
			t.tick = 0
		}
	}
	*q = productQueue{steps: q.steps[:0], pending: q.pending[:0], stamps: q.stamps, owner: q.owner, tiles: q.tiles}
}

// leader is the first warp of the warp group.
func (w *warp) leader() *warp { return w.b.warps[w.id&^3] }

// together checks that the warp is whole, and that the four warps of its group carry
// out the same instructions with the same operands, in the same order.
func (w *warp) together(s groupStep) bool {
	if !w.whole() {
		return false
	}
	if n := len(w.b.warps); n < w.id&^3+4 {
		w.fail(MissingWarp, 0, "the block has %d warps: no four from warp %d on", n, w.id&^3)
		return false
	}
	q := &w.leader().products
	if w.products.done == len(q.steps) {
		q.steps = append(q.steps, s)
	}
	if other := q.steps[w.products.done]; other != s {
		w.fail(MissingWarp, 0, "another warp of the group carries out line %d there, descriptors %#x and %#x, not %#x and %#x",
			other.in.line, other.a, other.b, s.a, s.b)
		return false
	}
	w.products.done++
	return true
}

// endGroups checks at the end of a block that no warp of a group has left some of
// the group's instructions out, and that there was a wait for all products.
func (b *block) endGroups() {
	for _, w := range b.warps {
		q := &w.products
		if steps := w.leader().products.steps; q.done < len(steps) {
			w.in = steps[q.done].in
			w.fail(MissingWarp, 0, "the warp has ended without it, other warps of the group carry it out")
			return
		}
		if len(q.pending) > 0 {
			w.in = q.pending[0].in
			w.fail(ProductNotWaited, 0, "the warp has ended before its wait")
			return
		}
	}
}

// unwritten is the fault of reading a register.
func (w *warp) unwritten(slot int32, operand int, missing uint32) {
	lane := bits.TrailingZeros32(missing)
	if q := &w.products; q.owner != nil && q.owner[slot] != nil {
		w.fail(ProductNotWaited, lane, "operand %d of those that are read is a sum of a wgmma", operand)
		return
	}
	w.fail(UnwrittenRegister, lane, "operand %d of those that are read", operand)
}

// begin starts a product.
func (p *groupProduct) begin(w *warp) {
	pending := pendingProduct{groupProduct: p, in: w.in, group: w.products.committed, began: w.b.now()}
	step := groupStep{in: w.in, adds: p.always}
	ok := w.descriptor(p.b, uint32(p.n), p.bByMN, &pending.right, &step.b)
	if p.fragments == nil {
		ok = ok && w.descriptor(p.a, 64, p.aByMN, &pending.left, &step.a)
	}
	if p.add != none {
		adds := w.pred(p.add, p.negate)
		if step.adds = adds != 0; step.adds && adds != allLanes {
			w.fail(MissingLane, bits.TrailingZeros32(^adds), "only the lanes %#x add", adds)
		}
	}
	if !ok || !w.together(step) || !w.fenced(p, step.adds) {
		return
	}
	s := &w.b.shared
	s.tick++
	pending.tick, pending.adds, pending.step = s.tick, step.adds, w.products.done
	for i, r := range p.fragments {
		pending.fragments[i] = w.regs[r]
	}
	if !pending.left.each(w.visible) || !pending.right.each(w.visible) {
		return
	}
	w.b.stats.GroupMMA++
	q := &w.products
	if q.owner == nil {
		q.owner = make([]*groupProduct, len(w.regs))
	}
	for _, r := range p.accs {
		q.owner[r], w.written[r] = p, 0
	}
	q.pending = append(q.pending, pending)
}

// descriptor is the tile that a descriptor says.
func (w *warp) descriptor(slot int32, rows uint32, byMN bool, t *tile, value *uint64) bool {
	x := w.regs[slot][0]
	d, ok := unpackDescriptor(x)
	for lane, y := range w.regs[slot] {
		if y != x || !ok {
			w.fail(BadDescriptor, lane, "expected the same in all lanes, and bits %#x 0, got %#x, and %#x in lane 0", uint64(reservedBits), y, x)
			return false
		}
	}
	*t, *value = tile{d, rows, byMN}, x
	return true
}

// fenced checks that the registers of a product have been written, and a
// wgmma.fence lies behind that.
func (w *warp) fenced(p *groupProduct, adds bool) bool {
	q := &w.products
	for _, r := range p.accs {
		if q.owner != nil && q.owner[r] != nil {
			if !slices.Equal(q.owner[r].accs, p.accs) {
				w.fail(ProductNotWaited, 0, "a sum is one of another wgmma, of another shape or order")
				return false
			}
			if w.written[r] != 0 {
				w.fail(ProductNotWaited, bits.TrailingZeros32(w.written[r]), "a sum was written while a wgmma was under way")
				return false
			}
			continue
		}
		if missing := ^w.written[r]; adds && missing != 0 {
			w.fail(UnwrittenRegister, bits.TrailingZeros32(missing), "a sum that is added to")
			return false
		}
	}
	for _, r := range slices.Concat(p.accs, p.fragments) {
		if q.fence == 0 || q.stamps[r] > q.fence {
			w.fail(NotFenced, 0, "a register was written without a wgmma.fence behind it")
			return false
		}
	}
	return true
}

// visible checks that a chunk may be read: written, ordered before, and fenced by
// its writers from the other kind of accesses.
func (w *warp) visible(addr, _, _ uint32) bool {
	return w.visibleTo(0, addr)
}

func (w *warp) visibleTo(lane int, addr uint32) bool {
	if !w.touch(lane, uint64(addr), 16, reads) {
		return false
	}
	s := &w.b.shared
	first := addr >> s.shift
	for i := range uint32(16) >> s.shift {
		if !w.b.proxied(&s.marks[first+i]) {
			return w.unfenced(lane, first+i)
		}
	}
	return true
}

// landProducts makes the products of all groups but the newest ones.
func (w *warp) landProducts(keep int) {
	q := &w.products
	w.b.shared.tick++
	n := 0
	for n < len(q.pending) && q.pending[n].group < q.committed-keep {
		if !w.untouched(&q.pending[n]) {
			return
		}
		n++
	}
	for i := range q.pending[:n] {
		q.pending[i].carryOut(w)
	}
	for i := range q.pending[:n] {
		for _, r := range q.pending[i].accs {
			q.owner[r], w.written[r] = nil, allLanes
		}
	}
	q.pending = slices.Delete(q.pending, 0, n)
	for i := range q.pending {
		for _, r := range q.pending[i].accs {
			q.owner[r], w.written[r] = q.pending[i].groupProduct, 0
		}
	}
}

// untouched checks that nobody has written what a product reads or writes while it
// was under way, and notes that it has read shared memory up to now.
func (w *warp) untouched(p *pendingProduct) bool {
	for _, r := range p.accs {
		if w.written[r] != 0 {
			w.fail(ProductNotWaited, bits.TrailingZeros32(w.written[r]), "a sum of line %d was written before the wait", p.in.line)
			return false
		}
	}
	for _, r := range p.groupProduct.fragments {
		if w.products.stamps[r] > p.began {
			w.fail(ProductNotWaited, 0, "a fragment of line %d was written before the wait", p.in.line)
			return false
		}
	}
	s := &w.b.shared
	p.latest = 0
	same := func(addr, _, _ uint32) bool {
		first := addr >> s.shift
		for i := range uint32(16) >> s.shift {
			if m := &s.marks[first+i]; m.wrote > p.tick {
				w.fail(SharedRace, 0, "address %d, which line %d reads, was written by %s before the wait",
					(first+i)<<s.shift, p.in.line, w.b.describeWriter(m))
				return false
			}
			p.latest = max(p.latest, s.marks[first+i].wrote)
			s.noteRead(first+i, w.id, 0)
		}
		return true
	}
	return p.left.each(same) && p.right.each(same)
}

// carryOut makes the warp's part of a product.
func (p *pendingProduct) carryOut(w *warp) {
	tiles := &w.leader().products.tiles
	t := tiles[p.step%len(tiles)]
	if t == nil {
		t = &groupTiles{}
		tiles[p.step%len(tiles)] = t
	}
	if t.step != p.step || t.tick < p.latest {
		w.unpackTile(&p.left, p.unpack, t.a[:])
		w.unpackTile(&p.right, p.unpack, t.b[:])
		t.step, t.tick = p.step, w.b.shared.tick
	}
	own := t.a[w.id%4*16:][:16]
	for i, r := range p.fragments[:len(p.groupProduct.fragments)] {
		for lane, x := range r {
			p.unpack(x, own[lane/4+8*(i%2)][lane%4*2+i/2*8:])
		}
	}
	for i, r := range p.accs {
		sums := &w.regs[r]
		for lane := range sums {
			row, col := lane/4+i%4/2*8, i/4*8+lane%4*2+i%2
			sum := p.sign * dot(&own[row], &t.b[col])
			if p.adds {
				sum += float64(f32(sums[lane]))
			}
			sums[lane] = bits32(float32(sum))
		}
	}
}

// dot is a product of a row and a column; in float64, as the hardware keeps more bits
// inside than the sums have.
func dot(x, y *[groupDepth]float64) float64 {
	a, b := 0.0, 0.0
	for i := 0; i < groupDepth; i += 2 {
		a += float64(x[i] * y[i])
		b += float64(x[i+1] * y[i+1])
	}
	return a + b
}

// unpackTile reads a tile from shared memory.
func (w *warp) unpackTile(t *tile, unpack func(x uint64, to []float64), to [][groupDepth]float64) {
	var chunk [8]float64
	t.each(func(addr, row, k uint32) bool {
		for i := range uint32(4) {
			unpack(load(w.b.shared.data[addr+4*i:], 4), chunk[2*i:])
		}
		if !t.byMN {
			copy(to[row][k:], chunk[:])
			return true
		}
		for i, x := range chunk {
			to[row+uint32(i)][k] = x
		}
		return true
	})
}
