package fake

import (
	"runtime/debug"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/executors/cuda/driver"
)

// touch reads a byte of a device address on the host.
func touch(p driver.Ptr) (fault any) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() { fault = recover() }()
	sink = *(*byte)(*(*unsafe.Pointer)(unsafe.Pointer(&p)))
	return nil
}

var sink byte

func TestAddresses(t *testing.T) {
	g := newGPU(t, Config{})
	seen := map[driver.Ptr]bool{}
	for range 20 {
		p, err := g.Alloc(100)
		require.NoError(t, err)
		assert.False(t, seen[p], "an address is given out once")
		assert.EqualValues(t, 256, p%512, "no more aligned than promised")
		seen[p] = true
		require.NoError(t, g.Free(p))
		if guarded {
			assert.NotNil(t, touch(p))
		}
	}
	assert.Equal(t, 1, len(g.contexts))
}

func TestFreeOfWhatIsNot(t *testing.T) {
	g := newGPU(t, Config{})
	p, err := g.Alloc(100)
	require.NoError(t, err)
	requireCode(t, driver.InvalidValue, g.Free(p+1))
	require.NoError(t, g.Free(p))
	requireCode(t, driver.InvalidValue, g.Free(p))
	requireCode(t, driver.InvalidValue, g.FreeAsync(p, g.stream))
	require.NoError(t, g.Free(0))

	q, err := g.AllocAsync(100, g.stream)
	require.NoError(t, err)
	requireCode(t, driver.InvalidValue, g.Free(q))
	require.NoError(t, g.FreeAsync(q, g.stream))
	requireCode(t, driver.InvalidValue, g.FreeAsync(q, g.stream))
	_, err = g.Alloc(0)
	requireCode(t, driver.InvalidValue, err)
	_, err = g.AllocAsync(-1, g.stream)
	requireCode(t, driver.InvalidValue, err)
	_, err = g.AllocHost(-1)
	requireCode(t, driver.InvalidValue, err)
	require.NoError(t, g.FreeHost(g.host(0)))
}

func TestFreedTooEarly(t *testing.T) {
	g := newGPU(t, Config{})
	p, q := g.ones(), g.ones()
	require.NoError(t, g.FreeAsync(p, g.stream))
	g.launch("move", []driver.Ptr{q, p})
	requireCode(t, driver.IllegalAddress, g.SyncStream(g.stream))
}

func TestFreeInOrder(t *testing.T) {
	g := newGPU(t, Config{})
	p, q := g.ones(), g.ones()
	g.launch("inc", []driver.Ptr{p}, 1)
	g.launch("move", []driver.Ptr{q, p})
	require.NoError(t, g.FreeAsync(p, g.stream))
	assert.EqualValues(t, 2, g.first(q))
}

func TestFreeWaits(t *testing.T) {
	g := newGPU(t, Config{})
	p, err := g.Alloc(128)
	require.NoError(t, err)
	require.NoError(t, g.CopyOnDevice(p, g.ones(), 128, g.stream))
	g.launch("inc", []driver.Ptr{p}, 1)
	require.NoError(t, g.Free(p))
	require.NoError(t, g.SyncStream(g.stream))

	q := g.ones()
	require.NoError(t, g.SyncStream(g.stream))
	g.launch("inc", []driver.Ptr{q}, 1)
	require.NoError(t, g.Free(q), "of what AllocAsync gave it does not")
	requireCode(t, driver.IllegalAddress, g.SyncStream(g.stream))
}

func TestAllocationOnAnotherStream(t *testing.T) {
	g := newGPU(t, Config{})
	other, err := g.NewStream()
	require.NoError(t, err)
	p, err := g.AllocAsync(128, other)
	require.NoError(t, err)
	require.NoError(t, g.CopyOnDevice(p, g.ones(), 128, g.stream))
	requireCode(t, driver.IllegalAddress, g.SyncStream(g.stream))

	g = newGPU(t, Config{})
	other, err = g.NewStream()
	require.NoError(t, err)
	p, err = g.AllocAsync(128, other)
	require.NoError(t, err)
	require.NoError(t, g.FreeAsync(p, g.stream))
	e := requireCode(t, driver.IllegalAddress, g.SyncStream(g.stream))
	assert.Contains(t, e.Detail, "ahead of its allocation")
}

func TestMemoryEnds(t *testing.T) {
	g := newGPU(t, Config{Memory: 1000})
	p, err := g.Alloc(600)
	require.NoError(t, err)
	_, err = g.AllocAsync(401, g.stream)
	e := requireCode(t, driver.OutOfMemory, err)
	assert.Contains(t, e.Detail, "401 bytes asked for, 400 of 1000 are free")
	free, total, err := g.MemoryInfo()
	require.NoError(t, err)
	assert.Equal(t, []int{400, 1000}, []int{free, total})
	require.NoError(t, g.Free(p))
	_, err = g.AllocAsync(1000, g.stream)
	require.NoError(t, err)
}

func TestAddressSpaceStartsAgain(t *testing.T) {
	a := newAddressSpace(make([]byte, 64<<10))
	kept := a.take(1000)
	require.NotZero(t, kept)
	for range 100 {
		p := a.take(20 << 10)
		require.NotZero(t, p)
		assert.True(t, p >= kept+1000 || p+(20<<10) <= kept, "the kept block is not given out again")
		assert.GreaterOrEqual(t, uintptr(p), a.low)
		assert.LessOrEqual(t, uintptr(p)+(20<<10), a.high)
		a.give(p)
	}
	require.NotZero(t, a.take(40<<10))
	assert.Zero(t, a.take(40<<10), "there is no room")
	assert.NotZero(t, a.take(1000))
}
