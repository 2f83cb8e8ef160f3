// Package cublas is the executor of matrix products by NVIDIA's cuBLASLt, where the
// machine has it. Importing it registers it, ahead of the executor cuda, whose device
// and queue it shares: its launches stand in batches among those of cuda.
//
//	%2: bf16[4096,4096] = linear(%x, %w, %b)
//	%3: bf16[4096,4096] = gelu(%2)
//
// is a launch of the library's for %2, and one of cuda's for %3. A library's kernel
// cannot take %3 in, so that the product is written and read once more: only products
// are claimed that are large enough for that to be worth it (see kinds). The others
// are cuda's, which fuses them.
//
// Invariants: a launch gives the same bits at every run and wherever its buffers lie;
// sums are in the compute type of the op's definition, and rounded once; operands are
// read where they lie, at any strides that a matrix can have, and copied only from
// buffers at addresses that are no multiple of 16.
package cublas

import (
	"context"
	"errors"
	"os"
	"sync"

	"jitc/executors"
	"jitc/executors/cuda"
	"jitc/executors/cuda/cublaslt"
	"jitc/fusion"
	"jitc/ir"
)

// Name is the executor's name in selections, for device 0.
const Name = "cublas"

func init() { executors.Register(At(0), 0) }

// Options are how an executor uses the library.
type Options struct {
	// Any claims every product that the library computes, however small, for tests and
	// measurements.
	Any bool
}

// Executor uses the library on one device. The library is looked for when anyone asks
// whether it is there, and loaded when a product is claimed. Safe for concurrent use.
type Executor struct {
	device *cuda.Executor
	probe  func() (*library, error) // once

	mu     sync.Mutex
	handle cublaslt.Handle // 0 until it is needed
}

// library is what the executor has found.
type library struct {
	open func() (cublaslt.API, error) // once
	opts Options
}

var (
	_ executors.Accelerator = (*Executor)(nil)
	_ executors.Indexed     = (*Executor)(nil)
)

// devices holds the executors of At.
var devices sync.Map // int -> *Executor

// At returns the executor for a device of this machine, that of cuda.At, the same one
// at each call. It is named "cublas" for device 0, which is registered, and "cublas:N"
// for others, which selections know by that name. Environment:
//
//	JITC_CUBLAS_LIBRARY     the library to use, a file or a name; see cublaslt.Find
//	JITC_CUBLAS_CLAIM=all   Options.Any; large: the default
func At(dev int) *Executor {
	e, _ := devices.LoadOrStore(dev, newExecutor(cuda.At(dev), func(version int) (*library, error) {
		o, err := optionsOfMachine(os.Getenv)
		if err != nil {
			return nil, err
		}
		found, err := cublaslt.Find(version)
		if err != nil {
			return nil, err
		}
		return &library{found.Open, o}, nil
	}))
	return e.(*Executor)
}

// New returns an executor for a device, with a library that computes there.
func New(device *cuda.Executor, api cublaslt.API, o Options) *Executor {
	open := func() (cublaslt.API, error) { return api, nil }
	return newExecutor(device, func(int) (*library, error) { return &library{open, o}, nil })
}

func newExecutor(device *cuda.Executor, find func(version int) (*library, error)) *Executor {
	return &Executor{device: device, probe: sync.OnceValues(func() (*library, error) {
		if err := device.Available(); err != nil {
			return nil, err
		}
		version, err := device.Version()
		if err != nil {
			return nil, err
		}
		return find(version)
	})}
}

// claimVariable is the environment variable that says what is claimed.
const claimVariable = "JITC_CUBLAS_CLAIM"

// optionsOfMachine are the options that the environment asks for. The error is a
// *cuda.EnvironmentError.
func optionsOfMachine(env func(string) string) (Options, error) {
	switch claim := env(claimVariable); claim {
	case "", "large":
		return Options{}, nil
	case "all":
		return Options{Any: true}, nil
	default:
		return Options{}, &cuda.EnvironmentError{Name: claimVariable, Value: claim, Err: errors.New("expected all or large")}
	}
}

// Environment lists the environment variables that the executors of At read: the
// name, the values it may have, and what they do.
func (e *Executor) Environment() [][3]string {
	return [][3]string{
		{cublaslt.LibraryVariable, "a file, or a name", "the cuBLASLt to use; unset: the first of those found in the usual places"},
		{claimVariable, "all or large", "all: cuBLASLt computes every product that it can; large, the default: those where it pays"},
	}
}

// At is the executor for a device of the machine's driver: At, the function.
func (e *Executor) At(dev int) executors.Executor { return At(dev) }

// Name is "cublas", and "cublas:N" of a device other than the first.
func (e *Executor) Name() string {
	if e.device.Name() == cuda.Name {
		return Name
	}
	return Name + string(e.device.Device()[len(cuda.Name):])
}

// Device is that of the executor cuda.
func (e *Executor) Device() executors.Device { return e.device.Device() }

// Available says why there is no such device here, or no library.
func (e *Executor) Available() error {
	_, err := e.probe()
	return err
}

// load returns the library.
func (e *Executor) load() (cublaslt.API, error) {
	l, err := e.probe()
	if err != nil {
		return nil, err
	}
	return l.open()
}

// Features names the library: "cuBLASLt 12.8.5".
func (e *Executor) Features() string {
	api, err := e.load()
	if err != nil {
		return ""
	}
	return nameOf(api)
}

func nameOf(api cublaslt.API) string { return "cuBLASLt " + cublaslt.VersionText(api.Version()) }

// Queue is that of the executor cuda.
func (e *Executor) Queue() (executors.Queue, error) { return e.device.Queue() }

// Claim takes products that the library computes and that are large, each with the
// views through which it reads and under which it stores, and nothing else.
func (e *Executor) Claim(v *ir.Value) fusion.Claim {
	l, err := e.probe()
	if err != nil {
		return fusion.Claim{Level: fusion.Refused, Why: "there is no library"}
	}
	c := claim(v, l.opts)
	if c.Level == fusion.Refused {
		return c
	}
	if _, err := l.open(); err != nil {
		return fusion.Claim{Level: fusion.Refused, Why: err.Error()}
	}
	return c
}

// Compile prepares what does not depend on sizes. It does not touch the device.
func (e *Executor) Compile(ctx context.Context, region *ir.Func, o executors.Options) (executors.Kernel, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	api, err := e.load()
	if err != nil {
		return nil, err
	}
	v := productIn(region)
	if v == nil {
		return nil, &executors.UnsupportedError{Executor: e.Name(), Reason: "it is not one product"}
	}
	p, err := productOf(v)
	if err != nil {
		return nil, &executors.UnsupportedError{Executor: e.Name(), Reason: err.Error()}
	}
	k, err := newKernel(e, api, p, region, o)
	if err != nil {
		return nil, err
	}
	return k, nil
}

// open returns the library's state for the device, which ends when cuda.Executor.Close
// ends the device's queue.
func (e *Executor) open(api cublaslt.API) (cublaslt.Handle, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.handle != 0 {
		return e.handle, nil
	}
	var h cublaslt.Handle
	err := e.device.Within(func() (err error) {
		h, err = api.NewHandle()
		return err
	})
	if err != nil {
		return 0, err
	}
	e.handle = h
	return h, e.device.Keep(closing(func() error { return api.CloseHandle(h) }))
}

// closing is an io.Closer.
type closing func() error

// Close calls it.
func (f closing) Close() error { return f() }

// isDeviceError reports whether an error is of the device, on which another executor
// would fail as well, and not of the library.
func isDeviceError(err error) bool {
	var lib *cublaslt.Error
	return !errors.As(err, &lib) || errors.As(err, new(*cuda.LostError))
}
