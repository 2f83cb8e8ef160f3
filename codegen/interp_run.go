package codegen

import "jitc/ir/tensor"

// run interprets the outer points of a box.
func (p *nestPlan) run(box Box) {
	for i, a := range p.b.Nest.Outer {
		if box.Lo[i] >= box.Hi[i] {
			return
		}
		p.starts[a], p.ends[a] = box.Lo[i], box.Hi[i]
	}
	copy(p.at, p.starts)
	laneOuter := p.laneOuter()
	for more := true; more; more = p.advance(p.outer) {
		if !laneOuter {
			p.point(1)
			continue
		}
		hi := p.ends[p.lane]
		for s := p.starts[p.lane]; s < hi; s += laneBlock {
			p.at[p.lane] = s
			p.point(int(min(laneBlock, hi-s)))
		}
	}
}

// advance moves to the next position of the axes, last one fastest; false at the
// end, with all of them back at their start.
func (p *nestPlan) advance(axes []int) bool {
	for i := len(axes) - 1; i >= 0; i-- {
		a := axes[i]
		if p.at[a]++; p.at[a] < p.ends[a] {
			return true
		}
		p.at[a] = p.starts[a]
	}
	return false
}

// point runs the phases at one outer point, or at n of them in lanes.
func (p *nestPlan) point(n int) {
	for i := range p.phases {
		ph := &p.phases[i]
		if ph.loop {
			p.loop(ph, n)
			continue
		}
		for _, op := range ph.ops {
			op(n)
		}
		for _, v := range ph.splat {
			splatLanes(p.regs[v], p.b.Nest.Insts[v].Type)
		}
	}
}

// loop runs a looping phase and leaves its reductions in their results.
func (p *nestPlan) loop(ph *phasePlan, n int) {
	for i := range ph.reduce {
		fillLanes(ph.reduce[i].acc, ph.reduce[i].typ, ph.reduce[i].neutral)
	}
	if p.b.InnerPoints() > 0 {
		p.innerPoints(ph, n)
	}
	for i := range ph.reduce {
		p.finish(&ph.reduce[i])
	}
}

func (p *nestPlan) innerPoints(ph *phasePlan, n int) {
	lanes := p.lane >= 0 && !p.laneOuter()
	for more := true; more; more = p.advance(p.inner) {
		if !lanes {
			ph.block(n)
			continue
		}
		for s := int64(0); s < p.b.Extent[p.lane]; s += laneBlock {
			p.at[p.lane] = s
			ph.block(int(min(laneBlock, p.b.Extent[p.lane]-s)))
		}
		p.at[p.lane] = 0
	}
}

// block evaluates the body of a looping phase for n lanes.
func (ph *phasePlan) block(n int) {
	for _, op := range ph.ops {
		op(n)
	}
	for i := range ph.reduce {
		ph.reduce[i].step(n)
	}
}

// finish moves an accumulator to its result: lane by lane where lanes are outer
// points, else folded into one value for all lanes.
func (p *nestPlan) finish(f *foldPlan) {
	if !p.laneOuter() {
		n := 1
		if p.lane >= 0 {
			n = int(min(laneBlock, p.b.Extent[p.lane]))
		}
		f.fold(f.acc, n)
		splatLanes(f.acc, f.typ)
	}
	copy(p.regs[f.result], f.acc)
}

// memory makes the function of a load or store.
func (p *nestPlan) memory(i int) func(n int) {
	in := &p.b.Nest.Insts[i]
	acc, decl := &p.b.Accs[in.Acc], &p.b.Nest.Accs[in.Acc]
	row := memoryTable[p.m.bound.Kernel.Bufs[acc.Buf].DType]
	a := &addressing{p: p, b: acc, tile: acc.Buf == p.tile, legal: p.m.bound.Kernel.Legal}
	if in.Pred != None {
		a.lanes.pred = lanesOf[bool](p.regs[in.Pred])
	}
	for _, d := range decl.Dyn {
		if a.lanes.index == nil {
			a.lanes.index = make([]int64, laneBlock)
		}
		words := p.regs[d.Val]
		if p.b.Nest.Insts[d.Val].Type == tensor.I32 {
			a.dyn = append(a.dyn, dynLanes{narrow: lanesOf[int32](words)})
		} else {
			a.dyn = append(a.dyn, dynLanes{wide: lanesOf[int64](words)})
		}
	}
	bufs, buf := p.m.bufs, acc.Buf
	if in.Op == Load {
		dst := p.regs[i]
		return func(n int) { row.load(dst, n, bufs[buf], a.block(n)) }
	}
	src := p.regs[in.A]
	return func(n int) { row.store(src, n, bufs[buf], a.block(n)) }
}

// addressing computes the addresses of an access for a block of lanes.
type addressing struct {
	p     *nestPlan
	b     *BoundAccess
	dyn   []dynLanes
	tile  bool // addressed relative to the current tile of a product
	legal bool // masks and clamps are instructions already
	lanes lanesAddr
}

// dynLanes are the lanes of a data-dependent index, of either type.
type dynLanes struct {
	narrow []int32
	wide   []int64
}

func (d *dynLanes) at(l int) int64 {
	if d.wide != nil {
		return d.wide[l]
	}
	return int64(d.narrow[l])
}

func (a *addressing) block(n int) *lanesAddr {
	p, out := a.p, &a.lanes
	out.off, out.stride, out.lo, out.hi = a.b.Offset, 0, 0, n
	if a.tile {
		out.off = p.tileOff
	}
	for x, s := range a.b.Strides {
		if a.tile {
			s = p.tileStride(x)
		}
		out.off += s * p.at[x]
		if x == p.lane {
			out.stride = s
		}
	}
	if !a.legal {
		for i := range a.b.Masks {
			a.restrict(&a.b.Masks[i])
		}
	}
	if len(a.dyn) > 0 {
		a.indexLanes(n)
	}
	return out
}

// restrict cuts the live lanes to those that pass a mask; its index is affine in
// the lane, so they are neighbours.
func (a *addressing) restrict(m *BoundMask) {
	v, c := m.Offset, int64(0)
	for x, k := range m.Coef {
		v += k * a.p.at[x]
		if x == a.p.lane {
			c = k
		}
	}
	live := interval{lo: int64(a.lanes.lo), hi: int64(a.lanes.hi) - 1}
	if c == 0 {
		if v < 0 || v >= m.Limit {
			live.hi = live.lo - 1
		}
	} else {
		at := BoundMask{Offset: v, Limit: m.Limit}
		live = live.cutBy(&at, c)
	}
	if live.empty() {
		live = interval{lo: 0, hi: -1}
	}
	a.lanes.lo, a.lanes.hi = int(live.lo), int(live.hi+1)
}

// indexLanes adds up the clamped data-dependent indices of n lanes.
func (a *addressing) indexLanes(n int) {
	idx := a.lanes.index[:n]
	clear(idx)
	for i := range a.dyn {
		d, b := &a.dyn[i], a.b.Dyn[i]
		for l := range idx {
			v := d.at(l)
			if !a.legal {
				v = max(min(v, b.Limit-1), 0)
			}
			idx[l] += v * b.Stride
		}
	}
}
