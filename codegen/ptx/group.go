package ptx

import (
	"slices"

	"jitc/codegen"
	"jitc/codegen/ptx/asm"
)

// groups is the schedule of a nest with inner axes. A group of threads works on an
// outer point: its ranks share out one of the inner loops, the split one, and the
// other inner loops are serial. Accumulators are combined over the ranks, and every
// rank gets the result.
//
//	rows     the vector axis is inner: a group is neighbouring lanes, 1 to 512,
//	         a rank takes runs of the last inner loop
//	         thread = group*ranks + rank
//	columns  the vector axis is outer: 32 lanes are neighbouring outer points, a
//	         group is one lane of several warps
//	         thread = (column block*ranks + rank)*32 + lane
//
// Bind chooses the number of ranks, a power of two. Groups without a point (the
// last block's) run no loops and touch no memory, but reach every barrier and
// shuffle.
type groups struct {
	n            *codegen.Nest
	outer, inner []loop
	columns      bool
	split        int       // the inner loop that ranks share; -1: there is none
	width        int       // points per thread along the split loop
	strict       []int     // accesses whose runs must be aligned
	folds        int       // most reductions of a phase
	rows         []int     // row buffers
	variants     []variant // entries, by where they keep their rows
	parts        []variant // the two entries for few points; nil: there are none
}

// variant is an entry with its choices.
type variant struct {
	e       *entry
	scratch bool  // row buffers are in scratch memory, and blocks take several points in turn
	held    *held // rows are in registers; else nil
	role    role
}

const groupThreads = 512

func (c *compiler) groups(step int, n *codegen.Nest) *groups {
	facts := c.facts
	g := &groups{n: n, outer: loops(n, facts, n.Outer), inner: loops(n, facts, n.Inner), split: -1, width: 1, columns: n.VecOuter()}
	for _, p := range n.Phases {
		g.folds = max(g.folds, len(p.Reduce))
	}
	if len(g.inner) > 0 {
		g.split = len(g.inner) - 1
		if g.columns {
			g.split = longest(g.inner)
		} else {
			if g.width = c.lanes(n, g.inner); g.width > 1 {
				g.strict = c.strict(n, &g.inner[g.split], g.width)
			}
		}
	}
	g.rows = rowsOf(c.kernel, n)
	add := func(to *[]variant, suffix string, v variant) {
		v.e = c.entry(c.name(step, suffix), groupThreads, n)
		v.e.Dynamic, v.e.MinCTAs = true, 1
		(&groupCode{groups: g, variant: v, body: v.e.body()}).emit()
		*to = append(*to, v)
	}
	add(&g.variants, "", variant{})
	if len(g.rows) > 0 {
		add(&g.variants, "_scratch", variant{scratch: true})
	}
	if r := g.resident(c.kernel); r != nil {
		add(&g.variants, "_held", variant{held: &held{residency: r}})
	}
	if g.partable() {
		add(&g.parts, "_parts", variant{role: partial})
		add(&g.parts, "_sum", variant{role: final})
	}
	return g
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
	if !g.columns && g.role != final {
		g.rank = e.Op(asm.B32, "and.b32", tid, mask)
		g.group = e.Op(asm.B32, "shr.u32", tid, log)
		return
	}
	g.rank = e.Op(asm.B32, "and.b32", g.warp, mask)
	g.group = e.Op(asm.B32, "mad.lo.u32", e.Op(asm.B32, "shr.u32", g.warp, log), 32, g.lane)
}

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
	if g.held != nil {
		g.hold()
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
