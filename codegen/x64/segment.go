package x64

import "jitc/codegen"

// split cuts the phases into segments and moves what is invariant out of them.
func (p *plan) split() {
	n := p.nest
	used := p.live()
	if p.mode == modeOuter {
		p.pre = &segment{unroll: 1}
	}
	for i := range n.Phases {
		ph := &n.Phases[i]
		last := len(p.segs) - 1
		if ph.Loop || last < 0 || p.segs[last].loop {
			p.segs = append(p.segs, segment{})
			last++
		}
		if ph.Loop && p.mode == modeInner { // room for what is invariant in the loop
			p.segs = append(p.segs, segment{loop: true, reduce: ph.Reduce})
			last++
		} else {
			p.segs[last].loop, p.segs[last].reduce = ph.Loop, ph.Reduce
		}
		for v := codegen.Val(ph.From); v < codegen.Val(ph.To); v++ {
			if !used[v] || p.vals[v].leaf {
				continue
			}
			s, id := &p.segs[last], int16(last)
			switch {
			case p.pre != nil && p.invariant(v, 1<<n.Vec|axisSet(n.Inner), func(seg int16) bool { return seg == preSegment }):
				s, id = p.pre, preSegment
			case ph.Loop && p.mode == modeInner && p.invariant(v, axisSet(n.Inner), func(seg int16) bool { return seg < int16(last) }):
				s, id = &p.segs[last-1], int16(last-1)
			}
			s.insts = append(s.insts, v)
			p.vals[v].seg = id
		}
		for _, r := range ph.Reduce {
			p.vals[r.Result].seg = int16(last)
		}
	}
	p.markGlobals()
}

func axisSet(axes []int) uint64 {
	s := uint64(0)
	for _, a := range axes {
		s |= 1 << a
	}
	return s
}

// live marks the values that a store or a reduction needs.
func (p *plan) live() []bool {
	used := make([]bool, len(p.vals))
	for i := range p.nest.Phases {
		for _, r := range p.nest.Phases[i].Reduce {
			used[r.Value] = true
		}
	}
	for i := len(used) - 1; i >= 0; i-- {
		if p.nest.Insts[i].Op == codegen.Store {
			used[i] = true
		}
		if used[i] {
			for _, o := range p.operands(codegen.Val(i)) {
				used[o] = true
			}
		}
	}
	return used
}

// invariant reports whether v may be computed before loops over the given axes:
// it depends on none of them, and its operands come from segments before. Points
// run in any order, so a load may move as long as the nest itself does not write
// the buffer.
func (p *plan) invariant(v codegen.Val, loops uint64, before func(seg int16) bool) bool {
	in := &p.nest.Insts[v]
	if p.vals[v].axes&loops != 0 || in.Op == codegen.Store {
		return false
	}
	for _, o := range p.operands(v) {
		if !p.vals[o].leaf && !before(p.vals[o].seg) {
			return false
		}
	}
	return in.Op != codegen.Load || !p.stored[p.nest.Accs[in.Acc].Buf]
}

// markGlobals finds the values that cross a segment boundary, and weighs uses.
func (p *plan) markGlobals() {
	use := func(v codegen.Val, id int16, weight int32) {
		p.vals[v].weight += weight
		if !p.vals[v].leaf && (p.vals[v].seg != id || p.nest.Insts[v].Op == codegen.Acc) {
			p.vals[v].global = true
		}
	}
	visit := func(s *segment, id int16, weight int32) {
		for _, v := range s.insts {
			for _, o := range p.operands(v) {
				use(o, id, weight)
			}
		}
		for _, r := range s.reduce {
			use(r.Value, id, weight)
		}
	}
	if p.pre != nil {
		visit(p.pre, preSegment, 1)
	}
	for i := range p.segs {
		weight := int32(1)
		if p.segs[i].loop || p.mode == modeOuter {
			weight = 8
		}
		visit(&p.segs[i], int16(i), weight)
	}
}

// countUses lists where each value is used in a segment.
func (p *plan) countUses(s *segment) {
	s.useAt = make([]int32, len(p.vals)+1)
	end := int32(len(s.insts))
	for _, v := range s.insts {
		for _, o := range p.operands(v) {
			s.useAt[o+1]++
		}
	}
	for _, r := range s.reduce {
		s.useAt[r.Value+1]++
	}
	for i := range p.vals {
		s.useAt[i+1] += s.useAt[i]
	}
	s.pos = make([]int32, s.useAt[len(p.vals)])
	fill := make([]int32, len(p.vals))
	put := func(v codegen.Val, at int32) {
		s.pos[s.useAt[v]+fill[v]] = at
		fill[v]++
	}
	for i, v := range s.insts {
		for _, o := range p.operands(v) {
			put(o, int32(i))
		}
	}
	for _, r := range s.reduce {
		put(r.Value, end)
	}
	p.findFolds(s)
}

// usesOf lists the positions at which v is used in s.
func (s *segment) usesOf(v codegen.Val) []int32 { return s.pos[s.useAt[v]:s.useAt[v+1]] }
