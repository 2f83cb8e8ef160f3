package sim

// blockRaces is who accessed which byte of global memory in a launch: blocks have no
// order, so what one writes no other may access, but for atomics among themselves.
type blockRaces struct {
	pages map[uint64]*racePage // by address / racePageBytes
	last  uint64               // the page of the last access
	page  *racePage
}

const racePageBytes = 4096

// racePage has the marks of each byte: block indices plus 1, 0 for nobody.
type racePage [racePageBytes]struct {
	writer uint32 // with atomicBlock where it updated atomically
	reader uint32 // or severalBlocks
}

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
// what nobody writes, and notes the access.
func (w *warp) alone(lane int, addr uint64, n int, a access) bool {
	page := w.b.races.at(addr) // an aligned access lies in one page
	me := uint32(w.b.index + 1)
	for i := range n {
		m := &page[addr%racePageBytes+uint64(i)]
		foreign := m.writer != 0 && m.writer&^atomicBlock != me && !(a == updates && m.writer&atomicBlock != 0)
		if foreign || a != reads && m.reader != 0 && m.reader != me {
			what := [...]string{"reads", "writes", "updates"}[a]
			w.fail(GlobalRace, lane, "it %s address %#x, which another block of the launch %s", what, addr+uint64(i),
				map[bool]string{true: "wrote", false: "read"}[foreign])
			return false
		}
		switch {
		case a == writes:
			m.writer = me
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
