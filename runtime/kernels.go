package runtime

import (
	"context"
	"time"

	"jitc/executors"
)

// KernelKey identifies a kernel: a cryptographic hash of a region's canonical
// form, its executor and the options it was compiled with. Equal keys are taken
// to be equal regions without a further look: with 256 bits, 2^64 kernels
// collide with probability 2^-129.
type KernelKey [32]byte

// DefaultKernels is the number of kernels a KernelCache keeps by default.
const DefaultKernels = 16384

// KernelCache keeps compiled kernels by key, least recently used out first.
// Equal regions compile once, also when several goroutines ask at the same
// moment. Safe for concurrent use.
//
// An evicted kernel lives on while programs hold it: nothing here frees a
// kernel, the garbage collector does when no program, recording or run can
// reach it.
type KernelCache struct {
	memo *memo[KernelKey, executors.Kernel]
}

// NewKernelCache returns a cache of at most size kernels; below 1 counts as 1.
func NewKernelCache(size int) *KernelCache {
	return &KernelCache{memo: newMemo[KernelKey, executors.Kernel](size, nil)}
}

// Get returns the kernel of that key, compiling it if need be. A failed
// compilation is not kept; its error goes to everyone who waited for it, unless
// it failed because ctx of the goroutine that compiled had ended: then one of
// the others compiles anew. hit is false if this call compiled, or tried to. A
// call that waits returns ctx's error when ctx ends.
func (c *KernelCache) Get(ctx context.Context, key KernelKey, compile func() (executors.Kernel, error)) (k executors.Kernel, hit bool, err error) {
	return c.memo.get(ctx, key, compile)
}

// KernelStats counts what a KernelCache did since it was made. Every Get is one
// hit or one miss.
type KernelStats struct {
	Kernels int           `json:"kernels"` // kept now
	Hits    int64         `json:"hits"`    // found compiled or being compiled
	Misses  int64         `json:"misses"`  // compilations
	Failed  int64         `json:"failed"`  // misses whose compilation failed
	Evicted int64         `json:"evicted"`
	Compile time.Duration `json:"compile"` // summed over compilations, in ns
}

// Stats returns the counts so far.
func (c *KernelCache) Stats() KernelStats {
	n, kept := c.memo.stats()
	return KernelStats{Kernels: kept, Hits: n.hits, Misses: n.misses, Failed: n.failed, Evicted: n.evicted, Compile: n.spent}
}
