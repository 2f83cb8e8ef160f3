package pytree

import (
	"reflect"
	"unsafe"
)

const ptrSize = unsafe.Sizeof(uintptr(0))

// span is a part of a value's memory: bytes, or words that are pointers.
type span struct {
	off  uintptr
	n    uintptr // in bytes
	ptrs bool
}

// appendSpans appends the memory of a type at an offset.
func appendSpans(to []span, t reflect.Type, off uintptr) []span {
	switch t.Kind() {
	case reflect.Struct:
		for i := range t.NumField() {
			to = appendSpans(to, t.Field(i).Type, off+t.Field(i).Offset)
		}
		return to
	case reflect.Array:
		for i := range t.Len() {
			to = appendSpans(to, t.Elem(), off+uintptr(i)*t.Elem().Size())
		}
		return to
	case reflect.Pointer, reflect.Map, reflect.Chan, reflect.Func, reflect.UnsafePointer:
		return extend(to, span{off, ptrSize, true})
	case reflect.Interface:
		return extend(to, span{off, 2 * ptrSize, true})
	case reflect.String, reflect.Slice:
		to = extend(to, span{off, ptrSize, true})
		return extend(to, span{off + ptrSize, t.Size() - ptrSize, false})
	}
	return extend(to, span{off, t.Size(), false})
}

// extend appends a span, or lengthens the last one: padding between bytes is
// copied with them.
func extend(to []span, sp span) []span {
	if sp.n == 0 {
		return to
	}
	if k := len(to) - 1; k >= 0 && to[k].ptrs == sp.ptrs && (!sp.ptrs || to[k].off+to[k].n == sp.off) {
		to[k].n = sp.off + sp.n - to[k].off
		return to
	}
	return append(to, sp)
}

// copy copies a value. It is here, where the compiler can see that neither address
// escapes, because package reflect moves what it copies to the heap.
func (n *node) copy(dst, src unsafe.Pointer) {
	for _, sp := range n.spans {
		d, s := unsafe.Add(dst, sp.off), unsafe.Add(src, sp.off)
		if sp.ptrs {
			k := sp.n / ptrSize
			copy(unsafe.Slice((*unsafe.Pointer)(d), k), unsafe.Slice((*unsafe.Pointer)(s), k))
		} else {
			copy(unsafe.Slice((*byte)(d), sp.n), unsafe.Slice((*byte)(s), sp.n))
		}
	}
}

// New makes a zero value of the plan's type.
func (p *Plan) New() unsafe.Pointer { return reflect.New(p.typ).UnsafePointer() }

// Copy copies the value at v, not what it refers to, to the heap. v does not
// escape: so a caller keeps its arguments on the stack, and the rare call that
// compiles works on a copy.
func (p *Plan) Copy(v unsafe.Pointer) unsafe.Pointer {
	dst := p.New()
	p.root.copy(dst, v)
	return dst
}
