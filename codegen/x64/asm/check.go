package asm

// check returns what is wrong with an instruction, or "".
func (in *inst) check() string {
	// Direct calls rather than a list of functions: in must not escape to the heap.
	mistake := checkForm(in)
	if mistake == "" {
		mistake = checkRegisters(in)
	}
	if mistake == "" {
		mistake = checkFlags(in)
	}
	if mistake == "" {
		mistake = checkMemory(in)
	}
	if mistake == "" && in.enc&evex == 0 && !in.usesVEX() {
		return "VEX has no such operand (register above 15, or EVEX flags)"
	}
	return mistake
}

func checkForm(in *inst) string {
	switch e := in.enc; {
	case in.l > Z512 || !e.allows(in.l):
		return "no form of this vector length"
	case in.isMem && e&noMem != 0:
		return "no memory form"
	case !in.isMem && e&noReg != 0:
		return "no register form"
	case in.isImm != (e&(imm8|is4) != 0):
		return "immediate missing or not expected (RRi and RMi pass one, RR and RM none)"
	case in.isMem && e&vDst != 0 && e&evex == 0:
		return "no memory form"
	case in.vv != 0 && e&(noV|vDst) != 0:
		return "the vvvv operand is not used and must be 0"
	}
	return ""
}

// limit is the number of registers of an operand kind.
func limit(kind enc) uint8 {
	switch kind {
	case kK:
		return 8
	case kR32, kR64:
		return 16
	}
	return 32
}

func checkRegisters(in *inst) string {
	e := in.enc
	vLimit := uint8(32)
	if e&vK != 0 {
		vLimit = 8
	} else if e&vR64 != 0 {
		vLimit = 16
	}
	switch {
	case in.reg >= limit(e.kind(regShift)), in.vv >= vLimit, !in.isMem && in.rm >= limit(e.kind(rmShift)):
		return "no such register"
	case e&is4 != 0 && in.imm&15 != 0:
		return "the fourth register is passed as number<<4"
	}
	return ""
}

func checkFlags(in *inst) string {
	e, f := in.enc, in.f
	toMask := e.kind(regShift) == kK
	switch {
	case f&^(Z|Bc|EVEX|7) != 0:
		return "unknown flag"
	case f&Bc != 0 && !(in.isMem && e.broadcasts()):
		return "no broadcast form"
	case f&7 != 0 && (e&noMask != 0 || e&evex == 0):
		return "takes no opmask"
	case f&Z != 0 && f&7 == 0:
		return "zeroing needs an opmask other than k0"
	case f&Z != 0 && (toMask || in.isMem && e&dstRM != 0 || e&(idxV|idxH) != 0):
		return "cannot zero"
	}
	return ""
}

func checkMemory(in *inst) string {
	if !in.isMem {
		return ""
	}
	e, m := in.enc, &in.mem
	vsib := e&(idxV|idxH) != 0
	switch {
	case m.Vector != vsib:
		return "a vector index (VPtr) goes with gathers and scatters only"
	case vsib:
		return in.checkGather()
	}
	return m.mistake()
}

// mistake says what is wrong with an address without vector index, or "".
func (m *Mem) mistake() string {
	switch {
	case m.Vector:
		return "a vector index goes with gathers and scatters only"
	case m.Base == rip && m.Index != NoReg:
		return "a label takes no index"
	case m.Base > R15 && m.Base != rip:
		return "no such base register"
	case m.Index == RSP:
		return "RSP cannot be an index"
	case m.Index > R15 && m.Index != NoReg:
		return "no such index register"
	case m.Scale > 3:
		return "scale is the log2 of the factor, 0..3"
	}
	return ""
}

// checkGather holds the hardware's rules: a gather faults where its registers overlap.
func (in *inst) checkGather() string {
	m := &in.mem
	index := uint8(m.Index)
	switch {
	case m.Base > R15:
		return "no such base register"
	case index > 31:
		return "no such index register"
	case m.Scale > 3:
		return "scale is the log2 of the factor, 0..3"
	case in.enc&evex != 0 && in.f&7 == 0:
		return "needs an opmask other than k0"
	case in.enc&evex == 0 && index > 15:
		return "VEX has no such index register"
	case in.enc&dstRM == 0 && index == in.reg:
		return "destination and index must differ"
	case in.enc&vLast != 0 && (in.vv == in.reg || in.vv == index):
		return "mask must differ from destination and index"
	}
	return ""
}
