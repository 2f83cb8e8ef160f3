package x64

import (
	"jitc/codegen"
	"jitc/codegen/x64/asm"
)

// AVX2 sequences for 64-bit integers, and integer division.

// core computes d = a op b; d differs from a and b.
type core func(g *emitter, c codegen.Code, k kind, l asm.VL, d, a, b asm.V)

func byCore(g *emitter, v codegen.Val, in *codegen.Inst, f core) {
	a, b := g.src(in.A), g.src(in.B)
	f(g, in.Op, kindOf(in.Type), g.vl(v), g.defLate(v), a, b)
}

func mul64(g *emitter, v codegen.Val, in *codegen.Inst)    { byCore(g, v, in, mul64Core) }
func minMax64(g *emitter, v codegen.Val, in *codegen.Inst) { byCore(g, v, in, minMax64Core) }

// mul64Core: lo*lo + (hi*lo + lo*hi)<<32.
func mul64Core(g *emitter, _ codegen.Code, _ kind, l asm.VL, d, a, b asm.V) {
	t := g.tmp()
	g.VPSRLQ(l, d, a, 32)
	g.RR(asm.VPMULUDQ, l, d, d, b, 0)
	g.VPSRLQ(l, t, b, 32)
	g.RR(asm.VPMULUDQ, l, t, t, a, 0)
	g.RR(asm.VPADDQ, l, d, d, t, 0)
	g.VPSLLQ(l, d, d, 32)
	g.RR(asm.VPMULUDQ, l, t, a, b, 0)
	g.RR(asm.VPADDQ, l, d, d, t, 0)
	g.drop(t)
}

// minMax64Core compares and blends; unsigned values by flipping the sign bit.
func minMax64Core(g *emitter, c codegen.Code, k kind, l asm.VL, d, a, b asm.V) {
	x, y := a, b
	t := g.tmp()
	if k == kU64 {
		u := g.tmp()
		g.op(asm.VPXORv, l, t, a, g.splat(1<<63, 8))
		g.op(asm.VPXORv, l, u, b, g.splat(1<<63, 8))
		x, y = t, u
		defer g.drop(u)
	}
	g.RR(asm.VPCMPGTQ, l, t, x, y, 0)
	if c == codegen.Max {
		a, b = b, a
	}
	g.Blendv(asm.VBLENDVPD, l, d, a, b, t) // a > b ? b : a
	g.drop(t)
}

// abs64: (x^s)-s with s the sign.
func abs64(g *emitter, v codegen.Val, in *codegen.Inst) {
	l, a := g.vl(v), g.src(in.A)
	d, s := g.defLate(v), g.tmp()
	g.zero(s, l)
	g.RR(asm.VPCMPGTQ, l, s, s, a, 0)
	g.RR(asm.VPXORv, l, d, a, s, 0)
	g.RR(asm.VPSUBQ, l, d, d, s, 0)
}

// shiftArith64: logical shift of x^s, then ^s, with s the sign.
func shiftArith64(g *emitter, v codegen.Val, in *codegen.Inst) {
	l := g.vl(v)
	a, b := g.src(in.A), g.src(in.B)
	d, s := g.defLate(v), g.tmp()
	g.zero(s, l)
	g.RR(asm.VPCMPGTQ, l, s, s, a, 0)
	g.RR(asm.VPXORv, l, d, a, s, 0)
	g.RR(asm.VPSRLVQ, l, d, d, b, 0)
	g.RR(asm.VPXORv, l, d, d, s, 0)
}

// divide is Div and Rem of integers. I32 divides in F64, whose quotient of two
// 32-bit integers truncates to the right one; other types go lane by lane.
func divide(g *emitter, v codegen.Val, in *codegen.Inst) {
	if kindOf(in.Type) == kI32 {
		divide32(g, v, in)
		return
	}
	k, w := kindOf(in.Type), int32(in.Type.Size())
	l := g.vl(v)
	a, b := g.src(in.A), g.src(in.B)
	slots := g.lay.operands
	g.RM(asm.VMOVUPSst, l, a, 0, asm.Ptr(asm.RDI, slots[0]), 0)
	g.RM(asm.VMOVUPSst, l, b, 0, asm.Ptr(asm.RDI, slots[1]), 0)
	lanes := int32(l.Bytes()) / w
	g.MOVi(asm.RBX, int64(1)<<lanes-1)
	mask := asm.Ptr(asm.RDI, g.lay.table)
	g.laneLoop(func() {
		g.MOVst(mask, asm.RBX)
		g.divideLane(in.Op, k, asm.PtrX(asm.RDI, asm.RCX, log2(w), slots[0]), asm.PtrX(asm.RDI, asm.RCX, log2(w), slots[1]))
		g.MOVld(asm.RBX, mask)
	})
	g.RM(asm.VMOVUPSld, l, g.def(v), 0, asm.Ptr(asm.RDI, slots[0]), 0)
}

// divideLane replaces [x] by [x] op [y]; it uses RAX, RDX and RBX.
func (g *emitter) divideLane(c codegen.Code, k kind, x, y asm.Mem) {
	get := g.MOVld
	put := g.MOVst
	if k.size() == 4 {
		put = g.MOVLst
		get = g.MOVLld
		if k.signed() {
			get = g.MOVSXD
		}
	}
	zero, minus, done := g.NewLabel(), g.NewLabel(), g.NewLabel()
	get(asm.RAX, x)
	get(asm.RBX, y)
	g.TEST(asm.RBX, asm.RBX)
	g.Jcc(asm.E, zero)
	if k.signed() { // the quotient by -1 may not fit
		g.CMPi(asm.RBX, -1)
		g.Jcc(asm.E, minus)
		g.CQO()
		g.IDIV(asm.RBX)
	} else {
		g.XORL(asm.RDX, asm.RDX)
		g.DIV(asm.RBX)
	}
	if c == codegen.Rem {
		g.MOV(asm.RAX, asm.RDX)
	}
	g.JMP(done)
	g.Bind(minus)
	if c == codegen.Rem {
		g.MOVi(asm.RAX, 0)
	} else {
		g.NEG(asm.RAX)
	}
	g.JMP(done)
	g.Bind(zero)
	if c == codegen.Div {
		g.MOVi(asm.RAX, -1)
	}
	g.Bind(done)
	put(x, asm.RAX)
}

// divide32 divides I32 in F64, by halves where all lanes are I32. A quotient by
// zero becomes all ones; the one that overflows is right as the hardware gives it.
func divide32(g *emitter, v codegen.Val, in *codegen.Inst) {
	l, wide := g.vl(v), g.p.full
	a, b := g.src(in.A), g.src(in.B)
	d, x, y := g.defLate(v), g.tmp(), g.tmp()
	half := func(to, a, b asm.V) {
		g.RR(asm.VCVTDQ2PD, wide, x, 0, a, 0)
		g.RR(asm.VCVTDQ2PD, wide, y, 0, b, 0)
		g.RR(asm.VDIVPD, wide, x, x, y, 0)
		g.RR(asm.VCVTTPD2DQ, wide, to, 0, x, 0)
	}
	half(d, a, b)
	if l == wide {
		extract, insert := asm.VEXTRACTI128, asm.VINSERTI128
		if g.p.z {
			extract, insert = asm.VEXTRACTI64X4, asm.VINSERTI64X4
		}
		ah, bh := g.tmp(), g.tmp()
		g.RRi(extract, l, a, 0, ah, 0, 1)
		g.RRi(extract, l, b, 0, bh, 0, 1)
		half(ah, ah, bh)
		g.RRi(insert, l, d, d, ah, 0, 1)
	}
	if g.p.z {
		k := g.ktmp()
		g.RR(asm.VPTESTNMD, l, asm.V(k), b, b, 0)
		g.RM(asm.VPBROADCASTD, l, d, 0, g.Const32(0xffffffff), asm.Mask(k))
	} else {
		g.zero(x, l)
		g.RR(asm.VPCMPEQD, l, x, x, b, 0)
		g.RR(asm.VPORv, l, d, d, x, 0)
	}
	if in.Op == codegen.Rem { // a - q*b, right for b = 0 and b = -1 too
		g.RR(asm.VPMULLD, l, d, d, b, 0)
		g.RR(asm.VPSUBD, l, d, a, d, 0)
	}
}
