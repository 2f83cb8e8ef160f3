package dim

import (
	"cmp"
	"container/heap"
	"errors"
	"maps"
	"math"
	"slices"
)

// Verdict is how a search for sizes ended.
type Verdict uint8

// The verdicts of [Smallest].
const (
	Unknown Verdict = iota // the limit was reached first
	Found                  // the sizes are the smallest there are
	None                   // it is proved that there are none
)

func (v Verdict) String() string { return [...]string{"unknown", "found", "none"}[v] }

// Smallest returns the smallest sizes that satisfy f and cs and lie outside
// every conjunction in except: of least sum and, of those, the first in
// lexicographic order of the symbols. The symbols are those of f in order, then
// the others sorted; each has a value in sizes. Sizes of which one of the
// constraints has no value are left out.
//
// It looks at boxes of sizes, best first, which it narrows by interval
// arithmetic and splits; ranges without an upper bound grow by doubling. Limit
// bounds the number of boxes. Symbols without a lower bound have no smallest
// member, and the verdict is Unknown.
func Smallest(f *Facts, cs []Constraint, except [][]Constraint, limit int) (sizes map[string]int64, v Verdict) {
	if f == nil {
		f = NewFacts()
	}
	all, err := f.with(cs)
	switch {
	case errors.Is(err, ErrContradiction):
		return nil, None
	case err != nil:
		return nil, Unknown
	}
	budget := maxRefutations
	if refuted(all, except, &budget) {
		return nil, None
	}
	return newSearch(all, except).run(limit)
}

// with returns the facts and the constraints together.
func (f *Facts) with(cs []Constraint) (*Facts, error) {
	g := f.Clone()
	for _, c := range cs {
		if err := g.Assume(c); err != nil {
			return nil, err
		}
	}
	return g, nil
}

// maxRefutations bounds the cases of a refutation.
const maxRefutations = 64

// refuted reports whether reasoning shows that nothing is left outside the
// exceptions: it supposes that the constraints of the first hold up to one that
// does not, and so on with the next, for each.
func refuted(f *Facts, except [][]Constraint, budget *int) bool {
	if len(except) == 0 {
		return false
	}
	g := f
	for _, c := range except[0] {
		if *budget--; *budget < 0 {
			return false
		}
		if left, err := g.with([]Constraint{c.Not()}); err == nil && !refuted(left, except[1:], budget) {
			return false
		} else if err != nil && !errors.Is(err, ErrContradiction) {
			return false
		}
		next, err := g.with([]Constraint{c})
		if err != nil {
			return errors.Is(err, ErrContradiction)
		}
		g = next
	}
	return true
}

// search is a best-first branch and bound. Boxes are taken in the order of
// their least corners, which is that of the members sought: no member of a
// later box comes before the corner, so the first corner that is a member is
// the smallest.
type search struct {
	syms   []string
	index  map[string]int
	facts  *Facts
	cs     []Constraint
	except [][]Constraint
	checks []func(vals []int64) (holds, ok bool)
	denied [][]func(vals []int64) (holds, ok bool)
	queue  boxes
}

func newSearch(f *Facts, except [][]Constraint) *search {
	s := &search{facts: f, except: except, cs: f.Constraints()}
	s.syms = symbolsOf(f, append(slices.Clone(except), s.cs))
	s.index = make(map[string]int, len(s.syms))
	for i, sym := range s.syms {
		s.index[sym] = i
	}
	for _, c := range s.cs {
		s.checks = append(s.checks, c.Compile(s.syms))
	}
	for _, conjunction := range except {
		var checks []func(vals []int64) (holds, ok bool)
		for _, c := range conjunction {
			checks = append(checks, c.Compile(s.syms))
		}
		s.denied = append(s.denied, checks)
	}
	return s
}

// symbolsOf lists the symbols of the facts in order, then the others sorted.
func symbolsOf(f *Facts, groups [][]Constraint) []string {
	rest := map[string]bool{}
	for _, group := range groups {
		for _, c := range group {
			for _, sym := range c.Syms() {
				rest[sym] = true
			}
		}
	}
	syms := f.Syms()
	for _, sym := range syms {
		delete(rest, sym)
	}
	return append(syms, slices.Sorted(maps.Keys(rest))...)
}

// run looks at boxes until one's least corner is a member.
func (s *search) run(limit int) (map[string]int64, Verdict) {
	first := make(box, len(s.syms))
	rs := s.facts.ranges()
	for i, sym := range s.syms {
		if first[i] = meet(rs.symbol(sym), int64s); first[i].lo.v == math.MinInt64 {
			return nil, Unknown
		}
	}
	s.push(first)
	for range limit {
		if len(s.queue) == 0 {
			return nil, None
		}
		b := heap.Pop(&s.queue).(box)
		corner := b.corner()
		if s.member(corner) {
			sizes := make(map[string]int64, len(corner))
			for i, v := range corner {
				sizes[s.syms[i]] = v
			}
			return sizes, Found
		}
		for _, half := range s.split(b) {
			s.push(half)
		}
	}
	if len(s.queue) == 0 {
		return nil, None
	}
	return nil, Unknown
}

func (s *search) member(vals []int64) bool {
	for _, check := range s.checks {
		if holds, ok := check(vals); !ok || !holds {
			return false
		}
	}
	for _, conjunction := range s.denied {
		all := true
		for _, check := range conjunction {
			holds, ok := check(vals)
			if !ok {
				return false
			}
			all = all && holds
		}
		if all {
			return false
		}
	}
	return true
}

// push narrows a box and queues it unless nothing in it is a member.
func (s *search) push(b box) {
	if s.contract(b) {
		heap.Push(&s.queue, b)
	}
}

// split halves a box without its corner, which is no member, along the
// symbol that the undecided constraints depend on and that is widest, and
// returns nothing of a single point.
func (s *search) split(b box) []box {
	at := s.branch(b)
	if at < 0 {
		return nil
	}
	mid := b[at].middle()
	low, high := slices.Clone(b), slices.Clone(b)
	low[at].hi = finite(mid)
	high[at].lo = finite(mid + 1)
	return []box{low, high}
}

// box is a finite range of each symbol.
type box []interval

func (b box) corner() []int64 {
	vals := make([]int64, len(b))
	for i, r := range b {
		vals[i] = r.lo.v
	}
	return vals
}

// compare orders boxes by the sum, then the order, of their corners.
func (b box) compare(o box) int {
	if c := compareSums(b, o); c != 0 {
		return c
	}
	return slices.CompareFunc(b, o, func(r, q interval) int { return cmp.Compare(r.lo.v, q.lo.v) })
}

// compareSums compares exactly: the sum of the differences is kept in 128 bits.
func compareSums(b, o box) int {
	var hi, lo int64 // hi*2^32 + lo
	const half = 32
	for i := range b {
		x, y := b[i].lo.v, o[i].lo.v
		hi += x>>half - y>>half
		lo += x&(1<<half-1) - y&(1<<half-1)
	}
	hi += lo >> half
	lo &= 1<<half - 1
	return cmp.Or(cmp.Compare(hi, 0), cmp.Compare(lo, 0))
}

// int64s are the values that a size can have at all.
var int64s = interval{finite(math.MinInt64), finite(math.MaxInt64)}

// middle is where a range of several values is split: those without a bound
// double.
func (r interval) middle() int64 {
	lo, hi := r.lo.v, r.hi.v
	if hi == math.MaxInt64 {
		if grown, ok := addOK(lo, max(lo, 1)); ok && grown < hi {
			return grown
		}
	}
	return lo + int64(r.width()/2)
}

// width counts the steps from end to end of a finite range.
func (r interval) width() uint64 { return uint64(r.hi.v) - uint64(r.lo.v) }

// boxes is a heap, the least corner on top.
type boxes []box

func (q boxes) Len() int           { return len(q) }
func (q boxes) Less(i, j int) bool { return q[i].compare(q[j]) < 0 }
func (q boxes) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }
func (q *boxes) Push(x any)        { *q = append(*q, x.(box)) }
func (q *boxes) Pop() any {
	old := *q
	b := old[len(old)-1]
	*q = old[:len(old)-1]
	return b
}
