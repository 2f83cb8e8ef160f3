package conformance

import (
	"fmt"

	"jitc/ir/tensor"
)

// slab is memory with guards around what an executor may touch:
//
//	| guard 64 | shift | buffer ... | guard to the end, at least 64 |
//
// so that writes outside are found. A shift of one element makes a buffer aligned
// to its element and to nothing more. A buffer's capacity reaches into the guard.
type slab struct {
	data     []byte
	from, to int
}

const guard = 64

// guardByte differs from every fill of a buffer.
const guardByte = 0xA5

func newSlab(n, shift int) *slab {
	t := tensor.New(tensor.U8, n+shift+3*guard)
	data, _ := t.Bytes()
	for i := range data {
		data[i] = guardByte
	}
	s := &slab{data: data, from: guard + shift}
	s.to = s.from + n
	return s
}

// bytes is the memory between the guards.
func (s *slab) bytes() []byte { return s.data[s.from:s.to] }

// set fills the memory between the guards with one byte.
func (s *slab) set(b byte) {
	for i := range s.bytes() {
		s.data[s.from+i] = b
	}
}

// check reports the first byte of the guards that was written.
func (s *slab) check(what string) error {
	for i, b := range s.data {
		if b != guardByte && (i < s.from || i >= s.to) {
			return fmt.Errorf("wrote outside of %s: its byte %d of %d is now %#x", what, i-s.from, s.to-s.from, b)
		}
	}
	return nil
}
