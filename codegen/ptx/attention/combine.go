package attention

import "jitc/codegen/ptx/asm"

// combineWarps is the number of rows of a block that combines.
const combineWarps = 4

// emitCombine is the second launch of split keys. A warp takes a row: with m, the
// greatest maximum of its splits, o = sum of exp(m[s]-m) part[s] / sum of exp(m[s]-m) sum[s].
func emitCombine(p Problem) *asm.Kernel {
	g := newGen(EntryCombine, p, 32*combineWarps, forwardParams)
	tid, queries, splits := g.mov("%tid.x"), g.word("queries"), g.word("splits")
	lane := g.and(tid, 31)
	index := g.mad(g.mov("%ctaid.x"), combineWarps, g.shr(tid, 5))
	g.skipUnless(g.less(index, g.Op(asm.B32, "mul.lo.u32", queries, g.word("lead"))), func() {
		flat, query := g.divmod(index, queries)
		first := g.Op(asm.B64, "mul.wide.u32", index, splits)
		total, acc := g.combine(first, splits, lane)
		inverse := g.inverse(total.sum, g.word("keys"))
		at := g.address(g.operand("o", g.leadOf(flat)), query, g.long("orow"))
		at = g.Op(asm.B64, "mad.wide.u32", lane, p.DType.Size(), at)
		for i, x := range acc {
			g.storeElement(g.column(lane, i), asm.At(at, 32*i*p.DType.Size()), g.mul(x, inverse))
		}
		if p.Stats {
			at := g.Op(asm.B64, "mad.wide.u32", index, 4, g.long("stats"))
			g.EmitIf(g.Op(asm.Pred, "setp.eq.u32", lane, 0), "st.global.f32", asm.At(at, 0), g.logSum(total))
		}
	})
	return g.Kernel
}

// column is whether the lane's i-th column is one; none where that is so of all lanes.
func (g *gen) column(lane asm.Reg, i int) asm.Reg {
	if 32*(i+1) <= g.p.ValueDim {
		return asm.Reg{}
	}
	return g.less(lane, g.p.ValueDim-32*i)
}

// combine adds up the splits of the row whose first is that one; lane has columns
// lane, lane+32, ...
func (g *gen) combine(first, splits, lane asm.Reg) (running, asm.Vec) {
	sums := g.Op(asm.B64, "mov.b64", g.long("sums"))
	sums = g.Op(asm.B64, "add.u64", sums, g.Op(asm.B64, "shl.b64", first, 3))
	r := g.newRunning()
	at := g.Op(asm.B64, "mov.b64", sums)
	g.forEach(g.mov(0), splits, func() {
		g.Set(r.max, "max.f32", r.max, g.Op(asm.F32, "ld.global.f32", asm.At(at, 0)))
		g.Set(at, "add.u64", at, 8)
	})
	negated := g.negated(r.max)
	row := 4 * g.p.partCols()
	part := g.Op(asm.B64, "mad.lo.u64", first, g.Op(asm.B64, "mov.b64", row), g.long("part"))
	part = g.Op(asm.B64, "mad.wide.u32", lane, 4, part)
	acc := g.zeros(divUp(g.p.ValueDim, 32))
	g.forEach(g.mov(0), splits, func() {
		state := g.Regs(asm.F32, 2)
		g.Emit("ld.global.v2.f32", state, asm.At(sums, 0))
		w := g.weight(state[0], negated)
		g.Set(r.sum, "fma.rn.f32", w, state[1], r.sum)
		for i, x := range acc {
			v := g.constant(0)
			g.EmitIf(g.column(lane, i), "ld.global.f32", v, asm.At(part, 128*i))
			g.Set(x, "fma.rn.f32", w, v, x)
		}
		g.Set(sums, "add.u64", sums, 8)
		g.Set(part, "add.u64", part, row)
	})
	return r, acc
}
