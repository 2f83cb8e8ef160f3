package ptx

import "jitc/codegen/ptx/asm"

// span emits the body for a run of a loop that begins at first: for all lanes at
// once if all of them lie in front of wholes, else one by one as far as the end.
// b.addr is that of first.
func (b *body) span(l *loop, lanes int, first asm.Reg, wholes, end any, uses []bool, emit func()) {
	single, done := b.NewLabel(), b.NewLabel()
	past := b.ix("add", first, lanes)
	b.EmitIf(b.Op(asm.Pred, "setp.gt."+b.indexType(), past, wholes), "bra", single)
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

// copyOf is a position that may be changed.
func (e *entry) copyOf(i any) asm.Reg { return e.Op(e.index(), "mov."+e.indexType(), i) }
