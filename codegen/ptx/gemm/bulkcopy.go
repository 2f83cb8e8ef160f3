package gemm

import (
	"fmt"
	"strings"

	"jitc/codegen/ptx/asm"
	"jitc/codegen/ptx/tensormap"
)

// mapNames are the parameters of the tensor maps of A and B.
var mapNames = [2]string{"g_amap", "g_bmap"}

// declareMaps declares the tensor maps of both operands, and returns their place.
func (e *emitter) declareMaps() (at int) {
	at = e.ParamBlock(mapNames[0], tensormap.Bytes, tensormap.Align).Offset
	e.ParamBlock(mapNames[1], tensormap.Bytes, tensormap.Align)
	return at
}

// bulkCopies bring an operand's tiles of k to shared memory, as boxes of rowBytes
// along the contiguous axis:
//
//	by k    one box: all rows of the tile, 64 of k
//	by mn   boxes of 64 rows and 64 of k, one behind the other
//
// A copy always brings the whole box: what lies outside of the operand is zeros.
type bulkCopies struct {
	*bulkProduct
	layout
	operand int     // 0 for A, 1 for B
	offset  int     // of the tile in a stage
	tensor  asm.Reg // B64, address of the map
	op      string
	row     asm.Reg  // B32, the first of the tile
	batch   []string // coordinates along the batch axes, from the last one on
}

// newBulkCopies prepares the copies of tiles that lie in shared memory like that.
func (g *bulkProduct) newBulkCopies(operand int, l layout, offset int) *bulkCopies {
	c := &bulkCopies{bulkProduct: g, layout: l, operand: operand, offset: offset}
	c.op = fmt.Sprintf("cp.async.bulk.tensor.%dd.shared::cluster.global.tile.mbarrier::complete_tx::bytes", 2+g.p.Batch)
	c.tensor = g.b64("cvta.param.u64", g.b64("mov.b64", mapNames[operand]))
	g.Emit("prefetch.tensormap", asm.At(c.tensor, 0))
	return c
}

// locate points the copies at the tile of C that begins at a row. Along an axis
// without a stride, of one operand for all, the map has one index.
func (c *bulkCopies) locate(row asm.Reg) {
	c.row, c.batch = row, nil
	for i := len(c.bulkProduct.batch) - 1; i >= 0; i-- {
		moves := c.pred("setp.ne.s64", c.par.batchStride[i][c.operand], 0)
		c.batch = append(c.batch, c.b32("selp.b32", c.bulkProduct.batch[i], 0, moves).String())
	}
}

// copy starts the copies of a tile of k to the ring's stage.
func (c *bulkCopies) copy(k asm.Reg) {
	if c.byK {
		c.box(c.offset, k, c.row)
		return
	}
	const wide = rowBytes / 2 // elements of 16 bits
	for i := range c.rows / wide {
		row := c.row
		if i > 0 {
			row = c.b32("add.u32", row, i*wide)
		}
		c.box(c.offset+i*c.bk*rowBytes, row, k)
	}
}

// box starts the copy of the box at coordinates.
func (c *bulkCopies) box(offset int, inner, outer asm.Reg) {
	at := append([]string{inner.String(), outer.String()}, c.batch...)
	from := fmt.Sprintf("[%s, {%s}]", c.tensor, strings.Join(at, ", "))
	c.Emit(c.op, asm.At(c.current, offset), from, asm.At(c.full, 0))
}
