package guard

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"

	"jitc/ir/tensor"
)

// TestFailingGuardsMoveForward: what fails often is tried first, and counted.
func TestFailingGuardsMoveForward(t *testing.T) {
	s := NewSet(append(isOf(0, tensor.F32, 1), sized(0, 0, 4), sized(1, 0, 4)), nil)
	both := of(vector(5), vector(5))
	assert.Equal(t, 2, s.Check(both))
	for range 5 {
		assert.Equal(t, 3, s.Check(of(vector(4), vector(5))))
	}
	assert.Equal(t, 3, s.Check(both), "the guard that failed more often is tried first")
	assert.Equal(t, 2, s.FirstFailing(both))
	assert.Equal(t, []int64{0, 0, 1, 6}, s.Fails())
	assert.Equal(t, -1, s.Check(of(vector(4), vector(4))))
}

// TestSetsAreSafeForConcurrentUse: counts are exact, and the order stays a
// permutation, however many fail at once.
func TestSetsAreSafeForConcurrentUse(t *testing.T) {
	var guards []Guard
	for i := range 6 {
		guards = append(guards, sized(i, 0, 4))
	}
	s := NewSet(guards, nil)
	var wg sync.WaitGroup
	const callers, each = 6, 400
	for id := range callers {
		wg.Go(func() {
			c := of(vector(4), vector(4), vector(4), vector(4), vector(4), vector(4))
			c.Tensors[id] = vector(7)
			for range each {
				if s.Check(c) != id {
					t.Error("another guard failed")
				}
			}
		})
	}
	wg.Wait()
	for _, n := range s.Fails() {
		assert.EqualValues(t, each, n)
	}
	assert.ElementsMatch(t, []int32{0, 1, 2, 3, 4, 5}, *s.order.Load())
}

func TestSetsCopyTheirGuards(t *testing.T) {
	guards := []Guard{sized(0, 0, 4)}
	s := NewSet(guards, nil)
	guards[0].Want = 5
	assert.Equal(t, -1, s.Check(of(vector(4))))
}
