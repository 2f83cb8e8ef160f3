package fusion

import (
	"cmp"
	"math/bits"
)

// orderList is a list of vertices with labels that grow along it, so that two
// vertices compare in constant time. A vertex moves by taking a label between
// those of its new neighbours; where there is none left, the smallest
// surrounding block of labels that is sparse enough is labelled evenly, which is
// logarithmic per move in the amortised sense (Bender, Cole, Demaine,
// Farach-Colton, Zito: Two Simplified Algorithms for Maintaining Order in a
// List, 2002).
//
// Vertices are 0 to n-1; n is a sentinel at both ends.
type orderList struct {
	next, prev []int32
	label      []uint64
	end        int32
}

const labelBits = 62

func newOrderList(n int) orderList {
	l := orderList{next: make([]int32, n+1), prev: make([]int32, n+1), label: make([]uint64, n+1), end: int32(n)}
	gap := uint64(1) << labelBits / uint64(n+1)
	for i := range int32(n) {
		l.next[i], l.prev[i] = i+1, i-1
		l.label[i] = uint64(i)*gap + gap/2
	}
	l.next[n], l.prev[n] = 0, int32(n-1)
	if n > 0 {
		l.prev[0] = l.end
	} else {
		l.prev[n] = l.end
	}
	return l
}

func (l *orderList) compare(a, b int32) int { return cmp.Compare(l.label[a], l.label[b]) }

func (l *orderList) unlink(x int32) {
	p, n := l.prev[x], l.next[x]
	l.next[p], l.prev[n] = n, p
}

// replace puts x, which is old or gone, at the place of old, and drops whichever
// of old and gone x is not.
func (l *orderList) replace(old, x, gone int32) {
	l.unlink(gone)
	if x == old {
		return
	}
	p, n := l.prev[old], l.next[old]
	l.prev[x], l.next[x], l.label[x] = p, n, l.label[old]
	l.next[p], l.prev[n] = x, x
}

// moveAfter moves x behind at.
func (l *orderList) moveAfter(x, at int32) {
	l.unlink(x)
	l.insert(x, at)
}

// moveBefore moves x in front of at.
func (l *orderList) moveBefore(x, at int32) {
	l.unlink(x)
	l.insert(x, l.prev[at])
}

// bounds are the exclusive label bounds of a vertex inserted behind at, which
// may be the sentinel.
func (l *orderList) bounds(at int32) (lo, hi uint64) {
	hi = 1 << labelBits
	if at != l.end {
		lo = l.label[at] + 1
	}
	if n := l.next[at]; n != l.end {
		hi = l.label[n]
	}
	return lo, hi
}

func (l *orderList) insert(x, at int32) {
	lo, hi := l.bounds(at)
	if lo >= hi {
		near := at
		if near == l.end {
			near = l.next[at]
		}
		l.relabel(near)
		if lo, hi = l.bounds(at); lo >= hi {
			panic("BUG: fusion: no label between neighbours")
		}
	}
	n := l.next[at]
	l.label[x] = lo + (hi-lo)/2
	l.prev[x], l.next[x] = at, n
	l.next[at], l.prev[n] = x, x
}

// relabel spreads the labels of the smallest sparse block around x.
func (l *orderList) relabel(x int32) {
	first, last, count := x, x, uint64(1)
	for i := 2; i <= labelBits; i++ {
		lo := l.label[x] >> i << i
		hi := lo + 1<<i - 1
		for p := l.prev[first]; p != l.end && l.label[p] >= lo; p = l.prev[p] {
			first, count = p, count+1
		}
		for n := l.next[last]; n != l.end && l.label[n] <= hi; n = l.next[n] {
			last, count = n, count+1
		}
		// A block of 2^i labels may hold (4/3)^i vertices; then at least one
		// label stays free between any two.
		if !sparse(count, i) {
			continue
		}
		gap := (uint64(1) << i) / count
		for at, y := lo+gap/2, first; ; at, y = at+gap, l.next[y] {
			l.label[y] = at
			if y == last {
				return
			}
		}
	}
	panic("BUG: fusion: out of labels")
}

// sparse reports whether count <= (4/3)^i and the gap is at least 4.
func sparse(count uint64, i int) bool {
	if bits.Len64(count) > i-2 {
		return false
	}
	capacity := 1.0
	for range i {
		capacity *= 4.0 / 3.0
	}
	return float64(count) <= capacity
}
