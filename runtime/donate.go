package runtime

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"jitc/ir/tensor"
)

// Donate returns the program for callers who give the memory of those parameters
// away: results may then be computed in it, as Recording.Donated says.
func (p *Program) Donate(params []int) *Program {
	q := *p
	q.donated = slices.Compact(slices.Sorted(slices.Values(params)))
	for _, i := range q.donated {
		if i < 0 || i >= len(p.params) {
			panic(fmt.Sprintf("BUG: runtime: parameter %d of %d is donated", i, len(p.params)))
		}
	}
	return &q
}

// donateInTurn is Donate of the first n parameters of a loop's body, its carries: each
// is for the result of its number only, its next value. One that another result took
// would have two places.
func (p *Program) donateInTurn(n int) *Program {
	q := p.Donate(orderOf(nil, n))
	q.inTurn = true
	return q
}

// Donated gives for each result the parameter whose memory it may take, or -1;
// not to be changed. They are of one type, and every read of the parameter is
// over when the result is written, but for those of a step that updates it in place.
//
//	%0 = fused(%w, %g)    step 0 reads w
//	%1 = fused(%0)        step 1 writes it: may lie where w does
//	return %1
//
// A run need not make use of that. If it does, the result is a tensor with the
// argument's memory, exactly; anything in between is refused.
//
// Where a result's memory lies on a device, so must the argument's.
func (r *Recording) Donated() []int { return r.donated }

// donate decides who may take what. The parameters that a result may take are
// among those that a later one may, but for those that a step updates in place:
// that spares a copy, so it goes first. So going through the results in the order in
// which they are written, every choice leaves as many pairs possible; the best
// is the parameter that has the result's number among those of its type, as
// updated weights have.
func (r *Recording) donate() error {
	r.donated = slices.Repeat([]int{-1}, len(r.p.results))
	if len(r.p.donated) == 0 {
		return nil
	}
	d := donor{Recording: r, ends: r.lastReads(), taken: make([]bool, len(r.p.params)), params: map[*tensor.Layout][]int{}}
	for _, i := range r.p.donated {
		d.params[r.argLayouts[i]] = append(d.params[r.argLayouts[i]], i)
	}
	results := map[*tensor.Layout]int{}
	number := make([]int, len(r.p.results)) // among those of its type
	for i, l := range r.resultLayouts {
		number[i] = results[l]
		results[l]++
	}
	for _, i := range r.byWrite() {
		if j := d.paramFor(i, number[i]); j >= 0 && r.bytes[r.p.params[j]] > 0 {
			r.donated[i], d.taken[j] = j, true
		}
	}
	return nil
}

// donor gives the donated parameters to results.
type donor struct {
	*Recording
	ends   []int                    // by parameter: the last step that reads it
	taken  []bool                   // by parameter
	params map[*tensor.Layout][]int // donated, by type
}

// paramFor is the parameter that a result, the number-th of its type, takes, or -1.
func (d *donor) paramFor(result, number int) int {
	candidates, at := d.params[d.resultLayouts[result]], d.writtenAt(result)
	if d.p.inTurn {
		candidates = only(candidates, result)
	}
	updated := slices.IndexFunc(candidates, func(param int) bool {
		return !d.taken[param] && d.ends[param] == at && d.updates(result, param)
	})
	if updated >= 0 {
		return candidates[updated]
	}
	return choose(candidates, number, func(param int) bool {
		return !d.taken[param] && (d.ends[param] < at || d.returns(result, param))
	})
}

// only are the candidates that are parameter i.
func only(candidates []int, i int) []int {
	if at := slices.Index(candidates, i); at >= 0 {
		return candidates[at : at+1]
	}
	return nil
}

// choose is candidate number n if it is free, else the first that is, or -1.
func choose(candidates []int, n int, free func(int) bool) int {
	if n < len(candidates) && free(candidates[n]) {
		return candidates[n]
	}
	if i := slices.IndexFunc(candidates, free); i >= 0 {
		return candidates[i]
	}
	return -1
}

// byWrite lists the results in the order in which they are written.
func (r *Recording) byWrite() []int {
	order := make([]int, len(r.p.results))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(r.writtenAt(a), r.writtenAt(b)) })
	return order
}

// writtenAt is the step that writes a result, or the number of steps if it is
// copied after them all.
func (r *Recording) writtenAt(result int) int {
	res := r.p.results[result]
	if res.copied {
		return len(r.p.steps)
	}
	return r.p.slots[res.slot].first
}

// lastReads gives for each parameter the last step that reads it: -1 for none,
// and never over for one that a result is a copy of.
func (r *Recording) lastReads() []int {
	bySlot := slices.Repeat([]int{-1}, len(r.p.slots))
	for at, s := range r.p.steps {
		for _, n := range s.in {
			bySlot[r.original(n)] = at
		}
	}
	for _, res := range r.p.results {
		if res.copied {
			bySlot[res.slot] = math.MaxInt
		}
	}
	ends := make([]int, len(r.p.params))
	for i, n := range r.p.params {
		ends[i] = bySlot[n]
	}
	return ends
}

// original is the slot that slot n is a copy of, or itself.
func (r *Recording) original(n int) int {
	if r.p.placed == nil {
		return n
	}
	return r.p.slots[n].of
}

// returns reports whether a result is a parameter, unchanged: then it may stay
// where it is.
func (r *Recording) returns(result, param int) bool {
	res := r.p.results[result]
	return res.copied && res.slot == r.p.params[param]
}
