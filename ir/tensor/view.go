package tensor

import (
	"fmt"
	"math"
	"math/bits"
	"slices"
	"unsafe"
)

// View returns a tensor over the same storage with its own strides, offset (both
// in elements of the storage) and shape. It is an error if an element would lie
// outside the storage, and for a tensor on a device.
func (t *Tensor) View(strides []int, offset int, shape []int) (*Tensor, error) {
	if t.remote != nil {
		return nil, t.notHere("view")
	}
	n, err := CheckedElements(shape)
	if err != nil {
		return nil, err
	}
	if len(strides) != len(shape) {
		return nil, fmt.Errorf("tensor: view: %d strides for %d dimensions", len(strides), len(shape))
	}
	lo, hi, ok := extent(shape, strides)
	capacity := len(t.data) / t.dtype.Size()
	// Comparing differences keeps the sums from overflowing: lo <= 0 <= hi.
	if !ok || offset < 0 || offset > capacity || lo < -offset || hi >= capacity-offset && n > 0 {
		return nil, fmt.Errorf("tensor: view of shape %v, strides %v, offset %d exceeds the storage of %d elements",
			shape, strides, offset, capacity)
	}
	return t.header(strides, offset, shape, n), nil
}

// header makes a view whose bounds are known to hold.
func (t *Tensor) header(strides []int, offset int, shape []int, n int) *Tensor {
	return &Tensor{
		dtype: t.dtype, shape: own(shape), strides: own(strides),
		offset: offset, count: n, dense: isRowMajor(shape, strides, n), data: t.data,
	}
}

// extent is the lowest and highest element a shape reaches relative to its first
// one; false if they overflow. An empty shape reaches none: 0, 0.
func extent(shape, strides []int) (lo, hi int, ok bool) {
	if slices.Contains(shape, 0) {
		return 0, 0, true
	}
	for i, d := range shape {
		magnitude := uint64(strides[i])
		if strides[i] < 0 {
			magnitude = -magnitude
		}
		over, span := bits.Mul64(uint64(d-1), magnitude)
		if over != 0 || span > math.MaxInt/2 {
			return 0, 0, false
		}
		if strides[i] < 0 {
			lo -= int(span)
		} else {
			hi += int(span)
		}
		if lo < -math.MaxInt/2 || hi > math.MaxInt/2 {
			return 0, 0, false
		}
	}
	return lo, hi, true
}

// isRowMajor reports whether the layout has no gaps and runs row-major.
func isRowMajor(shape, strides []int, n int) bool {
	if n == 0 {
		return true
	}
	expect := 1
	for i := len(shape) - 1; i >= 0; i-- {
		if shape[i] != 1 && strides[i] != expect {
			return false
		}
		expect *= shape[i]
	}
	return true
}

// Strided allocates a zeroed tensor with a layout of the caller's choice: gaps,
// other orders of dimensions, broadcast (stride 0) and reversed (negative
// stride) dimensions.
func Strided(dt DType, shape, strides []int) (*Tensor, error) {
	if len(strides) != len(shape) {
		return nil, fmt.Errorf("tensor: strided: %d strides for %d dimensions", len(strides), len(shape))
	}
	n, err := CheckedElements(shape)
	if err != nil {
		return nil, err
	}
	lo, hi, ok := extent(shape, strides)
	if !ok {
		return nil, fmt.Errorf("tensor: shape %v with strides %v does not fit the address space", shape, strides)
	}
	store, err := Make(dt, []int{hi - lo + min(n, 1)})
	if err != nil {
		return nil, err
	}
	return store.View(strides, -lo, shape)
}

// Permute returns a view whose dimension i is t's dimension axes[i]; with no
// axes it reverses them all. A tensor on a device is an error.
func (t *Tensor) Permute(axes ...int) (*Tensor, error) {
	if len(axes) == 0 {
		for i := t.Rank() - 1; i >= 0; i-- {
			axes = append(axes, i)
		}
	}
	if !isPermutation(axes, t.Rank()) {
		return nil, fmt.Errorf("tensor: permute: %v is not a permutation of %d axes", axes, t.Rank())
	}
	if t.remote != nil {
		return nil, t.notHere("permute")
	}
	shape, strides := make([]int, len(axes)), make([]int, len(axes))
	for i, a := range axes {
		shape[i], strides[i] = t.shape[a], t.strides[a]
	}
	return t.header(strides, t.offset, shape, t.count), nil
}

// isPermutation reports whether axes holds each of 0..rank-1 once.
func isPermutation(axes []int, rank int) bool {
	sorted := slices.Sorted(slices.Values(axes))
	for i, a := range sorted {
		if a != i {
			return false
		}
	}
	return len(axes) == rank
}

// Reshape returns the elements, in row-major order, under another shape of the
// same size; one dimension may be -1 and is computed. It shares t's storage if t
// is contiguous and copies otherwise.
func (t *Tensor) Reshape(shape ...int) (*Tensor, error) {
	full, err := inferDimension(t.count, shape)
	if err != nil {
		return nil, err
	}
	n, err := CheckedElements(full)
	if err != nil {
		return nil, err
	}
	if n != t.count {
		return nil, fmt.Errorf("tensor: reshape: %v has %d elements, %v has %d", t.shape, t.count, shape, n)
	}
	if t.remote != nil { // t keeps the owner
		return OnDevice(t.remote.device, t.dtype, full, t.remote.memory, t)
	}
	c := t.Contiguous()
	return c.header(RowMajor(full), c.offset, full, n), nil
}

// inferDimension replaces a single -1 by what makes the shape hold n elements.
func inferDimension(n int, shape []int) ([]int, error) {
	at := slices.Index(shape, -1)
	if at < 0 {
		return shape, nil
	}
	full := slices.Clone(shape)
	full[at] = 1
	rest, err := CheckedElements(full)
	if err != nil {
		return nil, err
	}
	if rest == 0 || n%rest != 0 {
		return nil, fmt.Errorf("tensor: reshape: no size for -1 makes %v hold %d elements", shape, n)
	}
	full[at] = n / rest
	return full, nil
}

// Contiguous returns t itself if it is contiguous, else a row-major copy. What it
// returns is on the host.
func (t *Tensor) Contiguous() *Tensor {
	if t.dense {
		return t
	}
	return t.Clone()
}

// Clone returns a row-major copy on the host, in storage of its own.
func (t *Tensor) Clone() *Tensor {
	if t.remote != nil {
		return t.onHost()
	}
	c := New(t.dtype, t.shape...)
	copyElements(c, t)
	return c
}

// CopyFrom overwrites t's elements with src's, which must have t's type and
// shape. The two may overlap, and lie on devices.
func (t *Tensor) CopyFrom(src *Tensor) error {
	if src.dtype != t.dtype || !t.SameShape(src.shape) {
		return fmt.Errorf("tensor: copy: destination is %s%v, source is %s%v", t.dtype, t.shape, src.dtype, src.shape)
	}
	if t.remote != nil || src.remote != nil {
		return copyAcross(t, src)
	}
	if !(t.dense && src.dense) && overlap(t.data, src.data) {
		src = src.Clone()
	}
	copyElements(t, src)
	return nil
}

// overlap reports whether two pieces of memory share a byte.
func overlap(a, b []byte) bool {
	pa, pb := uintptr(unsafe.Pointer(unsafe.SliceData(a))), uintptr(unsafe.Pointer(unsafe.SliceData(b)))
	return pa < pb+uintptr(len(b)) && pb < pa+uintptr(len(a))
}

// copyElements copies between tensors of one type and shape.
func copyElements(dst, src *Tensor) {
	if dst.dense && src.dense {
		d, _ := dst.Bytes()
		s, _ := src.Bytes()
		copy(d, s)
		return
	}
	if dst.count == 0 {
		return
	}
	switch dst.dtype.Size() {
	case 1:
		copyStrided[uint8](dst, src)
	case 2:
		copyStrided[uint16](dst, src)
	case 4:
		copyStrided[uint32](dst, src)
	case 8:
		copyStrided[uint64](dst, src)
	}
}

// copyStrided walks the outer dimensions as an odometer and copies the innermost
// one in a tight loop.
func copyStrided[T Element](dst, src *Tensor) {
	shape, ds, ss := collapse(dst.shape, dst.strides, src.strides)
	d, s := elements[T](dst.data), elements[T](src.data)
	last := len(shape) - 1
	n, dstep, sstep := shape[last], ds[last], ss[last]
	index := make([]int, last)
	do, so := dst.offset, src.offset
	for {
		if dstep == 1 && sstep == 1 {
			copy(d[do:do+n], s[so:so+n])
		} else {
			for i, a, b := 0, do, so; i < n; i, a, b = i+1, a+dstep, b+sstep {
				d[a] = s[b]
			}
		}
		axis := last - 1
		for ; axis >= 0; axis-- {
			index[axis]++
			do += ds[axis]
			so += ss[axis]
			if index[axis] < shape[axis] {
				break
			}
			do -= ds[axis] * shape[axis]
			so -= ss[axis] * shape[axis]
			index[axis] = 0
		}
		if axis < 0 {
			return
		}
	}
}

// collapse drops dimensions of size 1 and merges neighbours that both layouts
// walk as one, so that the innermost loop is as long as it can be. The result
// has at least one dimension.
func collapse(shape, a, b []int) (cs, ca, cb []int) {
	for i, d := range shape {
		if d == 1 {
			continue
		}
		last := len(cs) - 1
		if last >= 0 && ca[last] == a[i]*d && cb[last] == b[i]*d {
			cs[last], ca[last], cb[last] = cs[last]*d, a[i], b[i]
			continue
		}
		cs, ca, cb = append(cs, d), append(ca, a[i]), append(cb, b[i])
	}
	if len(cs) == 0 {
		return []int{1}, []int{1}, []int{1}
	}
	return cs, ca, cb
}
