package x64

import (
	"math/bits"
	"slices"

	"jitc/codegen"
	"jitc/codegen/x64/asm"
	"jitc/ir/tensor"
)

// spare is the registers left to constants and reloads when choosing how many
// copies of a body to interleave.
const spare = 4

// shortBody is the instructions up to which two copies of a body that stores are
// enough: four copies store in bursts, which costs a softmax 10 %. The chains of
// dependent instructions in longer bodies want as many copies as registers allow:
// four copies of a gelu run 15 % faster than two.
const shortBody = 24

// allocate chooses how many copies of each body to interleave, then pins the
// constants and crossing values that are used most to the registers left over.
// It returns the largest number of copies.
func (g *emitter) allocate(fixed int) int {
	total := bits.OnesCount32(g.v.free)
	most := 1
	for i := range g.p.segs {
		s := &g.p.segs[i]
		s.unroll = g.chooseUnroll(s, total, fixed)
		most = max(most, s.unroll)
	}
	if g.p.mode == modeOuter { // all segments see the same points
		for i := range g.p.segs {
			most = min(most, g.p.segs[i].unroll)
		}
		for i := range g.p.segs {
			g.p.segs[i].unroll = most
		}
	}
	need := 0
	for i := range g.p.segs {
		need = max(need, g.p.need(&g.p.segs[i], g.p.segs[i].unroll))
	}
	if g.p.pre != nil {
		need = max(need, g.p.need(g.p.pre, 1))
	}
	if g.p.tile != nil {
		need = max(need, 9) // transpose
	}
	g.choosePins(total-need, most)
	return most
}

func (g *emitter) chooseUnroll(s *segment, total, fixed int) int {
	u := maxUnroll
	if fixed == 1 || fixed == 2 || fixed == maxUnroll {
		u = fixed
	} else {
		fixed = 0
	}
	if g.p.mode == modeScalar || g.p.mode == modeInner && !s.loop {
		u = 1
	}
	if fixed == 0 {
		if len(s.insts) <= shortBody && g.stores(s) {
			u = min(u, 2)
		}
		for u > 1 && g.p.need(s, u)+spare > total {
			u /= 2
		}
	}
	if g.p.accumulators(s, u)+10 > total {
		s.accMem = true
	}
	return u
}

func (g *emitter) stores(s *segment) bool {
	return slices.ContainsFunc(s.insts, func(v codegen.Val) bool { return g.n.Insts[v].Op == codegen.Store })
}

func (p *plan) accumulators(s *segment, u int) int {
	if p.mode == modeInner {
		u = maxUnroll
	}
	return len(s.reduce) * u
}

// need estimates the registers of a segment's body with u copies, constants and
// values of other segments not counted: the most values alive at once.
func (p *plan) need(s *segment, u int) int {
	temps := 2
	end := int32(len(s.insts))
	live := make([]int32, 2*(end+2)) // changes: varying, then uniform values
	varying, uniform := live[:end+2], live[end+2:]
	for i, v := range s.insts {
		in := &p.nest.Insts[v]
		if r := rowOf(in, p.nest); r.op(p.z) == noOp && r.form != formFMA && !isMemory(in.Op) {
			temps = max(temps, 5)
		}
		if p.f8(in) {
			temps = f8Temps
		}
		uses := s.usesOf(v)
		if len(uses) == 0 || p.vals[v].mask || s.fold[v] {
			continue
		}
		d := uniform
		if p.vals[v].varying {
			d = varying
		}
		d[i]++
		d[uses[len(uses)-1]]--
	}
	most, a, b := 0, int32(0), int32(0)
	for i := range varying {
		a, b = a+varying[i], b+uniform[i]
		most = max(most, int(a)*u+int(b))
	}
	folded := p.accumulators(s, u) // in registers while lanes are folded
	if s.accMem {
		folded = min(folded, maxUnroll)
	} else {
		most += folded
	}
	return max(most+temps, folded+5)
}

// f8Temps is the registers that converting from or to an f8 type takes.
const f8Temps = 11

// f8 reports whether the instruction converts from or to an f8 type.
func (p *plan) f8(in *codegen.Inst) bool {
	dt := in.Round
	if isMemory(in.Op) {
		dt = p.kern.Bufs[p.nest.Accs[in.Acc].Buf].DType
	} else if in.Op != codegen.RoundTo {
		return false
	}
	return dt == tensor.F8E4M3 || dt == tensor.F8E5M2
}

// choosePins gives up to n registers to leaves and crossing values, by use.
func (g *emitter) choosePins(n, unroll int) {
	wanted := 0
	for v := range g.p.vals {
		if g.pinnable(codegen.Val(v)) {
			wanted += g.pinCost(codegen.Val(v), unroll)
		}
	}
	if wanted > n {
		n -= 2 // the rest passes through registers
	}
	for n > 0 {
		best, weight := codegen.None, int32(0)
		for v := range g.p.vals {
			cost := g.pinCost(codegen.Val(v), unroll)
			if g.pin[loc(codegen.Val(v), 0)] < 0 && g.pinnable(codegen.Val(v)) && cost <= n && g.p.vals[v].weight > weight {
				best, weight = codegen.Val(v), g.p.vals[v].weight
			}
		}
		if best == codegen.None {
			return
		}
		for c := range g.pinCost(best, unroll) {
			r := g.grab()
			g.pin[loc(best, c)] = int8(r)
			g.pinned++
		}
		n -= g.pinCost(best, unroll)
	}
}

// pinCost is the registers that v takes.
func (g *emitter) pinCost(v codegen.Val, unroll int) int { return min(g.p.copies(v), unroll) }

// pinnable reports whether v may have a register throughout: a constant, a size,
// or a value that crosses segments; not an opmask, and not a position, which
// changes.
func (g *emitter) pinnable(v codegen.Val) bool {
	p := &g.p.vals[v]
	if p.mask || p.weight == 0 {
		return false
	}
	return p.global || p.leaf && g.n.Insts[v].Op != codegen.Index
}

// loadPins loads the pinned leaves.
func (g *emitter) loadPins() {
	for v := range g.p.vals {
		if r := g.pin[loc(codegen.Val(v), 0)]; r >= 0 && g.p.vals[v].leaf {
			g.fetch(asm.V(r), codegen.Val(v), loc(codegen.Val(v), 0))
		}
	}
}
