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
	maxResidentCode = 4000 // instructions
)

// resident is how a nest's rows can be kept; nil if that gains nothing or cannot be.
func (g *groups) resident(k *codegen.Kernel) *residency {
	if g.columns || g.width < 2 || len(g.inner) != 1 || len(g.n.Insts)*residentLanes > maxResidentCode {
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

// held is the state of a row in registers: of each run of a thread its place, and
// what its accesses have.
type held struct {
	*residency
	at, live []asm.Reg
	addr     [][]asm.Reg
	vals     []map[int][]asm.Reg // per run: of a load or store
}

// hold finds the runs of the thread: run r of rank i is number i + r*ranks of the
// row.
func (g *groupCode) hold() {
	b, l := g.body, &g.inner[0]
	h := g.held
	h.at, h.live, h.addr, h.vals = nil, nil, nil, nil
	outer := b.addr
	end := b.Op(b.index(), "selp."+b.index().Bits(), b.size(l.extent, 1, func(f *frame) int64 { return l.length(f.nest) }), 0, g.live)
	at := b.product(b.position(g.rank), g.width)
	by := b.product(b.position(g.ranks), g.width)
	all := used(g.n, 0, len(g.n.Insts))
	for a := range all {
		all[a] = all[a] && !outer[a].IsNone()
	}
	for r := range residentLanes / g.width {
		if r > 0 {
			at = b.ix("add", at, by)
		}
		h.at = append(h.at, at)
		h.live = append(h.live, b.Op(asm.Pred, "setp.lt."+b.indexType(), at, end))
		h.addr = append(h.addr, b.moved(outer, l, at, all))
		h.vals = append(h.vals, map[int][]asm.Reg{})
	}
}

// loopHeld emits a looping phase over the runs of the thread: loads first, so that
// all are under way, then run by run.
func (g *groupCode) loopHeld(w *walk) {
	b, h := g.body, g.held
	b.across(&g.inner[0], g.width)
	b.runs = true
	for i := w.From; i < w.To; i++ {
		for r := range h.at {
			if in := &g.n.Insts[i]; in.Op == codegen.Load && g.ahead(w.Phase, i) {
				b.enter(g, r)
				h.vals[r][i] = g.loadHeld(i, in, r)
			}
		}
	}
	for r := range h.at {
		b.enter(g, r)
		for i := w.From; i < w.To; i++ {
			in := &g.n.Insts[i]
			switch have, ok := h.vals[r][i]; {
			case ok:
				b.vals[i] = have
			case in.Op == codegen.Load:
				b.vals[i] = g.loadHeld(i, in, r)
				h.vals[r][i] = b.vals[i]
			case in.Op == codegen.Store:
				h.vals[r][i] = g.rounded(in)
				if !h.drop[i] {
					b.store(i, in)
				}
			default:
				b.run(i, i+1)
			}
		}
		for i := range w.accs {
			w.accs[i].takeIf(b, h.live[r])
		}
	}
	b.loadIf, b.storeIf = asm.Reg{}, asm.Reg{}
	b.runs = false
}

// enter places the body at run r.
func (b *body) enter(g *groupCode, r int) {
	b.addr, b.pos[g.inner[0].last()] = g.held.addr[r], g.held.at[r]
	b.loadIf, b.storeIf = g.held.live[r], g.held.live[r]
}

// loadHeld is the value of a load in run r: one that is held, or loaded.
func (g *groupCode) loadHeld(i int, in *codegen.Inst, r int) []asm.Reg {
	if j, ok := g.held.forward[i]; ok {
		return g.held.vals[r][j]
	}
	if !g.vary[i] && r > 0 { // the same for the whole row
		return g.held.vals[0][i]
	}
	if !g.vary[i] {
		g.loadIf = g.live
	}
	return g.body.load(i, in)
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
