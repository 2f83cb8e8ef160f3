package tensor

import (
	"fmt"
	"unsafe"
)

// Element is a Go type that holds one element. uint16 also holds the bits of
// f16 and bf16 elements, and uint8 those of f8e4m3 and f8e5m2 elements.
type Element interface {
	float32 | float64 | int64 | int32 | int16 | int8 | uint64 | uint32 | uint16 | uint8 | bool
}

// DTypeOf is the element type that T stands for: F32 for float32, U16 for uint16.
func DTypeOf[T Element]() DType {
	var zero T
	switch any(zero).(type) {
	case float32:
		return F32
	case float64:
		return F64
	case int64:
		return I64
	case int32:
		return I32
	case int16:
		return I16
	case int8:
		return I8
	case uint64:
		return U64
	case uint32:
		return U32
	case uint16:
		return U16
	case uint8:
		return U8
	}
	return Bool
}

// holds reports whether Go type T can hold elements of type dt.
func holds[T Element](dt DType) bool {
	switch of := DTypeOf[T](); of {
	case U16:
		return dt == U16 || dt == F16 || dt == BF16
	case U8:
		return dt == U8 || dt == F8E4M3 || dt == F8E5M2
	default:
		return dt == of
	}
}

// elements reads bytes, aligned and a whole number of elements, as a slice of T.
func elements[T Element](b []byte) []T {
	var zero T
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b))/unsafe.Sizeof(zero))
}

// bytesOf is the memory of a slice.
func bytesOf[T Element](s []T) []byte {
	var zero T
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(s))), uintptr(len(s))*unsafe.Sizeof(zero))
}

// FromSlice returns a row-major tensor of T's element type that shares data.
// The length must be the shape's number of elements.
func FromSlice[T Element](shape []int, data []T) (*Tensor, error) {
	dt := DTypeOf[T]()
	n, err := CheckedElements(shape)
	if err != nil {
		return nil, err
	}
	if n != len(data) {
		return nil, fmt.Errorf("tensor: %s%v needs %d elements, got %d", dt, shape, n, len(data))
	}
	return dense(dt, own(shape), bytesOf(data)), nil
}

// Of returns a row-major tensor that shares data: Of([]int{2}, 1.0, 2.0). It
// panics if the length is not the shape's number of elements.
func Of[T Element](shape []int, data ...T) *Tensor {
	t, err := FromSlice(shape, data)
	if err != nil {
		panic("BUG: tensor: Of: " + err.Error())
	}
	return t
}

// Scalar returns a tensor of rank 0 of T's element type.
func Scalar[T Element](v T) *Tensor { return Of(nil, v) }

// FloatScalar returns a tensor of rank 0, v converted by the rules of Cast.
func FloatScalar(dt DType, v float64) *Tensor { return FromFloats(dt, nil, []float64{v}) }

// IntScalar returns a tensor of rank 0, v converted by the rules of Cast.
func IntScalar(dt DType, v int64) *Tensor { return FromInts(dt, nil, []int64{v}) }

// TryData is the elements of a contiguous tensor in row-major order, sharing its
// memory; false if the tensor is not contiguous, lies on a device, or T does not
// hold its type.
func TryData[T Element](t *Tensor) ([]T, bool) {
	if !holds[T](t.dtype) || !t.dense {
		return nil, false
	}
	b, _ := t.Bytes()
	return elements[T](b), true
}

// Data is TryData for tensors known to fit; it panics otherwise.
func Data[T Element](t *Tensor) []T {
	s, ok := TryData[T](t)
	if !ok {
		panic(fmt.Sprintf("BUG: tensor: Data[%s] of %s%v with strides %v", DTypeOf[T](), t.dtype, t.shape, t.strides))
	}
	return s
}
