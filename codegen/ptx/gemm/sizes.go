package gemm

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"jitc/codegen/ptx/tensormap"
)

// ErrSize marks sizes that none of the emitted configurations takes: an extent beyond
// 2^31, more tiles than a grid may have, or, where configurations were left out,
// operands that are not aligned as the others need.
var ErrSize = errors.New("gemm: no configuration takes these sizes")

// Operand is an operand at concrete sizes. Strides are in elements.
type Operand struct {
	Offset int64   // of the first element in its buffer
	Batch  []int64 // stride per batch axis
	MN, K  int64   // stride along m (or n for B), and along k
	// Align is what the buffer's address is known to be a multiple of, in bytes; 0 says
	// nothing. Elements are aligned to their size in any case.
	Align int
}

// Sizes is a problem at concrete sizes.
type Sizes struct {
	M, N, K int64
	Batch   []int64 // extents
	A, B    Operand
}

func (s Sizes) swapped() Sizes {
	s.M, s.N, s.A, s.B = s.N, s.M, s.B, s.A
	return s
}

// batches is the product of the batch extents.
func (s Sizes) batches() int64 {
	n := int64(1)
	for _, b := range s.Batch {
		n *= b
	}
	return n
}

// empty reports whether C has no elements.
func (s Sizes) empty() bool { return s.M == 0 || s.N == 0 || s.batches() == 0 }

// Pointer is an address of a parameter block: 8 bytes at At become the address of
// the operand's buffer (or of the scratch) plus Offset bytes.
type Pointer struct {
	At     int
	What   What
	Offset int64
}

// What is what a pointer points into.
type What uint8

// The buffers of a launch. Scratch needs Choice.Scratch bytes, at a multiple of 16.
// Counters are Choice.Counters bytes, at a multiple of 4, that are zero before the
// launch, and zero again behind it. Launches under way at the same time must not share
// them.
const (
	OperandA What = iota
	OperandB
	Scratch
	Counters
)

// Launch is a launch of an entry.
type Launch struct {
	Grid, Block [3]uint32
	Shared      uint32 // bytes of dynamic shared memory
	// Params are the values of the parameters that Emit or EmitSum declared, from
	// the offset on that it returned; At in Pointers counts from there too.
	Params   []byte
	Pointers []Pointer
	Maps     []Map
}

// addMaps puts maps in front of the parameters.
func (l *Launch) addMaps(maps []Map) {
	l.Maps = maps
	room := len(maps) * tensormap.Bytes
	l.Params = append(make([]byte, room), l.Params...)
	for i := range l.Pointers {
		l.Pointers[i].At += room
	}
}

// Choice is what to launch for a product at concrete sizes.
type Choice struct {
	Config  int     // index of the configuration
	Main    Launch  // of its entry
	Sum     *Launch // then of the entry that EmitSum made; nil where Main does it all
	Scratch int64   // bytes
	// Counters are bytes of zeros: not 0 where k is split, and the last block of each
	// tile adds the parts.
	Counters int64
	Splits   int
}

// block packs parameters, those of 8 bytes first.
type block struct {
	bytes    []byte
	pointers []Pointer
}

func (b *block) word(v int64) { b.bytes = binary.LittleEndian.AppendUint64(b.bytes, uint64(v)) }

func (b *block) half(v int64) {
	if v < 0 || v > math.MaxInt32 {
		panic(fmt.Sprintf("BUG: gemm: parameter %d does not fit", v))
	}
	b.bytes = binary.LittleEndian.AppendUint32(b.bytes, uint32(v))
}

func (b *block) pointer(w What, offset int64) {
	b.pointers = append(b.pointers, Pointer{len(b.bytes), w, offset})
	b.word(0)
}
