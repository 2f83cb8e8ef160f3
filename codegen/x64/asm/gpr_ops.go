package asm

import (
	"encoding/binary"
	"fmt"
)

// Moves.

// MOV is d = s, 64 bits.
func (a *Asm) MOV(d, s Reg) { a.rmr("mov", 8, 0x89, d, s) }

// MOVL is d = s, 32 bits.
func (a *Asm) MOVL(d, s Reg) { a.rmr("mov", 4, 0x89, d, s) }

// MOVld, MOVLld load 8 and 4 bytes.
func (a *Asm) MOVld(d Reg, m Mem)  { a.loadOp("mov", 8, 0x8B, d, m) }
func (a *Asm) MOVLld(d Reg, m Mem) { a.loadOp("mov", 4, 0x8B, d, m) }

// MOVst, MOVLst, MOVWst and MOVBst store the low 8, 4, 2 and 1 bytes.
func (a *Asm) MOVst(m Mem, s Reg)  { a.storeOp("mov", 8, 0x89, m, s) }
func (a *Asm) MOVLst(m Mem, s Reg) { a.storeOp("mov", 4, 0x89, m, s) }
func (a *Asm) MOVWst(m Mem, s Reg) { a.storeOp("mov", 2, 0x89, m, s) }
func (a *Asm) MOVBst(m Mem, s Reg) { a.storeOp("mov", 1, 0x88, m, s) }

// MOVi is d = v in the shortest encoding. Zero is an XOR, which changes the flags.
func (a *Asm) MOVi(d Reg, v int64) {
	switch {
	case d > R15:
		a.fail("mov: no such register")
	case v == 0:
		a.XORL(d, d)
	case v > 0 && v <= 0xffffffff:
		if a.Trace {
			a.note(fmt.Sprintf("mov %s, %d", d.name(4), v))
		}
		if d >= R8 {
			a.B = append(a.B, 0x41)
		}
		a.B = binary.LittleEndian.AppendUint32(append(a.B, 0xB8|byte(d&7)), uint32(v))
	case v >= -1<<31 && v < 0:
		if a.Trace {
			a.note(fmt.Sprintf("mov %s, %d", d, v))
		}
		a.regReg(&legacy{"mov", [3]byte{0xC7}, 8}, 0, uint8(d), NoReg)
		a.imm(int32(v), false)
	default:
		if a.Trace {
			a.note(fmt.Sprintf("movabs %s, %d", d, v))
		}
		a.B = append(a.B, 0x48|byte(d>>3), 0xB8|byte(d&7))
		a.B = binary.LittleEndian.AppendUint64(a.B, uint64(v))
	}
}

// MOVBmi stores an immediate byte.
func (a *Asm) MOVBmi(m Mem, v int8) {
	if a.Trace {
		a.note(fmt.Sprintf("mov byte ptr %s, %d", m, v))
	}
	if a.regMem(&legacy{"mov", [3]byte{0xC6}, 1}, 0, m, 1, NoReg) {
		a.B = append(a.B, byte(v))
	}
}

// MOVmi and MOVLmi store a 32-bit immediate, sign-extended to 8 bytes or as 4.
func (a *Asm) MOVmi(m Mem, v int32)  { a.movMemImm(8, m, v) }
func (a *Asm) MOVLmi(m Mem, v int32) { a.movMemImm(4, m, v) }

func (a *Asm) movMemImm(width int, m Mem, v int32) {
	if a.Trace {
		a.note(fmt.Sprintf("mov %s ptr %s, %d", widthNames[width], m, v))
	}
	if a.regMem(&legacy{"mov", [3]byte{0xC7}, uint8(width)}, 0, m, 4, NoReg) {
		a.imm(v, false)
	}
}

// extend is a load or move that widens from bytes to d.
func (a *Asm) extend(name string, to, from int, op [3]byte, d Reg, m Mem) {
	if a.Trace {
		a.note(fmt.Sprintf("%s %s, %s ptr %s", name, d.name(to), widthNames[from], m))
	}
	a.regMem(&legacy{name, op, uint8(to)}, uint8(d), m, 0, NoReg)
}

// MOVZXB and MOVZXW load a byte or a word and clear the rest of d.
func (a *Asm) MOVZXB(d Reg, m Mem) { a.extend("movzx", 4, 1, [3]byte{0x0F, 0xB6}, d, m) }
func (a *Asm) MOVZXW(d Reg, m Mem) { a.extend("movzx", 4, 2, [3]byte{0x0F, 0xB7}, d, m) }

// MOVSXB, MOVSXW and MOVSXD load a byte, word or doubleword, sign-extended to 64 bits.
func (a *Asm) MOVSXB(d Reg, m Mem) { a.extend("movsx", 8, 1, [3]byte{0x0F, 0xBE}, d, m) }
func (a *Asm) MOVSXW(d Reg, m Mem) { a.extend("movsx", 8, 2, [3]byte{0x0F, 0xBF}, d, m) }
func (a *Asm) MOVSXD(d Reg, m Mem) { a.extend("movsxd", 8, 4, [3]byte{0x63}, d, m) }

// MOVZXBr clears all but the low byte of s into d.
func (a *Asm) MOVZXBr(d, s Reg) {
	if a.Trace {
		a.note(fmt.Sprintf("movzx %s, %s", d.name(4), s.name(1)))
	}
	a.regReg(&legacy{"movzx", [3]byte{0x0F, 0xB6}, 4}, uint8(d), uint8(s), s)
}

// MOVZXWr clears all but the low 16 bits of s into d.
func (a *Asm) MOVZXWr(d, s Reg) {
	if a.Trace {
		a.note(fmt.Sprintf("movzx %s, %s", d.name(4), s.name(2)))
	}
	a.regReg(&legacy{"movzx", [3]byte{0x0F, 0xB7}, 4}, uint8(d), uint8(s), NoReg)
}

// MOVSXDr sign-extends the low 32 bits of s into d.
func (a *Asm) MOVSXDr(d, s Reg) {
	if a.Trace {
		a.note(fmt.Sprintf("movsxd %s, %s", d, s.name(4)))
	}
	a.regReg(&legacy{"movsxd", [3]byte{0x63}, 8}, uint8(d), uint8(s), NoReg)
}

// LEA is d = the address of m.
func (a *Asm) LEA(d Reg, m Mem) {
	if a.Trace {
		a.note(fmt.Sprintf("lea %s, %s", d, m))
	}
	a.regMem(&legacy{"lea", [3]byte{0x8D}, 8}, uint8(d), m, 0, NoReg)
}

// The classic two-operand operations: register, immediate, memory source, memory destination.

func (a *Asm) ADD(d, s Reg)          { a.rmr("add", 8, 0x01, d, s) }
func (a *Asm) ADDi(d Reg, v int32)   { a.aluImm("add", 8, 0, d, v) }
func (a *Asm) ADDm(d Reg, m Mem)     { a.loadOp("add", 8, 0x03, d, m) }
func (a *Asm) ADDst(m Mem, s Reg)    { a.storeOp("add", 8, 0x01, m, s) }
func (a *Asm) ADDmi(m Mem, v int32)  { a.aluMemImm("add", 8, 0, m, v) }
func (a *Asm) ADDL(d, s Reg)         { a.rmr("add", 4, 0x01, d, s) }
func (a *Asm) ADDLi(d Reg, v int32)  { a.aluImm("add", 4, 0, d, v) }
func (a *Asm) ADDLm(d Reg, m Mem)    { a.loadOp("add", 4, 0x03, d, m) }
func (a *Asm) ADDLmi(m Mem, v int32) { a.aluMemImm("add", 4, 0, m, v) }
func (a *Asm) OR(d, s Reg)           { a.rmr("or", 8, 0x09, d, s) }
func (a *Asm) ORi(d Reg, v int32)    { a.aluImm("or", 8, 1, d, v) }
func (a *Asm) ORm(d Reg, m Mem)      { a.loadOp("or", 8, 0x0B, d, m) }
func (a *Asm) ORst(m Mem, s Reg)     { a.storeOp("or", 8, 0x09, m, s) }
func (a *Asm) ORL(d, s Reg)          { a.rmr("or", 4, 0x09, d, s) }
func (a *Asm) AND(d, s Reg)          { a.rmr("and", 8, 0x21, d, s) }
func (a *Asm) ANDi(d Reg, v int32)   { a.aluImm("and", 8, 4, d, v) }
func (a *Asm) ANDm(d Reg, m Mem)     { a.loadOp("and", 8, 0x23, d, m) }
func (a *Asm) ANDst(m Mem, s Reg)    { a.storeOp("and", 8, 0x21, m, s) }
func (a *Asm) ANDL(d, s Reg)         { a.rmr("and", 4, 0x21, d, s) }
func (a *Asm) ANDLi(d Reg, v int32)  { a.aluImm("and", 4, 4, d, v) }
func (a *Asm) SUB(d, s Reg)          { a.rmr("sub", 8, 0x29, d, s) }
func (a *Asm) SUBi(d Reg, v int32)   { a.aluImm("sub", 8, 5, d, v) }
func (a *Asm) SUBm(d Reg, m Mem)     { a.loadOp("sub", 8, 0x2B, d, m) }
func (a *Asm) SUBst(m Mem, s Reg)    { a.storeOp("sub", 8, 0x29, m, s) }
func (a *Asm) SUBmi(m Mem, v int32)  { a.aluMemImm("sub", 8, 5, m, v) }
func (a *Asm) SUBL(d, s Reg)         { a.rmr("sub", 4, 0x29, d, s) }
func (a *Asm) SUBLi(d Reg, v int32)  { a.aluImm("sub", 4, 5, d, v) }
func (a *Asm) XOR(d, s Reg)          { a.rmr("xor", 8, 0x31, d, s) }
func (a *Asm) XORi(d Reg, v int32)   { a.aluImm("xor", 8, 6, d, v) }
func (a *Asm) XORm(d Reg, m Mem)     { a.loadOp("xor", 8, 0x33, d, m) }
func (a *Asm) XORst(m Mem, s Reg)    { a.storeOp("xor", 8, 0x31, m, s) }
func (a *Asm) XORL(d, s Reg)         { a.rmr("xor", 4, 0x31, d, s) }
func (a *Asm) CMP(d, s Reg)          { a.rmr("cmp", 8, 0x39, d, s) }
func (a *Asm) CMPi(d Reg, v int32)   { a.aluImm("cmp", 8, 7, d, v) }
func (a *Asm) CMPm(d Reg, m Mem)     { a.loadOp("cmp", 8, 0x3B, d, m) }
func (a *Asm) CMPmr(m Mem, s Reg)    { a.storeOp("cmp", 8, 0x39, m, s) }
func (a *Asm) CMPmi(m Mem, v int32)  { a.aluMemImm("cmp", 8, 7, m, v) }
func (a *Asm) CMPL(d, s Reg)         { a.rmr("cmp", 4, 0x39, d, s) }
func (a *Asm) CMPLi(d Reg, v int32)  { a.aluImm("cmp", 4, 7, d, v) }
func (a *Asm) CMPLm(d Reg, m Mem)    { a.loadOp("cmp", 4, 0x3B, d, m) }
func (a *Asm) CMPLmi(m Mem, v int32) { a.aluMemImm("cmp", 4, 7, m, v) }
func (a *Asm) TEST(d, s Reg)         { a.rmr("test", 8, 0x85, d, s) }
func (a *Asm) TESTL(d, s Reg)        { a.rmr("test", 4, 0x85, d, s) }
func (a *Asm) NEG(d Reg)             { a.unary("neg", 8, 0xF7, 3, d) }
func (a *Asm) NOT(d Reg)             { a.unary("not", 8, 0xF7, 2, d) }
func (a *Asm) INC(d Reg)             { a.unary("inc", 8, 0xFF, 0, d) }
func (a *Asm) DEC(d Reg)             { a.unary("dec", 8, 0xFF, 1, d) }
func (a *Asm) DECL(d Reg)            { a.unary("dec", 4, 0xFF, 1, d) }
func (a *Asm) INCm(m Mem)            { a.unaryMem("inc", 8, 0xFF, 0, m) }
func (a *Asm) DECm(m Mem)            { a.unaryMem("dec", 8, 0xFF, 1, m) }
func (a *Asm) SHLi(d Reg, n uint8)   { a.shiftImm("shl", 8, 4, d, n) }
func (a *Asm) SHRi(d Reg, n uint8)   { a.shiftImm("shr", 8, 5, d, n) }
func (a *Asm) SARi(d Reg, n uint8)   { a.shiftImm("sar", 8, 7, d, n) }
func (a *Asm) SHLLi(d Reg, n uint8)  { a.shiftImm("shl", 4, 4, d, n) }
func (a *Asm) SHRLi(d Reg, n uint8)  { a.shiftImm("shr", 4, 5, d, n) }
func (a *Asm) SARLi(d Reg, n uint8)  { a.shiftImm("sar", 4, 7, d, n) }

// TESTi sets the flags of d & v.
func (a *Asm) TESTi(d Reg, v int32) {
	if a.Trace {
		a.note(fmt.Sprintf("test %s, %d", d, v))
	}
	if d == RAX {
		a.B = append(a.B, 0x48, 0xA9)
	} else {
		a.regReg(&legacy{"test", [3]byte{0xF7}, 8}, 0, uint8(d), NoReg)
	}
	a.imm(v, false)
}

// Multiplication and division.

// IMUL is d *= s; IMULm is d *= [m]; IMULi is d = s*v.
func (a *Asm) IMUL(d, s Reg) { a.rrm("imul", 8, 0xAF, d, s) }

// IMULL is IMUL in 32 bits.
func (a *Asm) IMULL(d, s Reg) { a.rrm("imul", 4, 0xAF, d, s) }

// IMULm is d *= [m].
func (a *Asm) IMULm(d Reg, m Mem) {
	a.extend("imul", 8, 8, [3]byte{0x0F, 0xAF}, d, m)
}

// IMULi is d = s*v.
func (a *Asm) IMULi(d, s Reg, v int32) {
	if a.Trace {
		a.note(fmt.Sprintf("imul %s, %s, %d", d, s, v))
	}
	o := legacy{"imul", [3]byte{0x69}, 8}
	if fitsByte(v) {
		o.op[0] = 0x6B
	}
	a.regReg(&o, uint8(d), uint8(s), NoReg)
	a.imm(v, fitsByte(v))
}

// CQO sign-extends RAX into RDX:RAX; IDIV divides that by s: quotient RAX, remainder RDX. DIV is unsigned,
// MUL is RDX:RAX = RAX*s.
func (a *Asm) CQO()       { a.bare("cqo", 0x48, 0x99) }
func (a *Asm) IDIV(s Reg) { a.unary("idiv", 8, 0xF7, 7, s) }
func (a *Asm) DIV(s Reg)  { a.unary("div", 8, 0xF7, 6, s) }
func (a *Asm) MUL(s Reg)  { a.unary("mul", 8, 0xF7, 4, s) }

// BMI2 (three operands, flags untouched except by BZHI and ANDN).

// BZHI is d = s with the bits from n up cleared.
func (a *Asm) BZHI(d, s, n Reg) { a.RR(BZHI, X128, V(d), V(n), V(s), 0) }

// SHLX, SHRX and SARX are d = s shifted by n.
func (a *Asm) SHLX(d, s, n Reg) { a.RR(SHLX, X128, V(d), V(n), V(s), 0) }
func (a *Asm) SHRX(d, s, n Reg) { a.RR(SHRX, X128, V(d), V(n), V(s), 0) }
func (a *Asm) SARX(d, s, n Reg) { a.RR(SARX, X128, V(d), V(n), V(s), 0) }

// ANDN is d = ^s1 & s2.
func (a *Asm) ANDN(d, s1, s2 Reg) { a.RR(ANDN, X128, V(d), V(s1), V(s2), 0) }

// Stack, cache, fences. Kernels that run on a goroutine stack must not use PUSH and POP.

// PUSH and POP move 8 bytes to and from the stack.
func (a *Asm) PUSH(r Reg) { a.pushPop("push", 0x50, r) }
func (a *Asm) POP(r Reg)  { a.pushPop("pop", 0x58, r) }

func (a *Asm) pushPop(name string, op byte, r Reg) {
	if a.Trace {
		a.note(name + " " + r.String())
	}
	if r > R15 {
		a.fail("%s: no such register", name)
		return
	}
	if r >= R8 {
		a.B = append(a.B, 0x41)
	}
	a.B = append(a.B, op|byte(r&7))
}

// PREFETCHT0, PREFETCHT1 and PREFETCHNTA ask for a cache line.
func (a *Asm) PREFETCHT0(m Mem)  { a.prefetch("prefetcht0", 1, m) }
func (a *Asm) PREFETCHT1(m Mem)  { a.prefetch("prefetcht1", 2, m) }
func (a *Asm) PREFETCHNTA(m Mem) { a.prefetch("prefetchnta", 0, m) }

func (a *Asm) prefetch(name string, hint uint8, m Mem) {
	if a.Trace {
		a.note(name + " " + m.String())
	}
	a.regMem(&legacy{name, [3]byte{0x0F, 0x18}, 4}, hint, m, 0, NoReg)
}

// VZEROUPPER clears the upper halves, which would slow down SSE code behind a kernel.
func (a *Asm) VZEROUPPER() { a.bare("vzeroupper", 0xC5, 0xF8, 0x77) }

// SFENCE orders non-temporal stores before later ones.
func (a *Asm) SFENCE() { a.bare("sfence", 0x0F, 0xAE, 0xF8) }

// INT3 traps.
func (a *Asm) INT3() { a.bare("int3", 0xCC) }
