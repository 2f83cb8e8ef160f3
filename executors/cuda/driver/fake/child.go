package fake

import (
	"slices"

	"jitc/executors/cuda/driver"
)

// SetChildNode takes the nodes that child has now. What differs in more than what its
// nodes do is refused, as by the driver's update of a whole graph.
func (d *Driver) SetChildNode(h driver.GraphExec, n driver.Node, child driver.Graph) error {
	return d.inside("SetChildNode", func(c *context) error {
		x, err := find[*exec](c, uintptr(h))
		if err != nil {
			return err
		}
		g, err := find[*graph](c, uintptr(child))
		if err != nil {
			return err
		}
		i := slices.IndexFunc(x.nodes, func(r runnable) bool { return r.node == n })
		if i < 0 || x.nodes[i].launch != nil || x.nodes[i].other.run != nil {
			return refuse(driver.InvalidValue, "%#x is no child node of the graph that this one was made of", uintptr(n))
		}
		nodes, err := g.runnables()
		if err != nil {
			return err
		}
		if !alike(x.nodes[i].child, nodes) {
			return refuse(driver.UpdateFailed, "the child has other nodes, or another order, than the one that it replaces")
		}
		x.nodes[i].child = nodes
		return nil
	})
}

// alike reports whether two graphs differ in what their nodes do only.
func alike(a, b []runnable) bool {
	return slices.EqualFunc(a, b, func(x, y runnable) bool {
		return slices.Equal(x.deps, y.deps) && x.other.call == y.other.call &&
			(x.launch == nil) == (y.launch == nil) && alike(x.child, y.child)
	})
}
