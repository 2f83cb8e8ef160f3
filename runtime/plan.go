package runtime

import (
	"cmp"
	"slices"
)

// align is the alignment of every planned tensor, in bytes: a cache line and
// the widest vector.
const align = 64

func alignUp(n int) int { return (n + align - 1) &^ (align - 1) }

// block is one tensor to be placed: its size and the steps during which it lives.
type block struct {
	bytes       int
	first, last int
	offset      int
}

// place gives every block an offset such that blocks whose lifetimes overlap do
// not overlap in memory, and returns the bytes needed. Larger blocks are placed
// first, each into the smallest gap that fits among those it lives beside
// (greedy by size; Pisarchyk & Lee, "Efficient memory management for deep neural
// net inference", 2020).
func place(blocks []*block) int {
	order := slices.Clone(blocks)
	slices.SortStableFunc(order, func(a, b *block) int {
		return cmp.Or(cmp.Compare(b.bytes, a.bytes), cmp.Compare(a.first, b.first))
	})
	var placed []*block // by offset
	total := 0
	for _, b := range order {
		b.offset = bestGap(placed, b)
		total = max(total, b.offset+alignUp(b.bytes))
		at, _ := slices.BinarySearchFunc(placed, b, func(x, y *block) int { return cmp.Compare(x.offset, y.offset) })
		placed = slices.Insert(placed, at, b)
	}
	return total
}

// bestGap finds the smallest gap for b between blocks that live beside it.
func bestGap(placed []*block, b *block) int {
	need := alignUp(b.bytes)
	best, bestSize := -1, 0
	end := 0
	for _, x := range placed {
		if x.last < b.first || b.last < x.first {
			continue
		}
		if gap := x.offset - end; gap >= need && (best < 0 || gap < bestSize) {
			best, bestSize = end, gap
		}
		end = max(end, x.offset+alignUp(x.bytes))
	}
	if best >= 0 {
		return best
	}
	return end
}
