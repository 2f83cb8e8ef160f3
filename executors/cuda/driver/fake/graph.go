package fake

import (
	"slices"

	"jitc/executors/cuda/driver"
)

// graph is a graph that is being built.
type graph struct {
	member
	nodes []*node
}

// node is a node of a graph: one of launch, child and other.
type node struct {
	member
	g      *graph
	handle driver.Node
	deps   []int // of nodes before it
	launch *launch
	child  []runnable
	other  work
}

// runnable is a node of an executable graph.
type runnable struct {
	node   driver.Node
	deps   []int
	launch *launch
	child  []runnable
	other  work
}

// exec is an executable graph. Its nodes are never changed where launches that are
// queued can see it.
type exec struct {
	member
	nodes    []runnable
	launched int
}

func (g *graph) addNode(deps []*node) *node {
	n := &node{member: g.member, g: g}
	for _, dep := range deps {
		n.deps = append(n.deps, slices.Index(g.nodes, dep))
	}
	g.nodes = append(g.nodes, n)
	n.handle = driver.Node(g.c.d.add(n))
	return n
}

// deps checks the dependencies of a new node of g.
func (g *graph) deps(handles []driver.Node) ([]*node, error) {
	deps := make([]*node, len(handles))
	for i, h := range handles {
		n, err := find[*node](g.c, uintptr(h))
		if err != nil {
			return nil, err
		}
		if n.g != g {
			return nil, refuse(driver.InvalidValue, "dependency %d is a node of another graph", i)
		}
		if slices.Contains(deps[:i], n) {
			return nil, refuse(driver.InvalidValue, "dependency %d is given twice", i)
		}
		deps[i] = n
	}
	return deps, nil
}

// runnables are the nodes of g as they are now, checked.
func (g *graph) runnables() ([]runnable, error) {
	list := make([]runnable, len(g.nodes))
	for i, n := range g.nodes {
		if n.launch != nil {
			if err := n.launch.check(); err != nil {
				return nil, err
			}
		}
		list[i] = runnable{n.handle, n.deps, n.launch, n.child, n.other}
	}
	return list, nil
}

func (d *Driver) NewGraph() (h driver.Graph, err error) {
	err = d.inside("NewGraph", func(c *context) error {
		h = driver.Graph(d.add(&graph{member: member{c}}))
		return nil
	})
	return h, err
}

func (d *Driver) DestroyGraph(h driver.Graph) error {
	return d.inside("DestroyGraph", func(c *context) error {
		g, err := find[*graph](c, uintptr(h))
		if err != nil {
			return err
		}
		for _, n := range g.nodes {
			delete(d.objects, uintptr(n.handle))
		}
		delete(d.objects, uintptr(h))
		return nil
	})
}

func (d *Driver) AddKernelNode(h driver.Graph, deps []driver.Node, f driver.Function, conf *driver.LaunchConfig) (driver.Node, error) {
	return d.addNode("AddKernelNode", h, deps, func(c *context, n *node) (err error) {
		n.launch, err = c.launch(f, conf)
		return err
	})
}

// AddChildNode takes the nodes that child has now.
func (d *Driver) AddChildNode(h driver.Graph, deps []driver.Node, child driver.Graph) (driver.Node, error) {
	return d.addNode("AddChildNode", h, deps, func(c *context, n *node) error {
		g, err := find[*graph](c, uintptr(child))
		if err == nil {
			n.child, err = g.runnables()
		}
		return err
	})
}

// addNode adds a node that fill says the work of.
func (d *Driver) addNode(call string, h driver.Graph, deps []driver.Node, fill func(*context, *node) error) (added driver.Node, err error) {
	err = d.inside(call, func(c *context) error {
		g, err := find[*graph](c, uintptr(h))
		if err != nil {
			return err
		}
		before, err := g.deps(deps)
		if err != nil {
			return err
		}
		var filled node
		if err := fill(c, &filled); err != nil {
			return err
		}
		n := g.addNode(before)
		n.launch, n.child = filled.launch, filled.child
		added = n.handle
		return nil
	})
	return added, err
}

func (d *Driver) Instantiate(h driver.Graph) (x driver.GraphExec, err error) {
	err = d.inside("Instantiate", func(c *context) error {
		g, err := find[*graph](c, uintptr(h))
		if err != nil {
			return err
		}
		nodes, err := g.runnables()
		if err != nil {
			return err
		}
		x = driver.GraphExec(d.add(&exec{member: member{c}, nodes: nodes}))
		return nil
	})
	return x, err
}

func (d *Driver) DestroyGraphExec(h driver.GraphExec) error {
	return d.inside("DestroyGraphExec", func(c *context) error {
		_, err := find[*exec](c, uintptr(h))
		if err == nil {
			delete(d.objects, uintptr(h))
		}
		return err
	})
}

func (d *Driver) SetKernelNode(h driver.GraphExec, n driver.Node, f driver.Function, conf *driver.LaunchConfig) error {
	return d.inside("SetKernelNode", func(c *context) error {
		x, err := find[*exec](c, uintptr(h))
		if err != nil {
			return err
		}
		// Handles of nodes stay what they are when the graph is destroyed.
		i := slices.IndexFunc(x.nodes, func(r runnable) bool { return r.node == n })
		if i < 0 || x.nodes[i].launch == nil {
			return refuse(driver.InvalidValue, "%#x is no kernel node of the graph that this one was made of", uintptr(n))
		}
		l, err := c.launch(f, conf)
		if err == nil {
			x.nodes[i].launch = l
		}
		return err
	})
}

func (d *Driver) LaunchGraph(h driver.GraphExec, on driver.Stream) error {
	return d.inside("LaunchGraph", func(c *context) error {
		x, err := find[*exec](c, uintptr(h))
		if err != nil {
			return err
		}
		s, err := c.stream(on)
		if err != nil {
			return err
		}
		nodes, latestFirst := slices.Clone(x.nodes), x.launched == 0
		x.launched++
		return s.submit("LaunchGraph", nil, func() error { return d.runGraph(nodes, latestFirst) })
	})
}

// runGraph runs nodes in an order that their dependencies allow: the latest that is
// ready first, or any.
func (d *Driver) runGraph(nodes []runnable, latestFirst bool) error {
	waits, after := make([]int, len(nodes)), make([][]int, len(nodes))
	var ready []int
	for i, n := range nodes {
		waits[i] = len(n.deps)
		for _, dep := range n.deps {
			after[dep] = append(after[dep], i)
		}
		if len(n.deps) == 0 {
			ready = append(ready, i)
		}
	}
	for len(ready) > 0 {
		at := slices.Index(ready, slices.Max(ready))
		if !latestFirst {
			at = d.rng.IntN(len(ready))
		}
		i := ready[at]
		ready = slices.Delete(ready, at, at+1)
		if err := d.runNode(&nodes[i], latestFirst); err != nil {
			return err
		}
		for _, next := range after[i] {
			if waits[next]--; waits[next] == 0 {
				ready = append(ready, next)
			}
		}
	}
	return nil
}

func (d *Driver) runNode(n *runnable, latestFirst bool) error {
	switch {
	case n.launch != nil:
		return n.launch.run()
	case n.child != nil:
		return d.runGraph(n.child, latestFirst)
	case n.other.run != nil:
		return n.other.run()
	}
	return nil // a child without nodes
}

func (d *Driver) BeginCapture(h driver.Stream) error {
	return d.inside("BeginCapture", func(c *context) error {
		s, err := find[*stream](c, uintptr(h)) // the default stream cannot be captured
		if err != nil {
			return err
		}
		if s.capture != nil {
			return refuse(driver.IllegalState, "the stream is being captured already")
		}
		s.capture = &capture{graph: &graph{member: member{c}}}
		return nil
	})
}

func (d *Driver) EndCapture(h driver.Stream) (g driver.Graph, err error) {
	err = d.inside("EndCapture", func(c *context) error {
		s, err := find[*stream](c, uintptr(h))
		if err != nil {
			return err
		}
		if s.capture == nil {
			return refuse(driver.IllegalState, "the stream is not being captured")
		}
		captured := s.capture
		s.capture = nil
		if captured.invalid {
			for _, n := range captured.graph.nodes {
				delete(d.objects, uintptr(n.handle))
			}
			return refuse(driver.CaptureInvalidated, "a call that cannot be captured was made on the stream")
		}
		g = driver.Graph(d.add(captured.graph))
		return nil
	})
	return g, err
}
