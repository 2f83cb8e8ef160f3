// Package asm encodes x86-64 machine code: the general-register subset that loop nests need, AVX2, FMA and
// F16C (VEX), AVX-512 F/BW/DQ/VL/CD/VBMI/VNNI/BF16 (EVEX), opmasks and AMX.
//
// An Asm is a growing buffer of code. Vector instructions are table rows named by an Op and emitted by the
// operand shape: RR (registers), RM (memory) and their immediate forms RRi and RMi. The first register is
// always the destination, or the source of a store; an unused position is 0. VEX is chosen where it can
// express the operands, else EVEX.
//
//	var a asm.Asm
//	loop := a.Here()
//	a.RM(asm.VMOVUPSld, asm.Z512, 0, 0, asm.Ptr(asm.RSI, 0), 0)           // vmovups zmm0, [rsi]
//	a.RM(asm.VADDPS, asm.Z512, 0, 0, a.Const32(0x3f800000), asm.Bc)       // vaddps zmm0, zmm0, 1.0 broadcast
//	a.RM(asm.VMOVUPSst, asm.Z512, 0, 0, asm.Ptr(asm.RDI, 0), asm.Mask(1)) // vmovups [rdi]{k1}, zmm0
//	a.DEC(asm.RCX)
//	a.Jcc(asm.NE, loop)
//	a.VZEROUPPER()
//	a.RET()
//	code, err := a.Finish()
//
// Invariant: what the encoder accepts is a valid instruction; a caller's mistake (a label never bound, an
// operand that the instruction lacks, a displacement out of range) is kept and returned by Finish, so that
// emitting needs no error handling. An Asm is not safe for concurrent use.
package asm

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// Asm collects the code of one function and its constants. The zero value is ready to use.
type Asm struct {
	B     []byte // the code so far
	Trace bool   // record each instruction as text, see Listing

	labels []int32 // offset of each label, -1 while unbound
	fixups []fixup
	pool   []constant
	pooled map[string]Label
	lines  []Line
	err    error
}

// fixup is a 32-bit displacement to fill in once its label is bound.
type fixup struct {
	at     int32 // offset of the displacement
	end    int32 // offset it counts from: the end of the instruction
	label  Label
	addend int32
}

// constant is a read-only datum placed behind the code.
type constant struct {
	label Label
	data  []byte
}

// Reset empties a for reuse, keeping its buffers and Trace.
func (a *Asm) Reset() {
	a.B, a.labels, a.fixups, a.pool, a.lines = a.B[:0], a.labels[:0], a.fixups[:0], a.pool[:0], a.lines[:0]
	clear(a.pooled)
	a.err = nil
}

// Err returns the first mistake so far.
func (a *Asm) Err() error { return a.err }

// fail keeps the first mistake.
func (a *Asm) fail(format string, args ...any) {
	if a.err == nil {
		a.err = fmt.Errorf("asm: at offset %d: "+format, append([]any{len(a.B)}, args...)...)
	}
}

// Len returns the offset of the next instruction.
func (a *Asm) Len() int { return len(a.B) }

// NewLabel returns a label to be bound later.
func (a *Asm) NewLabel() Label {
	a.labels = append(a.labels, -1)
	return Label(len(a.labels) - 1)
}

// Bind puts l at the next instruction.
func (a *Asm) Bind(l Label) {
	if !a.known(l) {
		return
	}
	if a.labels[l] >= 0 {
		a.fail("label L%d is bound twice", l)
		return
	}
	a.labels[l] = int32(len(a.B))
	if a.Trace {
		a.lines = append(a.lines, Line{len(a.B), fmt.Sprintf("L%d:", l)})
	}
}

// Here returns a new label bound to the next instruction.
func (a *Asm) Here() Label {
	l := a.NewLabel()
	a.Bind(l)
	return l
}

// known reports whether l came from this Asm.
func (a *Asm) known(l Label) bool {
	if l < 0 || int(l) >= len(a.labels) {
		a.fail("label L%d is not of this Asm", l)
		return false
	}
	return true
}

// Const32 returns the memory operand of a pooled 4-byte constant.
func (a *Asm) Const32(bits uint32) Mem {
	return a.ConstBytes(binary.LittleEndian.AppendUint32(nil, bits))
}

// Const64 returns the memory operand of a pooled 8-byte constant.
func (a *Asm) Const64(bits uint64) Mem {
	return a.ConstBytes(binary.LittleEndian.AppendUint64(nil, bits))
}

// ConstBytes returns the memory operand of a pooled copy of b, aligned to its length (a power of two, at
// most 64; else 64). Equal constants share their place.
func (a *Asm) ConstBytes(b []byte) Mem {
	if l, ok := a.pooled[string(b)]; ok {
		return RIP(l)
	}
	if a.pooled == nil {
		a.pooled = map[string]Label{}
	}
	l := a.NewLabel()
	key := string(b)
	a.pooled[key] = l
	a.pool = append(a.pool, constant{l, []byte(key)})
	return RIP(l)
}

// alignment of a pooled constant of n bytes.
func alignment(n int) int {
	if n <= 0 || n > 64 || n&(n-1) != 0 {
		return 64
	}
	return n
}

// Finish places the constants behind the code, fills in the labels and returns the code, which is
// position-independent and wants to be loaded at a multiple of 64. The slice is a's buffer: it is valid
// until a is reset. The error is the first mistake made.
func (a *Asm) Finish() ([]byte, error) {
	a.placePool()
	for _, f := range a.fixups {
		target := a.labels[f.label]
		if target < 0 {
			a.fail("label L%d is used and never bound", f.label)
			break
		}
		binary.LittleEndian.PutUint32(a.B[f.at:], uint32(target+f.addend-f.end))
	}
	if len(a.B) > math.MaxInt32 {
		a.fail("code of %d bytes exceeds a 32-bit displacement", len(a.B))
	}
	if a.err != nil {
		return nil, a.err
	}
	if len(a.B) == 0 {
		return nil, errors.New("asm: no instruction was emitted")
	}
	return a.B, nil
}

// placePool appends the constants, the most aligned first so that no padding lies between them. The
// padding behind the code is INT3.
func (a *Asm) placePool() {
	for align := 64; align > 0; align /= 2 {
		for _, c := range a.pool {
			if alignment(len(c.data)) != align {
				continue
			}
			if a.Trace && len(a.B)%align != 0 {
				a.note(fmt.Sprintf(".balign %d", align))
			}
			for len(a.B)%align != 0 {
				a.B = append(a.B, 0xCC)
			}
			a.Bind(c.label)
			if a.Trace {
				a.lines = append(a.lines, Line{len(a.B), fmt.Sprintf(".byte %d bytes", len(c.data))})
			}
			a.B = append(a.B, c.data...)
		}
	}
	a.pool = a.pool[:0]
}
