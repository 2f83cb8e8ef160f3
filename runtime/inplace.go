package runtime

import (
	"slices"

	"jitc/executors"
)

// A step that writes only a part of its result, the rest of which is an operand, is
// spared the copy where the result can lie where the operand does: nobody reads the
// operand any more, and its memory is the run's to give.
//
//	%1 = scatter(%0, %at, %x)    %0: an intermediate that only this step reads
//	%2 = scatter(%1, %at, %y)    one block of the arena for %0, %1 and %2
//
// Control flow whose bodies do so with what they are given is such a step too.

// inPlace is the slot in whose memory output k of step i may lie, the operand that
// it is an update of, or -1.
func (r *Recording) inPlace(i, k int) int {
	var operand int
	if c := r.controls[i]; c != nil {
		operand = c.inPlaceOf(k)
	} else if l, ok := r.launches[i].(executors.InPlacer); ok {
		operand = l.InPlace(k)
	} else {
		return -1
	}
	if operand < 0 {
		return -1
	}
	in := r.p.steps[i].in
	n := in[operand]
	for j, m := range in {
		if j != operand && r.original(m) == r.original(n) {
			return -1 // another operand would change while it is read
		}
	}
	return n
}

// standApart gives every intermediate a place of its own.
func (r *Recording) standApart() error {
	r.homeOf, r.until = make([]int, len(r.p.slots)), make([]int, len(r.p.slots))
	for n, s := range r.p.slots {
		r.homeOf[n], r.until[n] = n, s.last
	}
	return nil
}

// share finds the intermediates that can lie where others do, and plans again if
// there are any: that is known when kernels are bound, which is worth it only at
// sizes that a plan was found for.
func (r *Recording) share() error {
	found := false
	for i, s := range r.p.steps {
		for k, out := range s.out {
			n := r.inPlace(i, k)
			if n < 0 || r.isUpdatedBefore(s.out[:k], n) || !r.mayLieIn(out, n, i) {
				continue
			}
			home := r.homeOf[n]
			r.homeOf[out], r.until[home] = home, max(r.until[home], r.p.slots[out].last)
			found = true
		}
	}
	if !found {
		return nil
	}
	return r.plan()
}

// isUpdatedBefore reports whether one of outs lies where slot n does.
func (r *Recording) isUpdatedBefore(outs []int, n int) bool {
	return slices.ContainsFunc(outs, func(out int) bool { return r.homeOf[out] == r.homeOf[n] })
}

// mayLieIn reports whether what step i writes to slot out may lie in slot n, which
// it reads.
func (r *Recording) mayLieIn(out, n, i int) bool {
	to, from := &r.p.slots[out], &r.p.slots[n]
	return to.kind == slotTemp && from.kind == slotTemp && from.last == i && to.side == from.side &&
		r.original(n) == n && r.bytes[out] == r.bytes[n]
}

// updates reports whether a result is an update of a parameter, which the step that
// writes it reads last.
func (r *Recording) updates(result, param int) bool {
	res := r.p.results[result]
	if res.copied {
		return false
	}
	i := r.p.slots[res.slot].first
	n := r.inPlace(i, slices.Index(r.p.steps[i].out, res.slot))
	return n >= 0 && r.original(n) == r.p.params[param]
}
