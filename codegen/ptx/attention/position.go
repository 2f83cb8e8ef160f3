package attention

import (
	"math/bits"

	"jitc/codegen/ptx/asm"
)

// position is what a block works on.
type position struct {
	flat          asm.Reg    // leading index
	lead          [3]asm.Reg // the same, by axis
	first         asm.Reg    // its first query
	queries, keys asm.Reg    // numbers of them
	splits, split asm.Reg
	begin, end    asm.Reg // its tiles of keys
}

// position finds a block's place in the grid of leading indices and tiles of queries
// (x), and splits (y). With causality, tiles of late queries, which have the most
// keys, come first, so that the device is busy to the end.
func (g *gen) position(t tile) *position {
	b := &position{queries: g.word("queries"), keys: g.word("keys"), splits: g.word("splits")}
	count := g.word("querytiles")
	flat, at := g.divmod(g.mov("%ctaid.x"), count)
	rows := t.rows(g.p)
	if g.p.Causal {
		at = g.sub(g.sub(count, 1), at)
	}
	b.flat, b.lead = flat, g.leadOf(flat)
	b.first = g.Op(asm.B32, "mul.lo.u32", at, rows)
	last := b.keys
	if g.p.Causal {
		last = g.min(last, g.add(b.first, rows))
	}
	b.split = g.mov("%ctaid.y")
	per := g.word("tilespersplit")
	b.begin = g.Op(asm.B32, "mul.lo.u32", b.split, per)
	b.end = g.min(g.add(b.begin, per), g.shr(g.add(last, t.keys-1), bits.TrailingZeros(uint(t.keys))))
	return b
}

// row is a query (or key) of which a thread has scores: offset behind its first. The
// index itself is made where it is needed, to keep it out of the loop's registers.
type row struct {
	running
	first  asm.Reg
	offset int
	mask   asm.Reg // where its row of the mask begins
}

// index is the row's, which may be past the last.
func (g *gen) index(r row) asm.Reg {
	if r.offset == 0 {
		return r.first
	}
	return g.add(r.first, r.offset)
}

// maskRow is where the row of a mask begins; of rows past the last, any will do.
func (g *gen) maskRow(mask asm.Reg, r row, count asm.Reg, stride string) asm.Reg {
	return g.address(mask, g.min(g.index(r), g.sub(count, 1)), g.long(stride))
}

// newRow is the state of a query.
func (g *gen) newRow(b *position, first asm.Reg, offset int, mask asm.Reg) row {
	r := row{running: g.newRunning(), first: first, offset: offset}
	if g.p.Mask != NoMask {
		r.mask = g.maskRow(mask, r, b.queries, "maskrow")
	}
	return r
}

// masker applies masks to a thread's scores of one tile. Transposed, rows are keys
// and columns queries.
type masker struct {
	*gen
	transposed bool
	step       int // columns of a tile
	rows       []row
	offsets    []int   // columns of the thread in a tile, from its first on
	col        asm.Reg // its first
	lowest     asm.Reg // the warp's first row
	cols       asm.Reg // number of columns in all
	factor     asm.Reg
}

// apply turns products into scores: scores[i][j] is of rows[i] and offsets[j].
func (m *masker) apply(tileIndex asm.Reg, scores []asm.Vec) {
	col := m.mad(tileIndex, m.step, m.col)
	if m.p.natural() && m.p.Mask != AddMask { // which is added with the scaling
		for _, row := range scores {
			for _, s := range row {
				m.Set(s, "mul.rn.f32", s, m.factor)
			}
		}
	}
	if m.p.Mask != NoMask {
		stride := m.long(map[bool]string{false: "maskcol", true: "maskrow"}[m.transposed])
		for j, off := range m.offsets {
			at := m.add(col, off)
			live := m.less(at, m.cols)
			m.column(live, m.Op(asm.B64, "mul.lo.s64", m.wide(at), stride), j, scores)
		}
	}
	if m.transposed && !m.p.Causal {
		return // what is computed of queries past the last is multiplied by zeros
	}
	m.skipIf(m.whole(tileIndex), func() { m.limit(col, scores) })
}

// whole is whether all of the warp's rows attend to all columns of a tile.
func (m *masker) whole(tileIndex asm.Reg) asm.Reg {
	if m.transposed {
		first := m.Op(asm.B32, "mul.lo.u32", tileIndex, m.step)
		return m.Op(asm.Pred, "setp.ge.u32", first, m.add(m.lowest, 15))
	}
	end := m.mad(tileIndex, m.step, m.step)
	limit := m.cols
	if m.p.Causal {
		limit = m.min(limit, m.add(m.lowest, 1))
	}
	return m.Op(asm.Pred, "setp.le.u32", end, limit)
}

// column applies one column of the mask.
func (m *masker) column(live, offset asm.Reg, j int, scores []asm.Vec) {
	for i, r := range m.rows {
		at := asm.At(m.Op(asm.B64, "add.s64", r.mask, offset), 0)
		s := scores[i][j]
		if m.p.Mask == AddMask {
			m.Set(s, "fma.rn.f32", s, m.factor, m.loadElement(live, at))
			continue
		}
		keep := m.mov(1)
		m.EmitIf(live, "ld.global.nc.u8", keep, at)
		m.EmitIf(m.Op(asm.Pred, "setp.eq.u32", keep, 0), "mov.f32", s, negInf)
	}
}

// limit drops keys past the last, and with causality those past the query.
func (m *masker) limit(col asm.Reg, scores []asm.Vec) {
	drop := "setp.le.s32" // columns from the limit on
	if m.transposed {
		drop = "setp.gt.s32" // columns before it
	}
	for i, r := range m.rows {
		limit := m.cols
		switch {
		case m.transposed:
			limit = m.index(r)
		case m.p.Causal:
			limit = m.min(m.cols, m.add(m.index(r), 1))
		}
		left := m.sub(limit, col)
		for j, off := range m.offsets {
			m.EmitIf(m.Op(asm.Pred, drop, left, off), "mov.f32", scores[i][j], negInf)
		}
	}
}
