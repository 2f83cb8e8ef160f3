package runtime

import (
	"fmt"
	goruntime "runtime"
	"time"

	"jitc/executors"
	"jitc/ir/tensor"
)

// settle finds out what of the caller's tensors lies where no step can use it, and
// gives it room behind the arenas.
func (f *frame) settle() {
	s, p := f.spread, f.r.p
	clear(s.need)
	for i, copies := range p.placed.copies {
		if s.kept[i] {
			continue
		}
		for _, m := range copies {
			if p.slots[m].side == s.args[i] {
				f.set(m, f.slots[p.params[i]])
			} else {
				f.stage(m)
			}
		}
	}
	for i, res := range p.results {
		switch {
		case res.copied:
		case p.slots[res.slot].side == s.results[i]:
			f.set(res.slot, f.results[i])
		default:
			f.stage(res.slot)
		}
	}
}

func (f *frame) stage(m int) {
	s, side := f.spread, f.r.p.slots[m].side
	s.staged[m], s.current[m], s.offsets[m] = true, false, s.need[side]
	s.elsewhere = append(s.elsewhere, m)
	s.need[side] += (f.r.bytes[m] + deviceAlign - 1) &^ (deviceAlign - 1)
}

// takeDevices takes memory of every device for the run, and points all slots but
// those of the host's intermediates at their place. host is the memory behind the
// host's scratch.
func (f *frame) takeDevices(host []byte) error {
	r, s := f.r, f.spread
	s.behind[0] = host
	for side := 1; side < len(s.slabs); side++ {
		plan, d := &r.devices.sides[side], r.p.placed.devices[side]
		b, err := d.arenas.take(plan.arena+s.need[side], &s.stripes[side])
		if err != nil {
			return f.tooLittle(side, err)
		}
		s.slabs[side] = b
		if b != nil {
			f.point(side, b.bytes, b.bytes[plan.arena:])
		}
	}
	f.pointElsewhere()
	return nil
}

// point points the intermediates of a side at their place in its arena, and keeps the
// place of what lies elsewhere.
func (f *frame) point(side int, arena, behind []byte) {
	f.spread.memory[side], f.spread.behind[side] = arena, behind
	if side == 0 {
		f.setTemps(arena)
		return
	}
	for _, n := range f.r.devices.sides[side].temps {
		f.set(n, part(arena, f.r.offsets[n], f.r.bytes[n]))
	}
}

// pointElsewhere points scratch, and what lies behind arenas, at their place.
func (f *frame) pointElsewhere() {
	r, s := f.r, f.spread
	for i, at := range r.devices.scratch {
		if at.bytes > 0 {
			s.scratch[i] = part(s.memory[r.p.placed.sides[i]], at.offset, at.bytes)
		}
	}
	for _, m := range s.elsewhere {
		f.set(m, f.placeElsewhere(m))
	}
	for i := range r.p.results {
		if m := f.resultCopy(i); m >= 0 {
			f.set(m, f.results[i])
		}
	}
}

// placeElsewhere is the place of a slot that lies elsewhere.
func (f *frame) placeElsewhere(m int) []byte {
	s := f.spread
	return part(s.behind[f.r.p.slots[m].side], s.offsets[m], f.r.bytes[m])
}

func part(b []byte, offset, n int) []byte { return b[offset : offset+n : offset+n] }

// resultCopy is the copy of result i where the caller wants it, written there for
// steps to read; -1 if there is none.
func (f *frame) resultCopy(i int) int {
	p, side := f.r.p, f.spread.results[i]
	if res := p.results[i]; res.copied || p.slots[res.slot].side == side {
		return -1
	}
	return p.placed.resultCopies[i][side]
}

// tooLittle is the error for memory that a device does not have.
func (f *frame) tooLittle(side int, err error) error {
	r, arena := f.r, f.r.devices.sides[side].arena
	at := ""
	if len(r.Sizes) > 0 {
		at = " at " + r.sizesText()
	}
	return fmt.Errorf("@%s%s needs %d bytes on %s, %d for intermediates and scratch, %d for arguments and results that lie elsewhere: %w",
		r.p.F.Name, at, arena+f.spread.need[side], r.p.placed.devices[side].name, arena, f.spread.need[side], err)
}

// giveDevices gives the memory back: what uses it is queued.
func (f *frame) giveDevices() {
	s := f.spread
	for side := range s.slabs {
		if s.slabs[side] != nil {
			f.r.p.placed.devices[side].arenas.give(s.slabs[side], s.stripes[side])
			s.slabs[side] = nil
		}
	}
	f.forgetDevices()
}

// forgetDevices lets go of memory that the frame does not own.
func (f *frame) forgetDevices() {
	s := f.spread
	clear(s.behind)
	clear(s.memory)
	for _, m := range s.elsewhere {
		f.set(m, nil)
		s.staged[m] = false
	}
	s.elsewhere = s.elsewhere[:0]
	for i := range f.results {
		if m := f.resultCopy(i); m >= 0 {
			f.set(m, nil)
		}
	}
}

// runAcross is run for a program with steps on devices.
func (r *Recording) runAcross(in *inputs, results []*tensor.Tensor, w executors.Workers, took func(int, time.Duration)) error {
	f := r.frames.Get().(*frame)
	defer r.release(f)
	defer in.keepAlive(results)
	if r.loops {
		f.setContext(in.ctx)
	}
	if err := f.setTensors(in, results); err != nil {
		return r.orNear(err, in, results, w, took)
	}
	f.settle()
	memory := f.takeMemory()
	defer f.giveMemory()
	scratch := memory[min(r.Arena, len(memory)):]
	return f.across(scratch, scratch[min(r.Scratch, len(scratch)):], w, took)
}

// across takes the devices' memory and runs the groups. The frame's parameters and
// results are settled, and it has memory of the host: scratch, and what was staged
// there.
func (f *frame) across(scratch, staging []byte, w executors.Workers, took func(int, time.Duration)) error {
	defer f.giveDevices()
	if err := f.takeDevices(staging); err != nil {
		return err
	}
	rs := f.r.takeBatches()
	defer f.r.giveBatches(rs)
	if err := f.runGroups(rs, scratch, w, took); err != nil {
		return fmt.Errorf("@%s: %w", f.r.p.F.Name, err)
	}
	return nil
}

// runGroups runs the groups, and brings the results to where they belong.
func (f *frame) runGroups(rs *rounds, scratch []byte, w executors.Workers, took func(int, time.Duration)) error {
	bs, err := f.r.batchesOf(rs, f.round)
	if err != nil {
		return err
	}
	for i, g := range f.r.p.placed.groups {
		var err error
		if g.batch {
			err = f.batchGroup(g, bs[i], took)
		} else {
			err = f.stepGroup(g, scratch, w, took)
		}
		if err != nil {
			return err
		}
	}
	return f.deliver()
}

// stepGroup runs steps one after the other: those of the host, or one of control flow.
func (f *frame) stepGroup(g group, scratch []byte, w executors.Workers, took func(int, time.Duration)) error {
	for i := g.lo; i < g.hi; i++ {
		var start time.Time
		if took != nil {
			if err := f.sync(g); err != nil {
				return err
			}
			start = time.Now()
		}
		if err := f.transfer(i); err != nil {
			return err
		}
		if err := f.r.step(f, i, scratch, w); err != nil {
			return err
		}
		if took != nil {
			if err := f.sync(g); err != nil {
				return err
			}
			took(i, time.Since(start))
		}
	}
	return nil
}

// sync waits for the device of a group.
func (f *frame) sync(g group) error {
	if g.side == 0 {
		return nil
	}
	if err := f.r.p.placed.devices[g.side].queue.Sync(); err != nil {
		return fmt.Errorf("%s on %s: %w", f.r.stepsText(g), f.r.p.where(g.lo), err)
	}
	return nil
}

func (f *frame) batchGroup(g group, b executors.Batch, took func(int, time.Duration)) error {
	if err := f.transfer(g.lo); err != nil {
		return err
	}
	if took != nil {
		return f.profileGroup(g, took)
	}
	if err := b.Run(f.args[g.lo:g.hi], f.spread.scratch[g.lo:g.hi]); err != nil {
		return fmt.Errorf("%s on %s: %w", f.r.stepsText(g), f.r.p.where(g.lo), err)
	}
	return nil
}

// profileGroup runs the steps one by one, each to its end.
func (f *frame) profileGroup(g group, took func(int, time.Duration)) error {
	q := f.r.p.placed.devices[g.side].queue
	if err := q.Sync(); err != nil {
		return err
	}
	for i := g.lo; i < g.hi; i++ {
		start := time.Now()
		err := f.r.launches[i].Run(f.args[i], f.spread.scratch[i], alone{})
		if err == nil {
			err = q.Sync()
		}
		if err != nil {
			return fmt.Errorf("%s on %s: %w", &f.r.p.Steps[i], f.r.p.where(i), err)
		}
		took(i, time.Since(start))
	}
	return nil
}

// transfer makes the copies that step i, or its group, is the first to read.
func (f *frame) transfer(i int) error {
	p := f.r.p
	for _, t := range p.placed.before[i] {
		from := p.slots[t.from].side
		if t.param >= 0 {
			if !f.spread.staged[t.to] || f.spread.current[t.to] {
				continue // it is the argument, or the copy of its set, or was copied before
			}
			from, f.spread.current[t.to] = f.spread.args[t.param], true
		}
		if err := f.move(f.slots[t.to], p.slots[t.to].side, f.slots[t.from], from); err != nil {
			return fmt.Errorf("%s: an operand: %w", &p.Steps[i], err)
		}
	}
	return nil
}

// move copies memory from side to side.
func (f *frame) move(dst []byte, to int, src []byte, from int) error {
	devices := f.r.p.placed.devices
	switch {
	case len(dst) != len(src):
		panic(fmt.Sprintf("BUG: runtime: %d bytes are copied to %d", len(src), len(dst)))
	case len(src) == 0 || address(dst) == address(src):
		return nil
	case to == 0 && from == 0:
		copy(dst, src)
		return nil
	case from == 0:
		return devices[to].Upload(dst, src)
	case to == 0:
		return devices[from].Download(dst, src)
	case to == from:
		return devices[to].queue.Copy(dst, src)
	}
	between := make([]byte, len(src))
	if err := devices[from].Download(between, src); err != nil {
		return err
	}
	return devices[to].Upload(dst, between)
}

// deliver brings the results to the caller's tensors.
func (f *frame) deliver() error {
	p := f.r.p
	for i, res := range p.results {
		if !res.copied && (p.slots[res.slot].side == f.spread.results[i] || f.resultCopy(i) >= 0) {
			continue
		}
		from := p.slots[res.slot].side
		if param := p.placed.returned[i]; param >= 0 {
			from = f.spread.args[param]
		}
		if err := f.move(f.results[i], f.spread.results[i], f.slots[res.slot], from); err != nil {
			return fmt.Errorf("result %d: %w", i, err)
		}
	}
	return nil
}

// keepAlive keeps the tensors of a run reachable until it is queued.
func (in *inputs) keepAlive(results []*tensor.Tensor) {
	goruntime.KeepAlive(in.leaves)
	goruntime.KeepAlive(in.frozen)
	goruntime.KeepAlive(in.extra)
	goruntime.KeepAlive(in.kept)
	goruntime.KeepAlive(results)
}
