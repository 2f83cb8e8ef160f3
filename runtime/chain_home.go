package runtime

import (
	"slices"

	"jitc/executors"
	"jitc/ir/tensor"
)

// What crosses from segment to segment has a home. A value that a device computes has
// that device, if a later segment reads it there. Another one that several segments
// read on one device has that: it is brought there once.
//
//	segment 0   %a on gpu, %b on gpu     %a stays on the gpu, %b comes to the host
//	            %c on the host           %c goes to the gpu before segment 1, and is kept
//	definers    read %b
//	segment 1   reads %a, %c on gpu
//	segment 2   reads %c on gpu

// chainHomes finds the homes, by slot; nil for the host.
func (c *Chain) chainHomes() []*device {
	reads := make([]ballot, c.slots)
	for k := range c.segments {
		s := &c.segments[k]
		for i, n := range s.params {
			for _, d := range s.Program.readOn(i) {
				reads[n].add(d.queue)
			}
		}
	}
	homes := make([]*device, c.slots)
	for n := range homes {
		if best := reads[n].winner(); best != nil && reads[n].of(best) > 1 {
			homes[n] = deviceOf(best)
		}
	}
	for k := range c.segments {
		s := &c.segments[k]
		for i, n := range s.results {
			if d := s.Program.madeOn(i); d != nil && reads[n].of(d.queue) > 0 {
				homes[n] = d
			}
		}
	}
	return homes
}

// of are the votes for a queue.
func (b ballot) of(q executors.Queue) int {
	for _, v := range b {
		if v.queue == q {
			return v.n
		}
	}
	return 0
}

// readOn are the devices on which steps read a parameter.
func (p *Program) readOn(param int) (on []*device) {
	if p.placed == nil {
		return nil
	}
	for _, m := range p.placed.copies[param] {
		if side := p.slots[m].side; side > 0 {
			on = append(on, p.placed.devices[side])
		}
	}
	return on
}

// madeOn is the device that computes a result, nil for the host and for results that
// are copies.
func (p *Program) madeOn(result int) *device {
	res := p.results[result]
	if p.placed == nil || res.copied || p.slots[res.slot].side == 0 {
		return nil
	}
	return p.placed.devices[p.slots[res.slot].side]
}

func (r *Recording) madeOn(result int) *device { return r.p.madeOn(result) }

// devicesOf are the devices on which the tensors lie.
func devicesOf(ts []*tensor.Tensor) (on []*device) {
	for _, t := range ts {
		if t == nil {
			continue
		}
		if d, ok := t.Device().(*device); ok && !slices.Contains(on, d) {
			on = append(on, d)
		}
	}
	return on
}

// result makes the tensor into which a segment computes slot n: the caller's, one at
// the slot's home, or a new one.
func (r *chainRun) result(n int, made *device, dt tensor.DType, shape []int) (*tensor.Tensor, error) {
	given, home := r.given[n], r.c.homes[n]
	switch {
	case given != nil && (home == nil || given.Device() == tensor.Device(home)):
		return given, nil
	case given == nil && made != nil && r.stays(n, made):
		return made.tensor(dt, shape)
	case home != nil && home == made:
		return r.atHome(n, dt, shape)
	case given != nil:
		return given, nil
	}
	return tensor.New(dt, shape...), nil
}

// stays reports whether slot n is a result of the chain that stays on the device.
func (r *chainRun) stays(n int, d *device) bool {
	return slices.Contains(r.near, d) && slices.ContainsFunc(r.c.results, func(res chainResult) bool { return res.slot == n })
}

// atHome makes a tensor for slot n at its home, of memory that the run gives back.
func (r *chainRun) atHome(n int, dt tensor.DType, shape []int) (*tensor.Tensor, error) {
	d := r.c.homes[n]
	bytes, err := tensor.CheckedBytes(dt, shape)
	if err != nil {
		return nil, err
	}
	if r.slabs[n], err = d.arenas.take(bytes, &r.stripe); err != nil {
		return nil, err
	}
	var mem []byte
	if bytes > 0 {
		mem = part(r.slabs[n].bytes, 0, bytes)
	}
	return tensor.OnDevice(d, dt, shape, mem, nil)
}

// arguments are those of a segment: the values, those from elsewhere at their home if
// the segment reads them there.
func (r *chainRun) arguments(s *chainSegment, kept *keptRanges) ([]*tensor.Tensor, error) {
	args := make([]*tensor.Tensor, len(s.params))
	for i, n := range s.params {
		args[i] = r.slots[n]
		home := r.c.homes[n]
		if home == nil || args[i].Device() == tensor.Device(home) || kept.has(i) || !slices.Contains(s.Program.readOn(i), home) {
			continue
		}
		if r.far[n] == nil {
			t, err := r.atHome(n, args[i].DType(), args[i].Shape())
			if err == nil {
				err = t.CopyFrom(args[i])
			}
			if err != nil {
				return nil, err
			}
			r.far[n] = t
		}
		args[i] = r.far[n]
	}
	return args, nil
}

// has reports whether a set keeps copies of a parameter.
func (k keptRanges) has(param int) bool {
	return slices.ContainsFunc(k, func(x keptRange) bool { return x.param <= param && param < x.param+x.n })
}

// lent reports whether the value of slot n, not a copy of it, lies in memory that the
// run gives back.
func (r *chainRun) lent(n int) bool { return r.slabs[n] != nil && r.far[n] == nil }

// drop lets go of slot n.
func (r *chainRun) drop(n int) {
	r.slots[n], r.far[n] = nil, nil
	if r.slabs[n] != nil {
		r.c.homes[n].arenas.give(r.slabs[n], r.stripe)
		r.slabs[n] = nil
	}
}

// release lets go of everything: what uses it is queued.
func (r *chainRun) release() {
	for n := range r.slabs {
		r.drop(n)
	}
}
