package runtime

import (
	"fmt"

	"jitc/executors"
	"jitc/ir"
	"jitc/ir/tensor"
)

// Control flow is a step whose kernel is programs of its own: a cond runs one of
// two, a loop one again and again. Its memory is planned like that of an
// intermediate that lives during the step:
//
//	step's work   | condition | carries, second copies | arena of the body that needs most |
//
// A carry goes back and forth between its result's memory and its second copy;
// a body reads the slices of a scan's inputs where they lie and writes those of
// the outputs where they belong, so that nothing is copied but carries that no
// iteration computed. The step itself is the host's: what a body has steps on a
// device for goes there and back in each iteration.

// control is a step of control flow at concrete sizes.
type control struct {
	op      ir.Op
	bodies  []*Recording
	carries int
	inputs  int
	length  int // of a scan
	serial  bool
	// of the work:
	carried []int // offsets of the carries' second copies
	arena   int   // offset of the bodies' arena
	work    int   // bytes
	scratch int   // bytes of the largest kernel scratch in a body
}

// recordControl records the bodies of a step at r's sizes, and lays out its work.
func (r *Recording) recordControl(step *Step) (*control, error) {
	v := step.Region
	c := &control{op: v.Op, carries: v.Carries(), inputs: v.Inputs(), serial: true}
	for i, p := range step.Bodies {
		body, err := p.record(r.Sizes, r.Workers)
		if err != nil {
			return nil, fmt.Errorf("%s of the %s at %s: %w", ir.BodyRole(v.Op, i), v.Op, v.Pos, err)
		}
		c.bodies = append(c.bodies, body)
		c.scratch = max(c.scratch, body.Scratch)
		c.serial = c.serial && body.serial
	}
	if v.Op == ir.OpScan {
		n, err := ir.EvalShape(v.Attrs.Dims("length"), r.Sizes)
		if err != nil {
			return nil, fmt.Errorf("%s at %s: %w", v.Op, v.Pos, err)
		}
		c.length = n[0]
	}
	c.layOut()
	if c.work > MaxBytes {
		return nil, tooMuch(uint64(c.work))
	}
	return c, nil
}

// layOut places what the step's work holds. Every part is at most MaxBytes.
func (c *control) layOut() {
	if c.op == ir.OpWhile {
		c.arena = align // the condition
	}
	if body := c.bodies[len(c.bodies)-1]; c.op == ir.OpWhile || c.length > 1 {
		for i := range c.carries {
			c.carried = append(c.carried, c.arena)
			c.arena = min(c.arena+alignUp(body.bytes[body.p.params[i]]), 2*MaxBytes)
		}
	}
	c.work = c.arena
	for _, body := range c.bodies {
		c.work = max(c.work, c.arena+body.Arena)
	}
}

// ScratchBytes is what the kernels of the bodies need.
func (c *control) ScratchBytes(int) int { return c.scratch }

// Chunks is 1 if no kernel of the bodies needs workers.
func (c *control) Chunks() int {
	if c.serial {
		return 1
	}
	return maxChunks
}

const maxChunks = 1 << 30 // any number above 1

// Run runs the bodies. bufs are the operands, the results and the work.
func (c *control) Run(bufs [][]byte, scratch []byte, w executors.Workers) error {
	work := bufs[len(bufs)-1]
	switch c.op {
	case ir.OpCond:
		n := len(c.bodies[0].p.params)
		i := 1
		if bufs[0][0] != 0 {
			i = 0
		}
		b := c.enter(i, work)
		defer b.leave()
		b.params(0, bufs[1:1+n])
		b.results(0, bufs[1+n:len(bufs)-1])
		return b.run(scratch, w)
	case ir.OpWhile:
		return c.while(bufs, work, scratch, w)
	}
	return c.scan(bufs, work, scratch, w)
}

// while runs the body as long as the condition gives true.
func (c *control) while(bufs [][]byte, work, scratch []byte, w executors.Workers) error {
	n := len(bufs) - 1 - c.carries
	operands, results := bufs[:n], bufs[n:n+c.carries]
	more, next := c.enter(0, work), c.enter(1, work)
	defer more.leave()
	defer next.leave()
	condition := work[:1:1]
	more.params(0, operands)
	next.params(0, operands)
	more.result(0, condition)
	for i := 0; ; i++ {
		if err := more.run(scratch, w); err != nil {
			return err
		}
		if condition[0] == 0 {
			c.settle(i, operands, results, work)
			return nil
		}
		for k := range c.carries {
			next.result(k, c.copyOf(k, i%2 == 0, results, work))
		}
		if err := next.run(scratch, w); err != nil {
			return err
		}
		for k := range c.carries {
			carry := c.copyOf(k, i%2 == 0, results, work)
			more.param(k, carry)
			next.param(k, carry)
		}
	}
}

// settle brings the carries to the results' memory after so many iterations, the
// first of which wrote there.
func (c *control) settle(iterations int, operands, results [][]byte, work []byte) {
	for k := range c.carries {
		switch {
		case iterations == 0:
			copy(results[k], operands[k])
		case iterations%2 == 0:
			copy(results[k], c.copyOf(k, false, results, work))
		}
	}
}

// copyOf is one of the two places of carry k.
func (c *control) copyOf(k int, result bool, results [][]byte, work []byte) []byte {
	if result {
		return results[k]
	}
	lo, n := c.carried[k], len(results[k])
	return work[lo : lo+n : lo+n]
}

// scan runs the body for each slice. The last iteration writes the carries to the
// results, so the first one does if their number is odd.
func (c *control) scan(bufs [][]byte, work, scratch []byte, w executors.Workers) error {
	body := c.bodies[0]
	n := len(body.p.params)
	operands, results := bufs[:n], bufs[n:len(bufs)-1]
	if c.length == 0 {
		c.settle(0, operands, results, work)
		return nil
	}
	b := c.enter(0, work)
	defer b.leave()
	b.params(0, operands[:c.carries])
	b.params(c.carries+c.inputs, operands[c.carries+c.inputs:])
	for i := range c.length {
		for k := c.carries; k < c.carries+c.inputs; k++ {
			b.param(k, sliceOf(operands[k], i, c.length))
		}
		for k := c.carries; k < len(results); k++ {
			b.result(k, sliceOf(results[k], i, c.length))
		}
		toResult := (c.length-1-i)%2 == 0
		for k := range c.carries {
			b.result(k, c.copyOf(k, toResult, results, work))
		}
		if err := b.run(scratch, w); err != nil {
			return err
		}
		for k := range c.carries {
			b.param(k, c.copyOf(k, toResult, results, work))
		}
	}
	return nil
}

// sliceOf is slice i of n equal ones.
func sliceOf(b []byte, i, n int) []byte {
	size := len(b) / n
	return b[i*size : (i+1)*size : (i+1)*size]
}

// bodyRun is a frame of a body during a step.
type bodyRun struct{ *frame }

// enter takes a frame for a body, whose intermediates lie in the step's work.
func (c *control) enter(i int, work []byte) bodyRun {
	f := c.bodies[i].frames.Get().(*frame)
	if f.own == nil {
		f.setTemps(work[c.arena:])
	}
	return bodyRun{f}
}

// leave gives the frame back, without the memory it pointed at.
func (b bodyRun) leave() {
	if b.own == nil {
		for _, n := range b.r.temps {
			b.set(n, nil)
		}
	}
	b.r.release(b.frame)
}

func (b bodyRun) param(i int, buf []byte) { b.set(b.r.p.params[i], buf) }

// params sets parameters from number at on.
func (b bodyRun) params(at int, bufs [][]byte) {
	for i, buf := range bufs {
		b.param(at+i, buf)
	}
}

func (b bodyRun) result(i int, buf []byte) {
	b.frame.results[i] = buf
	if res := b.r.p.results[i]; !res.copied {
		b.set(res.slot, buf)
	}
}

// results sets results from number at on.
func (b bodyRun) results(at int, bufs [][]byte) {
	for i, buf := range bufs {
		b.result(at+i, buf)
	}
}

// run launches the body's steps.
func (b bodyRun) run(scratch []byte, w executors.Workers) error {
	if b.spread != nil {
		b.settle()
		return b.across(scratch, nil, w, nil)
	}
	for i := range b.r.launches {
		if err := b.r.step(b.frame, i, scratch, w); err != nil {
			return err
		}
	}
	b.copyResults()
	return nil
}

// workType is that of a step's work, whose size the recording finds.
var workType = ir.T(tensor.U8)
