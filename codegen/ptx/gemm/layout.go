package gemm

import (
	"jitc/codegen/ptx/asm"
	"jitc/ir/tensor"
)

// rowBytes is the length of a row of a swizzled tile in shared memory: all 32
// banks once.
const rowBytes = 128

// layout is the form of an operand's tile in shared memory, by 16-byte chunks.
//
//	by k       row r, chunk c (of k)        at  r*128 + (c ^ r%8)*16
//	by mn      row k, chunk c (of rows)     at  (c/8)*BK*128 + k*128 + (c%8 ^ k%8)*16
//	padded     row k, chunk c (of rows)     at  k*pitch + c*16
//
// The 8 rows of a matrix of ldmatrix, and the chunks that 8 threads copy, lie in
// different banks. Elements of 32 bits by mn cannot be transposed by ldmatrix: they
// are read one by one, 4 rows of 8 elements at a time, so rows are padded by 8 words.
type layout struct {
	byK    bool
	padded bool
	rows   int // along m or n
	bk     int
	size   int // bytes of an element
}

// layoutOf is the layout of the tile of a side.
func (c Config) layoutOf(rows int, d tensor.DType, m Major) layout {
	byK := m != MNMajor
	return layout{byK, !byK && d.Size() == 4, rows, c.BK, d.Size()}
}

// chunk is the number of elements of a chunk.
func (l layout) chunk() int { return 16 / l.size }

// chunks is the number of chunks of a row, as memory has it.
func (l layout) chunks() int {
	if l.byK {
		return l.bk / l.chunk()
	}
	return l.rows / l.chunk()
}

// lines is the number of rows, as memory has it.
func (l layout) lines() int {
	if l.byK {
		return l.rows
	}
	return l.bk
}

// pitch is the distance of rows in bytes.
func (l layout) pitch() int {
	if l.padded {
		return l.rows*l.size + 32
	}
	return rowBytes
}

// bytes is the size of the tile.
func (l layout) bytes() int {
	if l.padded {
		return l.bk * l.pitch()
	}
	return l.rows * l.bk * l.size
}

// at is the place of a chunk in the tile.
func (l layout) at(e *emitter, row, chunk asm.Reg) asm.Reg {
	if l.padded {
		return e.b32("mad.lo.u32", row, l.pitch(), e.b32("shl.b32", chunk, 4))
	}
	place := e.b32("mad.lo.u32", row, rowBytes, l.swizzled(e, row, e.b32("and.b32", chunk, 7)))
	if l.chunks() <= 8 {
		return place
	}
	return e.b32("mad.lo.u32", e.b32("shr.u32", chunk, 3), l.bk*rowBytes, place)
}

// swizzled is the place of a chunk in its row.
func (l layout) swizzled(e *emitter, row, chunk asm.Reg) asm.Reg {
	return e.b32("shl.b32", e.b32("xor.b32", chunk, e.b32("and.b32", row, 7)), 4)
}
