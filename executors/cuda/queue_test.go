package cuda_test

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/executors"
	"jitc/executors/cuda"
	"jitc/executors/cuda/driver"
	"jitc/executors/cuda/driver/fake"
)

// newExecutor is an executor on a fake driver, which must be left as it was.
func newExecutor(t *testing.T, c fake.Config, o cuda.Options) (*cuda.Executor, *fake.Driver) {
	t.Helper()
	d := fake.New(c)
	e := cuda.New(d, 0, o)
	t.Cleanup(func() {
		require.NoError(t, e.Close())
		require.Equal(t, fake.Live{}, d.Live())
	})
	return e, d
}

func queueOf(t *testing.T, e *cuda.Executor) executors.Queue {
	t.Helper()
	q, err := e.Queue()
	require.NoError(t, err)
	return q
}

// What the machine lacks is said in words.
func TestUnavailable(t *testing.T) {
	for _, c := range []struct {
		name   string
		config fake.Config
		dev    int
		want   string
	}{
		{"no device", fake.Config{Devices: -1}, 0, "no CUDA device 0: the driver sees 0"},
		{"no such device", fake.Config{Devices: 2}, 2, "no CUDA device 2: the driver sees 2"},
		{"old driver", fake.Config{Version: 11020}, 0, "CUDA driver too old: it supports CUDA 11.2, needed is CUDA 11.8 or later"},
		{"old device", fake.Config{Major: 7, Minor: 5}, 0, "has compute capability 7.5, 8.0 is needed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := fake.New(c.config)
			e := cuda.New(d, c.dev, cuda.Options{})
			require.ErrorContains(t, e.Available(), c.want)
			_, err := e.Queue()
			require.ErrorContains(t, err, c.want)
			asked := d.Count("DeviceCount")
			require.Error(t, e.Available())
			require.Equal(t, asked, d.Count("DeviceCount"), "the driver is asked once")
			require.NoError(t, e.Close())
		})
	}
}

func TestNoDriver(t *testing.T) {
	opened := 0
	e := cuda.NewOf(func() (driver.API, error) { opened++; return nil, errors.New("libcuda.so.1 not found") })
	require.EqualError(t, e.Available(), "libcuda.so.1 not found")
	require.EqualError(t, e.Available(), "libcuda.so.1 not found")
	require.Equal(t, 1, opened)
	require.Empty(t, e.Features())
}

func TestRegistered(t *testing.T) {
	require.Same(t, cuda.At(0), cuda.At(0))
	require.Equal(t, "cuda", cuda.At(0).Name())
	require.Equal(t, "cuda:1", cuda.At(1).Name())
	found := false
	for _, e := range executors.All() {
		found = found || e == executors.Executor(cuda.At(0))
	}
	require.True(t, found)
}

func TestFeatures(t *testing.T) {
	e, _ := newExecutor(t, fake.Config{Major: 9, Multiprocessors: 132, Memory: 80 << 30}, cuda.Options{})
	require.Contains(t, e.Features(), "compute capability 9.0, 132 multiprocessors, 80.0 GiB, CUDA 12.4")
}

// A device that cannot be taken hold of now may be later.
func TestQueueFailsThenWorks(t *testing.T) {
	e, d := newExecutor(t, fake.Config{}, cuda.Options{})
	for _, call := range []string{"RetainContext", "NewStream"} {
		d.FailNext(call, 1, driver.OutOfMemory)
		_, err := e.Queue()
		require.ErrorContains(t, err, "cuda:0 cannot be used: ")
		require.Zero(t, d.Live().Contexts)
	}
	require.NoError(t, queueOf(t, e).Sync())
}

func TestSizeClasses(t *testing.T) {
	for _, n := range []int{1, 511, 512, 513, 2048, 2049, 4000, 1 << 20, 1<<20 + 1, 3 << 20, 64 << 20, 64<<20 + 1, 3<<30 + 5} {
		c := cuda.SizeClass(n)
		assert.GreaterOrEqual(t, c, n)
		assert.LessOrEqual(t, c, max(512, n+n/4+512), "class of %d", n)
		assert.Zero(t, c%512)
		assert.Equal(t, c, cuda.SizeClass(c), "a class is in itself")
	}
}

// Freed memory is used again without the driver, and given back when there is need.
func TestMemoryIsReused(t *testing.T) {
	e, d := newExecutor(t, fake.Config{Memory: 64 << 20}, cuda.Options{})
	q := queueOf(t, e)
	for range 10 {
		a, err := q.Alloc(1 << 20)
		require.NoError(t, err)
		b, err := q.Alloc(1<<20 - 100)
		require.NoError(t, err)
		q.Free(a)
		q.Free(b)
	}
	require.Equal(t, 2, d.Count("AllocAsync"))
	all, err := q.Alloc(63 << 20)
	require.NoError(t, err, "idle blocks make room")
	require.Equal(t, 2, d.Count("FreeAsync"))
	q.Free(all) // more than may be idle
	require.Equal(t, 3, d.Count("FreeAsync"))
}

// withoutPools is a driver from before there was stream-ordered allocation, or a
// device that has none.
type withoutPools struct{ *fake.Driver }

func (d withoutPools) DeviceAttribute(dev int, a driver.DeviceAttribute) (int, error) {
	if a == driver.AttrMemoryPools {
		return 0, nil
	}
	return d.Driver.DeviceAttribute(dev, a)
}

func TestMemoryWithoutPools(t *testing.T) {
	d := fake.New(fake.Config{Memory: 8 << 20})
	e := cuda.New(withoutPools{d}, 0, cuda.Options{})
	q := queueOf(t, e)
	for i := range 3 {
		require.NoError(t, roundTrip(q, 1<<20, i))
	}
	require.Equal(t, 1, d.Count("Alloc"))
	_, err := q.Alloc(9 << 20)
	var short *cuda.OutOfMemoryError
	require.ErrorAs(t, err, &short)
	require.NoError(t, e.Close())
	require.Equal(t, fake.Live{}, d.Live())
	require.Zero(t, d.Count("AllocAsync")+d.Count("TrimPool"))
}

func TestNoReuse(t *testing.T) {
	e, d := newExecutor(t, fake.Config{}, cuda.Options{NoReuse: true})
	q := queueOf(t, e)
	for i := 1; i < 4; i++ {
		a, err := q.Alloc(1000)
		require.NoError(t, err)
		require.Equal(t, 1000, d.Live().Bytes)
		q.Free(a)
		require.Equal(t, i, d.Count("FreeAsync"))
	}
}

func TestTooLittleMemory(t *testing.T) {
	e, _ := newExecutor(t, fake.Config{Memory: 10 << 20}, cuda.Options{})
	q := queueOf(t, e)
	a, err := q.Alloc(4 << 20)
	require.NoError(t, err)
	_, err = q.Alloc(8<<20 + 1)
	var short *cuda.OutOfMemoryError
	require.ErrorAs(t, err, &short)
	require.Equal(t, [4]int{8<<20 + 1, 6 << 20, 10 << 20, 4 << 20}, [4]int{short.Asked, short.Free, short.Total, short.Held})
	require.EqualError(t, err, "cuda:0: out of memory: asked for 8388609 bytes, 6291456 of 10485760 are free, 4194304 are in use by this program")
	b, err := q.Alloc(6 << 20)
	require.NoError(t, err)
	q.Free(a)
	q.Free(b)
}

func TestFreeOfSomethingElse(t *testing.T) {
	e, _ := newExecutor(t, fake.Config{}, cuda.Options{})
	q := queueOf(t, e)
	a, err := q.Alloc(100)
	require.NoError(t, err)
	require.Panics(t, func() { q.Free(a[1:]) })
	q.Free(a)
	require.Panics(t, func() { q.Free(a) })
	q.Free(nil)
}

// Copies in pieces, from several goroutines, through slots that are used again and
// again, on a driver that copies as late as it may.
func TestCopiesInPieces(t *testing.T) {
	e, d := newExecutor(t, fake.Config{}, cuda.Options{PieceBytes: 1000})
	q := queueOf(t, e)
	var all sync.WaitGroup
	for g := range 4 {
		all.Go(func() {
			for _, n := range []int{1, 999, 1000, 1001, 4000, 9999} {
				assert.NoError(t, roundTrip(q, n, g))
			}
		})
	}
	all.Wait()
	require.LessOrEqual(t, d.Live().HostAllocations, 2+4)
	require.LessOrEqual(t, d.Live().Events, 128+4+4*(1+4))
}

func roundTrip(q executors.Queue, n, seed int) error {
	mem, err := q.Alloc(n)
	if err != nil {
		return err
	}
	defer q.Free(mem)
	src, got := make([]byte, n), make([]byte, n)
	for i := range src {
		src[i] = byte(i*seed + i>>8 + seed)
	}
	want := bytes.Clone(src)
	err = errors.Join(q.Upload(mem, src))
	clear(src)
	if err = errors.Join(err, q.Download(got, mem)); err == nil && !bytes.Equal(got, want) {
		err = fmt.Errorf("%d bytes differ", n)
	}
	return err
}

// The host can be many uploads ahead of the device.
func TestSmallUploadsDoNotWait(t *testing.T) {
	e, d := newExecutor(t, fake.Config{}, cuda.Options{})
	q := queueOf(t, e)
	mem, err := q.Alloc(100 * 64)
	require.NoError(t, err)
	defer q.Free(mem)
	for i := range 100 {
		require.NoError(t, q.Upload(mem[64*i:][:64], bytes.Repeat([]byte{byte(i)}, 64)))
	}
	require.Zero(t, d.Count("SyncEvent"))
	got := make([]byte, 6400)
	require.NoError(t, q.Download(got, mem))
	for i := range got {
		require.Equal(t, byte(i/64), got[i])
	}
}

// Copies fail as the driver fails, and the queue goes on; nothing leaks.
func TestCopyFailures(t *testing.T) {
	for _, call := range []string{"AllocHost", "NewEvent", "CopyToDevice", "RecordEvent", "SetContext", "CopyToHost"} {
		t.Run(call, func(t *testing.T) {
			e, d := newExecutor(t, fake.Config{}, cuda.Options{PieceBytes: 100})
			q := queueOf(t, e)
			mem, err := q.Alloc(1000)
			require.NoError(t, err)
			d.FailNext(call, 1, driver.OutOfMemory)
			src := bytes.Repeat([]byte{7}, 1000)
			err = errors.Join(q.Upload(mem, src), q.Download(make([]byte, 1000), mem))
			require.ErrorContains(t, err, "out of memory")
			require.NoError(t, roundTrip(q, 1000, 3))
			q.Free(mem)
		})
	}
}

// A fault is told by every later call, as the first of them told it.
func TestLostDevice(t *testing.T) {
	e, d := newExecutor(t, fake.Config{}, cuda.Options{})
	q := queueOf(t, e)
	mem, err := q.Alloc(64)
	require.NoError(t, err)
	d.FailNext("SyncStream", 1, driver.IllegalAddress)
	first := q.Sync()
	var lost *cuda.LostError
	require.ErrorAs(t, first, &lost)
	require.ErrorContains(t, first, "device cuda:0 lost: cuStreamSynchronize: an illegal memory access")
	calls := d.Count("SetContext")
	_, allocErr := q.Alloc(100)
	_, queueErr := e.Queue()
	for _, err := range []error{allocErr, queueErr, q.Upload(mem, make([]byte, 64)), q.Download(make([]byte, 64), mem),
		q.Copy(mem, mem), q.Sync()} {
		require.Equal(t, first, err)
	}
	q.Free(mem)
	require.Equal(t, calls, d.Count("SetContext"), "the driver is left alone")
}

func TestClosed(t *testing.T) {
	e, _ := newExecutor(t, fake.Config{}, cuda.Options{})
	q := queueOf(t, e)
	require.NoError(t, e.Close())
	require.NoError(t, e.Close())
	_, err := e.Queue()
	require.EqualError(t, err, "cuda:0 is closed")
	require.EqualError(t, q.Sync(), "cuda:0 is closed")
}

// What is larger than the device is refused without asking the driver, and costs
// none of the idle memory.
func TestMoreThanTheDevice(t *testing.T) {
	e, d := newExecutor(t, fake.Config{Memory: 1 << 20}, cuda.Options{})
	q := queueOf(t, e)
	before := d.Count("AllocAsync")
	_, err := q.Alloc(1<<20 + 1)
	var short *cuda.OutOfMemoryError
	require.ErrorAs(t, err, &short)
	require.Equal(t, []int{1<<20 + 1, 1 << 20}, []int{short.Asked, short.Total})
	require.ErrorIs(t, err, &driver.Error{Code: driver.OutOfMemory})
	require.Equal(t, before, d.Count("AllocAsync"))
}
