package fake

import "jitc/executors/cuda/driver"

// event is a place in a stream.
type event struct {
	member
	last *record
}

// record is one recording of an event.
type record struct {
	s    *stream
	at   int // s.executed by the time it is done
	done bool
	time float64
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
		r := &record{s: s, at: s.end() + 1}
		e.last = r
		return s.submit("RecordEvent", nil, func() error {
			r.done, r.time = true, d.clock
			return nil
		})
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

func (d *Driver) EventDone(h driver.Event) (done bool, err error) {
	err = d.inside("EventDone", func(c *context) error {
		e, err := find[*event](c, uintptr(h))
		if err == nil {
			done = e.last == nil || e.last.done
		}
		return err
	})
	return done, err
}

func (d *Driver) ElapsedTime(from, to driver.Event) (ms float32, err error) {
	err = d.inside("ElapsedTime", func(c *context) error {
		var times [2]float64
		for i, h := range []driver.Event{from, to} {
			e, err := find[*event](c, uintptr(h))
			switch {
			case err != nil:
				return err
			case e.last == nil:
				return refuse(driver.InvalidHandle, "the event was not recorded")
			case !e.last.done:
				return refuse(driver.NotReady, "the event is still queued")
			}
			times[i] = e.last.time
		}
		ms = float32(times[1] - times[0])
		return nil
	})
	return ms, err
}
