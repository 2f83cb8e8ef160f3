package fake

import (
	"reflect"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/executors/cuda/driver"
)

func TestCallsNeedAContext(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	d := New(Config{})
	_, err := d.NewStream()
	assert.ErrorContains(t, err, "no context is current")
	requireCode(t, driver.InvalidContext, d.SetContext(1234))
	requireCode(t, driver.InvalidContext, d.ReleaseContext(0))

	c, err := d.RetainContext(0)
	require.NoError(t, err)
	again, err := d.RetainContext(0)
	require.NoError(t, err)
	assert.Equal(t, c, again, "the primary context is one")
	require.NoError(t, d.SetContext(c))
	_, err = d.NewStream()
	require.NoError(t, err)
	require.NoError(t, d.SetContext(0))
	_, err = d.NewStream()
	requireCode(t, driver.InvalidContext, err)

	require.NoError(t, d.SetContext(c))
	require.NoError(t, d.ReleaseContext(0))
	_, err = d.NewStream()
	require.NoError(t, err, "one release is to come")
	require.NoError(t, d.ReleaseContext(0))
	_, err = d.NewStream()
	assert.ErrorContains(t, err, "has been released")
	requireCode(t, driver.InvalidContext, d.SetContext(c))
}

func TestCallersAreLockedToTheirThread(t *testing.T) {
	g := newGPU(t, Config{})
	errs := make(chan error, 3)
	go func() {
		errs <- g.SetContext(0)
		_, err := g.NewStream()
		errs <- err
		runtime.LockOSThread() // this thread has no context; it ends with the goroutine
		_, err = g.NewStream()
		errs <- err
	}()
	assert.ErrorContains(t, <-errs, "not locked to its thread")
	assert.ErrorContains(t, <-errs, "not locked to its thread")
	requireCode(t, driver.InvalidContext, <-errs)
}

func TestAContextOfAnotherGoroutineIsLeftOver(t *testing.T) {
	g := newGPU(t, Config{})
	cur := g.current[thread()]
	cur.goroutine = "goroutine 0"
	g.current[thread()] = cur
	_, err := g.NewStream()
	assert.ErrorContains(t, err, "left over from goroutine 0")
}

func TestHandlesOfAnotherContext(t *testing.T) {
	g := newGPU(t, Config{Devices: 2})
	other, err := g.RetainContext(1)
	require.NoError(t, err)
	require.NoError(t, g.SetContext(other))
	requireCode(t, driver.InvalidContext, g.SyncStream(g.stream))
	_, err = g.Function(g.module, "inc")
	requireCode(t, driver.InvalidContext, err)
}

func TestHandlesOfNothing(t *testing.T) {
	g := newGPU(t, Config{})
	f := g.function("inc")
	for name, call := range map[string]func() error{
		"stream for a module":   func() error { return g.UnloadModule(driver.Module(g.stream)) },
		"module for a stream":   func() error { return g.SyncStream(driver.Stream(g.module)) },
		"function for an event": func() error { return g.RecordEvent(driver.Event(f), g.stream) },
		"nothing for a graph":   func() error { _, err := g.Instantiate(0); return err },
	} {
		requireCode(t, driver.InvalidHandle, call())
		assert.Equal(t, 1, g.Live().Modules, name)
	}
	require.NoError(t, g.UnloadModule(g.module))
	requireCode(t, driver.InvalidHandle, g.UnloadModule(g.module))
	requireCode(t, driver.InvalidHandle, g.Launch(f, config(nil), g.stream))
	require.NoError(t, g.DestroyStream(g.stream))
	requireCode(t, driver.InvalidHandle, g.DestroyStream(g.stream))
}

// arguments are zeros for a method of the API.
func zeros(method reflect.Value) []reflect.Value {
	args := make([]reflect.Value, method.Type().NumIn())
	for i := range args {
		args[i] = reflect.Zero(method.Type().In(i))
	}
	return args
}

func TestEveryCallCanBeMadeToFail(t *testing.T) {
	api := reflect.TypeFor[driver.API]()
	for i := range api.NumMethod() {
		name := api.Method(i).Name
		require.Contains(t, driverCalls, name)
		g := newGPU(t, Config{})
		g.FailNext(name, 1, driver.NotSupported)
		before := g.Count(name)
		method := reflect.ValueOf(g.Driver).MethodByName(name)
		results := method.Call(zeros(method))
		err, _ := results[len(results)-1].Interface().(error)
		e := requireCode(t, driver.NotSupported, err)
		assert.Equal(t, driverCalls[name], e.Call)
		assert.Equal(t, before+1, g.Count(name))
	}
	assert.Len(t, driverCalls, api.NumMethod()+1, "the methods, and Assemble")
}

func TestTheNthCallFails(t *testing.T) {
	g := newGPU(t, Config{})
	g.FailNext("Alloc", 2, driver.OutOfMemory)
	g.FailNext("Alloc", 3, driver.NotSupported)
	_, err := g.Alloc(1)
	require.NoError(t, err)
	_, err = g.Alloc(1)
	requireCode(t, driver.OutOfMemory, err)
	_, err = g.Alloc(1)
	requireCode(t, driver.NotSupported, err)
	_, err = g.Alloc(1)
	require.NoError(t, err)
	assert.Panics(t, func() { g.FailNext("Allocate", 1, driver.OutOfMemory) })
	assert.Panics(t, func() { g.FailNext("Alloc", 0, driver.OutOfMemory) })
}

func TestLostContexts(t *testing.T) {
	g := newGPU(t, Config{})
	p := g.ones()
	g.launch("inc", []driver.Ptr{p}, 1)
	g.launch("inc", []driver.Ptr{p + 64}, 1) // half of it behind the end
	g.launch("inc", []driver.Ptr{p}, 1)
	e := requireCode(t, driver.IllegalAddress, g.SyncStream(g.stream))
	assert.True(t, e.Sticky())
	assert.Contains(t, e.Detail, "inc")
	assert.Equal(t, "cuStreamSynchronize", e.Call)
	assert.Zero(t, g.Live().Queued, "what came behind is dropped")
	_, err := g.Alloc(16)
	requireCode(t, driver.IllegalAddress, err)
	requireCode(t, driver.IllegalAddress, g.DestroyStream(g.stream))

	require.NoError(t, g.ReleaseContext(0))
	assert.Equal(t, Live{}, g.Live())
	g.enter()
	g.stream, err = g.NewStream()
	require.NoError(t, err)
	g.module, _, err = g.LoadModule([]byte(text))
	require.NoError(t, err)
	p = g.ones()
	g.launch("inc", []driver.Ptr{p}, 1)
	assert.EqualValues(t, 2, g.first(p))
}

func TestInjectedFaultsAreSticky(t *testing.T) {
	g := newGPU(t, Config{})
	g.FailNext("SyncStream", 1, driver.LaunchFailed)
	requireCode(t, driver.LaunchFailed, g.SyncStream(g.stream))
	requireCode(t, driver.LaunchFailed, g.SyncStream(g.stream))
}

func TestKindsOfFaults(t *testing.T) {
	for name, c := range map[string]struct {
		code   int
		entry  string
		shared uint32
		offset driver.Ptr
	}{
		"misaligned":     {driver.MisalignedAddress, "double", 0, 2},
		"out of bounds":  {driver.IllegalAddress, "double", 0, 4},
		"shared, beyond": {driver.LaunchFailed, "through", 64, 0},
	} {
		g := newGPU(t, Config{})
		conf := config([]driver.Ptr{g.ones() + c.offset})
		conf.Shared = c.shared
		require.NoError(t, g.Launch(g.function(c.entry), conf, g.stream), name)
		requireCode(t, c.code, g.SyncStream(g.stream))
	}
}

func TestUnwrittenMemoryIsAFault(t *testing.T) {
	g := newGPU(t, Config{})
	p, err := g.AllocAsync(128, g.stream)
	require.NoError(t, err)
	g.launch("double", []driver.Ptr{p})
	e := requireCode(t, driver.LaunchFailed, g.SyncStream(g.stream))
	assert.Contains(t, e.Detail, "unwritten")
}

func TestLive(t *testing.T) {
	g := newGPU(t, Config{})
	e, err := g.NewEvent()
	require.NoError(t, err)
	graph, err := g.NewGraph()
	require.NoError(t, err)
	_, err = g.AddKernelNode(graph, nil, g.function("inc"), config([]driver.Ptr{0}, 1))
	require.NoError(t, err)
	x, err := g.Instantiate(graph)
	require.NoError(t, err)
	p := g.ones()
	assert.Equal(t, Live{
		Contexts: 1, Modules: 1, Streams: 1, Events: 1, Graphs: 1, GraphExecs: 1,
		Allocations: 1, Bytes: 128, HostAllocations: 1, HostBytes: 128, Queued: 2,
	}, g.Live())
	require.NoError(t, g.FreeAsync(p, g.stream))
	require.NoError(t, g.SyncStream(g.stream))
	require.NoError(t, g.DestroyGraphExec(x))
	require.NoError(t, g.DestroyGraph(graph))
	require.NoError(t, g.DestroyEvent(e))
	require.NoError(t, g.UnloadModule(g.module))
	require.NoError(t, g.DestroyStream(g.stream))
	assert.Equal(t, Live{Contexts: 1, HostAllocations: 1, HostBytes: 128}, g.Live())
	assert.Empty(t, g.objects)
}
