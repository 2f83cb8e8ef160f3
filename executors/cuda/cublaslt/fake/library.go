package fake

import (
	"fmt"
	"runtime"
	"slices"
	"sync"

	"jitc/executors/cuda/cublaslt"
	"jitc/executors/cuda/driver"
	driverfake "jitc/executors/cuda/driver/fake"
)

// Config is what the library is like. Zero fields have the defaults that are named.
type Config struct {
	Version   int // 120805
	Workspace int // bytes that its algorithms need; 0: none
	// Nodes is into how many pieces the work of a product at given addresses is
	// divided; nil: one, or two with a workspace.
	Nodes func(o cublaslt.Operands) int
	// Uncapturable lets captures of its work fail.
	Uncapturable bool
}

// Library is a cublaslt.API on the host.
type Library struct {
	d   *driverfake.Driver
	cfg Config

	mu       sync.Mutex
	handles  map[cublaslt.Handle]bool
	products map[*cublaslt.Product]bool
	given    cublaslt.Handle // the last handle given out
	last     cublaslt.Problem
	counts   map[string]int
	failures map[string][]*injected
}

var _ cublaslt.API = (*Library)(nil)

// injected is a failure that a test asked for.
type injected struct{ after, code int }

// New makes a library that computes on the memory of d.
func New(d *driverfake.Driver, c Config) *Library {
	if c.Version == 0 {
		c.Version = 120805
	}
	return &Library{d: d, cfg: c, handles: map[cublaslt.Handle]bool{}, products: map[*cublaslt.Product]bool{}, given: 0xB1A50000,
		counts: map[string]int{}, failures: map[string][]*injected{}}
}

// calls are the methods of cublaslt.API that may fail, and the library's functions.
var calls = map[string]string{
	"NewHandle":   "cublasLtCreate",
	"CloseHandle": "cublasLtDestroy",
	"Prepare":     "cublasLtMatmulAlgoGetHeuristic",
	"Multiply":    "cublasLtMatmul",
}

// FailNext lets the n-th call from now on of a method fail with a status; 1 is the next.
func (l *Library) FailNext(call string, n, code int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, ok := calls[call]; !ok || n < 1 {
		panic(fmt.Sprintf("fake: FailNext(%q, %d): no such call", call, n))
	}
	l.failures[call] = append(l.failures[call], &injected{n - 1, code})
}

// Count is how often a method has been called.
func (l *Library) Count(call string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.counts[call]
}

// Live counts what has been made and is not given back.
func (l *Library) Live() (handles, products int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.handles), len(l.products)
}

// Last is the problem that was prepared last.
func (l *Library) Last() cublaslt.Problem {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last
}

// refused is a call that the library refuses.
func refused(call string, code int, format string, args ...any) error {
	return cublaslt.NewError(calls[call], code, fmt.Sprintf(format, args...))
}

// begin counts a call and fails it if it is to fail. l is locked.
func (l *Library) begin(call string) error {
	l.counts[call]++
	waiting := l.failures[call]
	var now error
	l.failures[call] = slices.DeleteFunc(waiting, func(f *injected) bool {
		f.after--
		if f.after < 0 {
			now = refused(call, f.code, "injected")
		}
		return f.after < 0
	})
	return now
}

// inContext checks that a context is current, as the library's use of the device does.
func (l *Library) inContext(call string) error {
	if _, _, err := l.d.MemoryInfo(); err != nil {
		return refused(call, cublaslt.NotInitialized, "%v", err)
	}
	return nil
}

func (l *Library) Version() int { return l.cfg.Version }

func (l *Library) NewHandle() (cublaslt.Handle, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.begin("NewHandle"); err != nil {
		return 0, err
	}
	if err := l.inContext("NewHandle"); err != nil {
		return 0, err
	}
	l.given += 16
	l.handles[l.given] = true
	return l.given, nil
}

func (l *Library) CloseHandle(h cublaslt.Handle) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.begin("CloseHandle"); err != nil {
		return err
	}
	if err := l.usable("CloseHandle", h); err != nil {
		return err
	}
	delete(l.handles, h)
	return nil
}

// usable checks a handle, and that a context is current.
func (l *Library) usable(call string, h cublaslt.Handle) error {
	if !l.handles[h] {
		return refused(call, cublaslt.NotInitialized, "%#x is no handle, or one that has been closed", uintptr(h))
	}
	return l.inContext(call)
}

func (l *Library) Discard(x *cublaslt.Product) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.products[x] {
		panic("BUG: fake: discards a product that is not live")
	}
	delete(l.products, x)
}

func (l *Library) Multiply(h cublaslt.Handle, x *cublaslt.Product, a *cublaslt.Algorithm, o cublaslt.Operands, s driver.Stream) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.begin("Multiply"); err != nil {
		return err
	}
	if err := l.usable("Multiply", h); err != nil {
		return err
	}
	if !l.products[x] {
		return refused("Multiply", cublaslt.InvalidValue, "the product has been discarded")
	}
	if err := checkRun(&x.Problem, a, o); err != nil {
		return err
	}
	if l.cfg.Uncapturable {
		l.d.SpoilCapture(s)
	}
	for _, piece := range l.pieces(x, a, o) {
		if err := l.d.Enqueue(calls["Multiply"], s, piece); err != nil {
			return refused("Multiply", cublaslt.ExecutionFailed, "%v", err)
		}
	}
	runtime.KeepAlive(x)
	return nil
}
