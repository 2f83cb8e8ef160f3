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

// groupProduct is the warp-group template's state: a warp group of 4 warps
// multiplies 64 rows of the tile by all of its columns, both from shared memory.
type groupProduct struct {
	*emitter
	la, lb *loader
	stage  int // bytes
	sums   asm.Vec
	a, b   groupOperand
}

// groupOperand is what the descriptors of an operand are made of (PTX ISA,
// "Asynchronous warpgroup level matrix shared memory layout"; 128-byte swizzle,
// which is that of layout). In bytes:
//
//	            by k                          by mn
//	strides     1024: 8 rows on               1024: 8 of k on
//	            -                             BK*128: 64 rows on
//	16 of k     32                            2048
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

// newGroupOperand describes an operand whose tiles begin at that offset of a stage,
// row being the group's first.
func (e *emitter) newGroupOperand(s *side, row asm.Reg, offset int) groupOperand {
	const eight = 8 * rowBytes
	l := e.c.layoutOf(s.rows, s.dtype, s.major)
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
	g := &groupProduct{emitter: e, stage: e.c.stageBytes(e.p)}
	aBytes := e.c.layoutOf(e.c.BM, e.p.A, e.a.major).bytes()
	group := e.b32("shr.u32", e.warp, 2)
	row := e.b32("shl.b32", group, 6)
	g.la, g.lb = e.newLoader(&e.a, 0), e.newLoader(&e.b, aBytes)
	g.a = e.newGroupOperand(&e.a, row, 0)
	g.b = e.newGroupOperand(&e.b, e.b32("mov.b32", 0), aBytes)
	g.sums = e.zeros(e.c.BN / 2)
	g.loop()
	g.store(row)
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
		g.multiply(read)
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

// multiply starts adding the product of the tiles of a stage.
func (g *groupProduct) multiply(stage asm.Reg) {
	t := wgmmaTypes[g.p.A]
	op := fmt.Sprintf("wgmma.mma_async.sync.aligned.m64n%dk16.f32.%s.%s", g.c.BN, t, t)
	a, b := g.descriptor(g.a, stage), g.descriptor(g.b, stage)
	g.Emit("wgmma.fence.sync.aligned")
	for s := range g.c.BK / 16 {
		if s > 0 {
			a = g.b64("add.s64", a, g.a.step/16)
			b = g.b64("add.s64", b, g.b.step/16)
		}
		g.Emit(op, g.sums, a, b, 1, 1, 1, g.a.transpose, g.b.transpose)
	}
	g.Emit("wgmma.commit_group.sync.aligned")
}

// descriptor describes an operand's tile of a stage.
func (g *groupProduct) descriptor(o groupOperand, stage asm.Reg) asm.Reg {
	at := g.b32("add.u32", stage, o.first)
	at = g.b32("shr.u32", g.b32("and.b32", at, 0x3ffff), 4)
	return g.b64("or.b64", g.b64("cvt.u64.u32", at), fmt.Sprintf("0x%016X", o.fixed))
}

// store stages the sums, which lie as those of mma do: a warp has 16 of the group's
// rows.
func (g *groupProduct) store(first asm.Reg) {
	row := g.b32("mad.lo.u32", g.b32("and.b32", g.warp, 3), 16, first)
	row = g.b32("add.u32", row, g.b32("shr.u32", g.lane, 2))
	at := g.stageAt(row, g.b32("shl.b32", g.b32("and.b32", g.lane, 3), 1))
	for j := 0; j < len(g.sums); j += 4 {
		for h := range 2 {
			offset := 8*h*g.c.stagingPitch() + 2*j
			g.Emit("st.shared.v2.f32", asm.At(at, 4*offset), g.sums[j+2*h:j+2*h+2])
		}
	}
}
