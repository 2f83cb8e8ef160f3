package x64

import (
	"jitc/codegen"
	"jitc/codegen/x64/asm"
)

// Accesses whose lanes are not neighbours. On AVX-512, elements of 4 and 8 bytes
// are gathered and scattered with 64-bit offsets. Everything else goes lane by
// lane through the argument block, touching the live lanes only.

// loadLanes loads one element per lane.
func (g *emitter) loadLanes(v codegen.Val, in *codegen.Inst, a *access) {
	if g.p.z && a.esize >= 4 {
		g.gather(v, in, a)
		return
	}
	if a.esize >= 4 && in.Pred == codegen.None && !g.tail && !g.vary(a) {
		g.collect(v, in, a)
		return
	}
	t := g.tmp()
	g.zero(t, g.p.full)
	g.RM(asm.VMOVUPSst, g.p.full, t, 0, asm.Ptr(asm.RDI, g.lay.lanes), 0)
	lanes := asm.Ptr(asm.RDI, g.lay.lanes)
	g.eachLane(in, a, func(m asm.Mem) {
		to := asm.PtrX(asm.RDI, asm.RCX, log2(a.esize), g.lay.lanes)
		switch a.esize {
		case 8:
			g.MOVld(asm.RAX, m)
			g.MOVst(to, asm.RAX)
		case 4:
			g.MOVLld(asm.RAX, m)
			g.MOVLst(to, asm.RAX)
		case 2:
			g.MOVZXW(asm.RAX, m)
			g.MOVWst(to, asm.RAX)
		default:
			g.MOVZXB(asm.RAX, m)
			g.MOVBst(to, asm.RAX)
		}
	})
	g.widen(v, in, a.dtype, operand{mem: true, m: lanes})
}

// collect loads elements of 4 or 8 bytes that lie a stride apart on AVX2.
func (g *emitter) collect(v codegen.Val, in *codegen.Inst, a *access) {
	g.LEA(asm.RDX, g.address(in.Acc)) // may read operands and use RBX
	g.MOVld(asm.RBX, asm.Ptr(asm.RDI, g.lay.vecStep[a.stream]))
	d := g.def(v)
	first, second := asm.Ptr(asm.RDX, 0), asm.PtrX(asm.RDX, asm.RBX, 0, 0)
	pair := func(x asm.V, lane uint8) { // two elements to lanes of a 128-bit half
		switch {
		case a.esize == 8:
			g.RM(asm.VMOVSDld, asm.X128, x, 0, first, 0)
			g.RM(asm.VMOVHPSld, asm.X128, x, x, second, 0)
		case lane == 0:
			g.RM(asm.VMOVSSld, asm.X128, x, 0, first, 0)
			g.RMi(asm.VINSERTPS, asm.X128, x, x, second, 0, 1<<4)
		default:
			g.RMi(asm.VINSERTPS, asm.X128, x, x, first, 0, 2<<4)
			g.RMi(asm.VINSERTPS, asm.X128, x, x, second, 0, 3<<4)
		}
	}
	half := func(x asm.V) {
		for lane := int32(0); lane < 16/a.esize; lane += 2 {
			if lane > 0 {
				g.LEA(asm.RDX, asm.PtrX(asm.RDX, asm.RBX, 1, 0))
			}
			pair(x, uint8(lane))
		}
	}
	half(d)
	if g.vl(v) == asm.Y256 {
		t := g.tmp()
		g.LEA(asm.RDX, asm.PtrX(asm.RDX, asm.RBX, 1, 0))
		half(t)
		g.RRi(asm.VINSERTF128, asm.Y256, d, d, t, 0, 1)
	}
}

// storeLanes stores one element per lane.
func (g *emitter) storeLanes(in *codegen.Inst, a *access) {
	x, w := g.narrow(in, a.dtype)
	if g.p.z && a.esize >= 4 {
		g.scatter(in, a, x)
		return
	}
	g.RM(asm.VMOVUPSst, g.vecOf(w), x, 0, asm.Ptr(asm.RDI, g.lay.lanes), 0)
	t := g.tmp()
	g.eachLane(in, a, func(m asm.Mem) {
		from := asm.PtrX(asm.RDI, asm.RCX, log2(w), g.lay.lanes)
		if w == 8 {
			g.RM(asm.VMOVSDld, asm.X128, t, 0, from, 0)
		} else {
			g.RM(asm.VMOVSSld, asm.X128, t, 0, from, 0)
		}
		g.storeElement(t, a.esize, m)
	})
}

// eachLane emits a loop over the live lanes. The body finds the lane's number in
// RCX and its element at m, and may use RAX.
func (g *emitter) eachLane(in *codegen.Inst, a *access, body func(m asm.Mem)) {
	if g.vary(a) {
		for i, d := range a.dyn {
			g.RM(asm.VMOVUPSst, g.p.full, g.src(d.Val), 0, asm.Ptr(asm.RDI, g.lay.operands[i]), 0)
		}
	}
	all := int64(1)<<g.p.lanes - 1
	if g.p.z {
		k := g.liveMask(in)
		g.LEA(asm.RDX, g.address(in.Acc))
		if k == 0 {
			g.MOVi(asm.RBX, all)
		} else {
			g.KMOVWk(asm.RBX, k)
		}
	} else {
		mask, masked := g.liveVector(in)
		g.LEA(asm.RDX, g.address(in.Acc))
		switch {
		case !masked:
			g.MOVi(asm.RBX, all)
		case g.p.wide:
			g.RR(asm.VMOVMSKPD, asm.Y256, asm.V(asm.RBX), 0, mask, 0)
		default:
			g.RR(asm.VMOVMSKPS, asm.Y256, asm.V(asm.RBX), 0, mask, 0)
		}
	}
	g.laneLoop(func() { body(g.laneAddress(in.Acc, a)) })
}

// laneLoop runs body for each bit set in RBX, its number in RCX.
func (g *emitter) laneLoop(body func()) {
	s0, s1 := asm.Ptr(asm.RDI, g.lay.save[0]), asm.Ptr(asm.RDI, g.lay.save[1])
	g.MOVst(s0, asm.RAX)
	g.MOVst(s1, asm.RCX)
	next, done := g.NewLabel(), g.NewLabel()
	g.XORL(asm.RCX, asm.RCX)
	g.TESTL(asm.RBX, asm.RBX)
	g.Jcc(asm.E, done)
	top := g.Here()
	g.SHRLi(asm.RBX, 1)
	g.Jcc(asm.AE, next)
	body()
	g.Bind(next)
	g.INC(asm.RCX)
	g.TESTL(asm.RBX, asm.RBX)
	g.Jcc(asm.NE, top)
	g.Bind(done)
	g.MOVld(asm.RAX, s0)
	g.MOVld(asm.RCX, s1)
}

// laneAddress is the element of lane RCX of an access based at RDX; it may use RAX.
func (g *emitter) laneAddress(acc int, a *access) asm.Mem {
	pt := g.pitchOf(acc)
	strided := asm.PtrX(asm.RDI, asm.RCX, 3, g.lay.laneOff[a.stream])
	if !g.vary(a) {
		switch pt {
		case pitchOne:
			return asm.PtrX(asm.RDX, asm.RCX, log2(a.esize), 0)
		case pitchZero:
			return asm.Ptr(asm.RDX, 0)
		}
		g.MOVld(asm.RAX, strided)
		return asm.PtrX(asm.RDX, asm.RAX, 0, 0)
	}
	sum := asm.Ptr(asm.RDI, g.lay.table)
	for i, d := range a.dyn {
		if i > 0 {
			g.MOVst(sum, asm.RAX)
		}
		if g.n.Insts[d.Val].Type.Size() == 8 {
			g.MOVld(asm.RAX, asm.PtrX(asm.RDI, asm.RCX, 3, g.lay.operands[i]))
		} else {
			g.MOVSXD(asm.RAX, asm.PtrX(asm.RDI, asm.RCX, 2, g.lay.operands[i]))
		}
		g.IMULm(asm.RAX, asm.Ptr(asm.RDI, g.lay.dyn[a.dynAt+i]))
		if i > 0 {
			g.ADDm(asm.RAX, sum)
		}
	}
	switch pt {
	case pitchOne:
		g.LEA(asm.RAX, asm.PtrX(asm.RAX, asm.RCX, log2(a.esize), 0))
	case pitchAny:
		g.ADDm(asm.RAX, strided)
	}
	return asm.PtrX(asm.RDX, asm.RAX, 0, 0)
}

// offsets is the byte offsets of eight lanes, the low or the high ones.
func (g *emitter) offsets(acc int, a *access, high bool) asm.V {
	pt := g.pitchOf(acc)
	table := asm.Ptr(asm.RDI, g.lay.laneOff[a.stream])
	if high {
		table = table.Plus(64)
	}
	sum := g.tmp()
	if !g.vary(a) {
		g.RM(asm.VMOVDQU64ld, asm.Z512, sum, 0, table, 0)
		return sum
	}
	for i, d := range a.dyn {
		t := sum
		if i > 0 {
			t = g.tmp()
		}
		g.index64(t, d.Val, high)
		g.RM(asm.VPMULLQ, asm.Z512, t, t, asm.Ptr(asm.RDI, g.lay.dyn[a.dynAt+i]), asm.Bc)
		if i > 0 {
			g.RR(asm.VPADDQ, asm.Z512, sum, sum, t, 0)
		}
	}
	switch pt {
	case pitchAny:
		g.RM(asm.VPADDQ, asm.Z512, sum, sum, table, 0)
	case pitchOne:
		first := 0
		if high {
			first = 8
		}
		var iota [64]byte
		for i := range 8 {
			iota[8*i] = byte((first + i) * int(a.esize))
		}
		g.RM(asm.VPADDQ, asm.Z512, sum, sum, g.ConstBytes(iota[:]), 0)
	}
	return sum
}

// index64 puts eight lanes of an index, sign-extended, into t.
func (g *emitter) index64(t asm.V, v codegen.Val, high bool) {
	x := g.src(v)
	switch {
	case g.n.Insts[v].Type.Size() == 8:
		g.RR(asm.VMOVAPSld, asm.Z512, t, 0, x, 0)
	case high:
		g.RRi(asm.VEXTRACTI64X4, asm.Z512, x, 0, t, 0, 1)
		g.RR(asm.VPMOVSXDQ, asm.Z512, t, 0, t, 0)
	default:
		g.RR(asm.VPMOVSXDQ, asm.Z512, t, 0, x, 0)
	}
}

// eightMask is a fresh opmask of eight live lanes, the low or the high ones: a
// gather clears its mask.
func (g *emitter) eightMask(k asm.K, high bool) asm.K {
	d := g.ktmp()
	switch {
	case k == 0:
		g.KK3(asm.KXNORB, d, d, d)
	case high:
		g.KSHIFTRW(d, k, 8)
	default:
		g.KK(asm.KMOVBld, d, k)
	}
	return d
}

// gather loads scattered elements of 4 or 8 bytes; dead lanes become zero.
func (g *emitter) gather(v codegen.Val, in *codegen.Inst, a *access) {
	live := g.liveMask(in)
	op := asm.VGATHERQPSk
	if a.esize == 8 {
		op = asm.VGATHERQPDk
	}
	d := g.defLate(v)
	off := g.offsets(in.Acc, a, false)
	g.LEA(asm.RDX, g.address(in.Acc))
	g.zero(d, g.vl(v))
	g.RM(op, asm.Z512, d, 0, asm.VPtr(asm.RDX, off, 0, 0), asm.Mask(g.eightMask(live, false)))
	if g.p.lanes == 16 {
		t, off := g.tmp(), g.offsets(in.Acc, a, true)
		g.zero(t, asm.Y256)
		g.RM(op, asm.Z512, t, 0, asm.VPtr(asm.RDX, off, 0, 0), asm.Mask(g.eightMask(live, true)))
		g.RRi(asm.VINSERTF64X4, asm.Z512, d, d, t, 0, 1)
	}
}

// scatter stores elements of 4 or 8 bytes.
func (g *emitter) scatter(in *codegen.Inst, a *access, x asm.V) {
	live := g.liveMask(in)
	op := asm.VSCATTERQPSk
	if a.esize == 8 {
		op = asm.VSCATTERQPDk
	}
	off := g.offsets(in.Acc, a, false)
	g.LEA(asm.RDX, g.address(in.Acc))
	g.RM(op, asm.Z512, x, 0, asm.VPtr(asm.RDX, off, 0, 0), asm.Mask(g.eightMask(live, false)))
	if g.p.lanes == 16 {
		t, off := g.tmp(), g.offsets(in.Acc, a, true)
		g.RRi(asm.VEXTRACTF64X4, asm.Z512, x, 0, t, 0, 1)
		g.RM(op, asm.Z512, t, 0, asm.VPtr(asm.RDX, off, 0, 0), asm.Mask(g.eightMask(live, true)))
	}
}
