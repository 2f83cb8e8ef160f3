package sim

import (
	"encoding/binary"
	"math/bits"
)

// memoryAccess is the memory operand of an instruction, and the size of an access.
type memoryAccess struct {
	space space
	at    address
	bytes int // of the whole access of a lane
	cache int // index into block.near
	kind  access
}

// accesses takes the address of an access.
func (d *decoder) accesses(s space, bytes int, kind access) memoryAccess {
	a := memoryAccess{space: s, bytes: bytes, kind: kind, cache: d.caches}
	d.caches++
	if s == shared || s == generic {
		d.grain = min(d.grain, bytes)
	}
	a.at = d.addr(s)
	return a
}

// address is what the operand is in a lane.
func (a *memoryAccess) address(w *warp, lane int) uint64 {
	return a.at.of(w.regs[a.at.slot][lane&31])
}

// of is the address for a value of the base. Narrow ones wrap around.
func (a *address) of(base uint64) uint64 {
	if a.wide {
		return base + a.offset
	}
	return uint64(uint32(base + a.offset))
}

// each calls f with the memory of each lane of the mask, until an access is a fault.
func (a *memoryAccess) each(w *warp, f func(lane int, data []byte)) {
	w.b.shared.tick++
	if a.space == shared && w.mask&(w.mask-1) != 0 {
		a.countConflicts(w)
	}
	sectors, last := int64(0), ^uint64(0)
	for m := w.mask; m != 0; m &= m - 1 {
		lane := bits.TrailingZeros32(m)
		addr := a.address(w, lane)
		data := w.memory(a, a.space, lane, addr)
		if data == nil {
			return
		}
		f(lane, data)
		if sector := addr / 32; sector != last {
			last = sector
			sectors++
		}
	}
	if a.space == global {
		w.b.stats.GlobalAccesses++
		w.b.stats.GlobalSectors += sectors
		if a.bytes == 16 {
			w.b.stats.Vec128 += int64(bits.OnesCount32(w.mask))
		}
	}
}

func (a *memoryAccess) countConflicts(w *warp) {
	var addrs lanes
	first, row := bits.TrailingZeros32(w.mask), true
	for m := w.mask; m != 0; m &= m - 1 {
		lane := bits.TrailingZeros32(m) & 31
		addrs[lane] = a.address(w, lane)
		row = row && addrs[lane] == addrs[first]+uint64((lane-first)*a.bytes)
	}
	if !row {
		w.b.stats.SharedConflicts += conflicts(&addrs, w.mask, a.bytes)
	}
}

// memory is the memory of one access, checked; nil after a fault.
func (w *warp) memory(a *memoryAccess, s space, lane int, addr uint64) []byte {
	switch s {
	case global:
		return w.globalMemory(a, lane, addr)
	case shared:
		if !w.touch(lane, addr, a.bytes, a.kind) {
			return nil
		}
		return w.b.shared.data[addr : addr+uint64(a.bytes)]
	case local:
		return w.localMemory(a, lane, addr)
	case constant:
		return w.readOnly(a, lane, addr, w.b.m.consts)
	case param:
		return w.readOnly(a, lane, addr, w.b.launch.Params)
	}
	return w.memory(a, spaceOf(addr), lane, addr&windowOffset)
}

// spaceOf is the space of a generic address.
func spaceOf(addr uint64) space {
	switch addr >> windowShift {
	case windows[shared] >> windowShift:
		return shared
	case windows[local] >> windowShift:
		return local
	case windows[constant] >> windowShift:
		return constant
	case windows[param] >> windowShift:
		return param
	}
	return global
}

// region is the region that holds addr, or nil. An instruction mostly stays in the
// region where it was.
func (w *warp) region(addr uint64, cache int) *region {
	r := w.b.near[cache]
	if r == nil || addr < r.addr || addr >= r.end() {
		r = w.b.mem.find(addr)
		w.b.near[cache] = r
	}
	return r
}

func (w *warp) globalMemory(a *memoryAccess, lane int, addr uint64) []byte {
	r := w.region(addr, a.cache)
	if r == nil {
		w.fail(OutOfBounds, lane, "%d bytes at %#x: %s", a.bytes, addr, w.b.mem.near(addr))
		return nil
	}
	o, n := addr-r.addr, uint64(a.bytes)
	if n > uint64(len(r.data))-o {
		w.fail(OutOfBounds, lane, "%d bytes at %#x, offset %d of the %d bytes at %#x", n, addr, o, len(r.data), r.addr)
		return nil
	}
	if addr&(n-1) != 0 {
		w.fail(Misaligned, lane, "%d bytes at %#x", n, addr)
		return nil
	}
	if w.b.races != nil && !w.alone(lane, addr, a.bytes, a.kind) {
		return nil
	}
	written := r.written[o : o+n]
	if a.kind == writes {
		markAccess(written)
	} else if !isWritten(written) {
		w.fail(UnwrittenGlobal, lane, "%d bytes at %#x, offset %d of the %d bytes at %#x", n, addr, o, len(r.data), r.addr)
		return nil
	}
	return r.data[o : o+n]
}

func markAccess(written []byte) {
	switch len(written) {
	case 4:
		binary.LittleEndian.PutUint32(written, allMarks&0xFFFFFFFF)
	case 16:
		binary.LittleEndian.PutUint64(written, allMarks)
		binary.LittleEndian.PutUint64(written[8:], allMarks)
	default:
		mark(written)
	}
}

func (w *warp) localMemory(a *memoryAccess, lane int, addr uint64) []byte {
	size, n := uint64(w.b.p.localBytes), uint64(a.bytes)
	if !w.fits(a, lane, addr, size) {
		return nil
	}
	o := uint64(lane)*size + addr
	written := w.localOK[o : o+n]
	if a.kind == writes {
		markAccess(written)
	} else if !isWritten(written) {
		w.fail(UnwrittenLocal, lane, "%d bytes at %d", n, addr)
		return nil
	}
	return w.local[o : o+n]
}

// readOnly is an access to constants or parameters.
func (w *warp) readOnly(a *memoryAccess, lane int, addr uint64, data []byte) []byte {
	if !w.fits(a, lane, addr, uint64(len(data))) {
		return nil
	}
	if a.kind != reads {
		w.fail(OutOfBounds, lane, "a write to memory that is read only")
		return nil
	}
	return data[addr : addr+uint64(a.bytes)]
}

// fits checks bounds and alignment.
func (w *warp) fits(a *memoryAccess, lane int, addr, size uint64) bool {
	n := uint64(a.bytes)
	if addr > size || n > size-addr {
		w.fail(OutOfBounds, lane, "%d bytes at %d of %d", n, int64(addr), size)
		return false
	}
	if addr&(n-1) != 0 {
		w.fail(Misaligned, lane, "%d bytes at %d", n, addr)
		return false
	}
	return true
}

// load is the element at the start of b.
func load(b []byte, bytes int) uint64 {
	switch bytes {
	case 1:
		return uint64(b[0])
	case 2:
		return uint64(binary.LittleEndian.Uint16(b))
	case 4:
		return uint64(binary.LittleEndian.Uint32(b))
	}
	return binary.LittleEndian.Uint64(b)
}

// store writes the element at the start of b.
func store(b []byte, bytes int, x uint64) {
	switch bytes {
	case 1:
		b[0] = byte(x)
	case 2:
		binary.LittleEndian.PutUint16(b, uint16(x))
	case 4:
		binary.LittleEndian.PutUint32(b, uint32(x))
	default:
		binary.LittleEndian.PutUint64(b, x)
	}
}
