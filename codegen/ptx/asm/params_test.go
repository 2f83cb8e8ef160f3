package asm

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestParamTable(t *testing.T) {
	table := ParamTable{Longs: []string{"x", "y"}, Words: []string{"n", "scale"}}
	k := NewKernel("f", 32)
	table.Declare(k)
	b := table.Block()
	assert.Len(t, b.Bytes, k.ParamBytes(), "the block is what the entry declares")
	b.Long("y", -2)
	b.Word("n", 7)
	b.Float("scale", 1)
	assert.Equal(t, []int{0, 8, 16, 20}, []int{b.Place("x"), b.Place("y"), b.Place("n"), b.Place("scale")})
	assert.Equal(t, []byte{0, 0, 0, 0, 0, 0, 0, 0, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 7, 0, 0, 0, 0, 0, 0x80, 0x3f}, b.Bytes)
	assert.PanicsWithValue(t, "BUG: asm: no parameter z", func() { b.Long("z", 1) })
}
