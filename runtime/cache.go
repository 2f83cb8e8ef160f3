package runtime

import (
	"context"
	"encoding/binary"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"jitc/ir/tensor"
)

var errPanicked = errors.New("the compilation panicked")

// Signature identifies the arguments of a call exactly: their element types and
// shapes, in order.
type Signature string

// SignatureOf builds the signature of arguments.
func SignatureOf(args []*tensor.Tensor) Signature { return Signature(appendSignature(nil, args)) }

func appendSignature(b []byte, args []*tensor.Tensor) []byte {
	for _, a := range args {
		b = append(b, byte(a.DType()), byte(a.Rank()))
		for _, n := range a.Shape() {
			b = binary.AppendUvarint(b, uint64(n))
		}
	}
	return b
}

// Entry is what a Cache keeps for one signature. Safe for concurrent use.
type Entry struct {
	Signature Signature
	Recording *Recording
	Compile   time.Duration // to build the entry: compiling, binding, planning
	hits      atomic.Int64
	last      atomic.Int64 // unix ns of the last use
	once      sync.Once
	err       error
}

// EntryStats counts what happened to one entry.
type EntryStats struct {
	Sizes   map[string]int64 `json:"sizes"`
	Hits    int64            `json:"hits"`
	Compile time.Duration    `json:"compile"` // ns
	Arena   int              `json:"arena"`   // bytes
	LastUse time.Time        `json:"last_use"`
}

// Cache keeps one recording per exact signature, least recently used out first.
// Each signature is built once, however many goroutines ask for it. Safe for
// concurrent use.
type Cache struct {
	build   func(ctx context.Context, args []*tensor.Tensor) (*Recording, error)
	entries *lru.Cache[Signature, *Entry]
	mu      sync.Mutex // orders lookups that miss
	lastHit atomic.Pointer[Entry]
	misses  atomic.Int64
	evicted atomic.Int64
}

// NewCache returns a cache of at most size entries whose misses call build.
func NewCache(size int, build func(ctx context.Context, args []*tensor.Tensor) (*Recording, error)) *Cache {
	c := &Cache{build: build}
	entries, err := lru.NewWithEvict(max(size, 1), func(Signature, *Entry) { c.evicted.Add(1) })
	if err != nil {
		panic("BUG: runtime: " + err.Error()) // only for a size below 1
	}
	c.entries = entries
	return c
}

// Lookup returns the entry for the arguments, building it on a miss. A failed
// build is not kept.
func (c *Cache) Lookup(ctx context.Context, args []*tensor.Tensor) (*Entry, error) {
	var buf [256]byte
	sig := appendSignature(buf[:0], args)
	if e := c.lastHit.Load(); e != nil && string(e.Signature) == string(sig) {
		e.hit()
		return e, nil
	}
	e, isNew := c.admit(Signature(sig))
	e.once.Do(func() {
		start := time.Now()
		e.err = errPanicked
		e.Recording, e.err = c.build(ctx, args)
		e.Compile = time.Since(start)
	})
	if e.err != nil {
		c.drop(e)
		return nil, e.err
	}
	if isNew {
		c.misses.Add(1)
		e.last.Store(time.Now().UnixNano())
	} else {
		e.hit()
	}
	c.lastHit.Store(e)
	return e, nil
}

func (e *Entry) hit() {
	e.hits.Add(1)
	e.last.Store(time.Now().UnixNano())
}

// admit finds or adds the entry of a signature.
func (c *Cache) admit(sig Signature) (e *Entry, isNew bool) {
	if e, ok := c.entries.Get(sig); ok {
		return e, false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.entries.Get(sig); ok {
		return e, false
	}
	e = &Entry{Signature: sig}
	c.entries.Add(sig, e)
	return e, true
}

// drop removes a failed entry, unless another has taken its place.
func (c *Cache) drop(e *Entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now, ok := c.entries.Peek(e.Signature); ok && now == e {
		c.entries.Remove(e.Signature)
	}
}

// CacheStats counts what a Cache did.
type CacheStats struct {
	Hits    int64        `json:"hits"`
	Misses  int64        `json:"misses"`
	Evicted int64        `json:"evicted"` // failed builds included
	Entries []EntryStats `json:"entries"` // least recently used first
}

// Stats returns the counts so far, per entry for those still kept.
func (c *Cache) Stats() CacheStats {
	s := CacheStats{Misses: c.misses.Load(), Evicted: c.evicted.Load()}
	for _, e := range c.entries.Values() {
		last := e.last.Load()
		if last == 0 {
			continue // being built
		}
		s.Hits += e.hits.Load()
		s.Entries = append(s.Entries, EntryStats{Sizes: e.Recording.Sizes, Hits: e.hits.Load(),
			Compile: e.Compile, Arena: e.Recording.Arena, LastUse: time.Unix(0, last)})
	}
	return s
}
