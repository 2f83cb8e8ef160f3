package x64

import (
	"bytes"

	"jitc/codegen/x64/asm"
)

// kernel emits the whole nest: loops over the box's scalar outer axes around
// point, which covers the rest.
func (g *emitter) kernel() {
	exit := g.NewLabel()
	for i := range g.lay.nOuter {
		g.CMPmi(asm.Ptr(asm.RDI, g.lay.levels[i].n), 0)
		g.Jcc(asm.LE, exit)
	}
	if g.p.mode == modeOuter {
		g.CMPmi(asm.Ptr(asm.RDI, g.lay.vecN), 0)
		g.Jcc(asm.LE, exit)
	}
	for s := range g.p.streams {
		if r := g.p.streams[s].reg; r != asm.NoReg {
			g.MOVld(r, asm.Ptr(asm.RDI, g.lay.ptr[s]))
		}
	}
	g.loadPins()
	if g.p.tile != nil {
		g.loops(0, g.lay.nOuter-1, ^uint64(0), func() { g.tileLoop(g.p.streamsOf(nil)) })
	} else {
		g.loops(0, g.lay.nOuter, ^uint64(0), g.outerPoint)
	}
	if g.streamsNT() {
		g.SFENCE()
	}
	g.Bind(exit)
	g.VZEROUPPER()
	g.RET()
}

// outerPoint emits one iteration of the scalar outer loops.
func (g *emitter) outerPoint() {
	if g.p.mode != modeOuter {
		g.segments(1, false)
		return
	}
	if len(g.p.pre.insts) > 0 {
		g.uniform = true
		g.body(g.p.pre, 1, 0, false)
		g.uniform = false
	}
	used := g.p.streamsOf(nil)
	g.vectorLoop(g.p.segs[0].unroll, 1, used, func(copies, _ int, tail bool) { g.segments(copies, tail) })
}

// segments emits the segments of an outer point, or of several neighbouring ones
// where the vector axis is outer.
func (g *emitter) segments(copies int, tail bool) {
	for i := range g.p.segs {
		s := &g.p.segs[i]
		switch {
		case s.loop:
			g.loop(s, copies, tail)
		case len(s.insts) > 0:
			g.uniform = g.p.mode != modeOuter
			g.body(s, copies, 0, tail)
			g.uniform = false
		}
	}
}

// loop emits a looping phase.
func (g *emitter) loop(s *segment, copies int, tail bool) {
	used := g.p.streamsOf(s)
	accs := copies
	if g.p.mode == modeInner {
		accs = maxUnroll
	}
	g.openAccumulators(s, accs)
	g.loops(g.lay.nOuter, len(g.lay.levels), used, func() {
		switch g.p.mode {
		case modeInner:
			groups := 1
			if len(s.reduce) > 0 { // the order of a reduction does not depend on registers
				groups = maxUnroll / s.unroll
			}
			g.vectorLoop(s.unroll, groups, used, func(copies, base int, tail bool) { g.body(s, copies, base, tail) })
		case modeOuter:
			g.body(s, copies, 0, tail)
		default:
			g.uniform = true
			g.body(s, 1, 0, false)
			g.uniform = false
		}
	})
	g.rewind(used)
	g.closeAccumulators(s, accs)
}

// body emits a segment's instructions once for each copy, interleaved.
func (g *emitter) body(s *segment, copies, base int, tail bool) {
	g.copies, g.base, g.tail = copies, base, tail
	g.begin(s)
	for i, v := range s.insts {
		g.pos = int32(i)
		g.c = 0
		if !g.p.vals[v].varying || g.uniform {
			g.c = copies - 1
		}
		for ; g.c < copies; g.c++ {
			g.inst(v)
		}
	}
	g.pos = int32(len(s.insts))
	if len(s.reduce) > 0 {
		n := copies
		if g.p.mode == modeInner {
			n = maxUnroll
		}
		g.accumulate(s, n)
	}
	g.end()
}

// streamsOf is the set of streams that a segment reads or writes; of all looping
// and pointwise segments for nil.
func (p *plan) streamsOf(s *segment) uint64 {
	set := uint64(0)
	add := func(s *segment) {
		for _, v := range s.insts {
			in := &p.nest.Insts[v]
			if isMemory(in.Op) {
				set |= 1 << p.accs[in.Acc].stream
			}
		}
	}
	if s != nil {
		add(s)
		return set
	}
	for i := range p.segs {
		add(&p.segs[i])
	}
	return set
}

// loops emits the scalar loops of levels from..to around body; used is the set
// of streams that move.
func (g *emitter) loops(from, to int, used uint64, body func()) {
	if from == to {
		body()
		return
	}
	lv := &g.lay.levels[from]
	inner := from >= g.lay.nOuter
	hot := from == len(g.lay.levels)-1 // the innermost loop counts in a register
	read := g.p.idxUsed>>lv.axis&1 != 0
	end := g.NewLabel()
	count := asm.RBX
	if hot {
		count = asm.R15
	}
	g.MOVld(count, asm.Ptr(asm.RDI, lv.n))
	if inner {
		g.TEST(count, count)
		g.Jcc(asm.LE, end)
	}
	if !hot {
		g.MOVst(asm.Ptr(asm.RDI, lv.count), count)
	}
	switch {
	case read && inner:
		g.MOVmi(asm.Ptr(asm.RDI, lv.at), 0)
	case read:
		g.MOVld(asm.RBX, asm.Ptr(asm.RDI, lv.lo))
		g.MOVst(asm.Ptr(asm.RDI, lv.at), asm.RBX)
	}
	top := g.Here()
	g.loops(from+1, to, used, body)
	for s := range g.p.streams {
		if used>>s&1 != 0 && lv.inc[s] != 0 {
			g.moveStream(s, inner, lv.inc[s])
		}
	}
	if read {
		g.INCm(asm.Ptr(asm.RDI, lv.at))
	}
	if hot {
		g.DEC(asm.R15)
	} else {
		g.DECm(asm.Ptr(asm.RDI, lv.count))
	}
	g.Jcc(asm.NE, top)
	g.Bind(end)
}

// moveStream adds the number in a slot to a stream's pointer.
func (g *emitter) moveStream(s int, inner bool, slot int32) {
	st := &g.p.streams[s]
	if st.reg != asm.NoReg {
		g.ADDm(st.reg, asm.Ptr(asm.RDI, slot))
		return
	}
	ptr := g.lay.ptr[s]
	if inner && st.lane && g.p.mode == modeOuter { // within the vector loop
		ptr = g.lay.lanePtr[s]
	}
	g.MOVld(asm.RBX, asm.Ptr(asm.RDI, slot))
	g.ADDst(asm.Ptr(asm.RDI, ptr), asm.RBX)
}

// rewind takes the streams back to where they were before the inner loops.
func (g *emitter) rewind(used uint64) {
	if g.lay.nOuter == len(g.lay.levels) {
		return
	}
	axis := g.lay.levels[g.lay.nOuter].axis
	for s := range g.p.streams {
		if used>>s&1 != 0 && g.p.streams[s].moves>>axis&1 != 0 {
			g.moveStream(s, true, g.lay.rewind[s])
		}
	}
}

// vectorLoop emits the loop over the vector axis: whole steps of groups bodies
// of unroll vectors, then single vectors, then what is left of one.
func (g *emitter) vectorLoop(unroll, groups int, used uint64, body func(copies, base int, tail bool)) {
	for s := range g.p.streams {
		if used>>s&1 != 0 && g.p.streams[s].lane {
			g.MOVld(asm.RBX, asm.Ptr(asm.RDI, g.lay.ptr[s]))
			g.MOVst(asm.Ptr(asm.RDI, g.lay.lanePtr[s]), asm.RBX)
		}
	}
	lanes := int32(g.p.lanes)
	g.XORL(asm.RAX, asm.RAX)
	g.MOVld(asm.RCX, asm.Ptr(asm.RDI, g.lay.vecN))
	if vectors := unroll * groups; vectors > 1 {
		rest := g.NewLabel()
		g.SUBi(asm.RCX, int32(vectors)*lanes)
		g.Jcc(asm.LT, rest)
		step := func() {
			for i := range groups {
				body(unroll, i*unroll, false)
			}
		}
		if g.unalignedNT(used) {
			plain := g.NewLabel()
			g.Jcc(asm.NE, plain)
			g.nt = true
			g.vectors(vectors, used, step)
			g.nt = false
			g.JMP(rest)
			g.Bind(plain)
		}
		g.vectors(vectors, used, step)
		g.Bind(rest)
		g.ADDi(asm.RCX, int32(vectors-1)*lanes)
	} else {
		g.SUBi(asm.RCX, lanes)
	}
	tail, end := g.NewLabel(), g.NewLabel()
	g.CMP(asm.RAX, asm.RCX)
	g.Jcc(asm.GT, tail)
	g.vectors(1, used, func() { body(1, 0, false) })
	g.Bind(tail)
	g.MOVld(asm.RDX, asm.Ptr(asm.RDI, g.lay.vecN))
	g.SUB(asm.RDX, asm.RAX)
	g.Jcc(asm.E, end)
	g.setTail()
	body(1, 0, true)
	g.Bind(end)
}

// vectors emits a loop that runs step while RAX <= RCX, at least once.
func (g *emitter) vectors(n int, used uint64, step func()) {
	g.Align(32)
	top := g.Here()
	step()
	for s := range g.p.streams {
		if used>>s&1 != 0 && g.p.streams[s].lane {
			g.MOVld(asm.RBX, asm.Ptr(asm.RDI, g.lay.laneStep[s]+int32(8*n)))
			g.ADDst(asm.Ptr(asm.RDI, g.lay.lanePtr[s]), asm.RBX)
		}
	}
	g.ADDi(asm.RAX, int32(n*g.p.lanes))
	g.CMP(asm.RAX, asm.RCX)
	g.Jcc(asm.LE, top)
}

// setTail makes the mask of the first RDX lanes: k7, or ymm15.
func (g *emitter) setTail() {
	if g.p.z {
		g.MOVi(asm.RBX, -1)
		g.BZHI(asm.RBX, asm.RBX, asm.RDX)
		g.KMOVWr(7, asm.RBX)
		return
	}
	width := int32(4)
	if g.p.wide {
		width = 8
	}
	table := append(bytes.Repeat([]byte{0xff}, 32), make([]byte, 32)...)
	g.LEA(asm.RBX, g.ConstBytes(table))
	g.NEG(asm.RDX)
	g.RM(asm.VMOVUPSld, asm.Y256, tailMask, 0, asm.PtrX(asm.RBX, asm.RDX, log2(width), 32), 0)
}
