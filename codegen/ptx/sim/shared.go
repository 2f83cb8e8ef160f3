package sim

import "math/bits"

// sharedMemory is the shared memory of a block, and who accessed it since when.
//
// Every instruction of a warp that accesses it is a tick. Two accesses of the same
// unit, one of them a write, are a race unless
//   - they are of one thread, or both atomic, or
//   - a barrier that both threads took part in lies between, or
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
	copies   bool             // the block has begun asynchronous copies
	arrivals [numBarriers]int // warps that have arrived without waiting
	// ordered[a][b] is the tick up to which warp a has the accesses of warp b behind
	// a barrier of some warps; nil before there was one.
	ordered [][]uint32
	warps   int
}

const numBarriers = 16

// unitMark is the last write of a unit, and the reads since the last barrier.
type unitMark struct {
	wrote, read uint32 // ticks
	lanes       uint32 // of the warp that read it
	writer      uint16 // the thread, and flags
	reader      uint16 // the warp, or severalWarps
}

const (
	pendingFlag   = 0x8000 // a cp.async has not been waited for
	atomicFlag    = 0x4000
	threadBits    = 0x3FFF
	severalAtomic = atomicFlag | threadBits
	severalWarps  = 0xFFFF
)

func newShared(bytes, grain, warps int) sharedMemory {
	return sharedMemory{data: make([]byte, bytes), marks: make([]unitMark, bytes/grain+1), grain: uint32(grain),
		shift: uint32(bits.TrailingZeros(uint(grain))), warps: warps}
}

// start forgets everything, for the next block.
func (s *sharedMemory) start() {
	if s.tick > 1<<31 {
		clear(s.marks)
		s.tick = 0
	}
	if s.copies {
		for i := range s.marks {
			s.marks[i].writer = 0 // no copy is pending
		}
		s.copies = false
	}
	s.tick++
	s.began, s.epoch = s.tick, s.tick
	s.arrivals = [numBarriers]int{}
	s.ordered = nil
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
		if m.writer != me && (m.writer&pendingFlag != 0 || m.wrote > s.epoch) && !w.afterWrite(m, lane, a) {
			return w.raced(m, lane, (first+i)<<s.shift, a)
		}
		if a == reads {
			if m.wrote <= s.began {
				w.fail(UnwrittenShared, lane, "%d bytes at %d", n, addr)
				return false
			}
			m.noteRead(uint16(w.id), lane, s)
			continue
		}
		if m.read > s.epoch && !w.afterReads(m, lane) {
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
	if m.writer&pendingFlag != 0 {
		w.fail(AsyncNotWaited, lane, "address %d is the target of a cp.async of thread %d", addr, m.writer&threadBits)
		return false
	}
	what := [...]string{"reads", "writes", "updates"}[a]
	if m.wrote > w.b.shared.epoch && m.writer != uint16(w.thread(lane)) {
		w.fail(SharedRace, lane, "it %s address %d, which thread %d wrote since the last barrier", what, addr, m.writer&threadBits)
	} else {
		w.fail(SharedRace, lane, "it %s address %d, which other threads read since the last barrier", what, addr)
	}
	return false
}

func (m *unitMark) noteRead(warp uint16, lane int, s *sharedMemory) {
	switch {
	case m.read <= s.epoch:
		m.reader, m.lanes = warp, 1<<lane
	case m.reader != warp:
		m.reader = severalWarps
	default:
		m.lanes |= 1 << lane
	}
	m.read = s.tick
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
	case m.writer&pendingFlag != 0:
		return false
	case m.writer&atomicFlag != 0 && a == updates:
		return true
	case by == threadBits:
		return false
	case int(by) == w.thread(lane):
		return true
	case int(by)/32 == w.id:
		return w.afterLanes(1<<(by%32), m.wrote, lane)
	default:
		return w.afterWarp(int(by)/32, m.wrote)
	}
}

// afterReads reports whether the reads of a unit are ordered before what the lane
// does now.
func (w *warp) afterReads(m *unitMark, lane int) bool {
	switch {
	case m.reader == severalWarps:
		return false
	case int(m.reader) == w.id:
		others := m.lanes &^ (1 << lane)
		return others == 0 || w.afterLanes(others, m.read, lane)
	default:
		return w.afterWarp(int(m.reader), m.read)
	}
}

// afterLanes reports whether what other lanes of the warp did at a tick is ordered
// before what the lane does now.
func (w *warp) afterLanes(others uint32, tick uint32, lane int) bool {
	if others&^w.group == 0 && tick < w.b.shared.tick {
		return true
	}
	return w.synced[lane].tick >= tick && others&^w.synced[lane].lanes == 0
}

func (w *warp) afterWarp(other int, tick uint32) bool {
	o := w.b.shared.ordered
	return o != nil && tick <= o[w.id][other]
}

// barrier orders what the warps that pass it did before, and what they do next.
func (s *sharedMemory) barrier(here []*warp, id int, all bool) {
	s.arrivals[id] = 0
	if all {
		s.epoch = s.tick
		return
	}
	if s.ordered == nil {
		s.ordered = make([][]uint32, s.warps)
		for i := range s.ordered {
			s.ordered[i] = make([]uint32, s.warps)
		}
	}
	joined := make([]uint32, s.warps)
	for _, w := range here {
		s.ordered[w.id][w.id] = s.tick
		for i, t := range s.ordered[w.id] {
			joined[i] = max(joined[i], t)
		}
	}
	for _, w := range here {
		copy(s.ordered[w.id], joined)
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
