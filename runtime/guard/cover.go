package guard

import (
	"math/bits"
	"slices"
)

// Bounds of the exact search.
const (
	exactColumns = 64 // the columns of a pair of rows are one word
	exactRows    = 512
	exactPairs   = 4096    // distinct pairs
	exactSteps   = 1 << 16 // nodes of the search
)

// cover chooses columns such that rows of different sets differ in one, where
// they differ at all. minimal tells that no fewer do.
func (c *columns) cover() (chosen []int, minimal bool) {
	if len(c.rows) < 2 {
		return nil, true
	}
	chosen = c.greedy()
	if len(chosen) <= 1 || len(c.guards) > exactColumns || len(c.rows) > exactRows {
		return chosen, len(chosen) <= 1
	}
	pairs, ok := c.pairs()
	if !ok {
		return chosen, false
	}
	s := search{pairs: pairs, steps: exactSteps}
	return s.shrink(chosen)
}

// greedy takes the column that separates most pairs, until none separates any,
// and then leaves out what the others make superfluous.
func (c *columns) greedy() []int {
	var chosen []int
	part := make([]int, len(c.rows)) // rows that the chosen columns do not tell apart have one part
	for {
		best, most := -1, 0
		for col := range c.guards {
			if n := c.separated(part, col); n > most {
				best, most = col, n
			}
		}
		if best < 0 {
			return c.prune(chosen)
		}
		chosen = append(chosen, best)
		part = c.split(part, best)
	}
}

// split refines a partition by a column. Parts are numbered from 0.
func (c *columns) split(part []int, col int) []int {
	next, ids := make([]int, len(part)), map[int]int{}
	for r, p := range part {
		key := 2*p + c.outcome(col, r)
		id, ok := ids[key]
		if !ok {
			id = len(ids)
			ids[key] = id
		}
		next[r] = id
	}
	return next
}

// separated counts the pairs of rows of one part and different sets that the
// column tells apart: over the parts, (rows outside)*(rows inside) less the
// pairs of one set.
func (c *columns) separated(part []int, col int) int {
	parts, sets := slices.Max(part)+1, c.sets
	all, same := make([][2]int, parts), make([][2]int, parts*sets)
	for r, p := range part {
		o := c.outcome(col, r)
		all[p][o]++
		same[p*sets+c.rows[r].set][o]++
	}
	n := 0
	for _, a := range all {
		n += a[0] * a[1]
	}
	for _, a := range same {
		n -= a[0] * a[1]
	}
	return n
}

// prune leaves out each column, last first, that the others make superfluous.
func (c *columns) prune(chosen []int) []int {
	want := c.unseparated(chosen)
	for i := len(chosen) - 1; i >= 0; i-- {
		if rest := slices.Delete(slices.Clone(chosen), i, i+1); c.unseparated(rest) == want {
			chosen = rest
		}
	}
	return chosen
}

// unseparated counts the pairs of rows of different sets that agree in all the
// columns.
func (c *columns) unseparated(chosen []int) int {
	part := make([]int, len(c.rows))
	for _, col := range chosen {
		part = c.split(part, col)
	}
	type cell struct{ part, set int }
	all, same := map[int]int{}, map[cell]int{}
	for r, p := range part {
		all[p]++
		same[cell{p, c.rows[r].set}]++
	}
	n := 0
	for _, k := range all {
		n += k * k
	}
	for _, k := range same {
		n -= k * k
	}
	return n / 2
}

// pairs lists, for the pairs of rows of different sets that differ, the columns
// in which they do, as bits. Pairs that separate themselves where another does
// are left out: what hits the lesser set of columns hits the larger. ok is false
// where they are too many.
func (c *columns) pairs() (least []uint64, ok bool) {
	words := make([]uint64, len(c.rows))
	for col := range c.guards {
		for r := range c.rows {
			words[r] |= uint64(c.outcome(col, r)) << col
		}
	}
	seen := map[uint64]bool{}
	var all []uint64
	for i := range words {
		for j := range i {
			if w := words[i] ^ words[j]; c.rows[i].set != c.rows[j].set && w != 0 && !seen[w] {
				seen[w] = true
				all = append(all, w)
			}
		}
	}
	if len(all) > exactPairs {
		return nil, false
	}
	slices.SortFunc(all, func(a, b uint64) int {
		if n := bits.OnesCount64(a) - bits.OnesCount64(b); n != 0 {
			return n
		}
		if a < b {
			return -1
		}
		return 1
	})
	for _, w := range all {
		if !slices.ContainsFunc(least, func(l uint64) bool { return l&w == l }) {
			least = append(least, w)
		}
	}
	return least, true
}

// search finds the fewest columns that hit every pair.
type search struct {
	pairs []uint64
	steps int
	found uint64
}

// shrink returns a least choice, or the one given if the work is bounded first.
func (s *search) shrink(chosen []int) (best []int, minimal bool) {
	for len(chosen) > 0 {
		if !s.hit(0, ^uint64(0), len(chosen)-1) {
			return chosen, s.steps > 0
		}
		chosen = chosen[:0:0]
		for w := s.found; w != 0; w &= w - 1 {
			chosen = append(chosen, bits.TrailingZeros64(w))
		}
	}
	return chosen, true
}

// hit looks for at most left further columns, all of them allowed, that hit the
// pairs that taken does not.
func (s *search) hit(taken, allowed uint64, left int) bool {
	if s.steps--; s.steps <= 0 {
		return false
	}
	narrow, apart, used := uint64(0), 0, uint64(0)
	for _, w := range s.pairs {
		if w&taken != 0 {
			continue
		}
		if w &= allowed; w == 0 {
			return false
		}
		if narrow == 0 || bits.OnesCount64(w) < bits.OnesCount64(narrow) {
			narrow = w
		}
		if w&used == 0 { // each of pairs that share no column takes one of its own
			used |= w
			apart++
		}
	}
	if narrow == 0 {
		s.found = taken
		return true
	}
	if apart > left {
		return false
	}
	for w := narrow; w != 0; w &= w - 1 {
		col := w & -w
		if s.hit(taken|col, allowed, left-1) {
			return true
		}
		allowed &^= col
	}
	return false
}
