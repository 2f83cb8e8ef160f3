package tensormap

import "jitc/ir/tensor"

// typeCodes are the values of CUtensorMapDataType. A copy does not compute with what
// it moves, so what the driver has no name for counts as unsigned.
var typeCodes = map[tensor.DType]int{
	tensor.Bool: 0, tensor.U8: 0, tensor.I8: 0, tensor.F8E4M3: 0, tensor.F8E5M2: 0,
	tensor.U16: 1, tensor.I16: 1, tensor.U32: 2, tensor.I32: 3, tensor.U64: 4, tensor.I64: 5,
	tensor.F16: 6, tensor.F32: 7, tensor.F64: 8, tensor.BF16: 9,
}

// swizzleCodes are the values of CUtensorMapSwizzle.
var swizzleCodes = map[Swizzle]int{NoSwizzle: 0, Swizzle32: 1, Swizzle64: 2, Swizzle128: 3}

// TypeCode is the driver's number for the type (CUtensorMapDataType), of a map that
// Check finds nothing wrong with.
func (m *Map) TypeCode() int { return typeCodes[m.Type] }

// Code is the driver's number for a swizzle (CUtensorMapSwizzle).
func (s Swizzle) Code() int { return swizzleCodes[s] }
