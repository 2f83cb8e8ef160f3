package sim

import (
	"fmt"
	"math/bits"
)

// sharedMemory is the shared memory of a block, and who accessed it since when.
//
// Every instruction of a warp that accesses it is a tick. Two accesses of the same
// unit, one of them a write, are a race unless
//   - they are of one thread, or both atomic, or
//   - a barrier that both threads took part in lies between, or an mbarrier at which
//     the first has arrived and for whose phase the second has waited, or
//   - the threads are of one warp, and the instructions are different ones, at the
//     second of which the warp has converged again, or between which both threads
//     have passed a bar.warp.sync.
//
// The hardware promises less for the last case: lanes that nothing has separated
// stay together in practice only. What is found here is wrong everywhere.
type sharedMemory struct {
	data  []byte
	marks []unitMark // per unit of grain bytes
	grain uint32
	shift uint32 // log2 of grain

	tick     uint32
	began    uint32           // the tick at which the block began
	epoch    uint32           // the tick of the last barrier of the whole block
	flags    bool             // writers of marks may have flags other than atomicFlag
	arrivals [numBarriers]int // warps that have arrived without waiting
	// readers are the last reads of units that several warps have read, by warp; nil
	// where all barriers are of the whole block, behind which reads are forgotten.
	readers [][]readMark
}

const numBarriers = 16

// unitMark is the last write of a unit, and the reads since the last barrier.
type unitMark struct {
	wrote, read uint32 // ticks
	lanes       uint32 // of the warp that read it
	writer      uint16 // the thread, and flags; the mbarrier where there is bulkFlag
	reader      uint16 // the warp, or severalWarps
}

// readMark is the last read of a unit by a warp.
type readMark struct {
	tick, lanes uint32
}

const (
	pendingFlag   = 0x8000 // a copy has not been waited for
	atomicFlag    = 0x4000
	bulkFlag      = 0x2000 // a bulk copy wrote it
	barrierFlag   = 0x1000 // an mbarrier lies there
	threadBits    = 0x0FFF
	severalAtomic = atomicFlag | threadBits
	severalWarps  = 0xFFFF
)

// newShared makes the shared memory of blocks of so many warps. partial says that
// there are barriers that are not of the whole block.
func newShared(bytes, grain, warps int, partial bool) sharedMemory {
	s := sharedMemory{data: make([]byte, bytes), marks: make([]unitMark, bytes/grain+1), grain: uint32(grain),
		shift: uint32(bits.TrailingZeros(uint(grain)))}
	if partial {
		s.readers = make([][]readMark, warps)
	}
	return s
}

// start forgets everything, for the next block.
func (s *sharedMemory) start() {
	if s.tick > 1<<31 {
		clear(s.marks)
		for _, r := range s.readers {
			clear(r)
		}
		s.tick = 0
	}
	if s.flags {
		for i := range s.marks {
			s.marks[i].writer = 0
		}
		s.flags = false
	}
	s.tick++
	s.began, s.epoch = s.tick, s.tick
	s.arrivals = [numBarriers]int{}
}

// access is a kind of access.
type access uint8

const (
	reads access = iota
	writes
	updates // atomically
)

// touch checks an access of a lane to n bytes, and notes it. It reports whether the
// access may go ahead.
func (w *warp) touch(lane int, addr uint64, n int, a access) bool {
	s := &w.b.shared
	if addr > uint64(len(s.data)) || uint64(n) > uint64(len(s.data))-addr {
		w.fail(SharedBounds, lane, "%d bytes at %d of %d", n, int64(addr), len(s.data))
		return false
	}
	if addr&uint64(n-1) != 0 {
		w.fail(Misaligned, lane, "%d bytes of shared memory at %d", n, addr)
		return false
	}
	me := uint16(w.thread(lane))
	first := uint32(addr) >> s.shift
	for i := range max(1, uint32(n)>>s.shift) {
		m := &s.marks[first+i]
		if m.writer != me && (m.writer&(pendingFlag|barrierFlag) != 0 || m.wrote > s.epoch) && !w.afterWrite(m, lane, a) {
			return w.raced(m, lane, (first+i)<<s.shift, a)
		}
		if a == reads {
			if m.wrote <= s.began {
				w.fail(UnwrittenShared, lane, "%d bytes at %d", n, addr)
				return false
			}
			s.noteRead(first+i, w.id, lane)
			continue
		}
		if m.read > s.epoch && !w.afterReads(first+i, lane) {
			return w.raced(m, lane, (first+i)<<s.shift, a)
		}
		if a == updates {
			if m.wrote <= s.began {
				w.fail(UnwrittenShared, lane, "%d bytes at %d", n, addr)
				return false
			}
			m.noteUpdate(me, s)
			continue
		}
		m.wrote, m.writer = s.tick, me
	}
	return true
}

// raced is the fault of an access to a unit that is not ordered behind another one.
func (w *warp) raced(m *unitMark, lane int, addr uint32, a access) bool {
	what := [...]string{"reads", "writes", "updates"}[a]
	switch {
	case m.writer&barrierFlag != 0:
		w.fail(BadBarrier, lane, "it %s address %d, where an mbarrier lies", what, addr)
	case m.writer&pendingFlag != 0:
		w.fail(AsyncNotWaited, lane, "it %s address %d, the target of %s", what, addr, w.b.describeWriter(m))
	case m.wrote > w.b.shared.epoch && m.writer != uint16(w.thread(lane)) && !w.afterWrite(m, lane, a):
		w.fail(SharedRace, lane, "it %s address %d, which %s wrote since the last barrier", what, addr, w.b.describeWriter(m))
	default:
		w.fail(SharedRace, lane, "it %s address %d, which other threads read since the last barrier", what, addr)
	}
	return false
}

// describeWriter says who wrote a unit, or is to.
func (b *block) describeWriter(m *unitMark) string {
	who := int(m.writer & threadBits)
	switch {
	case m.writer&bulkFlag != 0:
		return fmt.Sprintf("a bulk copy that completes at the mbarrier at %d", b.mbarriers[who].addr)
	case m.writer&pendingFlag != 0:
		return fmt.Sprintf("a cp.async of thread %d", who)
	case who == threadBits:
		return "several threads"
	}
	return fmt.Sprintf("thread %d", who)
}

// noteRead notes that a lane of a warp reads a unit.
func (s *sharedMemory) noteRead(unit uint32, warp, lane int) {
	m := &s.marks[unit]
	switch {
	case m.read <= s.epoch:
		m.reader, m.lanes = uint16(warp), 1<<lane
	case m.reader == uint16(warp):
		m.lanes |= 1 << lane
	case s.readers == nil:
		m.reader = severalWarps
	default:
		if m.reader != severalWarps {
			s.noteReader(unit, int(m.reader), m.lanes, m.read)
			m.reader = severalWarps
		}
		s.noteReader(unit, warp, 1<<lane, s.tick)
	}
	m.read = s.tick
}

// noteReader notes a read of a unit that several warps read.
func (s *sharedMemory) noteReader(unit uint32, warp int, lanes, tick uint32) {
	if s.readers[warp] == nil {
		s.readers[warp] = make([]readMark, len(s.marks))
	}
	r := &s.readers[warp][unit]
	if r.tick <= s.epoch {
		r.lanes = 0
	}
	r.lanes |= lanes
	r.tick = tick
}

func (m *unitMark) noteUpdate(me uint16, s *sharedMemory) {
	if m.wrote > s.epoch && m.writer&atomicFlag != 0 && m.writer&threadBits != me {
		m.writer = severalAtomic
	} else {
		m.writer = me | atomicFlag
	}
	m.wrote = s.tick
}

// afterWrite reports whether the last write of a unit is ordered before what the
// lane does now.
func (w *warp) afterWrite(m *unitMark, lane int, a access) bool {
	switch by := m.writer & threadBits; {
	case m.writer&(pendingFlag|barrierFlag) != 0:
		return false
	case m.writer&bulkFlag != 0:
		return w.after(len(w.b.warps)+int(by), 0, m.wrote, lane)
	case m.writer&atomicFlag != 0 && a == updates:
		return true
	case by == threadBits:
		return false
	case int(by) == w.thread(lane):
		return true
	}
	return w.afterThread(int(m.writer&threadBits), m.wrote, lane)
}

// afterThread reports whether what a thread did at a tick is ordered before what the
// lane does now.
func (w *warp) afterThread(thread int, tick uint32, lane int) bool {
	return w.afterReader(thread/32, readMark{tick, 1 << (thread % 32)}, lane)
}

// afterReads reports whether the reads of a unit are ordered before what the lane
// does now.
func (w *warp) afterReads(unit uint32, lane int) bool {
	s := &w.b.shared
	m := &s.marks[unit]
	if m.reader != severalWarps {
		return w.afterReader(int(m.reader), readMark{m.read, m.lanes}, lane)
	}
	for warp, reads := range s.readers {
		if reads != nil && reads[unit].tick > s.epoch && !w.afterReader(warp, reads[unit], lane) {
			return false
		}
	}
	return s.readers != nil
}

// afterReader is afterReads for what lanes of one warp did.
func (w *warp) afterReader(warp int, r readMark, lane int) bool {
	if warp == w.id {
		r.lanes &^= 1 << lane
		if r.lanes == 0 || w.afterLanes(r.lanes, r.tick, lane) {
			return true
		}
	}
	return w.after(warp, r.lanes, r.tick, lane)
}

// afterLanes reports whether what other lanes of the warp did at a tick is ordered
// before what the lane does now.
func (w *warp) afterLanes(others uint32, tick uint32, lane int) bool {
	if others&^w.group == 0 && tick < w.b.shared.tick {
		return true
	}
	return w.synced[lane].tick >= tick && others&^w.synced[lane].lanes == 0
}

// barrier orders what the warps that pass it did before, and what they do next.
func (s *sharedMemory) barrier(here []*warp, id int, all bool) {
	s.arrivals[id] = 0
	if all {
		s.epoch = s.tick
		return
	}
	var joined clock
	for _, w := range here {
		w.gather()
		w.clock.note(w.id, moment{tick: s.tick})
		joined.join(w.clock)
	}
	for _, w := range here {
		w.clock = append(w.clock[:0], joined...)
	}
	s.tick++
}

// conflicts is how many cycles more an access of n bytes per lane takes than one
// without bank conflicts: lanes that access different words of one of the 32 banks
// go one after another. Accesses of 8 and 16 bytes take 2 and 4 passes anyhow.
func conflicts(addrs *lanes, mask uint32, n int) int64 {
	perPass := 32
	if n > 4 {
		perPass = 32 * 4 / n
	}
	extra := 0
	for from := 0; from < 32; from += perPass {
		extra += passConflicts(addrs, mask>>from<<from&(allLanes>>(32-from-perPass)), n)
	}
	return int64(extra)
}

// passConflicts is the same for the lanes of one pass.
func passConflicts(addrs *lanes, mask uint32, n int) int {
	if mask&(mask-1) == 0 {
		return 0
	}
	var words [32][]uint64
	var room [32][2]uint64
	most := 1
	for ; mask != 0; mask &= mask - 1 {
		word := addrs[bits.TrailingZeros32(mask)] / 4
		for end := word + uint64(max(1, n/4)); word < end; word++ {
			bank := word % 32
			if words[bank] == nil {
				words[bank] = room[bank][:0]
			}
			if !containsWord(words[bank], word) {
				words[bank] = append(words[bank], word)
				most = max(most, len(words[bank]))
			}
		}
	}
	return most - 1
}

func containsWord(words []uint64, word uint64) bool {
	for _, w := range words {
		if w == word {
			return true
		}
	}
	return false
}
