package ptx

import (
	"jitc/codegen"
	"jitc/codegen/ptx/asm"
)

// pointThreads is the number of threads of a block of points: few, so that blocks
// start and end at different times and loads and arithmetic of different ones
// overlap.
const pointThreads = 128

// points is the schedule of a nest without inner axes. A thread computes a run of
// neighbouring points along the last loop, as many as fill 128 bits of the widest
// access, or a single point where an access is not aligned to its run:
//
//	item = block*128 + thread -> (i0, i1, ..., run)      run*step is its first point
//	if step == lanes and the run is complete: the body for all lanes
//	else: the body for one point, step times at most
//
// Which of the two is uniform: step is a parameter that Bind chooses. One entry
// with both bodies costs less to assemble than two entries, and the ragged end
// needs the second one anyhow.
type points struct {
	e      *entry
	n      *codegen.Nest
	outer  []loop
	lanes  int
	strict []int         // accesses whose runs must be aligned
	gemm   *codegen.Gemm // whose element a point is, summed up in front of the body
}

func (c *compiler) points(step int, suffix string, n *codegen.Nest, g *codegen.Gemm) *points {
	p := &points{e: c.entry(c.name(step, suffix), pointThreads, n), n: n, lanes: 1, gemm: g}
	if g == nil {
		p.outer = loops(n, c.facts, n.Outer)
		if p.lanes = c.lanes(n, p.outer); p.lanes > 1 {
			p.strict = c.strict(n, &p.outer[len(p.outer)-1], p.lanes)
		}
	} else {
		p.outer = epilogueLoops(n)
	}
	p.emit()
	return p
}

// maxLaneInsts bounds the code of a body with several lanes.
const maxLaneInsts = 1200

// lanes is how many points of the last loop a thread computes at a time: the
// widest access that is a run fills 128 bits.
func (c *compiler) lanes(n *codegen.Nest, ls []loop) int {
	if len(ls) == 0 {
		return 1
	}
	l := &ls[len(ls)-1]
	vary := varying(n, l)
	size := 0
	for i := range n.Insts {
		in := &n.Insts[i]
		if in.Op == codegen.Load || in.Op == codegen.Store {
			if b := &c.kernel.Bufs[n.Accs[in.Acc].Buf]; b.Kind != codegen.Tile && isRun(n, vary, in, l, 16/b.DType.Size()) {
				size = max(size, b.DType.Size())
			}
		}
	}
	if size == 0 {
		return 1
	}
	lanes := min(16/size, 8)
	for lanes > 2 && lanes*len(n.Insts) > maxLaneInsts {
		lanes /= 2
	}
	if e := l.constant(); e >= 0 && int(e) < lanes || lanes*len(n.Insts) > maxLaneInsts {
		return 1
	}
	return lanes
}

func (p *points) emit() {
	e := p.e
	b := e.body()
	b.loops = p.outer
	exit := e.NewLabel()
	block := e.position(e.Op(asm.B32, "mov.u32", "%ctaid.x"))
	thread := e.position(e.Op(asm.B32, "mov.u32", "%tid.x"))
	item := e.ix("mad.lo", block, pointThreads, thread)
	items := e.param(e.index(), "items", p.items)
	e.EmitIf(e.Op(asm.Pred, "setp.ge."+e.indexType(), item, items), "bra", exit)
	for a := range b.addr {
		if e.c.kernel.Bufs[p.n.Accs[a].Buf].Kind != codegen.Tile {
			b.addr[a] = b.base(a)
		}
	}
	at := p.decompose(item)
	all := p.globals()
	for i := range p.outer {
		l := &p.outer[i]
		if i == len(p.outer)-1 && p.lanes > 1 {
			at[i] = e.product(at[i], e.param(e.index(), "step", func(f *frame) int64 { return f.step }))
		}
		b.pos[l.last()] = at[i]
		b.addr = b.moved(b.addr, l, at[i], all)
	}
	if p.lanes > 1 {
		l := &p.outer[len(p.outer)-1]
		b.span(l, p.lanes, at[len(at)-1], e.size(l.extent, 1, func(f *frame) int64 { return l.length(f.nest) }), all, func() { p.one(b) })
	} else {
		p.one(b)
	}
	e.Place(exit)
}

// globals lists the accesses that have an address: all but those to a product.
func (p *points) globals() []bool {
	all := used(p.n, 0, len(p.n.Insts))
	for a := range all {
		all[a] = all[a] && p.e.c.kernel.Bufs[p.n.Accs[a].Buf].Kind != codegen.Tile
	}
	return all
}

// decompose splits an item into the positions of the loops, of the last one in
// units of steps.
func (p *points) decompose(item asm.Reg) []asm.Reg {
	at := make([]asm.Reg, len(p.outer))
	rest := item
	for i := len(p.outer) - 1; i > 0; i-- {
		l, known := &p.outer[i], p.outer[i].constant()
		count := func(f *frame) int64 { return l.length(f.nest) }
		key := "count " + l.extent.Key()
		if i == len(p.outer)-1 && p.lanes > 1 {
			count, known, key = func(f *frame) int64 { return ceilDiv(l.length(f.nest), f.step) }, -1, "runs"
		}
		rest, at[i] = p.e.quotient(rest, key, known, count)
	}
	if len(at) > 0 {
		at[0] = rest
	}
	return at
}

// items is the number of threads with work.
func (p *points) items(f *frame) int64 {
	n := int64(1)
	for i := range p.outer {
		n *= p.outer[i].length(f.nest)
	}
	if p.lanes > 1 {
		l := p.outer[len(p.outer)-1].length(f.nest)
		n = n / l * ceilDiv(l, f.step)
	}
	return n
}

// one emits the body for one point.
func (p *points) one(b *body) {
	if p.gemm != nil {
		p.sum(b)
	}
	for _, ph := range p.n.Phases {
		b.run(ph.From, ph.To)
	}
}

func ceilDiv(a, b int64) int64 { return (a + b - 1) / b }

func (p *points) bind(b *binding, step int) ([]Launch, error) {
	f := &frame{binding: b, step: 1}
	if f.setStep(step); f.nest.Empty {
		return nil, nil
	}
	if p.lanes > 1 && f.aligned(p.strict, p.outer, &p.outer[len(p.outer)-1], int64(p.lanes)) {
		f.step = int64(p.lanes)
	}
	l := Launch{Block: [3]uint32{pointThreads, 1, 1}}
	if err := f.grid(&l, p.e, ceilDiv(p.items(f), pointThreads)); err != nil {
		return nil, err
	}
	return []Launch{l}, p.e.fill(f, &l)
}
