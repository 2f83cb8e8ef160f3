package runtime

import (
	"slices"

	"jitc/executors"
	"jitc/ir"
)

// placement says where the steps of a program with accelerators run, and what is
// copied between them. Sides are numbered: 0 is the host, the others are devices.
//
//	steps        0 host | 1 gpu  2 gpu  3 gpu | 4 host        groups: runs on one side
//	slots  x  param      x' on the gpu
//	       t  0 -> 2     t' on the gpu             copied before step 1, where its group begins
//	       u  3 -> 4                     u' on the host    copied before step 4, which waits
//
// A slot is read by the steps of its own side only: those of others read its copy
// there. Where a parameter lies is known at run time, so that it is only read
// through copies: one on the argument's own side is the argument. Results are
// written on the side of their step, and are brought to where the caller wants them.
// Control flow on a device has its operands and results there, is a group of its own,
// and may have work on other sides too.
//
// Invariant: nothing is copied between the steps of a group on a device.
type placement struct {
	devices []*device // by side; nil for the host
	sides   []int     // by step
	groups  []group
	before  [][]transfer // by step
	copies  [][]int      // by parameter: its copies
	// By result: its copy on each side, -1 for none; nil for a result that is copied.
	resultCopies [][]int
	returned     []int // by result: the parameter that it is a copy of, or -1
}

// group is the steps [lo, hi), all on one side: a batch of kernels on a device, or
// one after the other.
type group struct {
	side, lo, hi int
	batch        bool
}

// transfer copies a slot to its copy on another side.
type transfer struct{ from, to, param int } // the parameter that from is, or -1

// side is the number of a queue.
func (p *placement) side(q executors.Queue) int {
	if q == nil {
		return 0
	}
	return p.add(deviceOf(q))
}

// add is the number of a device, which gets one if it has none.
func (p *placement) add(d *device) int {
	if i := slices.Index(p.devices, d); i >= 0 {
		return i
	}
	p.devices = append(p.devices, d)
	return len(p.devices) - 1
}

// hasDevices reports whether steps of the program or of its bodies are on devices.
func (p *Program) hasDevices() bool {
	return slices.ContainsFunc(p.Steps, func(s Step) bool {
		return s.Queue != nil || slices.ContainsFunc(s.Bodies, func(b *Program) bool { return b.placed != nil })
	})
}

// place finds the sides of a program, and lets every step read slots of its own
// side.
func (l *linker) place() {
	p := &placement{devices: []*device{nil}, before: make([][]transfer, len(l.p.Steps)), copies: make([][]int, len(l.p.params))}
	l.p.placed = p
	for i := range l.p.Steps {
		side := p.side(l.p.Steps[i].Queue)
		p.sides = append(p.sides, side)
		p.group(i, side, l.p.Steps[i].Bodies == nil)
		s := &l.p.steps[i]
		for _, n := range s.out[:len(s.out)-s.works] {
			l.p.slots[n].side = side
		}
		l.placeBodies(i)
	}
	for i := range l.p.slots {
		s := &l.p.slots[i]
		s.of, s.last = i, s.first
	}
	c := copier{linker: l, made: map[copied]int{}}
	for _, g := range p.groups {
		for i := g.lo; i < g.hi; i++ {
			in := l.p.steps[i].in
			for k, n := range in {
				if l.p.Steps[i].readsHere(k) {
					in[k] = c.read(n, group{side: 0, lo: i, hi: i + 1}, i)
				} else {
					in[k] = c.read(n, g, i)
				}
			}
		}
	}
	l.placeResults()
}

// group adds step i to the last group, or begins one.
func (p *placement) group(i, side int, kernel bool) {
	batch := side > 0 && kernel
	if n := len(p.groups); n > 0 && p.groups[n-1].side == side && p.groups[n-1].batch == batch && (batch || side == 0) {
		p.groups[n-1].hi++
		return
	}
	p.groups = append(p.groups, group{side, i, i + 1, batch})
}

// readsHere reports whether the host reads operand k of a step, wherever the step
// is: it chooses between the bodies of a cond.
func (s *Step) readsHere(k int) bool { return k == 0 && s.Bodies != nil && s.Region.Op == ir.OpCond }

// placeResults finds out what steps read of results, and which are parameters.
func (l *linker) placeResults() {
	p := l.p.placed
	for _, res := range l.p.results {
		p.returned = append(p.returned, slices.Index(l.p.params, res.slot))
		if res.copied {
			p.resultCopies = append(p.resultCopies, nil)
			continue
		}
		copies := slices.Repeat([]int{-1}, len(p.devices))
		for m, s := range l.p.slots {
			if s.of == res.slot && m != res.slot {
				copies[s.side] = m
			}
		}
		p.resultCopies = append(p.resultCopies, copies)
	}
}

// copier makes the copies that steps read.
type copier struct {
	*linker
	made map[copied]int
}

type copied struct{ slot, side int }

// read is the slot that step i of a group reads in the place of slot n.
func (c *copier) read(n int, g group, i int) int {
	p := c.p
	s := &p.slots[n]
	if s.kind != slotParam && s.side == g.side {
		s.last = max(s.last, i)
		return n
	}
	key := copied{n, g.side}
	m, ok := c.made[key]
	if !ok {
		m = c.copy(n, g, i)
		c.made[key] = m
	}
	p.slots[m].last = max(p.slots[m].last, i)
	return m
}

// copy makes the copy of slot n that step i of a group is the first to read. A
// device gets its copies where the group begins, so that the rest is one batch.
func (c *copier) copy(n int, g group, i int) int {
	p := c.p
	at := i
	if g.side != 0 {
		at = g.lo
	}
	s := p.slots[n]
	made := slot{typ: s.typ, kind: slotCopy, side: g.side, of: n, first: at, last: at}
	m, param := len(p.slots), -1
	switch s.kind {
	case slotParam:
		param = slices.Index(p.params, n)
		p.placed.copies[param] = append(p.placed.copies[param], m)
	case slotTemp, slotResult:
		made.kind = slotTemp
		p.slots[n].last = max(s.last, at)
	}
	if s.kind != slotConst { // whose copies recordings have
		p.placed.before[at] = append(p.placed.before[at], transfer{n, m, param})
	}
	p.slots = append(p.slots, made)
	return m
}

// where names the device of a step, empty for the host.
func (p *Program) where(step int) string {
	if p.placed == nil {
		return ""
	}
	return p.sideName(p.placed.sides[step])
}

// sideName names the device of a side, empty for the host.
func (p *Program) sideName(side int) string {
	if side == 0 {
		return ""
	}
	return p.placed.devices[side].name
}

// Devices are the names of the devices that the program, or a body of its control
// flow, has steps on.
func (p *Program) Devices() []string {
	if p.placed == nil {
		return nil
	}
	var names []string
	for _, d := range p.placed.devices[1:] {
		names = append(names, d.name)
	}
	return names
}
