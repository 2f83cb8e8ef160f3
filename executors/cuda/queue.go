package cuda

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"unsafe"

	"jitc/executors"
	"jitc/executors/cuda/driver"
)

// queue is the one stream of a device, and its memory.
//
// The context of a driver call is that of the calling thread, so each method locks
// its goroutine to a thread, makes the context current, queues, and lets go; a
// thread of the queue's own would cost two switches per call. See enter.
type queue struct {
	m        *machine
	o        Options
	api      driver.API
	name     executors.Device
	context  driver.Context
	stream   driver.Stream
	memory   memory
	small    ring // of uploads
	up, down ring
	recent   recent
	lost     atomic.Pointer[LostError]
	closed   atomic.Bool
	loaded   atomic.Int64 // modules
	retired  retirees
}

var _ executors.Queue = (*queue)(nil)

// newQueue takes hold of the device.
func newQueue(m *machine, o Options) (*queue, error) {
	if o.PieceBytes == 0 {
		o.PieceBytes = defaultPiece
	}
	q := &queue{m: m, o: o, api: m.api, name: executors.Device(fmt.Sprintf("cuda:%d", m.dev)),
		small: newRing(smallSlots, min(smallPiece, o.PieceBytes)), up: newRing(pieceSlots, o.PieceBytes), down: newRing(pieceSlots, o.PieceBytes)}
	var err error
	if q.context, err = q.api.RetainContext(m.dev); err != nil {
		return nil, err
	}
	if err = q.enter(); err == nil {
		if m.pools { // else each wait empties the pool, and the next block is mapped anew
			err = q.api.KeepPool(m.dev, m.memory/4)
		}
		if err == nil {
			q.stream, err = q.api.NewStream()
		}
		q.leave()
	}
	if err != nil {
		return nil, errors.Join(err, q.api.ReleaseContext(m.dev))
	}
	q.memory.init(q)
	return q, nil
}

// enter makes the device's context that of the calling goroutine until leave. It
// fails at once if the device is lost.
func (q *queue) enter() error {
	if err := q.lostError(); err != nil {
		return err
	}
	if q.closed.Load() {
		return fmt.Errorf("%s is closed", q.name)
	}
	runtime.LockOSThread()
	if err := q.api.SetContext(q.context); err != nil {
		runtime.UnlockOSThread()
		return q.failed(err)
	}
	return nil
}

func (q *queue) leave() { runtime.UnlockOSThread() }

// Device is "cuda:N".
func (q *queue) Device() executors.Device { return q.name }

// Copy queues a copy within the device.
func (q *queue) Copy(dst, src []byte) error {
	if len(dst) != len(src) {
		return fmt.Errorf("%s: copy of %d bytes into %d", q.name, len(src), len(dst))
	}
	if err := q.enter(); err != nil {
		return err
	}
	defer q.leave()
	if len(dst) == 0 {
		return nil
	}
	return q.failed(q.api.CopyOnDevice(address(dst), address(src), len(dst), q.stream))
}

// Sync waits until all that was queued is done.
func (q *queue) Sync() error {
	if err := q.enter(); err != nil {
		return err
	}
	defer q.leave()
	return q.wait()
}

// wait waits for the stream; the context is current.
func (q *queue) wait() error {
	gone := q.retired.take()
	started := q.recent.count()
	if err := q.api.SyncStream(q.stream); err != nil {
		q.retired.put(gone...)
		return q.failed(err)
	}
	q.recent.done(started)
	return q.destroy(gone)
}

// close waits, and gives everything back.
func (q *queue) close() error {
	if q.lostError() != nil { // nothing of the context can be used; the driver cleans up
		q.closed.Store(true)
		return q.api.ReleaseContext(q.m.dev)
	}
	if err := q.enter(); err != nil {
		return err
	}
	defer q.leave()
	q.closed.Store(true)
	errs := []error{q.wait(), q.memory.trim(), q.small.close(q), q.up.close(q), q.down.close(q)}
	errs = append(errs, q.api.SyncStream(q.stream), q.api.DestroyStream(q.stream), q.api.ReleaseContext(q.m.dev))
	return errors.Join(errs...)
}

// address is the address of device memory; nothing has none.
func address(mem []byte) driver.Ptr {
	if len(mem) == 0 {
		return 0
	}
	return driver.Ptr(unsafe.Pointer(unsafe.SliceData(mem)))
}

// atAddress is device memory as the interface of queues shows it: a slice that the
// host must not read. The address is none of Go's, so the collector passes it by.
func atAddress(p driver.Ptr, bytes int) []byte {
	return unsafe.Slice(*(**byte)(unsafe.Pointer(&p)), bytes)
}

// retired is what nobody can use any more, but queued work perhaps does.
type retired struct {
	module driver.Module
	graph  driver.Graph
	exec   driver.GraphExec
}

// retirees are destroyed when the queue has been waited for next: each was last
// used before it was put here.
type retirees struct {
	mu   sync.Mutex
	list []retired
}

func (r *retirees) put(x ...retired) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list = append(r.list, x...)
}

func (r *retirees) take() []retired {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := r.list
	r.list = nil
	return out
}

func (r *retirees) len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.list)
}

// destroy frees what was retired; graphs before the modules that they launch. The
// context is current.
func (q *queue) destroy(gone []retired) error {
	var errs []error
	for _, r := range gone {
		if r.exec != 0 {
			errs = append(errs, q.api.DestroyGraphExec(r.exec))
		}
		if r.graph != 0 {
			errs = append(errs, q.api.DestroyGraph(r.graph))
		}
	}
	for _, r := range gone {
		if r.module != 0 {
			errs = append(errs, q.api.UnloadModule(r.module))
			q.loaded.Add(-1)
		}
	}
	return q.failed(errors.Join(errs...))
}
