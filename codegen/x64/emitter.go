package x64

import (
	"math/bits"

	"jitc/codegen"
	"jitc/codegen/x64/asm"
)

// emitter turns a plan into code. Within a body it allocates registers in one
// pass: a value keeps its register until its last use; when none is free, the
// value whose next use is farthest goes (to its slot, or nowhere if it can be
// read again from where it came).
type emitter struct {
	*asm.Asm
	p   *plan
	lay *layout
	n   *codegen.Nest

	seg     *segment
	copies  int  // interleaved copies in the current body
	base    int  // first vector of the body, counted from the index register
	tail    bool // some lanes are beyond the end: k7 or ymm15 says which are not
	uniform bool // one point, all lanes alike
	tiled   bool // transposed loads read their tiles
	nt      bool // aligned: non-temporal stores allowed
	pos     int32
	c       int // copy being emitted

	last  []int32 // by value: position of the last use in the segment, -1: none
	cur   []int32 // by value: cursor into seg.pos
	reg   []int8  // by loc: register, -1: none
	slot  []int32 // by loc: spill slot, 0: none
	pin   []int8  // by loc: register held for the whole kernel, -1: none
	konst []asm.Mem
	kset  []bool

	v, k   file
	temps  uint32
	ktemps uint32
	nslots int32 // spill slots in use
	mslots int32 // most of them
	spills int
	insts  int
	pinned int
	acc    []accumulator
}

// file is one register file.
type file struct {
	free, busy, lock uint32
	own              [32]int32 // loc of the value in a busy register
}

// loc names copy c of value v.
func loc(v codegen.Val, c int) int32 { return int32(v)*maxUnroll + int32(c) }

// at is the loc of v as the current copy sees it: uniform values have one copy.
func (g *emitter) at(v codegen.Val) int32 {
	if g.p.vals[v].varying && !g.uniform {
		return loc(v, g.c)
	}
	return loc(v, 0)
}

// begin starts a segment's body with no value in a register but the pinned ones.
func (g *emitter) begin(s *segment) {
	g.seg = s
	for i := range g.reg {
		g.reg[i], g.slot[i] = -1, 0
	}
	for v := range g.last {
		g.last[v], g.cur[v] = -1, s.useAt[v]
		if n := s.useAt[v+1]; n > s.useAt[v] {
			g.last[v] = s.pos[n-1]
		}
	}
	g.nslots = 0
}

// end frees what a body left in registers.
func (g *emitter) end() {
	g.v.free |= g.v.busy
	g.k.free |= g.k.busy
	g.v.busy, g.k.busy, g.v.lock, g.k.lock = 0, 0, 0, 0
}

// next is the position of v's next use.
func (g *emitter) next(v codegen.Val) int32 {
	end := g.seg.useAt[v+1]
	for g.cur[v] < end && g.seg.pos[g.cur[v]] < g.pos {
		g.cur[v]++
	}
	if g.cur[v] == end {
		return 1 << 30
	}
	return g.seg.pos[g.cur[v]]
}

// dies reports whether the current copy's use of v is the last one.
func (g *emitter) dies(v codegen.Val) bool {
	if g.last[v] > g.pos {
		return false
	}
	return g.p.vals[v].varying || g.c == g.copies-1 || g.uniform
}

// take finds a free register of f, evicting a value if there is none.
func (g *emitter) take(f *file, mask bool) uint8 {
	if f.free == 0 {
		g.evict(f, mask)
	}
	r := uint8(bits.TrailingZeros32(f.free))
	f.free &^= 1 << r
	return r
}

func (g *emitter) evict(f *file, mask bool) {
	best, far := -1, int32(-1)
	for m := f.busy &^ f.lock; m != 0; m &= m - 1 {
		r := bits.TrailingZeros32(m)
		if d := g.next(codegen.Val(f.own[r] / maxUnroll)); d > far {
			best, far = r, d
		}
	}
	if best < 0 {
		panic("BUG: x64: more operands than registers")
	}
	l := f.own[best]
	v := codegen.Val(l / maxUnroll)
	if g.lay.home[l] == 0 && !g.p.vals[v].leaf && g.slot[l] == 0 {
		g.slot[l] = g.lay.spill + g.nslots*int32(g.p.full.Bytes())
		g.nslots++
		g.mslots = max(g.mslots, g.nslots)
		g.spill(l, uint8(best), g.slot[l], mask)
		g.spills++
	}
	g.reg[l] = -1
	f.busy &^= 1 << best
	f.free |= 1 << best
}

// spill stores a register to a slot of the argument block.
func (g *emitter) spill(l int32, r uint8, slot int32, mask bool) {
	if mask {
		g.KM(asm.KMOVWst, asm.K(r), asm.Ptr(asm.RDI, slot))
		return
	}
	g.RM(asm.VMOVUPSst, g.vl(codegen.Val(l/maxUnroll)), asm.V(r), 0, asm.Ptr(asm.RDI, slot), 0)
}

func (g *emitter) grab() asm.V  { return asm.V(g.take(&g.v, false)) }
func (g *emitter) kgrab() asm.K { return asm.K(g.take(&g.k, true)) }

// tmp is a register until the end of the instruction.
func (g *emitter) tmp() asm.V {
	r := g.grab()
	g.temps |= 1 << r
	return r
}

// ktmp is an opmask register until the end of the instruction.
func (g *emitter) ktmp() asm.K {
	k := g.kgrab()
	g.ktemps |= 1 << k
	return k
}

func (g *emitter) drop(r asm.V) { g.temps &^= 1 << r; g.v.free |= 1 << r }

// hold records that register r of f holds loc l, locked for this instruction.
func (f *file) hold(r uint8, l int32) {
	f.own[r] = l
	f.busy |= 1 << r
	f.lock |= 1 << r
}

// release gives back the register of l.
func (g *emitter) release(f *file, l int32) {
	if r := g.reg[l]; r >= 0 {
		g.reg[l] = -1
		f.busy &^= 1 << r
		f.lock &^= 1 << r
		f.free |= 1 << r
	}
}

func (g *emitter) fileOf(v codegen.Val) *file {
	if g.p.vals[v].mask {
		return &g.k
	}
	return &g.v
}

// kill releases the operands that die here.
func (g *emitter) kill(v codegen.Val) {
	for _, o := range g.p.operands(v) {
		if g.dies(o) {
			g.release(g.fileOf(o), g.at(o))
		}
	}
}

// def is the register of a result that may overwrite a dying operand: for
// instructions that read everything before they write. defLate keeps operands
// alive until the end of the instruction.
func (g *emitter) def(v codegen.Val) asm.V {
	g.kill(v)
	return g.defLate(v)
}

func (g *emitter) defLate(v codegen.Val) asm.V {
	l := g.at(v)
	if r := g.pin[l]; r >= 0 {
		return asm.V(r)
	}
	r := g.grab()
	g.reg[l] = int8(r)
	g.v.hold(uint8(r), l)
	return r
}

func (g *emitter) kdef(v codegen.Val) asm.K {
	l := g.at(v)
	r := g.kgrab()
	g.reg[l] = int8(r)
	g.k.hold(uint8(r), l)
	return r
}

// finish ends an instruction: temporaries and dead operands go, a value of
// another segment's interest is stored to its home.
func (g *emitter) finish(v codegen.Val) {
	g.v.free |= g.temps
	g.k.free |= g.ktemps
	g.temps, g.ktemps = 0, 0
	g.kill(v)
	l := g.at(v)
	if home := g.lay.home[l]; home != 0 && g.pin[l] < 0 && g.reg[l] >= 0 {
		g.spill(l, uint8(g.reg[l]), home, g.p.vals[v].mask)
	}
	if g.last[v] < 0 { // never read in this segment
		g.release(g.fileOf(v), l)
	}
	g.v.lock, g.k.lock = 0, 0
}

// vl is the vector length of value v.
func (g *emitter) vl(v codegen.Val) asm.VL { return g.vlOf(kindOf(g.n.Insts[v].Type)) }

func (g *emitter) vlOf(k kind) asm.VL {
	if g.p.wide && k.size() == 4 && k != kBool {
		return g.p.half
	}
	return g.p.full
}

// src is a register that holds v, valid until the end of the instruction.
func (g *emitter) src(v codegen.Val) asm.V {
	l := g.at(v)
	if r := g.pin[l]; r >= 0 {
		return asm.V(r)
	}
	if r := g.reg[l]; r >= 0 {
		g.v.lock |= 1 << r
		return asm.V(r)
	}
	r := g.grab()
	g.fetch(r, v, l)
	g.reg[l] = int8(r)
	g.v.hold(uint8(r), l)
	return r
}

// ksrc is src for a value in an opmask register.
func (g *emitter) ksrc(v codegen.Val) asm.K {
	l := g.at(v)
	if r := g.reg[l]; r >= 0 {
		g.k.lock |= 1 << r
		return asm.K(r)
	}
	r := g.kgrab()
	switch m, ok := g.stored(l); {
	case ok:
		g.KM(asm.KMOVWld, r, m)
	case g.n.Insts[v].Imm != 0:
		g.KXNORW(r, r, r)
	default:
		g.KXORW(r, r, r)
	}
	g.reg[l] = int8(r)
	g.k.hold(uint8(r), l)
	return r
}

// stored is where loc l lies in the argument block, if it does.
func (g *emitter) stored(l int32) (asm.Mem, bool) {
	if s := g.slot[l]; s != 0 {
		return asm.Ptr(asm.RDI, s), true
	}
	if h := g.lay.home[l]; h != 0 {
		return asm.Ptr(asm.RDI, h), true
	}
	return asm.Mem{}, false
}

// operand is a register or memory operand.
type operand struct {
	mem bool
	m   asm.Mem
	f   asm.Flags
	r   asm.V
}

// rm is v as an operand that may be memory. Ask for it last: its address may use
// the scratch registers.
func (g *emitter) rm(v codegen.Val) operand {
	l := g.at(v)
	if g.pin[l] < 0 && g.reg[l] < 0 {
		if g.folded(v) {
			return g.foldedLoad(v)
		}
		if m, ok := g.stored(l); ok && g.dies(v) {
			return operand{mem: true, m: m}
		}
		if g.p.vals[v].leaf {
			if o, ok := g.leafOperand(v); ok {
				return o
			}
		}
	}
	return operand{r: g.src(v)}
}

// inReg reports whether v is in a register or must go through one.
func (g *emitter) inReg(v codegen.Val) bool {
	l := g.at(v)
	return g.pin[l] >= 0 || g.reg[l] >= 0 || !g.p.vals[v].leaf && !g.folded(v)
}

func (g *emitter) folded(v codegen.Val) bool { return g.seg.fold[v] && !g.tail }

// op emits d = a op o.
func (g *emitter) op(op asm.Op, l asm.VL, d, a asm.V, o operand) {
	if o.mem {
		g.RM(op, l, d, a, o.m, o.f)
	} else {
		g.RR(op, l, d, a, o.r, 0)
	}
}

// opi is op with an immediate byte, if imm is not negative.
func (g *emitter) opi(op asm.Op, l asm.VL, d, a asm.V, o operand, imm int) {
	switch {
	case imm < 0:
		g.op(op, l, d, a, o)
	case o.mem:
		g.RMi(op, l, d, a, o.m, o.f, uint8(imm))
	default:
		g.RRi(op, l, d, a, o.r, 0, uint8(imm))
	}
}
