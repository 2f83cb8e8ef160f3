package ptx

import (
	"strconv"

	"jitc/codegen/ptx/asm"
	"jitc/ir/tensor"
)

// kind is a compute type.
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

// kinds has the register class and the type suffixes of each compute type:
// typed, and as bits.
var kinds = [numKinds]struct {
	dtype      tensor.DType
	class      asm.Class
	typ, bits  string
	size       int
	float, sgn bool
}{
	kF32:  {tensor.F32, asm.F32, "f32", "b32", 4, true, true},
	kF64:  {tensor.F64, asm.F64, "f64", "b64", 8, true, true},
	kI32:  {tensor.I32, asm.B32, "s32", "b32", 4, false, true},
	kI64:  {tensor.I64, asm.B64, "s64", "b64", 8, false, true},
	kU32:  {tensor.U32, asm.B32, "u32", "b32", 4, false, false},
	kU64:  {tensor.U64, asm.B64, "u64", "b64", 8, false, false},
	kBool: {tensor.Bool, asm.Pred, "pred", "pred", 1, false, false},
}

// kindOf is the kind of a compute type; numKinds for other types.
func kindOf(t tensor.DType) kind {
	for k := range kinds {
		if kinds[k].dtype == t {
			return kind(k)
		}
	}
	return numKinds
}

func (k kind) class() asm.Class { return kinds[k].class }
func (k kind) typ() string      { return kinds[k].typ }
func (k kind) bits() string     { return kinds[k].bits }

// literal writes a value of k, given by its bits, as an immediate operand. Bools
// have none.
func (k kind) literal(bits uint64) string {
	switch k {
	case kF32:
		return "0f" + hex(bits, 8)
	case kF64:
		return "0d" + hex(bits, 16)
	case kI32:
		return strconv.FormatInt(int64(int32(bits)), 10)
	case kU32:
		return strconv.FormatUint(uint64(uint32(bits)), 10)
	case kI64:
		return strconv.FormatInt(int64(bits), 10)
	}
	return "0x" + hex(bits, 16)
}

func hex(bits uint64, digits int) string {
	const all = "0123456789ABCDEF"
	out := make([]byte, digits)
	for i := digits - 1; i >= 0; i-- {
		out[i] = all[bits&15]
		bits >>= 4
	}
	return string(out)
}
