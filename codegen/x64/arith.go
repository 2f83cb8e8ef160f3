package x64

import (
	"math"

	"jitc/codegen"
	"jitc/codegen/x64/asm"
)

// Predicates of VCMPPS and VCMPPD: ordered, quiet.
const (
	cmpEq        = 0x00
	cmpUnordered = 0x03
	cmpNe        = 0x04
	cmpOrdered   = 0x07
	cmpLt        = 0x11
	cmpLe        = 0x12
	cmpGe        = 0x1d
	cmpGt        = 0x1e
)

// inst emits one copy of an instruction.
func (g *emitter) inst(v codegen.Val) {
	in := &g.n.Insts[v]
	r := rowOf(in, g.n)
	op := r.op(g.p.z)
	switch {
	case r.form == formFMA:
		g.fusedMultiplyAdd(v, in)
	case op == noOp:
		r.fn(g, v, in)
	case r.form == formUn:
		o := g.rm(in.A)
		g.opi(op, g.vl(v), g.def(v), 0, o, r.imm)
	default:
		x, y := in.A, in.B
		if r.form == formCom && g.swaps(x, y) {
			x, y = y, x
		}
		s := g.src(x)
		o := g.rm(y)
		g.opi(op, g.vl(v), g.def(v), s, o, r.imm)
	}
	g.finish(v)
	g.insts++
}

// swaps reports whether commuting x op y helps: memory stands second, and of two
// registers the dying one first.
func (g *emitter) swaps(x, y codegen.Val) bool {
	switch {
	case g.folded(x) || g.folded(y):
		return g.folded(x)
	case !g.inReg(x):
		return true
	}
	return g.inReg(y) && g.dies(y) && !g.dies(x)
}

var fmaOps = [2][2][3]asm.Op{ // FMA, FNMA; single, double; 132, 213, 231
	{{asm.VFMADD132PS, asm.VFMADD213PS, asm.VFMADD231PS}, {asm.VFMADD132PD, asm.VFMADD213PD, asm.VFMADD231PD}},
	{{asm.VFNMADD132PS, asm.VFNMADD213PS, asm.VFNMADD231PS}, {asm.VFNMADD132PD, asm.VFNMADD213PD, asm.VFNMADD231PD}},
}

// fusedMultiplyAdd picks the operand order that overwrites a dying operand and
// lets a memory operand stay in memory.
func (g *emitter) fusedMultiplyAdd(v codegen.Val, in *codegen.Inst) {
	ops := &fmaOps[int(in.Op-codegen.FMA)][kindOf(in.Type)]
	l := g.vl(v)
	x, y, w := in.A, in.B, in.C
	if g.swaps(x, y) {
		x, y = y, x
	}
	own := func(u codegen.Val) bool { // may be overwritten
		at := g.at(u)
		return g.dies(u) && g.pin[at] < 0 && g.reg[at] >= 0 && g.pin[g.at(v)] < 0
	}
	switch {
	case own(w) && w != x && w != y: // w += x*y
		d, s := g.src(w), g.src(x)
		g.op(ops[2], l, d, s, g.rm(y))
		g.rename(w, v, d)
	case own(x) && x != y && x != w && (g.inReg(y) || g.folded(w)): // x = y*x + w
		d, s := g.src(x), g.src(y)
		g.op(ops[1], l, d, s, g.rm(w))
		g.rename(x, v, d)
	case own(x) && x != y && x != w: // x = x*y + w
		d, s := g.src(x), g.src(w)
		g.op(ops[0], l, d, s, g.rm(y))
		g.rename(x, v, d)
	default:
		s := g.src(x)
		d := g.defLate(v)
		if o := g.rm(w); o.mem && o.f != 0 {
			g.RM(spread(kindOf(in.Type)), l, d, 0, o.m, 0)
		} else {
			g.op(asm.VMOVUPSld, l, d, 0, o)
		}
		g.op(ops[2], l, d, s, g.rm(y))
	}
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

func spread(k kind) asm.Op {
	if k.size() == 8 {
		return asm.VPBROADCASTQ
	}
	return asm.VBROADCASTSS
}

// rename hands the register of dying u to v.
func (g *emitter) rename(u, v codegen.Val, r asm.V) {
	g.reg[g.at(u)] = -1
	l := g.at(v)
	g.reg[l] = int8(r)
	g.v.hold(uint8(r), l)
}

// move copies A; bit casts change the type only.
func move(g *emitter, v codegen.Val, in *codegen.Inst) {
	s := g.src(in.A)
	if d := g.def(v); d != s {
		g.RR(asm.VMOVAPSld, g.vl(v), d, 0, s, 0)
	}
}

// floatSign is Neg and Abs: the sign bit flipped or cleared.
func floatSign(g *emitter, v codegen.Val, in *codegen.Inst) {
	size := in.Type.Size()
	sign := uint64(1) << (8*size - 1)
	op, bits := asm.VXORPS, sign
	if size == 8 {
		op = asm.VXORPD
	}
	if in.Op == codegen.Abs {
		op, bits = asm.VANDPS, sign-1
		if size == 8 {
			op = asm.VANDPD
		}
	}
	s := g.src(in.A)
	g.op(op, g.vl(v), g.def(v), s, g.splat(bits, size))
}

// negate is 0-A.
func negate(g *emitter, v codegen.Val, in *codegen.Inst) {
	op := asm.VPSUBD
	if in.Type.Size() == 8 {
		op = asm.VPSUBQ
	}
	z := g.tmp()
	g.zero(z, g.vl(v))
	o := g.rm(in.A)
	g.op(op, g.vl(v), g.def(v), z, o)
}

// invert is all ones xor A.
func invert(g *emitter, v codegen.Val, in *codegen.Inst) {
	s := g.src(in.A)
	g.op(pick(g.p.z, asm.VPXORQ, asm.VPXORv), g.vl(v), g.def(v), s, g.splat(math.MaxUint64, 8))
}

// floatMinMax propagates NaN and orders -0 below +0, which the hardware's
// minimum does not: it returns the second operand for a NaN and for two zeros.
func floatMinMax(g *emitter, v codegen.Val, in *codegen.Inst) {
	k := kindOf(in.Type)
	op := minMaxOp(in.Op, k)
	x, c := in.A, in.B
	if g.n.Insts[x].Op == codegen.Const {
		x, c = c, x
	}
	if bits := g.n.Insts[c].Imm; g.n.Insts[c].Op == codegen.Const && (g.p.fast || easyBound(bits, k, in.Op)) {
		s := g.src(c)
		o := g.rm(x)
		g.op(op, g.vl(v), g.def(v), s, o)
		return
	}
	if g.p.fast {
		s := g.src(in.A)
		o := g.rm(in.B)
		g.op(op, g.vl(v), g.def(v), s, o)
		return
	}
	a, b := g.src(in.A), g.src(in.B)
	g.minMax(in.Op, k, g.vl(v), g.defLate(v), a, b)
}

func minMaxOp(c codegen.Code, k kind) asm.Op {
	op := asm.VMINPS
	if c == codegen.Max {
		op = asm.VMAXPS
	}
	if k == kF64 {
		op += asm.VMINPD - asm.VMINPS
	}
	return op
}

// easyBound reports whether one instruction with the constant as its first
// operand is exact: the constant is no NaN, and where x is the other zero, x is
// the right answer.
func easyBound(bits uint64, k kind, c codegen.Code) bool {
	f := float64(math.Float32frombits(uint32(bits)))
	if k == kF64 {
		f = math.Float64frombits(bits)
	}
	switch {
	case f != f:
		return false
	case f != 0:
		return true
	}
	return math.Signbit(f) == (c == codegen.Max)
}

// minMax is d = min or max of floats a and b; d differs from both.
func (g *emitter) minMax(c codegen.Code, k kind, l asm.VL, d, a, b asm.V) {
	if g.p.z {
		rng, cmp, add := asm.VRANGEPS, asm.VCMPPSk, asm.VADDPS
		if k == kF64 {
			rng, cmp, add = asm.VRANGEPD, asm.VCMPPDk, asm.VADDPD
		}
		nan := g.ktmp()
		g.RRi(rng, l, d, a, b, 0, uint8(4+b2i(c == codegen.Max)))
		g.RRi(cmp, l, asm.V(nan), a, b, 0, cmpUnordered)
		g.RR(add, l, d, a, b, asm.Mask(nan))
		g.dropK(nan)
		return
	}
	// Both orders agree but for zeros and NaN: of zeros, and-ing keeps +0 and
	// or-ing -0; a NaN becomes all ones.
	op, cmp, join := minMaxOp(c, k), asm.VCMPPSv, asm.VANDPS
	if k == kF64 {
		cmp = asm.VCMPPDv
	}
	if c == codegen.Min {
		join = asm.VORPS
	}
	t := g.tmp()
	g.RR(op, l, d, a, b, 0)
	g.RR(op, l, t, b, a, 0)
	g.RR(join, l, d, d, t, 0)
	g.RRi(cmp, l, t, a, b, 0, cmpUnordered)
	g.RR(asm.VORPS, l, d, d, t, 0)
	g.drop(t)
}

func (g *emitter) dropK(k asm.K) { g.ktemps &^= 1 << k; g.k.free |= 1 << k }

// scale2 is A*2^B on AVX2: two factors, each a power of two made from its
// exponent, so that results up to the range's ends come out. B is clamped to
// twice the exponent range. Where A times the first factor is subnormal and so is
// the result, it is rounded twice.
func scale2(g *emitter, v codegen.Val, in *codegen.Inst) {
	l, k := g.vl(v), kindOf(in.Type)
	a, b := g.src(in.A), g.src(in.B)
	d, n, h, f := g.defLate(v), g.tmp(), g.tmp(), g.tmp()
	if k == kF32 {
		bound := float32(252)
		g.op(asm.VMINPS, l, n, b, g.splat(uint64(math.Float32bits(bound)), 4))
		g.op(asm.VMAXPS, l, n, n, g.splat(uint64(math.Float32bits(-bound)), 4))
		g.RR(asm.VCVTPS2DQ, l, n, 0, n, 0)
		g.VPSRAD(l, h, n, 1)
		g.RR(asm.VPSUBD, l, n, n, h, 0)
		for i, e := range []asm.V{h, n} {
			g.op(asm.VPADDD, l, f, e, g.splat(127, 4))
			g.VPSLLD(l, f, f, 23)
			g.RR(asm.VMULPS, l, d, pickV(i == 0, a, d), f, 0)
		}
		return
	}
	bound := 2044.0
	g.op(asm.VMINPD, l, n, b, g.splat(math.Float64bits(bound), 8))
	g.op(asm.VMAXPD, l, n, n, g.splat(math.Float64bits(-bound), 8))
	g.RR(asm.VCVTPD2DQ, l, n, 0, n, 0)
	g.VPSRAD(asm.X128, h, n, 1)
	g.RR(asm.VPSUBD, asm.X128, n, n, h, 0)
	for i, e := range []asm.V{h, n} {
		g.RR(asm.VPMOVSXDQ, l, f, 0, e, 0)
		g.op(asm.VPADDQ, l, f, f, g.splat(1023, 8))
		g.VPSLLQ(l, f, f, 52)
		g.RR(asm.VMULPD, l, d, pickV(i == 0, a, d), f, 0)
	}
}

func pickV(first bool, a, b asm.V) asm.V {
	if first {
		return a
	}
	return b
}
