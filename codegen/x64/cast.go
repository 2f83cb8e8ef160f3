package x64

import (
	"math"

	"jitc/codegen"
	"jitc/codegen/x64/asm"
	"jitc/ir/tensor"
)

// castRow spells one conversion: a single instruction, or a sequence.
type castRow struct {
	op   asm.Op
	fn   seq
	half bool // AVX-512 only
	ok   bool
}

var castRows [numKinds][numKinds]castRow // from, to

func init() {
	one := func(op asm.Op, from, to kind) { castRows[from][to] = castRow{op: op, ok: true} }
	oneZ := func(op asm.Op, from, to kind) { castRows[from][to] = castRow{op: op, half: true, ok: true} }
	by := func(fn seq, half bool, from kind, to ...kind) {
		for _, t := range to {
			castRows[from][t] = castRow{op: noOp, fn: fn, half: half, ok: true}
		}
	}
	for k := range numKinds {
		by(castToMask, false, k, kBool)
		by(castMask, false, kBool, k)
		if k != kBool {
			by(move, false, k, k)
		}
	}
	by(moveMask, false, kBool, kBool)
	one(asm.VCVTPS2PD, kF32, kF64)
	one(asm.VCVTPD2PS, kF64, kF32)
	one(asm.VCVTDQ2PS, kI32, kF32)
	one(asm.VCVTDQ2PD, kI32, kF64)
	oneZ(asm.VCVTUDQ2PS, kU32, kF32)
	oneZ(asm.VCVTUDQ2PD, kU32, kF64)
	oneZ(asm.VCVTQQ2PS, kI64, kF32)
	oneZ(asm.VCVTQQ2PD, kI64, kF64)
	oneZ(asm.VCVTUQQ2PS, kU64, kF32)
	oneZ(asm.VCVTUQQ2PD, kU64, kF64)
	castRows[kI64][kF32] = castRow{op: asm.VCVTQQ2PS, fn: castLanes, ok: true}
	castRows[kI64][kF64] = castRow{op: asm.VCVTQQ2PD, fn: castLanes, ok: true}
	for _, f := range []kind{kF32, kF64} {
		by(floatToSigned, false, f, kI32)
		by(floatToSigned64, false, f, kI64)
		by(floatToUnsigned, true, f, kU32, kU64)
	}
	by(move, false, kI32, kU32)
	by(move, false, kU32, kI32)
	by(move, false, kI64, kU64)
	by(move, false, kU64, kI64)
	one(asm.VPMOVSXDQ, kI32, kI64)
	one(asm.VPMOVSXDQ, kI32, kU64)
	one(asm.VPMOVZXDQ, kU32, kI64)
	one(asm.VPMOVZXDQ, kU32, kU64)
	for _, f := range []kind{kI64, kU64} {
		by(truncate, false, f, kI32, kU32)
	}
}

// cast converts A to the instruction's type.
func cast(g *emitter, v codegen.Val, in *codegen.Inst) {
	from, to := kindOf(g.n.Insts[in.A].Type), kindOf(in.Type)
	r := &castRows[from][to]
	if r.op == noOp || !g.p.z && r.fn != nil {
		r.fn(g, v, in)
	} else {
		s := g.src(in.A)
		g.RR(r.op, g.widest(from, to), g.def(v), 0, s, 0)
	}
	if from.size() == 8 && to.size() == 4 && to != kBool && !g.p.wide { // uniform: spread the first lane
		d := asm.V(g.reg[g.at(v)])
		if p := g.pin[g.at(v)]; p >= 0 {
			d = asm.V(p)
		}
		g.RR(asm.VBROADCASTSS, g.p.full, d, 0, d, 0)
	}
}

// widest is the vector length of a conversion.
func (g *emitter) widest(from, to kind) asm.VL {
	if from.size() == 8 {
		return g.vlOf(from)
	}
	return g.vlOf(to)
}

// castToMask is A != 0, also for NaN.
func castToMask(g *emitter, v codegen.Val, in *codegen.Inst) {
	k := kindOf(g.n.Insts[in.A].Type)
	x, z := g.src(in.A), g.tmp()
	g.zero(z, g.vlOf(k))
	if g.p.z {
		op, imm := compareOp(k, codegen.Ne)
		d := g.kdef(v)
		g.RRi(op, g.vlOf(k), asm.V(d), x, z, 0, imm)
		g.spreadMask(d, k)
		return
	}
	d := g.defLate(v)
	if k.float() {
		op := asm.VCMPPSv
		if k == kF64 {
			op = asm.VCMPPDv
		}
		g.RRi(op, g.vlOf(k), d, x, z, 0, cmpNe)
	} else {
		g.compareInts(codegen.Ne, k, d, x, z)
	}
	g.canonical(d, d, k.size())
}

// castMask is 1 where A holds, else 0.
func castMask(g *emitter, v codegen.Val, in *codegen.Inst) {
	k := kindOf(in.Type)
	one := map[kind]uint64{kF32: uint64(math.Float32bits(1)), kF64: math.Float64bits(1)}[k]
	if !k.float() {
		one = 1
	}
	if g.p.z {
		m := g.ksrc(in.A)
		c := g.Const32(uint32(one))
		if k.size() == 8 {
			c = g.Const64(one)
		}
		g.RM(spread(k), g.vl(v), g.def(v), 0, c, asm.MaskZ(m))
		return
	}
	m := g.maskAs(g.src(in.A), k.size())
	g.op(asm.VPANDv, g.vl(v), g.def(v), m, g.splat(one, k.size()))
}

func moveMask(g *emitter, v codegen.Val, in *codegen.Inst) {
	if !g.p.z {
		move(g, v, in)
		return
	}
	s := g.ksrc(in.A)
	g.KK(asm.KMOVWld, g.kdef(v), s)
}

// truncate keeps the low half of 64-bit lanes.
func truncate(g *emitter, v codegen.Val, in *codegen.Inst) {
	s := g.src(in.A)
	if g.p.z {
		g.RR(asm.VPMOVQD, asm.Z512, s, 0, g.def(v), 0)
		return
	}
	d := g.defLate(v)
	g.RRi(asm.VEXTRACTI128, asm.Y256, s, 0, d, 0, 1)
	g.RRi(asm.VSHUFPS, asm.X128, d, s, d, 0, 0x88)
}

// floatToSigned truncates to I32. The hardware gives the smallest integer for
// NaN and whatever does not fit: right below, corrected to the largest above and
// to zero for NaN.
func floatToSigned(g *emitter, v codegen.Val, in *codegen.Inst) {
	from := kindOf(g.n.Insts[in.A].Type)
	l := g.vlOf(from)
	x := g.src(in.A)
	d := g.defLate(v)
	t := g.orderedOrZero(x, from, l)
	if from == kF64 { // clamping is exact in F64
		g.op(asm.VMINPD, l, t, t, g.splat(math.Float64bits(math.MaxInt32), 8))
		g.RR(asm.VCVTTPD2DQ, l, d, 0, t, 0)
		return
	}
	limit := g.splat(uint64(math.Float32bits(0x1p31)), 4)
	g.RR(asm.VCVTTPS2DQ, l, d, 0, t, 0)
	if g.p.z {
		k := g.ktmp()
		g.RMi(asm.VCMPPSk, l, asm.V(k), t, limit.m, limit.f, cmpGe)
		g.RM(asm.VPBROADCASTD, l, d, 0, g.Const32(math.MaxInt32), asm.Mask(k))
		return
	}
	g.opi(asm.VCMPPSv, l, t, t, limit, cmpGe)
	g.RR(asm.VPXORv, l, d, d, t, 0)
}

// orderedOrZero is x with zero in place of NaN, in a temporary.
func (g *emitter) orderedOrZero(x asm.V, k kind, l asm.VL) asm.V {
	t := g.tmp()
	cmpk, cmpv, mov := asm.VCMPPSk, asm.VCMPPSv, asm.VMOVAPSld
	if k == kF64 {
		cmpk, cmpv, mov = asm.VCMPPDk, asm.VCMPPDv, asm.VMOVAPDld
	}
	if g.p.z {
		m := g.ktmp()
		g.RRi(cmpk, l, asm.V(m), x, x, 0, cmpOrdered)
		g.RR(mov, l, t, 0, x, asm.MaskZ(m))
		return t
	}
	g.RRi(cmpv, l, t, x, x, 0, cmpOrdered)
	g.RR(asm.VANDPS, l, t, t, x, 0)
	return t
}

// floatToSigned64 truncates to I64, as floatToSigned does.
func floatToSigned64(g *emitter, v codegen.Val, in *codegen.Inst) {
	if !g.p.z {
		castLanes(g, v, in)
		return
	}
	from := kindOf(g.n.Insts[in.A].Type)
	x := g.src(in.A)
	d := g.defLate(v)
	t := g.orderedOrZero(x, from, g.vlOf(from))
	op, cmp, limit := asm.VCVTTPS2QQ, asm.VCMPPSk, g.splat(uint64(math.Float32bits(0x1p63)), 4)
	if from == kF64 {
		op, cmp, limit = asm.VCVTTPD2QQ, asm.VCMPPDk, g.splat(math.Float64bits(0x1p63), 8)
	}
	g.RR(op, asm.Z512, d, 0, t, 0)
	k := g.ktmp()
	g.RMi(cmp, g.vlOf(from), asm.V(k), t, limit.m, limit.f, cmpGe)
	g.RM(asm.VPBROADCASTQ, asm.Z512, d, 0, g.Const64(math.MaxInt64), asm.Mask(k))
}

// floatToUnsigned truncates to U32 or U64: max(x, 0) is 0 for NaN, and what does
// not fit is all ones already.
func floatToUnsigned(g *emitter, v codegen.Val, in *codegen.Inst) {
	from, to := kindOf(g.n.Insts[in.A].Type), kindOf(in.Type)
	x, t := g.src(in.A), g.tmp()
	g.zero(t, g.vlOf(from))
	g.RR(minMaxOp(codegen.Max, from), g.vlOf(from), t, x, t, 0)
	op := asm.VCVTTPS2UDQ
	switch {
	case from == kF32 && to == kU64:
		op = asm.VCVTTPS2UQQ
	case from == kF64 && to == kU32:
		op = asm.VCVTTPD2UDQ
	case from == kF64:
		op = asm.VCVTTPD2UQQ
	}
	g.RR(op, g.widest(from, to), g.def(v), 0, t, 0)
}

// castLanes converts between I64 and floats lane by lane, for AVX2.
func castLanes(g *emitter, v codegen.Val, in *codegen.Inst) {
	from, to := g.n.Insts[in.A].Type, in.Type
	slots := g.lay.operands
	g.RM(asm.VMOVUPSst, g.vl(in.A), g.src(in.A), 0, asm.Ptr(asm.RDI, slots[0]), 0)
	t, z := g.tmp(), g.tmp()
	g.zero(z, asm.X128)
	lanes := g.p.lanes
	if !g.p.wide { // uniform
		lanes = 1
	}
	g.MOVi(asm.RBX, int64(1)<<lanes-1)
	g.laneLoop(func() {
		x := asm.PtrX(asm.RDI, asm.RCX, log2(int32(from.Size())), slots[0])
		d := asm.PtrX(asm.RDI, asm.RCX, log2(int32(to.Size())), slots[1])
		switch {
		case to == tensor.F32:
			g.RM(asm.VCVTSI2SSq, asm.X128, t, z, x, 0)
			g.RM(asm.VMOVSSst, asm.X128, t, 0, d, 0)
		case to == tensor.F64:
			g.RM(asm.VCVTSI2SDq, asm.X128, t, z, x, 0)
			g.RM(asm.VMOVSDst, asm.X128, t, 0, d, 0)
		default:
			g.saturateLane(t, from, x)
			g.MOVst(d, asm.RAX)
		}
	})
	op := asm.VMOVUPSld
	if !g.p.wide {
		op = spread(kindOf(to))
	}
	g.RM(op, g.vl(v), g.def(v), 0, asm.Ptr(asm.RDI, slots[1]), 0)
}

// saturateLane truncates the float at x to RAX; it uses RDX.
func (g *emitter) saturateLane(t asm.V, from tensor.DType, x asm.Mem) {
	ld, cmp, cvt, limit := asm.VMOVSSld, asm.VUCOMISS, asm.VCVTTSS2SIq, g.Const32(math.Float32bits(0x1p63))
	if from == tensor.F64 {
		ld, cmp, cvt, limit = asm.VMOVSDld, asm.VUCOMISD, asm.VCVTTSD2SIq, g.Const64(math.Float64bits(0x1p63))
	}
	nan, below, done := g.NewLabel(), g.NewLabel(), g.NewLabel()
	g.RM(ld, asm.X128, t, 0, x, 0)
	g.RM(cmp, asm.X128, t, 0, limit, 0)
	g.Jcc(asm.P, nan)
	g.Jcc(asm.B, below)
	g.MOVi(asm.RAX, math.MaxInt64)
	g.JMP(done)
	g.Bind(nan)
	g.MOVi(asm.RAX, 0)
	g.JMP(done)
	g.Bind(below)
	g.RR(cvt, asm.X128, asm.V(asm.RAX), 0, t, 0)
	g.Bind(done)
}
