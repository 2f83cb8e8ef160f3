package x64

import (
	"jitc/codegen"
	"jitc/codegen/x64/asm"
	"jitc/ir/tensor"
)

// kind is a compute type as a column of the instruction table.
type kind uint8

const (
	kF32 kind = iota
	kF64
	kI32
	kI64
	kU32
	kU64
	kBool
	numKinds
)

var kindTypes = [numKinds]tensor.DType{
	tensor.F32, tensor.F64, tensor.I32, tensor.I64, tensor.U32, tensor.U64, tensor.Bool,
}

func kindOf(t tensor.DType) kind {
	switch t {
	case tensor.F32:
		return kF32
	case tensor.F64:
		return kF64
	case tensor.I32:
		return kI32
	case tensor.I64:
		return kI64
	case tensor.U32:
		return kU32
	case tensor.U64:
		return kU64
	case tensor.Bool:
		return kBool
	}
	return numKinds
}

func (k kind) float() bool  { return k <= kF64 }
func (k kind) signed() bool { return k == kI32 || k == kI64 }
func (k kind) size() int {
	switch k {
	case kF64, kI64, kU64:
		return 8
	}
	return 4
}

// form is the shape in which a code is emitted.
type form uint8

const (
	formNone form = iota // not spelled
	formBin              // one instruction: d = a op b/m
	formCom              // the same, a and b may change places
	formUn               // one instruction: d = op a/m
	formFMA              // one of the three operand orders of a fused multiply-add
	formSeq              // a sequence, emitted by fn
)

// noOp says that a target has no single instruction.
const noOp asm.Op = 0xffff

// row spells one code at one type.
type row struct {
	form form
	z, y asm.Op // on AVX-512, on AVX2; noOp: fn
	imm  int    // immediate byte, -1 for none
	fn   func(g *emitter, v codegen.Val, in *codegen.Inst)
	half bool // fn serves AVX-512 only: AVX2 does not spell the code
}

func (r *row) op(z bool) asm.Op {
	if z {
		return r.z
	}
	return r.y
}

// spells reports whether the target has the row.
func (r *row) spells(z bool) bool {
	return r.form != formNone && (z || !r.half)
}

// rows is the instruction table: code by type of the instruction. Comparisons
// and casts stand at the type of their operand.
var rows [int(codegen.Pow) + 1][numKinds]row

// rowOf is the row of an instruction.
func rowOf(in *codegen.Inst, n *codegen.Nest) *row {
	t := in.Type
	if in.Op >= codegen.Eq && in.Op <= codegen.Ge || in.Op == codegen.Cast {
		t = n.Insts[in.A].Type
	}
	k := kindOf(t)
	if k == numKinds {
		return &noRow
	}
	return &rows[in.Op][k]
}

var noRow row

type seq = func(g *emitter, v codegen.Val, in *codegen.Inst)

func bin(op asm.Op) row           { return row{form: formBin, z: op, y: op, imm: -1} }
func com(op asm.Op) row           { return row{form: formCom, z: op, y: op, imm: -1} }
func com2(z, y asm.Op) row        { return row{form: formCom, z: z, y: y, imm: -1} }
func un(z, y asm.Op, imm int) row { return row{form: formUn, z: z, y: y, imm: imm} }
func fma() row                    { return row{form: formFMA, z: noOp, y: noOp, imm: -1} }
func by(fn seq) row               { return row{form: formSeq, z: noOp, y: noOp, imm: -1, fn: fn} }

// zOnly has an instruction on AVX-512 and a sequence on AVX2.
func zOnly(f form, z asm.Op, y seq) row { return row{form: f, z: z, y: noOp, imm: -1, fn: y} }

// set fills a row for several types.
func set(c codegen.Code, r row, ks ...kind) {
	for _, k := range ks {
		rows[c][k] = r
	}
}

func init() { // a literal would be an initialisation cycle: sequences use the table
	floatRows()
	integerRows()
	maskRows()
}

func floatRows() {
	pair := func(c codegen.Code, make func(asm.Op) row, s, d asm.Op) {
		set(c, make(s), kF32)
		set(c, make(d), kF64)
	}
	pair(codegen.Add, com, asm.VADDPS, asm.VADDPD)
	pair(codegen.Sub, bin, asm.VSUBPS, asm.VSUBPD)
	pair(codegen.Mul, com, asm.VMULPS, asm.VMULPD)
	pair(codegen.Div, bin, asm.VDIVPS, asm.VDIVPD)
	pair(codegen.Sqrt, func(o asm.Op) row { return un(o, o, -1) }, asm.VSQRTPS, asm.VSQRTPD)
	for _, r := range []struct {
		c   codegen.Code
		imm int
	}{{codegen.RoundEven, 8}, {codegen.Floor, 9}, {codegen.Ceil, 10}, {codegen.Trunc, 11}} {
		set(r.c, un(asm.VRNDSCALEPS, asm.VROUNDPS, r.imm), kF32)
		set(r.c, un(asm.VRNDSCALEPD, asm.VROUNDPD, r.imm), kF64)
	}
	set(codegen.RcpE, un(asm.VRCP14PS, asm.VRCPPS, -1), kF32)
	set(codegen.Scale2, zOnly(formBin, asm.VSCALEFPS, scale2), kF32)
	set(codegen.Scale2, zOnly(formBin, asm.VSCALEFPD, scale2), kF64)
	set(codegen.FMA, fma(), kF32, kF64)
	set(codegen.FNMA, fma(), kF32, kF64)
	set(codegen.Min, by(floatMinMax), kF32, kF64)
	set(codegen.Max, by(floatMinMax), kF32, kF64)
	set(codegen.Neg, by(floatSign), kF32, kF64)
	set(codegen.Abs, by(floatSign), kF32, kF64)
	set(codegen.RoundTo, by(roundTo), kF32, kI32)
	set(codegen.RoundTo, by(roundF64), kF64)
}

func integerRows() {
	word, quad := []kind{kI32, kU32}, []kind{kI64, kU64}
	both := func(c codegen.Code, make func(asm.Op) row, d, q asm.Op) {
		set(c, make(d), word...)
		set(c, make(q), quad...)
	}
	both(codegen.Add, com, asm.VPADDD, asm.VPADDQ)
	both(codegen.Sub, bin, asm.VPSUBD, asm.VPSUBQ)
	both(codegen.Shl, bin, asm.VPSLLVD, asm.VPSLLVQ)
	both(codegen.ShrL, bin, asm.VPSRLVD, asm.VPSRLVQ)
	set(codegen.ShrA, bin(asm.VPSRAVD), word...)
	set(codegen.ShrA, zOnly(formBin, asm.VPSRAVQ, shiftArith64), quad...)
	set(codegen.Mul, com(asm.VPMULLD), word...)
	set(codegen.Mul, zOnly(formCom, asm.VPMULLQ, mul64), quad...)
	set(codegen.Div, by(divide), kI32, kU32, kI64, kU64)
	set(codegen.Rem, by(divide), kI32, kU32, kI64, kU64)
	for _, r := range []struct {
		k        kind
		min, max asm.Op
	}{{kI32, asm.VPMINSD, asm.VPMAXSD}, {kU32, asm.VPMINUD, asm.VPMAXUD}} {
		set(codegen.Min, com(r.min), r.k)
		set(codegen.Max, com(r.max), r.k)
	}
	set(codegen.Min, zOnly(formCom, asm.VPMINSQ, minMax64), kI64)
	set(codegen.Max, zOnly(formCom, asm.VPMAXSQ, minMax64), kI64)
	set(codegen.Min, zOnly(formCom, asm.VPMINUQ, minMax64), kU64)
	set(codegen.Max, zOnly(formCom, asm.VPMAXUQ, minMax64), kU64)
	set(codegen.Neg, by(negate), kI32, kU32, kI64, kU64)
	set(codegen.Abs, un(asm.VPABSD, asm.VPABSD, -1), kI32)
	set(codegen.Abs, zOnly(formUn, asm.VPABSQ, abs64), kI64)
	set(codegen.Abs, by(move), quad[1], word[1])
	set(codegen.And, com2(asm.VPANDD, asm.VPANDv), kI32, kU32, kI64, kU64)
	set(codegen.Or, com2(asm.VPORD, asm.VPORv), kI32, kU32, kI64, kU64)
	set(codegen.Xor, com2(asm.VPXORD, asm.VPXORv), kI32, kU32, kI64, kU64)
	set(codegen.And, com2(asm.VPANDQ, asm.VPANDv), quad...)
	set(codegen.Or, com2(asm.VPORQ, asm.VPORv), quad...)
	set(codegen.Xor, com2(asm.VPXORQ, asm.VPXORv), quad...)
	set(codegen.Not, by(invert), kI32, kU32, kI64, kU64)
	set(codegen.Bits, by(move), kF32, kF64, kI32, kI64, kU32, kU64)
}

func maskRows() {
	all := []kind{kF32, kF64, kI32, kI64, kU32, kU64, kBool}
	for c := codegen.Eq; c <= codegen.Ge; c++ {
		set(c, by(compare), all...)
	}
	for _, c := range []codegen.Code{codegen.And, codegen.Or, codegen.Xor, codegen.Not} {
		set(c, by(maskLogic), kBool)
	}
	set(codegen.Select, by(selectLanes), all...)
	set(codegen.Cast, by(cast), all...)
	set(codegen.Load, by(load), all...)
	set(codegen.Store, by(store), all...)
	set(codegen.Index, by(index), kI32, kI64)
	for _, c := range []codegen.Code{codegen.Const, codegen.Acc} {
		set(c, by(nil), all...)
	}
	set(codegen.Size, by(nil), kI32, kI64)
}
