package ptx

import (
	"jitc/codegen"
	"jitc/codegen/ptx/asm"
)

// pointThreads is the number of threads of a block of points: few, so that blocks
// start and end at different times and loads and arithmetic of different ones
// overlap.
const pointThreads = 128

// points is the schedule of a nest without inner axes. An item is a run of
// neighbouring points along the last loop, as many as fill 128 bits of the widest
// access; or, in an entry of its own for sizes at which accesses are not aligned, a
// single point. A thread computes one item, or several where one does not ask for much of
// memory: then all their loads come first.
//
//	item = (block*together + i)*128 + thread -> (i0, i1, ..., run)
//	run*lanes is its first point
//
// Items that are not complete are computed point by point.
type points struct {
	n      *codegen.Nest
	outer  []loop
	lanes  int
	strict []int         // accesses whose runs must be aligned
	gemm   *codegen.Gemm // whose element a point is, summed up in front of the body
	runs   *pointCode    // nil: no access is a run
	single *pointCode    // nil: runs are aligned at all sizes
}

// pointCode is an entry of points, for items of a width.
type pointCode struct {
	*points
	e        *entry
	width    int
	together int // items of a thread
}

func (c *compiler) points(step int, suffix string, n *codegen.Nest, g *codegen.Gemm) *points {
	p := &points{n: n, lanes: 1, gemm: g}
	if g != nil {
		p.outer = epilogueLoops(n)
	} else if p.outer = loops(n, c.facts, n.Outer); len(p.outer) > 0 {
		if p.lanes = c.lanes(n, p.outer, len(p.outer) > 1); p.lanes > 1 {
			p.strict = c.strict(n, &p.outer[len(p.outer)-1], p.lanes)
		}
	}
	if p.lanes > 1 {
		p.runs = p.emit(c, c.name(step, suffix), p.lanes)
		suffix += "_single"
	}
	if p.lanes == 1 || !c.alignedAlways(n, p.strict, p.outer, p.lanes) {
		p.single = p.emit(c, c.name(step, suffix), 1)
	}
	return p
}

// alignedAlways reports whether accesses are aligned to their runs along the last
// loop whatever the sizes, if buffers are.
func (c *compiler) alignedAlways(n *codegen.Nest, accs []int, ls []loop, lanes int) bool {
	ok := true
	for _, acc := range accs {
		a := &n.Accs[acc]
		for i := range ls[:len(ls)-1] {
			ok = ok && c.facts.Divides(int64(lanes), a.Strides[ls[i].last()])
		}
		for _, d := range a.Dyn {
			ok = ok && c.facts.Divides(int64(lanes), d.Stride)
		}
	}
	return ok
}

// maxLaneInsts bounds the code of a body with several lanes.
const maxLaneInsts = 1200

// lanes is how many points of the last loop a thread computes at a time: the
// widest access of the caller's memory that is a run fills 128 bits. Rows of a known length are made of
// whole runs, where rows are at some pitch.
func (c *compiler) lanes(n *codegen.Nest, ls []loop, pitch bool) int {
	if len(ls) == 0 {
		return 1
	}
	l := &ls[len(ls)-1]
	vary := varying(n, l)
	size := 0
	for i := range n.Insts {
		in := &n.Insts[i]
		if in.Op == codegen.Load || in.Op == codegen.Store {
			if b := &c.kernel.Bufs[n.Accs[in.Acc].Buf]; b.Kind < codegen.Row && isRun(n, vary, in, l, 16/b.DType.Size()) {
				size = max(size, b.DType.Size())
			}
		}
	}
	if size == 0 {
		return 1
	}
	lanes := 16 / size
	if lanes > 8 && lanes*len(n.Insts) > maxLaneInsts/4 {
		lanes = 8
	}
	for lanes > 2 && lanes*len(n.Insts) > maxLaneInsts {
		lanes /= 2
	}
	if lanes*len(n.Insts) > maxLaneInsts {
		return 1
	}
	for e := l.constant(); lanes > 1 && e >= 0 && (int(e) < lanes || pitch && int(e)%lanes != 0); {
		lanes /= 2
	}
	return lanes
}

// Items of a thread, at most, and the bytes of loads that make one item enough.
const (
	maxTogether = 8
	pointBytes  = 16
)

// items is how many items a thread computes.
func (p *pointCode) items() int {
	if p.gemm != nil || len(p.outer) == 0 {
		return 1
	}
	bytes, last := 0, p.outer[len(p.outer)-1].last()
	for i := range p.n.Insts {
		if in := &p.n.Insts[i]; in.Op == codegen.Load && p.n.Accs[in.Acc].Class(last) != codegen.StrideZero && early(p.n, 0, len(p.n.Insts), i) {
			bytes += p.width * p.e.c.kernel.Bufs[p.n.Accs[in.Acc].Buf].DType.Size()
		}
	}
	if bytes == 0 {
		return 1
	}
	n := max(1, min(maxTogether, pointBytes/bytes))
	for n > 1 && n*p.width*len(p.n.Insts) > maxLaneInsts {
		n /= 2
	}
	return n
}

// emit emits the entry for items of a width.
func (p *points) emit(c *compiler, name string, width int) *pointCode {
	e := c.entry(name, pointThreads, p.n)
	code := &pointCode{points: p, e: e, width: width}
	code.together = code.items()
	b := e.body()
	b.loops = p.outer
	exit := e.NewLabel()
	block := e.position(e.Op(asm.B32, "mov.u32", "%ctaid.x"))
	thread := e.position(e.Op(asm.B32, "mov.u32", "%tid.x"))
	item := e.copyOf(e.ix("mad.lo", block, pointThreads*code.together, thread))
	items := e.param(e.index(), "items", code.count)
	for a := range b.addr {
		if e.c.kernel.Bufs[p.n.Accs[a].Buf].Kind != codegen.Tile {
			b.addr[a] = b.base(a)
		}
	}
	if code.together > 1 {
		code.several(b, item, items, exit)
	}
	code.oneByOne(b, item, items, exit)
	e.Place(exit)
	return code
}

// oneByOne emits the loop over the thread's items.
func (p *pointCode) oneByOne(b *body, item, items asm.Reg, exit asm.Label) {
	e, base := p.e, b.addr
	var end asm.Reg
	if p.together > 1 {
		end = e.ix("add", item, p.together*pointThreads)
	}
	head := e.NewLabel()
	e.Place(head)
	e.EmitIf(e.Op(asm.Pred, "setp.ge."+e.indexType(), item, items), "bra", exit)
	at := p.enter(b, item)
	if p.width > 1 {
		l := p.last()
		b.span(l, p.width, at, p.wholes(), e.size(l.extent, 1, p.length), p.globals(), func() { p.visit(b) })
	} else {
		b.lanes, b.runs = 1, false
		p.visit(b)
	}
	if p.together == 1 {
		return
	}
	b.addr = base
	e.Set(item, "add."+e.indexType(), item, pointThreads)
	e.EmitIf(e.Op(asm.Pred, "setp.lt."+e.indexType(), item, end), "bra", head)
}

// several emits the thread's items at once, if all are complete.
func (p *pointCode) several(b *body, item, items asm.Reg, exit asm.Label) {
	e, base := p.e, b.addr
	slow := e.NewLabel()
	e.EmitIf(e.Op(asm.Pred, "setp.ge."+e.indexType(), e.ix("add", item, (p.together-1)*pointThreads), items), "bra", slow)
	l := p.last()
	type place struct{ pos, addr []asm.Reg }
	places := make([]place, p.together)
	for i := range places {
		if i > 0 {
			b.pos, b.addr = append([]asm.Reg(nil), b.pos...), base
		}
		at := p.enter(b, e.ix("add", item, i*pointThreads))
		if p.width > 1 {
			e.EmitIf(e.Op(asm.Pred, "setp.gt."+e.indexType(), e.ix("add", at, p.width), p.wholes()), "bra", slow)
		}
		places[i] = place{b.pos, b.addr}
	}
	b.across(l, p.width)
	b.runs = p.width > 1
	have := make([]map[int]loaded, p.together)
	for i := range places {
		b.pos, b.addr, have[i] = places[i].pos, places[i].addr, map[int]loaded{}
		for j := range p.n.Insts {
			if in := &p.n.Insts[j]; in.Op == codegen.Load && early(p.n, 0, len(p.n.Insts), j) {
				have[i][j] = b.begin(j, in)
			}
		}
	}
	for i := range places {
		b.pos, b.addr, b.have = places[i].pos, places[i].addr, have[i]
		p.visit(b)
	}
	b.have, b.addr = nil, base
	e.Emit("bra", exit)
	e.Place(slow)
}

// wholes is where runs end: the length of the last loop, or 0 where the caller's
// buffers are not aligned and there is no entry for that.
func (p *pointCode) wholes() any {
	return p.e.param(p.e.index(), "end of runs", func(f *frame) int64 {
		if f.step == 1 {
			return 0
		}
		return p.length(f)
	})
}

func (p *points) last() *loop { return &p.outer[len(p.outer)-1] }

func (p *points) length(f *frame) int64 { return p.last().length(f.nest) }

// globals lists the accesses that have an address: all but those to a product.
func (p *pointCode) globals() []bool {
	all := used(p.n, 0, len(p.n.Insts))
	for a := range all {
		all[a] = all[a] && p.e.c.kernel.Bufs[p.n.Accs[a].Buf].Kind != codegen.Tile
	}
	return all
}

// enter places the body at the first point of an item, whose position on the last
// loop it returns.
func (p *pointCode) enter(b *body, item asm.Reg) (last asm.Reg) {
	all := p.globals()
	at := p.decompose(item)
	for i := range p.outer {
		l := &p.outer[i]
		if i == len(p.outer)-1 && p.width > 1 {
			at[i] = p.e.product(at[i], p.width)
		}
		last = at[i]
		b.pos[l.last()] = last
		b.addr = b.moved(b.addr, l, last, all)
	}
	return last
}

// decompose splits an item into the positions of the loops, of the last one in
// runs.
func (p *pointCode) decompose(item asm.Reg) []asm.Reg {
	at := make([]asm.Reg, len(p.outer))
	rest := item
	for i := len(p.outer) - 1; i > 0; i-- {
		l, known, width := &p.outer[i], p.outer[i].constant(), int64(1)
		key := "count " + l.extent.Key()
		if i == len(p.outer)-1 && p.width > 1 {
			width, key = int64(p.width), "runs"
			if known >= 0 {
				known = ceilDiv(known, width)
			}
		}
		rest, at[i] = p.e.quotient(rest, key, known, func(f *frame) int64 { return ceilDiv(l.length(f.nest), width) })
	}
	if len(at) > 0 {
		at[0] = rest
	}
	return at
}

// count is the number of items.
func (p *pointCode) count(f *frame) int64 {
	n := int64(1)
	for i := range p.outer {
		if k := p.outer[i].length(f.nest); i < len(p.outer)-1 {
			n *= k
		} else {
			n *= ceilDiv(k, int64(p.width))
		}
	}
	return n
}

// visit emits the nest's body.
func (p *pointCode) visit(b *body) {
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
	code := p.single
	if p.lanes > 1 && f.aligned(p.strict, p.outer, p.last(), int64(p.lanes)) {
		f.step, code = int64(p.lanes), p.runs
	}
	if code == nil {
		code = p.runs
	}
	l := Launch{Block: [3]uint32{pointThreads, 1, 1}}
	if err := f.grid(&l, code.e, ceilDiv(code.count(f), int64(pointThreads*code.together))); err != nil {
		return nil, err
	}
	return []Launch{l}, code.e.fill(f, &l)
}
