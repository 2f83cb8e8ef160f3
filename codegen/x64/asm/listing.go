package asm

import (
	"fmt"
	"strings"
)

// Line is one instruction, label or constant of a listing, in Intel syntax as GNU as reads it.
type Line struct {
	Offset int
	Text   string
}

// Lines returns what was recorded since Trace was set.
func (a *Asm) Lines() []Line { return a.lines }

// Listing returns offset, bytes and text of every recorded line. Displacements to labels are final after
// Finish. It is empty unless Trace was set before emitting.
func (a *Asm) Listing() string {
	var out strings.Builder
	for i, line := range a.lines {
		end := len(a.B)
		if i+1 < len(a.lines) {
			end = a.lines[i+1].Offset
		}
		if strings.HasSuffix(line.Text, ":") {
			fmt.Fprintf(&out, "%s\n", line.Text)
			continue
		}
		code := a.B[line.Offset:end]
		dots := ""
		if len(code) > 12 {
			code, dots = code[:12], ".."
		}
		fmt.Fprintf(&out, "%6x  %-26s  %s\n", line.Offset, fmt.Sprintf("%x%s", code, dots), line.Text)
	}
	return out.String()
}

// note records a general-register instruction.
func (a *Asm) note(text string) { a.lines = append(a.lines, Line{len(a.B), text}) }

var (
	names64 = [...]string{"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
		"r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"}
	names32 = [...]string{"eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi",
		"r8d", "r9d", "r10d", "r11d", "r12d", "r13d", "r14d", "r15d"}
	names16 = [...]string{"ax", "cx", "dx", "bx", "sp", "bp", "si", "di",
		"r8w", "r9w", "r10w", "r11w", "r12w", "r13w", "r14w", "r15w"}
	names8 = [...]string{"al", "cl", "dl", "bl", "spl", "bpl", "sil", "dil",
		"r8b", "r9b", "r10b", "r11b", "r12b", "r13b", "r14b", "r15b"}
	widthNames = map[int]string{1: "byte", 2: "word", 4: "dword", 8: "qword", 16: "xmmword", 32: "ymmword", 64: "zmmword"}
)

// String returns the 64-bit name, such as rax.
func (r Reg) String() string {
	if int(r) < len(names64) {
		return names64[r]
	}
	return fmt.Sprintf("reg(%d)", uint8(r))
}

// name returns the register's name at a width of 1, 2, 4 or 8 bytes.
func (r Reg) name(width int) string {
	if r > R15 {
		return r.String()
	}
	switch width {
	case 1:
		return names8[r]
	case 2:
		return names16[r]
	case 4:
		return names32[r]
	}
	return names64[r]
}

// String returns the operand in brackets; a vector index is written as an xmm.
func (m Mem) String() string { return m.text(X128) }

func (m Mem) text(index VL) string {
	var s string
	switch {
	case m.Base == rip:
		s = fmt.Sprintf("[rip+L%d", m.Lab)
	case m.Vector:
		s = fmt.Sprintf("[%s+%s*%d", m.Base, vectorName(index, uint8(m.Index)), 1<<m.Scale)
	case m.Index != NoReg:
		s = fmt.Sprintf("[%s+%s*%d", m.Base, m.Index, 1<<m.Scale)
	default:
		s = "[" + m.Base.String()
	}
	if m.Disp != 0 {
		s += fmt.Sprintf("%+d", m.Disp)
	}
	return s + "]"
}

func vectorName(l VL, n uint8) string { return fmt.Sprintf("%cmm%d", "xyz"[min(l, Z512)], n) }

// half returns the length halved steps times, at least xmm.
func (l VL) half(steps VL) VL { return l - min(l, steps) }

// operandName is a register operand of a kind at length l.
func operandName(kind enc, l VL, n uint8) string {
	switch kind {
	case kH, kQ, kO:
		return vectorName(l.half(VL(kind)), n)
	case kX:
		return vectorName(X128, n)
	case kY:
		return vectorName(Y256, n)
	case kK:
		return fmt.Sprintf("k%d", n)
	case kR32:
		return Reg(n).name(4)
	case kR64:
		return Reg(n).name(8)
	}
	return vectorName(l, n)
}

// mnemonic is the row's name without the suffix that tells its encodings apart.
func (op Op) mnemonic() string {
	return strings.ToLower(strings.TrimRight(op.String(), "abcdefghijklmnopqrstuvwxyz"))
}

func (in *inst) text() string {
	e := in.enc
	reg := operandName(e.kind(regShift), in.l, in.reg)
	vv := operandName(in.vKind(), in.l, in.vv)
	rm := in.rmText()
	var ops []string
	switch {
	case e&vDst != 0:
		ops = []string{reg, rm}
	case e&(noV|dstRM) == noV:
		ops = []string{reg, rm}
	case e&(noV|dstRM) == noV|dstRM:
		ops = []string{rm, reg}
	case e&dstRM != 0:
		ops = []string{rm, vv, reg}
	case e&vLast != 0:
		ops = []string{reg, rm, vv}
	default:
		ops = []string{reg, vv, rm}
	}
	if in.f&7 != 0 {
		ops[0] += fmt.Sprintf("{k%d}", in.f&7)
	}
	if in.f&Z != 0 {
		ops[0] += "{z}"
	}
	switch {
	case e&is4 != 0:
		ops = append(ops, vectorName(in.l, in.imm>>4))
	case in.isImm:
		ops = append(ops, fmt.Sprint(in.imm))
	}
	return in.pseudoPrefix() + in.op.mnemonic() + " " + strings.Join(ops, ", ")
}

// vKind is the kind of the vvvv operand; a gather's mask is as wide as its destination.
func (in *inst) vKind() enc {
	switch e := in.enc; {
	case e&vK != 0:
		return kK
	case e&vR64 != 0:
		return kR64
	case e&lig != 0:
		return kX
	case e&(idxV|idxH) != 0:
		return e.kind(regShift)
	}
	return kV
}

func (in *inst) rmText() string {
	e := in.enc
	if !in.isMem {
		return operandName(e.kind(rmShift), in.l, in.rm)
	}
	index := in.l
	if e&idxH != 0 {
		index = in.l.half(1)
	}
	width := e.width(in.l)
	if in.f&Bc == 0 {
		return widthNames[width] + " ptr " + in.mem.text(index)
	}
	return fmt.Sprintf("%s{1to%d}", in.mem.text(index), width/e.element())
}

// pseudoPrefix pins the encoding where an assembler would choose another.
func (in *inst) pseudoPrefix() string {
	switch e := in.enc; {
	case in.f&EVEX != 0:
		return "{evex} "
	case e&vexPfx != 0 && in.usesVEX():
		return "{vex} "
	case e&load != 0 && !in.isMem:
		return "{load} "
	}
	return ""
}
