package runtime

import (
	"slices"

	"jitc/executors"
)

// home is the queue of the device on which a step of control flow has its operands,
// its carries and its results; nil for the host. It is where most kernels of its
// bodies are, a device if there are as many on the host. What has no kernels is where
// most of the operands are computed.
func (l *linker) home(at int) executors.Queue {
	var votes ballot
	for _, body := range l.p.Steps[at].Bodies {
		votes.kernels(body)
	}
	if len(votes) == 0 {
		for _, n := range l.p.steps[at].in {
			if s := &l.p.slots[n]; s.kind == slotTemp {
				votes.add(l.p.Steps[s.first].Queue)
			}
		}
	}
	return votes.winner()
}

// ballot counts votes for queues, in the order of the first vote for each.
type ballot []vote

type vote struct {
	queue executors.Queue
	n     int
}

func (b *ballot) add(q executors.Queue) {
	at := slices.IndexFunc(*b, func(v vote) bool { return v.queue == q })
	if at < 0 {
		at = len(*b)
		*b = append(*b, vote{queue: q})
	}
	(*b)[at].n++
}

// kernels votes for where the kernels of a body are, those of bodies in it too.
func (b *ballot) kernels(p *Program) {
	for i := range p.Steps {
		step := &p.Steps[i]
		for _, body := range step.Bodies {
			b.kernels(body)
		}
		if step.Bodies == nil {
			b.add(step.Queue)
		}
	}
}

func (b ballot) winner() executors.Queue {
	var best vote
	for _, v := range b {
		if v.n > best.n || v.n == best.n && best.queue == nil {
			best = v
		}
	}
	return best.queue
}

// placeBodies makes the home of a step of control flow a side of its bodies, and gives
// the step work on every device that they use.
func (l *linker) placeBodies(at int) {
	step := &l.p.Steps[at]
	if step.Bodies == nil {
		return
	}
	p := l.p.placed
	home := p.devices[p.sides[at]]
	bodies := make([]*Program, len(step.Bodies))
	for i, body := range step.Bodies {
		bodies[i] = body.reaching(home)
	}
	step.Bodies = bodies
	var used []int
	for _, body := range bodies {
		if body.placed == nil {
			continue
		}
		for _, d := range body.placed.devices[1:] {
			if side := p.add(d); !slices.Contains(used, side) {
				used = append(used, side)
				l.addWork(at, side)
			}
		}
	}
}

// reaching is the program with a device among its sides, on which its parameters and
// results may lie then.
func (p *Program) reaching(d *device) *Program {
	if d == nil || p.placed != nil && slices.Contains(p.placed.devices, d) {
		return p
	}
	q := *p
	if p.placed == nil {
		q.slots, q.steps = slices.Clone(p.slots), slices.Clone(p.steps)
		for i := range q.steps {
			q.steps[i].in = slices.Clone(q.steps[i].in)
			q.steps[i].out = slices.Clone(q.steps[i].out)
		}
		q.Steps = slices.Clone(p.Steps)
		(&linker{p: &q}).place()
	}
	placed := *q.placed
	placed.devices = append(slices.Clone(placed.devices), d)
	placed.resultCopies = slices.Clone(placed.resultCopies)
	for i, copies := range placed.resultCopies {
		if copies != nil {
			placed.resultCopies[i] = append(slices.Clone(copies), -1)
		}
	}
	q.placed = &placed
	return &q
}
