package asm

import (
	"encoding/binary"
	"math"
)

// ParamTable is what an entry takes, by name: addresses and other numbers of 64 bits,
// then numbers of 32 bits. Code loads them by name (ld.param.b64 of At(name, 0)), and
// a Block packs their values in the same order:
//
//	t := ParamTable{Longs: []string{"x"}, Words: []string{"n"}}
//	t.Declare(k)
//	b := t.Block()
//	b.Word("n", 7)      b.Bytes: 0 0 0 0 0 0 0 0 7 0 0 0
type ParamTable struct{ Longs, Words []string }

func (t ParamTable) each(visit func(name string, c Class)) {
	for _, n := range t.Longs {
		visit(n, B64)
	}
	for _, n := range t.Words {
		visit(n, B32)
	}
}

// Declare declares the parameters of an entry.
func (t ParamTable) Declare(k *Kernel) {
	t.each(func(name string, c Class) { k.ParamSpace(c, name) })
}

// Block is a packed block of parameters in the making. Not safe for concurrent use.
type Block struct {
	Bytes []byte
	at    map[string]int
}

// Block is a block of zeros.
func (t ParamTable) Block() *Block {
	b := &Block{at: map[string]int{}}
	t.each(func(name string, c Class) {
		b.at[name] = len(b.Bytes)
		b.Bytes = append(b.Bytes, make([]byte, c.Bytes())...)
	})
	return b
}

// Place is where a parameter lies in the block.
func (b *Block) Place(name string) int {
	at, ok := b.at[name]
	if !ok {
		panic("BUG: asm: no parameter " + name)
	}
	return at
}

// Long sets a parameter of 64 bits.
func (b *Block) Long(name string, v int) {
	binary.LittleEndian.PutUint64(b.Bytes[b.Place(name):], uint64(v))
}

// Word sets a parameter of 32 bits.
func (b *Block) Word(name string, v int) {
	binary.LittleEndian.PutUint32(b.Bytes[b.Place(name):], uint32(v))
}

// Float sets a parameter of 32 bits.
func (b *Block) Float(name string, v float32) { b.Word(name, int(math.Float32bits(v))) }
