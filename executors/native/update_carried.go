package native

// carried is a scatter of floats that are combined in f32 and rounded once: all
// updates of a row have to be at hand together. Its stages:
//
//	0  updates are sorted by place, those of one place in order
//	1  rows are combined; chunks are of leading indices and of ranges of updates
type carried struct {
	*scatter
	base   int // of its scratch
	widen  widen
	round  round
	carry  func(acc, x []float32)
	shift  int // bits of an update's number, below its place in a key
	passes int // of the sort
}

func (c *carried) scratchBytes() int { return 16 * c.shared() * c.Picks }
func (*carried) stages() int         { return 2 }

func (c *carried) chunks(u *updateRun, stage int) int {
	switch {
	case c.Elements() == 0:
		return 0
	case stage == 0:
		return c.shared()
	}
	leads, parts := c.divide(u)
	return leads * parts
}

func (c *carried) chunk(u *updateRun, stage, chunk, worker int) {
	if stage == 0 {
		a, b := c.keys(u, chunk)
		c.clamp(u, chunk*c.Picks, words[int64](u.scratch[c.base:])[chunk*c.Picks:][:c.Picks])
		c.sort(a, b)
		return
	}
	leads, parts := c.divide(u)
	lo, hi := share(c.Lead, chunk/parts, leads)
	for i := lo; i < hi; i++ {
		c.apply(u, &u.blocks[worker], i, chunk%parts, parts)
	}
}

// divide is scatter's, with ranges of updates for columns and places.
func (c *carried) divide(u *updateRun) (leads, parts int) {
	want := min(divUp(c.Elements()*4, chunkUpdates), 4*u.workers)
	leads = max(min(want, c.Lead), 1)
	return leads, max(min(want/leads, u.workers, c.Picks), 1)
}

// keys are the two halves of the scratch for a set of indices: places, which become
// keys and are sorted from one half into the other and back.
func (c *carried) keys(u *updateRun, set int) (a, b []uint64) {
	all := words[uint64](u.scratch[c.base:])
	n := c.shared() * c.Picks
	return all[set*c.Picks:][:c.Picks], all[n+set*c.Picks:][:c.Picks]
}

// digitBits are the bits that a pass of the sort looks at.
const digitBits = 11

// sort makes keys of places and sorts them, a digit of the place at a time from the
// lowest on, each pass keeping the order of those before.
func (c *carried) sort(a, b []uint64) {
	for i, place := range a {
		a[i] = place<<c.shift | uint64(i)
	}
	if len(a) <= fewKeys {
		insertionSort(a)
		return
	}
	for pass := range c.passes {
		shift := c.shift + pass*digitBits
		var at [1 << digitBits]int
		for _, k := range a {
			at[k>>shift%(1<<digitBits)]++
		}
		sum := 0
		for d, n := range at {
			at[d] = sum
			sum += n
		}
		for _, k := range a {
			d := k >> shift % (1 << digitBits)
			b[at[d]] = k
			at[d]++
		}
		a, b = b, a
	}
}

// fewKeys are sorted faster than digits are counted.
const fewKeys = 64

func insertionSort(a []uint64) {
	for i, k := range a {
		for ; i > 0 && a[i-1] > k; i-- {
			a[i] = a[i-1]
		}
		a[i] = k
	}
}

// sorted are a set's keys after the sort.
func (c *carried) sorted(u *updateRun, set int) []uint64 {
	a, b := c.keys(u, set)
	if c.passes%2 == 1 && len(a) > fewKeys {
		return b
	}
	return a
}

// apply combines the rows of a leading index whose updates begin in a part of them.
func (c *carried) apply(u *updateRun, t *block, lead, part, parts int) {
	keys := c.sorted(u, lead/c.Outer)
	lo, hi := share(len(keys), part, parts)
	lo, hi = c.boundary(keys, lo), c.boundary(keys, hi)
	row := c.Row * c.size
	dst, first := u.at(c.Result, c.size)[lead*c.Size*row:], c.Updates.Offset+lead*c.LeadStride
	for lo < hi {
		place, end := keys[lo]>>c.shift, lo+1
		for end < len(keys) && keys[end]>>c.shift == place {
			end++
		}
		c.combine(t, dst[int(place)*row:][:row], u.buffer(c.Updates.Buf), first, keys[lo:end])
		lo = end
	}
}

// boundary is the first key from i on that is not of the place of the one before.
func (c *carried) boundary(keys []uint64, i int) int {
	for i > 0 && i < len(keys) && keys[i]>>c.shift == keys[i-1]>>c.shift {
		i++
	}
	return i
}

// combine applies updates to a row, a tile at a time; the first of all updates begins
// at element first of src.
func (c *carried) combine(t *block, dst, src []byte, first int, keys []uint64) {
	for lo := 0; lo < c.Row; lo += len(t.acc) {
		n := min(len(t.acc), c.Row-lo)
		to := dst[lo*c.size:]
		c.widen(t.acc[:n], to)
		for _, k := range keys {
			at := first + int(k&(1<<c.shift-1))*c.PickStride + lo
			c.widen(t.x[:n], src[at*c.size:])
			c.carry(t.acc[:n], t.x[:n])
		}
		c.round(to, t.acc[:n])
	}
}
