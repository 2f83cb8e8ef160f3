package jitc

import (
	"context"
	"time"
	"unsafe"
)

// TimeLookup is how long the cache takes to find the admission of a call; false if
// it does not find it.
func TimeLookup[A, B, R any](fn *F2[A, B, R], ctx context.Context, a A, b B) (took time.Duration, hit bool) {
	c := fn.untyped.begin()
	defer c.end()
	c.flatten(0, unsafe.Pointer(&a))
	c.flatten(1, unsafe.Pointer(&b))
	if c.gather() != nil {
		return 0, false
	}
	start := time.Now()
	hit = fn.untyped.cache.Hit(ctx, &c.call, c.stripe) != nil
	return time.Since(start), hit
}
