package runtime

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"sync"
	"unsafe"

	"jitc/ir/tensor"
)

// Signature identifies the arguments of a call exactly: their element types and
// shapes, in order. It is for comparing; its text is not for reading.
type Signature string

// SignatureOf builds the signature of arguments. A nil tensor has one too, which
// no tensor has.
func SignatureOf(args []*tensor.Tensor) Signature { return Signature(appendSignature(nil, args)) }

// appendSignature writes, for each argument, its element type, rank and sizes: a
// prefix-free code, so different arguments never have equal signatures.
func appendSignature(b []byte, args []*tensor.Tensor) []byte {
	for _, a := range args {
		if a == nil {
			b = append(b, byte(tensor.Invalid))
			continue
		}
		b = append(b, byte(a.DType()))
		b = binary.AppendUvarint(b, uint64(a.Rank()))
		for _, n := range a.Shape() {
			b = binary.AppendUvarint(b, uint64(n))
		}
	}
	return b
}

var signatureBuffers = sync.Pool{New: func() any { return new([]byte) }}

// withSignature calls f with the signature of args in a borrowed buffer: f must
// not keep it. So a lookup allocates nothing.
func withSignature[T any](args []*tensor.Tensor, f func(Signature) (T, bool)) (T, bool) {
	buf := signatureBuffers.Get().(*[]byte)
	*buf = appendSignature((*buf)[:0], args)
	t, ok := f(Signature(unsafe.String(unsafe.SliceData(*buf), len(*buf))))
	signatureBuffers.Put(buf)
	return t, ok
}

// argType is the part of an argument that its signature tells.
type argType struct {
	dtype tensor.DType
	shape []int
}

// argTypes copies the types of arguments, none of them nil.
func argTypes(args []*tensor.Tensor) []argType {
	types := make([]argType, len(args))
	for i, a := range args {
		types[i] = argType{a.DType(), slices.Clone(a.Shape())}
	}
	return types
}

// fit reports whether args have exactly these types: whether their signatures
// are equal, without building one.
func fit(types []argType, args []*tensor.Tensor) bool {
	if len(types) != len(args) {
		return false
	}
	for i, a := range args {
		if a == nil || a.DType() != types[i].dtype || !a.SameShape(types[i].shape) {
			return false
		}
	}
	return true
}

// typesText prints types for reports: "f32[4,784], i64[4]".
func typesText(types []argType) string {
	var b strings.Builder
	for i, t := range types {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%s[%s]", t.dtype, strings.Trim(strings.ReplaceAll(fmt.Sprint(t.shape), " ", ","), "[]"))
	}
	return b.String()
}
