// Package cuda is the executor for NVIDIA's GPUs (compute capability 8.0 and up):
// regions are lowered to loop nests, and those to PTX, which the driver or an
// assembler of the machine makes machine code of. Nothing of CUDA is needed to
// build it: the driver is found when it runs. Importing it registers it.
//
//	region -> codegen.Lower -> codegen.Legalize -> ptx.Compile
//	sizes  -> codegen.Bind  -> ptx.Module.Bind  -> assemble -> load
//	       -> Launch -> Batch (a CUDA graph)
//
// The region
//
//	func @gelu(%0: f32[N,512], %1: f32[512]) -> f32[N,512] { ... }
//
// is one PTX module with one entry; bound at N = 64 it is one launch of 64*512
// points, whose parameter block is complete but for the three addresses.
//
// Invariants: everything that a device does is queued on one stream, in the order
// of the calls, but for the copies of downloads, each of which waits for what was
// queued before it and is waited for; a launch is queued only for sizes for which codegen.Bind has proven
// that every live address lies in its buffer, and only on buffers of those sizes;
// a fault that the device does not survive fails all later calls and nothing else.
package cuda

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"jitc/codegen"
	"jitc/codegen/ptx"
	"jitc/executors"
	"jitc/executors/cuda/driver"
	"jitc/executors/diskcache"
	"jitc/fusion"
	"jitc/ir"
)

// Name is the executor's name in selections: device 0 of the driver, which
// CUDA_VISIBLE_DEVICES chooses.
const Name = "cuda"

func init() { executors.Register(At(0), 10) }

// Options are what an executor may use and how. The zero Options load PTX through
// the driver, keep nothing, and record batches.
type Options struct {
	// Assembler makes machine code ahead of loading; nil: the driver does it when a
	// module is loaded.
	Assembler driver.Assembler
	// Cache keeps machine code between processes; nil: none.
	Cache *diskcache.Cache
	// NoGraphs says why batches are not recorded as CUDA graphs; empty: they are.
	NoGraphs string
	// Blocking waits for each launch, so that a fault is told of the launch at fault.
	Blocking bool
	// NoReuse allocates every block from the driver, of exactly the size asked for, so
	// that a tool that checks accesses knows the bounds of each.
	NoReuse bool
	// Wgmma uses the warp-group products of compute capability 9.0. They are
	// interpreted in tests, but have not been run on a device yet: so they are asked
	// for.
	Wgmma bool
	// PieceBytes is the size of the pinned buffers that copies between host and
	// device pass through; 0: 2 MiB.
	PieceBytes int
}

// Executor is the executor for one device. Safe for concurrent use.
type Executor struct {
	dev     int
	options func() Options
	probe   func() (*machine, error) // once

	mu     sync.Mutex
	queue  *queue // nil until it is asked for
	closed bool
}

var (
	_ executors.Accelerator = (*Executor)(nil)
	_ executors.Indexed     = (*Executor)(nil)
)

// devices holds the executors of At.
var devices sync.Map // int -> *Executor

// At returns the executor for a device of the machine's driver, the same one at
// each call. It is named "cuda" for device 0, which is registered, and "cuda:N" for
// others, which selections know by that name. The environment
// chooses its Options, when they are first needed (see Executor.Environment):
//
//	JITC_CUDA_GRAPHS=off    Options.NoGraphs
//	JITC_CUDA_BLOCKING=on   Options.Blocking
//	JITC_CUDA_REUSE=off     Options.NoReuse
//	JITC_CUDA_WGMMA=on      Options.Wgmma
//	JITC_CUDA_ASSEMBLER     ptxas: that program; driver: the driver, when it loads
//
// A variable of another value makes the executor unavailable.
func At(dev int) *Executor {
	if e, ok := devices.Load(dev); ok {
		return e.(*Executor)
	}
	env := sync.OnceValues(readEnvironment)
	open := func() (driver.API, error) {
		if _, err := env(); err != nil {
			return nil, err
		}
		return driver.Open()
	}
	e, _ := devices.LoadOrStore(dev, newExecutor(open, dev, func() Options {
		e, err := env()
		if err != nil { // then nothing is ever compiled
			return Options{}
		}
		return e.options()
	}))
	return e.(*Executor)
}

// At is the executor for a device of the machine's driver: At, the function.
func (e *Executor) At(dev int) executors.Executor { return At(dev) }

// New returns an executor for a device of the driver given.
func New(api driver.API, dev int, o Options) *Executor {
	return newExecutor(func() (driver.API, error) { return api, nil }, dev, func() Options { return o })
}

func newExecutor(open func() (driver.API, error), dev int, options func() Options) *Executor {
	return &Executor{dev: dev, options: sync.OnceValue(options),
		probe: sync.OnceValues(func() (*machine, error) { return newMachine(open, dev) })}
}

// Name is "cuda", and "cuda:N" of a device other than the first.
func (e *Executor) Name() string {
	if e.dev == 0 {
		return Name
	}
	return string(e.Device())
}

// Device is "cuda:N".
func (e *Executor) Device() executors.Device {
	return executors.Device(fmt.Sprintf("cuda:%d", e.dev))
}

// Available says why there is no such device here, or why it cannot be used. It
// asks the driver once.
func (e *Executor) Available() error {
	_, err := e.probe()
	return err
}

// Features describes the device.
func (e *Executor) Features() string {
	m, err := e.probe()
	if err != nil {
		return ""
	}
	return m.String()
}

// Claim takes every primitive, updates of what is large alone, attention, and
// cumulative reductions; other composites come back as their parts.
func (e *Executor) Claim(v *ir.Value) fusion.Claim {
	if v.Op == ir.OpAttention {
		return e.claimAttention(v)
	}
	if v.Op == ir.OpCumulative {
		return e.claimCumulative(v)
	}
	return e.claimUpdate(v)
}

// Compile lowers the region and emits its PTX. What every size needs of that it has
// assembled, where there is an assembler; Kernel.Bind has the rest when sizes choose
// it. It does not touch the device.
func (e *Executor) Compile(ctx context.Context, region *ir.Func, o executors.Options) (executors.Kernel, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m, err := e.probe()
	if err != nil {
		return nil, err
	}
	k, err := newAttention(e, m, region, o)
	if k == nil && err == nil {
		k, err = newUpdate(e, m, region, o)
	}
	if k == nil && err == nil {
		k, err = newCumulative(e, m, region, o)
	}
	if k == nil && err == nil {
		k, err = newKernel(e, m, region, o)
	}
	if err != nil {
		return nil, unsupported(e.Name(), err)
	}
	return k, nil
}

// unsupported makes refusals of the stages the executor's.
func unsupported(executor string, err error) error {
	var region *codegen.Unsupported
	if errors.As(err, &region) {
		return &executors.UnsupportedError{Executor: executor, Reason: region.Reason}
	}
	var code *ptx.Unsupported
	if errors.As(err, &code) {
		return &executors.UnsupportedError{Executor: executor, Reason: code.Reason}
	}
	return err
}

// Queue is the device's queue; the first call takes hold of the device.
func (e *Executor) Queue() (executors.Queue, error) {
	q, err := e.open()
	if err != nil {
		return nil, err
	}
	return q, nil
}

// open returns the queue if it can be used.
func (e *Executor) open() (*queue, error) {
	m, err := e.probe()
	if err != nil {
		return nil, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil, fmt.Errorf("%s is closed", e.Device())
	}
	if e.queue == nil {
		if e.queue, err = newQueue(m, e.options()); err != nil {
			return nil, fmt.Errorf("%s cannot be used: %w", e.Device(), err)
		}
	}
	return e.queue, e.queue.lostError()
}

// Close waits for the device and gives back what the executor holds of it. Later
// calls fail; memory and batches that were not given up must not be used.
func (e *Executor) Close() error {
	e.mu.Lock()
	q := e.queue
	if e.closed {
		q = nil
	}
	e.closed = true
	e.mu.Unlock() // calls that are waited for may ask for the queue
	if q == nil {
		return nil
	}
	return q.close()
}
