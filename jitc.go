// Package jitc is a trace-compiling JIT for tensor programs.
//
// A program arrives as a trace (a text file, or an ir.Func built in Go), is
// canonicalised, partitioned into regions by dataflow fusion, each region is
// compiled to one kernel by an executor plug-in, and the kernels are linked into
// a program with one memory plan. Compile, in compile.go, is the whole walk.
//
//	engine, err := jitc.NewEngine(jitc.Options{})
//	file, err := trace.Read("mlp.trace")
//	fn := engine.Function(file.Func)
//	results, err := fn.Call(ctx, args...)
//
// A Go function is traced when it is called, and again where its guards do not
// admit a call:
//
//	layer := jitc.Func2(engine, func(w, x *jitc.Tensor) *jitc.Tensor { return x.MatMul(w).Relu() })
//	y, err := layer.Call(ctx, w, x)
//
// Everything exported is safe for concurrent use unless it says otherwise.
package jitc

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"sync"
	"weak"

	"jitc/executors"
	"jitc/executors/native/pool"
	rt "jitc/runtime"

	// The executors that every build has.
	_ "jitc/executors/native"
	_ "jitc/executors/reference"
)

// Options configure an Engine. The zero value is the default.
type Options struct {
	// Executors is the ordered list of executors, by name, or by name and device
	// ("cuda:1"); empty: every available one, best first. The reference executor is always last.
	Executors []string
	// Threads is the number of workers that run kernels; 0: one per processor.
	Threads int
	// FastMath allows rewrites that treat floats as real numbers: x*0 is 0, sums
	// of constants are reassociated, x/c is x*(1/c); a GPU rounds the operands of f32
	// products to tf32.
	FastMath bool
	// NoFuse makes every op a region of its own.
	NoFuse bool
	// Verify checks the IR after every pass.
	Verify bool
	// Dumps keeps what Kernel.Dump returns.
	Dumps bool
	// Kernels bounds the kernels kept; 0: runtime.DefaultKernels.
	Kernels int
	// Limits are those of functions that set none of their own.
	Limits Limits
	// Recompiles bounds the compilations of all functions together; 0: no bound.
	Recompiles int
	// Log gets recompiles with their reasons, and warnings; nil: nobody does.
	Log *slog.Logger
}

// Engine owns what compiled functions share: the executors, the kernel cache
// and the workers. NewEngine makes it; the zero Engine has nothing to run on.
type Engine struct {
	opts    Options
	execs   []executors.Executor
	kernels *rt.KernelCache
	pool    *pool.Pool
	budget  *rt.Budget

	mu     sync.Mutex
	caches []weak.Pointer[rt.Cache] // of the functions
}

// NewEngine returns an engine. Its error names an executor that is unknown or
// cannot run on this machine, or a negative number.
func NewEngine(o Options) (*Engine, error) {
	execs, err := executors.Select(o.Executors...)
	if err != nil {
		return nil, err
	}
	if o.Threads < 0 {
		return nil, fmt.Errorf("threads: expected 0 or more, got %d", o.Threads)
	}
	if o.Threads == 0 {
		o.Threads = runtime.GOMAXPROCS(0)
	}
	if o.Kernels < 0 {
		return nil, fmt.Errorf("kernels: expected 0 or more, got %d", o.Kernels)
	}
	if o.Kernels == 0 {
		o.Kernels = rt.DefaultKernels
	}
	return &Engine{opts: o, execs: execs, kernels: rt.NewKernelCache(o.Kernels), pool: pool.New(o.Threads),
		budget: rt.NewBudget(o.Recompiles)}, nil
}

// usable is the engine, or for one that NewEngine did not make an engine without
// executors, and an error.
func (e *Engine) usable() (*Engine, error) {
	if e != nil && e.kernels != nil {
		return e, nil
	}
	none := &Engine{kernels: rt.NewKernelCache(1), pool: pool.New(1), budget: rt.NewBudget(0)}
	return none, errors.New("expected an engine that NewEngine made, got a nil or zero one")
}

// limits are those of a function with these options.
func (e *Engine) limits(o *funcOptions) rt.Limits {
	if o.limits == (rt.Limits{}) {
		return e.opts.Limits
	}
	return o.limits
}

// newCache makes the cache of a function.
func (e *Engine) newCache(name string, o funcOptions) *rt.Cache {
	c := rt.NewCache(rt.Config{Name: name, Limits: e.limits(&o), Marks: o.marks, Separate: o.separate,
		Workers: e.pool.Workers(), Budget: e.budget, Log: e.opts.Log})
	if o.stance != (Stance{}) {
		c.SetStance(o.stance)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.caches = slices.DeleteFunc(e.caches, func(w weak.Pointer[rt.Cache]) bool { return w.Value() == nil })
	e.caches = append(e.caches, weak.Make(c))
	return c
}

// Stats are the statistics of an engine.
type Stats = rt.Stats

// Stats returns what the engine's functions did so far.
func (e *Engine) Stats() Stats {
	e.mu.Lock()
	caches := slices.Clone(e.caches)
	e.mu.Unlock()
	s := Stats{Kernels: e.kernels.Stats(), Arenas: rt.Arenas(), Devices: rt.DeviceArenas()}
	for _, w := range caches {
		if c := w.Value(); c != nil {
			s.Functions = append(s.Functions, c.Stats())
		}
	}
	return s
}

// Executors lists the engine's executors, first choice first.
func (e *Engine) Executors() []executors.Executor { return slices.Clone(e.execs) }

// Workers are the engine's workers.
func (e *Engine) Workers() executors.Workers { return e.pool }

// KernelStats counts what the kernel cache did.
func (e *Engine) KernelStats() rt.KernelStats { return e.kernels.Stats() }

// Close stops the workers. Functions of the engine still run, on their caller's
// goroutine alone.
func (e *Engine) Close() { e.pool.Close() }
