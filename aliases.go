package jitc

import (
	"reflect"

	"jitc/ir/tensor"
	rt "jitc/runtime"
	"jitc/trace"
	"jitc/trace/pytree"
)

// The types that programs are written in; see package trace, which has them, for
// the methods: one per op.
type (
	// Tensor is an array, or while a function is traced, the promise of one.
	Tensor = trace.Tensor
	// Size is a dimension: a number, or an expression of symbols.
	Size = trace.Size
	// Int is an argument that is a guarded constant until it changes, and then a size.
	Int = trace.Int
	// Float is an argument that is a guarded constant until it changes, and then an input.
	Float = trace.Float
	// DType is an element type.
	DType = tensor.DType
	// Stance says what a call may do beside running an entry that its guards admit.
	Stance = rt.Stance
	// Limits bound what a function keeps, and how often it recompiles.
	Limits = rt.Limits
)

// Var is a global setting that compiled functions may read: they are guarded by
// the value that they saw.
type Var[T bool | int | int64 | float64 | string] = trace.Var[T]

// The element types.
const (
	F64    = tensor.F64
	F32    = tensor.F32
	F16    = tensor.F16
	BF16   = tensor.BF16
	F8E4M3 = tensor.F8E4M3
	F8E5M2 = tensor.F8E5M2
	I64    = tensor.I64
	I32    = tensor.I32
	I16    = tensor.I16
	I8     = tensor.I8
	U64    = tensor.U64
	U32    = tensor.U32
	U16    = tensor.U16
	U8     = tensor.U8
	Bool   = tensor.Bool
)

// leaves are the leaves of arguments and results.
var leaves = pytree.Leaves{
	reflect.TypeFor[*trace.Tensor](): pytree.Tensor,
	reflect.TypeFor[trace.Int]():     pytree.Size,
	reflect.TypeFor[trace.Float]():   pytree.Real,
}
