//go:build linux && (amd64 || arm64)

package driver

import (
	"strings"
	"sync"
	"testing"
	"unsafe"

	"github.com/ebitengine/purego"

	"jitc/executors/cuda/clib"
)

// recorded is a C library whose functions are Go: they note their arguments, and do
// what a test says. It stands for libcuda: what the driver would see of the binding
// is what these see.
type recorded struct {
	absent  map[string]bool
	calls   []recordedCall
	answers map[string]func(args []uintptr) int
}

type recordedCall struct {
	name string
	args [maxArguments]uintptr
}

// The callbacks of a process are limited and live as long as it does, so all
// libraries share them. Invariant: a test that uses them does not run in parallel.
var callbacks = struct {
	sync.Mutex
	addresses map[string]uintptr
	library   *recorded
}{addresses: map[string]uintptr{}}

func record(t *testing.T) *recorded {
	r := &recorded{absent: map[string]bool{}, answers: map[string]func([]uintptr) int{
		"cuDriverGetVersion": func(args []uintptr) int { put(args[0], int32(12040)); return 0 },
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
		callbacks.addresses[name] = purego.NewCallback(func(a, b, c, d, e, f, g, h, i, j, k, l uintptr) uintptr {
			return uintptr(uint32(callbacks.library.called(name, [maxArguments]uintptr{a, b, c, d, e, f, g, h, i, j, k, l})))
		})
	}
	return callbacks.addresses[name]
}

func (r *recorded) called(name string, args [maxArguments]uintptr) int {
	r.calls = append(r.calls, recordedCall{name, args})
	if f := r.answers[name]; f != nil {
		return f(args[:])
	}
	return 0
}

// last is the call that came last, of a function without its version.
func (r *recorded) last() recordedCall {
	c := r.calls[len(r.calls)-1]
	c.name = strings.TrimSuffix(c.name, "_v2")
	return c
}

// put writes v to an address that the binding passed.
func put[T any](at uintptr, v T) { *(*T)(clib.Pointer(at)) = v }

// get reads from one.
func get[T any](at uintptr) T { return *(*T)(clib.Pointer(at)) }

// at reads n bytes.
func at(addr uintptr, n int) []byte { return unsafe.Slice((*byte)(clib.Pointer(addr)), n) }

// cString is text that stays where it is.
func cString(s string) uintptr {
	b := append([]byte(s), 0)
	kept = append(kept, b)
	return uintptr(unsafe.Pointer(&b[0]))
}

var kept [][]byte
