package x64

import (
	"jitc/codegen"
	"jitc/codegen/x64/asm"
	"jitc/ir/tensor"
)

// Bool values. On AVX-512 they live in opmasks k1-k6 and have no bit set beyond
// the lanes. On AVX2 they are vectors of all-ones lanes, as wide as the widest
// type of the nest.

var floatPredicates = [6]uint8{cmpEq, cmpNe, cmpLt, cmpLe, cmpGt, cmpGe}
var intPredicates = [6]uint8{0, 4, 1, 2, 6, 5}

// compare emits a comparison.
func compare(g *emitter, v codegen.Val, in *codegen.Inst) {
	k := kindOf(g.n.Insts[in.A].Type)
	switch {
	case k == kBool:
		compareMasks(g, v, in)
	case g.p.z:
		op, imm := compareOp(k, in.Op)
		a := g.src(in.A)
		b := g.rm(in.B)
		d := g.kdef(v)
		g.opi(op, g.vlOf(k), asm.V(d), a, b, int(imm))
		g.spreadMask(d, k)
	case k.float():
		op := asm.VCMPPSv
		if k == kF64 {
			op = asm.VCMPPDv
		}
		a := g.src(in.A)
		b := g.rm(in.B)
		d := g.def(v)
		g.opi(op, g.vlOf(k), d, a, b, int(floatPredicates[in.Op-codegen.Eq]))
		g.canonical(d, d, k.size())
	default:
		a, b := g.src(in.A), g.src(in.B)
		d := g.defLate(v)
		g.compareInts(in.Op, k, d, a, b)
		g.canonical(d, d, k.size())
	}
}

// spreadMask makes the mask of a uniform 8-byte comparison one for all lanes.
func (g *emitter) spreadMask(d asm.K, k kind) {
	if k.size() == 8 && !g.p.wide {
		g.KK3(asm.KUNPCKBW, d, d, d)
	}
}

// compareOp is the AVX-512 comparison of a type.
func compareOp(k kind, c codegen.Code) (asm.Op, uint8) {
	i := c - codegen.Eq
	switch k {
	case kF32:
		return asm.VCMPPSk, floatPredicates[i]
	case kF64:
		return asm.VCMPPDk, floatPredicates[i]
	case kI32:
		return asm.VPCMPDk, intPredicates[i]
	case kI64:
		return asm.VPCMPQk, intPredicates[i]
	case kU32:
		return asm.VPCMPUDk, intPredicates[i]
	}
	return asm.VPCMPUQk, intPredicates[i]
}

// compareInts compares on AVX2, which has = and > of signed integers.
func (g *emitter) compareInts(c codegen.Code, k kind, d, a, b asm.V) {
	l, size := g.vlOf(k), k.size()
	eq, gt, sign := asm.VPCMPEQD, asm.VPCMPGTD, uint64(1)<<31
	if size == 8 {
		eq, gt, sign = asm.VPCMPEQQ, asm.VPCMPGTQ, 1<<63
	}
	if !k.signed() && c != codegen.Eq && c != codegen.Ne {
		x, y := g.tmp(), g.tmp()
		g.op(asm.VPXORv, l, x, a, g.splat(sign, size))
		g.op(asm.VPXORv, l, y, b, g.splat(sign, size))
		a, b = x, y
	}
	not := false
	switch c {
	case codegen.Eq, codegen.Ne:
		g.RR(eq, l, d, a, b, 0)
		not = c == codegen.Ne
	case codegen.Gt, codegen.Le:
		g.RR(gt, l, d, a, b, 0)
		not = c == codegen.Le
	default:
		g.RR(gt, l, d, b, a, 0)
		not = c == codegen.Ge
	}
	if not {
		g.op(asm.VPXORv, l, d, d, g.splat(^uint64(0), 8))
	}
}

// compareMasks compares Bool with false < true.
func compareMasks(g *emitter, v codegen.Val, in *codegen.Inst) {
	a, b := in.A, in.B
	if in.Op == codegen.Gt || in.Op == codegen.Le { // a > b is b < a
		a, b = b, a
	}
	op, not := maskNotAnd, false
	switch in.Op {
	case codegen.Eq:
		op, not = maskXor, true
	case codegen.Ne:
		op = maskXor
	case codegen.Le, codegen.Ge:
		not = true
	}
	if g.p.z {
		x, y := g.ksrc(a), g.ksrc(b)
		d := g.kdef(v)
		g.KK3(op.z, d, x, y)
		if not {
			g.knot(d, d)
		}
		return
	}
	x, y := g.src(a), g.src(b)
	d := g.def(v)
	g.RR(op.y, g.p.full, d, x, y, 0)
	if not {
		g.op(asm.VPXORv, g.p.full, d, d, g.splat(^uint64(0), 8))
	}
}

type maskOp struct{ z, y asm.Op }

var (
	maskAnd    = maskOp{asm.KANDW, asm.VPANDv}
	maskNotAnd = maskOp{asm.KANDNW, asm.VPANDNv}
	maskOr     = maskOp{asm.KORW, asm.VPORv}
	maskXor    = maskOp{asm.KXORW, asm.VPXORv}
)

// knot inverts the lanes' bits.
func (g *emitter) knot(d, s asm.K) {
	if g.p.wide {
		g.KK(asm.KNOTB, d, s)
	} else {
		g.KNOTW(d, s)
	}
}

// maskLogic is And, Or, Xor and Not of Bool.
func maskLogic(g *emitter, v codegen.Val, in *codegen.Inst) {
	op := maskAnd
	switch in.Op {
	case codegen.Or:
		op = maskOr
	case codegen.Xor:
		op = maskXor
	}
	switch {
	case g.p.z && in.Op == codegen.Not:
		s := g.ksrc(in.A)
		g.knot(g.kdef(v), s)
	case g.p.z:
		x, y := g.ksrc(in.A), g.ksrc(in.B)
		g.KK3(op.z, g.kdef(v), x, y)
	case in.Op == codegen.Not:
		s := g.src(in.A)
		g.op(asm.VPXORv, g.p.full, g.def(v), s, g.splat(^uint64(0), 8))
	default:
		x, y := g.src(in.A), g.src(in.B)
		g.RR(op.y, g.p.full, g.def(v), x, y, 0)
	}
}

// selectLanes is A ? B : C.
func selectLanes(g *emitter, v codegen.Val, in *codegen.Inst) {
	switch {
	case in.Type == tensor.Bool:
		selectMasks(g, v, in)
	case g.p.z:
		k := g.ksrc(in.A)
		if c := &g.n.Insts[in.C]; c.Op == codegen.Const && c.Imm == 0 {
			b := g.src(in.B)
			op := asm.VMOVAPSld
			if in.Type.Size() == 8 {
				op = asm.VMOVAPDld
			}
			g.RR(op, g.vl(v), g.def(v), 0, b, asm.MaskZ(k))
			return
		}
		op := asm.VBLENDMPS
		if in.Type.Size() == 8 {
			op = asm.VBLENDMPD
		}
		c := g.src(in.C)
		b := g.rm(in.B)
		b.f |= asm.Mask(k)
		d := g.def(v)
		if b.mem {
			g.RM(op, g.vl(v), d, c, b.m, b.f)
		} else {
			g.RR(op, g.vl(v), d, c, b.r, b.f)
		}
	default:
		m := g.maskAs(g.src(in.A), in.Type.Size())
		c := g.src(in.C)
		b := g.rm(in.B)
		g.opi(asm.VBLENDVPS, g.vl(v), g.def(v), c, b, int(m)<<4)
	}
}

// selectMasks is (A and B) or (not A and C), with opmasks C xor (A and (B xor C)).
func selectMasks(g *emitter, v codegen.Val, in *codegen.Inst) {
	if g.p.z {
		a, b, c := g.ksrc(in.A), g.ksrc(in.B), g.ksrc(in.C)
		d := g.kdef(v)
		g.KXORW(d, b, c)
		g.KANDW(d, d, a)
		g.KXORW(d, d, c)
		return
	}
	a, b, c := g.src(in.A), g.src(in.B), g.src(in.C)
	g.Blendv(asm.VBLENDVPS, g.p.full, g.def(v), c, b, a)
}
