// Package testdevice is an accelerator for tests, without a device: its memory
// cannot be touched by the host, its work is done late, and in any order that it is
// allowed to be done in.
//
//	d := testdevice.New("test:0", 1)
//	x, err := d.Alloc(1024)          reading x[0] ends the process, where the system can see to that
//	k := d.Kernel(hostKernel)        runs on what lies behind such addresses
//	err = d.Download(host, x)        now what was queued is done
//
// Invariants: work is done in the order in which it was given, but the launches of a
// batch, which overlap as far as their order allows: outputs and scratch are spoiled
// when a launch begins, inputs are read when it ends. Memory is spoiled when it is
// allocated and when it is freed. Use of memory that is not allocated panics.
package testdevice

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"unsafe"

	"jitc/executors"
	"jitc/ir/tensor"
)

// Bytes is how much memory a device has.
const Bytes = 16 << 20

const grain = 256 // of allocations

// Device is an executors.Queue and a tensor.Device. Safe for concurrent use.
type Device struct {
	name string

	mu      sync.Mutex
	rng     *rand.Rand
	memory  []byte      // addresses
	shadow  []byte      // what lies there
	live    map[int]int // bytes by offset
	free    []span      // by offset, apart
	limit   int
	used    int
	scratch []int // of launches: one of them
	pending []func() error
	failed  error // of work that was done after its call
	dead    error // of everything from now on
	armed   *fault
	counts  Counts
}

type span struct{ lo, hi int }

// fault is an error that launches will meet.
type fault struct {
	after int
	fatal bool
	err   error
}

// Counts count what a device was asked for.
type Counts struct {
	Uploads, Downloads, Copies, Launches, Batches, Runs int
	Allocs, Frees                                       int
	Bytes                                               int // allocated now
}

var (
	_ executors.Queue = (*Device)(nil)
	_ tensor.Device   = (*Device)(nil)
)

// New makes a device that does its work at times that depend on the seed.
func New(name string, seed uint64) *Device {
	return &Device{name: name, rng: rand.New(rand.NewPCG(seed, 11)), memory: reserve(Bytes), shadow: make([]byte, Bytes),
		live: map[int]int{}, free: []span{{0, Bytes}}, limit: Bytes, scratch: []int{Scratch}}
}

// Name is the name, as a tensor.Device has it.
func (d *Device) Name() string { return d.name }

// Device is the name.
func (d *Device) Device() executors.Device { return executors.Device(d.name) }

// Limit makes the device have so many bytes only.
func (d *Device) Limit(bytes int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.limit = bytes
}

// Fail makes the launch after so many others fail, late; a fatal failure is that of
// everything from then on.
func (d *Device) Fail(after int, fatal bool, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.armed = &fault{after, fatal, err}
}

// Counts are those so far.
func (d *Device) Counts() Counts {
	d.mu.Lock()
	defer d.mu.Unlock()
	c := d.counts
	c.Bytes = d.used
	return c
}

// Alloc returns addresses.
func (d *Device) Alloc(bytes int) ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.begin(); err != nil {
		return nil, err
	}
	size := max(bytes+grain-1, grain) / grain * grain
	at := slices.IndexFunc(d.free, func(s span) bool { return s.hi-s.lo >= size })
	if bytes <= 0 || d.used+size > d.limit || at < 0 {
		return nil, fmt.Errorf("%s: %d bytes were asked for, %d are free", d.name, bytes, d.limit-d.used)
	}
	lo := d.free[at].lo
	if d.free[at].lo += size; d.free[at].lo == d.free[at].hi {
		d.free = slices.Delete(d.free, at, at+1)
	}
	d.live[lo] = bytes
	d.used += size
	d.counts.Allocs++
	d.queue(func() error { return d.spoil(lo, bytes, 0xA5) })
	return d.memory[lo : lo+bytes : lo+bytes], nil
}

// Free takes addresses back.
func (d *Device) Free(mem []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	lo := d.offset(mem)
	if n, ok := d.live[lo]; !ok || n != len(mem) {
		panic("BUG: testdevice: memory is freed that Alloc did not return")
	}
	delete(d.live, lo)
	size := max(len(mem)+grain-1, grain) / grain * grain
	d.used -= size
	d.counts.Frees++
	at, _ := slices.BinarySearchFunc(d.free, lo, func(s span, lo int) int { return s.lo - lo })
	d.free = slices.Insert(d.free, at, span{lo, lo + size})
	d.joinFree()
	n := len(mem)
	d.queue(func() error { return d.spoil(lo, n, 0xDD) })
}

func (d *Device) joinFree() {
	joined := d.free[:1]
	for _, s := range d.free[1:] {
		if last := &joined[len(joined)-1]; last.hi == s.lo {
			last.hi = s.hi
		} else {
			joined = append(joined, s)
		}
	}
	d.free = joined
}

func (d *Device) spoil(lo, n int, with byte) error {
	fill(d.shadow[lo:lo+n], with)
	return nil
}

// fill is quick under the race detector too.
func fill(b []byte, with byte) {
	if len(b) == 0 {
		return
	}
	b[0] = with
	for done := 1; done < len(b); done *= 2 {
		copy(b[done:], b[:done])
	}
}

// offset is where addresses begin.
func (d *Device) offset(mem []byte) int {
	base, at := uintptr(unsafe.Pointer(&d.memory[0])), uintptr(unsafe.Pointer(unsafe.SliceData(mem)))
	if at < base || at+uintptr(len(mem)) > base+Bytes {
		panic(fmt.Sprintf("BUG: testdevice: %d bytes at %#x are not memory of %s", len(mem), at, d.name))
	}
	return int(at - base)
}

// behind is what lies at addresses, which must be allocated.
func (d *Device) behind(mem []byte) []byte {
	if len(mem) == 0 {
		return nil
	}
	lo := d.offset(mem)
	for at, n := range d.live {
		if at <= lo && lo+len(mem) <= at+n {
			return d.shadow[lo : lo+len(mem) : lo+len(mem)]
		}
	}
	panic(fmt.Sprintf("BUG: testdevice: %d bytes at offset %d are not allocated", len(mem), lo))
}

// begin is the start of a call: some of the work is done, perhaps.
func (d *Device) begin() error {
	if d.dead != nil {
		return d.dead
	}
	if d.rng.IntN(3) == 0 {
		d.work(d.rng.IntN(1 + len(d.pending)))
	}
	return d.report()
}

// report is what failed since it was asked last.
func (d *Device) report() error {
	if d.dead != nil {
		return d.dead
	}
	err := d.failed
	d.failed = nil
	return err
}

func (d *Device) queue(f func() error) { d.pending = append(d.pending, f) }

// work does so much of what is queued.
func (d *Device) work(n int) {
	for _, f := range d.pending[:n] {
		if d.dead != nil {
			break
		}
		if err := f(); err != nil && d.failed == nil {
			d.failed = err
		}
	}
	d.pending = slices.Delete(d.pending, 0, n)
}

// finish does all of it.
func (d *Device) finish() error {
	if d.dead == nil {
		d.work(len(d.pending))
	}
	return d.report()
}

// Upload copies from the host.
func (d *Device) Upload(dst, src []byte) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.begin(); err != nil {
		return err
	}
	if len(dst) != len(src) {
		return errors.New("testdevice: an upload between sizes")
	}
	to, from := d.behind(dst), slices.Clone(src)
	d.counts.Uploads++
	d.queue(func() error { copy(to, from); return nil })
	return nil
}

// Download does all that is queued.
func (d *Device) Download(dst, src []byte) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(dst) != len(src) {
		return errors.New("testdevice: a download between sizes")
	}
	from := d.behind(src)
	d.counts.Downloads++
	if err := d.finish(); err != nil {
		return err
	}
	copy(dst, from)
	return nil
}

// Copy copies on the device.
func (d *Device) Copy(dst, src []byte) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.begin(); err != nil {
		return err
	}
	to, from := d.behind(dst), d.behind(src)
	d.counts.Copies++
	d.queue(func() error { copy(to, from); return nil })
	return nil
}

// Sync does all that is queued.
func (d *Device) Sync() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.finish()
}
