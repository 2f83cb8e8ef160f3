package fake

import (
	"unsafe"

	"jitc/executors/cuda/driver"
)

// allocation is a block of device memory.
type allocation struct {
	bytes  int
	queued bool // of AllocAsync
	mapped bool // exists by now, as far as the work of its stream is executed
}

func (d *Driver) MemoryInfo() (free, total int, err error) {
	err = d.inside("MemoryInfo", func(c *context) error {
		free, total = d.cfg.Memory-c.used, d.cfg.Memory
		return nil
	})
	return free, total, err
}

// take finds an address for an allocation and counts its bytes.
func (c *context) take(bytes int, queued bool) (driver.Ptr, *allocation, error) {
	if bytes <= 0 {
		return 0, nil, refuse(driver.InvalidValue, "%d bytes", bytes)
	}
	if free := c.d.cfg.Memory - c.used; bytes > free {
		return 0, nil, refuse(driver.OutOfMemory, "%d bytes asked for, %d of %d are free", bytes, free, c.d.cfg.Memory)
	}
	p := c.d.space.take(bytes)
	if p == 0 {
		return 0, nil, refuse(driver.OutOfMemory, "no address for %d bytes", bytes)
	}
	a := &allocation{bytes: bytes, queued: queued}
	c.allocations[p] = a
	c.used += bytes
	return p, a, nil
}

// give takes p off the list; what it holds is there until it is unmapped.
func (c *context) give(p driver.Ptr) (*allocation, error) {
	a := c.allocations[p]
	if a == nil {
		return nil, refuse(driver.InvalidValue, "%#x is no allocation, or one that has been freed", uintptr(p))
	}
	delete(c.allocations, p)
	c.used -= a.bytes
	return a, nil
}

// unmap ends the contents of p.
func (c *context) unmap(p driver.Ptr) error {
	c.d.space.give(p)
	return c.mem.Unmap(uint64(p))
}

func (d *Driver) Alloc(bytes int) (p driver.Ptr, err error) {
	err = d.inside("Alloc", func(c *context) error {
		var a *allocation
		if p, a, err = c.take(bytes, false); err != nil {
			return err
		}
		a.mapped = true
		c.mustMap(p, bytes)
		return nil
	})
	return p, err
}

// mustMap makes memory at an address that the address space has given out.
func (c *context) mustMap(p driver.Ptr, bytes int) {
	if err := c.mem.Map(uint64(p), bytes); err != nil {
		panic("BUG: fake: " + err.Error())
	}
}

// Free waits for the device, as the driver's does, but for what came from
// AllocAsync: for that it does not.
func (d *Driver) Free(p driver.Ptr) error {
	return d.inside("Free", func(c *context) error {
		if p == 0 {
			return nil
		}
		if a := c.allocations[p]; a != nil && !a.queued {
			if err := c.wait(); err != nil {
				return err
			}
		} else if a != nil && !a.mapped {
			return refuse(driver.InvalidValue, "the allocation of %#x is still queued", uintptr(p))
		}
		if _, err := c.give(p); err != nil {
			return err
		}
		if err := c.unmap(p); err != nil {
			panic("BUG: fake: " + err.Error())
		}
		return nil
	})
}

func (d *Driver) AllocAsync(bytes int, s driver.Stream) (p driver.Ptr, err error) {
	err = d.inside("AllocAsync", func(c *context) error {
		on, err := c.notCapturing(s)
		if err != nil {
			return err
		}
		var a *allocation
		if p, a, err = c.take(bytes, true); err != nil {
			return err
		}
		return on.submit("AllocAsync", nil, func() error {
			a.mapped = true
			c.mustMap(p, bytes)
			return nil
		})
	})
	return p, err
}

func (d *Driver) FreeAsync(p driver.Ptr, s driver.Stream) error {
	return d.inside("FreeAsync", func(c *context) error {
		on, err := c.notCapturing(s)
		if err != nil {
			return err
		}
		a, err := c.give(p)
		if err != nil {
			return err
		}
		return on.submit("FreeAsync", nil, func() error {
			if !a.mapped {
				return refuse(driver.IllegalAddress, "%#x is freed on one stream ahead of its allocation on another", uintptr(p))
			}
			return c.unmap(p)
		})
	})
}

func (d *Driver) AllocHost(bytes int) (mem []byte, err error) {
	err = d.inside("AllocHost", func(c *context) error {
		if bytes < 0 {
			return refuse(driver.InvalidValue, "%d bytes", bytes)
		}
		if bytes == 0 {
			return nil
		}
		const page = 4096 // where the driver's lie
		all := make([]byte, bytes+page)
		at := -addressOf(all) % page
		mem = all[at : at+uintptr(bytes) : at+uintptr(bytes)]
		c.pinned[addressOf(mem)] = mem
		return nil
	})
	return mem, err
}

// FreeHost makes what the memory held unreadable, for whoever still reads it.
func (d *Driver) FreeHost(mem []byte) error {
	return d.inside("FreeHost", func(c *context) error {
		if len(mem) == 0 {
			return nil
		}
		all := c.pinned[addressOf(mem)]
		if all == nil {
			return refuse(driver.InvalidValue, "%p is no pinned memory, or some that has been freed", unsafe.SliceData(mem))
		}
		for i := range all {
			all[i] = 0xDB
		}
		delete(c.pinned, addressOf(mem))
		return nil
	})
}

// checkPinned requires that mem lies in pinned memory.
func (c *context) checkPinned(mem []byte) error {
	at := addressOf(mem)
	for from, all := range c.pinned {
		if at >= from && at+uintptr(len(mem)) <= from+uintptr(len(all)) {
			return nil
		}
	}
	return refuse(driver.InvalidValue, "%d bytes of the host at %#x are not pinned (AllocHost), or no longer", len(mem), at)
}

// checkDevice requires that bytes at p lie in one allocation.
func (c *context) checkDevice(p driver.Ptr, bytes int) error {
	for from, a := range c.allocations {
		if p >= from && p-from <= driver.Ptr(a.bytes) && bytes <= a.bytes-int(p-from) {
			return nil
		}
	}
	return refuse(driver.InvalidValue, "%d bytes at %#x do not lie in an allocation", bytes, uintptr(p))
}
