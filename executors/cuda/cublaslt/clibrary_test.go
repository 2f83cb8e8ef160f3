//go:build linux && (amd64 || arm64)

package cublaslt

import (
	"sync"
	"testing"
	"unsafe"

	"github.com/ebitengine/purego"

	"jitc/executors/cuda/clib"
)

// recorded is a C library whose functions are Go: they note their arguments, and do
// what a test says. It stands for libcublasLt: what the library would see of the
// binding is what these see.
type recorded struct {
	absent  map[string]bool
	calls   []recordedCall
	answers map[string]func(args []uintptr) uintptr
}

type recordedCall struct {
	name string
	args [matmulArguments]uintptr
}

// The callbacks of a process are limited and live as long as it does, so all
// libraries share them. Invariant: a test that uses them does not run in parallel.
var callbacks = struct {
	sync.Mutex
	addresses map[string]uintptr
	library   *recorded
}{addresses: map[string]uintptr{}}

func record(t *testing.T) *recorded {
	r := &recorded{absent: map[string]bool{}, answers: map[string]func([]uintptr) uintptr{
		"cublasLtGetVersion": func([]uintptr) uintptr { return 120805 },
	}}
	callbacks.library = r
	t.Cleanup(func() { callbacks.library = nil })
	return r
}

func (r *recorded) Lookup(name string) uintptr {
	if r.absent[name] {
		return 0
	}
	callbacks.Lock()
	defer callbacks.Unlock()
	if callbacks.addresses[name] == 0 {
		callbacks.addresses[name] = purego.NewCallback(func(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p uintptr) uintptr {
			return callbacks.library.called(name, [matmulArguments]uintptr{a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p})
		})
	}
	return callbacks.addresses[name]
}

func (r *recorded) called(name string, args [matmulArguments]uintptr) uintptr {
	r.calls = append(r.calls, recordedCall{name, args})
	if f := r.answers[name]; f != nil {
		return f(args[:])
	}
	return 0
}

// of are the calls of a function.
func (r *recorded) of(name string) (out []recordedCall) {
	for _, c := range r.calls {
		if c.name == name {
			out = append(out, c)
		}
	}
	return out
}

// put writes v to an address that the binding passed.
func put[T any](at uintptr, v T) { *(*T)(clib.Pointer(at)) = v }

// get reads from one.
func get[T any](at uintptr) T { return *(*T)(clib.Pointer(at)) }

// cString is text that stays where it is.
func cString(s string) uintptr {
	b := append([]byte(s), 0)
	kept = append(kept, b)
	return uintptr(unsafe.Pointer(&b[0]))
}

var kept [][]byte
