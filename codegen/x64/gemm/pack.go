package gemm

import (
	"jitc/codegen/x64/asm"
	"jitc/ir/tensor"
)

// packArgs is the argument block of a packer. A packer fills dst[k][*], k rows
// dstK bytes apart, from lines of the operand.
type packArgs struct {
	k     int64    // 0: rows of dst to write, at least 1
	src   uintptr  // 8
	ld    int64    // 16: bytes between lines of the source
	dst   uintptr  // 24
	dstK  int64    // 32: bytes between rows of dst
	whole int64    // 40: transposing: whole vectors per line
	rest  int64    // 48: transposing: elements of a line after them
	ahead int64    // 56: bytes from the source to that of the next panel, which is prefetched
	mask  laneMask // 64: copying: live lanes of a line's last vector; transposing: rest as a mask
}

// packSlack is how many bytes after a panel a packer may write: rows are stored
// as whole vectors, in ascending order, each overwriting the last one's excess.
const packSlack = 64

// emitCopyPack emits the packer for lines that are contiguous across the panel:
// one line of nv vectors, the last one masked, per k.
//
//	src: k0: a b c d ...     dst: a b c d | e f g h | ...
//	     k1: e f g h ...
func emitCopyPack(isa ISA, dt, src tensor.DType, nv int) []byte {
	e := newEmitter(isa, dt)
	e.loadMask(asm.Ptr(asm.RDI, 64))
	e.MOVld(asm.RCX, asm.Ptr(asm.RDI, 0))
	e.MOVld(asm.RSI, asm.Ptr(asm.RDI, 8))
	e.MOVld(asm.RDX, asm.Ptr(asm.RDI, 16))
	e.MOVld(asm.R8, asm.Ptr(asm.RDI, 24))
	e.MOVld(asm.R9, asm.Ptr(asm.RDI, 32))
	e.MOVld(asm.R10, asm.Ptr(asm.RDI, 56))
	step := e.lanes() * src.Size()
	top := e.Here()
	for j := range nv {
		e.load(asm.V(j), asm.Ptr(asm.RSI, int32(j*step)), src, j == nv-1)
		e.store(asm.Ptr(asm.R8, int32(j*e.width())), asm.V(j), false)
	}
	for b := 0; b < nv*step; b += 64 {
		e.PREFETCHT1(asm.PtrX(asm.RSI, asm.R10, 0, int32(b)))
	}
	e.ADD(asm.RSI, asm.RDX)
	e.ADD(asm.R8, asm.R9)
	e.DEC(asm.RCX)
	e.Jcc(asm.NE, top)
	return e.finish()
}

// transposer emits the packer for lines that are contiguous along k: up to one
// vector of lines, one per element of a row of dst; missing lines give zeros.
//
//	src: line 0: a b c d ...     dst: a e | b f | c g | d h | ...
//	     line 1: e f g h ...
//
// A square block of lanes x lanes elements is transposed in registers: first
// each 128-bit part of the vectors within groups of q = 16/size lines, then the
// parts across groups.
type transposer struct {
	*emitter
	src   tensor.DType
	lines int
	r, t  []asm.V // one register per line, and as many temporaries
}

func emitTransposePack(isa ISA, dt, src tensor.DType, lines int) []byte {
	e := &transposer{emitter: newEmitter(isa, dt), src: src, lines: lines}
	for i := range e.lanes() {
		e.r = append(e.r, asm.V(i))
		e.t = append(e.t, asm.V(e.lanes()+i))
	}
	e.MOVld(asm.RSI, asm.Ptr(asm.RDI, 8))
	e.MOVld(asm.RDX, asm.Ptr(asm.RDI, 16))
	e.MOVld(asm.R8, asm.Ptr(asm.RDI, 24))
	e.MOVld(asm.R10, asm.Ptr(asm.RDI, 32))
	e.MOVld(asm.R11, asm.Ptr(asm.RDI, 56))
	e.MOVld(asm.RCX, asm.Ptr(asm.RDI, 40))
	rest, done := e.NewLabel(), e.NewLabel()
	e.TEST(asm.RCX, asm.RCX)
	e.Jcc(asm.E, rest)
	top := e.Here()
	e.loadLines(false)
	e.transpose()
	for c := range e.r {
		e.storeRow(c)
	}
	e.ADDi(asm.RSI, int32(e.lanes()*src.Size()))
	e.DEC(asm.RCX)
	e.Jcc(asm.NE, top)
	e.Bind(rest)
	e.MOVld(asm.RCX, asm.Ptr(asm.RDI, 48))
	e.TEST(asm.RCX, asm.RCX)
	e.Jcc(asm.E, done)
	e.loadMask(asm.Ptr(asm.RDI, 64))
	e.loadLines(true)
	e.transpose()
	for c := range len(e.r) - 1 {
		e.storeRow(c)
		e.DEC(asm.RCX)
		e.Jcc(asm.E, done)
	}
	e.Bind(done)
	return e.finish()
}

// loadLines reads one vector of each line into r.
func (e *transposer) loadLines(masked bool) {
	e.MOV(asm.R9, asm.RSI)
	for i, v := range e.r {
		if i >= e.lines {
			e.zero(v)
			continue
		}
		e.load(v, asm.Ptr(asm.R9, 0), e.src, masked)
		if !masked {
			e.PREFETCHT1(asm.PtrX(asm.R9, asm.R11, 0, 0))
		}
		e.ADD(asm.R9, asm.RDX)
	}
}

// storeRow writes row c of the transposed block and moves on.
func (e *transposer) storeRow(c int) {
	e.store(asm.Ptr(asm.R8, 0), e.r[c], false)
	e.ADD(asm.R8, asm.R10)
}

// transpose transposes the block in r.
func (e *transposer) transpose() {
	q := 16 / e.size()
	if q == 4 {
		e.interleave4()
	} else {
		e.interleave2()
	}
	// Now r[g*q+c] holds, in part p, column p*q+c of lines g*q to g*q+q-1.
	for c := range q {
		if e.isa == AVX512 {
			e.parts4(c, q)
		} else {
			e.parts2(c, q)
		}
	}
	e.r, e.t = e.t, e.r
}

// interleave4 transposes 4x4 elements within each part of each group.
func (e *transposer) interleave4() {
	r, t := e.r, e.t
	for i := 0; i < len(r); i += 2 {
		e.RR(asm.VUNPCKLPS, e.vl, t[i], r[i], r[i+1], 0)
		e.RR(asm.VUNPCKHPS, e.vl, t[i+1], r[i], r[i+1], 0)
	}
	for i := 0; i < len(r); i += 4 {
		e.RR(asm.VUNPCKLPD, e.vl, r[i], t[i], t[i+2], 0)
		e.RR(asm.VUNPCKHPD, e.vl, r[i+1], t[i], t[i+2], 0)
		e.RR(asm.VUNPCKLPD, e.vl, r[i+2], t[i+1], t[i+3], 0)
		e.RR(asm.VUNPCKHPD, e.vl, r[i+3], t[i+1], t[i+3], 0)
	}
}

// interleave2 transposes 2x2 elements within each part of each group.
func (e *transposer) interleave2() {
	for i := 0; i < len(e.r); i += 2 {
		e.RR(asm.VUNPCKLPD, e.vl, e.t[i], e.r[i], e.r[i+1], 0)
		e.RR(asm.VUNPCKHPD, e.vl, e.t[i+1], e.r[i], e.r[i+1], 0)
	}
	e.r, e.t = e.t, e.r
}

// parts4 transposes the 4x4 parts of r[c], r[q+c], r[2q+c], r[3q+c] into t[c], t[q+c], ...: part p
// of group g becomes part g of column p*q+c.
func (e *transposer) parts4(c, q int) {
	r, t := e.r, e.t
	sh := func(d, a, b asm.V, imm uint8) { e.RRi(asm.VSHUFF64X2, e.vl, d, a, b, 0, imm) }
	sh(t[c], r[c], r[q+c], 0x88)         // parts 0 2 of groups 0, 1
	sh(t[q+c], r[c], r[q+c], 0xDD)       // parts 1 3
	sh(r[c], r[2*q+c], r[3*q+c], 0x88)   // the same of groups 2, 3
	sh(r[q+c], r[2*q+c], r[3*q+c], 0xDD) //
	sh(t[2*q+c], t[c], r[c], 0xDD)
	sh(t[3*q+c], t[q+c], r[q+c], 0xDD)
	sh(t[c], t[c], r[c], 0x88)
	sh(t[q+c], t[q+c], r[q+c], 0x88)
}

// parts2 is parts4 for two parts.
func (e *transposer) parts2(c, q int) {
	e.RRi(asm.VPERM2F128, e.vl, e.t[c], e.r[c], e.r[q+c], 0, 0x20)
	e.RRi(asm.VPERM2F128, e.vl, e.t[q+c], e.r[c], e.r[q+c], 0, 0x31)
}
