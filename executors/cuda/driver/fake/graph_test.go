package fake

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/executors/cuda/driver"
)

// node adds a kernel node.
func (g *gpu) node(to driver.Graph, deps []driver.Node, name string, p driver.Ptr, rest ...uint32) driver.Node {
	g.t.Helper()
	n, err := g.AddKernelNode(to, deps, g.function(name), config([]driver.Ptr{p}, rest...))
	require.NoError(g.t, err)
	return n
}

func (g *gpu) graph() driver.Graph {
	g.t.Helper()
	h, err := g.NewGraph()
	require.NoError(g.t, err)
	return h
}

func (g *gpu) instantiate(h driver.Graph) driver.GraphExec {
	g.t.Helper()
	x, err := g.Instantiate(h)
	require.NoError(g.t, err)
	return x
}

// run launches x on a fresh 1 and returns what becomes of it; the nodes of x work
// on p.
func (g *gpu) run(x driver.GraphExec, p driver.Ptr) uint32 {
	g.t.Helper()
	one := g.ones()
	require.NoError(g.t, g.CopyOnDevice(p, one, 128, g.stream))
	require.NoError(g.t, g.LaunchGraph(x, g.stream))
	return g.first(p)
}

func TestGraphsKeepTheOrderOfTheirEdges(t *testing.T) {
	g := newGPU(t, Config{})
	p, h := g.ones(), g.graph()
	a := g.node(h, nil, "inc", p, 2)
	b := g.node(h, []driver.Node{a}, "double", p)
	c := g.node(h, []driver.Node{b}, "inc", p, 1)
	g.node(h, []driver.Node{c, a}, "double", p)
	x := g.instantiate(h)
	require.NoError(t, g.DestroyGraph(h))
	for range 10 {
		assert.EqualValues(t, 14, g.run(x, p))
	}
	require.NoError(t, g.DestroyGraphExec(x))
	requireCode(t, driver.InvalidHandle, g.LaunchGraph(x, g.stream))
}

func TestAMissingEdgeShows(t *testing.T) {
	results := func(seed int64) (list []uint32) {
		g := newGPU(t, Config{Seed: seed})
		p, h := g.ones(), g.graph()
		g.node(h, nil, "inc", p, 2)
		g.node(h, nil, "double", p) // should be behind
		x := g.instantiate(h)
		for range 20 {
			list = append(list, g.run(x, p))
		}
		return list
	}
	r := results(1)
	assert.EqualValues(t, 4, r[0], "the first launch runs what was added last first")
	assert.Contains(t, r, uint32(6), "others run in any order")
	assert.Equal(t, r, results(1), "the order is that of the seed")
	assert.NotEqual(t, r, results(2))
}

func TestSetKernelNode(t *testing.T) {
	g := newGPU(t, Config{})
	p, q, h := g.ones(), g.ones(), g.graph()
	a := g.node(h, nil, "inc", p, 2)
	g.node(h, []driver.Node{a}, "double", p)
	x, other := g.instantiate(h), g.instantiate(h)

	require.NoError(t, g.LaunchGraph(x, g.stream)) // queued as it is now: p = 6
	require.NoError(t, g.SetKernelNode(x, a, g.function("inc"), config([]driver.Ptr{q}, 9)))
	require.NoError(t, g.LaunchGraph(x, g.stream)) // p = 12, q = 10
	assert.EqualValues(t, 12, g.first(p))
	assert.EqualValues(t, 10, g.first(q))
	require.NoError(t, g.LaunchGraph(other, g.stream)) // is as it was: p = 28
	assert.EqualValues(t, 28, g.first(p))
	require.NoError(t, g.SetKernelNode(x, a, g.function("double"), config([]driver.Ptr{q})))
	require.NoError(t, g.LaunchGraph(x, g.stream))
	assert.EqualValues(t, 20, g.first(q), "another function")

	requireCode(t, driver.InvalidValue, g.SetKernelNode(x, 77, g.function("inc"), config([]driver.Ptr{q}, 9)))
	requireCode(t, driver.InvalidValue, g.SetKernelNode(x, a, g.function("inc"), config([]driver.Ptr{q})))
}

func TestNodesThatAreRefused(t *testing.T) {
	g := newGPU(t, Config{})
	h, other := g.graph(), g.graph()
	a, foreign := g.node(h, nil, "double", 0), g.node(other, nil, "double", 0)
	f := g.function("double")
	for name, c := range map[string]struct {
		code int
		deps []driver.Node
		conf *driver.LaunchConfig
	}{
		"edge of another graph": {driver.InvalidValue, []driver.Node{foreign}, config([]driver.Ptr{0})},
		"edge twice":            {driver.InvalidValue, []driver.Node{a, a}, config([]driver.Ptr{0})},
		"edge of nothing":       {driver.InvalidHandle, []driver.Node{1}, config([]driver.Ptr{0})},
		"parameters":            {driver.InvalidValue, nil, config(nil)},
	} {
		_, err := g.AddKernelNode(h, c.deps, f, c.conf)
		requireCode(t, c.code, err)
		assert.Len(t, g.objects[uintptr(h)].(*graph).nodes, 1, name)
	}
	_, err := g.AddChildNode(h, nil, 0)
	requireCode(t, driver.InvalidHandle, err)
	require.NoError(t, g.UnloadModule(g.module))
	_, err = g.Instantiate(h)
	requireCode(t, driver.InvalidHandle, err)
}

func TestChildGraphs(t *testing.T) {
	g := newGPU(t, Config{})
	p, h, child := g.ones(), g.graph(), g.graph()
	b := g.node(child, nil, "double", p)
	g.node(child, []driver.Node{b}, "inc", p, 1)
	a := g.node(h, nil, "inc", p, 3)
	c, err := g.AddChildNode(h, []driver.Node{a}, child)
	require.NoError(t, err)
	g.node(child, nil, "inc", p, 100) // too late: the node has what was there
	g.node(h, []driver.Node{c}, "double", p)
	require.NoError(t, g.DestroyGraph(child))
	x := g.instantiate(h)
	for range 5 {
		assert.EqualValues(t, 18, g.run(x, p))
	}
	empty := g.graph()
	_, err = g.AddChildNode(h, nil, g.graph())
	require.NoError(t, err)
	require.NoError(t, g.LaunchGraph(g.instantiate(empty), g.stream))
	assert.EqualValues(t, 18, g.run(g.instantiate(h), p))
}

func TestCapture(t *testing.T) {
	g := newGPU(t, Config{})
	p, q := g.ones(), g.ones()
	require.NoError(t, g.SyncStream(g.stream))
	require.NoError(t, g.BeginCapture(g.stream))
	requireCode(t, driver.IllegalState, g.BeginCapture(g.stream))
	g.launch("inc", []driver.Ptr{p}, 1)
	require.NoError(t, g.CopyOnDevice(q, p, 128, g.stream))
	g.launch("double", []driver.Ptr{q})
	h, err := g.EndCapture(g.stream)
	require.NoError(t, err)
	assert.Zero(t, g.Live().Queued, "nothing took place")
	_, err = g.EndCapture(g.stream)
	requireCode(t, driver.IllegalState, err)

	assert.EqualValues(t, 1, g.first(p))
	x := g.instantiate(h)
	require.NoError(t, g.LaunchGraph(x, g.stream))
	require.NoError(t, g.LaunchGraph(x, g.stream))
	assert.EqualValues(t, 3, g.first(p))
	assert.EqualValues(t, 6, g.first(q))

	outer := g.graph()
	_, err = g.AddChildNode(outer, nil, h)
	require.NoError(t, err)
	require.NoError(t, g.LaunchGraph(g.instantiate(outer), g.stream))
	assert.EqualValues(t, 8, g.first(q))
}

func TestCallsThatSpoilACapture(t *testing.T) {
	for name, call := range map[string]func(*gpu) error{
		"sync":  func(g *gpu) error { return g.SyncStream(g.stream) },
		"alloc": func(g *gpu) error { _, err := g.AllocAsync(16, g.stream); return err },
		"event": func(g *gpu) error {
			e, err := g.NewEvent()
			require.NoError(g.t, err)
			return g.RecordEvent(e, g.stream)
		},
	} {
		g := newGPU(t, Config{})
		p := g.ones()
		require.NoError(t, g.SyncStream(g.stream), name)
		require.NoError(t, g.BeginCapture(g.stream))
		g.launch("inc", []driver.Ptr{p}, 1)
		requireCode(t, driver.CaptureUnsupported, call(g))
		requireCode(t, driver.IllegalState, g.DestroyStream(g.stream))
		_, err := g.EndCapture(g.stream)
		requireCode(t, driver.CaptureInvalidated, err)
		assert.Zero(t, g.Live().Graphs)
		assert.EqualValues(t, 1, g.first(p), "the stream is of use again")
	}
}

func TestAFaultInAGraph(t *testing.T) {
	g := newGPU(t, Config{})
	p, h := g.ones(), g.graph()
	g.node(h, nil, "inc", p+4, 2)
	require.NoError(t, g.LaunchGraph(g.instantiate(h), g.stream))
	e := requireCode(t, driver.IllegalAddress, g.SyncStream(g.stream))
	assert.Contains(t, e.Detail, "inc")
}
