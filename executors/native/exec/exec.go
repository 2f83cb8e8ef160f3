// Package exec holds machine code in executable memory and calls it.
//
// A kernel is a leaf function with one argument, the address of its argument block:
//
//   - RDI holds the address; everything but RSP and RBP may be overwritten, flags and vector registers too;
//   - it runs on the goroutine's stack and must not use it: no PUSH, no CALL, no red zone. Spills go into the
//     argument block. So the stack stays readable for the Go runtime, and a fault inside is a Go panic;
//   - it ends with VZEROUPPER (if it used wide vectors) and RET;
//   - while it runs the goroutine cannot be preempted and a garbage collection waits for it: keep a call
//     below about 250 us and loop over chunks outside.
//
// The code must be position-independent and may hold constants, which it finds relative to itself: it is
// placed at a multiple of 64 bytes.
//
//	code, err := exec.Load(bytes) // bytes of: mov rax, [rdi]; inc rax; mov [rdi], rax; ret
//	n := uint64(41)
//	code.Call(unsafe.Pointer(&n)) // n == 42
//	code.Free()
//
// Invariant: no page is ever writable and executable through one address. On Linux the memory is mapped
// twice, writable at one address and executable at another, so that installing a kernel is a copy; where that
// is refused, and on other systems, every kernel gets pages of its own that change from writable to
// executable once.
//
// Load, Call and Free are safe for concurrent use, with one exception: Free must not overlap a Call of the
// same code.
package exec

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"unsafe"
)

// ErrUnsupported is returned by Load where there is no executable memory or no trampoline.
var ErrUnsupported = fmt.Errorf("exec: machine code is not supported on %s/%s", runtime.GOOS, runtime.GOARCH)

// region is a piece of executable memory.
type region struct {
	addr uintptr // where the code runs
	size int     // bytes of code
}

// memory places code. Its methods are safe for concurrent use.
type memory interface {
	install(code []byte) (region, error)
	remove(r region)
}

// system is the memory of this process, made at the first use.
var system = sync.OnceValues(newMemory)

// Supported reports whether Load and Call work here.
func Supported() bool {
	_, err := system()
	return err == nil
}

// Code is machine code ready to run.
type Code struct {
	addr    atomic.Uintptr // 0 once freed
	region  region
	memory  memory
	cleanup runtime.Cleanup
}

// Load copies code into executable memory. It is freed by Free, or by the garbage collector once the Code is
// unreachable: a cache may drop a Code that others still call.
func Load(code []byte) (*Code, error) {
	m, err := system()
	if err != nil {
		return nil, err
	}
	return loadInto(m, code)
}

func loadInto(m memory, code []byte) (*Code, error) {
	if len(code) == 0 {
		return nil, errors.New("exec: no code to load: got 0 bytes, expected at least a RET")
	}
	r, err := m.install(code)
	if err != nil {
		return nil, fmt.Errorf("exec: install %d bytes: %w", len(code), err)
	}
	c := &Code{region: r, memory: m}
	c.addr.Store(r.addr)
	c.cleanup = runtime.AddCleanup(c, func(r region) { m.remove(r) }, r)
	return c, nil
}

// Size returns the number of bytes of code.
func (c *Code) Size() int { return c.region.size }

// Addr returns the address the code runs at, for debuggers and profilers; 0 once freed.
func (c *Code) Addr() uintptr { return c.addr.Load() }

// Call runs the code with args in RDI. args may point into the stack or the heap; memory that args refers to
// only as an integer must be kept alive by the caller.
func (c *Code) Call(args unsafe.Pointer) {
	fn := c.addr.Load()
	if fn == 0 {
		panic("BUG: exec: call of freed code")
	}
	call(fn, args)
	runtime.KeepAlive(c) // or the collector could free the code while it runs
}

// Free returns the memory; further calls of Free do nothing. The code must not be running.
func (c *Code) Free() {
	if c.addr.Swap(0) == 0 {
		return
	}
	c.cleanup.Stop()
	c.memory.remove(c.region)
}
