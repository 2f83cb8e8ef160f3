package guard

import (
	"unsafe"

	"jitc/ir/call"
	"jitc/ir/tensor"
)

// observeDisjoint compares the memory that two tensors span, from their first to
// their last byte: tensors that interleave without sharing a byte overlap. A
// tensor that is missing or empty overlaps nothing.
func observeDisjoint(g *Guard, c *call.Call) (call.Const, bool) {
	if c.Layouts != nil || g.Arg < 0 || g.Axis < 0 {
		return truth(true), true
	}
	a, b := spanOf(c.Tensor(g.Arg)), spanOf(c.Tensor(g.Axis))
	return truth(a.lo >= b.hi || b.lo >= a.hi), true
}

// span is the addresses of a tensor's elements, hi excluded.
type span struct{ lo, hi uintptr }

func spanOf(t *tensor.Tensor) span {
	if t == nil || t.NumElements() == 0 {
		return span{}
	}
	if mem := t.DeviceBytes(); mem != nil {
		base := uintptr(unsafe.Pointer(unsafe.SliceData(mem)))
		return span{base, base + uintptr(len(mem))}
	}
	first, last := t.Offset(), t.Offset()
	strides := t.Strides()
	for i, n := range t.Shape() {
		if strides[i] < 0 {
			first += (n - 1) * strides[i]
		} else {
			last += (n - 1) * strides[i]
		}
	}
	base, bytes := uintptr(unsafe.Pointer(unsafe.SliceData(t.Base()))), uintptr(t.DType().Size())
	return span{base + uintptr(first)*bytes, base + uintptr(last+1)*bytes}
}
