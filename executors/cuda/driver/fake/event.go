package fake

import "jitc/executors/cuda/driver"

// event is a place in a stream.
type event struct {
	member
	last *record
}

// record is one recording of an event.
type record struct {
	s  *stream
	at int // s.executed by the time it is done
}

// reach executes the work up to the record.
func (r *record) reach() { r.s.reach(r.at) }

func (d *Driver) NewEvent() (h driver.Event, err error) {
	err = d.inside("NewEvent", func(c *context) error {
		h = driver.Event(d.add(&event{member: member{c}}))
		return nil
	})
	return h, err
}

func (d *Driver) DestroyEvent(h driver.Event) error {
	return d.inside("DestroyEvent", func(c *context) error {
		_, err := find[*event](c, uintptr(h))
		if err == nil {
			delete(d.objects, uintptr(h))
		}
		return err
	})
}

func (d *Driver) RecordEvent(h driver.Event, on driver.Stream) error {
	return d.inside("RecordEvent", func(c *context) error {
		e, err := find[*event](c, uintptr(h))
		if err != nil {
			return err
		}
		s, err := c.notCapturing(on)
		if err != nil {
			return err
		}
		e.last = &record{s: s, at: s.end() + 1}
		return s.submit("RecordEvent", nil, func() error { return nil })
	})
}

// SyncEvent returns at once for an event that was never recorded, as the driver's.
func (d *Driver) SyncEvent(h driver.Event) error {
	return d.inside("SyncEvent", func(c *context) error {
		e, err := find[*event](c, uintptr(h))
		if err != nil || e.last == nil {
			return err
		}
		e.last.reach()
		return c.alive()
	})
}

func (d *Driver) WaitEvent(h driver.Event, on driver.Stream) error {
	return d.inside("WaitEvent", func(c *context) error {
		e, err := find[*event](c, uintptr(h))
		if err != nil {
			return err
		}
		s, err := c.notCapturing(on)
		if err != nil || e.last == nil {
			return err
		}
		r := e.last
		return s.submit("WaitEvent", nil, func() error {
			r.reach()
			return nil
		})
	})
}
