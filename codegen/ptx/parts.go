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
//	_sum     warps per 32 points    the sums of all parts, then the rest of the nest
type role uint8

const (
	whole role = iota
	partial
	final
)

const (
	maxParts  = 4096
	leastPart = 256 // points of the split loop that are worth parts
	sumRanks  = 16  // warps that add the sums of a point
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
	return loops == 1 && g.folds > 0 && int64(2*g.folds)*32*sumRanks*slotBytes <= smallShared
}

// part is the block's part of the split loop: its first point, and what is past it.
func (g *groupCode) part(end any) (first, past asm.Reg) {
	b := g.body
	per := b.param(b.index(), "points of a part", func(f *frame) int64 { return f.group.perPart })
	first = b.product(b.position(b.Op(asm.B32, "mov.u32", "%ctaid.y")), per)
	return first, b.ix("min", b.ix("add", first, per), end)
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

// addParts adds the sums of a rank's share of the parts: of every so many-th one.
func (g *groupCode) addParts(accs []accumulator, sums []asm.Reg) {
	parts := g.param(asm.B32, "parts", func(f *frame) int64 { return f.group.count })
	parts = g.Op(asm.B32, "selp.b32", parts, 0, g.live)
	part, head, done := g.Op(asm.B32, "mov.u32", g.rank), g.NewLabel(), g.NewLabel()
	g.Place(head)
	g.EmitIf(g.Op(asm.Pred, "setp.ge.u32", part, parts), "bra", done)
	const together = 4 // loads under way
	found := make([][]asm.Reg, len(accs))
	for c := range together {
		if c > 0 {
			g.Set(part, "add.u32", part, g.ranks)
		}
		has := g.Op(asm.Pred, "setp.lt.u32", part, parts)
		for i := range accs {
			a := &accs[i]
			x := g.Op(a.k.class(), "mov."+a.k.bits(), a.neutral(g))
			g.EmitIf(has, "ld.global."+a.k.bits(), x, asm.At(g.partSlot(i, part), 0))
			found[i] = append(found[i], x)
		}
	}
	for i := range accs {
		a := &accs[i]
		for _, x := range found[i] {
			g.Set(sums[i], "mov."+a.k.bits(), a.fold(g.Kernel, sums[i], x))
		}
	}
	g.Set(part, "add.u32", part, g.ranks)
	g.Emit("bra", head)
	g.Place(done)
}

// bindParts plans the two launches of a nest in parts; none where the groups keep
// the device busy, or the loop is too short.
func (g *groups) bindParts(f *frame) ([]Launch, error) {
	v := g.variant(asParts, int(f.step))
	if v == nil {
		return nil, nil
	}
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
	if err := f.grid(&first, v.e, s.blocks); err != nil {
		return nil, err
	}
	first.Grid[1] = uint32(s.count)
	if err := v.e.fill(f, &first); err != nil {
		return nil, err
	}
	second, err := g.bindSums(f, points)
	if err != nil {
		return nil, fmt.Errorf("sums of parts: %w", err)
	}
	return []Launch{first, *second}, nil
}

// bindSums plans the launch that adds the sums of parts: several warps share the
// parts of 32 points.
func (g *groups) bindSums(f *frame, points int64) (*Launch, error) {
	s := &f.group
	s.log, s.lanes = ceilLog(min(sumRanks, s.count)), 5
	s.threads, s.perBlock, s.slots = 32<<s.log, 32, 32<<s.log
	s.slotBytes = int64(2*g.folds) * s.slots * slotBytes
	l := &Launch{Block: [3]uint32{uint32(s.threads), 1, 1}, Shared: uint32(s.slotBytes)}
	e := g.variant(asSums, 1).e
	if err := f.grid(l, e, ceilDiv(points, s.perBlock)); err != nil {
		return nil, err
	}
	return l, e.fill(f, l)
}
