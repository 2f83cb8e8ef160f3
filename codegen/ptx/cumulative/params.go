package cumulative

import (
	"encoding/binary"

	"jitc/codegen/ptx"
	"jitc/codegen/ptx/asm"
)

// The parameters of all entries: addresses and other numbers of 64 bits, then numbers
// of 32 bits.
var longs = []string{
	"x", "out",
	"totals", // [outer][parts-1][inner], of the compute type
	"first",  // bytes from a line's beginning to the element that is combined first
	"step",   // and from there to the next, less than 0 where lines are walked backwards
	"axis",   // elements of a line
	"part",   // elements of a part
	"inner",  // lines that begin side by side
	"lines",  // outer * inner
	"apart",  // bytes from such lines to the next ones
}

var words = []string{
	"blocks", // of columns: blocks that a part of all lines has
	"parts",  // of a line in this launch
	"cuts",   // parts of a line less one
}

func each(visit func(name string, bytes int)) {
	for _, n := range longs {
		visit(n, 8)
	}
	for _, n := range words {
		visit(n, 4)
	}
}

// block is a packed block of parameters in the making, with its addresses.
type block struct {
	at       map[string]int
	bytes    []byte
	pointers []ptx.Pointer
}

func newBlock() *block {
	b := &block{at: map[string]int{}}
	each(func(name string, bytes int) {
		b.at[name] = len(b.bytes)
		b.bytes = append(b.bytes, make([]byte, bytes)...)
	})
	return b
}

func (b *block) place(name string) int {
	at, ok := b.at[name]
	if !ok {
		panic("BUG: cumulative: no parameter " + name)
	}
	return at
}

func (b *block) long(name string, v int) {
	binary.LittleEndian.PutUint64(b.bytes[b.place(name):], uint64(v))
}

func (b *block) word(name string, v int) {
	binary.LittleEndian.PutUint32(b.bytes[b.place(name):], uint32(v))
}

// operand makes a parameter the address of a buffer.
func (b *block) operand(name string, buf int) {
	b.pointers = append(b.pointers, ptx.Pointer{At: b.place(name), Buf: buf})
}

// launch is the entry on these parameters.
func (b *block) launch(entry string, grid int) ptx.Launch {
	return ptx.Launch{Entry: entry, Grid: [3]uint32{uint32(grid), 1, 1}, Block: [3]uint32{threads, 1, 1}, Params: b.bytes, Pointers: b.pointers}
}

// declare declares the parameters of an entry.
func declare(k *asm.Kernel) {
	each(func(name string, bytes int) { k.ParamSpace(map[int]asm.Class{4: asm.B32, 8: asm.B64}[bytes], name) })
}
