package ptx

import (
	"slices"

	"jitc/codegen"
	"jitc/codegen/ptx/asm"
	"jitc/ir/dim"
)

// groups is the schedule of a nest with inner axes. A group of threads works on an
// outer point: its ranks share out one of the inner loops, the split one, and the
// other inner loops are serial. Accumulators are combined over the ranks, and every
// rank gets the result.
//
//	rows     the vector axis is inner: a group is neighbouring lanes, 1 to 1024,
//	         a rank takes runs of the last inner loop
//	         thread = group*ranks + rank
//	columns  the vector axis is outer: neighbouring lanes are neighbouring outer
//	         points, 32 or, where there are few, a smaller power of two; a group is
//	         the lanes of one point in several warps
//	         thread = ((column block*warps + warp)*ranks of a warp + rank)*points + point
//
// Bind chooses the number of ranks, a power of two. Groups without a point (the
// last block's) run no loops and touch no memory, but reach every barrier and
// shuffle.
type groups struct {
	n            *codegen.Nest
	outer, inner []loop
	columns      bool
	split        int   // the inner loop that ranks share; -1: there is none
	run          int   // points of a run along the split loop, where runs are aligned
	strict       []int // accesses whose runs must be aligned
	folds        int   // most reductions of a phase
	rows         []int // row buffers
	residency    *residency
	variants     []variant
}

// variant is an entry with its choices.
type variant struct {
	e       *entry
	width   int  // points of a run: groups.run, or 1 where runs are not aligned
	scratch bool // row buffers are in scratch memory, and blocks take several points in turn
	held    *held
	staged  *staged
	role    role
}

// form is where a variant keeps its rows.
type form uint8

const (
	inMemory form = iota
	inScratch
	inRegisters
	inShared
	asParts
	asSums
)

func (v *variant) form() form {
	switch {
	case v.held != nil:
		return inRegisters
	case v.staged != nil:
		return inShared
	case v.scratch:
		return inScratch
	case v.role == partial:
		return asParts
	case v.role == final:
		return asSums
	}
	return inMemory
}

// variant is the entry of a form for runs of some width; nil if there is none.
func (g *groups) variant(f form, width int) *variant {
	for i := range g.variants {
		if v := &g.variants[i]; v.form() == f && v.width == width {
			return v
		}
	}
	return nil
}

// Threads of a block, at most; of one whose rows fill the shared memory.
const (
	groupThreads = 512
	stageThreads = 1024
)

// shortBody is the number of instructions of columns that leave room for two blocks
// on a multiprocessor, however many loads are under way.
const shortBody = 12

func (c *compiler) groups(step int, n *codegen.Nest) *groups {
	facts := c.facts
	g := &groups{n: n, outer: loops(n, facts, n.Outer), inner: loops(n, facts, n.Inner), split: -1, run: 1, columns: n.VecOuter()}
	for _, p := range n.Phases {
		g.folds = max(g.folds, len(p.Reduce))
	}
	if len(g.inner) > 0 {
		g.split = len(g.inner) - 1
		if g.columns {
			g.split = longest(g.inner)
		} else {
			if g.run = c.lanes(n, g.inner, true); g.run > 1 {
				g.strict = c.strict(n, &g.inner[g.split], g.run)
			}
		}
	}
	g.rows = rowsOf(c.kernel, n)
	g.residency = g.resident(c.kernel)
	g.emitVariants(c, step, g.run, "")
	if g.run > 1 {
		g.emitVariants(c, step, 1, "_single")
	}
	if g.partable() {
		g.emitVariant(c, step, "_sum", variant{width: 1, role: final})
	}
	return g
}

// emitVariants emits the entries for runs of a width: of rows that always fit
// registers no others.
func (g *groups) emitVariants(c *compiler, step, width int, suffix string) {
	if g.residency != nil && c.facts.LessEq(g.inner[0].extent, dim.Const(maxHeld)) {
		g.emitVariant(c, step, "_held"+suffix, variant{width: width, held: &held{residency: g.residency}})
		return
	}
	g.emitVariant(c, step, suffix, variant{width: width})
	if len(g.rows) > 0 {
		g.emitVariant(c, step, "_scratch"+suffix, variant{width: width, scratch: true})
	}
	if g.residency != nil {
		g.emitVariant(c, step, "_held"+suffix, variant{width: width, held: &held{residency: g.residency}})
		g.emitVariant(c, step, "_staged"+suffix, variant{width: width, staged: g.stage()})
	}
	if g.partable() {
		g.emitVariant(c, step, "_parts"+suffix, variant{width: width, role: partial})
	}
}

func (g *groups) emitVariant(c *compiler, step int, suffix string, v variant) {
	threads := groupThreads
	if v.staged != nil {
		threads = stageThreads
	}
	v.e = c.entry(c.name(step, suffix), threads, g.n)
	v.e.Dynamic, v.e.MinCTAs = true, 1
	if g.columns && len(g.n.Insts) <= shortBody {
		v.e.MinCTAs = 2
	}
	(&groupCode{groups: g, variant: v, body: v.e.body()}).emit()
	g.variants = append(g.variants, v)
}

// rowsOf lists the row buffers of a nest.
func rowsOf(k *codegen.Kernel, n *codegen.Nest) []int {
	seen := make([]bool, len(k.Bufs))
	var out []int
	for i := range n.Accs {
		if b := n.Accs[i].Buf; k.Bufs[b].Kind == codegen.Row && !seen[b] {
			seen[b] = true
			out = append(out, b)
		}
	}
	return out
}

// longest is the loop to share out: the first of unknown extent, else the longest.
func longest(ls []loop) int {
	best := 0
	for i := range ls {
		switch c, most := ls[i].constant(), ls[best].constant(); {
		case most < 0:
			return best
		case c < 0 || c > most:
			best = i
		}
	}
	return best
}

// groupCode emits a variant.
type groupCode struct {
	*groups
	variant
	*body
	rank, ranks asm.Reg // of the thread in its group, 32 bits
	low         asm.Reg // the least rank of its warp
	warps       asm.Reg // columns: of a group
	lane, warp  asm.Reg
	group       asm.Reg // in its block
	at          asm.Reg // its outer point
	live        asm.Reg // it has one
	combined    int     // phases with reductions so far: their slots alternate
}

func (g *groupCode) emit() {
	e := g.entry()
	g.loops = slices.Concat(g.outer, g.inner)
	g.threads()
	for _, r := range g.rows {
		g.shared[r] = !g.scratch
	}
	perBlock := e.param(e.index(), "groups per block", func(f *frame) int64 { return f.group.perBlock })
	first := e.product(e.position(e.Op(asm.B32, "mov.u32", "%ctaid.x")), perBlock)
	if !g.scratch {
		g.point(first)
		return
	}
	// Persistent blocks, each with its own rows.
	first = e.copyOf(first)
	head, done := e.NewLabel(), e.NewLabel()
	e.Place(head)
	e.EmitIf(e.Op(asm.Pred, "setp.ge."+e.indexType(), first, g.count()), "bra", done)
	g.point(first)
	e.Emit("bar.sync", 0) // rows and slots are free again
	e.Set(first, "add."+e.indexType(), first, e.param(e.index(), "groups", func(f *frame) int64 { return f.group.perBlock * f.group.blocks }))
	e.Emit("bra", head)
	e.Place(done)
}

func (g *groupCode) entry() *entry { return g.body.entry }

// count is the number of outer points.
func (g *groupCode) count() asm.Reg {
	return g.param(g.index(), "points", func(f *frame) int64 { return g.points(f) })
}

func (g *groups) points(f *frame) int64 {
	n := int64(1)
	for i := range g.outer {
		n *= g.outer[i].length(f.nest)
	}
	return n
}

// threads finds the thread's group and rank.
func (g *groupCode) threads() {
	e := g.entry()
	tid := e.Op(asm.B32, "mov.u32", "%tid.x")
	g.lane = e.Op(asm.B32, "and.b32", tid, 31)
	g.warp = e.Op(asm.B32, "shr.u32", tid, 5)
	g.ranks = e.param(asm.B32, "ranks", func(f *frame) int64 { return int64(1) << f.group.log })
	log := e.param(asm.B32, "log ranks", func(f *frame) int64 { return int64(f.group.log) })
	mask := e.Op(asm.B32, "sub.u32", g.ranks, 1)
	if g.across() {
		g.rank = e.Op(asm.B32, "and.b32", tid, mask)
		g.low = e.Op(asm.B32, "and.b32", g.rank, "0xFFFFFFE0")
		g.group = e.Op(asm.B32, "shr.u32", tid, log)
		return
	}
	points := e.param(asm.B32, "log points of a warp", func(f *frame) int64 { return int64(f.group.lanes) })
	perWarp := e.param(asm.B32, "log ranks of a warp", func(f *frame) int64 { return int64(5 - f.group.lanes) })
	g.warps = e.Op(asm.B32, "shr.u32", g.ranks, perWarp)
	g.low = e.Op(asm.B32, "shl.b32", e.Op(asm.B32, "and.b32", g.warp, e.Op(asm.B32, "sub.u32", g.warps, 1)), perWarp)
	g.rank = e.Op(asm.B32, "add.u32", g.low, e.Op(asm.B32, "shr.u32", g.lane, points))
	first := e.Op(asm.B32, "shl.b32", e.Op(asm.B32, "shr.u32", g.warp, e.Op(asm.B32, "sub.u32", log, perWarp)), points)
	mine := e.Op(asm.B32, "bfe.u32", g.lane, 0, points)
	g.group = e.Op(asm.B32, "add.u32", first, mine)
}

// across reports whether neighbouring lanes are ranks of one group.
func (g *groupCode) across() bool { return !g.columns && g.role != final }

// point emits the work on the outer point of the thread's group.
func (g *groupCode) point(first asm.Reg) {
	e, b := g.entry(), g.body
	point := e.ix("add", first, e.position(g.group))
	g.live = e.Op(asm.Pred, "setp.lt."+e.indexType(), point, g.count())
	point = e.Op(e.index(), "selp."+e.index().Bits(), point, 0, g.live)
	g.at = point
	all := used(g.n, 0, len(g.n.Insts))
	for a := range b.addr {
		b.addr[a] = g.access(a)
		all[a] = all[a] && !b.addr[a].IsNone()
	}
	rest := point
	for i := len(g.outer) - 1; i >= 0; i-- {
		l, at := &g.outer[i], rest
		if i > 0 {
			rest, at = e.quotient(rest, "count "+l.extent.Key(), l.constant(), func(f *frame) int64 { return l.length(f.nest) })
		}
		b.pos[l.last()] = at
		b.addr = b.moved(b.addr, l, at, all)
	}
	switch {
	case g.held != nil:
		g.hold()
	case g.staged != nil:
		g.useStage()
	}
	outer := b.addr
	barriers := g.barriers()
	for i := range g.n.Phases {
		if barriers[i] {
			e.Emit("bar.sync", 0)
		}
		b.addr = outer
		if p := &g.n.Phases[i]; !p.Loop {
			g.once(p)
		} else if g.loop(p); g.role == partial {
			return
		}
	}
}

// once emits a phase that runs once: every rank does, so that all have its values;
// the first one stores.
func (g *groupCode) once(p *codegen.Phase) {
	b := g.body
	b.lanes, b.runs = 1, false
	first := b.Op(asm.Pred, "setp.eq.u32", g.rank, 0)
	b.loadIf, b.storeIf = g.live, b.Op(asm.Pred, "and.pred", g.live, first)
	b.run(p.From, p.To)
	b.loadIf, b.storeIf = asm.Reg{}, asm.Reg{}
}

// barriers says before which phases the block must wait: where a phase reads what
// another thread may have written in an earlier one, or writes what it may read.
// Two looping phases share out their points alike, so that an access of both that
// moves along the split loop is to the thread's own elements.
func (g *groups) barriers() []bool {
	type touch struct {
		acc         int
		loop, store bool
	}
	var before []touch
	out := make([]bool, len(g.n.Phases))
	for i, p := range g.n.Phases {
		var here []touch
		for j := p.From; j < p.To; j++ {
			in := &g.n.Insts[j]
			if in.Op != codegen.Load && in.Op != codegen.Store {
				continue
			}
			t := touch{in.Acc, p.Loop, in.Op == codegen.Store}
			here = append(here, t)
			for _, u := range before {
				own := t.loop && u.loop && t.acc == u.acc && g.moves(t.acc) || !t.loop && !u.loop && t.store && u.store
				if g.n.Accs[t.acc].Buf == g.n.Accs[u.acc].Buf && (t.store || u.store) && !own {
					out[i] = true
				}
			}
		}
		if out[i] {
			before = nil
		}
		before = append(before, here...)
	}
	return out
}

func (g *groups) moves(acc int) bool {
	a := &g.n.Accs[acc]
	return len(a.Dyn) == 0 && (g.split < 0 || a.Class(g.inner[g.split].last()) != codegen.StrideZero)
}
