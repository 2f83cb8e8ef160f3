package cuda

import (
	"errors"
	"fmt"
	"maps"
	"math/bits"
	"runtime"
	"slices"
	"sync"
	"unsafe"

	"jitc/executors"
	"jitc/executors/cuda/driver"
)

// memory hands out device memory. What is freed is kept, by size class, for the
// next allocation of its class: all work is in one order, so whoever gets it works
// behind those who had it, and the driver need not know.
//
// Invariant: a block is either in live or in idle.
type memory struct {
	q     *queue
	limit int // bytes that may be idle

	mu    sync.Mutex
	live  map[driver.Ptr]int   // class, bytes
	idle  map[int][]driver.Ptr // by class
	bytes struct{ live, idle int }
}

func (m *memory) init(q *queue) {
	m.q, m.limit = q, q.m.memory/4
	if q.o.NoReuse {
		m.limit = 0
	}
	m.live, m.idle = map[driver.Ptr]int{}, map[int][]driver.Ptr{}
}

// OutOfMemoryError says that a device has too little memory.
type OutOfMemoryError struct {
	Device      executors.Device
	Asked       int // bytes
	Free, Total int // bytes, of the device
	Held        int // bytes that this process's executor has handed out
	Err         error
}

// Error gives the numbers.
func (e *OutOfMemoryError) Error() string {
	return fmt.Sprintf("%s: out of memory: asked for %d bytes, %d of %d are free, %d are in use by this program",
		e.Device, e.Asked, e.Free, e.Total, e.Held)
}

// Unwrap is the driver's error.
func (e *OutOfMemoryError) Unwrap() error { return e.Err }

// leastClass is the alignment of blocks, and the smallest.
const leastClass = 512

// sizeClass rounds a size up: to quarters of a power of two, so that sizes that
// differ a little share blocks, and large ones to 2 MiB, so that little is wasted.
func sizeClass(bytes int) int {
	const large, granule = 64 << 20, 2 << 20
	step := leastClass
	switch {
	case bytes > large:
		step = granule
	case bytes > 4*leastClass:
		step = 1 << (bits.Len(uint(bytes-1)) - 3)
	}
	return (bytes + step - 1) / step * step
}

// Alloc returns memory at a multiple of 256 bytes. The error of too little memory
// is an *OutOfMemoryError.
func (q *queue) Alloc(bytes int) ([]byte, error) {
	if bytes < 0 || bytes > 1<<60 {
		return nil, fmt.Errorf("%s: allocation of %d bytes", q.name, bytes)
	}
	if err := q.usable(); err != nil || bytes == 0 {
		return []byte{}, err
	}
	class := bytes
	if !q.o.NoReuse {
		class = sizeClass(bytes)
	}
	p, ok := q.memory.reuse(class)
	if !ok {
		if err := q.enter(); err != nil {
			return nil, err
		}
		defer q.leave()
		var err error
		if p, err = q.memory.more(bytes, class); err != nil {
			return nil, err
		}
	}
	return atAddress(p, bytes), nil
}

// reuse takes an idle block.
func (m *memory) reuse(class int) (driver.Ptr, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	list := m.idle[class]
	if len(list) == 0 {
		return 0, false
	}
	p := list[len(list)-1]
	m.idle[class] = list[:len(list)-1]
	m.bytes.idle -= class
	m.take(p, class)
	return p, true
}

// take notes a block as live; m is locked.
func (m *memory) take(p driver.Ptr, class int) {
	m.live[p] = class
	m.bytes.live += class
}

// more allocates a block, giving idle ones back if it must. The context is current.
func (m *memory) more(bytes, class int) (driver.Ptr, error) {
	if bytes > m.q.m.memory { // drivers differ in what they call such a request
		return 0, m.outOfMemory(bytes, driver.NewError("cuMemAlloc", driver.OutOfMemory, "more than the device has"))
	}
	p, err := m.raw(class)
	if isOutOfMemory(err) {
		if err := m.shrink(); err != nil {
			return 0, err
		}
		p, err = m.raw(class)
	}
	if isOutOfMemory(err) {
		return 0, m.outOfMemory(bytes, err)
	}
	if err != nil {
		return 0, m.q.failed(err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.take(p, class)
	return p, nil
}

// shrink gives all that is idle back to the system. The context is current.
func (m *memory) shrink() error {
	if err := errors.Join(m.trim(), m.q.wait()); err != nil || !m.q.m.pools {
		return err
	}
	return m.q.failed(m.q.api.TrimPool(m.q.m.dev, 0))
}

func (m *memory) outOfMemory(bytes int, err error) error {
	e := &OutOfMemoryError{Device: m.q.name, Asked: bytes, Total: m.q.m.memory, Err: err}
	if free, total, err := m.q.api.MemoryInfo(); err == nil {
		e.Free, e.Total = free, total
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	e.Held = m.bytes.live
	return e
}

// raw asks the driver for a block.
func (m *memory) raw(class int) (driver.Ptr, error) {
	if m.q.m.pools {
		return m.q.api.AllocAsync(class, m.q.stream)
	}
	return m.q.api.Alloc(class)
}

// release gives a block back to the driver, behind what is queued. The context is
// current.
func (m *memory) release(p driver.Ptr) error {
	if m.q.m.pools {
		return m.q.api.FreeAsync(p, m.q.stream)
	}
	return m.q.api.Free(p) // waits for the device
}

// Free gives back what Alloc returned.
func (q *queue) Free(mem []byte) {
	if cap(mem) == 0 || !q.calls.begin() { // closed: it went with all the others
		return
	}
	defer q.calls.end()
	p := driver.Ptr(unsafe.Pointer(unsafe.SliceData(mem)))
	surplus := q.memory.idleNow(p)
	if !surplus || q.lostError() != nil || q.makeCurrent() != nil { // lost: the context took its memory along
		return
	}
	defer runtime.UnlockOSThread()
	_ = q.failed(q.memory.release(p)) // a fault is told by the next call
}

// idleNow ends a block's use; surplus says that it must not stay idle.
func (m *memory) idleNow(p driver.Ptr) (surplus bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	class, ok := m.live[p]
	if !ok {
		panic(fmt.Sprintf("BUG: cuda: free of %#x, which is not allocated", uintptr(p)))
	}
	delete(m.live, p)
	m.bytes.live -= class
	if m.bytes.idle+class > m.limit {
		return true
	}
	m.idle[class] = append(m.idle[class], p)
	m.bytes.idle += class
	return false
}

// trim gives all idle blocks back to the driver. The context is current.
func (m *memory) trim() error {
	m.mu.Lock()
	var blocks []driver.Ptr
	for class, list := range m.idle {
		blocks = append(blocks, list...)
		m.bytes.idle -= class * len(list)
	}
	clear(m.idle)
	m.mu.Unlock()
	return m.releaseAll(blocks)
}

// close gives all blocks back to the driver, also those that were not freed: nobody
// may use them any more, and a context that others have too would keep them. The
// context is current.
func (m *memory) close() error {
	m.mu.Lock()
	blocks := slices.Collect(maps.Keys(m.live))
	clear(m.live)
	m.bytes.live = 0
	m.mu.Unlock()
	return errors.Join(m.trim(), m.releaseAll(blocks))
}

// releaseAll gives blocks back to the driver.
func (m *memory) releaseAll(blocks []driver.Ptr) error {
	slices.Sort(blocks) // in an order that can be repeated
	for _, p := range blocks {
		if err := m.release(p); err != nil {
			return m.q.failed(err)
		}
	}
	return nil
}
