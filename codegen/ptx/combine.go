package ptx

import (
	"fmt"
	"slices"

	"jitc/codegen"
	"jitc/codegen/ptx/asm"
)

// accumulator folds a value of a looping phase, one register per lane.
type accumulator struct {
	r    codegen.Reduction
	in   *codegen.Inst // a fold, as an instruction
	k    kind
	regs []asm.Reg
}

func (g *groupCode) accumulator(r codegen.Reduction, lanes int) accumulator {
	t := g.n.Insts[r.Result].Type
	in := codegen.NewInst(r.Op, t, r.Value, r.Value)
	a := accumulator{r: r, in: &in, k: kindOf(t)}
	neutral := g.constant(a.k, codegen.Neutral(r.Op, t))
	for range lanes {
		a.regs = append(a.regs, g.Op(a.k.class(), "mov."+a.k.bits(), neutral))
	}
	return a
}

// fold is x op y.
func (a *accumulator) fold(k *asm.Kernel, x, y asm.Reg) asm.Reg {
	return spelling(a.r.Op, a.k, false)(k, op{in: a.in, k: a.k, to: a.k, a: x, b: y})
}

// take folds the value of every lane.
func (a *accumulator) take(b *body) {
	for lane := range b.lanes {
		b.Set(a.regs[lane], "mov."+a.k.bits(), a.fold(b.Kernel, a.regs[lane], b.value(a.r.Value, lane)))
	}
}

// takeIf folds the value of every lane where a predicate holds; none: always.
func (a *accumulator) takeIf(b *body, p asm.Reg) {
	if p.IsNone() {
		a.take(b)
		return
	}
	for lane := range b.lanes {
		old := a.regs[lane]
		r := choose(b.Kernel, op{to: a.k, a: p, b: a.fold(b.Kernel, old, b.value(a.r.Value, lane)), c: old})
		b.Set(old, "mov."+a.k.bits(), r)
	}
}

// total folds the lanes, pairwise.
func (a *accumulator) total(k *asm.Kernel) asm.Reg {
	for n := len(a.regs); n > 1; n /= 2 {
		for i := range n / 2 {
			a.regs[i] = a.fold(k, a.regs[i], a.regs[i+n/2])
		}
	}
	return a.regs[0]
}

// combine folds accumulators over the ranks of the group, always in the same
// order, and defines their results.
func (g *groupCode) combine(accs []accumulator) {
	if len(accs) == 0 {
		return
	}
	sums := make([]asm.Reg, len(accs))
	for i := range accs {
		r := accs[i].total(g.Kernel)
		if accs[i].k == kBool { // predicates cannot be exchanged
			r = g.Op(asm.B32, "selp.b32", 1, 0, r)
			accs[i].k, accs[i].in = kU32, &codegen.Inst{Op: accs[i].r.Op}
		}
		sums[i] = g.Op(accs[i].k.class(), "mov."+accs[i].k.bits(), r)
	}
	switch {
	case g.role == final:
		g.addParts(accs, sums)
		g.combineColumns(accs, sums)
	case g.split < 0: // one rank
	case g.columns:
		g.combineColumns(accs, sums)
	default:
		g.combineRows(accs, sums)
	}
	if g.role == partial {
		g.keepSums(accs, sums)
		return
	}
	for i, a := range accs {
		if g.n.Insts[a.r.Result].Type == kinds[kBool].dtype {
			sums[i] = g.Op(asm.Pred, "setp.ne.u32", sums[i], 0)
		}
		g.vals[a.r.Result] = []asm.Reg{sums[i]}
	}
	g.combined++
}

// combineRows folds over neighbouring lanes by exchanges, then, if the group is
// more than a warp, over its warps through shared memory.
func (g *groupCode) combineRows(accs []accumulator, sums []asm.Reg) {
	done := g.NewLabel()
	for d := 1; d < 32; d *= 2 {
		g.EmitIf(g.Op(asm.Pred, "setp.le.u32", g.ranks, d), "bra.uni", done)
		g.exchange(accs, sums, d)
	}
	g.EmitIf(g.Op(asm.Pred, "setp.le.u32", g.ranks, 32), "bra.uni", done)
	first := g.Op(asm.Pred, "setp.eq.u32", g.lane, 0)
	for i := range accs {
		g.EmitIf(first, "st.shared."+accs[i].k.bits(), g.slot(i, g.warp, slotBytes), sums[i])
	}
	g.Emit("bar.sync", 0)
	warps := g.Op(asm.B32, "shr.u32", g.ranks, 5)
	has := g.Op(asm.Pred, "setp.lt.u32", g.lane, warps)
	from := g.Op(asm.B32, "sub.u32", g.warp, g.Op(asm.B32, "shr.u32", g.rank, 5)) // the group's first warp
	from = g.Op(asm.B32, "add.u32", from, g.lane)
	for i, a := range accs {
		g.Set(sums[i], "mov."+a.k.bits(), a.neutral(g))
		g.EmitIf(has, "ld.shared."+a.k.bits(), sums[i], g.slot(i, from, slotBytes))
	}
	for d := 16; d > 0; d /= 2 {
		g.exchange(accs, sums, d)
	}
	g.Place(done)
}

// neutral is the neutral value in the type that is exchanged.
func (a *accumulator) neutral(g *groupCode) asm.Reg {
	return g.constant(a.k, codegen.Neutral(a.r.Op, g.n.Insts[a.r.Result].Type))
}

// exchange folds each sum with that of the lane whose number differs in bit d.
func (g *groupCode) exchange(accs []accumulator, sums []asm.Reg, d int) {
	for i, a := range accs {
		other := g.exchanged(sums[i], d)
		g.Set(sums[i], "mov."+a.k.bits(), a.fold(g.Kernel, sums[i], other))
	}
}

func (g *groupCode) exchanged(r asm.Reg, d int) asm.Reg {
	const all = "0xFFFFFFFF"
	if r.Class().Bytes() == 4 {
		w := r
		if r.Class() != asm.B32 {
			w = g.Op(asm.B32, "mov.b32", r)
		}
		w = g.Op(asm.B32, "shfl.sync.bfly.b32", w, d, 31, all)
		if r.Class() != asm.B32 {
			w = g.Op(r.Class(), "mov.b32", w)
		}
		return w
	}
	halves := g.Regs(asm.B32, 2)
	g.Emit("mov.b64", halves, r)
	for i, h := range halves {
		halves[i] = g.Op(asm.B32, "shfl.sync.bfly.b32", h, d, 31, all)
	}
	return g.Op(r.Class(), "mov.b64", halves)
}

// slotBytes is the room for a value in shared memory; narrow ones of columns lie
// closer together.
const slotBytes = 8

// slot is the place in shared memory of value number at of the i-th reduction of a
// phase. Phases use two sets of slots in turn: what the one before last left has
// been read by all when a thread has passed the last one's barrier.
//
//	dynamic shared memory: set 0: reduction 0, 1, ... | set 1 | row buffers
func (g *groupCode) slot(i int, at asm.Reg, bytes int) asm.Addr {
	base := g.pooled("dynamic shared", func() asm.Reg { return g.Op(asm.B32, "mov.u32", asm.DynamicShared) })
	set := g.combined%2*g.folds + i
	if set > 0 {
		size := g.param(asm.B32, "slots of a reduction", func(f *frame) int64 { return f.group.slots * slotBytes })
		base = g.Op(asm.B32, "mad.lo.u32", size, set, base)
	}
	return asm.At(g.Op(asm.B32, "mad.lo.u32", at, bytes, base), 0)
}

// combineColumns folds over the lanes of a point, where it has several, by
// exchanges, then over its warps through shared memory.
func (g *groupCode) combineColumns(accs []accumulator, sums []asm.Reg) {
	points := g.Op(asm.B32, "shl.b32", g.constant(kU32, 1), g.param(asm.B32, "log points of a warp", func(f *frame) int64 { return int64(f.group.lanes) }))
	for d := 1; d < 32; d *= 2 {
		skip := g.NewLabel()
		g.EmitIf(g.Op(asm.Pred, "setp.gt.u32", points, d), "bra.uni", skip)
		g.exchange(accs, sums, d)
		g.Place(skip)
	}
	done := g.NewLabel()
	g.EmitIf(g.Op(asm.Pred, "setp.le.u32", g.warps, 1), "bra.uni", done)
	mine := g.Op(asm.B32, "mad.lo.u32", g.warp, 32, g.lane)
	for i := range accs {
		g.Emit("st.shared."+accs[i].k.bits(), g.slot(i, mine, kinds[accs[i].k].size), sums[i])
	}
	g.Emit("bar.sync", 0)
	top := g.Op(asm.B32, "and.b32", g.warp, g.Op(asm.B32, "neg.s32", g.warps)) // the group's first warp
	for i := range accs {
		a := &accs[i]
		size := kinds[a.k].size
		at := g.slot(i, g.Op(asm.B32, "mad.lo.u32", top, 32, g.lane), size).Base.(asm.Reg)
		g.Set(sums[i], "mov."+a.k.bits(), a.neutral(g))
		t := g.Op(asm.B32, "mov.u32", 0)
		head := g.NewLabel()
		g.Place(head)
		x := g.Op(a.k.class(), "ld.shared."+a.k.bits(), asm.At(at, 0))
		g.Set(sums[i], "mov."+a.k.bits(), a.fold(g.Kernel, sums[i], x))
		g.Set(at, "add.u32", at, 32*size)
		g.Set(t, "add.u32", t, 1)
		g.EmitIf(g.Op(asm.Pred, "setp.lt.u32", t, g.warps), "bra.uni", head)
	}
	g.Place(done)
}

// access is the address of an access at the first point: of a row buffer in the
// group's own memory.
func (g *groupCode) access(acc int) asm.Reg {
	a := &g.n.Accs[acc]
	row := slices.Index(g.rows, a.Buf)
	switch {
	case row < 0:
		return g.base(acc)
	case g.held != nil || g.staged != nil: // it has no memory
		return asm.Reg{}
	}
	size := int64(g.c.kernel.Bufs[a.Buf].DType.Size())
	own := g.rowMemory()
	off := g.param(asm.B64, fmt.Sprint("row ", row, " ", a.Offset.Key()), func(f *frame) int64 {
		return f.group.rowAt[row] + f.nest.Accs[acc].Offset*size
	})
	return g.Op(asm.B64, "add.s64", own, off)
}

// rowMemory is where the row buffers of the thread's group begin.
func (g *groupCode) rowMemory() asm.Reg {
	pitch := g.param(asm.B32, "row bytes", func(f *frame) int64 { return f.group.rowBytes })
	if !g.scratch {
		slots := g.param(asm.B64, "bytes of slots", func(f *frame) int64 { return f.group.slotBytes })
		base := g.Op(asm.B64, "add.s64", g.Op(asm.B64, "mov.u64", asm.DynamicShared), slots)
		return g.Op(asm.B64, "mad.wide.u32", g.group, pitch, base)
	}
	base := g.pointer("rows", func(f *frame) Pointer { return Pointer{Buf: Scratch, Offset: f.group.rows} })
	perBlock := g.param(asm.B32, "groups per block", func(f *frame) int64 { return f.group.perBlock })
	own := g.Op(asm.B32, "mad.lo.u32", g.Op(asm.B32, "mov.u32", "%ctaid.x"), perBlock, g.group)
	return g.Op(asm.B64, "mad.lo.s64", g.Op(asm.B64, "cvt.u64.u32", own), g.Op(asm.B64, "cvt.u64.u32", pitch), base)
}
