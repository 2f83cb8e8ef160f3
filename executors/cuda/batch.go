package cuda

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"

	"jitc/executors"
	"jitc/executors/cuda/driver"
)

// batch is a list of launches that is run as one CUDA graph, with a node for each
// entry:
//
//	launches  0: rows, cols   1: a library's   2: add (after 0 and 1)
//	graph     rows -> cols -.
//	          [...] --------'-> add
//
// The graph is built when the first addresses are known. A node is patched where an
// address differs from the last run's, which is that of an argument or a result that
// moved; the others stay as they are. The node of a library's work is a graph in the
// graph, which is captured, and captured again to patch it: see Work.
type batch struct {
	q        *queue
	launches []*launch
	nodes    []node
	counters []*counters // of each launch, kept as long as the batch; nil: it has none
	label    string

	mu       sync.Mutex // Recorded may be asked while a run is in progress
	refusal  error      // why runs are not recorded
	again    bool       // the next run tries, all the same
	graph    *recording // nil until the first run
	restless int        // runs in a row in which most nodes were patched
	failed   int        // runs in a row whose graph failed
	remade   int        // graphs that took the place of one that could not be patched
}

// node is an entry of a launch, with the parameters of the last run.
type node struct {
	of     *entry
	launch int
	after  []int // nodes
	config driver.LaunchConfig
	mapped []driver.Ptr // what the tensor maps point at
	stale  bool         // the graph's node has other parameters
}

// recording is a graph on the device.
type recording struct {
	graph driver.Graph
	exec  driver.GraphExec
	nodes []driver.Node
}

// Batch prepares launches of this device.
func (q *queue) Batch(launches []executors.Launch, after [][]int) (executors.Batch, error) {
	b := &batch{q: q}
	for i, x := range launches {
		l, ok := x.(*launch)
		if !ok || l.q != q {
			return nil, fmt.Errorf("%s: launch %d of a batch is not one of this device", q.name, i)
		}
		b.launches = append(b.launches, l)
	}
	if err := b.order(after); err != nil {
		return nil, err
	}
	b.refusal = b.refuse()
	if n := len(b.nodes); n > 0 {
		b.label = fmt.Sprintf("a batch of %d, %s to %s", n, b.nodes[0].of.label, b.nodes[n-1].of.label)
	}
	return b, nil
}

// order makes nodes of the entries, and of the order of launches one of nodes. A
// launch without entries, of nothing, passes on what it waits for.
func (b *batch) order(after [][]int) error {
	if after != nil && len(after) != len(b.launches) {
		return fmt.Errorf("%s: an order of %d launches for a batch of %d", b.q.name, len(after), len(b.launches))
	}
	ends := make([][]int, len(b.launches)) // nodes to wait for to wait for the launch
	b.counters = make([]*counters, len(b.launches))
	seen := make(map[*launch]bool, len(b.launches))
	for i, l := range b.launches {
		waits := []int{i - 1}
		if after != nil {
			waits = after[i]
		} else if i == 0 {
			waits = nil
		}
		for _, w := range waits {
			if w < 0 || w >= i {
				return fmt.Errorf("%s: launch %d of a batch waits for launch %d, which is not before it", b.q.name, i, w)
			}
			ends[i] = append(ends[i], ends[w]...)
		}
		if err := b.count(i, seen); err != nil {
			return err
		}
		slices.Sort(ends[i])
		ends[i] = slices.Compact(ends[i])
		for j := range l.entries {
			e := &l.entries[j]
			n := node{of: e, launch: i, after: ends[i], config: e.config}
			n.config.Params = slices.Clone(e.config.Params)
			b.counters[i].fill(e, n.config.Params)
			n.mapped = make([]driver.Ptr, len(e.maps))
			b.nodes = append(b.nodes, n)
			ends[i] = []int{len(b.nodes) - 1}
		}
	}
	return nil
}

// count finds the counters of launch i: its own, or, where it occurs for a second time,
// others, since nothing need order the two. seen are the launches before it.
func (b *batch) count(i int, seen map[*launch]bool) (err error) {
	l := b.launches[i]
	b.counters[i] = l.own
	if l.own != nil && seen[l] {
		b.counters[i], err = b.q.newCounters(l.zeros)
	}
	seen[l] = true
	return err
}

// refuse says why a batch is not recorded, before it has run.
func (b *batch) refuse() error {
	switch {
	case b.q.o.NoGraphs != "":
		return errors.New(b.q.o.NoGraphs)
	case b.q.o.Blocking:
		return errors.New("JITC_CUDA_BLOCKING waits for each launch")
	case len(b.nodes) == 0:
		return errors.New("nothing to launch")
	case len(b.nodes) == 1:
		return errors.New("one kernel: its launch costs less than a graph's")
	}
	return nil
}

// Recorded is nil where runs replay a CUDA graph.
func (b *batch) Recorded() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.refusal
}

// Run queues the launches.
func (b *batch) Run(args [][][]byte, scratch [][]byte) error {
	if len(args) != len(b.launches) || len(scratch) != len(b.launches) {
		return fmt.Errorf("BUG: cuda: arguments of %d launches and scratch of %d, need %d", len(args), len(scratch), len(b.launches))
	}
	aligned := true
	for i, l := range b.launches {
		ok, err := l.check(args[i], scratch[i])
		if err != nil {
			return fmt.Errorf("launch %d: %w", i, err)
		}
		aligned = aligned && ok
	}
	if err := b.q.enter(); err != nil {
		return err
	}
	defer b.q.leave()
	if !aligned { // rare: between the launches are copies
		return b.enqueueEach(args, scratch)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	stale, err := b.patch(args, scratch)
	if err != nil {
		return err
	}
	if b.refusal == nil || b.again {
		err := b.replay(stale)
		if err == nil || b.q.lostError() != nil {
			return err
		}
		b.giveUp(err)
	}
	return b.launchAll()
}

// enqueueEach runs the launches without their nodes.
func (b *batch) enqueueEach(args [][][]byte, scratch [][]byte) error {
	for i, l := range b.launches {
		if err := l.enqueueMoved(args[i], scratch[i]); err != nil {
			return err
		}
	}
	return nil
}

// patch writes the addresses into the nodes, and counts those that changed.
func (b *batch) patch(args [][][]byte, scratch [][]byte) (stale int, err error) {
	for i := range b.nodes {
		n := &b.nodes[i]
		changed, err := b.q.patch(n.of, n.config.Params, n.mapped, args[n.launch], scratch[n.launch])
		n.stale = n.stale || changed
		if err != nil {
			return stale, err
		}
		if n.stale {
			stale++
		}
	}
	return stale, nil
}

// launchAll queues the entries one by one, in order.
func (b *batch) launchAll() error {
	for i := range b.nodes {
		n := &b.nodes[i]
		if err := b.q.start(n.of, &n.config); err != nil {
			return err
		}
	}
	return nil
}

// replay runs the graph, with the nodes patched that changed.
func (b *batch) replay(stale int) error {
	if b.graph == nil {
		if err := b.record(); err != nil {
			return fmt.Errorf("no graph could be made: %w", b.q.failed(err))
		}
	} else if err := b.update(stale); err != nil {
		return fmt.Errorf("the graph could not be changed: %w", err)
	}
	b.q.recent.add(b.label)
	if err := b.q.api.LaunchGraph(b.graph.exec, b.q.stream); err != nil {
		return fmt.Errorf("the graph could not be launched: %w", b.q.failed(err))
	}
	b.refusal, b.failed = nil, 0
	return nil
}

// ending is what the end of a recording needs. It holds the launches, so that the
// graph is destroyed before the modules that it launches from.
type ending struct {
	q        *queue
	what     retired
	launches []*launch
}

// record builds the graph and makes it executable.
func (b *batch) record() error {
	g, err := b.q.api.NewGraph()
	if err != nil {
		return err
	}
	r := &recording{graph: g, nodes: make([]driver.Node, len(b.nodes))}
	if err := b.build(r); err != nil {
		return errors.Join(err, b.q.api.DestroyGraph(g))
	}
	runtime.AddCleanup(r, func(e ending) { e.q.retired.put(e.what) },
		ending{b.q, retired{graph: r.graph, exec: r.exec}, b.launches})
	b.graph = r
	return nil
}

func (b *batch) build(r *recording) (err error) {
	for i := range b.nodes {
		n := &b.nodes[i]
		deps := make([]driver.Node, len(n.after))
		for j, a := range n.after {
			deps[j] = r.nodes[a]
		}
		if r.nodes[i], err = b.q.addNode(r.graph, deps, n); err != nil {
			return fmt.Errorf("%s: %w", n.of.label, err)
		}
		n.stale = false
	}
	r.exec, err = b.q.api.Instantiate(r.graph)
	return err
}

// addNode adds the node of an entry to a graph.
func (q *queue) addNode(g driver.Graph, deps []driver.Node, n *node) (added driver.Node, err error) {
	if n.of.work == nil {
		return q.api.AddKernelNode(g, deps, n.of.function, &n.config)
	}
	err = q.captured(n.of, &n.config, func(child driver.Graph) error {
		added, err = q.api.AddChildNode(g, deps, child)
		return err
	})
	return added, err
}

// setNode gives a node of an executable graph the parameters of the entry.
func (q *queue) setNode(x driver.GraphExec, at driver.Node, n *node) error {
	if n.of.work == nil {
		return q.api.SetKernelNode(x, at, n.of.function, &n.config)
	}
	return q.captured(n.of, &n.config, func(child driver.Graph) error { return q.api.SetChildNode(x, at, child) })
}

// A run that patches most nodes costs more than launching them, so that a batch
// whose arguments all move each time is better off without a graph; and so is one
// whose graph is made anew time and again. Capturing a library's work takes about as
// long as patching captureCost kernels.
const (
	maxRestless = 8
	maxRemade   = 8
	captureCost = 8
)

// patchCost is what patching the stale nodes takes, in kernels.
func (b *batch) patchCost() (cost int) {
	for i := range b.nodes {
		switch n := &b.nodes[i]; {
		case n.stale && n.of.work != nil:
			cost += captureCost
		case n.stale:
			cost++
		}
	}
	return cost
}

// update patches the nodes that changed since the last run. Work that is queued
// already keeps what it was queued with. Where a library's work is made of other
// nodes at the new addresses, which a graph cannot be given, another is made.
func (b *batch) update(stale int) error {
	if b.restless++; 4*b.patchCost() <= 3*len(b.nodes) {
		b.restless = 0
	}
	if b.restless == maxRestless {
		return fmt.Errorf("%d of %d kernels had other addresses in each of %d runs", stale, len(b.nodes), maxRestless)
	}
	for i := range b.nodes {
		n := &b.nodes[i]
		if !n.stale {
			continue
		}
		err := b.q.failed(b.q.setNode(b.graph.exec, b.graph.nodes[i], n))
		if err != nil && n.of.work != nil && b.remade < maxRemade && b.q.lostError() == nil {
			b.remade++
			return b.q.failed(b.record())
		}
		if err != nil {
			return err
		}
		n.stale = false
	}
	return nil
}

// maxFailed is after how many runs in a row whose graph failed none is tried again.
const maxFailed = 4

// giveUp does without a graph, for a reason: for this run, if the reason may pass, for
// others may have had the memory, or a library have loaded what it cannot load while it
// is captured; and else for good.
func (b *batch) giveUp(why error) {
	b.refusal, b.graph = why, nil // the collector ends the graph
	b.failed++
	short := isOutOfMemory(why)
	if short {
		_ = b.q.memory.shrink() // a fault is told by the launches
	}
	b.again = b.failed < maxFailed && (short || errors.As(why, new(*captureError)))
}
