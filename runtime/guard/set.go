package guard

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"

	"jitc/ir/call"
)

// Set is the guards of one entry: all must hold. It counts failures, and tries
// first what fails often.
type Set struct {
	Guards  []Guard  // not to be changed
	Sources []Source // where the symbols of the entry have their values; not to be changed

	order atomic.Pointer[[]int32] // in which the guards are tried: a permutation of them
	fails []atomic.Int64
	all   block // the guards
}

// NewSet makes the set. The slices are copied; a condition that is always true
// is kept.
func NewSet(guards []Guard, sources []Source) *Set {
	s := &Set{Guards: slices.Clone(guards), Sources: slices.Clone(sources), fails: make([]atomic.Int64, len(guards))}
	order, all := make([]int32, len(guards)), make([]*Guard, len(guards))
	for i := range s.Guards {
		order[i], all[i] = int32(i), &s.Guards[i]
		if g := &s.Guards[i]; g.Kind == Cond {
			g.check = compile(g)
		}
	}
	s.order.Store(&order)
	s.all = newBlock(all)
	return s
}

// Check returns the index of a guard that the call fails, and counts it; -1 if
// all hold. Of several that fail, which one is reported depends on the calls
// before; see [Set.FirstFailing].
func (s *Set) Check(c *call.Call) (failed int) {
	order := *s.order.Load()
	if len(order) > 0 { // what failed most fails soonest
		if i := order[0]; s.fails[i].Load() > 0 && !s.Guards[i].Holds(c) {
			s.count(0, int(i))
			return int(i)
		}
	}
	if s.all.holds(c) {
		return -1
	}
	for at, i := range order {
		if !s.Guards[i].Holds(c) {
			s.count(at, int(i))
			return int(i)
		}
	}
	return -1 // a variable has changed in between
}

// FirstFailing returns the index of the first guard, as they are listed, that
// the call fails; -1 if all hold. It counts nothing.
func (s *Set) FirstFailing(c *call.Call) int {
	for i := range s.Guards {
		if !s.Guards[i].Holds(c) {
			return i
		}
	}
	return -1
}

// count notes a failure of guard i, tried at position at. Only at powers of two
// is the order looked at: often enough to follow what fails, and so rarely that
// copying it costs nothing.
func (s *Set) count(at, i int) {
	n := s.fails[i].Add(1)
	if at == 0 || n&(n-1) != 0 {
		return
	}
	old := s.order.Load()
	at = slices.Index(*old, int32(i))
	to := slices.IndexFunc((*old)[:at], func(j int32) bool { return s.fails[j].Load() < n })
	if to < 0 {
		return
	}
	next := slices.Clone(*old)
	copy(next[to+1:at+1], (*old)[to:at])
	next[to] = int32(i)
	s.order.CompareAndSwap(old, &next) // another goroutine's order is as good
}

// Fails returns how often Check reported each guard.
func (s *Set) Fails() []int64 {
	out := make([]int64, len(s.fails))
	for i := range s.fails {
		out[i] = s.fails[i].Load()
	}
	return out
}

// Sizes adds the value of every symbol of Sources to into. It fails where the
// call has none, which calls that satisfy the guards of FromFunc never do.
func (s *Set) Sizes(c *call.Call, into map[string]int64) error {
	for i := range s.Sources {
		src := &s.Sources[i]
		v, ok := src.Value(c)
		if !ok {
			return fmt.Errorf("guard: the call gives no value for the size %s", strings.Join(src.equations(nil), ", "))
		}
		into[src.Sym] = v
	}
	return nil
}

// Miss is why a set does not hold.
type Miss struct {
	Set   int    // its index
	Index int    // of the first guard that fails, in the set's order; -1 if all hold
	Guard *Guard // that guard; nil if all hold
}
