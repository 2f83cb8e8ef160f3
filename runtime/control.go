package runtime

import (
	"fmt"
	"slices"

	"jitc/ir"
	"jitc/ir/tensor"
)

// Control flow is a step whose kernels are programs of its own: a cond runs one of
// two, a loop one again and again. It has a home: the host, or the device on which
// most of its kernels run. There its operands, results and carries lie, and its memory
// is planned like that of an intermediate that lives during the step:
//
//	work at home | carries, second copies | slices | staged | arena of the body that needs most there |
//	on the host  | a while's condition             | staged | arena of the body that needs most       |
//
// A carry stays in its result's memory where a body reads it for the last time before
// it computes the next one, or updates it; else it goes back and forth between that
// and its second copy. A body reads the slices of a scan's inputs where they lie and
// writes those of the outputs where they belong, so that nothing is copied but carries
// that no iteration computed, and slices that are not aligned, on a device. From there
// the host gets a cond's predicate, a while's condition in each iteration, and what
// steps of the host in a body read: of invariants once.
//
// The batches of a body find their memory where it lay before but for slices, and for
// carries that alternate, so that there are batches for each place of these:
//
//	iteration        0         1          2          3          4
//	carry reads      operand   result     second     result     second
//	carry writes     result    second     result     second     result
//	batches          first     odd        even       odd        even
//
// All that the odd and even ones patch is slices. Where no carry alternates, the odd
// ones run in every iteration but the first.

// control is a step of control flow at concrete sizes.
type control struct {
	op      ir.Op
	bodies  []controlBody
	carries int
	inputs  int
	length  int // of a scan
	serial  bool
	loops   bool    // it is a loop, or has one in a body
	home    *device // nil for the host
	place   int     // the work at home

	alternate bool  // a carry has two places
	inPlace   []int // by result: the operand in whose memory it may lie, or -1
	carried   []int // offsets of the second copies of carries that need one
	slices    []movedSlice
	works     []int // bytes, by work
	scratch   int   // bytes of the largest kernel scratch in a body
}

// controlBody is a body of a step.
type controlBody struct {
	rec     *Recording
	home    int         // its side that is the step's home
	results int         // the side on which its results belong
	memory  []workPlace // by side; one of the host where it has no devices
}

// workPlace is the memory of a body on a side, in the step's work: what lies elsewhere
// stays from iteration to iteration, beside the arena that bodies share.
type workPlace struct{ work, arena, behind int }

// movedSlice is a slice of an input or an output that is copied to aligned memory,
// or from there: on a device, kernels are made for aligned vectors.
type movedSlice struct {
	operand int // of an input, else -1
	result  int // of an output, else -1
	offset  int // in the work at home
}

// sliceAlign is the alignment to which slices on devices are moved, in bytes: of
// their widest vectors.
const sliceAlign = 16

// recordControl records the bodies of a step at r's sizes, and lays out its work.
func (r *Recording) recordControl(at int) (*control, error) {
	step := &r.p.Steps[at]
	v := step.Region
	c := &control{op: v.Op, carries: v.Carries(), inputs: v.Inputs(), serial: true, loops: v.Op != ir.OpCond}
	if r.p.placed != nil {
		c.home = r.p.placed.devices[r.p.placed.sides[at]]
	}
	if v.Op == ir.OpScan {
		n, err := ir.EvalShape(v.Attrs.Dims("length"), r.Sizes)
		if err != nil {
			return nil, fmt.Errorf("%s at %s: %w", v.Op, v.Pos, err)
		}
		c.length = n[0]
	}
	for i, p := range step.Bodies {
		body, err := given(v, i, p).record(r.Sizes, r.Workers)
		if err != nil {
			return nil, fmt.Errorf("%s of the %s at %s: %w", ir.BodyRole(v.Op, i), v.Op, v.Pos, err)
		}
		c.bodies = append(c.bodies, controlBody{rec: body})
		c.scratch = max(c.scratch, body.Scratch)
		c.serial = c.serial && body.serial
		c.loops = c.loops || body.loops
	}
	c.findInPlace(len(v.ResultTypes()))
	c.layOut(r.p.workDevices(at))
	for _, n := range c.works {
		if n > MaxBytes {
			return nil, tooMuch(uint64(n))
		}
	}
	return c, nil
}

// given is the program of body i with the parameters whose memory it may take for its
// results: a loop's carries, and what a cond may be given in place.
func given(v *ir.Value, i int, p *Program) *Program {
	switch {
	case v.Op == ir.OpCond:
		return p.Donate(orderOf(nil, len(p.params)))
	case v.Op == ir.OpWhile && i == 0:
		return p // the condition
	}
	return p.donateInTurn(v.Carries())
}

// findInPlace finds the results that may lie where an operand does: the carries that
// an iteration may compute in their own memory, and what both bodies of a cond
// compute in that of the same operand.
func (c *control) findInPlace(results int) {
	c.inPlace = slices.Repeat([]int{-1}, results)
	donated := c.bodies[len(c.bodies)-1].rec.Donated()
	for k := range c.carries {
		if donated[k] == k {
			c.inPlace[k] = k
		}
	}
	if c.op != ir.OpCond {
		return
	}
	for k, param := range c.bodies[0].rec.Donated() {
		if param >= 0 && donated[k] == param {
			c.inPlace[k] = 1 + param
		}
	}
}

// inPlaceOf is the operand that a result may take the place of, or -1.
func (c *control) inPlaceOf(result int) int {
	if result >= len(c.inPlace) {
		return -1 // work
	}
	return c.inPlace[result]
}

// workDevices are the devices of a step's work; nil for the host.
func (p *Program) workDevices(at int) []*device {
	var out []*device
	for _, n := range p.steps[at].work() {
		var d *device
		if side := p.slots[n].side; side > 0 {
			d = p.placed.devices[side]
		}
		out = append(out, d)
	}
	return out
}

// layOut places what the step's work holds. Every part is at most MaxBytes.
func (c *control) layOut(devices []*device) {
	c.works = make([]int, len(devices))
	if c.op == ir.OpWhile {
		c.works[0] = align // the condition
	}
	c.place = slices.Index(devices, c.home)
	c.layOutCarries()
	c.layOutSlices()
	for i := range c.bodies {
		b := &c.bodies[i]
		for side, staged := range b.settle(c.home, c.op == ir.OpWhile && i == 0) {
			at := max(slices.Index(devices, b.rec.deviceAt(side)), 0)
			b.memory = append(b.memory, workPlace{work: at, behind: c.works[at]})
			c.works[at] = min(c.works[at]+staged, 2*MaxBytes)
		}
	}
	ends := slices.Clone(c.works)
	for i := range c.bodies {
		b := &c.bodies[i]
		for side := range b.memory {
			m := &b.memory[side]
			m.arena = ends[m.work]
			c.works[m.work] = max(c.works[m.work], m.arena+b.rec.arenaOn(side))
		}
	}
}

// arenaOn is the size of the arena of a side.
func (r *Recording) arenaOn(side int) int {
	if side == 0 {
		return r.Arena
	}
	return r.devices.sides[side].arena
}

// layOutCarries places the second copies, if there is a second iteration.
func (c *control) layOutCarries() {
	body := c.bodies[len(c.bodies)-1].rec
	if c.op != ir.OpWhile && c.length <= 1 {
		return
	}
	c.carried = slices.Repeat([]int{-1}, c.carries)
	for k := range c.carries {
		if c.inPlace[k] < 0 {
			c.carried[k], c.alternate = c.reserve(body.bytes[body.p.params[k]]), true
		}
	}
}

// layOutSlices places slices that would not be aligned.
func (c *control) layOutSlices() {
	if c.op != ir.OpScan || c.home == nil || c.length <= 1 {
		return
	}
	body := c.bodies[0].rec
	for k := c.carries; k < c.carries+c.inputs; k++ {
		if n := body.bytes[body.p.params[k]]; n%sliceAlign != 0 {
			c.slices = append(c.slices, movedSlice{operand: k, result: -1, offset: c.reserve(n)})
		}
	}
	for k := c.carries; k < len(body.p.results); k++ {
		if n := body.bytes[body.p.results[k].slot]; n%sliceAlign != 0 {
			c.slices = append(c.slices, movedSlice{operand: -1, result: k, offset: c.reserve(n)})
		}
	}
}

// reserve takes so many bytes of the work at home.
func (c *control) reserve(bytes int) (offset int) {
	to := align
	if c.home != nil {
		to = deviceAlign
	}
	offset = c.works[c.place]
	c.works[c.place] = min(offset+(bytes+to-1)/to*to, 2*MaxBytes)
	return offset
}

// settle finds the sides of a body's parameters and results, and what it needs on
// each side for those that lie elsewhere. The condition of a while is for the host.
func (b *controlBody) settle(home *device, condition bool) []int {
	r := b.rec
	if r.devices == nil {
		return []int{0}
	}
	b.home = slices.Index(r.p.placed.devices, home)
	if b.results = b.home; condition {
		b.results = 0
	}
	f := r.newFrame()
	b.furnish(f)
	return f.spread.need
}

// furnish tells a frame of the body where parameters and results lie.
func (b *controlBody) furnish(f *frame) {
	for i := range f.spread.args {
		f.spread.args[i] = b.home
	}
	for i := range f.spread.results {
		f.spread.results[i] = b.results
	}
	f.settle()
}

// deviceAt is the device of a side; nil for the host.
func (r *Recording) deviceAt(side int) *device {
	if side == 0 {
		return nil
	}
	return r.p.placed.devices[side]
}

// workType is that of a step's work, whose size the recording finds.
var workType = ir.T(tensor.U8)
