package x64

import (
	"jitc/codegen"
	"jitc/codegen/x64/asm"
	"jitc/ir/tensor"
)

// mode says where the vector axis lies.
type mode uint8

const (
	modeScalar mode = iota // no vector axis: every lane computes the same point
	modeOuter              // lanes are neighbouring outer points; inner loops are scalar
	modeInner              // lanes are neighbouring inner points; values of an outer point are uniform
)

// maxUnroll bounds the interleaved copies of a body, and fixes the number of
// accumulators of a reduction over the vector axis.
const maxUnroll = 4

// plan is what is known about a nest before a byte is emitted.
type plan struct {
	kern  *codegen.Kernel
	nest  *codegen.Nest
	z     bool // AVX-512, else AVX2
	fast  bool // fast math
	wide  bool // some value has 8 bytes per lane
	lanes int
	full  asm.VL // length of values as wide as the widest
	half  asm.VL // length of 4-byte values in a wide nest
	mode  mode
	outer []int // scalar outer axes, outermost first
	inner []int // scalar inner axes

	vals    []value
	accs    []access
	streams []stream
	segs    []segment
	pre     *segment // modeOuter: runs once before the vector loop
	opAt    []int32  // operands of instruction i are ops[opAt[i]:opAt[i+1]]
	ops     []codegen.Val
	stored  []bool // by buffer
	nt      []bool // by buffer
	idxUsed uint64 // axes whose position an instruction reads
}

// preSegment is the number of plan.pre as a value's segment.
const preSegment = -2

// value is what is known about one value of the nest.
type value struct {
	axes    uint64 // axes that the value depends on
	varying bool   // differs between lanes
	leaf    bool   // constant, size or position: read from memory wherever it is used
	mask    bool   // lives in an opmask register
	global  bool   // used in another segment than its own
	seg     int16  // segment that computes it, preSegment for plan.pre, -1 for a leaf
	uses    int32
	weight  int32 // uses, those in loops counting more
}

// segment is a run of instructions between loop boundaries: consecutive
// non-looping phases, or one looping phase.
type segment struct {
	loop   bool
	insts  []codegen.Val
	reduce []codegen.Reduction
	unroll int
	accMem bool // accumulators live in memory for want of registers

	// Uses by position in insts; len(insts) stands for the segment's end.
	useAt []int32 // uses of value v are pos[useAt[v]:useAt[v+1]]
	pos   []int32
	fold  []bool // by value: a load that becomes its consumer's memory operand
}

// newPlan analyses a legalised nest.
func newPlan(k *codegen.Kernel, n *codegen.Nest, z bool, o Options) (*plan, error) {
	p := &plan{kern: k, nest: n, z: z, fast: o.FastMath, nt: o.NonTemporal}
	if len(n.Axes) > 64 {
		return nil, &Unsupported{"more than 64 axes"}
	}
	p.findMode()
	p.listOperands()
	p.stored = make([]bool, len(k.Bufs))
	for i := range n.Insts {
		if n.Insts[i].Op == codegen.Store {
			p.stored[n.Accs[n.Insts[i].Acc].Buf] = true
		}
	}
	p.flowAxes()
	p.chooseLanes()
	p.planAccesses()
	if err := p.check(); err != nil {
		return nil, err
	}
	p.split()
	for i := range p.segs {
		p.countUses(&p.segs[i])
	}
	if p.pre != nil {
		p.countUses(p.pre)
	}
	return p, nil
}

func (p *plan) findMode() {
	n := p.nest
	p.outer, p.inner = n.Outer, n.Inner
	switch {
	case n.Vec < 0:
	case len(n.Inner) > 0 && n.Inner[len(n.Inner)-1] == n.Vec:
		p.mode, p.inner = modeInner, n.Inner[:len(n.Inner)-1]
	case len(n.Outer) > 0 && n.Outer[len(n.Outer)-1] == n.Vec:
		p.mode, p.outer = modeOuter, n.Outer[:len(n.Outer)-1]
	}
}

// listOperands flattens the operands of each instruction, with those of its access.
func (p *plan) listOperands() {
	n := p.nest
	p.opAt = make([]int32, len(n.Insts)+1)
	p.ops = make([]codegen.Val, 0, 3*len(n.Insts))
	for i := range n.Insts {
		in := &n.Insts[i]
		p.opAt[i] = int32(len(p.ops))
		operands := [3]codegen.Val{in.A, in.B, in.C}
		p.ops = append(p.ops, operands[:in.Op.Arity()]...)
		if in.Op == codegen.Load || in.Op == codegen.Store {
			if in.Pred != codegen.None {
				p.ops = append(p.ops, in.Pred)
			}
			for _, d := range n.Accs[in.Acc].Dyn {
				p.ops = append(p.ops, d.Val)
			}
		}
	}
	p.opAt[len(n.Insts)] = int32(len(p.ops))
}

// operands lists the values that instruction v reads, each as often as it reads it.
func (p *plan) operands(v codegen.Val) []codegen.Val { return p.ops[p.opAt[v]:p.opAt[v+1]] }

// flowAxes finds which axes each value depends on.
func (p *plan) flowAxes() {
	n := p.nest
	p.vals = make([]value, len(n.Insts))
	innerAxes := uint64(0)
	for _, a := range n.Inner {
		innerAxes |= 1 << a
	}
	vec := uint64(0)
	if n.Vec >= 0 {
		vec = 1 << n.Vec
	}
	accOf := make([]codegen.Val, len(n.Insts))
	for i := range n.Phases {
		for _, r := range n.Phases[i].Reduce {
			accOf[r.Result] = r.Value
		}
	}
	for i := range n.Insts {
		in, v := &n.Insts[i], &p.vals[i]
		v.seg = -1
		for _, o := range p.operands(codegen.Val(i)) {
			v.axes |= p.vals[o].axes
			p.vals[o].uses++
		}
		switch in.Op {
		case codegen.Const, codegen.Size:
			v.leaf = true
		case codegen.Index:
			v.axes = 1 << in.Axis
			v.leaf = in.Axis != n.Vec
			if v.leaf {
				p.idxUsed |= v.axes
			}
		case codegen.Load, codegen.Store:
			v.axes |= strideAxes(&n.Accs[in.Acc])
		case codegen.Acc:
			v.axes = p.vals[accOf[i]].axes &^ innerAxes
		}
		v.varying = v.axes&vec != 0
		v.mask = p.z && in.Type == tensor.Bool && in.Op != codegen.Store
	}
	for i := range n.Phases {
		for _, r := range n.Phases[i].Reduce {
			p.vals[r.Value].uses++
		}
	}
}

// strideAxes is the set of axes along which an access moves.
func strideAxes(a *codegen.Access) uint64 {
	axes := uint64(0)
	for i, s := range a.Strides {
		if c, ok := s.Const(); !ok || c != 0 {
			axes |= 1 << i
		}
	}
	return axes
}

// chooseLanes: as many lanes as a vector holds of the widest value.
//
// An 8-byte value that is the same in all lanes does not halve their number as
// long as only its first lanes are read: by an address, or by further such values.
func (p *plan) chooseLanes() {
	for i := range p.vals {
		if p.nest.Insts[i].Type.Size() == 8 && p.nest.Insts[i].Op != codegen.Store && !p.uniform64(codegen.Val(i)) {
			p.wide = true
		}
	}
	p.full, p.half = asm.Y256, asm.X128
	if p.z {
		p.full, p.half = asm.Z512, asm.Y256
	}
	p.lanes = p.full.Bytes() / 4
	if p.wide {
		p.lanes /= 2
	}
}

// uniform64 reports whether 8-byte value v is uniform and so are the values made from it.
func (p *plan) uniform64(v codegen.Val) bool {
	if p.vals[v].varying && p.mode != modeScalar {
		return false
	}
	for i := range p.nest.Insts {
		in := &p.nest.Insts[i]
		args := [3]codegen.Val{in.A, in.B, in.C}
		for _, o := range args[:in.Op.Arity()] {
			if o == v && (in.Op == codegen.Store || in.Type.Size() != 8 || p.vals[i].varying) {
				return false
			}
		}
	}
	for i := range p.nest.Phases {
		for _, r := range p.nest.Phases[i].Reduce {
			if r.Value == v || r.Result == v {
				return false
			}
		}
	}
	return !p.indexesLanes(v)
}

// indexesLanes reports whether v is one index of an access whose other indices
// differ between lanes.
func (p *plan) indexesLanes(v codegen.Val) bool {
	for i := range p.nest.Accs {
		mine, varies := false, false
		for _, d := range p.nest.Accs[i].Dyn {
			mine = mine || d.Val == v
			varies = varies || p.vals[d.Val].varying
		}
		if mine && varies {
			return true
		}
	}
	return false
}

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
