package testdevice

import (
	"context"
	"errors"
	"sync/atomic"

	"jitc/executors"
	"jitc/executors/reference"
	"jitc/fusion"
	"jitc/ir"
	"jitc/ir/tensor"
)

// Executor is an accelerator that computes by reference on a device.
type Executor struct {
	Queued *Device
	// Takes says which ops it claims; nil: all that the reference does.
	Takes func(v *ir.Value) bool
	// Refuses says which regions it turns out not to support; may be nil.
	Refuses func(region *ir.Func) bool
	hidden  atomic.Bool
}

var _ executors.Accelerator = (*Executor)(nil)

// Name is that of the device, without its number.
func (*Executor) Name() string { return "testdevice" }

// Device is the device's name.
func (e *Executor) Device() executors.Device { return e.Queued.Device() }

// Hide makes the executor unavailable or available.
func (e *Executor) Hide(hidden bool) { e.hidden.Store(hidden) }

// Available is nil unless it is hidden.
func (e *Executor) Available() error {
	if e.hidden.Load() {
		return errors.New("it is for some tests only")
	}
	return nil
}

// Queue is the device.
func (e *Executor) Queue() (executors.Queue, error) { return e.Queued, nil }

// Claim takes what the reference takes, and Takes says.
func (e *Executor) Claim(v *ir.Value) fusion.Claim {
	if e.Takes != nil && !e.Takes(v) {
		return fusion.Claim{Level: fusion.Refused, Why: "the test says so"}
	}
	return reference.Executor{}.Claim(v)
}

// Compile makes a kernel of the reference's.
func (e *Executor) Compile(ctx context.Context, region *ir.Func, o executors.Options) (executors.Kernel, error) {
	if e.Refuses != nil && e.Refuses(region) {
		return nil, &executors.UnsupportedError{Executor: e.Name(), Reason: "the test says so"}
	}
	k, err := reference.Executor{}.Compile(ctx, region, o)
	if err != nil {
		return nil, err
	}
	return named{e.Queued.Kernel(Counted(k, len(region.Results)))}, nil
}

// named says whose kernel it is.
type named struct{ executors.Kernel }

// Info names the executor.
func (n named) Info() executors.Info {
	info := n.Kernel.Info()
	info.Executor = "testdevice"
	return info
}

// Counted makes a host's kernel tell how many of its last buffers it writes.
func Counted(k executors.Kernel, results int) executors.Kernel { return counted{k, results} }

type counted struct {
	executors.Kernel
	results int
}

type countedLaunch struct {
	executors.Launch
	results int
}

// NumResults is how many.
func (l countedLaunch) NumResults() int { return l.results }

func (c counted) Bind(sizes map[string]int64) (executors.Launch, error) {
	l, err := c.Kernel.Bind(sizes)
	return countedLaunch{l, c.results}, err
}

// alignedCopy copies to memory that kernels may read as any element type.
func alignedCopy(b []byte) []byte {
	c, _ := tensor.New(tensor.U8, len(b)).Bytes()
	copy(c, b)
	return c
}
