package ptx

import (
	"fmt"

	"jitc/codegen"
	"jitc/codegen/ptx/asm"
)

// A nest with few outer points and one long looping phase leaves most of a device
// idle. It can be run in parts: one entry reduces a part of the split loop per
// block and leaves the sums in scratch memory, a second adds them, first to last,
// and runs the phases behind.
//
//	_parts   grid (blocks, parts)   scratch[part][reduction][point] = sum
//	_sum     a thread per point     the sums of all parts, then the rest of the nest
type role uint8

const (
	whole role = iota
	partial
	final
)

const (
	maxParts  = 64  // since the second entry adds them serially
	leastPart = 256 // points of the split loop that are worth parts
)

// partable reports whether the nest can be run in parts: its one looping phase
// only reduces, and what is in front of it is cheap and stores nothing.
func (g *groups) partable() bool {
	if g.split < 0 || len(g.rows) > 0 || g.inner[g.split].constant() >= 0 && g.inner[g.split].constant() < leastPart {
		return false
	}
	loops := 0
	for _, p := range g.n.Phases {
		for i := p.From; i < p.To; i++ {
			if g.n.Insts[i].Op == codegen.Store && (p.Loop || loops == 0) {
				return false
			}
		}
		if p.Loop {
			loops++
		}
	}
	return loops == 1 && g.folds > 0
}

// part narrows the split loop to the block's part: where it starts, and its end.
func (g *groupCode) part(start, end any) (any, any) {
	if g.role != partial {
		return start, end
	}
	b := g.body
	per := b.param(b.index(), "points of a part", func(f *frame) int64 { return f.group.perPart })
	first := b.product(b.position(b.Op(asm.B32, "mov.u32", "%ctaid.y")), per)
	return b.ix("add", first, start), b.ix("min", b.ix("add", first, per), end)
}

// partSlot is the address in scratch memory of the i-th reduction's sum in a part.
func (g *groupCode) partSlot(i int, part asm.Reg) asm.Reg {
	b := g.body
	base := b.pointer("parts", func(f *frame) Pointer { return Pointer{Buf: Scratch, Offset: f.group.parts} })
	points := b.position64(g.count())
	row := b.Op(asm.B64, "mad.lo.u64", b.Op(asm.B64, "cvt.u64.u32", part), g.folds, i)
	cell := b.Op(asm.B64, "mad.lo.u64", row, points, b.position64(g.at))
	return b.Op(asm.B64, "mad.lo.u64", cell, slotBytes, base)
}

// position64 is a position in 64 bits.
func (e *entry) position64(r asm.Reg) asm.Reg {
	if e.wide {
		return r
	}
	return e.Op(asm.B64, "cvt.u64.u32", r)
}

// keepSums stores the block's sums.
func (g *groupCode) keepSums(accs []accumulator, sums []asm.Reg) {
	first := g.Op(asm.Pred, "setp.eq.u32", g.rank, 0)
	first = g.Op(asm.Pred, "and.pred", first, g.live)
	part := g.Op(asm.B32, "mov.u32", "%ctaid.y")
	for i, a := range accs {
		g.EmitIf(first, "st.global."+a.k.bits(), asm.At(g.partSlot(i, part), 0), sums[i])
	}
}

// addParts adds the sums of all parts.
func (g *groupCode) addParts(accs []accumulator, sums []asm.Reg) {
	parts := g.param(asm.B32, "parts", func(f *frame) int64 { return f.group.count })
	parts = g.Op(asm.B32, "selp.b32", parts, 0, g.live)
	part, head, done := g.Op(asm.B32, "mov.u32", 0), g.NewLabel(), g.NewLabel()
	g.Place(head)
	g.EmitIf(g.Op(asm.Pred, "setp.ge.u32", part, parts), "bra", done)
	for i := range accs {
		a := &accs[i]
		x := g.Op(a.k.class(), "ld.global."+a.k.bits(), asm.At(g.partSlot(i, part), 0))
		g.Set(sums[i], "mov."+a.k.bits(), a.fold(g.Kernel, sums[i], x))
	}
	g.Set(part, "add.u32", part, 1)
	g.Emit("bra", head)
	g.Place(done)
}

// bindParts plans the two launches of a nest in parts; none where the groups keep
// the device busy, or the loop is too short.
func (g *groups) bindParts(f *frame) ([]Launch, error) {
	s := f.group
	points, length := g.points(f), g.inner[g.split].length(f.nest)
	busy := int64(f.m.device.Multiprocessors) * busyThreads
	parts := min(busy/max(s.blocks*s.threads, 1), length/(f.step*rowsPerRank<<s.log), maxParts)
	if parts < 2 || length < leastPart {
		return nil, nil
	}
	s.perPart = ceilDiv(ceilDiv(length, parts), f.step) * f.step
	s.count = ceilDiv(length, s.perPart)
	s.parts = f.take(s.count * int64(g.folds) * points * slotBytes)
	f.group = s
	first := Launch{Block: [3]uint32{uint32(s.threads), 1, 1}, Shared: uint32(s.slotBytes)}
	if err := f.grid(&first, g.parts[0].e, s.blocks); err != nil {
		return nil, err
	}
	first.Grid[1] = uint32(s.count)
	if err := g.parts[0].e.fill(f, &first); err != nil {
		return nil, err
	}
	f.group.log, f.group.threads, f.group.perBlock = 0, rowThreads, rowThreads
	second := Launch{Block: [3]uint32{rowThreads, 1, 1}}
	if err := f.grid(&second, g.parts[1].e, ceilDiv(points, rowThreads)); err != nil {
		return nil, err
	}
	if err := g.parts[1].e.fill(f, &second); err != nil {
		return nil, fmt.Errorf("sums of parts: %w", err)
	}
	return []Launch{first, second}, nil
}
