package pool

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestEveryChunkOnce runs launches of many sizes with workers that spin, that park between launches, and
// that do both by chance.
func TestEveryChunkOnce(t *testing.T) {
	for _, spin := range []time.Duration{0, time.Microsecond, DefaultSpin} {
		for _, n := range []int{1, 2, 4} {
			t.Run(fmt.Sprintf("spin=%v/n=%d", spin, n), func(t *testing.T) {
				p := New(n)
				defer p.Close()
				p.SetSpin(spin)
				var seen [40]atomic.Int32
				f := func(chunk, worker int) {
					seen[chunk].Add(1)
					if worker < 0 || worker >= p.Workers() {
						seen[chunk].Add(100)
					}
				}
				for round := range 1500 {
					chunks := round % len(seen)
					p.Run(chunks, f)
					for i := range seen {
						want := int32(0)
						if i < chunks {
							want = 1
						}
						require.Equal(t, want, seen[i].Swap(0), "round %d, chunk %d of %d", round, i, chunks)
					}
					if round%250 == 0 {
						time.Sleep(300 * time.Microsecond)
					}
				}
			})
		}
	}
}

// TestWorkersShare holds the point of a pool: two chunks that wait for each other both finish.
func TestWorkersShare(t *testing.T) {
	p := newParallel(t, 2)
	for range 20 {
		var arrived atomic.Int32
		p.Run(2, func(int, int) {
			arrived.Add(1)
			for i := 1; arrived.Load() < 2; i++ {
				relax(i)
			}
		})
		assert.Equal(t, int32(2), arrived.Load())
	}
}

// newParallel returns a pool with workers even if the machine has one processor.
func newParallel(t testing.TB, n int) *Pool {
	t.Helper()
	if runtime.GOMAXPROCS(0) == 1 {
		old := runtime.GOMAXPROCS(2)
		t.Cleanup(func() { runtime.GOMAXPROCS(old) })
	}
	p := New(n)
	t.Cleanup(p.Close)
	require.Equal(t, n, p.Workers())
	return p
}

// TestDistinctWorkers checks that calls of one launch that overlap have distinct worker numbers, so that they
// may index scratch memory.
func TestDistinctWorkers(t *testing.T) {
	p := newParallel(t, 4)
	var inside [4]atomic.Int32
	var clashes atomic.Int32
	for range 300 {
		p.Run(32, func(_, worker int) {
			if inside[worker].Add(1) != 1 {
				clashes.Add(1)
			}
			pause()
			inside[worker].Add(-1)
		})
	}
	assert.Zero(t, clashes.Load())
}

// TestConcurrentCallers runs launches from several goroutines and from inside chunks.
func TestConcurrentCallers(t *testing.T) {
	p := newParallel(t, 3)
	var wg sync.WaitGroup
	var total atomic.Int64
	for range 4 {
		wg.Go(func() {
			for range 200 {
				p.Run(8, func(int, int) {
					p.Run(3, func(chunk, _ int) { total.Add(int64(chunk) + 1) })
				})
			}
		})
	}
	wg.Wait()
	assert.Equal(t, int64(4*200*8*(1+2+3)), total.Load())
}

// TestPlainMemory lets the race detector see that a launch orders its chunks after what the caller wrote and
// before what it reads.
func TestPlainMemory(t *testing.T) {
	p := newParallel(t, 3)
	in, out := make([]int, 64), make([]int, 64)
	f := func(chunk, _ int) { out[chunk] = in[chunk] * 2 }
	for round := range 500 {
		for i := range in {
			in[i] = round + i
		}
		p.Run(len(in), f)
		for i := range out {
			require.Equal(t, 2*(round+i), out[i])
		}
	}
}

func TestPanic(t *testing.T) {
	cause := errors.New("chunk 5 is bad")
	for _, n := range []int{1, 3} {
		p := newParallel(t, n)
		for range 50 {
			var after atomic.Int32
			err := func() (err error) {
				defer func() { err, _ = recover().(error) }()
				p.Run(1000, func(chunk, _ int) {
					if chunk == 5 {
						panic(cause)
					}
					after.Add(1)
				})
				return nil
			}()
			var caught *Panic
			require.ErrorAs(t, err, &caught)
			assert.ErrorIs(t, err, cause)
			assert.Contains(t, err.Error(), "TestPanic", "the stack tells where")
			assert.Less(t, after.Load(), int32(1000))
			// The pool still works.
			var sum atomic.Int32
			p.Run(10, func(chunk, _ int) { sum.Add(int32(chunk)) })
			require.Equal(t, int32(45), sum.Load())
		}
	}
}

// TestPanicEverywhere panics in every chunk: workers must survive it too.
func TestPanicEverywhere(t *testing.T) {
	p := newParallel(t, 4)
	for range 200 {
		assert.Panics(t, func() { p.Run(16, func(chunk, _ int) { panic(chunk) }) })
	}
	var sum atomic.Int32
	p.Run(100, func(int, int) { sum.Add(1) })
	assert.Equal(t, int32(100), sum.Load())
}

// workerStacks counts the goroutines that serve a pool.
func workerStacks() int {
	buf := make([]byte, 1<<20)
	return strings.Count(string(buf[:runtime.Stack(buf, true)]), ").serve(")
}

func TestClose(t *testing.T) {
	before := workerStacks()
	p := newParallel(t, 4)
	p.Begin()
	p.Run(8, func(int, int) {})
	require.Eventually(t, func() bool { return workerStacks() == before+3 }, 5*time.Second, time.Millisecond)
	p.Close()
	assert.Eventually(t, func() bool { return workerStacks() == before }, 5*time.Second, time.Millisecond) // what Close waited for may be on its way out
	p.End()
	p.Close()
	var sum atomic.Int32
	p.Run(10, func(_, worker int) { sum.Add(int32(worker) + 1) })
	assert.Equal(t, int32(10), sum.Load(), "a closed pool runs on the caller")
}

// parked counts the workers that sleep.
func (p *Pool) parkedWorkers() int {
	n := 0
	for _, w := range p.workers {
		if w.parked.Load() {
			n++
		}
	}
	return n
}

func TestParking(t *testing.T) {
	p := newParallel(t, 3)
	allParked := func() bool { return p.parkedWorkers() == 2 }
	require.Eventually(t, allParked, 5*time.Second, time.Millisecond, "an unused pool sleeps")
	p.Run(8, func(int, int) {})
	require.Eventually(t, allParked, 5*time.Second, time.Millisecond, "so does one that was used")

	p.Begin()
	assert.Zero(t, p.parkedWorkers(), "Begin wakes all")
	require.Eventually(t, allParked, 5*time.Second, time.Millisecond, "a bracket that lasts too long does not burn")
	p.End()
	assert.PanicsWithValue(t, "BUG: pool: End without Begin", p.End)
}

func TestOneProcessor(t *testing.T) {
	old := runtime.GOMAXPROCS(1)
	defer runtime.GOMAXPROCS(old)
	p := New(4)
	defer p.Close()
	assert.Equal(t, 1, p.Workers())
	order := []int{}
	p.Run(4, func(chunk, worker int) { order = append(order, chunk, worker) })
	assert.Equal(t, []int{0, 0, 1, 0, 2, 0, 3, 0}, order)
}

func TestNoAllocation(t *testing.T) {
	p := newParallel(t, 2)
	var sum atomic.Int64
	f := func(chunk, _ int) { sum.Add(int64(chunk)) }
	assert.Zero(t, testing.AllocsPerRun(200, func() { p.Run(8, f) }))
}

// BenchmarkRun is the cost of a launch of two empty chunks while the workers spin.
func BenchmarkRun(b *testing.B) {
	p := newParallel(b, 2)
	p.Begin()
	defer p.End()
	f := func(int, int) {}
	for b.Loop() {
		p.Run(2, f)
	}
}

// BenchmarkShared is a launch of 16 chunks of about 1 us, to be compared with one worker.
func BenchmarkShared(b *testing.B) {
	for _, n := range []int{1, 2} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			p := newParallel(b, n)
			p.Begin()
			defer p.End()
			var sink [2 * cacheLine]uint64
			f := func(chunk, worker int) {
				x := uint64(chunk)
				for range 1000 {
					x = x*6364136223846793005 + 1
				}
				sink[worker*cacheLine] += x
			}
			for b.Loop() {
				p.Run(16, f)
			}
		})
	}
}
