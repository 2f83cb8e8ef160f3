package gemm

import (
	"jitc/codegen/ptx/asm"
	"jitc/ir/tensor"
)

// Emit emits a whole entry of a configuration of Candidates: k is new, made for
// c.Threads() threads, and may have parameters of the caller's. The parameters that
// it adds begin at the returned offset of the parameter block; Launch.Params are
// their values. Sizes are those that Best takes.
func Emit(k *asm.Kernel, c Config, p Problem, e Epilogue) (at int) {
	if c.Swap {
		p = p.swapped()
		e = e.swapped()
	}
	em := &emitter{Kernel: k, c: c, p: p, epilogue: e, acc: arithmetic[p.Acc]}
	k.Dynamic, k.MinCTAs = true, c.minBlocks()
	if c.Kind == Bulk {
		at = em.declareMaps()
		em.par, _ = declare(k, p.Batch)
	} else {
		em.par, at = declare(k, p.Batch)
	}
	em.thread()
	templates[c.Kind](em)
	return at
}

var templates = [...]func(*emitter){
	Tensor: placed((*emitter).tensor), FMA: placed((*emitter).fma), Skinny: placed((*emitter).skinny),
	WarpGroup: placed((*emitter).warpGroup), Bulk: (*emitter).bulk,
}

// placed is a template whose blocks do one tile each, that of their number.
func placed(template func(*emitter)) func(*emitter) {
	return func(e *emitter) {
		e.place(e.b32("mov.u32", "%ctaid.x"))
		e.bases()
		template(e)
	}
}

// swapped is the epilogue for the transposed product.
func (e Epilogue) swapped() Epilogue {
	return func(k *asm.Kernel, at Element) {
		at.M, at.N = at.N, at.M
		e(k, at)
	}
}

// arith is the arithmetic of an accumulation type.
type arith struct {
	class         asm.Class
	typ           string // suffix of loads, stores and moves
	fma, add      string
	zero          any
	bytes, vector int // of an element; elements of a 16-byte vector
}

var arithmetic = map[tensor.DType]arith{
	tensor.F32: {asm.F32, ".f32", "fma.rn.f32", "add.rn.f32", float32(0), 4, 4},
	tensor.F64: {asm.F64, ".f64", "fma.rn.f64", "add.rn.f64", float64(0), 8, 2},
	tensor.I32: {asm.B32, ".b32", "mad.lo.s32", "add.s32", 0, 4, 4},
}

// emitter is an entry in the making.
type emitter struct {
	*asm.Kernel
	c        Config
	p        Problem
	epilogue Epilogue
	acc      arith
	par      params
	shared   asm.Reg // B32, address of the dynamic shared memory
	tid      asm.Reg // B32, and the parts of it:
	lane     asm.Reg
	warp     asm.Reg
	a, b     side
	batch    []asm.Reg // B32, the tile's batch indices
	slab     asm.Reg   // B32, split * batches + batch
	start    asm.Reg   // B32, first element of k to do
	depth    asm.Reg   // B32, elements of k to do
	tiles    asm.Reg   // B32, tiles of k to do
}

// side is an operand, seen by a block.
type side struct {
	dtype tensor.DType
	major Major
	rows  int     // of the tile along m (n for B)
	first asm.Reg // B32, row at which the tile begins
	limit asm.Reg // B32, rows of the operand
	base  asm.Reg // B64, address of the tile's first element in the first tile of k
	mn, k asm.Reg // B64, strides in bytes
}

func (e *emitter) b32(op string, args ...any) asm.Reg  { return e.Op(asm.B32, op, args...) }
func (e *emitter) b64(op string, args ...any) asm.Reg  { return e.Op(asm.B64, op, args...) }
func (e *emitter) pred(op string, args ...any) asm.Reg { return e.Op(asm.Pred, op, args...) }

// wide is n times a stride plus an address; n is a B32 or a number.
func (e *emitter) wide(n any, stride, base asm.Reg) asm.Reg {
	if r, ok := n.(asm.Reg); ok {
		n = e.b64("cvt.s64.s32", r)
	}
	return e.b64("mad.lo.s64", stride, n, base)
}

// divide returns n/d and n%d of B32s, unsigned.
func (e *emitter) divide(n, d asm.Reg) (quotient, remainder asm.Reg) {
	q := e.b32("div.u32", n, d)
	return q, e.b32("sub.u32", n, e.b32("mul.lo.u32", q, d))
}

// zeros are n accumulators.
func (e *emitter) zeros(n int) asm.Vec {
	v := e.Regs(e.acc.class, n)
	for _, r := range v {
		e.Set(r, "mov"+e.acc.typ, e.acc.zero)
	}
	return v
}

// rasterRows is the number of rows of tiles that blocks go through column by
// column, so that blocks that run together share operands in the second-level
// cache: a hundred or so cover about a square of C.
func (c Config) rasterRows() int {
	if c.BN > c.BM {
		return 16
	}
	return 8
}

// thread finds out which thread this is.
func (e *emitter) thread() {
	e.shared = e.b32("mov.u32", asm.DynamicShared)
	e.tid = e.b32("mov.u32", "%tid.x")
	e.lane = e.b32("and.b32", e.tid, 31)
	e.warp = e.b32("shr.u32", e.tid, 5)
}

// place finds out what is to be done for the tile of a number. Tiles are numbered by
// split, batch, band of rows of tiles, column, row.
func (e *emitter) place(number asm.Reg) {
	p := &e.par
	slab, t := e.divide(number, e.b32("mul.lo.u32", p.tilesM, p.tilesN))
	e.slab = slab
	split, z := e.divide(slab, p.batches)
	band, t := e.divide(t, e.b32("mul.lo.u32", p.tilesN, e.c.rasterRows()))
	top := e.b32("mul.lo.u32", band, e.c.rasterRows())
	tn, tm := e.divide(t, e.b32("min.u32", e.b32("sub.u32", p.tilesM, top), e.c.rasterRows()))
	tm = e.b32("add.u32", tm, top)

	e.a = side{dtype: e.p.A, major: e.p.AContract, rows: e.c.BM, limit: p.m, base: p.a, mn: p.aMN, k: p.aK}
	e.b = side{dtype: e.p.B, major: e.p.BContract, rows: e.c.BN, limit: p.n, base: p.b, mn: p.bMN, k: p.bK}
	e.a.first = e.b32("mul.lo.u32", tm, e.c.BM)
	e.b.first = e.b32("mul.lo.u32", tn, e.c.BN)
	e.batch = e.indices(z)
	e.depthOf(split)
}

// bases finds the tile's operands.
func (e *emitter) bases() {
	p := &e.par
	for i, s := range []*side{&e.a, &e.b} {
		for j, index := range e.batch {
			s.base = e.wide(index, p.batchStride[j][i], s.base)
		}
		s.base = e.wide(s.first, s.mn, s.base)
		s.base = e.wide(e.start, s.k, s.base)
	}
}

// indices takes a batch number apart.
func (e *emitter) indices(z asm.Reg) []asm.Reg {
	batch := make([]asm.Reg, e.p.Batch)
	for i := e.p.Batch - 1; i > 0; i-- {
		z, batch[i] = e.divide(z, e.par.extent[i])
	}
	if e.p.Batch > 0 {
		batch[0] = z
	}
	return batch
}

// depthOf finds the part of k of a split: whole tiles, but for the end of k.
func (e *emitter) depthOf(split asm.Reg) {
	p := &e.par
	e.start = e.b32("mul.lo.u32", e.b32("mul.lo.u32", split, p.per), e.c.BK)
	e.depth = e.b32("min.u32", e.b32("sub.u32", p.k, e.start), e.b32("mul.lo.u32", p.per, e.c.BK))
	e.tiles = e.b32("div.u32", e.b32("add.u32", e.depth, e.c.BK-1), e.c.BK)
}
