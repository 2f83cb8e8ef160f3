package tensor

import (
	"fmt"
	"math"
	"math/bits"
	"slices"
	"unsafe"
)

// Alignment is the alignment in bytes of storage that this package allocates:
// one cache line, and one 512-bit vector.
const Alignment = 64

// Tensor is a typed, strided view of host memory, or all of a piece of device
// memory, row-major (see OnDevice).
//
// Element (i0, i1, ...) lies at element offset + i0*strides[0] + i1*strides[1] +
// ... of the storage. Strides count elements and may be zero or negative.
//
// The header (type, shape, strides, offset, storage) never changes, so a Tensor
// may be shared between goroutines. The elements may change; a caller that
// writes them while others read must synchronise that itself.
//
// Invariant: the storage is aligned to the element size, and every element that
// the shape can address lies within it.
type Tensor struct {
	layout  unsafe.Pointer // *Layout, once someone asked; see Layout
	dtype   DType
	dense   bool // on the host and contiguous
	shape   []int
	strides []int
	offset  int
	count   int       // number of elements the shape holds
	data    []byte    // the whole storage; nil on a device
	remote  *onDevice // nil on the host
}

// New returns a zeroed, row-major tensor with aligned storage. It panics where
// Make returns an error: use it with shapes the program made itself.
func New(dt DType, shape ...int) *Tensor {
	t, err := Make(dt, shape)
	if err != nil {
		panic("BUG: tensor: New: " + err.Error())
	}
	return t
}

// Make is New for shapes that come from outside: it returns an error for an
// invalid type, a negative dimension or a size beyond the address space.
func Make(dt DType, shape []int) (*Tensor, error) {
	n, err := CheckedBytes(dt, shape)
	if err != nil {
		return nil, err
	}
	return dense(dt, own(shape), allocate(n)), nil
}

// FromBytes returns a row-major tensor over data, which must hold exactly the
// shape's elements in the machine's byte order. It shares data where that is
// aligned to the element size, and copies it otherwise. The bytes of a bool
// tensor must be 0 or 1.
func FromBytes(dt DType, shape []int, data []byte) (*Tensor, error) {
	n, err := CheckedBytes(dt, shape)
	if err != nil {
		return nil, err
	}
	if len(data) != n {
		return nil, fmt.Errorf("tensor: %s%v needs %d bytes, got %d", dt, shape, n, len(data))
	}
	if uintptr(unsafe.Pointer(unsafe.SliceData(data)))%uintptr(dt.Size()) != 0 {
		aligned := allocate(n)
		copy(aligned, data)
		data = aligned
	}
	return dense(dt, own(shape), data), nil
}

// dense wraps storage that holds exactly the shape's elements; it owns shape.
func dense(dt DType, shape []int, data []byte) *Tensor {
	return &Tensor{
		dtype: dt, shape: shape, strides: RowMajor(shape),
		count: len(data) / dt.Size(), dense: true, data: data,
	}
}

// own copies a shape or strides; the copy is never nil, so that the scalar shape
// compares equal however it was written.
func own(s []int) []int { return append(make([]int, 0, len(s)), s...) }

// allocate returns n zeroed bytes at an aligned address, also for n = 0.
func allocate(n int) []byte {
	b := make([]byte, n+Alignment)
	skip := int(-uintptr(unsafe.Pointer(unsafe.SliceData(b))) % Alignment)
	return b[skip : skip+n : skip+n]
}

// CheckedElements is the number of elements of a shape. A negative dimension is
// an error, and so is a product of the non-zero dimensions beyond the range of
// int: strides are such products even where the shape is empty.
func CheckedElements(shape []int) (int, error) {
	n, empty := 1, false
	for i, d := range shape {
		if d < 0 {
			return 0, fmt.Errorf("tensor: dimension %d of shape %v is negative", i, shape)
		}
		if d == 0 {
			empty = true
			continue
		}
		hi, lo := bits.Mul64(uint64(n), uint64(d))
		if hi != 0 || lo > math.MaxInt {
			return 0, fmt.Errorf("tensor: shape %v has more elements than an int can count", shape)
		}
		n = int(lo)
	}
	if empty {
		return 0, nil
	}
	return n, nil
}

// CheckedBytes is the number of bytes of a row-major tensor, or an error for an
// invalid type or a shape that does not fit the address space.
func CheckedBytes(dt DType, shape []int) (int, error) {
	if dt.Size() == 0 {
		return 0, fmt.Errorf("tensor: %s is not an element type", dt)
	}
	n, err := CheckedElements(shape)
	if err != nil {
		return 0, err
	}
	if n > (math.MaxInt-Alignment)/dt.Size() {
		return 0, fmt.Errorf("tensor: %s%v does not fit the address space", dt, shape)
	}
	return n * dt.Size(), nil
}

// RowMajor returns the strides, in elements, of a dense row-major tensor.
func RowMajor(shape []int) []int {
	strides := make([]int, len(shape))
	s := 1
	for i := len(shape) - 1; i >= 0; i-- {
		strides[i] = s
		s *= max(shape[i], 1)
	}
	return strides
}

// DType is the element type.
func (t *Tensor) DType() DType { return t.dtype }

// Shape is the size of each dimension. The caller must not change the slice.
func (t *Tensor) Shape() []int { return t.shape }

// Strides is the distance in elements between neighbours along each dimension.
// The caller must not change the slice.
func (t *Tensor) Strides() []int { return t.strides }

// Offset is the position of element (0, 0, ...) in the storage, in elements.
func (t *Tensor) Offset() int { return t.offset }

// Rank is the number of dimensions; 0 for a scalar.
func (t *Tensor) Rank() int { return len(t.shape) }

// NumElements is the product of the dimensions; 1 for a scalar.
func (t *Tensor) NumElements() int { return t.count }

// NumBytes is the size of the elements without gaps.
func (t *Tensor) NumBytes() int { return t.count * t.dtype.Size() }

// IsContiguous reports whether the elements lie row-major without gaps, at any
// offset. Strides of dimensions of size 1 do not matter.
func (t *Tensor) IsContiguous() bool { return t.dense || t.remote != nil }

// Base is the whole storage, which other views may share; nil on a device.
func (t *Tensor) Base() []byte { return t.data }

// Bytes is the memory of the elements in row-major order, shared with t; false
// if t is not contiguous or lies on a device.
func (t *Tensor) Bytes() ([]byte, bool) {
	if !t.dense {
		return nil, false
	}
	lo, hi := t.offset*t.dtype.Size(), (t.offset+t.count)*t.dtype.Size()
	return t.data[lo:hi:hi], true
}

// rowMajorBytes is the memory of the elements in row-major order: t's own where
// it is contiguous, else a copy.
func (t *Tensor) rowMajorBytes() []byte {
	b, _ := t.Contiguous().Bytes()
	return b
}

// SameShape reports whether t has exactly this shape.
func (t *Tensor) SameShape(shape []int) bool { return slices.Equal(t.shape, shape) }
