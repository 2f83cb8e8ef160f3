package fake

import (
	"errors"
	"fmt"

	"jitc/codegen/ptx/sim"
	"jitc/executors/cuda/driver"
)

// context is the primary context of a device, from its first retain to its last
// release.
type context struct {
	d           *Driver
	dev         int
	refs        int
	handle      driver.Context
	mem         *sim.Memory
	allocations map[driver.Ptr]*allocation
	used        int // bytes
	pinned      map[uintptr][]byte
	defaults    *stream // stream 0
	streams     []*stream
	lost        *driver.Error // what ended it
}

func (d *Driver) Version() (v int, err error) {
	err = d.outside("Version", func() error { v = d.cfg.Version; return nil })
	return v, err
}

func (d *Driver) DeviceCount() (n int, err error) {
	err = d.outside("DeviceCount", func() error { n = d.cfg.Devices; return nil })
	return n, err
}

func (d *Driver) DeviceName(dev int) (name string, err error) {
	err = d.outside("DeviceName", func() error {
		name = fmt.Sprintf("Fake GPU %d.%d", d.cfg.Major, d.cfg.Minor)
		return d.device(dev)
	})
	return name, err
}

func (d *Driver) DeviceAttribute(dev int, a driver.DeviceAttribute) (v int, err error) {
	err = d.outside("DeviceAttribute", func() error {
		var ok bool
		if v, ok = d.attributes()[a]; !ok {
			return refuse(driver.InvalidValue, "device attribute %d", a)
		}
		return d.device(dev)
	})
	return v, err
}

// attributes are those of every device.
func (d *Driver) attributes() map[driver.DeviceAttribute]int {
	return map[driver.DeviceAttribute]int{
		driver.AttrMajor: d.cfg.Major, driver.AttrMinor: d.cfg.Minor,
		driver.AttrMultiprocessors: d.cfg.Multiprocessors, driver.AttrSharedPerBlock: d.cfg.SharedPerBlock,
		driver.AttrMemoryPools: 1,
	}
}

func (d *Driver) DeviceMemory(dev int) (n int, err error) {
	err = d.outside("DeviceMemory", func() error { n = d.cfg.Memory; return d.device(dev) })
	return n, err
}

func (d *Driver) KeepPool(dev, bytes int) error {
	return d.outside("KeepPool", func() error { return d.device(dev) })
}

func (d *Driver) TrimPool(dev, keep int) error {
	return d.outside("TrimPool", func() error { return d.device(dev) })
}

func (d *Driver) RetainContext(dev int) (h driver.Context, err error) {
	err = d.outside("RetainContext", func() error {
		if err := d.device(dev); err != nil {
			return err
		}
		c := d.contexts[dev]
		if c == nil {
			d.handles += 16
			c = &context{
				d: d, dev: dev, handle: driver.Context(d.handles), mem: sim.NewMemory(),
				allocations: map[driver.Ptr]*allocation{}, pinned: map[uintptr][]byte{},
			}
			c.defaults = &stream{member: member{c}}
			c.streams = []*stream{c.defaults}
			d.contexts[dev] = c
		}
		c.refs++
		h = c.handle
		return nil
	})
	return h, err
}

func (d *Driver) ReleaseContext(dev int) error {
	return d.outside("ReleaseContext", func() error {
		if err := d.device(dev); err != nil {
			return err
		}
		c := d.contexts[dev]
		if c == nil {
			return refuse(driver.InvalidContext, "the context of device %d is not retained", dev)
		}
		if c.refs--; c.refs == 0 {
			c.destroy()
		}
		return nil
	})
}

// destroy ends a context with all that is in it; work that is queued is dropped.
func (c *context) destroy() {
	c.d.contexts[c.dev] = nil
	for p := range c.allocations {
		c.d.space.give(p)
	}
	for h, o := range c.d.objects {
		if o.in() == c {
			delete(c.d.objects, h)
		}
	}
}

func (d *Driver) SetContext(h driver.Context) error {
	return d.outside("SetContext", func() error {
		goroutine, locked := d.caller()
		if !locked {
			return refuse(driver.InvalidContext, "the goroutine is not locked to its thread (runtime.LockOSThread)")
		}
		if h == 0 {
			delete(d.current, thread())
			return nil
		}
		for _, c := range d.contexts {
			if c != nil && c.handle == h {
				d.current[thread()] = current{c, goroutine}
				return nil
			}
		}
		return refuse(driver.InvalidContext, "%#x is no context, or one that has been released", uintptr(h))
	})
}

// alive is nil, or what ended the context.
func (c *context) alive() error {
	if c.lost == nil {
		return nil
	}
	return refuse(c.lost.Code, "%s (the context is lost since %s)", c.lost.Detail, c.lost.Call)
}

// lose ends the context: all calls fail from now on, and what is queued is dropped.
func (c *context) lose(e *driver.Error) {
	if c.lost != nil {
		return
	}
	c.lost = e
	for _, s := range c.streams {
		s.drop()
	}
}

// faultCodes are the driver's codes for what the interpreter finds. Everything else
// it finds is wrong on a device too, but goes unnoticed there.
var faultCodes = map[sim.Kind]int{
	sim.OutOfBounds: driver.IllegalAddress,
	sim.Misaligned:  driver.MisalignedAddress,
	sim.EndlessLoop: driver.LaunchTimeout,
}

// failed ends the context because of an error of queued work.
func (c *context) failed(call string, err error) {
	code := driver.IllegalAddress
	var fault *sim.Fault
	var r *refusal
	switch {
	case errors.As(err, &fault):
		var ok bool
		if code, ok = faultCodes[fault.Kind]; !ok {
			code = driver.LaunchFailed
		}
	case errors.As(err, &r):
		code = r.code
	}
	c.lose(driver.NewError(driverCalls[call], code, err.Error()))
}
