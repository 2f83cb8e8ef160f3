package tensor

import "fmt"

// DType is an element type.
type DType uint8

// The element types, narrowest first within each class. The numeric values are
// not part of any file format.
const (
	Invalid DType = iota
	Bool
	U8
	U16
	U32
	U64
	I8
	I16
	I32
	I64
	F8E4M3 // 4 exponent bits, 3 mantissa bits, no infinities (OCP FP8 E4M3FN)
	F8E5M2 // 5 exponent bits, 2 mantissa bits (OCP FP8 E5M2)
	F16
	BF16
	F32
	F64
	numDTypes
)

// class says how the bits of an element type are read.
type class uint8

const (
	classBool class = iota + 1
	classUint
	classInt
	classFloat
)

// dtypeRow is one row of the element-type table.
type dtypeRow struct {
	name  string
	size  int // bytes
	class class
}

var dtypes = [numDTypes]dtypeRow{
	Invalid: {"invalid", 0, 0},
	Bool:    {"bool", 1, classBool},
	U8:      {"u8", 1, classUint},
	U16:     {"u16", 2, classUint},
	U32:     {"u32", 4, classUint},
	U64:     {"u64", 8, classUint},
	I8:      {"i8", 1, classInt},
	I16:     {"i16", 2, classInt},
	I32:     {"i32", 4, classInt},
	I64:     {"i64", 8, classInt},
	F8E4M3:  {"f8e4m3", 1, classFloat},
	F8E5M2:  {"f8e5m2", 1, classFloat},
	F16:     {"f16", 2, classFloat},
	BF16:    {"bf16", 2, classFloat},
	F32:     {"f32", 4, classFloat},
	F64:     {"f64", 8, classFloat},
}

// String is the type's name in the text form: "f32", "bool".
func (d DType) String() string {
	if d >= numDTypes {
		return fmt.Sprintf("dtype(%d)", uint8(d))
	}
	return dtypes[d].name
}

// Size is the number of bytes of one element; 0 for Invalid.
func (d DType) Size() int {
	if d >= numDTypes {
		return 0
	}
	return dtypes[d].size
}

func (d DType) is(c class) bool { return d < numDTypes && dtypes[d].class == c }

// IsFloat reports whether d is a floating-point type of any width.
func (d DType) IsFloat() bool { return d.is(classFloat) }

// IsSigned reports whether d is a signed integer type.
func (d DType) IsSigned() bool { return d.is(classInt) }

// IsUnsigned reports whether d is an unsigned integer type; bool is not one.
func (d DType) IsUnsigned() bool { return d.is(classUint) }

// IsInt reports whether d is an integer type, signed or not; bool is not one.
func (d DType) IsInt() bool { return d.IsSigned() || d.IsUnsigned() }

// ParseDType returns the element type of that name, as DType.String prints it.
func ParseDType(name string) (DType, bool) {
	for d := Bool; d < numDTypes; d++ {
		if dtypes[d].name == name {
			return d, true
		}
	}
	return Invalid, false
}

// DTypes lists every element type, in order.
func DTypes() []DType {
	ds := make([]DType, 0, numDTypes-1)
	for d := Bool; d < numDTypes; d++ {
		ds = append(ds, d)
	}
	return ds
}
