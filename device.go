package jitc

import (
	"errors"
	"fmt"
	"slices"

	"jitc/executors"
	rt "jitc/runtime"
)

// Devices lists where the engine's executors keep tensors, "cpu" first.
func (e *Engine) Devices() []string {
	devices := []string{string(executors.CPU)}
	if e == nil {
		return devices
	}
	for _, x := range e.execs {
		if _, ok := x.(executors.Accelerator); ok && !slices.Contains(devices, string(x.Device())) {
			devices = append(devices, string(x.Device()))
		}
	}
	return devices
}

// ToDevice is t on a device of the engine's, "cuda:0" or "cpu": t itself if it is
// there, else a copy. Calls take tensors from anywhere, and bring them to where
// they are used each time, frozen ones once; what a device computes stays there if
// an argument of the call, frozen ones included, lies there. An unknown device, one that cannot be used,
// and one without enough memory are errors, and so is a tensor that is traced or
// has an Err.
func (e *Engine) ToDevice(t *Tensor, device string) (*Tensor, error) {
	if _, err := e.usable(); err != nil {
		return nil, fmt.Errorf("to device %q: %w", device, err)
	}
	held := t.Storage()
	if held == nil {
		return nil, fmt.Errorf("to device %q: %w", device, notHeld(t))
	}
	q, err := e.queue(device)
	if err != nil {
		return nil, fmt.Errorf("to device %q: %w", device, err)
	}
	there, err := rt.ToQueue(held, q)
	if err != nil {
		return nil, fmt.Errorf("to device %q: %w", device, err)
	}
	if there == held {
		return t, nil
	}
	return FromHost(there), nil
}

// Sync waits until a device of the engine's has done all that calls gave it: a call
// whose results stay there may return before. Its error is that of work that failed
// meanwhile. For "cpu" there is nothing to wait for.
func (e *Engine) Sync(device string) error {
	_, err := e.usable()
	if err == nil {
		var q executors.Queue
		if q, err = e.queue(device); err == nil && q != nil {
			err = q.Sync()
		}
	}
	if err != nil {
		return fmt.Errorf("sync %q: %w", device, err)
	}
	return nil
}

// notHeld says why a tensor has no memory.
func notHeld(t *Tensor) error {
	if err := t.Err(); err != nil {
		return err
	}
	if t.Traced() {
		return errors.New("expected a concrete tensor, got a traced one")
	}
	return errors.New("expected a concrete tensor, got new(Tensor)")
}

// queue is that of a device; nil for the host.
func (e *Engine) queue(device string) (executors.Queue, error) {
	if device == string(executors.CPU) {
		return nil, nil
	}
	for _, x := range e.execs {
		if a, ok := x.(executors.Accelerator); ok && string(x.Device()) == device {
			return a.Queue()
		}
	}
	return nil, fmt.Errorf("no executor of the engine has it: expected one of %q", e.Devices())
}
