package fake

import "jitc/executors/cuda/driver"

// object is what a handle stands for.
type object interface {
	in() *context
	kind() string
	count(*Live)
}

// add gives o a handle. Handles are never used twice, and no two kinds share one.
func (d *Driver) add(o object) uintptr {
	d.handles += 16
	d.objects[d.handles] = o
	return d.handles
}

// find is the object of a handle, which must be of the context c.
func find[T object](c *context, handle uintptr) (T, error) {
	var want T
	o, ok := c.d.objects[handle]
	if !ok {
		return want, refuse(driver.InvalidHandle, "%#x is no %s, or one that has been destroyed", handle, want.kind())
	}
	found, ok := o.(T)
	if !ok {
		return want, refuse(driver.InvalidHandle, "%#x is a %s, expected a %s", handle, o.kind(), want.kind())
	}
	if o.in() != c {
		return want, refuse(driver.InvalidContext, "%s %#x belongs to another context", want.kind(), handle)
	}
	return found, nil
}

// member is the part that all objects have.
type member struct{ c *context }

func (m member) in() *context { return m.c }

func (*module) kind() string   { return "module" }
func (*function) kind() string { return "function" }
func (*stream) kind() string   { return "stream" }
func (*event) kind() string    { return "event" }
func (*graph) kind() string    { return "graph" }
func (*node) kind() string     { return "graph node" }
func (*exec) kind() string     { return "executable graph" }

func (*module) count(l *Live) { l.Modules++ }
func (*function) count(*Live) {}
func (*stream) count(l *Live) { l.Streams++ }
func (*event) count(l *Live)  { l.Events++ }
func (*graph) count(l *Live)  { l.Graphs++ }
func (*node) count(*Live)     {}
func (*exec) count(l *Live)   { l.GraphExecs++ }
