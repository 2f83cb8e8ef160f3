package codegen

import (
	"math"

	"jitc/ir/tensor"
)

// ConstBits is a constant of type t given by its bits.
func (n *NestBuilder) ConstBits(t tensor.DType, bits uint64) Val {
	in := NewInst(Const, t)
	in.Imm = bits
	return n.Emit(in)
}

// ConstF32 is an F32 constant.
func (n *NestBuilder) ConstF32(x float32) Val {
	return n.ConstBits(tensor.F32, uint64(math.Float32bits(x)))
}

// ConstF64 is an F64 constant.
func (n *NestBuilder) ConstF64(x float64) Val { return n.ConstBits(tensor.F64, math.Float64bits(x)) }

// ConstBool is a Bool constant.
func (n *NestBuilder) ConstBool(x bool) Val {
	if x {
		return n.ConstBits(tensor.Bool, 1)
	}
	return n.ConstBits(tensor.Bool, 0)
}

// ConstI is x in type t: wrapped to an integer type, rounded to a float type.
func (n *NestBuilder) ConstI(t tensor.DType, x int64) Val {
	if t.IsFloat() {
		return n.ConstF(t, float64(x))
	}
	return n.ConstBits(t, IntBits(t, x))
}

// ConstF is x in type t: rounded to a float type, truncated to an integer type.
func (n *NestBuilder) ConstF(t tensor.DType, x float64) Val {
	switch t {
	case tensor.F32:
		return n.ConstF32(float32(x))
	case tensor.F64:
		return n.ConstF64(x)
	case tensor.Bool:
		return n.ConstBool(x != 0)
	}
	return n.ConstI(t, int64(x))
}

// IntBits are the bits of x in an integer type of at most 64 bits.
func IntBits(t tensor.DType, x int64) uint64 {
	if s := t.Size(); s < 8 {
		return uint64(x) & (1<<(8*s) - 1)
	}
	return uint64(x)
}
