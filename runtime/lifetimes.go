package runtime

import (
	"cmp"
	"slices"
)

// lifetimes is a set of blocks that finds those alive during an interval: an
// implicit binary tree over the blocks by first step, which knows for each
// subtree the latest last step of the members.
//
//	         7
//	   7          3        blocks by first:  0-2  0-7  1-3  2-2
//	2     7    3    -1     (the last one is no member)
type lifetimes struct {
	blocks []block
	order  []int // blocks by first
	rank   []int // by block: its place in order
	leaves int   // a power of two
	latest []int // by node, the root at 1; -1 if there is no member below
}

func newLifetimes(blocks []block) *lifetimes {
	l := &lifetimes{blocks: blocks, order: make([]int, len(blocks)), rank: make([]int, len(blocks)), leaves: 1}
	for i := range l.order {
		l.order[i] = i
	}
	slices.SortStableFunc(l.order, func(a, b int) int { return cmp.Compare(blocks[a].first, blocks[b].first) })
	for at, i := range l.order {
		l.rank[i] = at
	}
	for l.leaves < len(blocks) {
		l.leaves *= 2
	}
	l.latest = make([]int, 2*l.leaves)
	for i := range l.latest {
		l.latest[i] = -1
	}
	return l
}

// add makes block i a member.
func (l *lifetimes) add(i int) {
	for node := l.leaves + l.rank[i]; node > 0; node /= 2 {
		l.latest[node] = max(l.latest[node], l.blocks[i].last)
	}
}

// beside appends the members that live during some step of b.
func (l *lifetimes) beside(b *block, to []int) []int {
	limit, _ := slices.BinarySearchFunc(l.order, b.last+1, func(i, first int) int { return cmp.Compare(l.blocks[i].first, first) })
	return l.collect(1, 0, l.leaves, limit, b.first, to)
}

// collect appends the members among the leaves [lo, hi) of a node, below limit,
// that live until since or later.
func (l *lifetimes) collect(node, lo, hi, limit, since int, to []int) []int {
	switch {
	case lo >= limit || l.latest[node] < since:
		return to
	case hi-lo == 1:
		return append(to, l.order[lo])
	}
	mid := (lo + hi) / 2
	to = l.collect(2*node, lo, mid, limit, since, to)
	return l.collect(2*node+1, mid, hi, limit, since, to)
}
