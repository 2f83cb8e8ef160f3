package x64

import (
	"math"

	"jitc/codegen"
	"jitc/codegen/x64/asm"
	"jitc/ir/tensor"
)

// Narrow elements. decode turns elements as they lie in memory into lanes of the
// compute type; encode turns lanes into the narrow bits, zero-extended to 4
// bytes per lane. Load is decode, Store is encode and a truncating store, and
// RoundTo is both.

// widen defines v as the lanes of element type dt at src.
func (g *emitter) widen(v codegen.Val, in *codegen.Inst, dt tensor.DType, src operand) {
	if !g.p.vals[v].mask {
		g.decode(g.def(v), in, dt, src)
		return
	}
	t := g.tmp()
	switch {
	case !src.mem:
		t = src.r
	case g.p.wide && src.f == 0: // 8 lanes, and not a byte more
		g.RM(asm.VMOVQld, asm.X128, t, 0, src.m, 0)
	default:
		g.RM(asm.VMOVDQU8ld, asm.X128, t, 0, src.m, src.f)
	}
	k := g.kdef(v)
	g.RR(asm.VPTESTMB, asm.X128, asm.V(k), t, t, 0)
	if g.p.wide { // an opmask has no bit beyond the lanes
		g.KK(asm.KMOVBld, k, k)
	}
}

// extends is the instruction that widens an integer or the bits of a float to 4 bytes.
var extends = map[tensor.DType]asm.Op{
	tensor.BF16: asm.VPMOVZXWD, tensor.U16: asm.VPMOVZXWD, tensor.I16: asm.VPMOVSXWD,
	tensor.U8: asm.VPMOVZXBD, tensor.I8: asm.VPMOVSXBD, tensor.Bool: asm.VPMOVZXBD,
	tensor.F8E4M3: asm.VPMOVZXBD, tensor.F8E5M2: asm.VPMOVZXBD, tensor.F16: asm.VCVTPH2PS,
}

// decode loads or converts src, of element type dt, into d.
func (g *emitter) decode(d asm.V, in *codegen.Inst, dt tensor.DType, src operand) {
	l := g.vlOf(kindOf(in.Type))
	switch {
	case dt.Size() == 8:
		g.op(asm.VMOVUPDld, l, d, 0, src)
		return
	case dt.Size() == 4:
		g.op(asm.VMOVUPSld, l, d, 0, src)
		return
	case dt == tensor.Bool: // AVX2
		g.op(asm.VPMOVZXBD, g.vecOf(4), d, 0, src)
		g.notZero(d, d)
		g.canonical(d, d, 4)
		return
	}
	g.op(extends[dt], l, d, 0, src)
	g.decodeBits(d, dt, l)
}

// decodeBits finishes a decode whose bits are zero-extended in d.
func (g *emitter) decodeBits(d asm.V, dt tensor.DType, l asm.VL) {
	switch dt {
	case tensor.BF16:
		g.VPSLLD(l, d, d, 16)
	case tensor.F8E4M3:
		g.decodeF8(d, l, 20, 127-7)
	case tensor.F8E5M2:
		g.decodeF8(d, l, 21, 127-15)
	}
}

// decodeF8 moves exponent and mantissa to their place and multiplies by a power
// of two, which re-biases and makes subnormals normal; then the special values.
func (g *emitter) decodeF8(d asm.V, l asm.VL, shift uint8, bias int) {
	sign, mag := g.tmp(), g.tmp()
	and := pick(g.p.z, asm.VPANDD, asm.VPANDv)
	or := pick(g.p.z, asm.VPORD, asm.VPORv)
	g.op(and, l, mag, d, g.splat(0x7f, 4))
	g.op(and, l, sign, d, g.splat(0x80, 4))
	g.VPSLLD(l, sign, sign, 24)
	g.VPSLLD(l, d, mag, shift)
	g.op(asm.VMULPS, l, d, d, g.splat(uint64(math.Float32bits(float32(math.Ldexp(1, bias)))), 4))
	if shift == 20 {
		g.blend(d, g.greater(mag, 0x7e, l), 0x7fc00000, l)
	} else {
		m := g.greater(mag, 0x7b, l)
		special := g.tmp()
		g.VPSLLD(l, special, mag, shift)
		g.op(or, l, special, special, g.splat(0x7f800000, 4))
		g.blendReg(d, m, special, l)
	}
	g.RR(or, l, d, d, sign, 0)
}

func pick(z bool, a, b asm.Op) asm.Op {
	if z {
		return a
	}
	return b
}

// laneMask is the result of a comparison inside of a sequence.
type laneMask struct {
	k asm.K
	v asm.V
}

// greater compares signed 4-byte lanes with a constant.
func (g *emitter) greater(a asm.V, than uint32, l asm.VL) laneMask {
	if g.p.z {
		m := laneMask{k: g.ktmp()}
		c := g.splat(uint64(than), 4)
		g.RMi(asm.VPCMPDk, l, asm.V(m.k), a, c.m, c.f, 6)
		return m
	}
	m := laneMask{v: g.tmp()}
	g.op(asm.VPCMPGTD, l, m.v, a, g.splat(uint64(than), 4))
	return m
}

// blend puts a constant into the lanes of d where m holds.
func (g *emitter) blend(d asm.V, m laneMask, bits uint32, l asm.VL) {
	if g.p.z {
		g.RM(asm.VPBROADCASTD, l, d, 0, g.Const32(bits), asm.Mask(m.k))
		return
	}
	g.RMi(asm.VBLENDVPS, l, d, d, g.splat(uint64(bits), 4).m, 0, uint8(m.v)<<4)
}

// blendReg puts s into the lanes of d where m holds.
func (g *emitter) blendReg(d asm.V, m laneMask, s asm.V, l asm.VL) {
	if g.p.z {
		g.RR(asm.VMOVAPSld, l, d, 0, s, asm.Mask(m.k))
		return
	}
	g.Blendv(asm.VBLENDVPS, l, d, d, s, m.v)
}

// narrow is the value of a Store as lanes to truncate to the element, and their width.
func (g *emitter) narrow(in *codegen.Inst, dt tensor.DType) (asm.V, int32) {
	if dt.Size() == 8 {
		return g.src(in.A), 8
	}
	if dt.Size() == 4 {
		return g.src(in.A), 4
	}
	l := g.vecOf(4)
	if dt != tensor.Bool {
		d, x := g.tmp(), g.src(in.A)
		g.encode(d, x, dt, l)
		return d, 4
	}
	d := g.tmp()
	if g.p.z {
		g.RM(asm.VPBROADCASTD, l, d, 0, g.Const32(1), asm.MaskZ(g.ksrc(in.A)))
		return d, 4
	}
	g.op(asm.VPANDv, l, d, g.maskAs(g.src(in.A), 4), g.splat(1, 4))
	return d, 4
}

// encode puts the narrow bits of x into d, zero-extended; d and x differ.
func (g *emitter) encode(d, x asm.V, dt tensor.DType, l asm.VL) {
	and := pick(g.p.z, asm.VPANDD, asm.VPANDv)
	switch dt {
	case tensor.I8, tensor.U8:
		g.op(and, l, d, x, g.splat(0xff, 4))
	case tensor.I16, tensor.U16:
		g.op(and, l, d, x, g.splat(0xffff, 4))
	case tensor.F16:
		g.RRi(asm.VCVTPS2PH, l, x, 0, d, 0, 0)
		g.RR(asm.VPMOVZXWD, l, d, 0, d, 0)
	case tensor.BF16:
		g.encodeBF16(d, x, l)
	case tensor.F8E4M3:
		g.encodeF8(d, x, l, 3, 7, 0x7f)
	case tensor.F8E5M2:
		g.encodeF8(d, x, l, 2, 15, 0x7c)
	default:
		panic("BUG: x64: no encoding of " + dt.String())
	}
}

// encodeBF16 rounds to nearest even by adding half a unit, less one if even; a
// NaN keeps its upper bits and becomes quiet.
func (g *emitter) encodeBF16(d, x asm.V, l asm.VL) {
	t := g.tmp()
	and := pick(g.p.z, asm.VPANDD, asm.VPANDv)
	or := pick(g.p.z, asm.VPORD, asm.VPORv)
	g.VPSRLD(l, t, x, 16)
	g.op(and, l, d, t, g.splat(1, 4))
	g.RR(asm.VPADDD, l, d, d, x, 0)
	g.op(asm.VPADDD, l, d, d, g.splat(0x7fff, 4))
	g.VPSRLD(l, d, d, 16)
	m := g.unordered(x, l)
	g.op(or, l, t, t, g.splat(0x40, 4))
	g.blendReg(d, m, t, l)
}

// unordered holds where x, in 4-byte lanes, is NaN.
func (g *emitter) unordered(x asm.V, l asm.VL) laneMask {
	if g.p.z {
		m := laneMask{k: g.ktmp()}
		g.RRi(asm.VCMPPSk, l, asm.V(m.k), x, x, 0, cmpUnordered)
		return m
	}
	m := laneMask{v: g.tmp()}
	g.RRi(asm.VCMPPSv, l, m.v, x, x, 0, cmpUnordered)
	return m
}

// encodeF8 rounds to an 8-bit float with man mantissa bits. Normal results round
// in the integer domain. For subnormal ones, adding a constant whose last place
// is the smallest subnormal lets the adder round. Beyond the largest value the
// result is top: infinity, or NaN where the format has none.
func (g *emitter) encodeF8(d, x asm.V, l asm.VL, man, bias int, top uint32) {
	mag, t := g.tmp(), g.tmp()
	and := pick(g.p.z, asm.VPANDD, asm.VPANDv)
	or := pick(g.p.z, asm.VPORD, asm.VPORv)
	shift := uint8(23 - man)
	g.op(and, l, mag, x, g.splat(0x7fffffff, 4))
	g.VPSRLD(l, t, mag, shift)
	g.op(and, l, t, t, g.splat(1, 4))
	g.RR(asm.VPADDD, l, t, t, mag, 0)
	g.op(asm.VPADDD, l, t, t, g.splat(1<<(shift-1)-1, 4))
	g.VPSRLD(l, t, t, shift)
	g.op(asm.VPSUBD, l, t, t, g.splat(uint64(127-bias)<<man, 4))
	g.op(asm.VPMINUD, l, t, t, g.splat(uint64(top), 4))
	magic := uint64(math.Float32bits(float32(math.Ldexp(1, 1-bias-man+23))))
	g.op(asm.VADDPS, l, d, mag, g.splat(magic, 4))
	g.op(asm.VPSUBD, l, d, d, g.splat(magic, 4))
	g.blendReg(d, g.greater(mag, uint32(127-bias+1)<<23-1, l), t, l)
	if top == 0x7c {
		g.blend(d, g.greater(mag, 0x7f800000, l), 0x7e, l)
	}
	g.VPSRLD(l, t, x, 24)
	g.op(and, l, t, t, g.splat(0x80, 4))
	g.RR(or, l, d, d, t, 0)
}

// roundTo rounds F32 to a narrow float or wraps I32 to a narrow integer.
func roundTo(g *emitter, v codegen.Val, in *codegen.Inst) {
	l := g.vl(v)
	x := g.src(in.A)
	d := g.defLate(v)
	switch in.Round {
	case tensor.I8:
		g.VPSLLD(l, d, x, 24)
		g.VPSRAD(l, d, d, 24)
	case tensor.I16:
		g.VPSLLD(l, d, x, 16)
		g.VPSRAD(l, d, d, 16)
	case tensor.F16:
		g.RRi(asm.VCVTPS2PH, l, x, 0, d, 0, 0)
		g.RR(asm.VCVTPH2PS, l, d, 0, d, 0)
	default:
		g.encode(d, x, in.Round, l)
		g.decodeBits(d, in.Round, l)
	}
}

// roundF64 rounds F64 to F32: narrower formats would round twice.
func roundF64(g *emitter, v codegen.Val, in *codegen.Inst) {
	l := g.vl(v)
	x := g.src(in.A)
	d := g.def(v)
	g.RR(asm.VCVTPD2PS, l, d, 0, x, 0)
	g.RR(asm.VCVTPS2PD, l, d, 0, d, 0)
}

// packStore stores zero-extended 4-byte lanes as elements of n bytes on AVX2.
func (g *emitter) packStore(x asm.V, w, n int32, m asm.Mem) {
	t := g.tmp()
	eight := g.vecOf(w) == asm.Y256
	if eight {
		g.RRi(asm.VEXTRACTI128, asm.Y256, x, 0, t, 0, 1)
		g.RR(asm.VPACKUSDW, asm.X128, t, x, t, 0)
	} else {
		g.RR(asm.VPACKUSDW, asm.X128, t, x, x, 0)
	}
	bytes := n * 4
	if eight {
		bytes = n * 8
	}
	if n == 1 {
		g.RR(asm.VPACKUSWB, asm.X128, t, t, t, 0)
	}
	switch bytes {
	case 16:
		g.RM(asm.VMOVUPSst, asm.X128, t, 0, m, 0)
	case 8:
		g.RM(asm.VMOVQst, asm.X128, t, 0, m, 0)
	default:
		g.RM(asm.VMOVDst, asm.X128, t, 0, m, 0)
	}
}

// maskAs is an AVX2 lane mask in lanes of size bytes.
func (g *emitter) maskAs(m asm.V, size int) asm.V {
	width := 4
	if g.p.wide {
		width = 8
	}
	if size == width {
		return m
	}
	t := g.tmp()
	if size == 4 {
		g.RRi(asm.VEXTRACTI128, asm.Y256, m, 0, t, 0, 1)
		g.RRi(asm.VSHUFPS, asm.X128, t, m, t, 0, 0x88)
	} else {
		g.RR(asm.VPMOVSXDQ, asm.Y256, t, 0, m, 0)
	}
	return t
}

// canonical puts an AVX2 comparison's result, in lanes of size bytes, into d in
// lanes of the widest type.
func (g *emitter) canonical(d, m asm.V, size int) {
	if g.p.wide && size == 4 {
		g.RR(asm.VPMOVSXDQ, asm.Y256, d, 0, m, 0)
	}
}

// notZero is the AVX2 mask of non-zero 4-byte lanes.
func (g *emitter) notZero(d, x asm.V) {
	t := g.tmp()
	l := g.vecOf(4)
	g.zero(t, l)
	g.RR(asm.VPCMPEQD, l, d, x, t, 0)
	g.RR(asm.VPCMPEQD, l, t, t, t, 0)
	g.RR(asm.VPXORv, l, d, d, t, 0)
}
