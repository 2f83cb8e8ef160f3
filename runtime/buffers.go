package runtime

import (
	"cmp"
	"fmt"
	"slices"
	"unsafe"

	"jitc/ir/tensor"
)

// BufferError says why a tensor cannot be an argument or a result of a run.
type BufferError struct {
	What     string // "argument 2", "results"
	Expected string
	Got      string
	Hint     string
}

// Error is one line.
func (e *BufferError) Error() string {
	s := fmt.Sprintf("%s: expected %s, got %s", e.What, e.Expected, e.Got)
	if e.Hint != "" {
		s += " (" + e.Hint + ")"
	}
	return s
}

func count(what string, got, want int) error {
	if got == want {
		return nil
	}
	return &BufferError{What: what, Expected: fmt.Sprint(want), Got: fmt.Sprint(got)}
}

// check compares a tensor with the type of slot n.
func (r *Recording) check(what string, i, n int, t *tensor.Tensor) error {
	dt := r.p.slots[n].typ.DType
	got, hint := "", ""
	switch {
	case t == nil:
		got = "nil"
	case t.DType() != dt || !t.SameShape(r.shapes[n]):
		got = fmt.Sprintf("%s%v", t.DType(), t.Shape())
		if what == "argument" {
			hint = "a recording is for one exact signature"
		}
	case what == "result" && !t.IsContiguous():
		got, hint = fmt.Sprintf("one of strides %v", t.Strides()), "results must be contiguous, as Results makes them"
	default:
		return nil
	}
	return &BufferError{What: fmt.Sprintf("%s %d", what, i), Expected: fmt.Sprintf("%s%v", dt, r.shapes[n]), Got: got, Hint: hint}
}

// sharing finds results that share memory with something else. It keeps the
// addresses that were found apart: the verdict depends on nothing else, so a
// run with the same tensors as the last one compares and is done. Addresses
// keep no memory alive.
type sharing struct {
	known []uintptr // addresses found apart: arguments, then results
	spans []span
}

// span is the memory of a tensor: of result i, or of argument ^i.
type span struct {
	lo, hi uintptr
	who    int
}

func address(b []byte) uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(b))) }

// checkSharing refuses results that share memory with an argument or another
// result: kernels write results while they read. Constants are the program's own
// copies.
func (f *frame) checkSharing() error {
	if f.sameAsBefore() {
		return nil
	}
	f.collectSpans()
	spans := f.sharing.spans
	slices.SortFunc(spans, func(a, b span) int { return cmp.Compare(a.lo, b.lo) })
	var read, written span // those that reach furthest so far
	for _, s := range spans {
		if s.lo < written.hi {
			return f.shared(written, s)
		}
		if s.who >= 0 && s.lo < read.hi {
			return f.shared(s, read)
		}
		if s.who >= 0 {
			written = s
		} else if s.hi > read.hi {
			read = s
		}
	}
	f.know()
	return nil
}

func (f *frame) sameAsBefore() bool {
	params, known := f.r.p.params, f.sharing.known
	if len(known) != len(params)+len(f.results) {
		return false
	}
	for i, n := range params {
		if known[i] != address(f.slots[n]) {
			return false
		}
	}
	for i, b := range f.results {
		if known[len(params)+i] != address(b) {
			return false
		}
	}
	return true
}

// know remembers the addresses as apart.
func (f *frame) know() {
	f.sharing.known = f.sharing.known[:0]
	for _, n := range f.r.p.params {
		f.sharing.known = append(f.sharing.known, address(f.slots[n]))
	}
	for _, b := range f.results {
		f.sharing.known = append(f.sharing.known, address(b))
	}
}

func (f *frame) collectSpans() {
	spans := f.sharing.spans[:0]
	add := func(b []byte, who int) {
		if len(b) > 0 {
			spans = append(spans, span{address(b), address(b) + uintptr(len(b)), who})
		}
	}
	for i, n := range f.r.p.params {
		add(f.slots[n], ^i)
	}
	for i, b := range f.results {
		add(b, i)
	}
	f.sharing.spans = spans
}

// shared is the error for a result that shares memory with other.
func (f *frame) shared(result, other span) error {
	got := fmt.Sprintf("that of result %d", other.who)
	if other.who < 0 {
		got = fmt.Sprintf("that of argument %d", ^other.who)
	}
	return &BufferError{What: fmt.Sprintf("result %d", result.who), Expected: "memory of its own", Got: got,
		Hint: "kernels write results while they read arguments: give a new tensor"}
}
