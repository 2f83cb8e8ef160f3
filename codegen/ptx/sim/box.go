package sim

import (
	"jitc/codegen/ptx/tensormap"
)

// box is a box of a tensor, and where it lies in shared memory: rows along the
// innermost axis one behind the other, their chunks swizzled.
type box struct {
	m      tensormap.Map
	tensor uint64   // address
	at     [5]int64 // coordinates
	shared uint32
	bytes  int
}

// boxRow is a row of a box: bytes from to to of it, where the tensor has something,
// which lie at an address of global memory.
type boxRow struct {
	offset   int // in the box
	from, to int
	global   uint64
}

// rows visits the rows of a box. Rows outside of the tensor are empty. It stops where
// visit is false.
func (x *box) rows(visit func(r boxRow) bool) bool {
	size := int64(x.m.Type.Size())
	length := int(int64(x.m.Box[0]) * size)
	low := min(max(0, -x.at[0]), int64(x.m.Box[0]))
	high := max(min(int64(x.m.Sizes[0])-x.at[0], int64(x.m.Box[0])), low)
	var i [5]int64
	for offset := 0; offset < x.bytes; offset += length {
		r := boxRow{offset: offset, from: int(low * size), to: int(high * size), global: x.tensor + uint64((x.at[0]+low)*size)}
		for axis := 1; axis < x.m.Rank; axis++ {
			n := x.at[axis] + i[axis]
			if n < 0 || n >= int64(x.m.Sizes[axis]) {
				r.to = r.from
			}
			r.global += uint64(n) * x.m.Strides[axis-1]
		}
		if !visit(r) {
			return false
		}
		for axis := 1; axis < x.m.Rank; axis++ {
			if i[axis]++; i[axis] < int64(x.m.Box[axis]) {
				break
			}
			i[axis] = 0
		}
	}
	return true
}

// chunk is the address of 16 bytes of a box in shared memory: the swizzle exchanges
// chunks by bits of the address.
func (x *box) chunk(offset int) uint32 {
	at := x.shared + uint32(offset)
	if x.m.Swizzle == tensormap.NoSwizzle {
		return at
	}
	return at ^ at>>7&(uint32(x.m.Swizzle)/16-1)<<4
}
