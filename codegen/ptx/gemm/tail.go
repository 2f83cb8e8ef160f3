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

// ending is the state of tail: a group of neighbours at a time.
type ending struct {
	*emitter
	slabs, group int
	row, col     asm.Reg // B32, of the group, in the tile
	sums         asm.Vec
	whole        asm.Reg // Pred, k is not split
	joining      asm.Reg // B32, 1 where the sums are those of all parts, in memory
}

// tail hands the staged sums of the tile, the sum over slabs of them, to the
// epilogue, or stores them if there is more to be added: the last block of the tile,
// or a second launch, adds the parts. The tile's rows lie stagingPitch apart, slabs BM
// rows. It waits for all threads first.
//
//	thread      0    1    2   ...
//	row 0    [0..3][4..7][...]        neighbours: vector loads and stores, whole sectors
//
// A last block goes through the groups a second time, so that there is one epilogue:
//
//	1st   staged sums -> epilogue, where k is not split; else -> memory
//	2nd   sums of all parts, from memory -> epilogue
func (e *emitter) tail(slabs int) {
	e.Emit("bar.sync", 0)
	t := &ending{emitter: e, slabs: slabs, group: e.c.group(), joining: e.b32("mov.b32", 0)}
	t.whole = e.pred("setp.le.u32", e.par.splits, 1)
	perRow := e.c.BN / t.group
	shift := bits.TrailingZeros(uint(perRow))
	rows := e.b32("min.u32", e.b32("sub.u32", e.par.m, e.a.first), e.c.BM)
	end := e.b32("shl.b32", rows, shift)
	i := e.b32("mov.b32", e.tid)
	loop, done, out := e.NewLabel(), e.NewLabel(), e.NewLabel()
	e.Place(loop)
	e.EmitIf(e.pred("setp.ge.u32", i, end), "bra", done)
	t.row = e.b32("shr.u32", i, shift)
	t.col = e.b32("mul.lo.u32", e.b32("and.b32", i, perRow-1), t.group)
	t.end()
	e.Set(i, "add.u32", i, e.c.Threads())
	e.Emit("bra", loop)
	e.Place(done)
	e.EmitIf(t.whole, "bra", out)
	e.EmitIf(e.pred("setp.eq.s64", e.par.count, 0), "bra", out)
	e.EmitIf(e.pred("setp.ne.u32", t.joining, 0), "bra", out)
	e.Set(t.joining, "mov.b32", t.last())
	e.Set(i, "mov.b32", e.tid)
	e.EmitIf(e.pred("setp.ne.u32", t.joining, 0), "bra", loop)
	e.Place(out)
}

// end ends a group.
func (t *ending) end() {
	el := Element{Batch: t.batch, M: t.b32("add.u32", t.a.first, t.row), N: t.b32("add.u32", t.b.first, t.col)}
	el.Live = t.live(el.N, t.group)
	join, whole, next, apart := t.NewLabel(), t.NewLabel(), t.NewLabel(), t.NewLabel()
	t.sums = t.Regs(t.acc.class, t.group)
	el.Acc = t.sums
	t.EmitIf(t.pred("setp.ne.u32", t.joining, 0), "bra", join)
	t.staged()
	t.EmitIf(t.whole, "bra", whole)
	t.EmitIf(t.pred("setp.eq.s64", t.par.count, 0), "bra", apart)
	t.keep()
	t.Emit("bra", next)
	t.Place(apart)
	t.storePartial(el)
	t.Emit("bra", next)
	t.Place(join)
	t.addParts()
	t.Place(whole)
	t.epilogue(t.Kernel, el)
	t.Place(next)
}

// staged adds up the slabs of a group.
func (t *ending) staged() {
	from := t.stageAt(t.row, t.col)
	t.loadStagedTo(t.sums, from, 0)
	for s := 1; s < t.slabs; s++ {
		more := t.loadStaged(from, s*t.c.BM*t.c.stagingPitch()*t.acc.bytes, t.group)
		for j, x := range t.sums {
			t.Set(x, t.acc.add, x, more[j])
		}
	}
}

// finish hands a group of the tile's sums to the epilogue, or stores them if they are
// not whole: there is more to be added.
func (e *emitter) finish(whole, row, col asm.Reg, sums func() asm.Vec) {
	el := Element{Batch: e.batch, M: e.b32("add.u32", e.a.first, row), N: e.b32("add.u32", e.b.first, col)}
	el.Live = e.live(el.N, e.c.group())
	el.Acc = sums()
	next, partial := e.NewLabel(), e.NewLabel()
	e.EmitUnless(whole, "bra", partial)
	e.epilogue(e.Kernel, el)
	e.Emit("bra", next)
	e.Place(partial)
	e.storePartial(el)
	e.Place(next)
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
	e.loadStagedTo(v, from, offset)
	return v
}

func (e *emitter) loadStagedTo(v asm.Vec, from asm.Reg, offset int) {
	e.vectors(v, func(part asm.Vec, j int) {
		e.Emit("ld.shared"+vectorSuffix(len(part))+e.acc.typ, vectorOperand(part), asm.At(from, offset+j*e.acc.bytes))
	})
}

// vectors visits neighbours by as many as an access takes; j is the first.
func (e *emitter) vectors(v asm.Vec, visit func(part asm.Vec, j int)) {
	for j := 0; j < len(v); j += e.acc.vector {
		visit(v[j:min(j+e.acc.vector, len(v))], j)
	}
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
	e.sumParts(el.Acc, at, next, func(part asm.Vec, there asm.Reg) {
		from := at
		for j, x := range part {
			if j > 0 {
				from = e.b64("add.s64", from, step)
			}
			e.EmitIf(e.pred("and.pred", there, el.Live[j]), "ld.global"+e.acc.typ, x, asm.At(from, 0))
		}
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
