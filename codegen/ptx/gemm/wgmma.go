package gemm

import (
	"fmt"

	"jitc/codegen/ptx/asm"
	"jitc/ir/tensor"
)

// wgmmaTypes are the operand types of wgmma that the template takes.
var wgmmaTypes = map[tensor.DType]string{tensor.BF16: "bf16", tensor.F16: "f16"}

// warpGroups reports whether wgmma multiplies the operands.
func (p Problem) warpGroups(arch int) bool {
	_, ok := wgmmaTypes[p.A]
	return p.Wgmma && arch == 90 && ok && p.tensorCores() &&
		p.AContract != Strided && p.BContract != Strided
}

// A warp group, and the rows that one instruction of it multiplies.
const (
	groupWarps   = 4
	groupThreads = 32 * groupWarps
	groupRows    = 64
)

// rowBlocks is the number of blocks of groupRows rows of a tile that a group has.
func (c Config) rowBlocks() int {
	if c.PingPong {
		return c.BM / groupRows
	}
	return c.BM / groupRows * groupWarps / c.WM
}

// groupSums are the sums of a warp group, which multiplies blocks of rows of the tile
// by all of its columns, both from shared memory.
type groupSums struct {
	*emitter
	row   asm.Reg      // B32, the group's first in the tile
	sums  asm.Vec      // of a block of rows, then of the next
	left  groupOperand // of A
	right groupOperand // of B
}

// newGroupSums prepares the products of this thread's group. A stage holds a tile of
// A, then one of B.
func (e *emitter) newGroupSums() *groupSums {
	g := &groupSums{emitter: e, row: e.b32("mov.b32", 0)}
	if !e.c.PingPong {
		g.row = e.b32("mul.lo.u32", e.group(), e.c.rowBlocks()*groupRows)
	}
	l := e.c.layoutOf(e.c.BM, e.p.A, e.p.AContract)
	g.left = e.newGroupOperand(l, g.row, 0)
	g.right = e.newGroupOperand(e.c.layoutOf(e.c.BN, e.p.B, e.p.BContract), e.b32("mov.b32", 0), l.bytes())
	return g
}

// group is the number of the thread's warp group, by a shuffle, so that the assembler
// sees that it is the warp's: descriptors made of it need no copies from registers of
// threads.
func (e *emitter) group() asm.Reg {
	return e.b32("shr.u32", e.b32("shfl.sync.idx.b32", e.warp, 0, 31, -1), 2)
}

// groupProduct is the warp-group template's state.
type groupProduct struct {
	*groupSums
	la, lb *loader
	stage  int // bytes
}

// groupOperand is what the descriptors of an operand are made of (PTX ISA,
// "Asynchronous warpgroup level matrix shared memory layout"; 128-byte swizzle,
// which is that of layout). In bytes:
//
//	            by k                          by mn
//	strides     1024: 8 rows on               1024: 8 of k on
//	            -                             BK*128: 64 rows on
//	16 of k     32                            2048
//	64 rows     8192                          BK*128, which is 8192
type groupOperand struct {
	first     asm.Reg // B32, place in a stage of the group's rows
	fixed     uint64  // the descriptor, all but the address
	step      int     // bytes from 16 of k to the next
	transpose int     // by mn
}

// Descriptor fields.
const (
	descLeading    = 16      // position of the leading dimension's stride, in 16 bytes
	descStride     = 32      // position of the other one
	descSwizzle128 = 1 << 62 // 128-byte swizzle
)

// newGroupOperand describes an operand whose tiles lie like that from that offset of a
// stage on, row being the group's first.
func (e *emitter) newGroupOperand(l layout, row asm.Reg, offset int) groupOperand {
	const eight = 8 * rowBytes
	if l.byK {
		return groupOperand{e.b32("mad.lo.u32", row, rowBytes, offset),
			descSwizzle128 | 1<<descLeading | eight/16<<descStride, 32, 0}
	}
	block := uint64(l.bk * rowBytes)
	first := e.b32("mad.lo.u32", e.b32("shr.u32", row, 6), l.bk*rowBytes, offset)
	return groupOperand{first, descSwizzle128 | block/16<<descLeading | eight/16<<descStride, 2 * eight, 1}
}

// warpGroup emits the warp-group template.
func (e *emitter) warpGroup() {
	g := &groupProduct{groupSums: e.newGroupSums(), stage: e.c.stageBytes(e.p)}
	g.la, g.lb = e.newLoader(&e.a, 0), e.newLoader(&e.b, e.c.layoutOf(e.c.BM, e.p.A, e.a.major).bytes())
	g.sums = e.zeros(e.c.BN / 2)
	g.loop()
	g.store()
	e.tail(1)
}

// loop keeps Stages-2 tiles on their way, and a product in the making: that of tile
// t is started while that of t-1 runs. Tile t+Stages-2 goes where t-2 was, whose
// product every warp has waited for before the barrier.
func (g *groupProduct) loop() {
	issue := func(stage asm.Reg) {
		g.la.async(stage)
		g.lb.async(stage)
		g.Emit("cp.async.commit_group")
	}
	early := g.c.Stages - 2
	for s := range early {
		issue(g.b32("add.u32", g.shared, s*g.stage))
	}
	read, write := g.b32("mov.b32", g.shared), g.b32("add.u32", g.shared, early*g.stage)
	end := g.b32("add.u32", g.shared, g.c.Stages*g.stage)
	g.Emit("wgmma.fence.sync.aligned")
	g.count(g.tiles, func(asm.Reg) {
		g.Emit("cp.async.wait_group", early-1)
		g.Emit("fence.proxy.async.shared::cta")
		g.Emit("bar.sync", 0)
		issue(write)
		g.multiply(read, 1)
		g.Emit("wgmma.wait_group.sync.aligned", 1)
		for _, r := range []asm.Reg{read, write} {
			g.Set(r, "add.u32", r, g.stage)
			g.Set(r, "selp.b32", g.shared, r, g.pred("setp.eq.u32", r, end))
		}
	})
	g.Emit("wgmma.wait_group.sync.aligned", 0)
	g.Emit("cp.async.wait_group", 0)
	g.Emit("bar.sync", 0)
}

// multiply starts adding the product of the tiles of a stage to the sums, or, where
// the predicate add does not hold, to zero; 1 always adds.
func (g *groupSums) multiply(stage asm.Reg, add any) {
	t := wgmmaTypes[g.p.A]
	op := fmt.Sprintf("wgmma.mma_async.sync.aligned.m64n%dk16.f32.%s.%s", g.c.BN, t, t)
	a, b := g.descriptor(g.left, stage), g.descriptor(g.right, stage)
	g.Emit("wgmma.fence.sync.aligned")
	for s := range g.c.BK / 16 {
		if s > 0 {
			a = g.b64("add.s64", a, g.left.step/16)
			b = g.b64("add.s64", b, g.right.step/16)
		}
		for r := range g.c.rowBlocks() {
			from, n := a, g.c.BN/2
			if r > 0 {
				from = g.b64("add.s64", a, r*groupRows*rowBytes/16)
			}
			g.Emit(op, g.sums[r*n:(r+1)*n], from, b, add, 1, 1, g.left.transpose, g.right.transpose)
		}
		add = 1
	}
	g.Emit("wgmma.commit_group.sync.aligned")
}

// descriptor describes an operand's tile of a stage.
func (g *groupSums) descriptor(o groupOperand, stage asm.Reg) asm.Reg {
	at := g.b32("add.u32", stage, o.first)
	at = g.b32("shr.u32", g.b32("and.b32", at, 0x3ffff), 4)
	return g.b64("or.b64", g.b64("cvt.u64.u32", at), fmt.Sprintf("0x%016X", o.fixed))
}

// store stages the sums, which lie as those of mma do: a warp has 16 of the group's
// rows.
func (g *groupProduct) store() {
	row := g.b32("mad.lo.u32", g.b32("and.b32", g.warp, 3), 16, g.row)
	row = g.b32("add.u32", row, g.b32("shr.u32", g.lane, 2))
	at := g.stageAt(row, g.b32("shl.b32", g.b32("and.b32", g.lane, 3), 1))
	for j := 0; j < len(g.sums); j += 4 {
		for h := range 2 {
			offset := 8*h*g.c.stagingPitch() + 2*j
			g.Emit("st.shared.v2.f32", asm.At(at, 4*offset), g.sums[j+2*h:j+2*h+2])
		}
	}
}
