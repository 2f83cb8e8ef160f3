package fake

import (
	"errors"

	"jitc/executors/cuda/driver"
)

// Memory is the memory of a device, for work that is done by Go. It is valid while
// that runs.
type Memory struct{ c *context }

// Read copies len(dst) bytes from an address, which must lie in one allocation.
func (m Memory) Read(dst []byte, from driver.Ptr) error { return m.c.mem.Read(uint64(from), dst) }

// Write copies src to an address.
func (m Memory) Write(to driver.Ptr, src []byte) error { return m.c.mem.Write(uint64(to), src) }

// Enqueue queues work of a library's that is written in Go: run is called when the
// stream gets there, with the driver locked, so that it must call nothing of it. On a
// stream that is captured it becomes a node of the graph, and runs with each launch of
// that. An error of run ends the context, as a fault of a kernel does.
//
// call is the library's function, for messages. It must be called with the context
// current, as the driver's functions must. The error is a *driver.Error.
func (d *Driver) Enqueue(call string, h driver.Stream, run func(Memory) error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	err := d.enqueue(h, run)
	var r *refusal
	if errors.As(err, &r) {
		return driver.NewError(call, r.code, r.detail)
	}
	return err
}

func (d *Driver) enqueue(h driver.Stream, run func(Memory) error) error {
	c, err := d.currentContext()
	if err != nil {
		return err
	}
	if err := c.alive(); err != nil {
		return err
	}
	s, err := c.stream(h)
	if err != nil {
		return err
	}
	return s.submit("Launch", nil, func() error { return run(Memory{c}) })
}

// SpoilCapture makes the capture of a stream end with an error, as a library does that
// makes a call which cannot be captured. It reports whether the stream is captured.
func (d *Driver) SpoilCapture(h driver.Stream) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	s, ok := d.objects[uintptr(h)].(*stream)
	if !ok || s.capture == nil {
		return false
	}
	s.capture.invalid = true
	return true
}
