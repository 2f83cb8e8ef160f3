package gemm

import "jitc/codegen/ptx/asm"

// fragments reads an operand's fragments for mma from shared memory: blocks of 16
// rows (of m or n) by one step of k, 32 bytes, each as four matrices of 8 rows by
// 16 bytes of k. The registers of a block are in mma's order:
//
//	A   rows 0-7   k low     rows 8-15  k low     rows 0-7   k high    rows 8-15  k high
//	B   rows 0-7   k low     rows 0-7   k high    rows 8-15  k low     rows 8-15  k high
type fragments struct {
	*emitter
	layout
	rowBit int       // of a matrix's number: which rows; the other bit: which k
	base   asm.Reg   // B32, in the tile, of the thread's address
	ks     []asm.Reg // B32, by k: to be added per step of k
	blocks []asm.Reg // B32, by mn: to be added per block
}

// stepsOfK is the number of steps of mma in a tile of k.
func (c Config) stepsOfK(size int) int { return c.BK * size / 32 }

// newFragments prepares the reads of the warp's rows, which begin at first, of a
// side whose tiles begin at that offset of a stage.
func (e *emitter) newFragments(s *side, first asm.Reg, rows, rowBit, offset int) *fragments {
	f := &fragments{emitter: e, layout: e.c.layoutOf(s.rows, s.dtype, s.major), rowBit: rowBit}
	if f.padded {
		f.base = e.wordAddress(f, first, offset)
		return f
	}
	line := e.b32("and.b32", e.lane, 7)
	matrix := e.b32("shr.u32", e.lane, 3)
	high := e.b32("and.b32", e.b32("shr.u32", matrix, rowBit), 1)   // rows 8-15
	deep := e.b32("and.b32", e.b32("shr.u32", matrix, 1-rowBit), 1) // k high
	if f.byK {
		row := e.b32("add.u32", e.b32("mad.lo.u32", high, 8, line), first)
		f.base = e.b32("mad.lo.u32", row, rowBytes, offset)
		for s := range e.c.stepsOfK(f.size) {
			f.ks = append(f.ks, f.swizzled(e, line, e.b32("add.u32", deep, 2*s)))
		}
		return f
	}
	f.base = e.b32("mad.lo.u32", e.b32("mad.lo.u32", deep, 8, line), rowBytes, offset)
	chunk := e.b32("add.u32", e.b32("shr.u32", first, 3), high)
	for b := range rows / 16 {
		c := e.b32("add.u32", chunk, 2*b)
		place := f.swizzled(e, line, e.b32("and.b32", c, 7))
		f.blocks = append(f.blocks, e.b32("mad.lo.u32", e.b32("shr.u32", c, 3), f.bk*rowBytes, place))
	}
	return f
}

// wordAddress is the thread's place in a padded tile: row lane/4 of the block, and
// lane%4 of k.
func (e *emitter) wordAddress(f *fragments, first asm.Reg, offset int) asm.Reg {
	row := e.b32("add.u32", e.b32("shr.u32", e.lane, 2), first)
	at := e.b32("mad.lo.u32", row, f.size, offset)
	return e.b32("mad.lo.u32", e.b32("and.b32", e.lane, 3), f.pitch(), at)
}

// read is the block of 16 rows of a step of k of the stage at a shared address.
func (f *fragments) read(stage asm.Reg, block, step int) asm.Vec {
	r := f.Regs(asm.B32, 4)
	at := f.b32("add.u32", stage, f.base)
	switch {
	case f.padded:
		for i := range r {
			high, deep := i>>f.rowBit&1, i>>(1-f.rowBit)&1
			f.Emit("ld.shared.b32", r[i], asm.At(at, (8*step+4*deep)*f.pitch()+(16*block+8*high)*f.size))
		}
	case f.byK:
		at = f.b32("add.u32", at, f.ks[step])
		f.Emit("ldmatrix.sync.aligned.m8n8.x4.shared.b16", r, asm.At(at, 16*block*rowBytes))
	default:
		at = f.b32("add.u32", at, f.blocks[block])
		f.Emit("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16", r, asm.At(at, 16*step*rowBytes))
	}
	return r
}
