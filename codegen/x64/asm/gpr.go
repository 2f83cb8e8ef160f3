package asm

import (
	"encoding/binary"
	"fmt"
)

// General-register instructions. A plain name has 64-bit operands, L has 32-bit ones (which clear the
// upper half); W and B are 16 and 8 bits. Suffix i: immediate; m: memory source; st: memory destination;
// mi: memory destination, immediate source.

// legacy describes one general-register instruction for the two emitters below.
type legacy struct {
	name  string
	op    [3]byte // opcode bytes, 0-terminated
	width uint8   // operand width in bytes
}

// prefix emits operand-size prefix, REX and opcode.
func (a *Asm) prefix(o *legacy, reg, x, b uint8, force bool) {
	if o.width == 2 {
		a.B = append(a.B, 0x66)
	}
	rex := reg>>3<<2 | x<<1 | b
	if o.width == 8 {
		rex |= 8
	}
	if rex != 0 || force {
		a.B = append(a.B, 0x40|rex)
	}
	a.B = append(a.B, o.op[0])
	if o.op[0] == 0x0F {
		a.B = append(a.B, o.op[1])
	}
}

// regReg emits o with both operands in registers; byteReg is a register whose low byte is an operand: four
// of these have no name without REX.
func (a *Asm) regReg(o *legacy, reg, rm uint8, byteReg Reg) {
	if reg > 15 || rm > 15 {
		a.fail("%s: no such register", o.name)
		return
	}
	a.prefix(o, reg, 0, rm>>3, byteReg >= RSP && byteReg <= RDI)
	a.B = append(a.B, 0xC0|reg&7<<3|rm&7)
}

// regMem emits o with a memory operand and tail immediate bytes to follow; it reports whether it did.
func (a *Asm) regMem(o *legacy, reg uint8, m Mem, tail int32, byteReg Reg) bool {
	if reg > 15 {
		a.fail("%s: no such register", o.name)
		return false
	}
	if mistake := m.mistake(); mistake != "" {
		a.fail("%s %s: %s", o.name, m, mistake)
		return false
	}
	var x, b uint8
	if m.Index != NoReg {
		x = uint8(m.Index) >> 3
	}
	if m.Base != rip {
		b = uint8(m.Base) >> 3
	}
	a.prefix(o, reg, x, b, byteReg >= RSP && byteReg <= RDI)
	a.modrm(reg, &m, 1, tail)
	return true
}

// rmr is `name d, s` with d in ModRM.rm.
func (a *Asm) rmr(name string, width int, op byte, d, s Reg) {
	if a.Trace {
		a.note(fmt.Sprintf("%s %s, %s", name, d.name(width), s.name(width)))
	}
	a.regReg(&legacy{name, [3]byte{op}, uint8(width)}, uint8(s), uint8(d), NoReg)
}

// rrm is `name d, s` with d in ModRM.reg and a two-byte opcode.
func (a *Asm) rrm(name string, width int, op byte, d, s Reg) {
	if a.Trace {
		a.note(fmt.Sprintf("%s %s, %s", name, d.name(width), s.name(width)))
	}
	a.regReg(&legacy{name, [3]byte{0x0F, op}, uint8(width)}, uint8(d), uint8(s), NoReg)
}

// loadOp is `name d, [m]`.
func (a *Asm) loadOp(name string, width int, op byte, d Reg, m Mem) {
	if a.Trace {
		a.note(fmt.Sprintf("%s %s, %s ptr %s", name, d.name(width), widthNames[width], m))
	}
	a.regMem(&legacy{name, [3]byte{op}, uint8(width)}, uint8(d), m, 0, NoReg)
}

// storeOp is `name [m], s`.
func (a *Asm) storeOp(name string, width int, op byte, m Mem, s Reg) {
	if a.Trace {
		a.note(fmt.Sprintf("%s %s ptr %s, %s", name, widthNames[width], m, s.name(width)))
	}
	byteReg := NoReg
	if width == 1 {
		byteReg = s
	}
	a.regMem(&legacy{name, [3]byte{op}, uint8(width)}, uint8(s), m, 0, byteReg)
}

// unary is `name d` with an opcode extension.
func (a *Asm) unary(name string, width int, op, ext byte, d Reg) {
	if a.Trace {
		a.note(fmt.Sprintf("%s %s", name, d.name(width)))
	}
	a.regReg(&legacy{name, [3]byte{op}, uint8(width)}, ext, uint8(d), NoReg)
}

// unaryMem is `name [m]`.
func (a *Asm) unaryMem(name string, width int, op, ext byte, m Mem) {
	if a.Trace {
		a.note(fmt.Sprintf("%s %s ptr %s", name, widthNames[width], m))
	}
	a.regMem(&legacy{name, [3]byte{op}, uint8(width)}, ext, m, 0, NoReg)
}

// imm appends an immediate, one byte if short.
func (a *Asm) imm(v int32, short bool) {
	if short {
		a.B = append(a.B, byte(v))
		return
	}
	a.B = binary.LittleEndian.AppendUint32(a.B, uint32(v))
}

func fitsByte(v int32) bool { return v >= -128 && v <= 127 }

// aluImm is `name d, v` for the eight classic operations, numbered by ext.
func (a *Asm) aluImm(name string, width int, ext byte, d Reg, v int32) {
	if a.Trace {
		a.note(fmt.Sprintf("%s %s, %d", name, d.name(width), v))
	}
	o := legacy{name, [3]byte{0x81}, uint8(width)}
	switch {
	case fitsByte(v):
		o.op[0] = 0x83
		a.regReg(&o, ext, uint8(d), NoReg)
	case d == RAX: // the accumulator has a form without ModRM
		o.op[0] = ext<<3 | 5
		a.prefix(&o, 0, 0, 0, false)
	default:
		a.regReg(&o, ext, uint8(d), NoReg)
	}
	a.imm(v, fitsByte(v))
}

// aluMemImm is `name [m], v`.
func (a *Asm) aluMemImm(name string, width int, ext byte, m Mem, v int32) {
	if a.Trace {
		a.note(fmt.Sprintf("%s %s ptr %s, %d", name, widthNames[width], m, v))
	}
	o, tail := legacy{name, [3]byte{0x81}, uint8(width)}, int32(4)
	if fitsByte(v) {
		o.op[0], tail = 0x83, 1
	}
	if a.regMem(&o, ext, m, tail, NoReg) {
		a.imm(v, fitsByte(v))
	}
}

// shiftImm is `name d, n`.
func (a *Asm) shiftImm(name string, width int, ext byte, d Reg, n uint8) {
	if a.Trace {
		a.note(fmt.Sprintf("%s %s, %d", name, d.name(width), n))
	}
	if int(n) >= width*8 {
		a.fail("%s %s, %d: count exceeds the width", name, d, n)
		return
	}
	if n == 1 {
		a.regReg(&legacy{name, [3]byte{0xD1}, uint8(width)}, ext, uint8(d), NoReg)
		return
	}
	a.regReg(&legacy{name, [3]byte{0xC1}, uint8(width)}, ext, uint8(d), NoReg)
	a.B = append(a.B, n)
}

// bare emits an instruction without operands.
func (a *Asm) bare(text string, code ...byte) {
	if a.Trace {
		a.note(text)
	}
	a.B = append(a.B, code...)
}
