package asm

// enc is the encoding of one instruction as a set of bits: what the manual's opcode line and its operand
// column say. The zero value of the operand fields is the commonest shape, `op reg, vvvv, rm` with every
// operand of the vector length, so that most rows only name opcode, map, prefix and tuple.
//
//	bits  0-7   opcode byte
//	bits  8-10  opcode map, 11-12 mandatory prefix, 13 EVEX.W, 14 VEX.W
//	bits 15-16  encodable as VEX, as EVEX
//	bits 17-20  tuple (how disp8 scales)
//	bits 24-27  kind of the ModRM.reg operand, 28-31 of the ModRM.rm operand
//	bits 32-51  operand order and restrictions
//	bits 52-54  opcode extension in ModRM.reg
type enc uint64

// Opcode map, mandatory prefix, W, and the encodings that exist.
const (
	m0F  enc = 1 << 8
	m38  enc = 2 << 8
	m3A  enc = 3 << 8
	p66  enc = 1 << 11
	pF3  enc = 2 << 11
	pF2  enc = 3 << 11
	ew1  enc = 1 << 13 // EVEX.W = 1
	vw1  enc = 1 << 14 // VEX.W = 1
	w1       = ew1 | vw1
	vex  enc = 1 << 15
	evex enc = 1 << 16
	both     = vex | evex
)

// Tuples: the bytes of the memory operand, which EVEX divides an 8-bit displacement by.
const (
	tupleShift     = 17
	tFV        enc = 0 << tupleShift  // whole vector, element broadcast allowed
	tFVM       enc = 1 << tupleShift  // whole vector
	tHV        enc = 2 << tupleShift  // half vector, 4-byte broadcast allowed
	tHVM       enc = 3 << tupleShift  // half vector
	tQVM       enc = 4 << tupleShift  // quarter vector
	tOVM       enc = 5 << tupleShift  // eighth of a vector
	t1         enc = 6 << tupleShift  // one byte
	t2         enc = 7 << tupleShift  // one word
	t4         enc = 8 << tupleShift  // one doubleword
	t8         enc = 9 << tupleShift  // one quadword
	t16        enc = 10 << tupleShift // four doublewords
	t32        enc = 11 << tupleShift // eight doublewords
	tDup       enc = 12 << tupleShift // VMOVDDUP: a quadword at 128 bits, else the vector
	tupleMask  enc = 15 << tupleShift
)

// Operand kinds, for the reg and the rm position.
const (
	regShift     = 24
	rmShift      = 28
	kV       enc = 0 // vector of the instruction's length
	kH       enc = 1 // half of it, at least xmm
	kQ       enc = 2 // quarter
	kO       enc = 3 // eighth
	kX       enc = 4 // xmm
	kY       enc = 5 // ymm
	kK       enc = 6 // opmask
	kR32     enc = 7 // general register, 32 bits
	kR64     enc = 8 // general register, 64 bits
	kM16     enc = 9 // 16-bit memory operand only

	regH   = kH << regShift
	regX   = kX << regShift
	regK   = kK << regShift
	regR32 = kR32 << regShift
	regR64 = kR64 << regShift
	rmH    = kH << rmShift
	rmQ    = kQ << rmShift
	rmO    = kO << rmShift
	rmX    = kX << rmShift
	rmY    = kY << rmShift
	rmK    = kK << rmShift
	rmR32  = kR32 << rmShift
	rmR64  = kR64 << rmShift
)

// Operand order and restrictions.
const (
	noV    enc = 1 << 32 // vvvv is unused
	dstRM  enc = 1 << 33 // rm is the destination (stores)
	imm8   enc = 1 << 34 // an immediate byte follows
	is4    enc = 1 << 35 // the immediate's high nibble names a fourth register
	noMem  enc = 1 << 36 // no memory form
	noReg  enc = 1 << 37 // no register form
	noMask enc = 1 << 38 // EVEX without opmask
	noX    enc = 1 << 39 // no 128-bit form
	noY    enc = 1 << 40 // no 256-bit form
	noZ    enc = 1 << 41 // no 512-bit form
	idxV   enc = 1 << 42 // VSIB, index vector of the instruction's length
	idxH   enc = 1 << 43 // VSIB, index vector of half of it
	vLast  enc = 1 << 44 // written `reg, rm, vvvv`
	vDst   enc = 1 << 45 // the destination is vvvv, ModRM.reg holds the digit
	lig    enc = 1 << 46 // scalar: length ignored, operands are xmm
	l1     enc = 1 << 47 // VEX.L is 1 (three-operand opmask instructions)
	vK     enc = 1 << 48 // vvvv is an opmask
	vR64   enc = 1 << 49 // vvvv is a general register
	load   enc = 1 << 50 // gas must be told {load} for the register form
	vexPfx enc = 1 << 51 // gas must be told {vex}

	rmf     = noV         // reg <- rm
	mrf     = noV | dstRM // rm <- reg
	onlyX   = noY | noZ
	onlyZ   = noX | noY
	scalar4 = lig | regX | rmX | t4
	scalar8 = lig | regX | rmX | t8 | ew1
	kop     = vex | regK | rmK | vK | noMem | lig
)

const digitShift = 52

// digit is the opcode extension of a shift by immediate; the destination then sits in vvvv.
func digit(d enc) enc { return d<<digitShift | vDst | imm8 }

func (e enc) kind(shift int) enc { return e >> shift & 15 }
func (e enc) tuple() enc         { return e & tupleMask }

// element is the broadcast element's size in bytes.
func (e enc) element() int {
	if e&ew1 != 0 && e.tuple() == tFV {
		return 8
	}
	return 4
}

// broadcasts reports whether the memory operand may be one repeated element.
func (e enc) broadcasts() bool {
	return e&evex != 0 && (e.tuple() == tFV || e.tuple() == tHV) && e&dstRM == 0
}

// width is the memory operand's size in bytes at length l.
func (e enc) width(l VL) int {
	switch e.tuple() {
	case tFV, tFVM:
		return l.Bytes()
	case tHV, tHVM:
		return l.Bytes() / 2
	case tQVM:
		return l.Bytes() / 4
	case tOVM:
		return l.Bytes() / 8
	case tDup:
		if l == X128 {
			return 8
		}
		return l.Bytes()
	}
	return 1 << ((e.tuple() - t1) >> tupleShift)
}

// scale is what EVEX divides an 8-bit displacement by.
func (e enc) scale(l VL, f Flags) int32 {
	if f&Bc != 0 {
		return int32(e.element())
	}
	return int32(e.width(l))
}

// allows reports whether the instruction exists at length l.
func (e enc) allows(l VL) bool {
	switch {
	case e&evex == 0 && l == Z512:
		return false
	case e&lig != 0:
		return l == X128
	}
	return e&(noX<<l) == 0
}
