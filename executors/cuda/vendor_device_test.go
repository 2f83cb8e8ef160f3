package cuda_test

import (
	"io"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/executors/cuda"
	"jitc/executors/cuda/driver"
	"jitc/executors/cuda/driver/fake"
)

// closer is an io.Closer.
type closer func() error

func (c closer) Close() error { return c() }

var _ io.Closer = closer(nil)

// What is kept is closed with the queue, the latest first, in its context.
func TestKeep(t *testing.T) {
	e, d := newExecutor(t, fake.Config{}, cuda.Options{})
	var order []int
	for i := range 3 {
		require.NoError(t, e.Keep(closer(func() error {
			order = append(order, i)
			_, _, err := d.MemoryInfo() // needs the context
			return err
		})))
	}
	require.NoError(t, e.Close())
	require.Equal(t, []int{2, 1, 0}, order)
	require.Error(t, e.Within(func() error { return nil }))
	v, err := e.Version()
	require.NoError(t, err)
	require.Equal(t, 12040, v)
}

// Batches of several goroutines capture one at a time.
func TestConcurrentCaptures(t *testing.T) {
	e, d := newExecutor(t, fake.Config{}, cuda.Options{})
	var batches []*shared
	for range 4 {
		batches = append(batches, newShared(t, e, d))
	}
	var all sync.WaitGroup
	for _, s := range batches {
		all.Go(func() {
			for range 5 {
				assert.NoError(t, s.try())
			}
		})
	}
	all.Wait()
	for _, s := range batches {
		s.run(t)
		require.NoError(t, s.b.Recorded())
	}
}

// Libraries are asked nothing while work is captured, by other goroutines either.
func TestWithinWaitsForCaptures(t *testing.T) {
	e, d := newExecutor(t, fake.Config{}, cuda.Options{})
	s := newShared(t, e, d)
	var asked sync.WaitGroup
	var first sync.Once
	entered := make(chan struct{})
	s.more = func(driver.Ptr) int {
		first.Do(func() {
			asked.Go(func() {
				assert.NoError(t, e.Within(func() error { close(entered); return nil }))
			})
			select {
			case <-entered:
				assert.Fail(t, "entered during a capture")
			case <-time.After(20 * time.Millisecond):
			}
		})
		return 0
	}
	s.run(t)
	asked.Wait()
	require.NoError(t, s.b.Recorded())
}
