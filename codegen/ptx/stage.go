package ptx

import (
	"fmt"

	"jitc/codegen"
	"jitc/codegen/ptx/asm"
	"jitc/ir/tensor"
)

// staged keeps rows that are too long for registers in shared memory, as held does
// in registers: a thread reads only what it has written, so that nobody waits.
//
//	softmax of f32[N,50257]      rows in shared memory, 201 KB, a block of 1024
//	phase 0  load x      -> a    threads
//	phase 1  a -> exp    -> a
//	phase 3  a -> mul    -> store y
type staged struct {
	*residency
	row   map[int]int // load or store whose values are kept -> the row with them
	cells []int       // per row: bytes of an element
	base  []asm.Reg   // per row: where it begins
}

// stage lays out rows for a nest: values share one if the last use of the one is
// not behind the first of the other.
func (g *groups) stage() *staged {
	s := &staged{residency: g.residency, row: map[int]int{}}
	last := map[int]int{}
	for use, from := range s.forward {
		if g.moves(g.n.Insts[from].Acc) {
			last[from] = max(last[from], use)
		}
	}
	var busy []int // per row: up to where
	for i := range g.n.Insts {
		until, ok := last[i]
		if !ok {
			continue
		}
		cell := cellBytes(kindOf(g.storedType(i)))
		r := 0
		for r < len(busy) && (busy[r] > i || s.cells[r] != cell) {
			r++
		}
		if r == len(busy) {
			busy, s.cells = append(busy, 0), append(s.cells, cell)
		}
		busy[r], s.row[i] = until, r
	}
	return s
}

// storedType is the compute type of what a load or store has.
func (g *groups) storedType(i int) tensor.DType {
	if in := &g.n.Insts[i]; in.Op == codegen.Store {
		return g.n.Insts[in.A].Type
	}
	return g.n.Insts[i].Type
}

// place says where rows of some length begin, and bytes what they take.
func (s *staged) place(length int64) (at []int64) {
	next := int64(0)
	for _, c := range s.cells {
		at = append(at, next)
		next += (length*int64(c) + 15) &^ 15
	}
	return at
}

func (s *staged) bytes(length int64) (n int64) {
	for _, c := range s.cells {
		n += (length*int64(c) + 15) &^ 15
	}
	return n
}

// useStage makes the body keep values in shared memory and take them from there.
func (g *groupCode) useStage() {
	b, s := g.body, g.staged
	own := g.Op(asm.B32, "add.u32", g.Op(asm.B32, "mov.u32", asm.DynamicShared), g.param(asm.B32, "bytes of slots", func(f *frame) int64 { return f.group.slotBytes }))
	own = g.Op(asm.B32, "mad.lo.u32", g.group, g.param(asm.B32, "row bytes", func(f *frame) int64 { return f.group.rowBytes }), own)
	s.base = nil
	for r := range s.cells {
		at := g.param(asm.B32, fmt.Sprint("row ", r), func(f *frame) int64 { return f.group.rowAt[r] })
		s.base = append(s.base, g.Op(asm.B32, "add.u32", own, at))
	}
	b.given = map[int]func() []asm.Reg{}
	for use, from := range s.forward {
		if r, ok := s.row[from]; ok {
			k := kindOf(g.storedType(from))
			b.given[use] = func() []asm.Reg { return g.fromStage(k, r) }
		}
	}
	b.kept = func(i int) bool {
		if r, ok := s.row[i]; ok {
			vals := b.vals[i]
			if in := &g.n.Insts[i]; in.Op == codegen.Store {
				vals = g.rounded(in)
			}
			g.toStage(kindOf(g.storedType(i)), r, vals)
		}
		return s.drop[i]
	}
}

// cells are the addresses of the elements at the body's position in a row, by
// pieces of at most 16 bytes: how many elements each has.
//
//	width 8 of 4 bytes   run 0 [0:4], run 1 [0:4], ... | run 0 [4:8], run 1 [4:8], ... | rest
//
// Pieces of neighbouring lanes are neighbours, so that they fall on different banks.
func (g *groupCode) cellsAt(r int) (at []asm.Reg, each int) {
	b, s := g.body, g.staged
	cell := s.cells[r]
	pos := b.pos[g.inner[0].last()]
	if b.wide {
		pos = b.Op(asm.B32, "cvt.u32.u64", pos)
	}
	if b.lanes == 1 {
		return []asm.Reg{b.Op(asm.B32, "mad.lo.u32", pos, cell, s.base[r])}, 1
	}
	each = min(b.lanes, 16/cell)
	at = []asm.Reg{b.Op(asm.B32, "mad.lo.u32", b.Op(asm.B32, "shr.u32", pos, ceilLog(int64(b.lanes))), each*cell, s.base[r])}
	lanes, l := int64(b.lanes), &g.inner[0]
	plane := b.param(asm.B32, fmt.Sprint("plane of ", each*cell), func(f *frame) int64 { return l.length(f.nest) / lanes * int64(each*cell) })
	for len(at)*each < b.lanes {
		at = append(at, b.Op(asm.B32, "add.u32", at[len(at)-1], plane))
	}
	return at, each
}

// fromStage reads the elements at the body's position.
func (g *groupCode) fromStage(k kind, r int) []asm.Reg {
	b := g.body
	at, each := g.cellsAt(r)
	var out []asm.Reg
	for _, a := range at {
		raw := b.Regs(stagedClass(k), each)
		for _, x := range raw {
			clearReg(b.Kernel, x, b.loadIf)
		}
		b.EmitIf(b.loadIf, "ld.shared."+vector(each)+stagedBits(k), runOperand(raw), asm.At(a, 0))
		out = append(out, raw...)
	}
	for i := range out {
		if k == kBool {
			out[i] = b.Op(asm.Pred, "setp.ne.u32", out[i], 0)
		}
	}
	return out
}

// toStage writes them.
func (g *groupCode) toStage(k kind, r int, vals []asm.Reg) {
	b := g.body
	at, each := g.cellsAt(r)
	for i, a := range at {
		raw := make(asm.Vec, each)
		for j := range raw {
			raw[j] = vals[min(i*each+j, len(vals)-1)]
			if k == kBool {
				raw[j] = b.Op(asm.B32, "selp.b32", 1, 0, raw[j])
			}
		}
		b.EmitIf(b.storeIf, "st.shared."+vector(each)+stagedBits(k), asm.At(a, 0), runOperand(raw))
	}
}

func vector(n int) string { return map[int]string{1: "", 2: "v2.", 4: "v4."}[n] }

// stagedClass and stagedBits are those of an element in shared memory; bools take a
// word.
func stagedClass(k kind) asm.Class {
	if k == kBool {
		return asm.B32
	}
	return k.class()
}

func stagedBits(k kind) string { return fmt.Sprintf("b%d", 8*cellBytes(k)) }
