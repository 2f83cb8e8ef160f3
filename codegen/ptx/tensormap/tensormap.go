// Package tensormap describes the copies of boxes of a tensor between global and
// shared memory, which compute capability 9.0 and later do in hardware (the tensor
// memory accelerator; PTX: cp.async.bulk.tensor).
//
// The tiles of 128 rows and 64 columns of x: bf16[4096,1024], in rows of 128 bytes
// whose chunks are swizzled:
//
//	m := tensormap.Map{
//		Type: tensor.BF16, Rank: 2,
//		Sizes:   [5]uint64{1024, 4096},  // columns first
//		Strides: [4]uint64{2 * 1024},    // bytes from row to row
//		Box:     [5]uint32{64, 128},
//		Swizzle: tensormap.Swizzle128,
//	}
//	err := m.Check()
//
// A driver makes 128 opaque bytes of a Map and an address, which a kernel takes as
// a parameter. What of a box lies outside of the tensor is zeros in shared memory.
package tensormap

import (
	"fmt"

	"jitc/ir/tensor"
)

// Bytes is the size of an encoded map, Align its alignment in a parameter block.
const (
	Bytes = 128
	Align = 64
)

// Limits of the hardware (CUDA driver API, cuTensorMapEncodeTiled).
const (
	MaxRank   = 5
	maxSize   = 1 << 32
	maxStride = 1 << 40
	maxBox    = 256
	chunk     = 16 // bytes: of addresses, strides and the innermost axis of a box
)

// Swizzle is the width in bytes within which the 16-byte chunks of a box's rows are
// exchanged, so that the same chunk of neighbouring rows lies in other banks; 0 for
// none. With Swizzle128 chunk c of the 128 bytes at 128*r lies at c ^ r%8: it is the
// address in shared memory that counts, not the place in the box.
type Swizzle uint8

// The swizzles. Rows of a box, in bytes, are as long as the width: where shorter ones
// would lie is not documented.
const (
	NoSwizzle  Swizzle = 0
	Swizzle32  Swizzle = 32
	Swizzle64  Swizzle = 64
	Swizzle128 Swizzle = 128
)

// Map describes the copies. The axes count from the innermost one, whose elements are
// neighbours; entries from Rank on are zero. Maps are compared with ==.
type Map struct {
	Type    tensor.DType
	Rank    int
	Sizes   [MaxRank]uint64     // elements
	Strides [MaxRank - 1]uint64 // bytes, of the axes from 1 on
	Box     [MaxRank]uint32     // elements that one copy brings
	Swizzle Swizzle
}

// Check says what of a map the hardware does not allow.
func (m *Map) Check() error {
	if m.Rank < 1 || m.Rank > MaxRank {
		return fmt.Errorf("tensor map: %d axes; expected 1 to %d", m.Rank, MaxRank)
	}
	if _, ok := typeCodes[m.Type]; !ok {
		return fmt.Errorf("tensor map: elements of %s; expected a type that the driver knows", m.Type)
	}
	for i := range m.Rank {
		if n := m.Sizes[i]; n < 1 || n > maxSize {
			return fmt.Errorf("tensor map: axis %d has %d elements; expected 1 to %d", i, n, uint64(maxSize))
		}
		if n := m.Box[i]; n < 1 || n > maxBox {
			return fmt.Errorf("tensor map: a box of %d elements along axis %d; expected 1 to %d", n, i, maxBox)
		}
		if i == 0 {
			continue
		}
		if s := m.Strides[i-1]; s%chunk != 0 || s >= maxStride {
			return fmt.Errorf("tensor map: a stride of %d bytes along axis %d; expected a multiple of %d below %d", s, i, chunk, uint64(maxStride))
		}
	}
	row := int(m.Box[0]) * m.Type.Size()
	switch m.Swizzle {
	case NoSwizzle:
	case Swizzle32, Swizzle64, Swizzle128:
		if row != int(m.Swizzle) {
			return fmt.Errorf("tensor map: rows of %d bytes with a swizzle of %d; expected just that", row, m.Swizzle)
		}
	default:
		return fmt.Errorf("tensor map: a swizzle of %d bytes; expected 0, 32, 64 or 128", m.Swizzle)
	}
	if row%chunk != 0 {
		return fmt.Errorf("tensor map: rows of %d bytes; expected a multiple of %d", row, chunk)
	}
	return nil
}

// BoxBytes is the size of a box: what a copy brings and a barrier has to expect of it,
// also where parts of the box lie outside of the tensor.
func (m *Map) BoxBytes() int {
	n := m.Type.Size()
	for _, extent := range m.Box[:m.Rank] {
		n *= int(extent)
	}
	return n
}
