package asm

import (
	"fmt"
	"math/rand"
)

// sample is one instruction that the encoder emitted: its text and its bytes.
type sample struct {
	text string
	code []byte
}

// collect emits one instruction into a fresh Asm and keeps it; ok is false where the operands drawn do not
// exist for the instruction, which the encoder itself says.
func collect(emit func(*Asm)) (s sample, ok bool) {
	a := Asm{Trace: true}
	emit(&a)
	if a.err != nil || len(a.lines) != 1 {
		return sample{}, false
	}
	return sample{a.lines[0].Text, a.B}, true
}

// randomMem draws an address; displacements include multiples of every element size, so that compressed
// displacements occur, and arbitrary ones, so that they do not.
func randomMem(r *rand.Rand, vector bool) Mem {
	m := Mem{Base: Reg(r.Intn(16)), Index: NoReg}
	switch {
	case vector:
		m.Index, m.Vector, m.Scale = Reg(r.Intn(32)), true, uint8(r.Intn(4))
		if r.Intn(2) == 0 {
			m.Index &= 15
		}
	case r.Intn(2) == 0:
		for m.Index = RSP; m.Index == RSP; {
			m.Index = Reg(r.Intn(16))
		}
		m.Scale = uint8(r.Intn(4))
	}
	switch unit := int32(1) << r.Intn(7); r.Intn(4) {
	case 0, 1:
		m.Disp = int32(r.Intn(300)-150) * unit
	case 2:
		m.Disp = int32(r.Uint32())
	}
	return m
}

// randomInst draws operands for an op that mostly exist; the encoder rejects the rest.
func randomInst(r *rand.Rand, op Op) inst {
	e := rows[op].enc
	in := inst{op: op, l: VL(r.Intn(3)), isImm: e&(imm8|is4) != 0}
	if e&lig != 0 {
		in.l = X128
	}
	bound := uint8(32)
	if e&evex == 0 || r.Intn(2) == 0 {
		bound = 16
	}
	draw := func(kind enc) uint8 { return uint8(r.Intn(int(min(bound, limit(kind))))) }
	in.reg, in.rm = draw(e.kind(regShift)), draw(e.kind(rmShift))
	if e&(noV|vDst) == 0 {
		in.vv = draw(kV)
		if e&vK != 0 {
			in.vv &= 7
		}
	}
	if in.isImm {
		in.imm = uint8(r.Intn(8))
		if e&is4 != 0 {
			in.imm = uint8(r.Intn(16)) << 4
		}
	}
	vsib := e&(idxV|idxH) != 0
	in.isMem = e&noReg != 0 || e&noMem == 0 && r.Intn(2) == 0
	if in.isMem {
		in.mem, in.rm = randomMem(r, vsib), 0
	}
	if e&evex == 0 {
		return in
	}
	if e&noMask == 0 && (vsib || r.Intn(3) == 0) {
		in.f = Mask(K(1 + r.Intn(7)))
		if r.Intn(2) == 0 && !vsib {
			in.f |= Z
		}
	}
	if in.isMem && e.broadcasts() && r.Intn(3) == 0 {
		in.f |= Bc
	}
	return in
}

// vectorSamples draws n valid instructions of every table row.
func vectorSamples(r *rand.Rand, n int) []sample {
	var out []sample
	for op := range Op(numOps) {
		for found, tries := 0, 0; found < n; tries++ {
			if tries > 200*n {
				panic(fmt.Sprintf("BUG: asm: no valid operands drawn for %s", op))
			}
			in := randomInst(r, op)
			if s, ok := collect(func(a *Asm) { a.emit(&in) }); ok {
				out = append(out, s)
				found++
			}
		}
	}
	return out
}

// typedSamples draws n operand sets for every method that does not go through the tables.
func typedSamples(r *rand.Rand, n int) []sample {
	var out []sample
	for range n {
		for _, emit := range typedEmitters(r) {
			s, ok := collect(emit)
			if !ok {
				panic("BUG: asm: a typed method rejected valid operands")
			}
			out = append(out, s)
		}
	}
	return out
}

// typedEmitters binds every typed method to one draw of operands.
func typedEmitters(r *rand.Rand) []func(*Asm) {
	d, s := Reg(r.Intn(16)), Reg(r.Intn(16))
	m := randomMem(r, false)
	v := int32(r.Uint32())
	if r.Intn(2) == 0 {
		v = int32(r.Intn(256) - 128)
	}
	wide := int64(r.Uint64()) >> (r.Intn(4) * 20)
	n := uint8(r.Intn(64))
	c := []CC{B, AE, E, NE, BE, A, S, NS, P, NP, LT, GE, LE, GT}[r.Intn(14)]
	t := T(r.Intn(8))
	t2, t3 := (t+1)%8, (t+2)%8
	stride := PtrX(d, Reg(r.Intn(4)), 0, int32(r.Intn(300)-150))
	return []func(*Asm){
		func(a *Asm) { a.MOV(d, s) }, func(a *Asm) { a.MOVL(d, s) },
		func(a *Asm) { a.MOVld(d, m) }, func(a *Asm) { a.MOVLld(d, m) },
		func(a *Asm) { a.MOVst(m, s) }, func(a *Asm) { a.MOVLst(m, s) },
		func(a *Asm) { a.MOVWst(m, s) }, func(a *Asm) { a.MOVBst(m, s) },
		func(a *Asm) { a.MOVi(d, wide) }, func(a *Asm) { a.MOVi(d, 0) },
		func(a *Asm) { a.MOVmi(m, v) }, func(a *Asm) { a.MOVLmi(m, v) },
		func(a *Asm) { a.MOVZXB(d, m) }, func(a *Asm) { a.MOVZXW(d, m) },
		func(a *Asm) { a.MOVSXB(d, m) }, func(a *Asm) { a.MOVSXW(d, m) }, func(a *Asm) { a.MOVSXD(d, m) },
		func(a *Asm) { a.MOVZXBr(d, s) }, func(a *Asm) { a.MOVSXDr(d, s) },
		func(a *Asm) { a.MOVZXWr(d, s) }, func(a *Asm) { a.MOVBmi(m, int8(v)) }, func(a *Asm) { a.ORst(m, s) },
		func(a *Asm) { a.ANDst(m, s) }, func(a *Asm) { a.XORm(d, m) }, func(a *Asm) { a.XORst(m, s) },
		func(a *Asm) { a.ADDLm(d, m) }, func(a *Asm) { a.CMPLm(d, m) }, func(a *Asm) { a.LEA(d, m) },
		func(a *Asm) { a.ADD(d, s) }, func(a *Asm) { a.ADDi(d, v) }, func(a *Asm) { a.ADDi(RAX, v) },
		func(a *Asm) { a.ADDm(d, m) }, func(a *Asm) { a.ADDst(m, s) }, func(a *Asm) { a.ADDmi(m, v) },
		func(a *Asm) { a.ADDL(d, s) }, func(a *Asm) { a.ADDLi(d, v) }, func(a *Asm) { a.ADDLmi(m, v) },
		func(a *Asm) { a.OR(d, s) }, func(a *Asm) { a.ORi(d, v) }, func(a *Asm) { a.ORm(d, m) }, func(a *Asm) { a.ORL(d, s) },
		func(a *Asm) { a.AND(d, s) }, func(a *Asm) { a.ANDi(d, v) }, func(a *Asm) { a.ANDm(d, m) },
		func(a *Asm) { a.ANDL(d, s) }, func(a *Asm) { a.ANDLi(d, v) },
		func(a *Asm) { a.SUB(d, s) }, func(a *Asm) { a.SUBi(d, v) }, func(a *Asm) { a.SUBm(d, m) },
		func(a *Asm) { a.SUBst(m, s) }, func(a *Asm) { a.SUBmi(m, v) }, func(a *Asm) { a.SUBL(d, s) }, func(a *Asm) { a.SUBLi(d, v) },
		func(a *Asm) { a.XOR(d, s) }, func(a *Asm) { a.XORi(d, v) }, func(a *Asm) { a.XORL(d, s) },
		func(a *Asm) { a.CMP(d, s) }, func(a *Asm) { a.CMPi(d, v) }, func(a *Asm) { a.CMPm(d, m) }, func(a *Asm) { a.CMPmr(m, s) },
		func(a *Asm) { a.CMPmi(m, v) }, func(a *Asm) { a.CMPL(d, s) }, func(a *Asm) { a.CMPLi(d, v) }, func(a *Asm) { a.CMPLmi(m, v) },
		func(a *Asm) { a.TEST(d, s) }, func(a *Asm) { a.TESTL(d, s) }, func(a *Asm) { a.TESTi(d, v) }, func(a *Asm) { a.TESTi(RAX, v) },
		func(a *Asm) { a.NEG(d) }, func(a *Asm) { a.NOT(d) }, func(a *Asm) { a.INC(d) }, func(a *Asm) { a.DEC(d) },
		func(a *Asm) { a.DECL(d) }, func(a *Asm) { a.INCm(m) }, func(a *Asm) { a.DECm(m) },
		func(a *Asm) { a.SHLi(d, n) }, func(a *Asm) { a.SHRi(d, n) }, func(a *Asm) { a.SARi(d, n) }, func(a *Asm) { a.SHLi(d, 1) },
		func(a *Asm) { a.SHLLi(d, n&31) }, func(a *Asm) { a.SHRLi(d, n&31) }, func(a *Asm) { a.SARLi(d, n&31) },
		func(a *Asm) { a.IMUL(d, s) }, func(a *Asm) { a.IMULL(d, s) }, func(a *Asm) { a.IMULm(d, m) }, func(a *Asm) { a.IMULi(d, s, v) },
		func(a *Asm) { a.CQO() }, func(a *Asm) { a.IDIV(s) }, func(a *Asm) { a.DIV(s) }, func(a *Asm) { a.MUL(s) },
		func(a *Asm) { a.PUSH(d) }, func(a *Asm) { a.POP(d) }, func(a *Asm) { a.JMPr(d) }, func(a *Asm) { a.CALLr(d) },
		func(a *Asm) { a.PREFETCHT0(m) }, func(a *Asm) { a.PREFETCHT1(m) }, func(a *Asm) { a.PREFETCHNTA(m) },
		func(a *Asm) { a.VZEROUPPER() }, func(a *Asm) { a.SFENCE() }, func(a *Asm) { a.INT3() }, func(a *Asm) { a.RET() },
		func(a *Asm) { a.CMOVcc(c, d, s) }, func(a *Asm) { a.SETcc(c, d) },
		func(a *Asm) { a.LDTILECFG(m) }, func(a *Asm) { a.STTILECFG(m) }, func(a *Asm) { a.TILERELEASE() }, func(a *Asm) { a.TILEZERO(t) },
		func(a *Asm) { a.TILELOADD(t, stride) }, func(a *Asm) { a.TILELOADDT1(t, stride) }, func(a *Asm) { a.TILESTORED(stride, t) },
		func(a *Asm) { a.TDPBF16PS(t, t2, t3) }, func(a *Asm) { a.TDPBSSD(t, t2, t3) }, func(a *Asm) { a.TDPBUSD(t, t2, t3) },
	}
}
