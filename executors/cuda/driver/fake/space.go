package fake

import (
	"slices"
	"sync"
	"unsafe"

	"jitc/executors/cuda/driver"
)

// Addresses are multiples of alignment, and of no larger power of two, with a gap
// behind each block.
const (
	alignment = 256
	gap       = 4096
)

// reserved is address space that no driver uses any more. It is never given back to
// the system: what still holds an address of it must not find itself pointing into
// other memory.
var reserved struct {
	sync.Mutex
	spaces [][]byte
}

func takeReserved() []byte {
	reserved.Lock()
	defer reserved.Unlock()
	if n := len(reserved.spaces); n > 0 {
		mem := reserved.spaces[n-1]
		reserved.spaces = reserved.spaces[:n-1]
		return mem
	}
	mem, err := reserve()
	if err != nil {
		panic("fake: no address space: " + err.Error())
	}
	return mem
}

func giveReserved(mem []byte) {
	reserved.Lock()
	defer reserved.Unlock()
	reserved.spaces = append(reserved.spaces, mem)
}

func addressOf(mem []byte) uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(mem))) }

// addressSpace gives out addresses: behind the last one given out, and from the
// start again when the end is reached, so that an address that has been freed
// stays unused for as long as can be.
type addressSpace struct {
	low, high uintptr
	next      uintptr
	live      []block // ascending
}

type block struct{ from, to uintptr }

func newAddressSpace(mem []byte) *addressSpace {
	low := addressOf(mem)
	return &addressSpace{low: low, high: low + uintptr(len(mem)), next: low}
}

// take finds room for n bytes; 0 where there is none.
func (a *addressSpace) take(n int) driver.Ptr {
	size := uintptr(n) + gap
	for wrapped := false; ; {
		at := a.next + (alignment-a.next%(2*alignment)+2*alignment)%(2*alignment)
		if at+size > a.high {
			if wrapped {
				return 0
			}
			a.next, wrapped = a.low, true
			continue
		}
		i, _ := slices.BinarySearchFunc(a.live, at, func(b block, at uintptr) int {
			if b.to > at {
				return 1
			}
			return -1
		})
		if i < len(a.live) && a.live[i].from < at+size {
			a.next = a.live[i].to
			continue
		}
		a.live = slices.Insert(a.live, i, block{at, at + size})
		a.next = at + size
		return driver.Ptr(at)
	}
}

// give takes an address back.
func (a *addressSpace) give(p driver.Ptr) {
	a.live = slices.DeleteFunc(a.live, func(b block) bool { return b.from == uintptr(p) })
}
