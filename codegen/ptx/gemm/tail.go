package gemm

import (
	"math/bits"

	"jitc/codegen/ptx/asm"
)

// stagingPad separates rows of staged sums: with 8 words more than a multiple of
// 32 the 8-byte stores of a quarter of a warp's fragment, 4 rows of 8 columns, hit
// 32 different banks.
const stagingPad = 8

// stagingPitch is the distance of staged rows, in elements.
func (c Config) stagingPitch() int { return c.BN + stagingPad }

// stageAt is the shared address of a sum of the tile.
func (e *emitter) stageAt(row, col asm.Reg) asm.Reg {
	return e.b32("mad.lo.u32", e.b32("mad.lo.u32", row, e.c.stagingPitch(), col), e.acc.bytes, e.shared)
}

// tail hands the staged sums of the tile, the sum over slabs of them, to the
// epilogue, or stores them if there is more to be added. The tile's rows lie
// stagingPitch apart, slabs BM rows. It waits for all threads first.
//
//	thread      0    1    2   ...
//	row 0    [0..3][4..7][...]        neighbours: vector loads and stores, whole sectors
func (e *emitter) tail(slabs int) {
	e.Emit("bar.sync", 0)
	g := e.c.group()
	perRow := e.c.BN / g
	shift := bits.TrailingZeros(uint(perRow))
	rows := e.b32("min.u32", e.b32("sub.u32", e.par.m, e.a.first), e.c.BM)
	end := e.b32("shl.b32", rows, shift)
	i := e.b32("mov.b32", e.tid)
	whole := e.pred("setp.le.u32", e.par.splits, 1)
	loop, next, done, partial := e.NewLabel(), e.NewLabel(), e.NewLabel(), e.NewLabel()
	e.Place(loop)
	e.EmitIf(e.pred("setp.ge.u32", i, end), "bra", done)
	row := e.b32("shr.u32", i, shift)
	col := e.b32("mul.lo.u32", e.b32("and.b32", i, perRow-1), g)
	el := Element{Batch: e.batch, M: e.b32("add.u32", e.a.first, row), N: e.b32("add.u32", e.b.first, col)}
	el.Live = e.live(el.N, g)
	from := e.stageAt(row, col)
	el.Acc = e.loadStaged(from, 0, g)
	for s := 1; s < slabs; s++ {
		more := e.loadStaged(from, s*e.c.BM*e.c.stagingPitch()*e.acc.bytes, g)
		for j := range g {
			e.Set(el.Acc[j], e.acc.add, el.Acc[j], more[j])
		}
	}
	e.EmitUnless(whole, "bra", partial)
	e.epilogue(e.Kernel, el)
	e.Emit("bra", next)
	e.Place(partial)
	e.storePartial(el)
	e.Place(next)
	e.Set(i, "add.u32", i, e.c.Threads())
	e.Emit("bra", loop)
	e.Place(done)
}

// live says which of n's group are columns.
func (e *emitter) live(n asm.Reg, group int) []asm.Reg {
	left := e.b32("sub.u32", e.par.n, n) // negative beyond the end
	live := make([]asm.Reg, group)
	for j := range live {
		live[j] = e.pred("setp.gt.s32", left, j)
	}
	return live
}

// loadStaged loads group neighbours.
func (e *emitter) loadStaged(from asm.Reg, offset, group int) asm.Vec {
	v := e.Regs(e.acc.class, group)
	for j := 0; j < group; j += e.acc.vector {
		e.Emit("ld.shared"+vectorSuffix(min(group, e.acc.vector))+e.acc.typ,
			vectorOperand(v[j:min(j+e.acc.vector, group)]), asm.At(from, offset+j*e.acc.bytes))
	}
	return v
}

// vectorSuffix spells a vector of n elements.
func vectorSuffix(n int) string {
	return map[int]string{1: "", 2: ".v2", 4: ".v4"}[n]
}

// vectorOperand is v, or its only register.
func vectorOperand(v asm.Vec) any {
	if len(v) == 1 {
		return v[0]
	}
	return v
}

// storePartial stores sums of a part of k, to be added by the entry of EmitSum:
// part[slab][partM*m + partN*n], slabs of m*n sums.
func (e *emitter) storePartial(el Element) {
	at := e.partial(e.slab, el.M, el.N)
	step := e.b64("mul.wide.u32", e.par.partN, e.acc.bytes)
	for j, v := range el.Acc {
		if j > 0 {
			at = e.b64("add.s64", at, step)
		}
		e.EmitIf(el.Live[j], "st.global"+e.acc.typ, asm.At(at, 0), v)
	}
}

// partial is the address of a partial sum.
func (e *emitter) partial(slab, m, n asm.Reg) asm.Reg {
	index := e.b64("mul.wide.u32", slab, e.b32("mul.lo.u32", e.par.m, e.par.n))
	index = e.b64("add.s64", index, e.b64("mul.wide.u32", m, e.par.partM))
	index = e.b64("add.s64", index, e.b64("mul.wide.u32", n, e.par.partN))
	return e.b64("mad.lo.s64", index, e.acc.bytes, e.par.part)
}

// SumThreads is the number of threads of a block of EmitSum's entry.
const SumThreads = 256

// EmitSum emits the entry that adds the partial sums of a split product, first to
// last, and runs the epilogue on each group of that many neighbours. It serves all
// configurations. k is new, made for SumThreads threads; see Emit for the rest.
func EmitSum(k *asm.Kernel, p Problem, group int, ep Epilogue) (at int) {
	e := &emitter{Kernel: k, p: p, epilogue: ep, acc: arithmetic[p.Acc]}
	e.par, at = declare(k, p.Batch)
	i := e.b32("mad.lo.u32", e.b32("mov.u32", "%ctaid.x"), SumThreads, e.b32("mov.u32", "%tid.x"))
	groups := e.b32("div.u32", e.b32("add.u32", e.par.n, group-1), group)
	row, col := e.divide(i, groups)
	z, m := e.divide(row, e.par.m)
	out := e.NewLabel()
	e.EmitIf(e.pred("setp.ge.u32", z, e.par.batches), "bra", out)
	el := Element{M: m, N: e.b32("mul.lo.u32", col, group), Acc: e.zeros(group)}
	el.Batch, el.Live = e.indices(z), e.live(el.N, group)
	e.addPartials(z, el)
	e.epilogue(e.Kernel, el)
	e.Place(out)
	return at
}

// addPartials adds the parts of an element's sums.
func (e *emitter) addPartials(z asm.Reg, el Element) {
	at := e.partial(z, el.M, el.N)
	step := e.b64("mul.wide.u32", e.par.partN, e.acc.bytes)
	size := e.b32("mul.lo.u32", e.par.m, e.par.n)
	next := e.b64("mul.lo.s64", e.b64("mul.wide.u32", size, e.par.batches), e.acc.bytes)
	parts := e.zeros(len(el.Acc))
	e.count(e.par.splits, func(asm.Reg) {
		from := at
		for j := range el.Acc {
			if j > 0 {
				from = e.b64("add.s64", from, step)
			}
			e.EmitIf(el.Live[j], "ld.global"+e.acc.typ, parts[j], asm.At(from, 0))
			e.Set(el.Acc[j], e.acc.add, el.Acc[j], parts[j])
		}
		e.Set(at, "add.s64", at, next)
	})
}

// count runs body n times; n is a B32, uniform in the block. left counts down to 1.
func (e *emitter) count(n asm.Reg, body func(left asm.Reg)) {
	i := e.b32("mov.b32", n)
	loop, done := e.NewLabel(), e.NewLabel()
	e.EmitIf(e.pred("setp.eq.u32", i, 0), "bra", done)
	e.Place(loop)
	body(i)
	e.Set(i, "add.s32", i, -1)
	e.EmitIf(e.pred("setp.ne.u32", i, 0), "bra", loop)
	e.Place(done)
}
