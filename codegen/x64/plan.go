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
	tile    *tilePlan
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
	p.planTile()
	p.split()
	p.dropTile()
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
// An 8-byte value that is the same in all lanes does not halve their number: the
// low lanes are enough, and what is computed from it for all lanes is spread.
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

// uniform64 reports whether 8-byte value v is uniform and so are the values made
// from it, with no reduction among them.
func (p *plan) uniform64(v codegen.Val) bool {
	if p.vals[v].varying && p.mode != modeScalar {
		return false
	}
	for i := range p.nest.Insts {
		in := &p.nest.Insts[i]
		args := [3]codegen.Val{in.A, in.B, in.C}
		for _, o := range args[:in.Op.Arity()] {
			if o == v && p.vals[i].varying {
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
