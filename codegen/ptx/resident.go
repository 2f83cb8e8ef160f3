package ptx

import (
	"jitc/codegen"
	"jitc/codegen/ptx/asm"
	"jitc/ir/tensor"
)

// residency keeps rows in registers: where a row is short enough for its group to
// hold, a phase takes what an earlier one has loaded or stored, and memory that
// only carries values from phase to phase is not touched.
//
//	softmax, as lowered           in registers
//	phase 0  load x               load x
//	phase 1  load x, store y      -
//	phase 3  load y, store y      store y
type residency struct {
	forward map[int]int // load -> the load or store whose value it has
	drop    []bool      // stores that nobody reads
}

// residentLanes is how many elements of a row a thread holds, at most.
const (
	residentLanes   = 16
	maxHeld         = groupThreads * residentLanes
	maxResidentCode = 4000 // instructions
)

// resident is how a nest's rows can be kept; nil if that gains nothing or cannot be.
func (g *groups) resident(k *codegen.Kernel) *residency {
	if g.columns || len(g.inner) != 1 || len(g.n.Insts)*residentLanes > maxResidentCode {
		return nil
	}
	r := &residency{forward: map[int]int{}, drop: make([]bool, len(g.n.Insts))}
	last := map[int]int{} // access -> load or store whose value its element has
	for _, p := range g.n.Phases {
		for i := p.From; i < p.To; i++ {
			switch g.n.Insts[i].Op {
			case codegen.Load:
				r.load(g, p.Loop, i, last)
			case codegen.Store:
				g.stored(p.Loop, i, last)
			}
		}
	}
	if len(r.forward) == 0 {
		return nil
	}
	r.dropStores(g, k)
	for i := range g.n.Insts {
		in := &g.n.Insts[i]
		_, forwarded := r.forward[i]
		if (in.Op == codegen.Load || in.Op == codegen.Store) && k.Bufs[g.n.Accs[in.Acc].Buf].Kind == codegen.Row && !forwarded && !r.drop[i] {
			return nil
		}
	}
	return r
}

func (r *residency) load(g *groups, loop bool, i int, last map[int]int) {
	in := &g.n.Insts[i]
	if !loop || in.Pred != codegen.None || len(g.n.Accs[in.Acc].Dyn) > 0 {
		return
	}
	if j, ok := last[in.Acc]; ok {
		r.forward[i] = j
	} else {
		last[in.Acc] = i
	}
}

// stored forgets what a store may change.
func (g *groups) stored(loop bool, i int, last map[int]int) {
	in := &g.n.Insts[i]
	for a := range g.n.Accs {
		if g.n.Accs[a].Buf == g.n.Accs[in.Acc].Buf {
			delete(last, a)
		}
	}
	if loop && in.Pred == codegen.None && g.moves(in.Acc) {
		last[in.Acc] = i
	}
}

// dropStores finds stores to rows, and stores that a later one overwrites, all of
// whose readers take the value from a register.
func (r *residency) dropStores(g *groups, k *codegen.Kernel) {
	for _, p := range g.n.Phases {
		for i := p.From; p.Loop && i < p.To; i++ {
			in := &g.n.Insts[i]
			if in.Op != codegen.Store || in.Pred != codegen.None || !g.moves(in.Acc) {
				continue
			}
			r.drop[i] = r.unread(g, k, i)
		}
	}
}

func (r *residency) unread(g *groups, k *codegen.Kernel, store int) bool {
	acc := g.n.Insts[store].Acc
	buf := g.n.Accs[acc].Buf
	for _, p := range g.n.Phases {
		for i := max(p.From, store+1); i < p.To; i++ {
			in := &g.n.Insts[i]
			if in.Op != codegen.Load && in.Op != codegen.Store || g.n.Accs[in.Acc].Buf != buf {
				continue
			}
			if in.Op == codegen.Store && p.Loop && in.Acc == acc && in.Pred == codegen.None {
				return true
			}
			if _, ok := r.forward[i]; in.Op == codegen.Load && !ok {
				return false
			}
		}
	}
	return k.Bufs[buf].Kind == codegen.Row
}

// held is the state of a row in registers: what the accesses of each run have.
// Places are computed where they are needed, since addresses would take more
// registers than elements.
//
// Run r of rank i is number i + r*ranks of the row. What a warp does not have it
// does not compute.
type held struct {
	*residency
	share share
	vals  []map[int][]asm.Reg // per run: of a load or store
	begun []map[int]loaded    // per run: loads of the phase that have been emitted
}

func (g *groupCode) hold() {
	h := g.held
	h.share, h.vals, h.begun = g.rangeOf(0, g.width), nil, nil
	for range residentLanes / g.width {
		h.vals, h.begun = append(h.vals, map[int][]asm.Reg{}), append(h.begun, map[int]loaded{})
	}
}

// loopHeld emits a looping phase over the runs of the thread: loads first, so that
// all are under way, then run by run.
func (g *groupCode) loopHeld(w *walk) {
	b, h := g.body, g.held
	b.across(&g.inner[0], g.width)
	b.runs = g.width > 1
	ahead := make([]bool, len(g.n.Insts))
	first, then := make([]bool, len(g.n.Accs)), make([]bool, len(g.n.Accs))
	for i := w.From; i < w.To; i++ {
		in := &g.n.Insts[i]
		_, forwarded := h.forward[i]
		switch {
		case in.Op == codegen.Load && g.ahead(w.Phase, i):
			ahead[i] = true
			first[in.Acc] = first[in.Acc] || !forwarded
		case in.Op == codegen.Load && !forwarded, in.Op == codegen.Store && !h.drop[i]:
			then[in.Acc] = true
		}
	}
	g.heldRuns(first, func(r int, _ asm.Reg) {
		for i := w.From; i < w.To; i++ {
			if ahead[i] {
				h.begun[r][i] = g.beginHeld(i, &g.n.Insts[i], r)
			}
		}
	})
	g.heldRuns(then, func(r int, live asm.Reg) {
		for i := w.From; i < w.To; i++ {
			g.visitHeld(i, r)
		}
		for i := range w.accs {
			w.accs[i].takeIf(b, live)
		}
	})
	b.loadIf, b.storeIf = asm.Reg{}, asm.Reg{}
	b.runs = false
}

// heldRuns emits code for every run, as far as the warp has runs.
func (g *groupCode) heldRuns(uses []bool, emit func(r int, live asm.Reg)) {
	b, l, s := g.body, &g.inner[0], g.held.share
	base, done := b.addr, b.NewLabel()
	for r := range g.held.vals {
		at, low := b.copyOf(s.start), b.copyOf(s.low)
		if r > 0 {
			at, low = b.ix("mad.lo", s.by, r, at), b.ix("mad.lo", s.by, r, low)
			g.leave(low, s, done)
		}
		live := b.Op(asm.Pred, "setp.lt."+b.indexType(), at, s.end) // rows are whole runs
		g.enter(l, &run{at: at, live: live, addr: b.moved(base, l, at, uses)})
		emit(r, live)
	}
	b.Place(done)
	b.addr = base
}

// visitHeld emits one instruction for a run.
func (g *groupCode) visitHeld(i, r int) {
	b, h, in := g.body, g.held, &g.n.Insts[i]
	switch in.Op {
	case codegen.Load:
		begun := h.begun[r][i]
		if begun == nil {
			begun = g.beginHeld(i, in, r)
		}
		b.vals[i] = begun()
		h.vals[r][i] = b.vals[i]
	case codegen.Store:
		h.vals[r][i] = g.rounded(in)
		if !h.drop[i] {
			b.store(i, in)
		}
	default:
		b.run(i, i+1)
	}
}

// beginHeld is the value of a load in run r: one that is held, or loaded.
func (g *groupCode) beginHeld(i int, in *codegen.Inst, r int) loaded {
	if j, ok := g.held.forward[i]; ok {
		return func() []asm.Reg { return g.held.vals[r][j] }
	}
	if !g.vary[i] && r > 0 { // the same for the whole row
		return func() []asm.Reg { return g.held.vals[0][i] }
	}
	return g.begin(i, in)
}

// ahead reports whether a load's value can be had in front of its whole phase.
func (g *groupCode) ahead(p *codegen.Phase, i int) bool {
	if j, ok := g.held.forward[i]; ok {
		return j < p.From
	}
	return g.early(p, i)
}

// rounded is what a load would give of what is stored.
func (g *groupCode) rounded(in *codegen.Inst) []asm.Reg {
	t := g.c.kernel.Bufs[g.n.Accs[in.Acc].Buf].DType
	src := &g.n.Insts[in.A]
	vals := append([]asm.Reg(nil), g.vals[in.A]...)
	if t.Size() >= 4 || t == tensor.Bool || src.Op == codegen.RoundTo && src.Round == t {
		return vals
	}
	row := memoryRows[t]
	for i, v := range vals {
		if t.IsFloat() {
			vals[i] = row.load(g.Kernel, row.store(g.Kernel, v))
		} else {
			vals[i] = row.unpack(g.Kernel, v, 0)
		}
	}
	return vals
}
