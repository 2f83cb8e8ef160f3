package fake

import (
	"runtime"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/executors/cuda/driver"
)

func TestCopiesReadTheHostLate(t *testing.T) {
	g := newGPU(t, Config{})
	p, err := g.AllocAsync(4, g.stream)
	require.NoError(t, err)
	mem := g.host(4)
	mem[0] = 1
	require.NoError(t, g.CopyToDevice(p, mem, g.stream))
	mem[0] = 2
	assert.EqualValues(t, 2, g.first(p), "the memory was used again too early")
}

func TestCopiesWriteTheHostLate(t *testing.T) {
	for eager, want := range map[bool]byte{false: 0, true: 1} {
		g := newGPU(t, Config{Eager: eager})
		p := g.ones()
		mem := g.host(4)
		require.NoError(t, g.CopyToHost(mem, p, g.stream))
		assert.Equal(t, want, mem[0])
		require.NoError(t, g.SyncStream(g.stream))
		assert.EqualValues(t, 1, mem[0])
	}
}

func TestCopyOnDevice(t *testing.T) {
	g := newGPU(t, Config{})
	p := g.ones()
	q, err := g.Alloc(8)
	require.NoError(t, err)
	require.NoError(t, g.CopyOnDevice(q+4, p, 4, g.stream))
	assert.EqualValues(t, 1, g.first(q+4))
	require.NoError(t, g.CopyOnDevice(q, p, 0, g.stream))
	for _, err := range []error{
		g.CopyOnDevice(q+1, p, 8, g.stream),
		g.CopyOnDevice(q-1, p, 1, g.stream),
		g.CopyOnDevice(q, p, -1, g.stream),
		g.CopyOnDevice(q, p+125, 4, g.stream),
	} {
		requireCode(t, driver.InvalidValue, err)
	}
}

func TestHostMemoryIsPinned(t *testing.T) {
	g := newGPU(t, Config{})
	p := g.ones()
	e := requireCode(t, driver.InvalidValue, g.CopyToDevice(p, make([]byte, 4), g.stream))
	assert.Contains(t, e.Detail, "not pinned")
	mem := g.host(8)
	require.NoError(t, g.CopyToHost(mem[4:], p, g.stream), "a part of it")
	require.NoError(t, g.FreeHost(mem))
	assert.EqualValues(t, 0xDB, mem[0])
	requireCode(t, driver.InvalidValue, g.FreeHost(mem))
	e = requireCode(t, driver.IllegalAddress, g.SyncStream(g.stream))
	assert.Contains(t, e.Detail, "freed while a copy")
}

func TestStreamsAreIndependent(t *testing.T) {
	g := newGPU(t, Config{})
	p := g.ones()
	require.NoError(t, g.SyncStream(g.stream))
	other, err := g.NewStream()
	require.NoError(t, err)
	require.NoError(t, g.Launch(g.function("inc"), config([]driver.Ptr{p}, 1), other))
	assert.EqualValues(t, 1, g.first(p), "nothing waits for the other stream")
	require.NoError(t, g.SyncStream(other))
	assert.EqualValues(t, 2, g.first(p))

	require.NoError(t, g.Launch(g.function("inc"), config([]driver.Ptr{p}, 1), 0))
	require.NoError(t, g.Launch(g.function("inc"), config([]driver.Ptr{p}, 1), other))
	require.NoError(t, g.DestroyStream(other))
	assert.EqualValues(t, 3, g.first(p), "a stream ends with its work done")
	require.NoError(t, g.SyncStream(0))
	assert.EqualValues(t, 4, g.first(p))
}

func TestAdvance(t *testing.T) {
	g := newGPU(t, Config{})
	p := g.ones()
	g.launch("inc", []driver.Ptr{p}, 1)
	assert.Equal(t, 3, g.Live().Queued)
	assert.Equal(t, 2, g.Advance(2))
	assert.Equal(t, 1, g.Live().Queued)
	assert.Equal(t, 1, g.Advance(100))
	assert.Equal(t, 0, g.Advance(100))
	assert.EqualValues(t, 2, g.first(p))
}

func TestEvents(t *testing.T) {
	g := newGPU(t, Config{})
	p := g.ones()
	e, err := g.NewEvent()
	require.NoError(t, err)
	require.NoError(t, g.SyncEvent(e), "never recorded")
	g.launch("inc", []driver.Ptr{p}, 1)
	require.NoError(t, g.RecordEvent(e, g.stream))
	g.launch("inc", []driver.Ptr{p}, 1)
	require.NoError(t, g.SyncEvent(e))
	assert.Equal(t, 1, g.Live().Queued, "what is behind the event is not waited for")
}

func TestWaitEventOrdersStreams(t *testing.T) {
	g := newGPU(t, Config{})
	p := g.ones()
	e, err := g.NewEvent()
	require.NoError(t, err)
	g.launch("inc", []driver.Ptr{p}, 1)
	require.NoError(t, g.RecordEvent(e, g.stream))
	g.launch("inc", []driver.Ptr{p}, 100)
	other, err := g.NewStream()
	require.NoError(t, err)
	require.NoError(t, g.WaitEvent(e, other))
	require.NoError(t, g.RecordEvent(e, g.stream), "that does not change what is waited for")
	require.NoError(t, g.Launch(g.function("double"), config([]driver.Ptr{p}), other))
	require.NoError(t, g.SyncStream(other))
	assert.EqualValues(t, 104, g.first(p))
}

func TestUnloadedUnderALaunch(t *testing.T) {
	g := newGPU(t, Config{})
	g.launch("inc", []driver.Ptr{g.ones()}, 1)
	require.NoError(t, g.UnloadModule(g.module))
	e := requireCode(t, driver.LaunchFailed, g.SyncStream(g.stream))
	assert.Contains(t, e.Detail, "unloaded while")
}

func TestConcurrentUse(t *testing.T) {
	g := newGPU(t, Config{})
	c, err := g.RetainContext(0)
	require.NoError(t, err)
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			mine := *g
			assert.NoError(t, g.SetContext(c))
			var err error
			if mine.stream, err = g.NewStream(); !assert.NoError(t, err) {
				return
			}
			p := mine.ones()
			for range 5 {
				mine.launch("inc", []driver.Ptr{p}, uint32(i))
			}
			assert.EqualValues(t, 1+5*i, mine.first(p))
		})
	}
	wg.Wait()
}
