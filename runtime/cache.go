package runtime

import (
	"context"
	"sync/atomic"
	"time"

	"jitc/ir/tensor"
)

// Entry is what a Cache keeps for one signature. Its fields never change. Safe
// for concurrent use, also after its eviction.
type Entry struct {
	Signature Signature
	Recording *Recording
	Compile   time.Duration // to build the entry: compiling what was not, binding, planning

	types   []argType
	hits    atomic.Int64
	last    atomic.Int64 // ns after the cache's epoch
	evicted atomic.Bool
}

// Cache keeps one recording per exact signature, least recently used out first.
// Each signature is built once, however many goroutines ask for it. Safe for
// concurrent use.
//
// A lookup of the signature that was looked up last compares it and takes no
// lock. That leaves the order of use as it is, rightly so: nothing else was used
// in between.
type Cache struct {
	build   func(ctx context.Context, args []*tensor.Tensor) (*Recording, error)
	memo    *memo[Signature, *Entry]
	epoch   time.Time             // of Entry.last; monotonic differences are cheaper than wall time
	lastHit atomic.Pointer[Entry] // never an evicted entry, once the eviction has returned
	quick   atomic.Int64          // hits through lastHit
}

// NewCache returns a cache of at most size entries (below 1 counts as 1) whose
// misses call build.
func NewCache(size int, build func(ctx context.Context, args []*tensor.Tensor) (*Recording, error)) *Cache {
	c := &Cache{build: build, epoch: time.Now()}
	c.memo = newMemo[Signature](size, c.forget)
	return c
}

// forget marks an evicted entry. Either it finds the entry in lastHit, or
// remember finds the mark.
func (c *Cache) forget(e *Entry) {
	e.evicted.Store(true)
	c.lastHit.CompareAndSwap(e, nil)
}

func (c *Cache) remember(e *Entry) {
	if c.lastHit.Load() == e {
		return
	}
	c.lastHit.Store(e)
	if e.evicted.Load() {
		c.lastHit.CompareAndSwap(e, nil)
	}
}

// Lookup returns the entry for the arguments, building it on a miss; a hit
// allocates nothing. A failed build is not kept, and its error goes to everyone
// who waited for it. A call that waits returns ctx's error when ctx ends.
func (c *Cache) Lookup(ctx context.Context, args []*tensor.Tensor) (*Entry, error) {
	if e := c.lastHit.Load(); e != nil && fit(e.types, args) {
		c.quick.Add(1)
		c.hit(e)
		return e, nil
	}
	e, hit := withSignature(args, c.memo.find)
	if !hit {
		var err error
		if e, hit, err = c.admit(ctx, args); err != nil {
			return nil, err
		}
	}
	if hit {
		c.hit(e)
	}
	c.remember(e)
	return e, nil
}

func (c *Cache) hit(e *Entry) {
	e.hits.Add(1)
	e.last.Store(int64(time.Since(c.epoch)))
}

// admit builds the entry of a signature, unless another goroutine does.
func (c *Cache) admit(ctx context.Context, args []*tensor.Tensor) (e *Entry, hit bool, err error) {
	sig := SignatureOf(args)
	return c.memo.get(ctx, sig, func() (*Entry, error) {
		start := time.Now()
		r, err := c.build(ctx, args)
		if err != nil {
			return nil, err
		}
		e := &Entry{Signature: sig, Recording: r, Compile: time.Since(start), types: argTypes(args)}
		e.last.Store(int64(time.Since(c.epoch)))
		return e, nil
	})
}

// EntryStats counts what happened to one entry.
type EntryStats struct {
	Signature string           `json:"signature"` // "f32[4,784], i64[4]"
	Sizes     map[string]int64 `json:"sizes"`     // of the symbols; not to be changed
	Hits      int64            `json:"hits"`
	Compile   time.Duration    `json:"compile"` // ns
	Arena     int              `json:"arena"`   // bytes
	Scratch   int              `json:"scratch"` // bytes
	LastUse   time.Time        `json:"last_use"`
}

// CacheStats counts what a Cache did since it was made, evicted entries
// included. Every Lookup is one hit or one miss.
type CacheStats struct {
	Hits    int64         `json:"hits"`    // found built or being built
	Misses  int64         `json:"misses"`  // builds
	Failed  int64         `json:"failed"`  // misses whose build failed
	Evicted int64         `json:"evicted"` // entries
	Compile time.Duration `json:"compile"` // summed over all builds, in ns
	Entries []EntryStats  `json:"entries"` // those kept now, least recently used first
}

// Stats returns the counts so far. With lookups under way the counts of entries
// may be ahead of the totals.
func (c *Cache) Stats() CacheStats {
	n, _ := c.memo.stats()
	s := CacheStats{Hits: n.hits + c.quick.Load(), Misses: n.misses, Failed: n.failed, Evicted: n.evicted, Compile: n.spent}
	for _, e := range c.memo.values() {
		s.Entries = append(s.Entries, EntryStats{Signature: typesText(e.types), Sizes: e.Recording.Sizes,
			Hits: e.hits.Load(), Compile: e.Compile, Arena: e.Recording.Arena, Scratch: e.Recording.Scratch,
			LastUse: c.epoch.Add(time.Duration(e.last.Load())).Round(0)})
	}
	return s
}
