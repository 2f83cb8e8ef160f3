package gemm

import (
	"jitc/codegen/x64/asm"
	"jitc/ir/tensor"
)

// microArgs is the argument block of a micro-kernel. The kernel advances A and
// C from panel to panel, so the block is spent by a call.
type microArgs struct {
	k      int64    // 0: depth, at least 1
	a      uintptr  // 8: first panel of A
	b      uintptr  // 16: panel of B
	c      uintptr  // 24: first row of the result
	ldc    int64    // 32: bytes between rows of the result
	panels int64    // 40: panels of A, each mr rows; at least 1
	aPanel int64    // 48: bytes between panels of A
	add    int64    // 56: 0 to store the result, else add to it
	aRow   int64    // 64: A in place: bytes between rows
	aK     int64    // 72: A in place: bytes between columns
	bK     int64    // 80: B in place: bytes between rows
	mask   laneMask // 88: live lanes of the last vector of a row
}

// microShape selects a micro-kernel: mr rows by nv vectors of accumulators, and
// how operands lie. A packed panel is [k][mr], a packed panel of B [k][nv*lanes].
type microShape struct {
	mr, nv   int
	aInPlace bool // A[i,k] at a + i*aRow + k*aK
	bInPlace bool // B[k,j] at b + k*bK + j*size, the last vector masked
}

// microEmitter emits one micro-kernel:
//
//	for each panel of A:            (RDI: args, R8: row of C)
//	    acc[mr][nv] = 0
//	    for k:                      (RSI: A, RDX: B, RCX: k left)
//	        b[nv] = B[k, :]
//	        for i: acc[i][:] += broadcast(A[i, k]) * b[:]
//	    C[mr][nv] = acc, or += acc
//
// In-place operands step by RAX (A) and RBX (B) per k; rows of an in-place A
// are addressed from RSI by odd multiples of the row stride in R9-R15, scaled.
type microEmitter struct {
	*emitter
	microShape
}

// rowMultiples are the registers that hold 1, 3, 5, ... times the row stride of an in-place A.
var rowMultiples = []asm.Reg{asm.R9, asm.R10, asm.R11, asm.R12, asm.R13, asm.R14, asm.R15}

// maxRows is the number of rows that rowMultiples can address.
const maxRows = 14

// unroll is the number of k steps per iteration of the main loop.
const unroll = 4

func emitMicro(isa ISA, dt tensor.DType, s microShape) []byte {
	e := &microEmitter{newEmitter(isa, dt), s}
	e.loadMask(asm.Ptr(asm.RDI, 88))
	panel := e.Here()
	e.prologue()
	e.depthLoop()
	e.writeBack()
	e.MOVld(asm.RAX, asm.Ptr(asm.RDI, 8))
	e.ADDm(asm.RAX, asm.Ptr(asm.RDI, 48))
	e.MOVst(asm.Ptr(asm.RDI, 8), asm.RAX)
	e.MOVst(asm.Ptr(asm.RDI, 24), asm.R8)
	e.MOVld(asm.RAX, asm.Ptr(asm.RDI, 40))
	e.DEC(asm.RAX)
	e.MOVst(asm.Ptr(asm.RDI, 40), asm.RAX)
	e.Jcc(asm.NE, panel)
	return e.finish()
}

func (e *microEmitter) acc(i, j int) asm.V { return asm.V(i*e.nv + j) }

// prologue loads pointers, clears the accumulators and asks for the rows of C.
func (e *microEmitter) prologue() {
	e.MOVld(asm.R8, asm.Ptr(asm.RDI, 24))
	e.MOVld(asm.RCX, asm.Ptr(asm.RDI, 32))
	e.MOV(asm.R10, asm.R8)
	for i := range e.mr {
		for j := 0; j < e.nv*e.width(); j += 64 {
			e.PREFETCHT0(asm.Ptr(asm.R10, int32(j)))
		}
		e.ADD(asm.R10, asm.RCX)
		for j := range e.nv {
			e.zero(e.acc(i, j))
		}
	}
	e.MOVld(asm.RSI, asm.Ptr(asm.RDI, 8))
	e.MOVld(asm.RDX, asm.Ptr(asm.RDI, 16))
	e.MOVld(asm.RCX, asm.Ptr(asm.RDI, 0))
	if e.bInPlace {
		e.MOVld(asm.RBX, asm.Ptr(asm.RDI, 80))
	}
	if e.aInPlace {
		e.MOVld(asm.RAX, asm.Ptr(asm.RDI, 72))
		e.multiples(rowMultiples, asm.Ptr(asm.RDI, 64))
	}
}

// aElem addresses row i of the current column of A, u unrolled steps ahead.
func (e *microEmitter) aElem(i, u int) asm.Mem {
	if !e.aInPlace {
		return asm.Ptr(asm.RSI, int32((u*e.mr+i)*e.size()))
	}
	return multiple(asm.RSI, rowMultiples, i, 0)
}

// step is one k: u counts unrolled steps since the pointers last moved.
func (e *microEmitter) step(u int) {
	nb := e.mr * e.nv
	na := nb + e.nv
	for j := range e.nv {
		off := j * e.width()
		if !e.bInPlace {
			off += u * e.nv * e.width()
		} else if off%64 == 0 { // rows of B lie far apart: ask for the row eight steps ahead
			e.PREFETCHT0(asm.PtrX(asm.RDX, asm.RBX, 3, int32(off)))
		}
		e.load(asm.V(nb+j), asm.Ptr(asm.RDX, int32(off)), e.dt, e.bInPlace && j == e.nv-1)
	}
	for i := range e.mr {
		a := asm.V(na + i%(e.registers()-na))
		e.broadcast(a, e.aElem(i, u))
		for j := range e.nv {
			e.fma(e.acc(i, j), a, asm.V(nb+j))
		}
	}
	if e.aInPlace {
		e.ADD(asm.RSI, asm.RAX)
	}
	if e.bInPlace {
		e.ADD(asm.RDX, asm.RBX)
	}
}

// advance moves the pointers of packed operands by steps columns.
func (e *microEmitter) advance(steps int) {
	if !e.aInPlace {
		e.ADDi(asm.RSI, int32(steps*e.mr*e.size()))
	}
	if !e.bInPlace {
		e.ADDi(asm.RDX, int32(steps*e.nv*e.width()))
	}
}

// depthLoop accumulates over k, unrolled, then the rest one by one.
func (e *microEmitter) depthLoop() {
	rest, done := e.NewLabel(), e.NewLabel()
	e.SUBi(asm.RCX, unroll)
	e.Jcc(asm.LT, rest)
	e.Align(64)
	top := e.Here()
	for u := range unroll {
		e.step(u)
	}
	e.advance(unroll)
	e.SUBi(asm.RCX, unroll)
	e.Jcc(asm.GE, top)
	e.Bind(rest)
	e.ADDi(asm.RCX, unroll)
	e.Jcc(asm.E, done)
	top = e.Here()
	e.step(0)
	e.advance(1)
	e.DEC(asm.RCX)
	e.Jcc(asm.NE, top)
	e.Bind(done)
}

// writeBack stores the accumulators or adds them to the result, and leaves R8 after the last row.
func (e *microEmitter) writeBack() {
	add, end := e.NewLabel(), e.NewLabel()
	e.MOVld(asm.RCX, asm.Ptr(asm.RDI, 32))
	e.MOVld(asm.RAX, asm.Ptr(asm.RDI, 56))
	e.TEST(asm.RAX, asm.RAX)
	e.Jcc(asm.NE, add)
	e.rows(false)
	e.JMP(end)
	e.Bind(add)
	e.rows(true)
	e.Bind(end)
}

func (e *microEmitter) rows(add bool) {
	old := asm.V(e.mr * e.nv) // a register of B, free by now
	for i := range e.mr {
		for j := range e.nv {
			m, masked := asm.Ptr(asm.R8, int32(j*e.width())), j == e.nv-1
			if add {
				e.load(old, m, e.dt, masked)
				e.add(e.acc(i, j), old, e.acc(i, j))
			}
			e.store(m, e.acc(i, j), masked)
		}
		e.ADD(asm.R8, asm.RCX)
	}
}
