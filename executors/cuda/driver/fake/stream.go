package fake

import "jitc/executors/cuda/driver"

// stream is a queue of work.
type stream struct {
	member
	work     []work
	executed int // pieces of work, ever
	capture  *capture
}

// work is something that takes place on the device.
type work struct {
	call string
	run  func() error
}

// capture is the graph that a stream records into.
type capture struct {
	graph   *graph
	last    []*node
	invalid bool
}

// submit queues work, or makes it a node of the graph that is captured: a node of
// launch where that is not nil.
func (s *stream) submit(call string, l *launch, run func() error) error {
	if s.capture != nil {
		n := s.capture.graph.addNode(s.capture.last)
		n.launch, n.other = l, work{call, run}
		s.capture.last = []*node{n}
		return nil
	}
	if l != nil {
		run = l.run
	}
	s.work = append(s.work, work{call, run})
	if s.c.d.cfg.Eager {
		for s.step() {
		}
	}
	return nil
}

// step executes the next piece of work, if there is one.
func (s *stream) step() bool {
	if len(s.work) == 0 {
		return false
	}
	w := s.work[0]
	s.work[0] = work{}
	s.work = s.work[1:]
	s.executed++
	if err := w.run(); err != nil {
		s.c.failed(w.call, err)
	}
	return true
}

// reach executes work until n pieces have been, since the stream was made.
func (s *stream) reach(n int) {
	for s.executed < n && s.step() {
	}
}

// end is where the stream is when everything queued so far is executed.
func (s *stream) end() int { return s.executed + len(s.work) }

// drop forgets what is queued, as if it were executed.
func (s *stream) drop() {
	s.executed += len(s.work)
	s.work = nil
}

// wait executes everything that is queued in the context.
func (c *context) wait() error {
	for _, s := range c.streams {
		s.reach(s.end())
	}
	return c.alive()
}

func (c *context) queued() int {
	n := 0
	for _, s := range c.streams {
		n += len(s.work)
	}
	return n
}

// stream is the stream of a handle; 0 is the default one.
func (c *context) stream(s driver.Stream) (*stream, error) {
	if s == 0 {
		return c.defaults, nil
	}
	return find[*stream](c, uintptr(s))
}

// notCapturing is the stream of a call that cannot be captured: it spoils a capture.
func (c *context) notCapturing(s driver.Stream) (*stream, error) {
	on, err := c.stream(s)
	if err == nil && on.capture != nil {
		on.capture.invalid = true
		return nil, refuse(driver.CaptureUnsupported, "the stream is being captured")
	}
	return on, err
}

func (d *Driver) NewStream() (h driver.Stream, err error) {
	err = d.inside("NewStream", func(c *context) error {
		s := &stream{member: member{c}}
		c.streams = append(c.streams, s)
		h = driver.Stream(d.add(s))
		return nil
	})
	return h, err
}

// DestroyStream executes what is queued: the driver lets it come to its end.
func (d *Driver) DestroyStream(h driver.Stream) error {
	return d.inside("DestroyStream", func(c *context) error {
		s, err := find[*stream](c, uintptr(h))
		if err != nil {
			return err
		}
		if s.capture != nil {
			return refuse(driver.IllegalState, "the stream is being captured")
		}
		s.reach(s.end())
		delete(d.objects, uintptr(h))
		for i := range c.streams {
			if c.streams[i] == s {
				c.streams = append(c.streams[:i:i], c.streams[i+1:]...)
				break
			}
		}
		return nil
	})
}

func (d *Driver) SyncStream(h driver.Stream) error {
	return d.inside("SyncStream", func(c *context) error {
		s, err := c.notCapturing(h)
		if err != nil {
			return err
		}
		s.reach(s.end())
		return c.alive()
	})
}

func (d *Driver) CopyToDevice(dst driver.Ptr, src []byte, s driver.Stream) error {
	return d.transfer("CopyToDevice", s, len(src), src, []driver.Ptr{dst}, func(c *context) error {
		return c.mem.Write(uint64(dst), src)
	})
}

func (d *Driver) CopyToHost(dst []byte, src driver.Ptr, s driver.Stream) error {
	return d.transfer("CopyToHost", s, len(dst), dst, []driver.Ptr{src}, func(c *context) error {
		return c.mem.Read(uint64(src), dst)
	})
}

func (d *Driver) CopyOnDevice(dst, src driver.Ptr, bytes int, s driver.Stream) error {
	return d.transfer("CopyOnDevice", s, bytes, nil, []driver.Ptr{dst, src}, func(c *context) error {
		return c.mem.Copy(uint64(dst), uint64(src), bytes)
	})
}

// transfer queues a copy: its memory is checked now, and what is of the host again
// when it is executed.
func (d *Driver) transfer(call string, h driver.Stream, bytes int, host []byte, device []driver.Ptr, run func(*context) error) error {
	return d.inside(call, func(c *context) error {
		s, err := c.stream(h)
		if err != nil || bytes == 0 {
			return err
		}
		if bytes < 0 {
			return refuse(driver.InvalidValue, "%d bytes", bytes)
		}
		for _, p := range device {
			if err := c.checkDevice(p, bytes); err != nil {
				return err
			}
		}
		if host != nil {
			if err := c.checkPinned(host); err != nil {
				return err
			}
		}
		return s.submit(call, nil, func() error {
			if host != nil && c.checkPinned(host) != nil {
				return refuse(driver.IllegalAddress, "pinned memory was freed while a copy of %d bytes was queued", bytes)
			}
			return run(c)
		})
	})
}
