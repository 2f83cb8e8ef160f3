package driver

import (
	"sync"
	"unsafe"

	"jitc/codegen/ptx/tensormap"
)

// encoding is what the driver reads and writes of one map, in memory that the calls
// share: encoding allocates nothing.
type encoding struct {
	sizes   [tensormap.MaxRank]uint64
	strides [tensormap.MaxRank - 1]uint64
	box     [tensormap.MaxRank]uint32
	steps   [tensormap.MaxRank]uint32 // of elements within a box: 1
	space   [tensormap.Bytes + tensormap.Align]byte
	out     []byte // in space, aligned
}

var encodings = sync.Pool{New: func() any {
	e := new(encoding)
	for i := range e.steps {
		e.steps[i] = 1
	}
	skip := -uintptr(unsafe.Pointer(&e.space)) % tensormap.Align
	e.out = e.space[skip:][:tensormap.Bytes]
	return e
}}

func (d *binding) EncodeTensorMap(dst []byte, m *tensormap.Map, address Ptr) error {
	const (
		noInterleave = 0
		promoteTo128 = 2 // CU_TENSOR_MAP_L2_PROMOTION_L2_128B
		zerosOutside = 0 // CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE
	)
	if d.fns[fnTensorMapEncode] == 0 {
		return NewError(fnTensorMapEncode.String(), NotSupported, "the driver is of a CUDA version before 12.0")
	}
	if len(dst) != tensormap.Bytes {
		return unusable(fnTensorMapEncode, "%d bytes for a map, expected %d", len(dst), tensormap.Bytes)
	}
	if err := m.Check(); err != nil {
		return unusable(fnTensorMapEncode, "%v", err)
	}
	e := encodings.Get().(*encoding)
	e.sizes, e.strides, e.box = m.Sizes, m.Strides, m.Box
	err := d.steady(fnTensorMapEncode, uintptr(unsafe.Pointer(&e.out[0])),
		uintptr(m.TypeCode()), uintptr(m.Rank), uintptr(address),
		uintptr(unsafe.Pointer(&e.sizes)), uintptr(unsafe.Pointer(&e.strides)),
		uintptr(unsafe.Pointer(&e.box)), uintptr(unsafe.Pointer(&e.steps)),
		noInterleave, uintptr(m.Swizzle.Code()), promoteTo128, zerosOutside)
	if err == nil {
		copy(dst, e.out)
	}
	encodings.Put(e)
	return err
}
