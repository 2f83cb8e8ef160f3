package cuda

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"jitc/codegen/ptx"
	"jitc/executors"
	"jitc/executors/cuda/driver"
)

// Work is what a library of the vendor's queues for a launch, in place of the
// executor's own kernels. Launches of it are launches of the device like others: they
// run alone and in batches, among kernels and in any order with them.
//
//	l, err := device.NewLaunch(cuda.Work{Label: "product", Buffers: ..., Queue: func(s driver.Stream, at cuda.Addresses) error {
//		return library.Multiply(s, at.Buffer(0), at.Buffer(1), at.Buffer(2))
//	}})
//
// In a batch that is recorded the work is captured on a stream of its own, and becomes
// a node of the graph, with a graph in it; where an address has changed since the last
// run, it is captured again. So Queue must do nothing but queue, and must queue the
// same whenever the addresses are the same; it is called from one goroutine at a time
// for one run, and from several for several runs, with the device's context current.
type Work struct {
	Label   string   // of the launch, in messages: "a product of @mlp"
	Buffers []Buffer // the caller's: operands, then results
	Scratch int      // bytes, at a multiple of 256
	// Queue queues the work on a stream; nil: there is nothing to do. What it keeps for
	// itself must be safe for concurrent use. It allocates nothing, as Launch.Run.
	Queue func(s driver.Stream, at Addresses) error
}

// Buffer is what a launch needs to know of a buffer of the caller's. It is at a
// multiple of Align at least; Queue gets it at a multiple of 16.
type Buffer struct {
	Name   string
	Bytes  int
	Align  int
	Result bool
}

// Addresses are where a run's buffers are, and its scratch memory behind them. They
// are valid during the call that they are given to.
type Addresses []byte

const addressBytes = 8

func (a Addresses) at(i int) driver.Ptr {
	return driver.Ptr(binary.LittleEndian.Uint64(a[i*addressBytes:]))
}

// Buffer is the address of buffer i, 0 where it is empty.
func (a Addresses) Buffer(i int) driver.Ptr { return a.at(i) }

// Scratch is the address of the scratch memory, a multiple of 256.
func (a Addresses) Scratch() driver.Ptr {
	return (a.at(len(a)/addressBytes-1) + scratchAlign - 1) / scratchAlign * scratchAlign
}

// scratchAlign is the alignment of scratch memory that libraries get; callers of
// launches promise 64.
const scratchAlign = 256

// NewLaunch makes a launch of a library's work. It takes hold of the device.
func (e *Executor) NewLaunch(w Work) (executors.Launch, error) {
	q, err := e.open()
	if err != nil {
		return nil, err
	}
	l := &launch{k: &kernel{executor: e, name: w.Label, narrow: &form{}}, q: q} // a kernel without code
	for _, b := range w.Buffers {
		l.buffers = append(l.buffers, buffer{b.Name, b.Bytes, uintptr(max(b.Align, 1)), b.Result})
	}
	if w.Scratch > 0 {
		l.scratch = w.Scratch + scratchAlign
	}
	if w.Queue != nil {
		l.entries = []entry{w.entry()}
	}
	l.runs.New = func() any { return newRun(l.entries) }
	return l, nil
}

// entry is the work as an entry: the parameter block are its addresses.
func (w *Work) entry() entry {
	n := len(w.Buffers)
	e := entry{work: w.Queue, label: w.Label, config: driver.LaunchConfig{Params: make([]byte, (n+1)*addressBytes)}}
	for i := range n {
		e.pointers = append(e.pointers, ptx.Pointer{At: i * addressBytes, Buf: i})
	}
	e.pointers = append(e.pointers, ptx.Pointer{At: n * addressBytes, Buf: ptx.Scratch})
	return e
}

// Within calls f with the device's context current on the goroutine's thread, and while
// no library's work is captured: there are libraries that cannot be asked anything then.
// What f returns is returned, marked with the device's name, or the *LostError of a
// device that turned out to be lost. f must not run batches.
func (e *Executor) Within(f func() error) error {
	q, err := e.open()
	if err != nil {
		return err
	}
	q.libraries.capture.Lock()
	defer q.libraries.capture.Unlock()
	if err := q.enter(); err != nil {
		return err
	}
	defer q.leave()
	if err := f(); err != nil {
		return q.failed(q.withState(err))
	}
	return nil
}

// Keep has c closed when the device's queue is, in its context, behind all that is
// queued, and before the context ends; not where the device is lost, with which all
// that libraries keep there is lost.
func (e *Executor) Keep(c io.Closer) error {
	q, err := e.open()
	if err != nil {
		return err
	}
	q.libraries.keep(c)
	return nil
}

// Version is the version of CUDA that the device's driver supports: 12040 for 12.4.
func (e *Executor) Version() (int, error) {
	m, err := e.probe()
	if err != nil {
		return 0, err
	}
	return m.version, nil
}

// libraries is what libraries of the vendor's have of a device.
type libraries struct {
	mu      sync.Mutex
	kept    []io.Closer
	capture sync.Mutex    // one capture or call of Within at a time
	stream  driver.Stream // for captures: nothing runs on it; 0 until it is needed
}

func (l *libraries) keep(c io.Closer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.kept = append(l.kept, c)
}

// close closes what is kept, the latest first. The context is current.
func (l *libraries) close(q *queue) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	var errs []error
	for _, c := range slices.Backward(l.kept) {
		errs = append(errs, c.Close())
	}
	l.kept = nil
	return errors.Join(append(errs, l.dropStream(q))...)
}

func (l *libraries) dropStream(q *queue) error {
	s := l.stream
	if l.stream = 0; s == 0 {
		return nil
	}
	return q.api.DestroyStream(s)
}

// start queues an entry. The context is current.
func (q *queue) start(e *entry, c *driver.LaunchConfig) error {
	if e.work == nil {
		return q.launch(e.function, c, e.label)
	}
	q.recent.add(e.label)
	if err := e.work(q.stream, Addresses(c.Params)); err != nil {
		return q.failed(fmt.Errorf("%s: %w", e.label, q.withState(err)))
	}
	if q.o.Blocking {
		return q.wait()
	}
	return nil
}

// captureError says that a library's work was not captured.
type captureError struct{ error }

// Unwrap is the reason.
func (e *captureError) Unwrap() error { return e.error }

// captured calls use with a graph of the entry's work, which ends with the call. The
// context is current. An error in getting that far is a *captureError.
func (q *queue) captured(e *entry, c *driver.LaunchConfig, use func(driver.Graph) error) error {
	q.libraries.capture.Lock()
	defer q.libraries.capture.Unlock()
	g, err := q.captureWork(e, c)
	if err != nil {
		return &captureError{err}
	}
	return errors.Join(use(g), q.api.DestroyGraph(g))
}

// captureWork makes a graph of the entry's work. Captures are locked.
func (q *queue) captureWork(e *entry, c *driver.LaunchConfig) (driver.Graph, error) {
	l := &q.libraries
	if l.stream == 0 {
		s, err := q.api.NewStream()
		if err != nil {
			return 0, err
		}
		l.stream = s
	}
	if err := q.api.BeginCapture(l.stream); err != nil {
		return 0, err
	}
	refused := e.work(l.stream, Addresses(c.Params))
	g, err := q.api.EndCapture(l.stream)
	if err != nil { // nobody knows what the stream is in
		err = errors.Join(err, l.dropStream(q))
	}
	if refused != nil {
		err = errors.Join(q.withState(refused), err)
	}
	if err != nil && g != 0 {
		err = errors.Join(err, q.api.DestroyGraph(g))
	}
	return g, err
}

// withState adds what the driver says of the context to an error of a library's, which
// does not tell whether the device has survived. The context is current.
func (q *queue) withState(err error) error {
	var said *driver.Error
	if errors.As(err, &said) {
		return err
	}
	if _, _, state := q.api.MemoryInfo(); state != nil {
		return fmt.Errorf("%w: %w", err, state)
	}
	return err
}
