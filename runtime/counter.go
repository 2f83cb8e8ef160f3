package runtime

import (
	"math/bits"
	goruntime "runtime"
	"sync"
	"sync/atomic"
)

// What many goroutines write is striped: each writes to one of a few copies, on
// cache lines of their own, and who reads looks at all of them.
const (
	cacheLine  = 128 // two lines: the prefetcher fetches them in pairs
	maxStripes = 64
)

// stripes is how many are in use: a power of two.
var stripes = stripeCount(goruntime.GOMAXPROCS(0))

// stripeCount is twice the processors: homes are dealt out in turn, so that
// processors that were dealt theirs at different times may share one.
func stripeCount(procs int) uint32 {
	return uint32(min(maxStripes, 1<<bits.Len(uint(2*procs-1))))
}

type home struct{ stripe uint32 }

var (
	homes = sync.Pool{New: func() any { return &home{dealt.Add(1) & (stripes - 1)} }}
	dealt atomic.Uint32
)

// homeStripe is a stripe that this processor mostly has for itself. It takes 10
// ns: for what is found once and kept.
func homeStripe() uint32 {
	h := homes.Get().(*home)
	s := h.stripe
	homes.Put(h)
	return s
}

// Counter is a sum that any number of goroutines add to. It is one word until two
// of them meet, and a word per stripe from then on. The zero value is 0. Safe
// for concurrent use; not to be copied.
type Counter struct {
	first atomic.Int64
	cells atomic.Pointer[[]cell]
}

type cell struct {
	n atomic.Int64
	_ [cacheLine - 8]byte
}

// Add adds n. Any stripe is right; goroutines of different ones do not wait for
// each other.
func (c *Counter) Add(stripe uint32, n int64) {
	cells := c.cells.Load()
	if cells == nil {
		if v := c.first.Load(); c.first.CompareAndSwap(v, v+n) {
			return
		}
		cells = c.spread()
	}
	(*cells)[int(stripe)&(len(*cells)-1)].n.Add(n)
}

func (c *Counter) spread() *[]cell {
	cells := make([]cell, stripes)
	if c.cells.CompareAndSwap(nil, &cells) {
		return &cells
	}
	return c.cells.Load()
}

// Take sets the counter to 0 and returns what it was: every Add is counted by
// exactly one Take or by what is left.
func (c *Counter) Take() int64 {
	n := c.first.Swap(0)
	if cells := c.cells.Load(); cells != nil {
		for i := range *cells {
			n += (*cells)[i].n.Swap(0)
		}
	}
	return n
}

// Load is the sum: of all Adds that have returned, and of some of those under way.
func (c *Counter) Load() int64 {
	n := c.first.Load()
	if cells := c.cells.Load(); cells != nil {
		for i := range *cells {
			n += (*cells)[i].n.Load()
		}
	}
	return n
}
