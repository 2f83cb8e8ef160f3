package ptx

import (
	"jitc/codegen"
	"jitc/codegen/ptx/asm"
)

// walk is a looping phase in the making.
type walk struct {
	*codegen.Phase
	accs []accumulator
	uses []bool // its accesses
}

// loop emits a looping phase and its reductions.
func (g *groupCode) loop(p *codegen.Phase) {
	b := g.body
	w := &walk{Phase: p, uses: used(g.n, p.From, p.To)}
	for _, r := range p.Reduce {
		w.accs = append(w.accs, g.accumulator(r, g.width))
	}
	switch {
	case g.role == final:
	case g.held != nil:
		g.loopHeld(w)
	case len(g.inner) == 0:
		b.lanes, b.runs = 1, false
		b.loadIf, b.storeIf = g.live, g.live
		g.visit(w)
		b.loadIf, b.storeIf = asm.Reg{}, asm.Reg{}
	default:
		g.level(0, w)
	}
	g.combine(w.accs)
}

// visit emits the phase's body at the body's position.
func (g *groupCode) visit(w *walk) {
	g.body.run(w.From, w.To)
	for i := range w.accs {
		w.accs[i].take(g.body)
	}
}

// level emits the inner loops from the i-th on.
func (g *groupCode) level(i int, w *walk) {
	if i == len(g.inner) {
		g.visit(w)
		return
	}
	b, l := g.body, &g.inner[i]
	var end any = b.size(l.extent, 1, func(f *frame) int64 { return l.length(f.nest) })
	if i == 0 {
		end = b.Op(b.index(), "selp."+b.index().Bits(), end, 0, g.live)
	}
	var start, by any = 0, 1
	if i == g.split {
		start, by = g.share()
		start, end = g.part(start, end)
	}
	at := b.copyOf(start)
	if copies := g.copies(i, w); copies > 1 {
		g.unrolled(i, w, at, by, end, copies)
	}
	head, done := b.NewLabel(), b.NewLabel()
	b.Place(head)
	b.EmitIf(b.Op(asm.Pred, "setp.ge."+b.indexType(), at, end), "bra", done)
	base := b.addr
	b.pos[l.last()] = at
	b.addr = b.moved(base, l, at, w.uses)
	if i == g.split && g.width > 1 {
		b.span(l, g.width, at, end, w.uses, func() { g.visit(w) })
	} else {
		b.across(l, 1)
		b.runs = false
		g.level(i+1, w)
	}
	b.addr = base
	b.Set(at, "add."+b.indexType(), at, by)
	b.Emit("bra", head)
	b.Place(done)
}

// share is a rank's first position in the split loop, and the step to its next.
func (g *groupCode) share() (start, by any) {
	b := g.body
	rank, ranks := b.position(g.rank), b.position(g.ranks)
	if g.width > 1 {
		return b.product(rank, b.step()), b.product(ranks, b.step())
	}
	return rank, ranks
}

// A thread of a column loads an element at a time: several steps of its loop are
// under way at once, or memory would be waited for.
const (
	columnBytes    = 16 // under way per access
	maxCopies      = 8
	maxCopiedInsts = 300
)

// copies is how many steps of an inner loop are done at once.
func (g *groupCode) copies(i int, w *walk) int {
	if !g.columns || i != len(g.inner)-1 {
		return 1
	}
	size := 0
	for j := w.From; j < w.To; j++ {
		if in := &g.n.Insts[j]; in.Op == codegen.Load && g.early(w.Phase, j) && g.moves(in.Acc) {
			size = max(size, g.c.kernel.Bufs[g.n.Accs[in.Acc].Buf].DType.Size())
		}
	}
	if size == 0 {
		return 1
	}
	copies := min(columnBytes/size, maxCopies)
	for copies > 1 && copies*(w.To-w.From) > maxCopiedInsts {
		copies /= 2
	}
	if n := g.inner[i].constant(); n >= 0 && n < int64(copies) {
		return 1
	}
	return copies
}

// unrolled emits a loop over copies steps at a time, loads first; the steps that
// are left over are the plain loop's behind it.
func (g *groupCode) unrolled(i int, w *walk, at asm.Reg, by, end any, copies int) {
	b, l := g.body, &g.inner[i]
	head, done := b.NewLabel(), b.NewLabel()
	b.Place(head)
	pos := []asm.Reg{at}
	for len(pos) < copies {
		pos = append(pos, b.ix("add", pos[len(pos)-1], by))
	}
	b.EmitIf(b.Op(asm.Pred, "setp.ge."+b.indexType(), pos[copies-1], end), "bra", done)
	b.across(l, 1)
	b.runs = false
	base := b.addr
	addr := make([][]asm.Reg, copies)
	early := make([]map[int][]asm.Reg, copies)
	for c := range pos {
		addr[c], early[c] = b.moved(base, l, pos[c], w.uses), map[int][]asm.Reg{}
	}
	for j := w.From; j < w.To; j++ {
		for c := range pos {
			if in := &g.n.Insts[j]; in.Op == codegen.Load && g.early(w.Phase, j) {
				b.addr, b.pos[l.last()] = addr[c], pos[c]
				early[c][j] = b.load(j, in)
			}
		}
	}
	for c := range pos {
		b.addr, b.pos[l.last()], b.have = addr[c], pos[c], early[c]
		g.visit(w)
	}
	b.addr, b.have = base, nil
	b.Set(at, "add."+b.indexType(), pos[copies-1], by)
	b.Emit("bra", head)
	b.Place(done)
}

// early reports whether a load can precede its whole phase: nothing that it needs
// is made there, and nothing in front of it stores to its buffer.
func (g *groupCode) early(p *codegen.Phase, i int) bool {
	ok := true
	g.n.Operands(i, func(v codegen.Val) { ok = ok && int(v) < p.From })
	for j := p.From; j < p.To; j++ {
		in := &g.n.Insts[j]
		ok = ok && (in.Op != codegen.Store || g.n.Accs[in.Acc].Buf != g.n.Accs[g.n.Insts[i].Acc].Buf)
	}
	return ok
}
