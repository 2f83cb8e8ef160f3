package cuda_test

import (
	"bytes"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/executors"
	"jitc/executors/cuda"
	"jitc/executors/cuda/driver"
	"jitc/executors/cuda/driver/fake"
)

// meeting is a driver that calls something of the test's, on another goroutine, at
// the n-th call of a kind: before a copy to the host is queued, or before an event is
// waited for.
type meeting struct {
	*fake.Driver
	copies, waits atomic.Int64 // until then
	call          func()
}

func (d *meeting) meet(n *atomic.Int64) {
	if n.Add(-1) == 0 {
		done := make(chan struct{})
		go func() { defer close(done); d.call() }()
		<-done
	}
}

func (d *meeting) CopyToHost(dst []byte, src driver.Ptr, s driver.Stream) error {
	d.meet(&d.copies)
	return d.Driver.CopyToHost(dst, src, s)
}

func (d *meeting) SyncEvent(e driver.Event) error {
	d.meet(&d.waits)
	return d.Driver.SyncEvent(e)
}

// A download is behind what was queued before it, and does not wait for what others
// queue meanwhile: the driver executes what is waited for, and nothing else.
func TestDownloadsOvertake(t *testing.T) {
	for _, c := range []struct {
		bytes         int
		copies, waits int64
	}{
		{1000, 1, 0}, // before the first copy
		{1000, 7, 0}, // when all slots were used
		{100, 0, 1},  // a small one, when it is queued
	} {
		d := &meeting{Driver: fake.New(fake.Config{})}
		e := cuda.New(d, 0, cuda.Options{PieceBytes: 100})
		q := queueOf(t, e)
		from, mid, to := blockOf(t, q, c.bytes), blockOf(t, q, c.bytes), blockOf(t, q, c.bytes)
		src := bytes.Repeat([]byte{1, 2, 3, 4, 5}, c.bytes/5)
		require.NoError(t, errors.Join(q.Upload(from, src), q.Copy(mid, from)))
		queued := 0
		d.call = func() {
			before := d.Live().Queued
			assert.NoError(t, q.Copy(to, mid))
			queued = d.Live().Queued - before
		}
		d.copies.Store(c.copies)
		d.waits.Store(c.waits)
		got := make([]byte, c.bytes)
		require.NoError(t, q.Download(got, mid))
		require.Equal(t, src, got)
		require.Equal(t, 1, queued)
		require.Equal(t, 1, d.Live().Queued, "the later copy, %+v", c)
		require.NoError(t, q.Download(got, to))
		require.Equal(t, src, got)
		require.Zero(t, d.Live().Queued)
		require.NoError(t, e.Close())
	}
}

func blockOf(t *testing.T, q executors.Queue, bytes int) []byte {
	t.Helper()
	mem, err := q.Alloc(bytes)
	require.NoError(t, err)
	return mem
}

// A wait for everything waits for the copies of others too.
func TestSyncWaitsForDownloads(t *testing.T) {
	d := &meeting{Driver: fake.New(fake.Config{})}
	e := cuda.New(d, 0, cuda.Options{PieceBytes: 100})
	q := queueOf(t, e)
	a := blockOf(t, q, 1000)
	require.NoError(t, q.Upload(a, make([]byte, 1000)))
	d.call = func() {
		assert.NotZero(t, d.Live().Queued)
		assert.NoError(t, q.Sync())
		assert.Zero(t, d.Live().Queued)
	}
	d.copies.Store(4)
	require.NoError(t, q.Download(make([]byte, 1000), a))
	require.Negative(t, d.copies.Load())
	require.NoError(t, e.Close())
}

// Streams are made for downloads that meet, up to a bound; where launches are waited
// for there is one stream.
func TestLanes(t *testing.T) {
	for _, c := range []struct {
		options   cuda.Options
		one, many int // streams
	}{
		{cuda.Options{PieceBytes: 100}, 2, 5},
		{cuda.Options{PieceBytes: 100, Blocking: true}, 1, 1},
	} {
		e, d := newExecutor(t, fake.Config{}, c.options)
		q := queueOf(t, e)
		require.Equal(t, 1, d.Live().Streams)
		for range 3 {
			require.NoError(t, roundTrip(q, 1000, 1))
		}
		require.Equal(t, c.one, d.Live().Streams)
		var all sync.WaitGroup
		for g := range 12 {
			all.Go(func() {
				for i := range 5 {
					assert.NoError(t, roundTrip(q, 1000+g, g+i))
				}
			})
		}
		all.Wait()
		require.LessOrEqual(t, d.Live().Streams, c.many)
	}
}

// A download that fails leaves no copy on its way, and the next one works.
func TestDownloadFailures(t *testing.T) {
	for call, n := range map[string]int{"NewStream": 1, "NewEvent": 1, "AllocHost": 1, "RecordEvent": 1, "WaitEvent": 1, "CopyToHost": 3, "SyncEvent": 2} {
		t.Run(call, func(t *testing.T) {
			e, d := newExecutor(t, fake.Config{}, cuda.Options{PieceBytes: 100})
			q := queueOf(t, e)
			mem := blockOf(t, q, 1000)
			src := bytes.Repeat([]byte{7}, 1000)
			require.NoError(t, errors.Join(q.Upload(mem, src), q.Sync()))
			d.FailNext(call, n, driver.OutOfMemory)
			require.ErrorContains(t, q.Download(make([]byte, 1000), mem), "out of memory")
			d.Advance(1) // the mark, on the main stream
			require.Zero(t, d.Live().Queued)
			q.Free(mem)
			for range 2 * 4 { // whichever lane it was
				require.NoError(t, roundTrip(q, 1000, 3))
			}
		})
	}
}

// A fault that a download meets ends the device, whichever stream it is told on.
func TestDownloadOfALostDevice(t *testing.T) {
	for _, call := range []string{"RecordEvent", "WaitEvent", "CopyToHost", "SyncEvent"} {
		e, d := newExecutor(t, fake.Config{}, cuda.Options{PieceBytes: 100})
		q := queueOf(t, e)
		mem := blockOf(t, q, 1000)
		require.NoError(t, errors.Join(q.Upload(mem, make([]byte, 1000)), q.Sync()))
		d.FailNext(call, 1, driver.IllegalAddress)
		first := q.Download(make([]byte, 1000), mem)
		var lost *cuda.LostError
		require.ErrorAs(t, first, &lost, call)
		require.ErrorIs(t, q.Sync(), lost)
	}
}

// What queued work still uses is not destroyed by a download of something else until
// that work is done.
func TestDownloadsKeepWhatIsQueued(t *testing.T) {
	e, d := newExecutor(t, fake.Config{}, cuda.Options{})
	q := queueOf(t, e)
	x, y, z := vector(t, q, 100, 1), vector(t, q, 100, 2), blockOf(t, q, 400)
	other := blockOf(t, q, 100<<10) // on a stream of its own
	require.NoError(t, q.Upload(other, make([]byte, 100<<10)))
	func() {
		k := compile(t, e, addText, executors.Options{})
		require.NoError(t, bind(t, k, map[string]int64{"N": 100}).Run([][]byte{x, y, z}, nil, nil))
	}()
	require.Eventually(t, func() bool { runtime.GC(); return cuda.Retired(q) == 1 }, 5e9, 1e6)
	require.Equal(t, 1, d.Live().Modules)
	require.NoError(t, q.Download(make([]byte, 100<<10), other))
	require.Zero(t, d.Live().Modules)
	require.Equal(t, float32(3+2*99), floats(t, q, z)[99])
	q.Free(z)
	q.Free(other)
}

// Calls that meet the end of their executor come to their end, or say that it is
// closed; nothing is used after it was given back.
func TestCloseAmongCalls(t *testing.T) {
	for range 5 {
		d := fake.New(fake.Config{})
		e := cuda.New(d, 0, cuda.Options{PieceBytes: 100})
		q := queueOf(t, e)
		var all sync.WaitGroup
		started := make(chan struct{}, 6)
		for g := range 6 {
			all.Go(func() {
				for i := 0; ; i++ {
					err := roundTrip(q, 1500, g)
					if i == 0 {
						started <- struct{}{}
					}
					if err != nil {
						assert.ErrorContains(t, err, "cuda:0 is closed")
						return
					}
				}
			})
		}
		<-started
		assert.NoError(t, e.Close())
		all.Wait()
		require.Equal(t, fake.Live{}, d.Live())
	}
}

// What an executor holds goes with it, also where others keep the device's context.
func TestCloseGivesEverythingBack(t *testing.T) {
	d := fake.New(fake.Config{})
	keeper := cuda.New(d, 0, cuda.Options{})
	kept := queueOf(t, keeper)
	before := d.Live()
	e := cuda.New(d, 0, cuda.Options{PieceBytes: 100})
	q := queueOf(t, e)
	require.NoError(t, roundTrip(q, 1000, 1))
	held, large := blockOf(t, q, 1000), blockOf(t, q, 400<<20)
	require.NoError(t, e.Close())
	require.Equal(t, before, d.Live())
	q.Free(held) // nothing
	q.Free(large)
	_, err := q.Alloc(1000)
	require.EqualError(t, err, "cuda:0 is closed")
	require.NoError(t, roundTrip(kept, 1000, 1))
	require.NoError(t, keeper.Close())
	require.Equal(t, fake.Live{}, d.Live())
}

// A context that cannot be made current at the end is released all the same.
func TestCloseFails(t *testing.T) {
	d := fake.New(fake.Config{})
	e := cuda.New(d, 0, cuda.Options{})
	queueOf(t, e)
	d.FailNext("SetContext", 1, driver.OutOfMemory)
	require.ErrorContains(t, e.Close(), "out of memory")
	require.Zero(t, d.Live().Contexts)
	require.NoError(t, e.Close())
}

// A call that is waited for at the end may ask for the queue: it is told of the end.
func TestCloseDuringACall(t *testing.T) {
	d := fake.New(fake.Config{})
	e := cuda.New(d, 0, cuda.Options{})
	inside, closed := make(chan struct{}), make(chan error)
	go func() {
		<-inside
		closed <- e.Close()
	}()
	err := e.Within(func() error {
		close(inside)
		for {
			if _, err := e.Queue(); err != nil {
				return err
			}
		}
	})
	require.ErrorContains(t, err, "cuda:0 is closed")
	require.NoError(t, <-closed)
	require.Equal(t, fake.Live{}, d.Live())
}

// A fault that shows at the end is told once, and the context is released.
func TestCloseOfALostDevice(t *testing.T) {
	d := fake.New(fake.Config{})
	e := cuda.New(d, 0, cuda.Options{})
	require.NoError(t, roundTrip(queueOf(t, e), 100, 1))
	d.FailNext("SyncStream", 1, driver.IllegalAddress)
	err := e.Close()
	var lost *cuda.LostError
	require.ErrorAs(t, err, &lost)
	require.Equal(t, lost.Error(), err.Error())
	require.Zero(t, d.Live().Contexts)
}
