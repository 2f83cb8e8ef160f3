package runtime

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// errPanicked is what those get who waited for a build that panicked; the panic
// itself goes to the goroutine that was building.
var errPanicked = errors.New("the compilation panicked in another goroutine")

// memo keeps what was built by key, least recently used out first. Goroutines
// that ask for one key at the same time share one build. Safe for concurrent use.
//
// Invariants: a key is kept or being built, never both; what is kept was built
// without error; every get counts as one hit or one miss.
type memo[K comparable, V any] struct {
	mu     sync.Mutex
	kept   *simplelru.LRU[K, V]
	flying map[K]*flight[V]
	counts counts
}

// counts are the events of a memo.
type counts struct {
	hits, misses, failed, evicted int64
	spent                         time.Duration // building, failed builds included
}

// flight is a build under way; done is closed when it ends, and what stands
// below it is read only then.
type flight[V any] struct {
	done  chan struct{}
	value V
	err   error
	// abandoned: it failed when the builder's own context had ended, which says
	// nothing about the key.
	abandoned bool
}

// newMemo returns a memo of at most size values; evict, if not nil, is called
// under the memo's lock.
func newMemo[K comparable, V any](size int, evict func(V)) *memo[K, V] {
	m := &memo[K, V]{flying: map[K]*flight[V]{}}
	kept, err := simplelru.NewLRU(max(size, 1), func(_ K, v V) {
		m.counts.evicted++
		if evict != nil {
			evict(v)
		}
	})
	if err != nil {
		panic("BUG: runtime: " + err.Error()) // only for a size below 1
	}
	m.kept = kept
	return m
}

// find returns what is kept under key. It counts a hit, but no miss: get does.
// The key is not retained.
func (m *memo[K, V]) find(key K) (V, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	v, ok := m.kept.Get(key)
	if ok {
		m.counts.hits++
	}
	return v, ok
}

// get returns what is kept under key, else waits for the build under way, else
// builds. hit is false if this call built, or tried to. A waiter whose context
// ends leaves; the build goes on. If the builder's context ends, one of the
// waiters builds anew.
func (m *memo[K, V]) get(ctx context.Context, key K, build func() (V, error)) (v V, hit bool, err error) {
	for {
		f, v, state := m.board(key)
		switch state {
		case isKept:
			return v, true, nil
		case isNew:
			m.fly(ctx, key, f, build)
			return f.value, false, f.err
		}
		select {
		case <-f.done:
			if f.abandoned {
				continue
			}
			m.countHit()
			return f.value, true, f.err
		case <-ctx.Done():
			m.countHit()
			return v, true, ctx.Err()
		}
	}
}

// state is what board found.
type state uint8

const (
	isKept   state = iota
	isFlying       // another goroutine is building
	isNew          // the caller must build
)

func (m *memo[K, V]) board(key K) (*flight[V], V, state) {
	m.mu.Lock()
	defer m.mu.Unlock()
	v, ok := m.kept.Get(key)
	if ok {
		m.counts.hits++
		return nil, v, isKept
	}
	if f := m.flying[key]; f != nil {
		return f, v, isFlying
	}
	f := &flight[V]{done: make(chan struct{})}
	m.flying[key] = f
	m.counts.misses++
	return f, v, isNew
}

func (m *memo[K, V]) countHit() {
	m.mu.Lock()
	m.counts.hits++
	m.mu.Unlock()
}

// fly builds, and tells whoever waits; also if build panics or ends its goroutine.
func (m *memo[K, V]) fly(ctx context.Context, key K, f *flight[V], build func() (V, error)) {
	start := time.Now()
	f.err = errPanicked
	defer func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.counts.spent += time.Since(start)
		delete(m.flying, key)
		if f.err == nil {
			m.kept.Add(key, f.value)
		} else {
			m.counts.failed++
			f.abandoned = ctx.Err() != nil
		}
		close(f.done)
	}()
	f.value, f.err = build()
}

// stats returns the events so far, and how many values are kept.
func (m *memo[K, V]) stats() (n counts, kept int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.counts, m.kept.Len()
}

// values returns what is kept, least recently used first.
func (m *memo[K, V]) values() []V {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.kept.Values()
}
