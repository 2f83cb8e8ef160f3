package pytree

import (
	"fmt"
	"reflect"
	"strings"
	"unsafe"
)

// Error is a type or a value that cannot be an argument.
type Error struct {
	Value string       // the name of the whole, for messages: its type, until the caller sets it
	Path  string       // from there: ".Layers[i].Callback"
	Type  reflect.Type // what stands there
	Why   string
	Hint  string
}

func (e *Error) Error() string {
	return fmt.Sprintf("%s%s: %s\n  hint      %s", e.Value, e.Path, e.Why, e.Hint)
}

const expected = "is not a tensor, a number, a string, a bool, nor a struct, slice, array, map or pointer of these"

// hints are by the kind that cannot be an argument.
var hints = map[reflect.Kind]string{
	reflect.Func:          "let the traced function close over it",
	reflect.Interface:     "use the concrete type, or a type parameter: what an interface holds is not known before the call",
	reflect.Chan:          "receive before the call and pass the value",
	reflect.Complex64:     "pass the real and the imaginary part",
	reflect.Complex128:    "pass the real and the imaginary part",
	reflect.UnsafePointer: "make a tensor of the memory",
}

func refuse(t reflect.Type, path string) *Error {
	return &Error{Path: path, Type: t, Why: t.String() + " " + expected, Hint: hints[t.Kind()]}
}

// frame is one level of nesting above a fault.
type frame struct {
	name   string // ".Next", ".Kids[3]"
	elem   *node
	target unsafe.Pointer // what the pointer, slice or map refers to
}

// fault says what Flatten failed at. It has the frames only, not the value: passing
// that on would move it to the heap in every call.
func (s *Sink) fault(t reflect.Type) *Error {
	defer func() { clear(s.frames); s.frames = s.frames[:0] }()
	type place struct {
		elem   *node
		target unsafe.Pointer
	}
	seen, path := map[place]string{}, ""
	for i := len(s.frames) - 1; i >= 0; i-- {
		f := s.frames[i]
		path += f.name
		at := place{f.elem, f.target}
		if from, ok := seen[at]; ok && f.target != nil {
			return &Error{Value: t.String(), Path: path, Type: f.elem.typ,
				Why:  fmt.Sprintf("the value is cyclic: it leads back to %s%s", t, from),
				Hint: "break the cycle, or keep what refers back out of the arguments"}
		}
		seen[at] = path
	}
	return &Error{Value: t.String(), Path: shorten(path), Type: t,
		Why:  fmt.Sprintf("the value is nested more than %d deep or has more than %d leaves", maxDepth, maxLeaves),
		Hint: "keep bulk data in tensors"}
}

// shorten keeps the first and the last of a long path.
func shorten(path string) string {
	const most = 60
	if len(path) <= 2*most {
		return path
	}
	head, tail := path[:most], path[len(path)-most:]
	if i := strings.LastIndexAny(head, ".["); i > 0 {
		head = head[:i]
	}
	if i := strings.IndexAny(tail, ".["); i > 0 {
		tail = tail[i:]
	}
	return head + " ... " + tail
}
