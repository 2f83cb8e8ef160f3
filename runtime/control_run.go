package runtime

import (
	"context"
	"fmt"

	"jitc/executors"
	"jitc/ir"
)

// controlRun is one run of a step of control flow.
type controlRun struct {
	*control
	operands, results [][]byte
	works             [][]byte
	scratch           []byte // of the host
	workers           executors.Workers
	ctx               context.Context // nil if nobody can end it
	round             int             // of the batches of the program that has the step
}

// run runs the bodies, as step i of a frame.
func (c *control) run(f *frame, i int, scratch []byte, w executors.Workers) error {
	bufs := f.args[i]
	operands, works := c.operands(), len(bufs)-len(c.works)
	r := controlRun{c, bufs[:operands], bufs[operands:works], bufs[works:], scratch, w, f.ctx, f.round}
	switch c.op {
	case ir.OpCond:
		return r.cond()
	case ir.OpWhile:
		return r.while()
	}
	return r.scan()
}

// operands is how many operands the step has.
func (c *control) operands() int {
	n := len(c.bodies[0].rec.p.params)
	if c.op == ir.OpCond {
		n++
	}
	return n
}

// cond runs the body that the predicate chooses.
func (c *controlRun) cond() error {
	i := 1
	if c.operands[0][0] != 0 {
		i = 0
	}
	b := c.enter(i)
	defer b.leave()
	b.params(0, c.operands[1:])
	for k, buf := range c.results {
		b.result(k, buf)
	}
	return b.run(c.round, len(c.operands)-1, c) // its operands alternate with those of the loop around it
}

// while runs the body as long as the condition gives true.
func (c *controlRun) while() error {
	more, next := c.enter(0), c.enter(1)
	defer more.leave()
	defer next.leave()
	condition := c.works[0][:1:1]
	more.params(0, c.operands)
	next.params(0, c.operands)
	more.result(0, condition)
	for i, set := 0, len(c.operands); ; i, set = i+1, c.carries {
		if c.ctx != nil {
			if err := c.goOn(i); err != nil {
				return err
			}
		}
		if err := more.run(c.roundOf(i), set, c); err != nil {
			return err
		}
		if condition[0] == 0 {
			return c.settle(i)
		}
		for k := range c.carries {
			next.result(k, c.copyOf(k, i%2 == 0))
		}
		if err := next.run(c.roundOf(i), set, c); err != nil {
			return err
		}
		for k := range c.carries {
			carry := c.copyOf(k, i%2 == 0)
			more.param(k, carry)
			next.param(k, carry)
		}
	}
}

// goOn is the error of a context that has ended, before iteration i.
func (c *controlRun) goOn(i int) error {
	err := c.ctx.Err()
	if err == nil {
		return nil
	}
	if cause := context.Cause(c.ctx); cause != err {
		return fmt.Errorf("after %d iterations: %w: %w", i, err, cause)
	}
	return fmt.Errorf("after %d iterations: %w", i, err)
}

// roundOf is which of the batches of a body run in an iteration.
func (c *control) roundOf(iteration int) int {
	if iteration == 0 || !c.alternate {
		return min(iteration, 1)
	}
	return 2 - iteration%2
}

// settle brings the carries to the results' memory after so many iterations, the
// first of which wrote there.
func (c *controlRun) settle(iterations int) error {
	if iterations%2 == 1 {
		return nil
	}
	for k := range c.carries {
		from := c.operands[k]
		if iterations > 0 {
			from = c.copyOf(k, false)
		}
		if err := c.move(c.results[k], from); err != nil {
			return err
		}
	}
	return nil
}

// copyOf is one of the two places of carry k.
func (c *controlRun) copyOf(k int, result bool) []byte {
	if result || c.inPlace[k] >= 0 {
		return c.results[k]
	}
	return part(c.works[c.place], c.carried[k], len(c.results[k]))
}

// move copies at home.
func (c *controlRun) move(dst, src []byte) error {
	switch {
	case len(dst) == 0 || address(dst) == address(src):
		return nil
	case c.home != nil:
		return c.home.queue.Copy(dst, src)
	}
	copy(dst, src)
	return nil
}

// scan runs the body for each slice. The last iteration writes the carries to the
// results, so the first one does if their number is odd.
func (c *controlRun) scan() error {
	if c.length == 0 {
		return c.settle(0)
	}
	b := c.enter(0)
	defer b.leave()
	b.params(0, c.operands)
	set := len(c.operands)
	for i := range c.length {
		if c.ctx != nil {
			if err := c.goOn(i); err != nil {
				return err
			}
		}
		c.pointSlices(&b, i)
		if len(c.slices) > 0 {
			if err := c.bringSlices(&b, i); err != nil {
				return err
			}
		}
		toResult := (c.length-1-i)%2 == 0
		for k := range c.carries {
			b.result(k, c.copyOf(k, toResult))
		}
		if err := b.run(c.roundOf(i), set, c); err != nil {
			return err
		}
		if len(c.slices) > 0 {
			if err := c.keepSlices(i); err != nil {
				return err
			}
		}
		for k := range c.carries {
			b.param(k, c.copyOf(k, toResult))
		}
		set = c.carries + c.inputs
	}
	return nil
}

// pointSlices points the body at the slices of iteration i.
func (c *controlRun) pointSlices(b *bodyRun, i int) {
	for k := c.carries; k < c.carries+c.inputs; k++ {
		b.param(k, sliceOf(c.operands[k], i, c.length))
	}
	for k := c.carries; k < len(c.results); k++ {
		b.result(k, sliceOf(c.results[k], i, c.length))
	}
}

// bringSlices brings those to be moved to their place, and points the body there.
func (c *controlRun) bringSlices(b *bodyRun, i int) error {
	for _, m := range c.slices {
		if m.operand < 0 {
			b.result(m.result, c.moved(m, len(c.results[m.result])))
			continue
		}
		at := c.moved(m, len(c.operands[m.operand]))
		if err := c.move(at, sliceOf(c.operands[m.operand], i, c.length)); err != nil {
			return err
		}
		b.param(m.operand, at)
	}
	return nil
}

// keepSlices brings the slices that were computed elsewhere to where they belong.
func (c *controlRun) keepSlices(i int) error {
	for _, m := range c.slices {
		if m.result < 0 {
			continue
		}
		all := c.results[m.result]
		if err := c.move(sliceOf(all, i, c.length), c.moved(m, len(all))); err != nil {
			return err
		}
	}
	return nil
}

// moved is the place of slices of a tensor of so many bytes.
func (c *controlRun) moved(m movedSlice, bytes int) []byte {
	return part(c.works[c.place], m.offset, bytes/c.length)
}

// sliceOf is slice i of n equal ones.
func sliceOf(b []byte, i, n int) []byte {
	size := len(b) / n
	return b[i*size : (i+1)*size : (i+1)*size]
}

// bodyRun is a frame of a body during a step.
type bodyRun struct {
	*frame
	batches *rounds // nil without devices
}

// enter takes a frame for a body, whose memory is the step's work.
func (c *controlRun) enter(i int) bodyRun {
	body := &c.bodies[i]
	f := body.rec.frames.Get().(*frame)
	if c.ctx != nil {
		f.ctx = c.ctx
	}
	if f.spread == nil {
		if f.own == nil {
			f.setTemps(c.works[0][body.memory[0].arena:])
		}
		return bodyRun{f, nil}
	}
	body.furnish(f)
	f.furnishWork(body, c.works)
	return bodyRun{f, body.rec.takeBatches()}
}

// furnishWork points a frame of a body at its part of the work.
func (f *frame) furnishWork(body *controlBody, works [][]byte) {
	for side, m := range body.memory {
		f.point(side, works[m.work][m.arena:], works[m.work][m.behind:])
	}
	f.pointElsewhere()
}

// leave gives the frame back, without the memory it pointed at.
func (b *bodyRun) leave() {
	r := b.r
	if b.spread != nil {
		b.round = 0
		r.giveBatches(b.batches)
		b.forgetDevices()
	}
	if b.own == nil {
		for _, n := range r.temps {
			b.set(n, nil)
		}
	}
	r.release(b.frame)
}

// param points a parameter at memory at the step's home; settleFar does the rest.
func (b *bodyRun) param(i int, buf []byte) { b.set(b.r.p.params[i], buf) }

// params sets parameters from number at on.
func (b *bodyRun) params(at int, bufs [][]byte) {
	for i, buf := range bufs {
		b.param(at+i, buf)
	}
}

// result points a result at memory where the step wants it; settleFar does the rest.
func (b *bodyRun) result(i int, buf []byte) {
	b.results[i] = buf
	if res := b.r.p.results[i]; !res.copied {
		b.set(res.slot, buf)
	}
}

// settleFar points what steps of each side read of the first so many parameters,
// which have other elements or another place than before, and what they write.
func (b *bodyRun) settleFar(params int) {
	p, s := b.r.p, b.spread
	for i, n := range p.params[:params] {
		for _, m := range p.placed.copies[i] {
			if s.staged[m] {
				s.current[m] = false
			} else {
				b.set(m, b.slots[n])
			}
		}
	}
	for i, res := range p.results {
		if res.copied {
			continue
		}
		if s.staged[res.slot] {
			b.set(res.slot, b.placeElsewhere(res.slot))
		}
		if m := b.resultCopy(i); m >= 0 {
			b.set(m, b.results[i])
		}
	}
}

// run runs the body's steps, on devices those of a round. Of the parameters, the
// first so many were set since the last run.
func (b *bodyRun) run(round, params int, c *controlRun) error {
	if b.spread != nil {
		b.round = round
		b.settleFar(params)
		return b.runGroups(b.batches, c.scratch, c.workers, nil)
	}
	for i := range b.r.launches {
		if err := b.r.step(b.frame, i, c.scratch, c.workers); err != nil {
			return err
		}
	}
	b.copyResults()
	return nil
}
