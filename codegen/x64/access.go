package x64

import (
	"jitc/codegen"
	"jitc/codegen/x64/asm"
	"jitc/ir/dim"
	"jitc/ir/tensor"
)

// pitch is how an access moves from lane to lane.
type pitch uint8

const (
	pitchZero pitch = iota // every lane reads the same element
	pitchOne               // neighbouring elements
	pitchAny               // a stride known at run time
)

// access is the plan of one access of the nest.
type access struct {
	stream int
	disp   int32 // bytes from the stream's pointer
	pitch  pitch
	dtype  tensor.DType // in memory
	esize  int32
	vary   bool // a data-dependent index differs between lanes
	dyn    []codegen.Dyn
	dynAt  int // first of its slots in layout.dyn
}

// stream is a pointer that walks a buffer: accesses whose addresses differ by
// constants share one.
type stream struct {
	acc   int // an access of the stream, which defines its strides
	moves uint64
	reg   asm.Reg // NoReg: the pointer stays in the argument block
	uses  int32
	lane  bool // some access has pitchAny: needs lane offsets and a pointer of its own in the vector loop
}

// streamRegs hold stream pointers, in order of preference.
var streamRegs = [...]asm.Reg{asm.RSI, asm.R8, asm.R9, asm.R10, asm.R11, asm.R12, asm.R13, asm.R14}

// maxDisp bounds the distance of accesses that share a pointer.
const maxDisp = 1 << 24

// planAccesses classifies the accesses and groups them into streams.
func (p *plan) planAccesses() {
	n := p.nest
	p.accs = make([]access, len(n.Accs))
	dyn := 0
	for i := range n.Accs {
		a := &n.Accs[i]
		out := &p.accs[i]
		*out = access{stream: -1, dtype: p.kern.Bufs[a.Buf].DType, dyn: a.Dyn, dynAt: dyn}
		out.esize = int32(out.dtype.Size())
		dyn += len(a.Dyn)
		for _, d := range a.Dyn {
			out.vary = out.vary || p.vals[d.Val].varying
		}
		if n.Vec >= 0 {
			switch a.Class(n.Vec) {
			case codegen.StrideZero:
			case codegen.StrideOne:
				out.pitch = pitchOne
			default:
				out.pitch = pitchAny
			}
		}
		p.joinStream(i)
	}
	p.assignRegisters()
}

// joinStream finds a stream for access i or starts one.
func (p *plan) joinStream(i int) {
	a, out := &p.nest.Accs[i], &p.accs[i]
	for s := range p.streams {
		b := &p.nest.Accs[p.streams[s].acc]
		if b.Buf != a.Buf || !equalExprs(a.Strides, b.Strides) {
			continue
		}
		d, ok := a.Offset.Sub(b.Offset).Const()
		if ok && d > -maxDisp && d < maxDisp {
			out.stream, out.disp = s, int32(d)*out.esize
			break
		}
	}
	if out.stream < 0 {
		out.stream = len(p.streams)
		p.streams = append(p.streams, stream{acc: i, moves: strideAxes(a), reg: asm.NoReg})
	}
	if out.pitch == pitchAny {
		p.streams[out.stream].lane = true
	}
}

func equalExprs(a, b []dim.Expr) bool {
	for i := range a {
		if !a[i].Equal(b[i]) {
			return false
		}
	}
	return true
}

// assignRegisters gives pointers of the most used streams a register.
func (p *plan) assignRegisters() {
	for i := range p.nest.Phases {
		ph := &p.nest.Phases[i]
		weight := int32(1)
		if ph.Loop {
			weight = 8
		}
		for v := ph.From; v < ph.To; v++ {
			if in := &p.nest.Insts[v]; in.Op == codegen.Load || in.Op == codegen.Store {
				p.streams[p.accs[in.Acc].stream].uses += weight
			}
		}
	}
	for _, r := range streamRegs {
		best := -1
		for s := range p.streams {
			st := &p.streams[s]
			if st.reg == asm.NoReg && !st.lane && st.uses > 0 && (best < 0 || st.uses > p.streams[best].uses) {
				best = s
			}
		}
		if best < 0 {
			return
		}
		p.streams[best].reg = r
	}
}

// findFolds marks the loads of a segment that become memory operands: used once,
// by an instruction that takes memory in that place, with no store between.
func (p *plan) findFolds(s *segment) {
	s.fold = make([]bool, len(p.vals))
	for i, v := range s.insts {
		in := &p.nest.Insts[v]
		if in.Op != codegen.Load || p.vals[v].global || in.Pred != codegen.None {
			continue
		}
		a := &p.accs[in.Acc]
		uses := s.usesOf(v)
		if len(uses) != 1 || int(uses[0]) >= len(s.insts) || len(a.dyn) > 0 || a.dtype != in.Type || in.Type == tensor.Bool {
			continue
		}
		if p.pitchIn(s, in.Acc) == pitchAny || p.pitchIn(s, in.Acc) == pitchZero && !p.z {
			continue
		}
		if p.takesMemory(s, s.insts[uses[0]], v) && !p.storeBetween(s, i, int(uses[0])) {
			s.fold[v] = true
		}
	}
}

// pitchIn is the pitch of an access in a segment: what runs once per outer point
// has no lanes of its own where the vector axis is inner.
func (p *plan) pitchIn(s *segment, acc int) pitch {
	if p.mode == modeScalar || p.mode == modeInner && !s.loop || s == p.pre {
		return pitchZero
	}
	return p.accs[acc].pitch
}

func (p *plan) storeBetween(s *segment, from, to int) bool {
	for _, v := range s.insts[from:to] {
		if p.nest.Insts[v].Op == codegen.Store {
			return true
		}
	}
	return false
}

// takesMemory reports whether instruction user accepts load v as its memory operand.
func (p *plan) takesMemory(s *segment, user, v codegen.Val) bool {
	in := &p.nest.Insts[user]
	r := rowOf(in, p.nest)
	switch r.form {
	case formBin:
		return in.B == v && in.A != v && r.op(p.z) != noOp
	case formCom:
		other := in.A
		if other == v {
			other = in.B
		}
		return other != v && !s.fold[other] && r.op(p.z) != noOp
	case formFMA: // the addend, or a factor, as long as the others are registers
		return in.C == v && in.A != v && in.B != v && !s.fold[in.A] && !s.fold[in.B]
	case formUn:
		return r.op(p.z) != noOp
	}
	return false
}
