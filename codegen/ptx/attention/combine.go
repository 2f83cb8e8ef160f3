package attention

import "jitc/codegen/ptx/asm"

// combineWarps is the number of rows of a block that combines.
const combineWarps = 4

// emitCombine is the second launch of split keys. A warp takes a row.
func emitCombine(p Problem) *asm.Kernel {
	g := newGen(EntryCombine, p, 32*combineWarps, forwardParams)
	tid, queries := g.mov("%tid.x"), g.word("queries")
	index := g.mad(g.mov("%ctaid.x"), combineWarps, g.shr(tid, 5))
	g.SkipUnless(g.less(index, g.Op(asm.B32, "mul.lo.u32", queries, g.word("lead"))), func() {
		flat, query := g.divmod(index, queries)
		g.combineRow(index, query, g.leadOf(flat), g.and(tid, 31))
	})
	return g.Kernel
}

// combineRow has a warp combine the splits of a row, index among all of them: with m,
// the greatest maximum, o = sum of exp(m[s]-m) part[s] / sum of exp(m[s]-m) sum[s].
func (g *gen) combineRow(index, query asm.Reg, lead [3]asm.Reg, lane asm.Reg) {
	splits := g.word("splits")
	total, acc := g.combine(g.Op(asm.B64, "mul.wide.u32", index, splits), splits, lane)
	inverse := g.inverse(total.sum, g.word("keys"))
	size := g.p.DType.Size()
	at := g.address(g.operand("o", lead), query, g.long("orow"))
	at = g.Op(asm.B64, "mad.wide.u32", lane, size, at)
	for i, x := range acc {
		g.storeElement(g.column(lane, i), asm.At(at, 32*i*size), g.mul(x, inverse))
	}
	if g.p.Stats {
		at := g.Op(asm.B64, "mad.wide.u32", index, 4, g.long("stats"))
		g.EmitIf(g.Op(asm.Pred, "setp.eq.u32", lane, 0), "st.global.f32", asm.At(at, 0), g.logSum(total))
	}
}

// column is whether the lane's i-th column is one; none where that is so of all lanes.
func (g *gen) column(lane asm.Reg, i int) asm.Reg {
	if 32*(i+1) <= g.p.ValueDim {
		return asm.Reg{}
	}
	return g.less(lane, g.p.ValueDim-32*i)
}

// combine adds up the splits of the row whose first is that one, first to last; lane
// has columns lane, lane+32, ...
func (g *gen) combine(first, splits, lane asm.Reg) (running, asm.Vec) {
	sums := g.Op(asm.B64, "mad.lo.u64", first, g.Op(asm.B64, "mov.b64", 8), g.long("sums"))
	r := g.newRunning()
	g.greatest(r, sums, splits, lane)
	negated := g.negated(r.max)
	row := 4 * g.p.partCols()
	part := g.Op(asm.B64, "mad.lo.u64", first, g.Op(asm.B64, "mov.b64", row), g.long("part"))
	part = g.Op(asm.B64, "mad.wide.u32", lane, 4, part)
	acc := g.zeros(divUp(g.p.ValueDim, 32))
	left, loop := g.mov(splits), g.NewLabel()
	g.Place(loop)
	var found []asm.Vec
	n := g.p.splitsAtOnce()
	for range n {
		found = append(found, g.loadSplit(g.Op(asm.Pred, "setp.gt.s32", left, len(found)), sums, part, lane, len(acc)))
		g.Set(sums, "add.u64", sums, 8)
		g.Set(part, "add.u64", part, row)
	}
	for i, split := range found {
		there := g.Op(asm.Pred, "setp.gt.s32", left, i)
		w := g.weight(split[0], negated)
		for j, x := range append(asm.Vec{r.sum}, acc...) {
			g.EmitIf(there, "fma.rn.f32", x, w, split[1+j], x)
		}
	}
	g.Set(left, "add.s32", left, -n)
	g.EmitIf(g.Op(asm.Pred, "setp.gt.s32", left, 0), "bra", loop)
	return r, acc
}

// splitsAtOnce is the number of splits whose loads are under way together.
func (p Problem) splitsAtOnce() int { return min(8, 32/divUp(p.ValueDim, 32)) }

// greatest finds the greatest maximum of splits, which the lanes share.
func (g *gen) greatest(r running, sums, splits, lane asm.Reg) {
	s, next, done := g.mov(lane), g.NewLabel(), g.NewLabel()
	at := g.Op(asm.B64, "mad.wide.u32", lane, 8, sums)
	g.Place(next)
	g.EmitUnless(g.less(s, splits), "bra", done)
	g.Set(r.max, "max.f32", r.max, g.Op(asm.F32, "ld.global.f32", asm.At(at, 0)))
	g.Set(at, "add.u64", at, 8*32)
	g.Set(s, "add.u32", s, 32)
	g.Emit("bra", next)
	g.Place(done)
	g.Emit("bar.warp.sync", -1)
	g.Set(r.max, "mov.f32", g.fold("max.f32", r.max, []int{1, 2, 4, 8, 16}))
}

// loadSplit loads a split, if it is there: its maximum, its sum, and the lane's columns.
func (g *gen) loadSplit(there, sums, part, lane asm.Reg, columns int) asm.Vec {
	v := g.zeros(2 + columns)
	g.EmitIf(there, "ld.global.v2.f32", v[:2], asm.At(sums, 0))
	for i, x := range v[2:] {
		p := there
		if c := g.column(lane, i); !c.IsNone() {
			p = g.Op(asm.Pred, "and.pred", there, c)
		}
		g.EmitIf(p, "ld.global.f32", x, asm.At(part, 128*i))
	}
	return v
}
