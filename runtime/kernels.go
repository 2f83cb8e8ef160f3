package runtime

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"jitc/executors"
)

// KernelKey identifies a kernel: the hash of a region's canonical form, its
// executor and the options it was compiled with.
type KernelKey [32]byte

// DefaultKernels is the number of kernels a KernelCache keeps by default.
const DefaultKernels = 16384

// KernelCache keeps compiled kernels by key. Equal regions compile once, also
// when several goroutines ask at the same moment. Safe for concurrent use.
type KernelCache struct {
	kernels      *lru.Cache[KernelKey, executors.Kernel]
	mu           sync.Mutex
	flying       map[KernelKey]*flight
	hits, misses atomic.Int64
	nanos        atomic.Int64
}

// flight is a compilation under way; done is closed when it ends.
type flight struct {
	done   chan struct{}
	kernel executors.Kernel
	err    error
}

// NewKernelCache returns a cache of at most size kernels, least recently used
// out first. A kernel that is evicted lives on while programs hold it.
func NewKernelCache(size int) *KernelCache {
	c, err := lru.New[KernelKey, executors.Kernel](max(size, 1))
	if err != nil {
		panic("BUG: runtime: " + err.Error()) // only for a size below 1
	}
	return &KernelCache{kernels: c, flying: map[KernelKey]*flight{}}
}

// Get returns the kernel of that key, compiling it if need be. A failed
// compilation is not kept. hit says whether this call found it compiled or
// being compiled.
func (c *KernelCache) Get(ctx context.Context, key KernelKey, compile func() (executors.Kernel, error)) (k executors.Kernel, hit bool, err error) {
	c.mu.Lock()
	if k, ok := c.kernels.Get(key); ok {
		c.mu.Unlock()
		c.hits.Add(1)
		return k, true, nil
	}
	if f := c.flying[key]; f != nil {
		c.mu.Unlock()
		c.hits.Add(1)
		select {
		case <-f.done:
			return f.kernel, true, f.err
		case <-ctx.Done():
			return nil, true, ctx.Err()
		}
	}
	f := &flight{done: make(chan struct{})}
	c.flying[key] = f
	c.mu.Unlock()
	c.misses.Add(1)
	c.fly(key, f, compile)
	return f.kernel, false, f.err
}

// fly compiles and tells whoever waits; also if compile panics.
func (c *KernelCache) fly(key KernelKey, f *flight, compile func() (executors.Kernel, error)) {
	start := time.Now()
	f.err = errPanicked
	defer func() {
		c.nanos.Add(int64(time.Since(start)))
		c.mu.Lock()
		delete(c.flying, key)
		if f.err == nil {
			c.kernels.Add(key, f.kernel)
		}
		c.mu.Unlock()
		close(f.done)
	}()
	f.kernel, f.err = compile()
}

// KernelStats counts what a KernelCache did.
type KernelStats struct {
	Kernels int           `json:"kernels"` // kept now
	Hits    int64         `json:"hits"`
	Misses  int64         `json:"misses"`  // compilations
	Compile time.Duration `json:"compile"` // summed over compilations, in ns
}

// Stats returns the counts so far.
func (c *KernelCache) Stats() KernelStats {
	return KernelStats{Kernels: c.kernels.Len(), Hits: c.hits.Load(), Misses: c.misses.Load(),
		Compile: time.Duration(c.nanos.Load())}
}
