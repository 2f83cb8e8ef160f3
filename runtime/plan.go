package runtime

import (
	"cmp"
	"slices"
)

// align is the alignment of every planned tensor, in bytes: a cache line and
// the widest vector.
const align = 64

func alignUp(n int) int { return (n + align - 1) &^ (align - 1) }

// block is one tensor to be placed: its bytes, a positive multiple of align, and
// the steps during which it lives, both included.
type block struct {
	bytes       int
	first, last int
	offset      int
}

// maxPairs bounds the pairs of blocks that placing by size looks at; beyond it,
// only placing in time order is near-linear.
const maxPairs = 4 << 20

// place gives every block an offset, a multiple of align, such that blocks whose
// lifetimes overlap do not overlap in memory, and returns the bytes needed. It
// takes the better of two plans, neither of which is always the better one:
//
//	by size   the largest block first, each into the smallest gap among
//	          those it lives beside
//	by time   as a best-fit allocator meets them when the program runs
//
// (Pisarchyk and Lee, "Efficient memory management for deep neural net
// inference", 2020, compare both.) Equal blocks give an equal plan. The sum of
// all bytes must not overflow.
func place(blocks []block) int {
	total := placeByTime(blocks)
	if crowded(blocks) {
		return total
	}
	other := slices.Clone(blocks)
	if t := placeBySize(other); t <= total {
		copy(blocks, other)
		total = t
	}
	return total
}

// crowded reports whether more than maxPairs pairs of blocks live at one time.
func crowded(blocks []block) bool {
	live, pairs := 0, 0
	for _, n := range lifeEvents(blocks) {
		if n > 0 {
			pairs += live
		}
		live += n
	}
	return pairs > maxPairs
}

// peakLive is the most bytes that live at one step: no plan needs fewer.
func peakLive(blocks []block) int {
	live, most := 0, 0
	for i, sign := range lifeEvents(blocks) {
		live += sign * blocks[i].bytes
		most = max(most, live)
	}
	return most
}

// lifeEvents yields blocks (by index) as they begin (1) and end (-1) to live, in
// order of time, up to the last beginning. At one step, the ends of earlier
// blocks precede the beginnings, and larger blocks begin first.
func lifeEvents(blocks []block) func(yield func(i, sign int) bool) {
	byFirst, byLast := make([]int, len(blocks)), make([]int, len(blocks))
	for i := range blocks {
		byFirst[i], byLast[i] = i, i
	}
	slices.SortStableFunc(byFirst, func(a, b int) int {
		return cmp.Or(cmp.Compare(blocks[a].first, blocks[b].first), cmp.Compare(blocks[b].bytes, blocks[a].bytes))
	})
	slices.SortStableFunc(byLast, func(a, b int) int { return cmp.Compare(blocks[a].last, blocks[b].last) })
	return func(yield func(i, sign int) bool) {
		ends := byLast // no longer than byFirst's rest: a block ends after it begins
		for _, i := range byFirst {
			for ; blocks[ends[0]].last < blocks[i].first; ends = ends[1:] {
				if !yield(ends[0], -1) {
					return
				}
			}
			if !yield(i, 1) {
				return
			}
		}
	}
}

// placeBySize is O(n log n) and, for every pair of blocks that live at one time,
// a little more.
func placeBySize(blocks []block) int {
	order := make([]int, len(blocks))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		return cmp.Or(cmp.Compare(blocks[b].bytes, blocks[a].bytes), cmp.Compare(blocks[a].first, blocks[b].first))
	})
	placed := newLifetimes(blocks)
	var beside []int
	total := 0
	for _, i := range order {
		b := &blocks[i]
		beside = placed.beside(b, beside[:0])
		slices.SortFunc(beside, func(x, y int) int { return cmp.Compare(blocks[x].offset, blocks[y].offset) })
		b.offset = bestGap(blocks, beside, b.bytes)
		placed.add(i)
		total = max(total, b.offset+b.bytes)
	}
	return total
}

// bestGap finds the smallest gap of at least need bytes between blocks that are
// given by offset; failing that, what follows them.
func bestGap(blocks []block, beside []int, need int) int {
	best, bestSize, end := -1, 0, 0
	for _, i := range beside {
		x := &blocks[i]
		if gap := x.offset - end; gap >= need && (best < 0 || gap < bestSize) {
			best, bestSize = end, gap
		}
		end = max(end, x.offset+x.bytes)
	}
	if best >= 0 {
		return best
	}
	return end
}
