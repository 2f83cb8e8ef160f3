package update

import (
	"encoding/binary"
	"fmt"

	"jitc/codegen/ptx"
	"jitc/codegen/ptx/asm"
)

// paramTable is what an entry takes: addresses and other numbers of 64 bits, then
// numbers of 32 bits.
type paramTable struct{ longs, words []string }

var copyParams = paramTable{
	longs: []string{"x", "out", "vectors"},
	words: []string{"rest"}, // bytes behind the vectors
}

// moveParams are those of a move of at most so many axes: the size of each and its
// strides in bytes; of each start, where it is, its limit, and the bytes that it skips.
func moveParams(axes, starts int) paramTable {
	t := paramTable{longs: []string{"from", "to"}, words: []string{"units", "axes"}}
	for i := range starts {
		t.longs = append(t.longs, numbered("start", i), numbered("limit", i), numbered("step", i))
	}
	for i := range axes {
		t.longs = append(t.longs, numbered("fromstride", i), numbered("tostride", i))
		t.words = append(t.words, numbered("size", i))
	}
	return t
}

// bothParams are those of a move of vectors into a copy: in addition to the move's,
// its strides in vectors, and the copy's.
func bothParams(axes, starts int) paramTable {
	t := moveParams(axes, starts)
	t.longs = append(t.longs, "x", "out")
	t.words = append(t.words, "boxblocks", "vectors", "rest")
	for i := range axes {
		t.words = append(t.words, numbered("vectors", i))
	}
	return t
}

func numbered(name string, i int) string { return fmt.Sprintf("%s%d", name, i) }

var scatterParams = paramTable{
	longs: []string{"x", "indices", "updates", "out", "leadbytes", "pickbytes"}, // the last two from an update to the next
	words: []string{
		"outer",    // leading indices in a row that share their indices
		"size",     // places
		"picks",    // indices
		"row",      // units of a row
		"total",    // of units, for one thread each
		"tiles",    // of columns, of threads
		"ranges",   // of places
		"rows",     // of a range
		"lanelog",  // the logarithm of the threads of a row
		"grouplog", // and of the rows that threads have at a time
		"rowbytes", // of a row
	},
}

func (t paramTable) each(visit func(name string, bytes int)) {
	for _, n := range t.longs {
		visit(n, 8)
	}
	for _, n := range t.words {
		visit(n, 4)
	}
}

// block is a packed block of parameters in the making, with its addresses.
type block struct {
	at       map[string]int
	bytes    []byte
	pointers []ptx.Pointer
}

func (t paramTable) block() *block {
	b := &block{at: map[string]int{}}
	t.each(func(name string, bytes int) {
		b.at[name] = len(b.bytes)
		b.bytes = append(b.bytes, make([]byte, bytes)...)
	})
	return b
}

func (b *block) place(name string) int {
	at, ok := b.at[name]
	if !ok {
		panic("BUG: update: no parameter " + name)
	}
	return at
}

func (b *block) long(name string, v int) {
	binary.LittleEndian.PutUint64(b.bytes[b.place(name):], uint64(v))
}

func (b *block) word(name string, v int) {
	binary.LittleEndian.PutUint32(b.bytes[b.place(name):], uint32(v))
}

// operand makes a parameter the address of a place in a buffer, in bytes.
func (b *block) operand(name string, buf, offset int) {
	b.pointers = append(b.pointers, ptx.Pointer{At: b.place(name), Buf: buf, Offset: int64(offset)})
}

// launch is the entry on these parameters.
func (b *block) launch(entry string, grid int) ptx.Launch {
	return ptx.Launch{Entry: entry, Grid: [3]uint32{uint32(grid), 1, 1}, Block: [3]uint32{threads, 1, 1}, Params: b.bytes, Pointers: b.pointers}
}

// declare declares the parameters of an entry.
func (t paramTable) declare(k *asm.Kernel) {
	t.each(func(name string, bytes int) { k.ParamSpace(map[int]asm.Class{4: asm.B32, 8: asm.B64}[bytes], name) })
}
