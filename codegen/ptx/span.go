package ptx

import "jitc/codegen/ptx/asm"

// span emits the body for a thread's share of a loop, the points from first to
// first+step or the end: for all lanes at once if step, which Bind chooses, is
// their number and all of them exist, else one by one. b.addr is that of first.
func (b *body) span(l *loop, lanes int, first asm.Reg, end any, uses []bool, emit func()) {
	single, done := b.NewLabel(), b.NewLabel()
	step := b.step()
	past := b.ix("add", first, step)
	b.EmitIf(b.Op(asm.Pred, "setp.ne."+b.indexType(), step, lanes), "bra", single)
	b.EmitIf(b.Op(asm.Pred, "setp.gt."+b.indexType(), past, end), "bra", single)
	b.across(l, lanes)
	b.runs, b.pos[l.last()] = true, first
	emit()
	b.Emit("bra", done)

	b.Place(single)
	b.across(l, 1)
	b.runs = false
	last := b.ix("min", past, end)
	i, base := b.copyOf(first), b.addr
	head := b.NewLabel()
	b.Place(head)
	b.pos[l.last()] = i
	b.addr = b.moved(base, l, b.ix("sub", i, first), uses)
	emit()
	b.Set(i, "add."+b.indexType(), i, 1)
	b.EmitIf(b.Op(asm.Pred, "setp.lt."+b.indexType(), i, last), "bra", head)
	b.Place(done)
	b.addr = base
}

// step is the number of points that a thread takes at a time.
func (e *entry) step() asm.Reg {
	return e.param(e.index(), "step", func(f *frame) int64 { return f.step })
}

// copyOf is a position that may be changed.
func (e *entry) copyOf(i any) asm.Reg { return e.Op(e.index(), "mov."+e.indexType(), i) }
