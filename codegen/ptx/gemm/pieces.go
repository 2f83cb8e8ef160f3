package gemm

import (
	"math/bits"

	"jitc/codegen/ptx/asm"
)

// The end of Bulk: each warp stages the sums of its 16 rows by pieces of 32 columns,
// in memory of its own, and ends a piece before it stages the next. Stages of the
// loop are not used, so that the next tile's copies may go on; other warps are not
// waited for.
//
// A piece's row is 128 bytes, all banks once, in 8 chunks of 16 bytes. Chunk c of row r
// lies at c ^ (2*(r%4) + r/4%2), so that these do not meet in a bank:
//
//	stores   rows 0-3, or 4-7, of 8 columns: chunks 2j and 2j+1
//	loads    8 lanes with a chunk each of one row, or, in groups of 8 columns, the even
//	         chunks or the odd ones of two rows, r and r+4
const (
	pieceRows  = 16
	pieceCols  = 32
	pieceBytes = pieceRows * rowBytes
)

// piece is where a warp stages sums.
type piece struct {
	*groupSums
	region asm.Reg // B32, the warp's memory, at a multiple of rowBytes
	rows   asm.Reg // B32, the warp's first row of the piece in the tile
	height asm.Reg // B32, rows from there to the end of C; negative behind it
	whole  asm.Reg // Pred, the sums are not parts
}

// pieces hands the group's sums to the epilogue. The accumulators of a piece are
// registers: there are stores for each piece, jumped to by number, and one epilogue.
func (g *groupSums) pieces() {
	p := &piece{groupSums: g}
	rows := g.b32("mad.lo.u32", g.b32("and.b32", g.warp, 3), pieceRows, g.row)
	p.region = g.b32("add.u32", g.b32("mad.lo.u32", g.warp, pieceBytes, g.shared), g.c.Stages*g.c.stageBytes(g.p))
	height := g.b32("sub.u32", g.par.m, g.a.first)
	p.whole = g.pred("setp.le.u32", g.par.splits, 1)
	width := g.b32("min.u32", g.b32("sub.u32", g.par.n, g.b.first), g.c.BN)
	write := p.at(g.b32("shr.u32", g.lane, 2), g.b32("shl.b32", g.b32("and.b32", g.lane, 3), 3))
	n := g.b32("mov.b32", 0)
	next, outside := g.NewLabel(), g.NewLabel()
	g.Place(next)
	block, col := g.divideBy(n, g.c.BN/pieceCols)
	col = g.b32("mul.lo.u32", col, pieceCols)
	p.rows = g.b32("mad.lo.u32", block, groupRows, rows)
	p.height = g.b32("sub.u32", height, p.rows)
	g.EmitIf(g.pred("setp.ge.u32", col, width), "bra", outside)
	p.stage(write, n)
	g.Emit("bar.warp.sync", -1)
	p.end(col)
	g.Emit("bar.warp.sync", -1)
	g.Place(outside)
	g.Set(n, "add.u32", n, 1)
	g.EmitIf(g.pred("setp.lt.u32", n, len(g.sums)/(pieceCols/2)), "bra", next)
}

// at is the place of a row's byte.
func (p *piece) at(row, byte asm.Reg) asm.Reg {
	swizzle := p.b32("shl.b32", p.b32("and.b32", row, 3), 5)
	swizzle = p.b32("mad.lo.u32", p.b32("and.b32", row, 4), 4, swizzle)
	return p.b32("mad.lo.u32", row, rowBytes, p.b32("add.u32", p.region, p.b32("xor.b32", byte, swizzle)))
}

// stage stages the piece of a number: those of a block of rows, then those of the
// next. In its 16 rows a thread has two neighbours of each 8 columns, and those 8 rows
// below.
func (p *piece) stage(write, number asm.Reg) {
	at := make([]asm.Reg, pieceCols/8)
	for j := range at {
		at[j] = p.b32("xor.b32", write, 32*j)
	}
	for n := range len(p.sums) / (pieceCols / 2) {
		other := p.NewLabel()
		p.EmitIf(p.pred("setp.ne.u32", number, n), "bra", other)
		for j := range at {
			v := p.sums[n*pieceCols/2+4*j:]
			p.Emit("st.shared.v2.f32", asm.At(at[j], 0), v[0:2])
			p.Emit("st.shared.v2.f32", asm.At(at[j], 8*rowBytes), v[2:4])
		}
		p.Place(other)
	}
}

// end ends the staged piece. Lanes take neighbouring groups of a row; the rows that
// they take one behind the other are 0, 4, 1, 5, 2, 6, 3, 7.
func (p *piece) end(col asm.Reg) {
	n := p.c.group()
	perRow := pieceCols / n
	i := p.b32("mov.b32", p.lane)
	loop, below := p.NewLabel(), p.NewLabel()
	p.Place(loop)
	k := p.b32("shr.u32", i, bits.TrailingZeros(uint(perRow)))
	row := p.b32("and.b32", p.b32("shr.u32", k, 1), 3)
	row = p.b32("add.u32", row, p.b32("mad.lo.u32", p.b32("and.b32", k, 1), 4, p.b32("and.b32", k, 8)))
	c := p.b32("mul.lo.u32", p.b32("and.b32", i, perRow-1), n)
	p.EmitIf(p.pred("setp.ge.s32", row, p.height), "bra", below)
	p.finish(p.whole, p.b32("add.u32", p.rows, row), p.b32("add.u32", col, c), func() asm.Vec {
		return p.load(p.at(row, p.b32("shl.b32", c, 2)))
	})
	p.Place(below)
	p.Set(i, "add.u32", i, 32)
	p.EmitIf(p.pred("setp.lt.u32", i, pieceRows*perRow), "bra", loop)
}

// load loads a group, a chunk or two or a part of one.
func (p *piece) load(at asm.Reg) asm.Vec {
	if n := p.c.group(); n <= 4 {
		return p.loadStaged(at, 0, n)
	}
	return append(p.loadStaged(at, 0, 4), p.loadStaged(p.b32("xor.b32", at, 16), 0, 4)...)
}
