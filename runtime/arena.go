package runtime

import (
	"cmp"
	"math/bits"
	"slices"
	"sync"

	"jitc/ir/tensor"
)

// arenas lends slabs of memory to runs. Like the heap, one serves the whole
// process, so that memory follows what runs at the same time, not the number of
// recordings, functions or engines. Each device has one of its own, whose slabs
// may be given back as soon as the run is queued: the next one is queued behind it.
// The zero value lends memory of the host.
//
// A run takes a slab from its stripe and gives it back there, under a lock that
// other processors have no use for. Only a stripe without a slab that fits looks
// at the others, under all locks.
//
//	stripe 0   idle: 1 MiB            take(2 MiB) at stripe 1: none here fits,
//	stripe 1   idle: 4 KiB            so the smallest of all that does, 8 MiB;
//	stripe 2   idle: 64 KiB, 8 MiB    else the largest is replaced by a new one
//
// Invariants: a slab is lent to one run at a time; there are at most as many
// slabs as runs were under way at one time, for a new one is made only when none
// is idle or in an idle one's place. So a run that grows leaves one slab of its
// largest size, not the sum of them.
type arenas struct {
	stripes [maxStripes]arenaStripe
	source  memorySource // nil: the host's memory

	// Written under all locks, read under any.
	held    int64 // bytes of slabs lent and idle
	peak    int64 // the largest held
	slabs   int64
	made    int64
	reviews int64
}

type arenaStripe struct {
	mu   sync.Mutex
	idle []*slab // by size, smallest first
	lent int64   // bytes taken here less bytes given here: the sum over all stripes counts
	_    [cacheLine - 40]byte
}

// memorySource is where the slabs of a device come from.
type memorySource interface {
	Alloc(bytes int) ([]byte, error)
	Free(mem []byte)
}

// slab is one block of memory. What is not idle belongs to a run.
type slab struct {
	bytes []byte
	uses  int64 // runs so far
	most  int   // bytes that a run asked for, since the last review
	last  int64 // number of reviews when it was given back
}

var sharedArenas arenas

const (
	// epoch is the number of runs on a slab after which someone looks at what
	// idles.
	epoch = 1024
	// slack is how many times larger than its runs a slab may stay.
	slack = 4
	// floor is what may always idle: small programs are not worth releasing.
	floor = 64 << 20
)

// take lends a slab of at least n bytes, 64-byte aligned, for n above 0, else
// nil. Its contents are undefined. Where the stripe has none that fits, it becomes
// that of the processor that this runs on. Only memory of a device may be refused.
func (a *arenas) take(n int, stripe *uint32) (*slab, error) {
	if n == 0 {
		return nil, nil
	}
	s := &a.stripes[*stripe]
	s.mu.Lock()
	if i := s.fitting(n); i < len(s.idle) {
		b := s.lend(i, s)
		s.mu.Unlock()
		b.most = max(b.most, n)
		return b, nil
	}
	s.mu.Unlock()
	*stripe = homeStripe()
	b, err := a.takeAnywhere(n, &a.stripes[*stripe])
	if err != nil {
		return nil, err
	}
	b.most = max(b.most, n)
	return b, nil
}

// fitting is the index of the smallest idle slab of n bytes, or the number of
// idle slabs.
func (s *arenaStripe) fitting(n int) int {
	for i, b := range s.idle {
		if len(b.bytes) >= n {
			return i
		}
	}
	return len(s.idle)
}

// lend takes idle slab i out, on the account of stripe to.
func (s *arenaStripe) lend(i int, to *arenaStripe) *slab {
	b := s.remove(i)
	to.lent += int64(len(b.bytes))
	return b
}

func (s *arenaStripe) remove(i int) *slab {
	b, last := s.idle[i], len(s.idle)-1
	copy(s.idle[i:], s.idle[i+1:])
	s.idle[last] = nil
	s.idle = s.idle[:last]
	return b
}

// takeAnywhere lends the smallest slab of all that fits, or a new one in the
// place of the largest.
func (a *arenas) takeAnywhere(n int, to *arenaStripe) (*slab, error) {
	size := sizeClass(n)
	a.lock()
	if s, i := a.best(func(b *slab) bool { return len(b.bytes) >= n }, smaller); s != nil {
		b := s.lend(i, to)
		a.unlock()
		return b, nil
	}
	if s, i := a.best(func(*slab) bool { return true }, larger); s != nil {
		a.release(s.remove(i))
	}
	to.lent += int64(size)
	a.held += int64(size)
	a.peak = max(a.peak, a.held)
	a.slabs++
	a.made++
	a.unlock()
	bytes, err := a.allocate(size, n) // outside the locks: it may take long
	if len(bytes) < size {
		a.lock()
		to.lent -= int64(size - len(bytes))
		a.held -= int64(size - len(bytes))
		if err != nil {
			a.slabs--
			a.made--
		}
		a.unlock()
	}
	if err != nil {
		return nil, err
	}
	return &slab{bytes: bytes}, nil
}

// allocate makes the memory of a slab, of size bytes or at least n where a device
// has no more.
func (a *arenas) allocate(size, n int) ([]byte, error) {
	if a.source == nil {
		bytes, _ := tensor.New(tensor.U8, size).Bytes()
		return bytes, nil
	}
	bytes, err := a.source.Alloc(size)
	if err != nil {
		return a.source.Alloc(n)
	}
	return bytes, nil
}

// trim releases all that idles, and reports whether something did.
func (a *arenas) trim() (released bool) {
	a.lock()
	defer a.unlock()
	for i := range a.active() {
		for s := &a.stripes[i]; len(s.idle) > 0; released = true {
			a.release(s.remove(len(s.idle) - 1))
		}
	}
	return released
}

func smaller(b, than *slab) bool { return len(b.bytes) < len(than.bytes) }
func larger(b, than *slab) bool  { return len(b.bytes) > len(than.bytes) }

// best finds the idle slab that is better than every other that will do. Under
// all locks; a nil stripe says that there is none.
func (a *arenas) best(do func(*slab) bool, better func(b, than *slab) bool) (at *arenaStripe, index int) {
	for i := range a.active() {
		s := &a.stripes[i]
		for k, b := range s.idle {
			if do(b) && (at == nil || better(b, at.idle[index])) {
				at, index = s, k
			}
		}
	}
	return at, index
}

// give hands back what take lent.
func (a *arenas) give(b *slab, stripe uint32) {
	if b == nil {
		return
	}
	s := &a.stripes[stripe]
	if b.uses++; b.uses%epoch == 0 {
		a.review(b, s)
		return
	}
	s.mu.Lock()
	s.put(b, a.reviews)
	s.mu.Unlock()
}

// put makes a slab idle.
func (s *arenaStripe) put(b *slab, reviews int64) {
	s.lent -= int64(len(b.bytes))
	b.last = reviews
	if len(s.idle) == 0 {
		s.idle = append(s.idle, b)
		return
	}
	at, _ := slices.BinarySearchFunc(s.idle, b, func(x, y *slab) int { return cmp.Compare(len(x.bytes), len(y.bytes)) })
	s.idle = slices.Insert(s.idle, at, b)
}

// review takes a slab back and releases memory that is needed no more: this slab,
// if it is far too large for the runs it had since its last review, and those
// that idle. Every slab may happen to come here at nearly the same time; what
// stayed idle for longer than that has seen others through an epoch.
func (a *arenas) review(b *slab, s *arenaStripe) {
	a.lock()
	defer a.unlock()
	a.reviews++
	s.put(b, a.reviews)
	for i := range a.active() {
		s := &a.stripes[i]
		for k := len(s.idle) - 1; k >= 0 && a.held > floor; k-- {
			x := s.idle[k]
			unused := a.reviews-x.last > a.slabs
			if unused || x == b && sizeClass(b.most) < len(b.bytes)/slack {
				a.release(s.remove(k))
			}
		}
	}
	b.most = 0
}

// release forgets an idle slab that was removed.
func (a *arenas) release(b *slab) {
	if a.source != nil {
		a.source.Free(b.bytes)
	}
	a.held -= int64(len(b.bytes))
	a.slabs--
}

// active is the number of stripes in use.
func (a *arenas) active() int { return int(stripes) }

func (a *arenas) lock() {
	for i := range a.active() {
		a.stripes[i].mu.Lock()
	}
}

func (a *arenas) unlock() {
	for i := range a.active() {
		a.stripes[i].mu.Unlock()
	}
}

// sizeClass rounds up to one of eight sizes per power of two, at least 4 KiB:
// runs of slowly growing sizes then share slabs.
func sizeClass(n int) int {
	if n <= 4096 {
		return 4096
	}
	step := 1 << (bits.Len(uint(n-1)) - 4)
	return (n + step - 1) &^ (step - 1)
}

// ArenaStats describes the memory that runs of this process use for
// intermediates and scratch. In bytes, but for Blocks and Made.
type ArenaStats struct {
	Lent   int64 `json:"lent"`   // of runs under way
	Idle   int64 `json:"idle"`   // kept for later runs
	Peak   int64 `json:"peak"`   // the most that was lent and idle at one time
	Blocks int64 `json:"blocks"` // lent and idle
	Made   int64 `json:"made"`   // blocks allocated so far, those that were replaced or released included
}

func (a *arenas) stats() ArenaStats {
	a.lock()
	defer a.unlock()
	lent := int64(0)
	for i := range a.active() {
		lent += a.stripes[i].lent
	}
	return ArenaStats{Lent: lent, Idle: a.held - lent, Peak: a.peak, Blocks: a.slabs, Made: a.made}
}

// Arenas describes the memory of runs now.
func Arenas() ArenaStats { return sharedArenas.stats() }
