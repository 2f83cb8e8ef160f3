package exec

import "slices"

// span is n free bytes at off.
type span struct{ off, n int }

// freeList holds the free spans of a slab. Invariant: they are in order and no two touch.
type freeList []span

// take cuts n bytes from the first span that has them.
func (f *freeList) take(n int) (off int, ok bool) {
	for i := range *f {
		s := &(*f)[i]
		if s.n < n {
			continue
		}
		off = s.off
		s.off, s.n = s.off+n, s.n-n
		if s.n == 0 {
			*f = slices.Delete(*f, i, i+1)
		}
		return off, true
	}
	return 0, false
}

// give returns n bytes at off, joining them to their neighbours.
func (f *freeList) give(off, n int) {
	i, _ := slices.BinarySearchFunc(*f, off, func(s span, off int) int { return s.off - off })
	l := slices.Insert(*f, i, span{off, n})
	if i+1 < len(l) && off+n > l[i+1].off || i > 0 && l[i-1].off+l[i-1].n > off {
		panic("BUG: exec: memory freed twice")
	}
	if i+1 < len(l) && l[i].off+l[i].n == l[i+1].off {
		l[i].n += l[i+1].n
		l = slices.Delete(l, i+1, i+2)
	}
	if i > 0 && l[i-1].off+l[i-1].n == l[i].off {
		l[i-1].n += l[i].n
		l = slices.Delete(l, i, i+1)
	}
	*f = l
}
