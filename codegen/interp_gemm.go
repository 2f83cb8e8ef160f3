package codegen

import (
	"jitc/ir/tensor"
)

// Tile sizes of interpreted products: a tile of C, a panel of A and one of B
// together stay within a second-level cache.
const (
	tileRows  = 32
	tileCols  = 128
	tileDepth = 128
)

// gemmPlan interprets a matrix product tile by tile: for every tile of C, panels
// of A and B are widened to the accumulation type, multiplied, and the epilogue
// runs over the finished tile.
type gemmPlan struct {
	m        *Machine
	b        *BoundGemm
	epilogue *nestPlan
	box      Box // of the current tile
	tile     []byte
	a, bb    panel
	multiply func(g *gemmPlan, rows, cols, depth int)
}

// panel is a block of a matrix operand in the accumulation type, one lane block
// per row.
type panel struct {
	rows [][]uint64
	op   *BoundOperand
	load func(dst []uint64, n int, buf []byte, a *lanesAddr)
	addr lanesAddr
}

func newPanel(m *Machine, o *BoundOperand, rows, cols int) panel {
	p := panel{op: o, load: memoryTable[m.bound.Kernel.Bufs[o.Buf].DType].load}
	for range rows {
		p.rows = append(p.rows, make([]uint64, cols))
	}
	return p
}

// fill widens rows x cols elements of the operand from (row, col) on.
func (p *panel) fill(m *Machine, base, row, col int64, rows, cols int) {
	for r := range rows {
		p.addr = lanesAddr{off: base + (row+int64(r))*p.op.Row + col*p.op.Col, stride: p.op.Col, hi: cols}
		p.load(p.rows[r], cols, m.bufs[p.op.Buf], &p.addr)
	}
}

func newGemmPlan(m *Machine, b *BoundGemm) *gemmPlan {
	t := b.Gemm.DType
	g := &gemmPlan{m: m, b: b, tile: alignedBytes(tileRows * tileCols * int64(t.Size()))}
	m.bufs[b.Gemm.Tile] = g.tile
	g.a = newPanel(m, &b.A, tileRows, tileDepth)
	g.bb = newPanel(m, &b.B, tileDepth, tileCols)
	g.epilogue = newNestPlan(m, b.Epilogue, b.Gemm.Tile)
	g.box = NewBox(len(b.Batch) + 2)
	switch t {
	case tensor.F32:
		g.multiply = multiplyPanels[float32]
	case tensor.F64:
		g.multiply = multiplyPanels[float64]
	default:
		g.multiply = multiplyPanels[int32]
	}
	return g
}

// tileStride is the stride of the tile along an epilogue's axis: rows lie
// tileCols apart, batch axes do not count.
func (p *nestPlan) tileStride(axis int) int64 {
	switch len(p.b.Nest.Axes) - axis {
	case 1:
		return 1
	case 2:
		return tileCols
	}
	return 0
}

// run computes the part of the product that box covers: batch axes, m, n.
func (g *gemmPlan) run(box Box) {
	nb := len(g.b.Batch)
	for i := range box.Lo {
		if box.Lo[i] >= box.Hi[i] {
			return
		}
	}
	for i := range nb {
		g.box.Lo[i], g.box.Hi[i] = box.Lo[i], box.Lo[i]+1
	}
	for {
		for m := box.Lo[nb]; m < box.Hi[nb]; m += tileRows {
			g.box.Lo[nb], g.box.Hi[nb] = m, min(m+tileRows, box.Hi[nb])
			for n := box.Lo[nb+1]; n < box.Hi[nb+1]; n += tileCols {
				g.box.Lo[nb+1], g.box.Hi[nb+1] = n, min(n+tileCols, box.Hi[nb+1])
				g.runTile(nb)
			}
		}
		if !g.nextBatch(box, nb) {
			return
		}
	}
}

func (g *gemmPlan) nextBatch(box Box, nb int) bool {
	for i := nb - 1; i >= 0; i-- {
		g.box.Lo[i]++
		more := g.box.Lo[i] < box.Hi[i]
		if !more {
			g.box.Lo[i] = box.Lo[i]
		}
		g.box.Hi[i] = g.box.Lo[i] + 1
		if more {
			return true
		}
	}
	return false
}

// runTile computes one tile of C and runs the epilogue on it.
func (g *gemmPlan) runTile(nb int) {
	m, n := g.box.Lo[nb], g.box.Lo[nb+1]
	rows, cols := int(g.box.Hi[nb]-m), int(g.box.Hi[nb+1]-n)
	baseA, baseB := g.b.A.Offset, g.b.B.Offset
	for i := range nb {
		baseA += g.b.A.Batch[i] * g.box.Lo[i]
		baseB += g.b.B.Batch[i] * g.box.Lo[i]
	}
	clear(g.tile)
	for k := int64(0); k < g.b.K; k += tileDepth {
		depth := int(min(tileDepth, g.b.K-k))
		g.a.fill(g.m, baseA, m, k, rows, depth)
		g.bb.fill(g.m, baseB, k, n, depth, cols)
		g.multiply(g, rows, cols, depth)
	}
	g.epilogue.tileOff = -m*tileCols - n
	// Several products of a kernel may share one tile buffer.
	g.m.bufs[g.b.Gemm.Tile] = g.tile
	g.epilogue.run(g.box)
}

// multiplyPanels adds the product of the panels to the tile.
func multiplyPanels[T float32 | float64 | int32](g *gemmPlan, rows, cols, depth int) {
	tile := elementsOf[T](g.tile)
	for r := range rows {
		c := tile[r*tileCols : r*tileCols+cols]
		a := lanesOf[T](g.a.rows[r])
		for k := range depth {
			b, x := lanesOf[T](g.bb.rows[k])[:cols], a[k]
			for j := range c {
				c[j] += x * b[j]
			}
		}
	}
}
