package conformance_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"

	"jitc/executors"
	"jitc/executors/conformance"
	"jitc/ir"
	"jitc/ir/tensor"
)

// accelerator is the reference behind a queue that does everything as late as it
// may, with mistakes to plant. Its device memory is the host's.
type accelerator struct {
	executor
	q     *lateQueue
	other bool // each call of Queue gives another queue
}

func (a accelerator) Device() executors.Device { return "late:0" }

func (a accelerator) Queue() (executors.Queue, error) {
	if a.other {
		return newLateQueue(a.q.mistakes), nil
	}
	return a.q, nil
}

func (a accelerator) Compile(ctx context.Context, region *ir.Func, o executors.Options) (executors.Kernel, error) {
	k, err := a.executor.Compile(ctx, region, o)
	return lateKernel{k, a.q}, err
}

type lateKernel struct {
	executors.Kernel
	q *lateQueue
}

func (k lateKernel) Bind(sizes map[string]int64) (executors.Launch, error) {
	l, err := k.Kernel.Bind(sizes)
	return lateLaunch{l, k.q}, err
}

type lateLaunch struct {
	executors.Launch
	q *lateQueue
}

func (l lateLaunch) Run(bufs [][]byte, scratch []byte, w executors.Workers) error {
	bufs = slices.Clone(bufs)
	l.q.later(func() error { return l.Launch.Run(bufs, scratch, serialWorker{}) })
	return nil
}

type serialWorker struct{}

func (serialWorker) Workers() int { return 1 }

func (serialWorker) Run(chunks int, f func(chunk, worker int)) {
	for i := range chunks {
		f(i, 0)
	}
}

// mistakes are those of a queue.
type mistakes struct {
	align         uintptr // of memory; 0: as promised
	keepsSource   bool    // Upload reads src later
	doesNotWait   bool    // Download does not wait
	copiesAtOnce  bool
	uploadsAtOnce bool // they overtake what is queued
	silent        bool // the error of too little memory says nothing
	anyLength     bool
	ignoresOrder  bool // batches run backwards
	firstBuffers  bool // batches keep the addresses of the first run
	takesAnyOrder bool
	device        executors.Device
}

type lateQueue struct {
	mistakes
	mu   sync.Mutex
	work []func() error
	free map[int][][]byte
}

func newLateQueue(m mistakes) *lateQueue { return &lateQueue{mistakes: m, free: map[int][][]byte{}} }

func (q *lateQueue) later(f func() error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.work = append(q.work, f)
}

func (q *lateQueue) Device() executors.Device {
	if q.device != "" {
		return q.device
	}
	return "late:0"
}

func (q *lateQueue) Alloc(n int) ([]byte, error) {
	if n > 1<<40 {
		if q.silent {
			return nil, fmt.Errorf("no")
		}
		return nil, fmt.Errorf("asked for %d bytes, 0 are free", n)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if list := q.free[n]; len(list) > 0 {
		q.free[n] = list[1:]
		return list[0], nil
	}
	mem := make([]byte, n+1024)
	at := uintptr(unsafe.Pointer(unsafe.SliceData(mem)))
	from := -at & 255
	if q.align != 0 {
		from += q.align
	}
	return mem[from : int(from)+n : int(from)+n], nil
}

func (q *lateQueue) Free(mem []byte) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.free[len(mem)] = append(q.free[len(mem)], mem)
}

func (q *lateQueue) Upload(dst, src []byte) error {
	if err := q.fits(dst, src); err != nil {
		return err
	}
	if !q.keepsSource {
		src = slices.Clone(src)
	}
	if q.uploadsAtOnce {
		copy(dst, src)
		return nil
	}
	q.later(func() error { copy(dst, src); return nil })
	return nil
}

func (q *lateQueue) fits(dst, src []byte) error {
	if len(dst) != len(src) && !q.anyLength {
		return fmt.Errorf("%d bytes into %d", len(src), len(dst))
	}
	return nil
}

func (q *lateQueue) Copy(dst, src []byte) error {
	if err := q.fits(dst, src); err != nil {
		return err
	}
	if q.copiesAtOnce {
		copy(dst, src)
		return nil
	}
	q.later(func() error { copy(dst, src); return nil })
	return nil
}

func (q *lateQueue) Download(dst, src []byte) error {
	if err := q.fits(dst, src); err != nil {
		return err
	}
	if !q.doesNotWait {
		if err := q.Sync(); err != nil {
			return err
		}
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	copy(dst, src)
	return nil
}

func (q *lateQueue) Sync() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, f := range q.work {
		if err := f(); err != nil {
			return err
		}
	}
	q.work = nil
	return nil
}

func (q *lateQueue) Batch(launches []executors.Launch, after [][]int) (executors.Batch, error) {
	if after != nil && len(after) != len(launches) && !q.takesAnyOrder {
		return nil, fmt.Errorf("an order of %d launches", len(after))
	}
	for i, list := range after {
		for _, a := range list {
			if (a < 0 || a >= i) && !q.takesAnyOrder {
				return nil, fmt.Errorf("launch %d behind %d", i, a)
			}
		}
	}
	return &lateBatch{q: q, launches: launches}, nil
}

type lateBatch struct {
	q        *lateQueue
	launches []executors.Launch
	first    [][][]byte
}

func (b *lateBatch) Run(args [][][]byte, scratch [][]byte) error {
	if b.first == nil {
		b.first = args
	}
	if b.q.firstBuffers {
		args = b.first
	}
	for i := range b.launches {
		if b.q.ignoresOrder {
			i = len(b.launches) - 1 - i
		}
		if err := b.launches[i].Run(args[i], scratch[i], nil); err != nil {
			return err
		}
	}
	return nil
}

func (*lateBatch) Recorded() error { return nil }

// spoiledQueues are queues with one mistake each, and a part of the failure.
var spoiledQueues = []struct {
	name string
	m    mistakes
	want string
}{
	{"aligned to 8 bytes", mistakes{align: 8}, "device memory: Alloc("},
	{"keeps the source of uploads", mistakes{keepsSource: true}, "copies: a copy of"},
	{"does not wait", mistakes{doesNotWait: true}, "byte 0 is"},
	{"copies at once", mistakes{copiesAtOnce: true}, "copies: a copy of"},
	{"uploads at once", mistakes{uploadsAtOnce: true}, "of memory that was written, freed and used again since"},
	{"says nothing of too little memory", mistakes{silent: true}, "does not say how much was asked for"},
	{"copies of any length", mistakes{anyLength: true}, "between 8 bytes and 4 gives no error"},
	{"ignores the order of batches", mistakes{ignoresOrder: true}, "batch, a chain: run 0: place"},
	{"keeps the first addresses", mistakes{firstBuffers: true}, "batch, a chain: run 2"},
	{"takes any order", mistakes{takesAnyOrder: true}, "in the order [[0] []] gives no error"},
	{"another device", mistakes{device: "late:1"}, `the queue's device is "late:1", the executor's "late:0"`},
}

func TestSpoiledQueuesFail(t *testing.T) {
	for _, c := range spoiledQueues {
		t.Run(c.name, func(t *testing.T) {
			wantFailure(t, accelerator{q: newLateQueue(c.m)}, c.want)
		})
	}
	wantFailure(t, accelerator{q: newLateQueue(mistakes{}), other: true}, "the second call of Queue gives another queue")
}

func wantFailure(t *testing.T, a accelerator, want string) {
	t.Helper()
	var r recorder
	conformance.Check(&r, a, conformance.Options{Ops: []ir.Op{ir.OpAdd}, DTypes: []tensor.DType{tensor.F32}, MustClaim: all})
	require.NotEmpty(t, r.errors)
	found := func(e string) bool { return strings.Contains(e, want) }
	require.True(t, slices.ContainsFunc(r.errors, found), "no failure says %q; they are: %q", want, r.errors)
}

// Launches on device memory are held to what launches on the host's are.
func TestAcceleratorThatWritesAround(t *testing.T) {
	a := accelerator{q: newLateQueue(mistakes{}), executor: executor{run: func(r run) {
		eachResult(r, func(_ ir.Type, data []byte) {
			if cap(data) > len(data) { // memory of the suite's, with a guard behind it
				data[:len(data)+1][len(data)] = 0
			}
		})
	}}}
	wantFailure(t, a, "wrote outside of result 0: its byte")
}

func TestUnspoiledAcceleratorPasses(t *testing.T) {
	var r recorder
	a := accelerator{q: newLateQueue(mistakes{}), executor: executor{scratch: 100}}
	conformance.Check(&r, a, conformance.Options{Ops: few, DTypes: someDTypes, MustClaim: all})
	require.Empty(t, r.errors)
}
