package tensor

import (
	"encoding/binary"
	"runtime"
	"sync"
	"sync/atomic"
	"unsafe"
	"weak"
)

// Layout is how the elements of a tensor lie: their type, the shape, the strides
// and the device. Layouts are interned: two live ones are equal exactly if they are the
// same pointer, so that a call with hundreds of tensors is compared with another
// by as many pointer comparisons. Immutable.
//
// Strides that do not matter are not told apart: a contiguous tensor has the
// row-major ones of its shape.
type Layout struct {
	DType      DType
	Shape      []int // not to be changed
	Strides    []int // in elements; not to be changed
	Contiguous bool
	Device     string // its name; empty for the host
}

// layouts are the live ones, by their text. Weak, so that the sizes a service has
// seen do not stay with it for ever.
var layouts sync.Map // string -> weak.Pointer[Layout]

// Layout is the tensor's layout. The first call looks it up, later ones load it.
func (t *Tensor) Layout() *Layout {
	if l := (*Layout)(atomic.LoadPointer(&t.layout)); l != nil {
		return l
	}
	return t.intern()
}

// intern is apart so that Layout is inlined.
func (t *Tensor) intern() *Layout {
	strides, dense := t.strides, t.IsContiguous()
	if dense {
		strides = RowMajor(t.shape)
	}
	l := intern(t.dtype, t.shape, strides, dense, t.place())
	atomic.StorePointer(&t.layout, unsafe.Pointer(l))
	return l
}

// LayoutOf is the layout of contiguous tensors of a type and shape on the host.
func LayoutOf(dt DType, shape []int) *Layout {
	return intern(dt, shape, RowMajor(shape), true, "")
}

func intern(dt DType, shape, strides []int, dense bool, device string) *Layout {
	var buf [128]byte
	key := append(buf[:0], byte(dt))
	for i, n := range shape {
		key = binary.AppendUvarint(key, uint64(n))
		if !dense {
			key = binary.AppendVarint(key, int64(strides[i]))
		}
	}
	if dense {
		key = append(key, 1) // after the sizes: rank and form follow from the length and this
	} else {
		key = append(key, 0)
	}
	if device != "" { // told apart from the others by the last byte, and what it means by the length before
		key = append(binary.AppendUvarint(append(key, device...), uint64(len(device))), 2)
	}
	if w, ok := layouts.Load(string(key)); ok {
		if l := w.(weak.Pointer[Layout]).Value(); l != nil {
			return l
		}
	}
	return add(string(key), &Layout{DType: dt, Shape: own(shape), Strides: own(strides), Contiguous: dense, Device: device})
}

// add puts a layout into the table, unless another goroutine was faster.
func add(key string, l *Layout) *Layout {
	mine := weak.Make(l)
	for {
		w, found := layouts.LoadOrStore(key, mine)
		if !found {
			break
		}
		if other := w.(weak.Pointer[Layout]).Value(); other != nil {
			return other
		}
		if layouts.CompareAndSwap(key, w, mine) { // a dead one whose cleanup is still to come
			break
		}
	}
	runtime.AddCleanup(l, func(mine weak.Pointer[Layout]) { layouts.CompareAndDelete(key, mine) }, mine)
	return l
}
