package gemm

import "jitc/codegen/ptx/asm"

// Where the blocks of a tile end it themselves, each keeps its sums as they are in the
// tile, whose parts the last block adds ("last block reduces"; the CUDA programming
// guide's threadFenceReduction). Blocks have the numbers of place:
//
//	part     [split][batch, tile][BM][BN]     rows behind the last of C are not stored
//	count         [batch, tile]               blocks that have stored their part
//
//	block of a split    store part   bar   fence   count++   fence   bar   not the last: end
//	last block          the same                                           add parts, epilogue
//
// The fence before makes the stores of the whole block, which the barrier orders before
// it, visible to whoever finds the count; the fence behind keeps the loads of a last
// block behind it. Parts are added first to last, the block's own among them, so that
// sums do not depend on who is last: they are those of EmitSum's entry, to the bit.
//
// The count wraps: the last block's increment makes it 0 again, so that a launch leaves
// what the next one needs. Launches that share counters must run one behind the other. A
// launch that does not come to its end leaves counts that nobody may use.

const (
	counterBytes = 4
	partsAtOnce  = 8 // parts whose loads are under way together
)

// tileNumber is the block's tile among those of all batches, and the number of these.
func (e *emitter) tileNumber() (tile, tiles asm.Reg) {
	tiles = e.b32("mul.lo.u32", e.b32("mul.lo.u32", e.par.tilesM, e.par.tilesN), e.par.batches)
	return e.b32("rem.u32", e.b32("mov.u32", "%ctaid.x"), tiles), tiles
}

// tileBytes is the size of a part.
func (e *emitter) tileBytes() int { return e.c.BM * e.c.BN * e.acc.bytes }

// cell is where a group lies in a part of that number.
func (t *ending) cell(part asm.Reg) asm.Reg {
	at := t.b64("add.s64", t.par.part, t.b64("mul.wide.u32", part, t.tileBytes()))
	index := t.b32("mad.lo.u32", t.row, t.c.BN, t.col)
	return t.b64("add.s64", at, t.b64("mul.wide.u32", index, t.acc.bytes))
}

// keep stores a group of the block's part, with columns behind the last of C.
func (t *ending) keep() {
	at := t.cell(t.b32("mov.u32", "%ctaid.x"))
	t.vectors(t.sums, func(v asm.Vec, j int) {
		t.Emit("st.global"+vectorSuffix(len(v))+t.acc.typ, asm.At(at, j*t.acc.bytes), vectorOperand(v))
	})
}

// last counts the block, and is 1 if it is the last one of its tile. Staged sums are
// not needed any more.
func (t *ending) last() asm.Reg {
	others := t.NewLabel()
	t.Emit("bar.sync", 0)
	t.EmitIf(t.pred("setp.ne.u32", t.tid, 0), "bra", others)
	tile, _ := t.tileNumber()
	at := t.b64("add.s64", t.par.count, t.b64("mul.wide.u32", tile, counterBytes))
	end := t.b32("sub.u32", t.par.splits, 1)
	t.Emit("fence.acq_rel.gpu")
	before := t.b32("atom.relaxed.gpu.global.inc.u32", asm.At(at, 0), end)
	t.Emit("fence.acq_rel.gpu")
	t.Emit("st.shared.b32", asm.At(t.shared, 0), t.b32("selp.b32", 1, 0, t.pred("setp.eq.u32", before, end)))
	t.Place(others)
	t.Emit("bar.sync", 0)
	return t.b32("ld.shared.b32", asm.At(t.shared, 0))
}

// addParts adds the parts of a group.
func (t *ending) addParts() {
	tile, tiles := t.tileNumber()
	at := t.cell(tile)
	for _, x := range t.sums {
		t.Set(x, "mov"+t.acc.typ, t.acc.zero)
	}
	t.sumParts(t.sums, at, t.b64("mul.wide.u32", tiles, t.tileBytes()), func(part asm.Vec, there asm.Reg) {
		t.vectors(part, func(v asm.Vec, j int) {
			t.EmitIf(there, "ld.global"+vectorSuffix(len(v))+t.acc.typ, vectorOperand(v), asm.At(at, j*t.acc.bytes))
		})
	})
}

// sumParts adds the parts that load loads from the address at, next bytes apart, to
// sums that are zeros, first to last. Behind the last one zeros are added, which change
// nothing: a sum that began as 0 is never -0.
func (e *emitter) sumParts(sums asm.Vec, at, next asm.Reg, load func(part asm.Vec, there asm.Reg)) {
	left := e.b32("mov.b32", e.par.splits)
	loop := e.NewLabel()
	e.Place(loop)
	parts := make([]asm.Vec, 16*partsAtOnce/(e.acc.bytes*max(len(sums), 4))) // registers are not without end
	for i := range parts {
		parts[i] = e.zeros(len(sums))
		load(parts[i], e.pred("setp.gt.s32", left, i))
		e.Set(at, "add.s64", at, next)
	}
	for _, part := range parts {
		for j, x := range sums {
			e.Set(x, e.acc.add, x, part[j])
		}
	}
	e.Set(left, "add.s32", left, -len(parts))
	e.EmitIf(e.pred("setp.gt.s32", left, 0), "bra", loop)
}
