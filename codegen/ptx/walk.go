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
	for a := range w.uses {
		w.uses[a] = w.uses[a] && !b.addr[a].IsNone()
	}
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

// level emits the inner loops from the i-th on; all but the last are serial, or
// shared out by points.
func (g *groupCode) level(i int, w *walk) {
	b, l := g.body, &g.inner[i]
	if i == len(g.inner)-1 {
		g.lastLevel(i, w)
		return
	}
	r := g.rangeOf(i, 1)
	at := b.copyOf(r.start)
	head, done := b.NewLabel(), b.NewLabel()
	b.Place(head)
	b.EmitIf(b.Op(asm.Pred, "setp.ge."+b.indexType(), at, r.end), "bra", done)
	base := b.addr
	b.pos[l.last()] = at
	b.addr = b.moved(base, l, at, w.uses)
	b.across(l, 1)
	b.runs = false
	g.level(i+1, w)
	b.addr = base
	b.Set(at, "add."+b.indexType(), at, r.by)
	b.Emit("bra", head)
	b.Place(done)
}

// share is the part of a loop that a thread walks: from start by by to end. Its
// warp, none of whose lanes is in front of low, has nothing left from last on.
type share struct{ start, by, end, low, last any }

// rangeOf is the thread's share of the i-th inner loop, in runs of some width.
func (g *groupCode) rangeOf(i, width int) share {
	b, l := g.body, &g.inner[i]
	s := share{start: 0, by: width, low: 0}
	s.last = b.size(l.extent, 1, func(f *frame) int64 { return l.length(f.nest) })
	s.end = s.last
	if i == 0 {
		s.end = b.Op(b.index(), "selp."+b.index().Bits(), s.end, 0, g.live)
	}
	if i != g.split {
		return s
	}
	s.start, s.by = b.product(b.position(g.rank), width), b.product(b.position(g.ranks), width)
	s.low = b.product(b.position(g.low), width)
	if g.role == partial {
		first, past := g.part(s.last)
		s.start, s.low = b.ix("add", s.start, first), b.ix("add", s.low, first)
		s.end, s.last = b.ix("min", s.end, past), past
	}
	return s
}

// lastLevel emits the innermost loop: several runs at a time, loads of all of them
// first, so that they are under way together. A warp walks it in step: lanes whose
// run is past the end, or not complete, do nothing.
//
//	rank 0  run 0   run 2   run 4   run 6 ...       ranks 2, copies 2
//	rank 1  run 1   run 3   run 5   run 7 ...
//	        at      at+by | next time
//
// The points behind the last complete run are shared out one by one.
func (g *groupCode) lastLevel(i int, w *walk) {
	b, l, width := g.body, &g.inner[i], 1
	if i == g.split {
		width = g.width
	}
	s := g.rangeOf(i, width)
	at, low := b.copyOf(s.start), b.copyOf(s.low)
	head, next, done := b.NewLabel(), b.NewLabel(), b.NewLabel()
	b.Place(head)
	g.leave(low, s, done)
	runs := []run{g.runAt(at, width, s)}
	if i > 0 && i != g.split {
		runs[0].live = asm.Reg{} // always
	}
	for range g.copies(i, width, w) - 1 {
		prev := runs[len(runs)-1]
		runs = append(runs, g.runAt(b.ix("add", prev.at, s.by), width, s))
	}
	base := b.addr
	b.across(l, width)
	b.runs = width > 1
	for c := range runs {
		runs[c].addr = b.moved(base, l, runs[c].at, w.uses)
		runs[c].early = g.loadEarly(l, w, &runs[c])
	}
	for c := range runs {
		if c > 0 {
			g.leave(b.ix("add", low, g.times(s.by, c)), s, next)
		}
		b.have = runs[c].early
		g.visitIf(l, w, &runs[c])
	}
	b.Place(next)
	b.have, b.addr = nil, base
	b.loadIf, b.storeIf = asm.Reg{}, asm.Reg{}
	b.Set(at, "add."+b.indexType(), at, g.times(s.by, len(runs)))
	b.Set(low, "add."+b.indexType(), low, g.times(s.by, len(runs)))
	b.Emit("bra.uni", head)
	b.Place(done)
	if width > 1 && !g.c.facts.Divides(int64(width), l.extent) {
		g.rest(l, width, s, w)
	}
}

// run is one of the runs that a thread has under way.
type run struct {
	at    asm.Reg
	live  asm.Reg
	addr  []asm.Reg
	early map[int]loaded
}

// runAt is the run at a position: is it complete?
func (g *groupCode) runAt(at asm.Reg, width int, s share) run {
	b := g.body
	r := run{at: at}
	if width == 1 {
		r.live = b.Op(asm.Pred, "setp.lt."+b.indexType(), at, s.end)
	} else {
		r.live = b.Op(asm.Pred, "setp.le."+b.indexType(), b.ix("add", at, width), s.end)
	}
	return r
}

// times is n steps as an operand.
func (g *groupCode) times(step any, n int) any {
	if c, ok := step.(int); ok {
		return c * n
	}
	return g.body.product(step.(asm.Reg), n)
}

// leave jumps where a warp has nothing left.
func (g *groupCode) leave(low asm.Reg, s share, to asm.Label) {
	b := g.body
	b.EmitIf(b.Op(asm.Pred, "setp.ge."+b.indexType(), low, s.last), "bra.uni", to)
}

// enter places the body at a run.
func (g *groupCode) enter(l *loop, r *run) {
	b := g.body
	b.addr, b.pos[l.last()] = r.addr, r.at
	b.loadIf, b.storeIf = r.live, r.live
}

// loadEarly emits the loads of a run that can precede the phase.
func (g *groupCode) loadEarly(l *loop, w *walk, r *run) map[int]loaded {
	out := map[int]loaded{}
	for j := w.From; j < w.To; j++ {
		if in := &g.n.Insts[j]; in.Op == codegen.Load && g.given[j] == nil && g.early(w.Phase, j) {
			g.enter(l, r)
			out[j] = g.begin(j, in)
		}
	}
	return out
}

// visitIf emits the phase's body for a run, if it is live.
func (g *groupCode) visitIf(l *loop, w *walk, r *run) {
	g.enter(l, r)
	g.body.run(w.From, w.To)
	for i := range w.accs {
		w.accs[i].takeIf(g.body, r.live)
	}
}

// rest emits the loop over the points behind the last complete run.
func (g *groupCode) rest(l *loop, width int, s share, w *walk) {
	b := g.body
	over := b.Op(b.index(), "and."+b.index().Bits(), s.end, width-1)
	at := b.copyOf(b.ix("add", b.ix("sub", s.end, over), b.position(g.rank)))
	head, done := b.NewLabel(), b.NewLabel()
	b.Place(head)
	b.EmitIf(b.Op(asm.Pred, "setp.ge."+b.indexType(), at, s.end), "bra", done)
	base := b.addr
	b.across(l, 1)
	b.runs = false
	b.pos[l.last()], b.addr = at, b.moved(base, l, at, w.uses)
	g.visit(w)
	b.addr = base
	b.Set(at, "add."+b.indexType(), at, b.position(g.ranks))
	b.Emit("bra", head)
	b.Place(done)
}

// What a thread has under way: bytes per access, and so many runs of the body.
const (
	columnBytes    = 32
	rowBytes       = 32
	maxCopies      = 16
	maxCopiedInsts = 600 // of all copies together
	manyCopies     = 8   // more than these only of a body of at most
	fewInsts       = 4   // instructions
	wideCopies     = 2   // of elements of 8 bytes
)

// copies is how many runs of an innermost loop are done at once.
func (g *groupCode) copies(i, width int, w *walk) int {
	size, bytes := 0, rowBytes
	if g.columns {
		bytes = columnBytes
	}
	for j := w.From; j < w.To; j++ {
		if in := &g.n.Insts[j]; in.Op == codegen.Load && g.given[j] == nil && g.early(w.Phase, j) && g.moves(in.Acc) {
			size = max(size, g.c.kernel.Bufs[g.n.Accs[in.Acc].Buf].DType.Size())
		}
	}
	if size == 0 {
		return 1
	}
	copies := max(1, min(bytes/(size*width), maxCopies))
	if w.To-w.From > fewInsts {
		copies = min(copies, manyCopies)
	}
	if size == 8 { // which takes registers twice
		copies = min(copies, wideCopies)
	}
	for copies > 1 && copies*width*(w.To-w.From) > maxCopiedInsts {
		copies /= 2
	}
	if n := g.inner[i].constant(); n >= 0 {
		copies = max(1, min(copies, int(n)/width))
	}
	return copies
}

// early reports whether a load can precede its whole phase: nothing that it needs
// is made there, and nothing in front of it stores to its buffer.
func (g *groupCode) early(p *codegen.Phase, i int) bool { return early(g.n, p.From, p.To, i) }

func early(n *codegen.Nest, from, to, i int) bool {
	ok := true
	n.Operands(i, func(v codegen.Val) { ok = ok && int(v) < from })
	for j := from; j < to; j++ {
		in := &n.Insts[j]
		ok = ok && (in.Op != codegen.Store || n.Accs[in.Acc].Buf != n.Accs[n.Insts[i].Acc].Buf)
	}
	return ok
}
