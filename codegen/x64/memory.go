package x64

import (
	"jitc/codegen"
	"jitc/codegen/x64/asm"
	"jitc/ir/tensor"
)

// Register use outside of streamRegs: RAX is the position on the vector axis, in
// elements from the box's start; RCX the bound of the vector loop; R15 counts the
// innermost scalar loop; RDX and RBX are scratch within an instruction.

// pitchOf is the pitch of an access in the current segment.
func (g *emitter) pitchOf(acc int) pitch { return g.p.pitchIn(g.seg, acc) }

// address is the address of an access at the first lane of the current copy,
// uniform data-dependent indices included. It may use RDX and RBX.
func (g *emitter) address(acc int) asm.Mem {
	a := &g.p.accs[acc]
	pt := g.pitchOf(acc)
	st := &g.p.streams[a.stream]
	base := st.reg
	if pt == pitchAny {
		g.MOVld(asm.RDX, asm.Ptr(asm.RDI, g.lay.lanePtr[a.stream]))
		if c := int32(g.base + g.c); c > 0 {
			g.ADDm(asm.RDX, asm.Ptr(asm.RDI, g.lay.laneStep[a.stream]+8*c))
		}
		base = asm.RDX
	} else if base == asm.NoReg {
		g.MOVld(asm.RDX, asm.Ptr(asm.RDI, g.lay.ptr[a.stream]))
		base = asm.RDX
	}
	if len(a.dyn) > 0 && !(a.vary && !g.uniform) {
		base = g.uniformIndex(a, base)
	}
	if pt == pitchOne {
		return asm.PtrX(base, asm.RAX, log2(a.esize), a.disp+int32((g.base+g.c)*g.p.lanes)*a.esize)
	}
	return asm.Ptr(base, a.disp)
}

// uniformIndex adds data-dependent indices that all lanes share to a pointer.
func (g *emitter) uniformIndex(a *access, base asm.Reg) asm.Reg {
	if base != asm.RDX {
		g.MOV(asm.RDX, base)
	}
	for i, d := range a.dyn {
		x := g.src(d.Val)
		if g.n.Insts[d.Val].Type.Size() == 8 {
			g.VMOVQg(asm.RBX, x)
		} else {
			g.VMOVDg(asm.RBX, x)
			g.MOVSXDr(asm.RBX, asm.RBX)
		}
		g.IMULm(asm.RBX, asm.Ptr(asm.RDI, g.lay.dyn[a.dynAt+i]))
		g.ADD(asm.RDX, asm.RBX)
	}
	return asm.RDX
}

func log2(n int32) uint8 {
	s := uint8(0)
	for n > 1 {
		n, s = n>>1, s+1
	}
	return s
}

// foldedLoad is a load as the memory operand of its only user.
func (g *emitter) foldedLoad(v codegen.Val) operand {
	acc := g.n.Insts[v].Acc
	o := operand{mem: true, m: g.address(acc)}
	if g.pitchOf(acc) == pitchZero {
		o.f = asm.Bc
	}
	return o
}

// vary reports whether the lanes of an access are not evenly spaced.
func (g *emitter) vary(a *access) bool { return a.vary && !g.uniform && len(a.dyn) > 0 }

// prefetchAhead is how far ahead of itself, in bytes, a streaming body asks for
// what it will load: a page, where the processor's own prefetchers stop. Long
// bodies gain most, since little of what follows fits their window: a gelu over
// memory runs 5 to 20 % faster. An address beyond a buffer does no harm.
const prefetchAhead = 4096

// load emits a Load.
func load(g *emitter, v codegen.Val, in *codegen.Inst) {
	if g.nt && g.pitchOf(in.Acc) == pitchOne {
		g.PREFETCHT0(g.address(in.Acc).Plus(prefetchAhead))
	}
	if g.folded(v) {
		return
	}
	a := &g.p.accs[in.Acc]
	if m, ok := g.tileOf(v); ok {
		d := g.def(v)
		g.RM(asm.VMOVUPSld, g.vl(v), d, 0, m, 0)
		g.decodeBits(d, a.dtype, g.vl(v))
		return
	}
	switch pt := g.pitchOf(in.Acc); {
	case pt == pitchAny || g.vary(a):
		g.loadLanes(v, in, a)
	case pt == pitchZero:
		g.loadUniform(v, in, a)
	default:
		g.loadVector(v, in, a)
	}
}

// liveMask is the opmask of the lanes that an access may touch, 0 if all.
func (g *emitter) liveMask(in *codegen.Inst) asm.K {
	tail := g.tail && !g.uniform
	if in.Pred == codegen.None {
		if tail {
			return 7
		}
		return 0
	}
	k := g.ksrc(in.Pred)
	if k != 0 && !tail {
		return k
	}
	d := g.ktmp()
	for d == 0 { // k0 cannot mask
		d = g.ktmp()
	}
	if tail {
		g.KANDW(d, k, 7)
	} else {
		g.KK(asm.KMOVWld, d, k)
	}
	return d
}

// liveVector is the AVX2 mask of the lanes that an access may touch, in lanes of
// the widest type; false if all lanes.
func (g *emitter) liveVector(in *codegen.Inst) (asm.V, bool) {
	tail := g.tail && !g.uniform
	switch {
	case in.Pred == codegen.None && !tail:
		return 0, false
	case in.Pred == codegen.None:
		return tailMask, true
	case !tail:
		return g.src(in.Pred), true
	}
	d := g.tmp()
	g.RR(asm.VPANDv, g.p.full, d, g.src(in.Pred), tailMask, 0)
	return d, true
}

// tailMask is the AVX2 register with the live lanes of a tail.
const tailMask asm.V = 15

func zeroing(k asm.K) asm.Flags {
	if k == 0 {
		return 0
	}
	return asm.MaskZ(k)
}

// loadVector loads neighbouring elements.
func (g *emitter) loadVector(v codegen.Val, in *codegen.Inst, a *access) {
	if g.p.z {
		k := g.liveMask(in)
		m := g.address(in.Acc)
		src := operand{mem: true, m: m, f: zeroing(k)}
		if in.Pred != codegen.None && !g.p.vals[v].mask {
			d, l := g.def(v), g.vlOf(kindOf(in.Type))
			g.ifLive(d, l, k, func() { g.op(loadOp(a.dtype), l, d, 0, src) })
			g.decodeBits(d, a.dtype, l)
			return
		}
		g.widen(v, in, a.dtype, src)
		return
	}
	mask, masked := g.liveVector(in)
	switch {
	case !masked:
		g.widen(v, in, a.dtype, operand{mem: true, m: g.address(in.Acc)})
	case a.esize >= 4:
		mask = g.maskAs(mask, int(a.esize))
		m := g.address(in.Acc)
		op := asm.VMASKMOVPSld
		if a.esize == 8 {
			op = asm.VMASKMOVPDld
		}
		g.RM(op, g.vl(v), g.def(v), mask, m, 0)
	default:
		g.loadLanes(v, in, a)
	}
}

// ifLive zeroes d and jumps over its load where no lane of k is live: what a
// concat or a pad does not read often lies outside all memory, and a processor
// takes hundreds of cycles to suppress each such fault. load takes no registers.
func (g *emitter) ifLive(d asm.V, l asm.VL, k asm.K, load func()) {
	skip := g.NewLabel()
	g.zero(d, l)
	g.KK(asm.KORTESTW, k, k)
	g.Jcc(asm.E, skip)
	load()
	g.Bind(skip)
}

// loadOp loads the elements, or the bits that decodeBits makes elements of.
func loadOp(dt tensor.DType) asm.Op {
	switch dt.Size() {
	case 8:
		return asm.VMOVUPDld
	case 4:
		return asm.VMOVUPSld
	}
	return extends[dt]
}

// loadUniform loads one element into all lanes.
func (g *emitter) loadUniform(v codegen.Val, in *codegen.Inst, a *access) {
	if g.p.z {
		k := asm.K(0)
		if in.Pred != codegen.None {
			k = g.liveMask(in)
		}
		g.spreadZ(v, in, a.dtype, g.address(in.Acc), k)
		return
	}
	if in.Pred == codegen.None {
		g.spreadY(v, in, a.dtype, g.address(in.Acc))
		return
	}
	mask, _ := g.liveVector(in)
	d := g.defLate(v)
	addr := g.address(in.Acc) // before the branch: it may reload values
	skip, done := g.NewLabel(), g.NewLabel()
	g.RR(asm.VTESTPS, g.p.full, mask, 0, mask, 0)
	g.Jcc(asm.E, skip)
	g.spreadInto(d, in, a.dtype, addr)
	m := mask
	if g.vl(v) != g.p.full {
		m = g.maskAs(mask, 4)
	}
	g.RR(asm.VPANDv, g.vl(v), d, d, m, 0)
	g.JMP(done)
	g.Bind(skip)
	g.zero(d, g.vl(v))
	g.Bind(done)
}

// spreadZ broadcasts the element at m on AVX-512, zero where k is not set.
func (g *emitter) spreadZ(v codegen.Val, in *codegen.Inst, dt tensor.DType, m asm.Mem, k asm.K) {
	f := zeroing(k)
	switch size := dt.Size(); {
	case size >= 4:
		op, d := asm.VBROADCASTSS, g.def(v)
		if size == 8 {
			op = asm.VPBROADCASTQ
		}
		load := func() { g.RM(op, g.vl(v), d, 0, m, f) }
		if in.Pred == codegen.None {
			load()
		} else {
			g.ifLive(d, g.vl(v), k, load)
		}
	default:
		op := asm.VPBROADCASTB
		if dt.Size() == 2 {
			op = asm.VPBROADCASTW
		}
		t := g.tmp()
		g.RM(op, asm.Y256, t, 0, m, f)
		g.widen(v, in, dt, operand{r: t})
	}
}

// spreadY broadcasts the element at m on AVX2.
func (g *emitter) spreadY(v codegen.Val, in *codegen.Inst, dt tensor.DType, m asm.Mem) {
	g.spreadInto(g.def(v), in, dt, m)
}

func (g *emitter) spreadInto(d asm.V, in *codegen.Inst, dt tensor.DType, m asm.Mem) {
	l := g.vlOf(kindOf(in.Type))
	switch dt.Size() {
	case 8:
		g.RM(asm.VPBROADCASTQ, l, d, 0, m, 0)
	case 4:
		g.RM(asm.VBROADCASTSS, l, d, 0, m, 0)
	default:
		op := asm.VPBROADCASTB
		if dt.Size() == 2 {
			op = asm.VPBROADCASTW
		}
		g.RM(op, asm.X128, d, 0, m, 0)
		g.decode(d, in, dt, operand{r: d})
	}
}

// store emits a Store.
func store(g *emitter, v codegen.Val, in *codegen.Inst) {
	a := &g.p.accs[in.Acc]
	switch pt := g.pitchOf(in.Acc); {
	case g.vary(a) || pt == pitchAny:
		g.storeLanes(in, a)
	case pt == pitchZero:
		g.storeFirst(in, a)
	default:
		g.storeVector(in, a)
	}
}

// storeVector stores neighbouring elements.
func (g *emitter) storeVector(in *codegen.Inst, a *access) {
	if a.dtype == tensor.F16 && (g.p.z || in.Pred == codegen.None && !g.tail) { // converts on the way
		x, k := g.src(in.A), asm.K(0)
		if g.p.z {
			k = g.liveMask(in)
		}
		g.RMi(asm.VCVTPS2PH, g.vecOf(4), x, 0, g.address(in.Acc), asm.Mask(k), 0)
		return
	}
	if !g.p.z && a.esize < 4 && g.maskedStore(in) { // it narrows by itself: once is enough for 16 registers
		g.storeLanes(in, a)
		return
	}
	x, w := g.narrow(in, a.dtype)
	if g.p.z {
		k := g.liveMask(in)
		f := asm.Mask(k)
		m := g.address(in.Acc)
		switch {
		case a.esize == w && k == 0 && g.nt && g.streaming(in):
			g.RM(asm.VMOVNTPS, g.vecOf(w), x, 0, m, 0)
		case a.esize == w:
			g.RM(plainStore(w), g.vecOf(w), x, 0, m, f)
		default:
			g.RM(narrowStore(w, a.esize), g.vecOf(w), x, 0, m, f)
		}
		return
	}
	mask, masked := g.liveVector(in)
	switch {
	case !masked && a.esize == w:
		op := asm.VMOVUPSst
		if g.nt && g.streaming(in) {
			op = asm.VMOVNTPS
		}
		g.RM(op, g.vecOf(w), x, 0, g.address(in.Acc), 0)
	case !masked:
		g.packStore(x, w, a.esize, g.address(in.Acc))
	default:
		mask = g.maskAs(mask, int(a.esize))
		op := asm.VMASKMOVPSst
		if a.esize == 8 {
			op = asm.VMASKMOVPDst
		}
		m := g.address(in.Acc)
		g.RM(op, g.vecOf(w), x, mask, m, 0)
	}
}

// maskedStore reports whether a store leaves some lanes alone.
func (g *emitter) maskedStore(in *codegen.Inst) bool {
	return in.Pred != codegen.None || g.tail && !g.uniform
}

// vecOf is the vector length of all lanes of w bytes.
func (g *emitter) vecOf(w int32) asm.VL {
	if g.p.wide && w == 4 {
		return g.p.half
	}
	return g.p.full
}

func plainStore(w int32) asm.Op {
	if w == 8 {
		return asm.VMOVUPDst
	}
	return asm.VMOVUPSst
}

// narrowStore truncates lanes of w bytes to n bytes in memory.
func narrowStore(w, n int32) asm.Op {
	switch {
	case w == 4 && n == 2:
		return asm.VPMOVDW
	case w == 4 && n == 1:
		return asm.VPMOVDB
	case w == 8 && n == 2:
		return asm.VPMOVQW
	}
	return asm.VPMOVQB
}

// storeFirst stores the value of the first lane: all lanes share the address.
func (g *emitter) storeFirst(in *codegen.Inst, a *access) {
	x, _ := g.narrow(in, a.dtype)
	skip, guarded := asm.Label(0), in.Pred != codegen.None
	var m asm.Mem
	if guarded {
		var bits asm.Reg = asm.RBX
		if g.p.z {
			k := g.liveMask(in)
			m = g.address(in.Acc)
			g.KMOVWk(bits, k)
		} else {
			mask, _ := g.liveVector(in)
			m = g.address(in.Acc)
			g.RR(asm.VMOVMSKPS, g.p.full, asm.V(bits), 0, mask, 0)
		}
		skip = g.NewLabel()
		g.TESTi(bits, 1)
		g.Jcc(asm.E, skip)
	} else {
		m = g.address(in.Acc)
	}
	g.storeElement(x, a.esize, m)
	if guarded {
		g.Bind(skip)
	}
}

// storeElement stores the first element of x.
func (g *emitter) storeElement(x asm.V, size int32, m asm.Mem) {
	switch size {
	case 8:
		g.RM(asm.VMOVSDst, asm.X128, x, 0, m, 0)
	case 4:
		g.RM(asm.VMOVSSst, asm.X128, x, 0, m, 0)
	case 2:
		g.RMi(asm.VPEXTRWst, asm.X128, x, 0, m, 0, 0)
	default:
		g.RMi(asm.VPEXTRB, asm.X128, x, 0, m, 0, 0)
	}
}
