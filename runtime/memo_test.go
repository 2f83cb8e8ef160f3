package runtime

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/executors"
)

func key(n int) KernelKey { return KernelKey{byte(n), byte(n >> 8)} }

// get asks for a kernel that compiles at once.
func get(t *testing.T, c *KernelCache, n int) (hit bool) {
	_, hit, err := c.Get(context.Background(), key(n), func() (executors.Kernel, error) { return &fake{scratch: n}, nil })
	require.NoError(t, err)
	return hit
}

func TestKernelsCompileOnce(t *testing.T) {
	c := NewKernelCache(100)
	const goroutines, keys, rounds = 32, 50, 20
	var compiled [keys]atomic.Int64
	var misses atomic.Int64
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := range keys * rounds {
				n := (i*7 + g) % keys
				k, hit, err := c.Get(context.Background(), key(n), func() (executors.Kernel, error) {
					compiled[n].Add(1)
					time.Sleep(100 * time.Microsecond)
					return &fake{scratch: n}, nil
				})
				assert.NoError(t, err)
				assert.Equal(t, n, k.(*fake).scratch)
				if !hit {
					misses.Add(1)
				}
			}
		}()
	}
	wg.Wait()
	for n := range compiled {
		assert.EqualValues(t, 1, compiled[n].Load(), n)
	}
	s := c.Stats()
	assert.EqualValues(t, keys, s.Misses)
	assert.Equal(t, s.Misses, misses.Load())
	assert.EqualValues(t, goroutines*keys*rounds, s.Hits+s.Misses)
	assert.Equal(t, keys, s.Kernels)
	assert.GreaterOrEqual(t, s.Compile, keys*100*time.Microsecond)
	assert.Zero(t, s.Failed+s.Evicted)
}

func TestTheLeastRecentlyUsedKernelGoes(t *testing.T) {
	c := NewKernelCache(2)
	assert.False(t, get(t, c, 1))
	assert.False(t, get(t, c, 2))
	assert.True(t, get(t, c, 1))
	assert.False(t, get(t, c, 3)) // 2 goes
	assert.True(t, get(t, c, 1))
	assert.False(t, get(t, c, 2)) // 3 goes
	assert.Equal(t, KernelStats{Kernels: 2, Hits: 2, Misses: 4, Evicted: 2, Compile: c.Stats().Compile}, c.Stats())
	least := NewKernelCache(-5)
	get(t, least, 1)
	assert.True(t, get(t, least, 1))
}

// building starts a get that blocks until the returned function is called, and
// returns when the compilation runs.
func building(c *KernelCache, ctx context.Context, end func() (executors.Kernel, error)) (finish func(), result chan error) {
	started, release := make(chan struct{}), make(chan struct{})
	result = make(chan error, 1)
	go func() {
		defer func() {
			if p := recover(); p != nil {
				result <- p.(error)
			}
		}()
		_, _, err := c.Get(ctx, key(1), func() (executors.Kernel, error) {
			close(started)
			<-release
			return end()
		})
		result <- err
	}()
	<-started
	return func() { close(release) }, result
}

// watched tells when someone waits for it.
type watched struct {
	context.Context
	once   sync.Once
	waited func()
}

func (w *watched) Done() <-chan struct{} {
	w.once.Do(w.waited)
	return w.Context.Done()
}

// waiting starts n gets that find the build of key 1 under way, and returns when
// all wait for it. They would build a kernel themselves, and count it.
func waiting(c *KernelCache, n int, built *atomic.Int64) chan error {
	errs := make(chan error, n)
	var ready sync.WaitGroup
	ready.Add(n)
	for range n {
		go func() {
			_, _, err := c.Get(&watched{Context: context.Background(), waited: ready.Done}, key(1), func() (executors.Kernel, error) {
				built.Add(1)
				return &fake{}, nil
			})
			errs <- err
		}()
	}
	ready.Wait()
	return errs
}

func TestAFailedBuildReachesEveryWaiterAndIsNotKept(t *testing.T) {
	failure := errors.New("no such instruction")
	for name, c := range map[string]struct {
		end  func() (executors.Kernel, error)
		want error // for waiters
	}{
		"error":  {func() (executors.Kernel, error) { return nil, failure }, failure},
		"panics": {func() (executors.Kernel, error) { panic(failure) }, errPanicked},
	} {
		cache := NewKernelCache(4)
		finish, result := building(cache, context.Background(), c.end)
		var built atomic.Int64
		errs := waiting(cache, 8, &built)
		finish()
		assert.Equal(t, failure, <-result, name)
		for range 8 {
			assert.Equal(t, c.want, <-errs, name)
		}
		assert.Zero(t, built.Load(), name)
		assert.False(t, get(t, cache, 1), name)
		s := cache.Stats()
		assert.Equal(t, []int64{8, 2, 1}, []int64{s.Hits, s.Misses, s.Failed}, name)
		assert.Equal(t, 1, s.Kernels, name)
	}
}

// TestABuildersContextIsNotTheWaiters: when the builder is cancelled, one of the
// waiters builds, once.
func TestABuildersContextIsNotTheWaiters(t *testing.T) {
	c := NewKernelCache(4)
	ctx, cancel := context.WithCancel(context.Background())
	finish, result := building(c, ctx, func() (executors.Kernel, error) { return nil, ctx.Err() })
	var built atomic.Int64
	errs := waiting(c, 8, &built)
	cancel()
	finish()
	assert.ErrorIs(t, <-result, context.Canceled)
	for range 8 {
		assert.NoError(t, <-errs)
	}
	assert.EqualValues(t, 1, built.Load())
	s := c.Stats()
	assert.Equal(t, []int64{7, 2, 1}, []int64{s.Hits, s.Misses, s.Failed})
}

func TestAWaiterMayLeave(t *testing.T) {
	c := NewKernelCache(4)
	finish, result := building(c, context.Background(), func() (executors.Kernel, error) { return &fake{}, nil })
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	_, hit, err := c.Get(ctx, key(1), func() (executors.Kernel, error) { panic("BUG: two builds") })
	assert.ErrorIs(t, err, context.DeadlineExceeded)
	assert.True(t, hit)
	finish()
	assert.NoError(t, <-result)
	assert.True(t, get(t, c, 1), "the build went on")
}
