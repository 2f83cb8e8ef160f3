package ptx

import (
	"jitc/codegen"
	"jitc/codegen/ptx/asm"
	"jitc/ir/tensor"
)

// Templates of other packages read, combine and write single elements as nests do:
// in a register of the compute type of ComputeType.

// ComputeType is what elements are calculated with: f32 for narrower floats, 32 bits
// for narrower integers. Bool is a number here, 0 or 1.
func ComputeType(t tensor.DType) tensor.DType {
	switch {
	case t == tensor.Bool || t.IsUnsigned() && t.Size() < 4:
		return tensor.U32
	case t.IsSigned() && t.Size() < 4:
		return tensor.I32
	case t.IsFloat() && t.Size() < 4:
		return tensor.F32
	}
	return t
}

// RegisterOf is the class of registers of a compute type, but for Bool.
func RegisterOf(t tensor.DType) asm.Class { return kindOf(t).class() }

// LoadElement loads an element from global memory; 0 where a predicate does not hold.
func LoadElement(k *asm.Kernel, t tensor.DType, pred asm.Reg, at asm.Addr) asm.Reg {
	return loadOne(k, number(t), place{"global", at, pred})
}

// StoreElement stores one where a predicate holds, rounded to its type.
func StoreElement(k *asm.Kernel, t tensor.DType, pred asm.Reg, at asm.Addr, v asm.Reg) {
	storeOne(k, number(t), place{"global", at, pred}, v)
}

// number is the type of a number with t's memory.
func number(t tensor.DType) tensor.DType {
	if t == tensor.Bool {
		return tensor.U8
	}
	return t
}

// Apply is a code of two operands, in a compute type.
func Apply(k *asm.Kernel, c codegen.Code, t tensor.DType, a, b asm.Reg) asm.Reg {
	of := kindOf(t)
	return spelling(c, of, false)(k, op{in: &codegen.Inst{Op: c, Type: t}, k: of, to: of, a: a, b: b})
}
