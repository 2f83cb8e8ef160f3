package ptx

import "jitc/codegen/ptx/asm"

// Block is the parameter block of a template's launch in the making, with its
// addresses. Not safe for concurrent use.
type Block struct {
	*asm.Block
	Pointers []Pointer
}

// NewBlock is a block of zeros.
func NewBlock(t asm.ParamTable) *Block { return &Block{Block: t.Block()} }

// Operand makes a parameter the address of a place in a buffer, in bytes.
func (b *Block) Operand(name string, buf, offset int) {
	b.Pointers = append(b.Pointers, Pointer{At: b.Place(name), Buf: buf, Offset: int64(offset)})
}

// Launch is the entry on these parameters, on so many blocks of threads.
func (b *Block) Launch(entry string, grid, threads int) Launch {
	return Launch{Entry: entry, Grid: [3]uint32{uint32(grid), 1, 1}, Block: [3]uint32{uint32(threads), 1, 1}, Params: b.Bytes, Pointers: b.Pointers}
}
