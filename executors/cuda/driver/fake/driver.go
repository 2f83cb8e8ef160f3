package fake

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"

	"jitc/executors/cuda/driver"
)

// Config is what the machine is like. Zero fields have the defaults that are named.
type Config struct {
	Devices         int   // 1; none where negative
	Major, Minor    int   // compute capability: 8.0
	Multiprocessors int   // 4
	SharedPerBlock  int   // bytes a block may opt in to: 163 KiB
	Memory          int   // bytes per device: 1 GiB
	Version         int   // CUDA version of the driver: 12040
	Eager           bool  // execute at once, and do not look at threads closely: for speed
	Seed            int64 // of the order of graph nodes
	Perturb         int64 // sim.Options.Perturb
	Races           bool  // sim.Options.GlobalRaces
}

func (c *Config) setDefaults() {
	for _, field := range []struct {
		at    *int
		value int
	}{
		{&c.Devices, 1},
		{&c.Multiprocessors, 4},
		{&c.SharedPerBlock, 163 << 10},
		{&c.Memory, 1 << 30},
		{&c.Version, 12040},
	} {
		if *field.at == 0 {
			*field.at = field.value
		}
	}
	if c.Major == 0 {
		c.Major, c.Minor = 8, 0
	}
	c.Devices = max(c.Devices, 0)
}

// Driver is a driver.API on the host.
type Driver struct {
	cfg   Config
	space *addressSpace

	mu       sync.Mutex
	contexts []*context // by device; nil where none is retained
	current  map[int]current
	objects  map[uintptr]object
	handles  uintptr // the last one given out
	rng      *rand.Rand
	counts   map[string]int
	failures map[string][]*injected
}

var _ driver.API = (*Driver)(nil)

// current is the context of a thread, and the goroutine that made it current.
type current struct {
	context   *context
	goroutine string
}

// injected is a failure that a test asked for.
type injected struct {
	after int // calls that go well before it
	code  int
}

// New makes a driver. Its address space goes to later drivers when it is collected.
func New(c Config) *Driver {
	c.setDefaults()
	d := &Driver{
		cfg:      c,
		contexts: make([]*context, c.Devices),
		current:  map[int]current{},
		objects:  map[uintptr]object{},
		handles:  0xFA4E0000,
		rng:      rand.New(rand.NewPCG(uint64(c.Seed), 0)),
		counts:   map[string]int{},
		failures: map[string][]*injected{},
	}
	mem := takeReserved()
	d.space = newAddressSpace(mem)
	runtime.AddCleanup(d, giveReserved, mem)
	return d
}

// refusal is a call that fails: what becomes a *driver.Error.
type refusal struct {
	code   int
	detail string
}

func (r *refusal) Error() string { return r.detail }

func refuse(code int, format string, args ...any) error {
	return &refusal{code, fmt.Sprintf(format, args...)}
}

// outside runs a call that needs no context.
func (d *Driver) outside(call string, f func() error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if code, ok := d.begin(call); ok {
		return driver.NewError(driverCalls[call], code, "injected")
	}
	return named(call, f())
}

// inside runs a call of the current context.
func (d *Driver) inside(call string, f func(c *context) error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	c, err := d.currentContext()
	if err != nil {
		return named(call, err)
	}
	if code, ok := d.begin(call); ok {
		e := driver.NewError(driverCalls[call], code, "injected")
		if e.Sticky() {
			c.lose(e)
		}
		return e
	}
	if err := c.alive(); err != nil {
		return named(call, err)
	}
	return named(call, f(c))
}

// named is an error as the driver's function returns it.
func named(call string, err error) error {
	if err == nil {
		return nil
	}
	r := err.(*refusal)
	return driver.NewError(driverCalls[call], r.code, r.detail)
}

// begin counts a call, and says how it is to fail, if it is.
func (d *Driver) begin(call string) (code int, fails bool) {
	if _, ok := driverCalls[call]; !ok {
		panic("BUG: fake: no call is named " + call)
	}
	d.counts[call]++
	waiting := d.failures[call]
	for i, f := range waiting {
		if f.after == 0 {
			code, fails = f.code, true
			waiting = append(waiting[:i:i], waiting[i+1:]...)
			break
		}
	}
	for _, f := range waiting {
		f.after--
	}
	d.failures[call] = waiting
	return code, fails
}

// currentContext is the context of the calling thread.
func (d *Driver) currentContext() (*context, error) {
	goroutine, locked := d.caller()
	if !locked {
		return nil, refuse(driver.InvalidContext, "the goroutine is not locked to its thread (runtime.LockOSThread)")
	}
	cur := d.current[thread()]
	switch {
	case cur.context == nil:
		return nil, refuse(driver.InvalidContext, "no context is current on this thread (SetContext)")
	case cur.goroutine != goroutine:
		return nil, refuse(driver.InvalidContext, "the context of this thread is left over from %s, this is %s (SetContext)", cur.goroutine, goroutine)
	case cur.context.refs == 0:
		return nil, refuse(driver.InvalidContext, "the current context has been released")
	}
	return cur.context, nil
}

// device checks the number of a device.
func (d *Driver) device(dev int) error {
	if dev < 0 || dev >= d.cfg.Devices {
		return refuse(driver.InvalidDevice, "device %d of %d", dev, d.cfg.Devices)
	}
	return nil
}
