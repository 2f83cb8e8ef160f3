package runtime

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"jitc/ir/call"
	"jitc/runtime/guard"
)

// Limits bound what a Cache keeps. A field of 0 or less takes its default.
type Limits struct {
	Entries    int // live entries; DefaultEntries
	Signatures int // exact signatures remembered; DefaultSignatures
	Recordings int // recordings, of all entries together; DefaultRecordings
	Recompiles int // entries made in all, evicted ones included, before OnLimit; DefaultRecompiles
	OnLimit    LimitAction
}

// The default limits of a function.
const (
	DefaultEntries    = 64
	DefaultSignatures = 4096
	DefaultRecordings = 1024
	DefaultRecompiles = 256
)

// LimitAction is what happens to a call that would exceed Limits.Recompiles.
type LimitAction uint8

const (
	LimitFallBack LimitAction = iota // evaluate it by reference, and warn once
	LimitError                       // a *RecompileError
	LimitIgnore                      // compile on; the least recently used entries go
)

// Config makes a Cache.
type Config struct {
	Name     string
	Limits   Limits
	Marks    []Mark
	Separate bool // sizes that are equal in all calls do not share a symbol
	Workers  int  // most workers of a run
	// Budget, if not nil, counts the recompiles of all functions that share it.
	Budget *Budget
	// Log gets recompiles (Info), and what is worth a warning, once; may be nil.
	Log *slog.Logger
}

// Cache keeps the entries of one function, and finds the one for a call:
//
//	last      the admission that ran last, if the call's signature equals its own
//	recent    a few that ran lately: most are told apart by looking at one tensor
//	memo      the admissions of all signatures proven so far, by hash, then compared
//	tree      one decision tree over the guards of all entries, most specialised first
//	miss      trace, compile, admit
//
// The first two take no lock and allocate nothing. Safe for concurrent use.
type Cache struct {
	id      uint64
	name    string
	limits  Limits
	workers int
	budget  *Budget
	log     *slog.Logger
	learned *learned
	epoch   time.Time // of all times kept as ns; differences of monotonic time are cheap

	last   atomic.Pointer[Admission]
	recent [8]atomic.Pointer[Admission]
	turn   atomic.Uint32 // of recent: where the next one goes
	memo   table[Admission]
	live   atomic.Pointer[liveEntries]
	differ atomic.Pointer[differing]
	stance atomic.Pointer[Stance]
	warned atomic.Bool
	free   atomic.Pointer[[]int] // constants that signatures leave out, by number

	building chan struct{} // a token while someone makes an entry
	made     int           // entries ever; under that token
	loaded   int           // of them, those that were not made but installed

	mu       sync.Mutex // held where live changes, and where all counts are added up
	past     pastEntries
	bounding sync.Mutex // held by who drops signatures and recordings

	counts     cacheCounts
	events     eventLog
	signatures admittedCalls
}

// liveEntries are the entries and the tree over their guards. Immutable.
type liveEntries struct {
	entries []*Entry
	tree    *guard.Tree
}

var cacheIDs atomic.Uint64

// NewCache returns an empty cache.
func NewCache(o Config) *Cache {
	c := &Cache{id: cacheIDs.Add(1), name: o.Name, limits: o.Limits, workers: max(o.Workers, 1), budget: o.Budget, log: o.Log,
		learned: newLearned(o.Marks, o.Separate), epoch: time.Now(), building: make(chan struct{}, 1)}
	for _, l := range []struct {
		field *int
		def   int
	}{{&c.limits.Entries, DefaultEntries}, {&c.limits.Signatures, DefaultSignatures},
		{&c.limits.Recordings, DefaultRecordings}, {&c.limits.Recompiles, DefaultRecompiles}} {
		if *l.field <= 0 {
			*l.field = l.def
		}
	}
	c.live.Store(&liveEntries{tree: guard.NewTree(nil)})
	return c
}

// SetStance is the stance of calls whose context has none.
func (c *Cache) SetStance(s Stance) { c.stance.Store(&s) }

// stanceFor is the stance of a call; nil is the default.
func (c *Cache) stanceFor(ctx context.Context) *Stance {
	if s := stanceOf(ctx); s != nil {
		return s
	}
	return c.stance.Load()
}

// Hit finds the admission of a signature that was admitted before, or, where the
// stance says so, that the differentiating guards choose; nil if there is none,
// and then Resolve finds or makes one. It takes no lock and allocates nothing.
// stripe is what Stripe gave the caller.
func (c *Cache) Hit(ctx context.Context, cl *call.Call, stripe uint32) *Admission {
	s := c.stanceFor(ctx)
	switch {
	case s == nil:
	case s.Mode == ModeReference:
		return nil
	case s.Mode == ModeDifferentiating:
		return c.hitDiffering(cl, s, stripe)
	}
	return c.hit(cl, stripe)
}

func (c *Cache) hit(cl *call.Call, stripe uint32) *Admission {
	if a := c.last.Load(); a != nil && a.fits(cl) && a.current(cl) {
		c.count(a, routeLast, stripe)
		return a
	}
	for i := range c.recent {
		if a := c.recent[i].Load(); a != nil && a.fits(cl) && a.current(cl) {
			c.count(a, routeMemo, stripe)
			c.setLast(a)
			return a
		}
	}
	a := c.recall(cl)
	if a == nil {
		return nil
	}
	c.count(a, routeMemo, stripe)
	c.remember(a)
	return a
}

// recall looks the signature up in the memo. Entries for different values of
// guarded globals have admissions of their own there.
func (c *Cache) recall(cl *call.Call) *Admission {
	return c.memo.Get(c.hash(cl), func(a *Admission) bool { return a.fits(cl) && a.current(cl) })
}

// complete reports whether no tensor is nil.
func complete(cl *call.Call) bool {
	for _, t := range cl.Tensors {
		if t == nil {
			return false
		}
	}
	return true
}

// remember makes the admission the one to try first. An evicted entry is never
// left there.
func (c *Cache) remember(a *Admission) {
	c.recent[c.turn.Add(1)%uint32(len(c.recent))].Store(a)
	c.setLast(a)
}

func (c *Cache) setLast(a *Admission) {
	if c.last.Load() != a {
		c.last.Store(a)
	}
	if a.Entry.evicted.Load() {
		c.unremember(func(b *Admission) bool { return b == a })
	}
}

// drop forgets admissions.
func (c *Cache) drop(which func(*Admission) bool) {
	c.memo.DeleteFunc(which)
	c.unremember(which)
}

// unremember takes admissions out of those that are tried first.
func (c *Cache) unremember(which func(*Admission) bool) {
	clear := func(p *atomic.Pointer[Admission]) {
		if a := p.Load(); a != nil && which(a) {
			p.CompareAndSwap(a, nil)
		}
	}
	clear(&c.last)
	for i := range c.recent {
		clear(&c.recent[i])
	}
}

// count counts a hit and notes the time, in steps of a millisecond so that
// goroutines on one entry do not fight for a cache line.
func (c *Cache) count(a *Admission, r route, stripe uint32) {
	a.Entry.hits[r].Add(stripe, 1)
	if a.Entry.evicted.Load() { // perhaps after its counts were taken
		c.past.take(a.Entry)
	}
	now := c.now()
	if last := a.Entry.last.Load(); now-last > int64(time.Millisecond) {
		a.Entry.touch(now)
	}
	if rec := a.recorded; rec != nil {
		if last := rec.last.Load(); now-last > int64(time.Millisecond) {
			rec.last.Store(now)
		}
	}
}

// now is the time in ns after the cache's epoch.
func (c *Cache) now() int64 { return int64(time.Since(c.epoch)) }

func (e *Entry) touch(now int64) { e.last.Store(now) }

// admit proves a signature to belong to an entry and remembers it.
func (c *Cache) admit(ctx context.Context, e *Entry, cl *call.Call, t Tracer, compile bool) (*Admission, error) {
	sizes, err := e.sizes(cl)
	if err != nil {
		return nil, err
	}
	a := &Admission{Entry: e, Sizes: sizes, free: slices.Concat(e.Traced.Reals, e.Traced.Free), compiled: compile, consts: append([]call.Const(nil), cl.Consts...)}
	for i := range e.Guards.Sources {
		a.values = append(a.values, sizes[e.Guards.Sources[i].Sym])
	}
	a.epoch.Store(call.Epoch() - 1) // current looks at the globals once
	for _, x := range cl.Tensors {
		a.layouts = append(a.layouts, x.Layout())
	}
	for _, f := range cl.Frozen {
		a.frozen = append(a.frozen, f.ID)
	}
	if !compile {
		return a, nil
	}
	p, err := e.compile(ctx, t)
	if err != nil {
		return nil, err
	}
	if p.Program != nil {
		if err := a.bind(p.Program); err != nil {
			return nil, err
		}
		a.recorded.last.Store(int64(time.Since(c.epoch)))
	}
	c.keep(a, cl)
	return a, nil
}

// keep puts an admission into the memo and bounds what is kept.
func (c *Cache) keep(a *Admission, cl *call.Call) {
	a.hash = c.hash(cl)
	c.memo.Put(a.hash, a, func(b *Admission) bool { return b.Entry == a.Entry && b.fits(cl) })
	c.admitted(a, cl)
	c.bound()
	if a.Entry.evicted.Load() { // it went while we looked
		c.memo.Delete(a.hash, a)
		return
	}
	c.remember(a)
}

// hash is the hash of a signature. Scalars that became inputs, and those that no
// trace looks at, are not part of it.
func (c *Cache) hash(cl *call.Call) uint64 {
	free := c.free.Load()
	if free == nil {
		return hashSignature(cl, nil)
	}
	return hashSignature(cl, func(i int) bool { return slices.Contains(*free, i) })
}

// release takes constants out of the hash of signatures. The admissions so far are
// found no more: the guards admit them anew.
func (c *Cache) release(consts []int) {
	old := c.free.Load()
	var now []int
	if old != nil {
		now = *old
	}
	for _, i := range consts {
		if !slices.Contains(now, i) {
			now = append(slices.Clone(now), i)
		}
	}
	if old == nil && len(now) == 0 || old != nil && len(now) == len(*old) {
		return
	}
	c.free.Store(&now)
	c.memo.DeleteFunc(func(*Admission) bool { return true })
}

// Stripe is a number for Hit and Resolve that callers who run at the same time
// mostly do not share. It is for keeping with what a caller keeps from call to
// call.
func Stripe() uint32 { return homeStripe() }

// Entries are the live entries, oldest first.
func (c *Cache) Entries() []*Entry { return slices.Clone(c.live.Load().entries) }
