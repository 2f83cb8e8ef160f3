package runtime

import (
	"cmp"
	"slices"
)

// placeByTime places blocks as a best-fit allocator meets them in time order.
// Its lookups are O(log n); keeping the gaps in order moves a few bytes per gap.
func placeByTime(blocks []block) int {
	g := gaps{starts: map[int]int{}, ends: map[int]int{}}
	total := 0
	for i, sign := range lifeEvents(blocks) {
		b := &blocks[i]
		if sign < 0 {
			g.give(b.offset, b.bytes)
			continue
		}
		b.offset = g.take(b.bytes)
		total = max(total, g.top)
	}
	return total
}

// gaps is the free memory below top. Neighbouring gaps are joined, and none ends
// at top.
type gaps struct {
	top    int
	bySize []gap
	starts map[int]int // size by start
	ends   map[int]int // size by end
}

type gap struct{ size, start int }

func compareGaps(a, b gap) int {
	return cmp.Or(cmp.Compare(a.size, b.size), cmp.Compare(a.start, b.start))
}

// take returns the offset of n free bytes: of the smallest gap that fits, or
// above all that is taken.
func (g *gaps) take(n int) int {
	at, _ := slices.BinarySearchFunc(g.bySize, gap{size: n}, compareGaps)
	if at == len(g.bySize) {
		g.top += n
		return g.top - n
	}
	found := g.bySize[at]
	g.remove(found)
	if rest := found.size - n; rest > 0 {
		g.add(gap{rest, found.start + n})
	}
	return found.start
}

// give frees n bytes at start.
func (g *gaps) give(start, n int) {
	if size, ok := g.ends[start]; ok {
		g.remove(gap{size, start - size})
		start, n = start-size, n+size
	}
	if size, ok := g.starts[start+n]; ok {
		g.remove(gap{size, start + n})
		n += size
	}
	if start+n == g.top {
		g.top = start
		return
	}
	g.add(gap{n, start})
}

func (g *gaps) add(x gap) {
	at, _ := slices.BinarySearchFunc(g.bySize, x, compareGaps)
	g.bySize = slices.Insert(g.bySize, at, x)
	g.starts[x.start], g.ends[x.start+x.size] = x.size, x.size
}

func (g *gaps) remove(x gap) {
	at, _ := slices.BinarySearchFunc(g.bySize, x, compareGaps)
	g.bySize = slices.Delete(g.bySize, at, at+1)
	delete(g.starts, x.start)
	delete(g.ends, x.start+x.size)
}
