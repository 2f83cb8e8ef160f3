package gemm

import (
	"math/bits"

	"jitc/codegen/x64/asm"
	"jitc/ir/tensor"
)

// Every kernel reads its argument block through RDI and keeps the mask of a
// ragged last vector in k1 (AVX-512) or in the last vector register (AVX2).
const maskReg = asm.V(15)

// emitter writes vector code for one compute type at one instruction set level.
type emitter struct {
	asm.Asm
	isa ISA
	dt  tensor.DType // F32 or F64
	vl  asm.VL
}

func newEmitter(isa ISA, dt tensor.DType) *emitter {
	e := &emitter{isa: isa, dt: dt, vl: asm.Y256}
	if isa == AVX512 {
		e.vl = asm.Z512
	}
	return e
}

// size is the bytes of an element, width those of a vector, lanes its elements.
func (e *emitter) size() int  { return e.dt.Size() }
func (e *emitter) width() int { return e.vl.Bytes() }
func (e *emitter) lanes() int { return e.width() / e.size() }

// registers is the number of vector registers free for values.
func (e *emitter) registers() int {
	if e.isa == AVX512 {
		return 32
	}
	return 15 // all but maskReg
}

// vecOp is an operation with its two spellings.
type vecOp struct{ s, d asm.Op }

var (
	opLoad      = vecOp{asm.VMOVUPSld, asm.VMOVUPDld}
	opStore     = vecOp{asm.VMOVUPSst, asm.VMOVUPDst}
	opMaskLoad  = vecOp{asm.VMASKMOVPSld, asm.VMASKMOVPDld}
	opMaskStore = vecOp{asm.VMASKMOVPSst, asm.VMASKMOVPDst}
	opBroadcast = vecOp{asm.VBROADCASTSS, asm.VBROADCASTSD}
	opFMA       = vecOp{asm.VFMADD231PS, asm.VFMADD231PD}
	opAdd       = vecOp{asm.VADDPS, asm.VADDPD}
	opStore1    = vecOp{asm.VMOVSSst, asm.VMOVSDst}
)

func (e *emitter) pick(o vecOp) asm.Op {
	if e.dt == tensor.F64 {
		return o.d
	}
	return o.s
}

// zero clears v.
func (e *emitter) zero(v asm.V) {
	if e.isa == AVX512 {
		e.RR(asm.VPXORD, e.vl, v, v, v, 0)
		return
	}
	e.RR(asm.VXORPS, e.vl, v, v, v, 0)
}

// fma adds a*b to acc.
func (e *emitter) fma(acc, a, b asm.V) { e.RR(e.pick(opFMA), e.vl, acc, a, b, 0) }

// add sets d to a+b.
func (e *emitter) add(d, a, b asm.V) { e.RR(e.pick(opAdd), e.vl, d, a, b, 0) }

// broadcast fills v with the element at m.
func (e *emitter) broadcast(v asm.V, m asm.Mem) { e.RM(e.pick(opBroadcast), e.vl, v, 0, m, 0) }

// loadMask sets up the ragged-vector mask from the argument block (see setMask).
func (e *emitter) loadMask(m asm.Mem) {
	if e.isa == AVX512 {
		e.MOVLld(asm.RAX, m)
		e.KMOVWr(1, asm.RAX)
		return
	}
	e.RM(asm.VMOVUPSld, e.vl, maskReg, 0, m, 0)
}

// store writes v to m; if masked, its live lanes only.
func (e *emitter) store(m asm.Mem, v asm.V, masked bool) {
	switch {
	case !masked:
		e.RM(e.pick(opStore), e.vl, v, 0, m, 0)
	case e.isa == AVX512:
		e.RM(e.pick(opStore), e.vl, v, 0, m, asm.Mask(1))
	default:
		e.RM(e.pick(opMaskStore), e.vl, v, maskReg, m, 0)
	}
}

// load reads a vector of src elements at m, converted to the compute type; if
// masked, its live lanes only and zero elsewhere. AVX2 has no masked load of
// 16-bit elements: callers split such runs so that it is never asked for.
func (e *emitter) load(v asm.V, m asm.Mem, src tensor.DType, masked bool) {
	var f asm.Flags
	if masked && e.isa == AVX512 {
		f = asm.MaskZ(1)
	}
	switch {
	case src == tensor.F16:
		e.RM(asm.VCVTPH2PS, e.vl, v, 0, m, f)
	case src == tensor.BF16:
		e.RM(asm.VPMOVZXWD, e.vl, v, 0, m, f)
		e.VPSLLD(e.vl, v, v, 16)
	case masked && e.isa == AVX2:
		e.RM(e.pick(opMaskLoad), e.vl, v, maskReg, m, 0)
	default:
		e.RM(e.pick(opLoad), e.vl, v, 0, m, f)
	}
}

// multiple addresses base + i*stride + disp; odd holds 1, 3, 5, ... times the stride.
func multiple(base asm.Reg, odd []asm.Reg, i int, disp int32) asm.Mem {
	if i == 0 {
		return asm.Ptr(base, disp)
	}
	log2 := bits.TrailingZeros(uint(i))
	return asm.PtrX(base, odd[i>>log2/2], uint8(log2), disp)
}

// multiples fills odd, up to 7 registers, with 1, 3, 5, ... times the stride at m.
func (e *emitter) multiples(odd []asm.Reg, m asm.Mem) {
	from := []struct{ base, index, log2 uint8 }{{}, {0, 0, 1}, {0, 0, 2}, {1, 0, 2}, {0, 0, 3}, {1, 0, 3}, {2, 0, 3}}
	e.MOVld(odd[0], m)
	for i, f := range from[1:len(odd)] {
		e.LEA(odd[i+1], asm.PtrX(odd[f.base], odd[f.index], f.log2, 0))
	}
}

// finish ends the kernel and returns its code.
func (e *emitter) finish() []byte {
	e.VZEROUPPER()
	e.RET()
	code, err := e.Finish()
	if err != nil {
		panic("BUG: gemm: " + err.Error())
	}
	return code
}

// lanesOf is the number of dt elements in a vector of isa.
func lanesOf(isa ISA, dt tensor.DType) int {
	if isa == AVX512 {
		return 64 / dt.Size()
	}
	return 32 / dt.Size()
}

// laneMask is the mask of a ragged vector as the kernels load it: bits of the
// live lanes in the first word (AVX-512), or one all-ones element per live
// lane (AVX2).
type laneMask [8]uint32

// set makes the first live of lanes lanes live.
func (m *laneMask) set(isa ISA, dt tensor.DType, live int) {
	if isa == AVX512 {
		m[0] = 1<<live - 1
		return
	}
	words := dt.Size() / 4
	for i := range m {
		m[i] = 0
		if i < live*words {
			m[i] = ^uint32(0)
		}
	}
}
