package runtime

import (
	"cmp"
	"fmt"
	"slices"
	"sort"
	"unsafe"

	"jitc/ir/tensor"
)

// BufferError says why a tensor cannot be an argument or a result of a run.
type BufferError struct {
	What     string // "argument 2", "results"
	Expected string
	Got      string
	Hint     string
	Argument bool // an argument does not fit; else a result
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
	return &BufferError{What: what, Expected: fmt.Sprint(want), Got: fmt.Sprint(got), Argument: what == "arguments"}
}

// check compares a tensor with the type of slot n.
func (r *Recording) check(what string, i, n int, t *tensor.Tensor) error {
	if t != nil && t.DType() == r.p.slots[n].typ.DType && t.SameShape(r.shapes[n]) &&
		(t.IsContiguous() || what == "argument") {
		return nil
	}
	return r.wrong(what, i, n, t)
}

// wrong says why a tensor is not of the type of slot n.
func (r *Recording) wrong(what string, i, n int, t *tensor.Tensor) error {
	dt := r.p.slots[n].typ.DType
	got, hint := "nil", ""
	switch {
	case t == nil:
	case t.DType() != dt || !t.SameShape(r.shapes[n]):
		got = fmt.Sprintf("%s%v", t.DType(), t.Shape())
		if what == "argument" {
			hint = "a recording is for one exact signature"
		}
	default:
		got, hint = fmt.Sprintf("one of strides %v", t.Strides()), "results must be contiguous, as Results makes them"
	}
	return &BufferError{What: fmt.Sprintf("%s %d", what, i), Expected: fmt.Sprintf("%s%v", dt, r.shapes[n]), Got: got, Hint: hint,
		Argument: what == "argument"}
}

// sharing finds results that share memory with something else. It keeps the
// addresses that were found apart: the verdict depends on nothing else, so a
// run with the same tensors as the last one compares and is done. Addresses
// keep no memory alive.
type sharing struct {
	known  []uintptr // addresses found apart: arguments, but for frozen ones, then results
	writes []span    // of the results, by address
	frozen []span    // what frozen sets occupy, by address, neighbours joined
}

func (s *sharing) forget() { s.known = s.known[:0] }

// span is the memory of a tensor: of result who, or of argument ^who.
type span struct {
	lo, hi uintptr
	who    int
}

func byAddress(a, b span) int { return cmp.Compare(a.lo, b.lo) }

func address(b []byte) uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(b))) }

func spanOf(b []byte, who int) span { return span{address(b), address(b) + uintptr(len(b)), who} }

// checkSharing refuses results that share memory with an argument or another
// result: kernels write results while they read. Constants are the program's own
// copies.
func (f *frame) checkSharing() error {
	s, r := &f.sharing, f.r
	if f.sameAsBefore() {
		return nil
	}
	s.forget()
	if err := f.collectWrites(); err != nil {
		return err
	}
	for _, part := range [][2]int{{0, f.frozen.lo}, {f.frozen.hi, len(r.p.params)}} {
		for i := part[0]; i < part[1]; i++ {
			x := spanOf(f.slots[r.p.params[i]], ^i)
			if w, ok := overlapping(s.writes, x); ok && !r.mayTake(w, x) {
				return sharedMemory(w, x)
			}
		}
	}
	for _, w := range s.writes {
		if _, ok := overlapping(s.frozen, w); ok {
			return sharedMemory(w, f.frozenAt(w))
		}
	}
	f.know()
	return nil
}

// overlapping finds one of spans, which are apart and in order, that shares
// memory with x.
func overlapping(spans []span, x span) (span, bool) {
	if x.lo == x.hi || len(spans) == 0 {
		return span{}, false
	}
	last := spans[0]
	if len(spans) > 1 {
		i := sort.Search(len(spans), func(i int) bool { return spans[i].lo >= x.hi })
		last = spans[max(i-1, 0)]
	}
	return last, last.lo < x.hi && x.lo < last.hi
}

// mayTake reports whether result w may lie where argument x does.
func (r *Recording) mayTake(w, x span) bool {
	return r.donated[w.who] == ^x.who && w.lo == x.lo && w.hi == x.hi
}

func (f *frame) sameAsBefore() bool {
	params, known := f.r.p.params, f.sharing.known
	if len(known) != f.frozen.lo+len(params)-f.frozen.hi+len(f.results) {
		return false
	}
	for i, n := range params[:f.frozen.lo] {
		if known[i] != address(f.slots[n]) {
			return false
		}
	}
	known = known[f.frozen.lo:]
	for i, n := range params[f.frozen.hi:] {
		if known[i] != address(f.slots[n]) {
			return false
		}
	}
	known = known[len(params)-f.frozen.hi:]
	for i, b := range f.results {
		if known[i] != address(b) {
			return false
		}
	}
	return true
}

// know remembers the addresses as apart.
func (f *frame) know() {
	params, known := f.r.p.params, f.sharing.known[:0]
	for _, n := range params[:f.frozen.lo] {
		known = append(known, address(f.slots[n]))
	}
	for _, n := range params[f.frozen.hi:] {
		known = append(known, address(f.slots[n]))
	}
	for _, b := range f.results {
		known = append(known, address(b))
	}
	f.sharing.known = known
}

// collectWrites lists the memory of the results, which must be apart.
func (f *frame) collectWrites() error {
	writes := f.sharing.writes[:0]
	for i, b := range f.results {
		if len(b) > 0 {
			writes = append(writes, spanOf(b, i))
		}
	}
	f.sharing.writes = writes
	return sortWrites(writes)
}

// sortWrites orders the memory of results, which must be apart.
func sortWrites(writes []span) error {
	if len(writes) > 1 {
		slices.SortFunc(writes, byAddress)
	}
	for i := 1; i < len(writes); i++ {
		if a, b := writes[i-1], writes[i]; b.lo < a.hi {
			return sharedMemory(span{who: max(a.who, b.who)}, span{who: min(a.who, b.who)})
		}
	}
	return nil
}

// overlap finds a result among the spans that shares memory with another of
// them. It reorders them.
func overlap(spans []span) error {
	slices.SortFunc(spans, func(a, b span) int { return cmp.Compare(a.who, b.who) })
	at := slices.IndexFunc(spans, func(s span) bool { return s.who >= 0 })
	if at < 0 {
		return nil
	}
	reads, writes := spans[:at], spans[at:]
	if err := sortWrites(writes); err != nil {
		return err
	}
	for _, x := range reads {
		if w, ok := overlapping(writes, x); ok {
			return sharedMemory(w, x)
		}
	}
	return nil
}

// spans appends the memory of parameters [lo, hi).
func (f *frame) spans(to []span, lo, hi int) []span {
	for i := lo; i < hi; i++ {
		if b := f.slots[f.r.p.params[i]]; len(b) > 0 {
			to = append(to, spanOf(b, ^i))
		}
	}
	return to
}

// union sorts spans and joins those that touch.
func union(spans []span) []span {
	slices.SortFunc(spans, byAddress)
	n := 0
	for _, s := range spans {
		if n > 0 && s.lo <= spans[n-1].hi {
			spans[n-1].hi = max(spans[n-1].hi, s.hi)
			continue
		}
		spans[n] = s
		n++
	}
	return spans[:n]
}

// frozenAt is the first frozen argument that shares memory with w.
func (f *frame) frozenAt(w span) span {
	for _, s := range f.spans(nil, f.frozen.lo, f.frozen.hi) {
		if s.lo < w.hi && w.lo < s.hi {
			return s
		}
	}
	panic("BUG: runtime: no frozen argument where its set has memory")
}

// sharedMemory is the error for a result that shares memory with other.
func sharedMemory(result, other span) error {
	got := fmt.Sprintf("that of result %d", other.who)
	if other.who < 0 {
		got = fmt.Sprintf("that of argument %d", ^other.who)
	}
	return &BufferError{What: fmt.Sprintf("result %d", result.who), Expected: "memory of its own", Got: got,
		Hint: "kernels write results while they read arguments: give a new tensor"}
}
