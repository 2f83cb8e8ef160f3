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

// queue is the work of a device, in order, and its memory. All of it is on one
// stream, but for the copies of downloads: see download.go.
//
// The context of a driver call is that of the calling thread, so each method locks
// its goroutine to a thread, makes the context current, queues, and lets go; a
// thread of the queue's own would cost two switches per call. See enter.
type queue struct {
	m         *machine
	o         Options
	api       driver.API
	name      executors.Device
	context   driver.Context
	stream    driver.Stream
	memory    memory
	small     ring // of uploads
	up        ring
	lanes     lanes // of downloads
	recent    recent
	lost      atomic.Pointer[LostError]
	calls     calls
	loaded    atomic.Int64 // modules
	retired   retirees
	libraries libraries
}

var _ executors.Queue = (*queue)(nil)

// newQueue takes hold of the device.
func newQueue(m *machine, o Options) (*queue, error) {
	if o.PieceBytes == 0 {
		o.PieceBytes = defaultPiece
	}
	q := &queue{m: m, o: o, api: m.api, name: executors.Device(fmt.Sprintf("cuda:%d", m.dev)), calls: newCalls(),
		small: newRing(smallSlots, min(smallPiece, o.PieceBytes)), up: newRing(pieceSlots, o.PieceBytes), lanes: newLanes()}
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
// fails at once if the device is lost, or the queue closed.
func (q *queue) enter() error {
	if err := q.lostError(); err != nil {
		return err
	}
	if !q.calls.begin() {
		return q.closedError()
	}
	err := q.makeCurrent()
	if err != nil {
		q.calls.end()
	}
	return err
}

// makeCurrent locks the goroutine to its thread, and makes the context that of the
// thread; with an error it does neither.
func (q *queue) makeCurrent() error {
	runtime.LockOSThread()
	err := q.failed(q.api.SetContext(q.context))
	if err != nil {
		runtime.UnlockOSThread()
	}
	return err
}

func (q *queue) leave() {
	runtime.UnlockOSThread()
	q.calls.end()
}

// usable says why nothing can be queued any more.
func (q *queue) usable() error {
	if err := q.lostError(); err != nil {
		return err
	}
	if q.calls.ended() {
		return q.closedError()
	}
	return nil
}

func (q *queue) closedError() error { return fmt.Errorf("%s is closed", q.name) }

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

// Sync waits until all that was queued is done, and the downloads under way.
func (q *queue) Sync() error {
	if err := q.enter(); err != nil {
		return err
	}
	defer q.leave()
	if err := q.wait(); err != nil {
		return err
	}
	return q.lanes.wait(q)
}

// wait waits for the stream; the context is current.
func (q *queue) wait() error {
	started, gone := q.recent.count(), q.retired.take()
	if err := q.api.SyncStream(q.stream); err != nil {
		q.retired.put(gone...)
		return q.failed(err)
	}
	q.recent.done(started)
	return q.destroy(gone)
}

// close lets the calls that are inside come to their end, waits for the device, and
// gives everything back.
func (q *queue) close() error {
	q.calls.close()
	if q.lostError() != nil { // nothing of the context can be used; the driver cleans up
		return q.api.ReleaseContext(q.m.dev)
	}
	err := q.makeCurrent()
	if err == nil {
		err = q.giveBack()
		runtime.UnlockOSThread()
	}
	return errors.Join(err, q.api.ReleaseContext(q.m.dev))
}

// giveBack waits and destroys what the queue has; the context is current.
func (q *queue) giveBack() error {
	err := q.wait()
	if q.lostError() != nil { // found out now
		return err
	}
	errs := []error{err, q.libraries.close(q), q.memory.close(), q.small.close(q), q.up.close(q), q.lanes.close(q)}
	errs = append(errs, q.api.SyncStream(q.stream), q.api.DestroyStream(q.stream))
	if q.m.pools { // which outlives the stream, and a context that others have too
		errs = append(errs, q.api.TrimPool(q.m.dev, 0))
	}
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
