package attention

import (
	"math/bits"

	"jitc/codegen/ptx/asm"
)

// copier copies tiles of rows from global to shared memory, asynchronously. The
// chunks of a row are divided among a power of two of threads, so that everything
// but the row's address is a constant:
//
//	thread t: rows t/lanes + i*perPass, chunks t%lanes + j*lanes
//
// Rows past the limit, and the padding behind the columns, become zeros.
type copier struct {
	g                    *gen
	rows, chunk, stride  int // of shared memory; bytes of a chunk and of a row
	lanes, perPass       int
	groups, whole        int // chunks of a thread in a row; how many of them all threads fill
	base, rowBytes, step asm.Reg
	row, dst             asm.Reg // the thread's first row; its place in shared memory
	partial              asm.Reg // of the group that some threads fill: whether this one does
}

// chunkBytes is the size of the copies that rows of that many bytes are made of.
func chunkBytes(align, row int) int { return min(align, 1<<bits.TrailingZeros(uint(row))) }

// copier prepares copies of tiles of rows with that many columns, padded to padded
// ones, from base with rowBytes between its rows, to shared memory at dst with stride
// bytes between rows.
func (g *gen) copier(rows, cols, padded, stride int, base, rowBytes asm.Reg, dst any) *copier {
	size := g.p.DType.Size()
	chunk := chunkBytes(g.p.align(), cols*size)
	perRow := padded * size / chunk
	c := &copier{g: g, rows: rows, chunk: chunk, stride: stride, base: base, rowBytes: rowBytes}
	c.lanes = min(1<<bits.TrailingZeros(uint(perRow)), g.Threads)
	c.groups, c.perPass = perRow/c.lanes, g.Threads/c.lanes
	full := cols * size / chunk
	c.whole = full / c.lanes

	tid := g.mov("%tid.x")
	col := g.and(tid, c.lanes-1)
	c.row = g.shr(tid, bits.TrailingZeros(uint(c.lanes)))
	if rest := full % c.lanes; rest != 0 {
		c.partial = g.less(col, rest)
	}
	offset := g.Op(asm.B32, "mul.lo.u32", col, chunk)
	c.dst = g.add(g.mad(c.row, stride, offset), dst)
	c.base = g.Op(asm.B64, "add.u64", base, g.wide(offset))
	if c.passes() > 1 {
		c.step = g.Op(asm.B64, "mul.lo.s64", rowBytes, c.perPass)
	}
	return c
}

func (c *copier) passes() int { return divUp(c.rows, c.perPass) }

// each visits the thread's chunks of a tile: body gets the pass, the chunk's number
// in it, and its offset in shared memory. It is predicated by live, if that is one.
func (c *copier) each(pass func(i int), body func(live asm.Reg, j, offset int)) {
	for i := range c.passes() {
		var live asm.Reg
		if c.perPass > c.rows { // in one pass; else rows are a multiple of it
			live = c.g.less(c.row, c.rows)
		}
		pass(i)
		for j := range c.groups {
			body(live, j, i*c.perPass*c.stride+j*c.lanes*c.chunk)
		}
	}
}

// issue starts the copy of the rows from first on, those below limit, to the stage
// at offset bytes (a register; none: 0).
func (c *copier) issue(first, limit asm.Reg, offset asm.Reg) {
	g := c.g
	row := g.add(c.row, first)
	src := g.address(c.base, row, c.rowBytes)
	dst := c.dst
	if !offset.IsNone() {
		dst = g.add(dst, offset)
	}
	op := "cp.async.ca.shared.global"
	if c.chunk == 16 {
		op = "cp.async.cg.shared.global"
	}
	var size, part asm.Reg
	c.each(func(i int) {
		if i > 0 {
			src = g.Op(asm.B64, "add.s64", src, c.step)
			row = g.add(row, c.perPass)
		}
		size = g.Op(asm.B32, "selp.b32", c.chunk, 0, g.less(row, limit))
		if !c.partial.IsNone() {
			part = g.Op(asm.B32, "selp.b32", size, 0, c.partial)
		}
	}, func(live asm.Reg, j, at int) {
		var n any = size
		switch {
		case j > c.whole || j == c.whole && c.partial.IsNone():
			n = 0
		case j == c.whole:
			n = part
		}
		g.EmitIf(live, op, asm.At(dst, at), asm.At(src, j*c.lanes*c.chunk), c.chunk, n)
	})
}

// xor changes what the thread has copied, after it has waited for that.
func (c *copier) xor(word asm.Reg) {
	typ := map[int]string{4: ".b32", 8: ".v2.b32", 16: ".v4.b32"}[c.chunk]
	c.each(func(int) {}, func(live asm.Reg, _, at int) {
		words := make(asm.Vec, c.chunk/4)
		for i := range words {
			words[i] = c.g.mov(0)
		}
		var operand any = words
		if len(words) == 1 {
			operand = words[0]
		}
		c.g.EmitIf(live, "ld.shared"+typ, operand, asm.At(c.dst, at))
		for _, w := range words {
			c.g.Set(w, "xor.b32", w, word)
		}
		c.g.EmitIf(live, "st.shared"+typ, asm.At(c.dst, at), operand)
	})
}
