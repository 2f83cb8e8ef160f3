package ptx

import (
	"fmt"

	"jitc/codegen/ptx/asm"
	"jitc/ir/tensor"
)

// miniFloat is an 8-bit float encoding. The instructions for them saturate, and
// exist from sm_89 on only, so conversions go by integer code everywhere.
type miniFloat struct {
	drop  int    // mantissa bits of an F32 that go
	bias  uint32 // what separates the encodings of normal numbers, in the narrow one
	least uint32 // bits of the least normal number
	unit  uint32 // bits of the power of two whose last place is the least subnormal
	over  uint32 // bits of the least magnitude that becomes past
	past  uint32
	nan   uint32
}

var miniFloats = map[tensor.DType]miniFloat{
	tensor.F8E4M3: {20, (127 - 7) << 3, 0x3C800000, 0x46800000, 0x43E80001, 0x7F, 0x7F},
	tensor.F8E5M2: {21, (127 - 15) << 2, 0x38800000, 0x43000000, 0x47700000, 0x7C, 0x7F},
}

// encode8 is the encoding of an F32, rounded to nearest even, in the low byte.
func encode8(k *asm.Kernel, t tensor.DType, x asm.Reg) asm.Reg {
	f := miniFloats[t]
	bits := k.Op(asm.B32, "mov.b32", x)
	a := k.Op(asm.B32, "and.b32", bits, "0x7FFFFFFF")
	odd := k.Op(asm.B32, "bfe.u32", a, f.drop, 1)
	r := k.Op(asm.B32, "add.u32", k.Op(asm.B32, "add.u32", a, 1<<(f.drop-1)-1), odd)
	r = k.Op(asm.B32, "sub.u32", k.Op(asm.B32, "shr.u32", r, f.drop), f.bias)
	sum := k.Op(asm.F32, "add.rn.f32", k.Op(asm.F32, "mov.b32", a), fmt.Sprintf("0f%08X", f.unit))
	low := k.Op(asm.B32, "sub.u32", k.Op(asm.B32, "mov.b32", sum), f.unit)
	r = k.Op(asm.B32, "selp.b32", low, r, k.Op(asm.Pred, "setp.lt.u32", a, f.least))
	r = k.Op(asm.B32, "selp.b32", f.past, r, k.Op(asm.Pred, "setp.ge.u32", a, f.over))
	r = k.Op(asm.B32, "selp.b32", f.nan, r, k.Op(asm.Pred, "setp.gt.u32", a, 0x7F800000))
	sign := k.Op(asm.B32, "and.b32", k.Op(asm.B32, "shr.u32", bits, 24), 0x80)
	return k.Op(asm.B32, "or.b32", r, sign)
}

// decode8 is the F32 of an encoding in the low byte of b, whose other bits are 0.
// Both formats are parts of an F16: E5M2 its upper byte, E4M3 (but for NaN) with
// the exponent 8 too small.
func decode8(k *asm.Kernel, t tensor.DType, b asm.Reg) asm.Reg {
	if t == tensor.F8E5M2 {
		return half(k, k.Op(asm.B32, "shl.b32", b, 8))
	}
	low := k.Op(asm.B32, "and.b32", b, 0x7F)
	sign := k.Op(asm.B32, "shl.b32", k.Op(asm.B32, "and.b32", b, 0x80), 8)
	h := half(k, k.Op(asm.B32, "or.b32", k.Op(asm.B32, "shl.b32", low, 7), sign))
	x := k.Op(asm.F32, "mul.rn.f32", h, float32(256))
	return k.Op(asm.F32, "selp.f32", "0f7FC00000", x, k.Op(asm.Pred, "setp.eq.u32", low, 0x7F))
}

// half is the F32 of the F16 in the low bits of w.
func half(k *asm.Kernel, w asm.Reg) asm.Reg {
	return k.Op(asm.F32, "cvt.f32.f16", k.Op(asm.B16, "cvt.u16.u32", w))
}

// roundTo rounds an F32 to a narrow type and back.
func roundTo(k *asm.Kernel, o op) asm.Reg {
	switch o.in.Round {
	case tensor.F16:
		return k.Op(asm.F32, "cvt.f32.f16", k.Op(asm.B16, "cvt.rn.f16.f32", o.a))
	case tensor.BF16:
		w := k.Op(asm.B32, "cvt.u32.u16", k.Op(asm.B16, "cvt.rn.bf16.f32", o.a))
		return k.Op(asm.F32, "mov.b32", k.Op(asm.B32, "shl.b32", w, 16))
	}
	return decode8(k, o.in.Round, encode8(k, o.in.Round, o.a))
}
