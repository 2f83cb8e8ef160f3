package sim

// blockRaces is who accessed which byte of global memory in a launch: blocks have no
// order, so what one writes no other may access, but for atomics among themselves, and
// for reads of what was handed over: see handover.
type blockRaces struct {
	pages    map[uint64]*racePage // by address / racePageBytes
	last     uint64               // the page of the last access
	page     *racePage
	released map[uint64][]release // by the address of the atomic
	acquired []acquired           // by the block that runs
}

const racePageBytes = 4096

// racePage has the marks of each byte: block indices plus 1, 0 for nobody.
type racePage [racePageBytes]struct {
	writer uint32 // with atomicBlock where it updated atomically
	reader uint32 // or severalBlocks
	thread uint32 // of the writer,
	tick   uint32 // and its time
}

// proxied is the time of a write that is never handed over: of a bulk copy.
const proxied = 1<<32 - 1

const (
	atomicBlock   = 1 << 31
	severalBlocks = 1<<31 - 1
)

func (r *blockRaces) at(addr uint64) *racePage {
	n := addr / racePageBytes
	if r.page != nil && r.last == n {
		return r.page
	}
	page := r.pages[n]
	if page == nil {
		page = new(racePage)
		r.pages[n] = page
	}
	r.last, r.page = n, page
	return page
}

// alone checks that no other block accesses these bytes in the launch, but to read
// what nobody writes, or what was handed over, and notes the access.
func (w *warp) alone(lane int, addr uint64, n int, a access) bool {
	return w.mayAccess(lane, addr, n, a, w.b.shared.tick)
}

// mayAccess is alone for an access at a tick, or proxied.
func (w *warp) mayAccess(lane int, addr uint64, n int, a access, tick uint32) bool {
	page := w.b.races.at(addr) // an aligned access lies in one page
	me := uint32(w.b.index + 1)
	for i := range n {
		m := &page[addr%racePageBytes+uint64(i)]
		foreign := m.writer != 0 && m.writer&^atomicBlock != me && !(a == updates && m.writer&atomicBlock != 0)
		if foreign && a == reads && tick != proxied && w.b.races.handed(m.writer, m.thread, m.tick, uint32(w.thread(lane)), w.b.shared.epoch) {
			foreign = false
		}
		if foreign || a != reads && m.reader != 0 && m.reader != me {
			what := [...]string{"reads", "writes", "updates"}[a]
			w.fail(GlobalRace, lane, "it %s address %#x, which another block of the launch %s", what, addr+uint64(i),
				map[bool]string{true: "wrote", false: "read"}[foreign])
			return false
		}
		switch {
		case a == writes:
			m.writer, m.thread, m.tick = me, uint32(w.thread(lane)), tick
		case a == updates && m.writer&^atomicBlock != me && m.writer != 0:
			m.writer = atomicBlock | severalBlocks
		case a == updates:
			m.writer = atomicBlock | me
		case m.reader != 0 && m.reader != me:
			m.reader = severalBlocks
		default:
			m.reader = me
		}
	}
	return true
}
