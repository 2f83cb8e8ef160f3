package gemm

import (
	"jitc/codegen/x64/asm"
	"jitc/ir/tensor"
)

// Products of few rows are bound by reading B once. Two kernels do so in place,
// one per direction in which B is contiguous.

// Odd multiples of the row strides of B, and of A or C.
var (
	bMultiples = []asm.Reg{asm.R9, asm.R10, asm.R11, asm.R12}
	cMultiples = []asm.Reg{asm.R13, asm.R14, asm.R15, asm.RBX}
)

// maxSkinny is the number of rows the skinny kernels can hold in registers.
func maxSkinny(isa ISA) int {
	if isa == AVX512 {
		return 8
	}
	return 4
}

// streamArgs is the argument block of a stream kernel; spent by a call.
type streamArgs struct {
	groups  int64    // 0: groups of rows of B, at least 1
	a       uintptr  // 8: [k][mr], packed
	b       uintptr  // 16
	bK      int64    // 24: bytes between rows of B
	c       uintptr  // 32: first column of the mr rows of the result, which are added to
	ldc     int64    // 40: bytes between rows of C
	vectors int64    // 48: whole vectors per row
	ragged  int64    // 56: nonzero if a masked vector follows
	mask    laneMask // 64
}

// streamDepth is the number of rows of B that are read together: as many as keep
// all their multipliers in registers.
func streamDepth(isa ISA, mr int) int {
	if isa == AVX512 {
		return min(8, 16/mr)
	}
	return min(8, 8/mr)
}

// streamer emits C[mr][n] += A[mr][depth] * B[depth][n] for each group of rows of
// B, walking all of n with the group's multipliers in registers:
//
//	for each group:  x[depth][mr] = broadcast(A)
//	    for each vector j:  for i: C[i][j] += sum over g of x[g][i] * B[g][j]
type streamer struct {
	*emitter
	src       tensor.DType
	mr, depth int
}

func emitStream(isa ISA, dt, src tensor.DType, mr, depth int) []byte {
	e := &streamer{newEmitter(isa, dt), src, mr, depth}
	e.loadMask(asm.Ptr(asm.RDI, 64))
	e.multiples(bMultiples, asm.Ptr(asm.RDI, 24))
	e.multiples(cMultiples, asm.Ptr(asm.RDI, 40))
	e.MOVld(asm.RDX, asm.Ptr(asm.RDI, 8))
	group := e.Here()
	for i := range mr * depth {
		e.broadcast(asm.V(i), asm.Ptr(asm.RDX, int32(i*e.size())))
	}
	e.ADDi(asm.RDX, int32(mr*depth*e.size()))
	e.MOVld(asm.RSI, asm.Ptr(asm.RDI, 16))
	e.MOVld(asm.R8, asm.Ptr(asm.RDI, 32))
	e.MOVld(asm.RCX, asm.Ptr(asm.RDI, 48))
	ragged, next := e.NewLabel(), e.NewLabel()
	e.TEST(asm.RCX, asm.RCX)
	e.Jcc(asm.E, ragged)
	e.Align(32)
	top := e.Here()
	e.vector(false)
	e.ADDi(asm.RSI, int32(e.lanes()*src.Size()))
	e.ADDi(asm.R8, int32(e.width()))
	e.DEC(asm.RCX)
	e.Jcc(asm.NE, top)
	e.Bind(ragged)
	e.MOVld(asm.RAX, asm.Ptr(asm.RDI, 56))
	e.TEST(asm.RAX, asm.RAX)
	e.Jcc(asm.E, next)
	e.vector(true)
	e.Bind(next)
	e.MOVi(asm.RAX, int64(depth))
	e.IMUL(asm.RAX, bMultiples[0])
	e.ADDst(asm.Ptr(asm.RDI, 16), asm.RAX)
	e.DECm(asm.Ptr(asm.RDI, 0))
	e.Jcc(asm.NE, group)
	return e.finish()
}

// vector updates one vector of each row of C.
func (e *streamer) vector(masked bool) {
	x := func(g, i int) asm.V { return asm.V(g*e.mr + i) }
	acc := func(i int) asm.V { return asm.V(e.mr*e.depth + i) }
	b := acc(e.mr)
	for i := range e.mr {
		e.load(acc(i), multiple(asm.R8, cMultiples, i, 0), e.dt, masked)
	}
	for g := range e.depth {
		e.load(b, multiple(asm.RSI, bMultiples, g, 0), e.src, masked)
		for i := range e.mr {
			e.fma(acc(i), x(g, i), b)
		}
	}
	for i := range e.mr {
		e.store(multiple(asm.R8, cMultiples, i, 0), acc(i), masked)
	}
}

// dotArgs is the argument block of a dot kernel; spent by a call.
type dotArgs struct {
	groups  int64    // 0: groups of columns of the result, at least 1
	a       uintptr  // 8: mr rows, contiguous along k
	lda     int64    // 16: bytes between rows of A
	b       uintptr  // 24: columns of B, contiguous along k
	ldb     int64    // 32: bytes between columns of B
	c       uintptr  // 40
	ldc     int64    // 48: bytes between rows of C
	vectors int64    // 56: whole vectors along k
	ragged  int64    // 64: nonzero if a masked vector follows
	mask    laneMask // 72
}

// dotWidth is the number of columns of the result that are computed together.
func dotWidth(isa ISA, mr int) int {
	if isa == AVX512 {
		return min(8, 31/(mr+1))
	}
	return min(8, 14/(mr+1))
}

// dotter emits C[mr][cols] = A[mr][k] * B[k][cols] for each group of cols
// columns, with mr*cols vector accumulators that are summed across lanes last.
type dotter struct {
	*emitter
	src      tensor.DType
	mr, cols int
}

func emitDot(isa ISA, dt, src tensor.DType, mr, cols int) []byte {
	e := &dotter{newEmitter(isa, dt), src, mr, cols}
	e.loadMask(asm.Ptr(asm.RDI, 72))
	e.multiples(bMultiples, asm.Ptr(asm.RDI, 32))
	e.multiples(cMultiples, asm.Ptr(asm.RDI, 16))
	group := e.Here()
	for i := range mr * cols {
		e.zero(asm.V(i))
	}
	e.MOVld(asm.RSI, asm.Ptr(asm.RDI, 8))
	e.MOVld(asm.RDX, asm.Ptr(asm.RDI, 24))
	e.MOVld(asm.RCX, asm.Ptr(asm.RDI, 56))
	ragged, sum := e.NewLabel(), e.NewLabel()
	e.TEST(asm.RCX, asm.RCX)
	e.Jcc(asm.E, ragged)
	e.Align(32)
	top := e.Here()
	e.vector(false)
	e.ADDi(asm.RSI, int32(e.width()))
	e.ADDi(asm.RDX, int32(e.lanes()*src.Size()))
	e.DEC(asm.RCX)
	e.Jcc(asm.NE, top)
	e.Bind(ragged)
	e.MOVld(asm.RAX, asm.Ptr(asm.RDI, 64))
	e.TEST(asm.RAX, asm.RAX)
	e.Jcc(asm.E, sum)
	e.vector(true)
	e.Bind(sum)
	e.sums()
	e.ADDmi(asm.Ptr(asm.RDI, 40), int32(cols*e.size()))
	e.MOVi(asm.RAX, int64(cols))
	e.IMUL(asm.RAX, bMultiples[0])
	e.ADDst(asm.Ptr(asm.RDI, 24), asm.RAX)
	e.DECm(asm.Ptr(asm.RDI, 0))
	e.Jcc(asm.NE, group)
	return e.finish()
}

// vector accumulates one vector along k of every product.
func (e *dotter) vector(masked bool) {
	nb := e.mr * e.cols
	a := asm.V(nb + e.cols)
	for j := range e.cols {
		e.load(asm.V(nb+j), multiple(asm.RDX, bMultiples, j, 0), e.src, masked)
	}
	for i := range e.mr {
		e.load(a, multiple(asm.RSI, cMultiples, i, 0), e.dt, masked)
		for j := range e.cols {
			e.fma(asm.V(i*e.cols+j), a, asm.V(nb+j))
		}
	}
}

// sums adds the lanes of each accumulator and stores the results.
func (e *dotter) sums() {
	e.MOVld(asm.R8, asm.Ptr(asm.RDI, 40))
	t := asm.V(e.mr * e.cols) // a register of B, free by now
	for i := range e.mr {
		for j := range e.cols {
			v := asm.V(i*e.cols + j)
			e.sumLanes(v, t)
			e.RM(e.pick(opStore1), asm.X128, v, 0, asm.Ptr(asm.R8, int32(j*e.size())), 0)
		}
		e.ADDm(asm.R8, asm.Ptr(asm.RDI, 48))
	}
}

// sumLanes leaves the sum of v's lanes in its first one: halves are folded until one element is left.
func (e *dotter) sumLanes(v, t asm.V) {
	add := e.pick(opAdd)
	extract := asm.VEXTRACTF128
	if e.isa == AVX512 {
		e.RRi(asm.VEXTRACTF64X4, asm.Z512, v, 0, t, 0, 1)
		e.RR(add, asm.Y256, v, v, t, 0)
		extract = asm.VEXTRACTF32X4
	}
	e.RRi(extract, asm.Y256, v, 0, t, 0, 1)
	e.RR(add, asm.X128, v, v, t, 0)
	e.RR(asm.VUNPCKHPD, asm.X128, t, v, v, 0)
	e.RR(add, asm.X128, v, v, t, 0)
	if e.dt == tensor.F32 {
		e.RR(asm.VMOVSHDUP, asm.X128, t, 0, v, 0)
		e.RR(add, asm.X128, v, v, t, 0)
	}
}
