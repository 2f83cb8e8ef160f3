package asm

import "encoding/binary"

// inst is one vector instruction with its operands, as the emitter, the check and the listing see it.
type inst struct {
	op           Op
	enc          enc
	l            VL
	reg, vv, rm  uint8
	isMem, isImm bool
	mem          Mem
	f            Flags
	imm          uint8
}

// RR emits op with registers only: op reg, vvvv, rm. Registers of another class than vectors are passed by
// their number.
func (a *Asm) RR(op Op, l VL, reg, vvvv, rm V, f Flags) {
	a.emit(&inst{op: op, l: l, reg: uint8(reg), vv: uint8(vvvv), rm: uint8(rm), f: f})
}

// RRi is RR with an immediate byte.
func (a *Asm) RRi(op Op, l VL, reg, vvvv, rm V, f Flags, imm uint8) {
	a.emit(&inst{op: op, l: l, reg: uint8(reg), vv: uint8(vvvv), rm: uint8(rm), f: f, isImm: true, imm: imm})
}

// RM emits op with a memory operand: op reg, vvvv, [m], or a store op [m], reg.
func (a *Asm) RM(op Op, l VL, reg, vvvv V, m Mem, f Flags) {
	a.emit(&inst{op: op, l: l, reg: uint8(reg), vv: uint8(vvvv), isMem: true, mem: m, f: f})
}

// RMi is RM with an immediate byte.
func (a *Asm) RMi(op Op, l VL, reg, vvvv V, m Mem, f Flags, imm uint8) {
	a.emit(&inst{op: op, l: l, reg: uint8(reg), vv: uint8(vvvv), isMem: true, mem: m, f: f, isImm: true, imm: imm})
}

func (a *Asm) emit(in *inst) {
	if int(in.op) >= len(rows) {
		a.fail("no such instruction: %d", uint16(in.op))
		return
	}
	in.enc = rows[in.op].enc
	if mistake := in.check(); mistake != "" {
		a.fail("%s: %s", in.text(), mistake)
		return
	}
	if a.Trace {
		a.lines = append(a.lines, Line{len(a.B), in.text()})
	}
	reg, vv := in.reg, in.vv
	if in.enc&vDst != 0 {
		reg, vv = uint8(in.enc>>digitShift&7), in.reg
	}
	x, b, v4 := in.extensions()
	scale := int32(1)
	if in.usesVEX() {
		a.vexPrefix(in.enc, in.l, reg, x, b, vv)
	} else {
		a.evexPrefix(in.enc, in.l, reg, x, b, vv|v4, in.f)
		scale = in.enc.scale(in.l, in.f)
	}
	if !in.isMem {
		a.B = append(a.B, 0xC0|reg&7<<3|in.rm&7)
	} else {
		tail := int32(0)
		if in.isImm {
			tail = 1
		}
		a.modrm(reg, &in.mem, scale, tail)
	}
	if in.isImm {
		a.B = append(a.B, in.imm)
	}
}

// extensions returns the high bits of the rm operand: X, B, and bit 4 of a vector index.
func (in *inst) extensions() (x, b, v4 uint8) {
	if !in.isMem {
		return in.rm >> 4, in.rm >> 3 & 1, 0
	}
	if in.mem.Index != NoReg {
		x = uint8(in.mem.Index) >> 3 & 1
		if in.mem.Vector {
			v4 = uint8(in.mem.Index) & 16
		}
	}
	if in.mem.Base != rip {
		b = uint8(in.mem.Base) >> 3
	}
	return x, b, v4
}

// usesVEX reports whether the shorter encoding can express the operands.
func (in *inst) usesVEX() bool {
	switch {
	case in.enc&vex == 0, in.l == Z512, in.f != 0, (in.reg | in.vv | in.rm) > 15:
		return false
	case in.enc&vDst != 0 && in.isMem: // shifts of memory came with EVEX
		return false
	}
	return true
}

func (a *Asm) vexPrefix(e enc, l VL, reg, x, b, vv uint8) {
	r := reg >> 3 & 1
	mm, pp, w := byte(e>>8)&7, byte(e>>11)&3, byte(e>>14)&1
	length := byte(l)
	if e&l1 != 0 {
		length = 1
	}
	low := (^vv&15)<<3 | length<<2 | pp
	if x|b|w == 0 && mm == 1 {
		a.B = append(a.B, 0xC5, (r^1)<<7|low, byte(e))
		return
	}
	a.B = append(a.B, 0xC4, (r^1)<<7|(x^1)<<6|(b^1)<<5|mm, w<<7|low, byte(e))
}

func (a *Asm) evexPrefix(e enc, l VL, reg, x, b, vv uint8, f Flags) {
	mm, pp, w := byte(e>>8)&7, byte(e>>11)&3, byte(e>>13)&1
	p0 := (^reg>>3&1)<<7 | (x^1)<<6 | (b^1)<<5 | (^reg>>4&1)<<4 | mm
	p1 := w<<7 | (^vv&15)<<3 | 4 | pp
	p2 := byte(f&Z)<<4 | byte(l)<<5 | byte(f&Bc) | (^vv>>4&1)<<3 | byte(f&7)
	a.B = append(a.B, 0x62, p0, p1, p2, byte(e))
}

// modrm emits ModRM, SIB and displacement. An 8-bit displacement counts scale bytes; tail is the number of
// immediate bytes that follow, which a RIP-relative displacement must count too.
func (a *Asm) modrm(reg uint8, m *Mem, scale, tail int32) {
	r := reg & 7 << 3
	if m.Base == rip {
		a.B = append(a.B, r|5, 0, 0, 0, 0)
		a.fix(m.Lab, tail, m.Disp)
		return
	}
	mod, disp8 := byte(0x80), m.Disp/scale
	switch {
	case m.Disp == 0 && m.Base&7 != RBP:
		mod = 0
	case m.Disp%scale == 0 && disp8 >= -128 && disp8 <= 127:
		mod = 0x40
	}
	switch {
	case m.Index != NoReg:
		a.B = append(a.B, mod|r|4, m.Scale<<6|byte(m.Index&7)<<3|byte(m.Base&7))
	case m.Base&7 == RSP: // this code in ModRM announces a SIB byte
		a.B = append(a.B, mod|r|4, 0x24)
	default:
		a.B = append(a.B, mod|r|byte(m.Base&7))
	}
	switch mod {
	case 0x40:
		a.B = append(a.B, byte(disp8))
	case 0x80:
		a.B = binary.LittleEndian.AppendUint32(a.B, uint32(m.Disp))
	}
}

// fix records that the 4 bytes just emitted are the distance to a label.
func (a *Asm) fix(l Label, tail, addend int32) {
	if a.known(l) {
		end := int32(len(a.B))
		a.fixups = append(a.fixups, fixup{end - 4, end + tail, l, addend})
	}
}
