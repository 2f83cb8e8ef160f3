package attention

import "jitc/codegen/ptx/asm"

// Where a tile has few queries, as in decoding, its last block combines the splits
// itself ("last block reduces"; the CUDA programming guide's threadFenceReduction):
//
//	block of a split    store part   bar   fence   count++   fence   bar   not the last: end
//	last block          the same                                           combine
//
// The fence before makes the stores of the whole block, which the barrier orders before
// it, visible to whoever finds the count; the fence behind keeps the loads of a last
// block behind it. It combines all splits, its own among them, in their order, as the
// second launch does, to the bit: results do not depend on who is last. The count wraps:
// the last block's increment makes it 0 again, for the next run, which must come behind
// this one.

// counterBytes is the size of a tile's count, of blocks that have stored their part.
const counterBytes = 4

// What decides between the two, in clocks, about: a second launch, two fences and an
// atomic, and until loads that are under way together have come.
const (
	clocksLaunch = 2500
	clocksJoin   = 1500
	clocksLoads  = 600
)

// joins reports whether the last block of a tile combines its splits: it has a warp for
// a few rows, one after another, where a second launch has one for each.
func (b *binding) joins() bool {
	row := clocksLoads * (1 + divUp(b.splits, b.p.splitsAtOnce()))
	rows := divUp(min(b.t.rows(b.p), b.s.Queries), b.t.warps)
	return clocksJoin+rows*row <= clocksLaunch+row
}

// join has the last block combine the splits of its rows, if there are counters.
func (s *store) join(t tile) {
	end, others := s.NewLabel(), s.NewLabel()
	count := s.long("count")
	s.EmitIf(s.Op(asm.Pred, "setp.eq.s64", count, 0), "bra", end)
	s.barrier()
	tid, flag := s.mov("%tid.x"), s.mov(asm.DynamicShared) // the tiles are not needed any more
	s.EmitIf(s.Op(asm.Pred, "setp.ne.u32", tid, 0), "bra", others)
	at, last := s.Op(asm.B64, "mad.wide.u32", s.mov("%ctaid.x"), counterBytes, count), s.sub(s.b.splits, 1)
	s.Emit("fence.acq_rel.gpu")
	before := s.Op(asm.B32, "atom.relaxed.gpu.global.inc.u32", asm.At(at, 0), last)
	s.Emit("fence.acq_rel.gpu")
	s.Emit("st.shared.b32", asm.At(flag, 0), s.Op(asm.B32, "selp.b32", 1, 0, s.Op(asm.Pred, "setp.eq.u32", before, last)))
	s.Place(others)
	s.barrier()
	is := s.Op(asm.B32, "ld.shared.b32", asm.At(flag, 0))
	s.EmitIf(s.Op(asm.Pred, "setp.eq.u32", is, 0), "bra", end)
	s.combineRows(t, tid)
	s.Place(end)
}

// combineRows has each warp combine every so many-th row of the tile.
func (s *store) combineRows(t tile, tid asm.Reg) {
	query := s.add(s.b.first, s.shr(tid, 5))
	past := s.min(s.b.queries, s.add(s.b.first, t.rows(s.p)))
	loop, end := s.NewLabel(), s.NewLabel()
	s.Place(loop)
	s.EmitUnless(s.less(query, past), "bra", end)
	s.combineRow(s.mad(s.b.flat, s.b.queries, query), query, s.b.lead, s.and(tid, 31))
	s.Set(query, "add.u32", query, t.warps)
	s.Emit("bra", loop)
	s.Place(end)
}
