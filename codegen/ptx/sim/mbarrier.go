package sim

import "math/bits"

// mbarrierOps are the opcodes of mbarriers, and of those that deal with their copies.
var mbarrierOps = map[string]opcode{
	"mbarrier": mbarriers,
	"elect":    elect,
}

// mbarrier is a barrier in shared memory, of which each phase expects so many
// arrivals, and bytes of bulk copies (PTX specification, "Asynchronous barriers"):
//
//	            left  bytes  flying
//	init 1       1      0      0
//	expect_tx n  1      n      0
//	copy         1      n      n     begun, and its target not to be touched
//	arrive       0      n      n     now all is there: a wait lands the copies,
//	wait         1      0      0     and the next phase has begun
//
// Copies land when somebody waits for the second time: as late as the program allows.
type mbarrier struct {
	addr  uint32
	index int // among those of the block
	live  bool
	by    int    // the thread that made it
	made  uint32 // the tick

	count  int    // arrivals of a phase
	left   int    // that this phase still expects
	bytes  int    // that it still expects; below 0 where copies came before their announcement
	flying int    // bytes of copies that have begun
	phase  uint64 // phases completed

	incoming []bulkLoad
	arrived  clock // of those that have arrived
	done     clock // of those that arrived in the phases completed
}

// Limits of the hardware.
const (
	maxArrivals = 1<<20 - 1
	maxPending  = 1<<20 - 1 // bytes, either way
)

// mbarriers is mbarrier.init and its like.
func mbarriers(d *decoder) exec {
	d.partial = true
	d.grain = min(d.grain, 8)
	op := mbarrierForms[d.one("init", "inval", "arrive", "expect_tx", "try_wait", "test_wait")]
	if op == nil {
		return nothing
	}
	return op(d)
}

var mbarrierForms = map[string]opcode{
	"init":      makesMbarrier,
	"inval":     endsMbarrier,
	"arrive":    arrives,
	"expect_tx": expects,
	"try_wait":  waitsAtMbarrier,
	"test_wait": waitsAtMbarrier,
}

// inShared takes ".release.cta.shared::cta.b64", of which all but the type may be
// missing.
func (d *decoder) inShared(order string) {
	if d.any(order) != "" {
		d.needsGroupVersion()
		d.one("cta", "cluster")
	}
	d.one("shared", "shared::cta")
	d.typ("b64")
}

// makesMbarrier is mbarrier.init.shared::cta.b64 [address], count.
func makesMbarrier(d *decoder) exec {
	d.needs(80, "mbarrier")
	d.inShared("")
	at := d.addr(shared)
	count := d.src(types["u32"])
	return func(w *warp) {
		s := &w.b.shared
		s.tick++
		for m := w.mask; m != 0; m &= m - 1 {
			lane := bits.TrailingZeros32(m)
			addr, n := at.of(w.regs[at.slot][lane]), int(w.regs[count][lane])
			if n < 1 || n > maxArrivals {
				w.fail(BadBarrier, lane, "%d arrivals; expected 1 to %d", n, maxArrivals)
				return
			}
			if !w.touch(lane, addr, 8, writes) {
				return
			}
			w.b.makeMbarrier(uint32(addr), n, w.thread(lane))
			s.flag(uint32(addr), barrierFlag)
		}
	}
}

// flag adds flags to the writer of the units of an mbarrier.
func (s *sharedMemory) flag(addr uint32, flags uint16) {
	s.flags = true
	for i := range uint32(8) >> s.shift {
		s.marks[addr>>s.shift+i].writer |= flags
	}
}

// makeMbarrier makes an mbarrier, of the place of an earlier one there.
func (b *block) makeMbarrier(addr uint32, count, thread int) {
	m := b.mbarrierAt(addr)
	if m == nil {
		m = &mbarrier{addr: addr, index: len(b.mbarriers)}
		b.mbarriers = append(b.mbarriers, m)
	}
	*m = mbarrier{addr: addr, index: m.index, live: true, by: thread, made: b.shared.tick, count: count, left: count}
}

func (b *block) mbarrierAt(addr uint32) *mbarrier {
	for _, m := range b.mbarriers {
		if m.addr == addr {
			return m
		}
	}
	return nil
}

// mbarrier is the mbarrier at an address, which must be ordered behind its making.
func (w *warp) mbarrier(lane int, addr uint64) *mbarrier {
	s := &w.b.shared
	if addr%8 != 0 {
		w.fail(Misaligned, lane, "an mbarrier at %d", int64(addr))
		return nil
	}
	m := w.b.mbarrierAt(uint32(addr))
	if addr > uint64(len(s.data)) || m == nil || !m.live {
		w.fail(BadBarrier, lane, "there is no mbarrier at %d: none was initialised there", int64(addr))
		return nil
	}
	if m.made > s.epoch && !w.afterThread(m.by, m.made, lane) {
		w.fail(SharedRace, lane, "the mbarrier at %d was initialised by thread %d, without a barrier since", addr, m.by)
		return nil
	}
	return m
}

// eachMbarrier calls f with the mbarrier of each lane of the mask, until there is a
// fault.
func (w *warp) eachMbarrier(at *address, f func(lane int, m *mbarrier)) {
	w.b.shared.tick++
	for rest := w.mask; rest != 0 && w.b.fault == nil; rest &= rest - 1 {
		lane := bits.TrailingZeros32(rest)
		if m := w.mbarrier(lane, at.of(w.regs[at.slot][lane])); m != nil {
			f(lane, m)
		}
	}
}

// fencesMbarriers is fence.mbarrier_init.release.cluster: copies may then complete at
// the mbarriers that the thread has made, of others behind a barrier.
func fencesMbarriers(d *decoder) exec {
	d.needsGroupVersion()
	d.needs(90, d.inst.text)
	d.one("release")
	d.one("cluster")
	return func(w *warp) {
		s := &w.b.shared
		for m := w.mask; m != 0; m &= m - 1 {
			w.inited[bits.TrailingZeros32(m)] = s.tick
		}
		s.tick++
	}
}

// endsMbarrier is mbarrier.inval: its place becomes memory again, whose value is not
// defined.
func endsMbarrier(d *decoder) exec {
	d.needs(80, "mbarrier")
	d.inShared("")
	at := d.addr(shared)
	return func(w *warp) {
		w.eachMbarrier(&at, func(lane int, m *mbarrier) {
			if m.flying > 0 {
				w.fail(BadBarrier, lane, "copies of %d bytes are to complete at the mbarrier", m.flying)
				return
			}
			m.live = false
			s := &w.b.shared
			for i := range uint32(8) >> s.shift {
				u := &s.marks[m.addr>>s.shift+i]
				u.writer, u.wrote = uint16(w.thread(lane)), s.tick
			}
		})
	}
}

// expects is mbarrier.expect_tx.relaxed.cta.shared::cta.b64 [address], bytes.
func expects(d *decoder) exec {
	d.needs(90, "mbarrier.expect_tx")
	d.inShared("relaxed")
	at := d.addr(shared)
	bytes := d.src(types["u32"])
	return func(w *warp) {
		w.eachMbarrier(&at, func(lane int, m *mbarrier) {
			m.bytes += int(w.regs[bytes][lane])
			w.settle(lane, m)
		})
	}
}

// arrives is mbarrier.arrive{.expect_tx}.release.cta.shared::cta.b64 state, [address]{,
// count or bytes}. The state is the phase.
func arrives(d *decoder) exec {
	d.needs(80, "mbarrier")
	expect := d.has("expect_tx")
	if expect {
		d.needs(90, "mbarrier.arrive.expect_tx")
	}
	d.inShared("release")
	state := d.dst(types["b64"])
	at := d.addr(shared)
	operand := d.constant(constSlot{value: 1})
	if expect || len(d.args) > 0 {
		operand = d.src(types["u32"])
	}
	return func(w *warp) {
		var last *mbarrier
		w.eachMbarrier(&at, func(lane int, m *mbarrier) {
			n := int(w.regs[operand][lane])
			w.regs[state][lane] = m.phase
			if m != last { // else the same lanes have added the same
				last = m
				w.release(&m.arrived)
			}
			if expect {
				m.bytes += n
				n = 1
			}
			if n < 1 || n > m.left {
				w.fail(BadBarrier, lane, "%d arrivals at the mbarrier at %d, of which phase %d expects %d more (of %d) and %d bytes",
					n, m.addr, m.phase, m.left, m.count, m.bytes)
				return
			}
			m.left -= n
			w.settle(lane, m)
		})
	}
}

// settle checks that the bytes of an mbarrier add up, and completes its phase if
// nothing is missing.
func (w *warp) settle(lane int, m *mbarrier) {
	w.b.events++
	switch {
	case m.left == 0 && m.flying > m.bytes:
		w.fail(BadTransaction, lane, "copies to the mbarrier at %d bring %d bytes in phase %d, which expects %d", m.addr, m.flying, m.phase, m.bytes)
	case m.bytes > maxPending || m.flying-m.bytes > maxPending:
		w.fail(BadTransaction, lane, "the mbarrier at %d expects %d bytes and copies bring %d; the difference may be %d", m.addr, m.bytes, m.flying, maxPending)
	case m.left == 0 && m.bytes == 0:
		m.complete()
	}
}

func (m *mbarrier) complete() {
	m.done = append(m.done[:0], m.arrived...)
	m.phase++
	m.left = m.count
}

// waitsAtMbarrier is mbarrier.try_wait{.parity}.acquire.cta.shared::cta.b64 done,
// [address], state or parity{, time}. Parity means the phase that is under way or the one
// before, whichever has it. A first wait that finds a phase under way just says so;
// from the second on copies land, and where that does not complete the phase the
// lanes stall until something changes at an mbarrier.
func waitsAtMbarrier(d *decoder) exec {
	d.needs(80, "mbarrier")
	parity := d.has("parity")
	d.inShared("acquire")
	done := d.dst(types["pred"])
	at := d.addr(shared)
	operand := d.src(types[map[bool]string{true: "u32", false: "b64"}[parity]])
	if len(d.args) > 0 {
		d.src(types["u32"])
	}
	d.inst.control = polls
	return func(w *warp) {
		var yes uint32
		var last *mbarrier
		w.eachMbarrier(&at, func(lane int, m *mbarrier) {
			x := w.regs[operand][lane]
			if parity && x <= 1 {
				x = m.phase - (m.phase^x)&1 // the phase that is under way, or the one before
			} else if parity {
				w.fail(BadBarrier, lane, "parity %d; expected 0 or 1", x)
				return
			}
			if x == m.phase && w.polled == w.in {
				w.landBoxes(m)
			}
			if x != m.phase && x+1 != m.phase {
				w.fail(BadBarrier, lane, "a wait for phase %d of the mbarrier at %d, where phase %d is under way", int64(x), m.addr, m.phase)
				return
			}
			if x == m.phase {
				last = m
				return
			}
			yes |= 1 << lane
		})
		if w.b.fault == nil {
			w.polledAt(&at, done, yes, last)
		}
	}
}

// polledAt ends a wait that succeeded in some lanes; waits is an mbarrier of the
// others.
func (w *warp) polledAt(at *address, done int32, yes uint32, waits *mbarrier) {
	w.setPred(done, yes)
	var last *mbarrier
	for rest := yes; rest != 0; rest &= rest - 1 {
		lane := bits.TrailingZeros32(rest)
		if m := w.b.mbarrierAt(uint32(at.of(w.regs[at.slot][lane]))); m != last {
			last = m
			w.acquire(m.done, yes)
		}
	}
	switch {
	case waits == nil:
		w.polled = nil
	case w.polled == w.in:
		if w.stalled == 0 {
			w.since = w.b.events
		}
		w.stalled |= w.group
		w.awaited = waits
	default:
		w.polled = w.in
	}
}

// stuckAt is the fault of a block in which a warp waits at an mbarrier and nobody
// can change that.
func (b *block) stuckAt(w *warp) {
	m := w.awaited
	kind := BarrierDeadlock
	if m.left == 0 {
		kind = BadTransaction
	}
	w.in = w.polled
	w.fail(kind, bits.TrailingZeros32(w.stalled), "phase %d of the mbarrier at %d expects %d more arrivals (of %d) and %d bytes, of which copies bring %d",
		m.phase, m.addr, m.left, m.count, m.bytes, m.flying)
}

// elect is elect.sync lane|p, members: p holds in one lane, which the program cannot
// know, but is the same at every time.
func elect(d *decoder) exec {
	d.inst.meets = true
	d.needsGroupVersion()
	d.needs(90, "elect")
	d.one("sync")
	name, predName, pair := cutBar(d.arg())
	if !pair {
		d.fail("expected a register and a predicate such as _|%%p1, got %q", name)
	}
	to := d.written(name, types["b32"], false)
	p := d.written(predName, types["pred"], false)
	who := d.src(types["b32"])
	return func(w *warp) {
		if !w.members(who) {
			return
		}
		chosen := bits.TrailingZeros32(w.mask)
		if w.b.seed != 0 {
			rest := w.mask
			for range mix(w.b.seed) % uint64(bits.OnesCount32(w.mask)) {
				rest &= rest - 1
			}
			chosen = bits.TrailingZeros32(rest)
		}
		for m := w.mask; m != 0; m &= m - 1 {
			w.regs[to][bits.TrailingZeros32(m)] = uint64(chosen)
		}
		w.setPred(p, 1<<chosen)
	}
}
