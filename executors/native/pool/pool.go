// Package pool runs the chunks of a launch on a few persistent workers.
//
// Waking a sleeping core takes 65 to 105 us, longer than many kernels run. So a worker that has nothing to do
// spins for a while before it parks, and keeps spinning between the launches of one plan (Begin, End). The
// chunks of a launch are claimed one by one from an atomic counter; the caller claims too, and waits only for
// chunks that a worker has claimed: a worker that wakes late costs nothing.
//
//	p := pool.New(2)
//	defer p.Close()
//	p.Begin()                          // workers wake up and stay awake
//	for _, launch := range plan {
//		p.Run(launch.Chunks, launch.Chunk) // Chunk(chunk, worker int)
//	}
//	p.End()
//
// Invariant: a launch ends only after every claimed chunk has returned, and f is read only by who holds a
// claim. Hence the fields of a launch need no lock of their own and Run allocates nothing.
//
// Everything here is safe for concurrent use. A Run that finds the pool busy, be it from another goroutine or
// from inside a chunk, runs its chunks on its own goroutine: the results are the same.
package pool

import (
	"math"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// DefaultSpin is how long an idle worker spins before it parks: about twice what waking it costs.
	DefaultSpin = 200 * time.Microsecond
	// bracketSpin bounds the spinning between Begin and End, in case a plan waits for something else.
	bracketSpin = 20 * time.Millisecond

	cacheLine = 128 // two lines: the prefetcher fetches them in pairs
)

// Pool is a set of workers. Make it with New.
type Pool struct {
	workers []*worker
	spin    atomic.Int64 // nanoseconds
	active  atomic.Int32 // plans between Begin and End
	closed  atomic.Bool
	exited  sync.WaitGroup
	closing sync.Once

	// busy is held during a launch, and forever once the pool is closed.
	busy sync.Mutex
	// The launch: written under busy before word, read by holders of a claim only.
	f func(chunk, worker int)
	n int
	// caught is the first panic of the launch.
	caught atomic.Pointer[Panic]

	_ [cacheLine]byte
	// word is epoch<<32 | chunks left to claim. The epoch makes a claim of an old launch fail.
	word atomic.Uint64
	_    [cacheLine]byte
	// done counts the chunks of the launch that are over.
	done atomic.Int64
	_    [cacheLine]byte
}

// worker is one goroutine. Invariant: whoever turns parked from true to false sends one token.
type worker struct {
	id     int
	wake   chan struct{}
	parked atomic.Bool
	_      [cacheLine]byte
}

// New returns a pool that runs n chunks at a time: n-1 workers and the goroutine that calls Run. n <= 0 means
// GOMAXPROCS. Where only one goroutine can run at a time there are no workers.
func New(n int) *Pool {
	procs := runtime.GOMAXPROCS(0)
	if n <= 0 {
		n = procs
	}
	if procs == 1 {
		n = 1
	}
	p := &Pool{}
	p.spin.Store(int64(DefaultSpin))
	for id := 1; id < n; id++ {
		w := &worker{id: id, wake: make(chan struct{}, 1)}
		p.workers = append(p.workers, w)
		p.exited.Add(1)
		go p.serve(w)
	}
	return p
}

// Workers returns how many chunks may run at the same time, the caller's included.
func (p *Pool) Workers() int { return len(p.workers) + 1 }

// SetSpin sets how long an idle worker spins before it parks.
func (p *Pool) SetSpin(d time.Duration) { p.spin.Store(int64(d)) }

// Begin announces a series of launches: it wakes the workers, and they stay awake until End. Pairs may nest
// and overlap.
func (p *Pool) Begin() {
	p.active.Add(1)
	p.wake(len(p.workers))
}

// End ends the series that Begin announced.
func (p *Pool) End() {
	if p.active.Add(-1) < 0 {
		panic("BUG: pool: End without Begin")
	}
}

// Run calls f(chunk, worker) for every chunk in 0..chunks-1, in any order, and returns when all have
// returned. worker is in 0..Workers()-1 and no two calls of this Run that overlap have the same; calls of
// another Run may. f must not call runtime.Goexit (as a test's FailNow does).
//
// If f panics, the chunks not yet begun are dropped and Run panics with a *Panic.
func (p *Pool) Run(chunks int, f func(chunk, worker int)) {
	if chunks <= 1 || len(p.workers) == 0 || chunks > math.MaxInt32 || !p.busy.TryLock() {
		runHere(chunks, f)
		return
	}
	p.f, p.n = f, chunks
	p.done.Store(0)
	epoch := p.word.Load()>>32 + 1
	p.word.Store(epoch<<32 | uint64(chunks))
	p.wake(chunks - 1)
	defer p.finish() // deferred: it must happen even if f ends this goroutine
	p.drain(0)
}

// finish waits for the chunks that workers hold and ends the launch.
func (p *Pool) finish() {
	for i := 1; p.done.Load() != int64(p.n); i++ {
		relax(i)
	}
	p.f = nil
	caught := p.caught.Swap(nil)
	p.busy.Unlock()
	if caught != nil {
		panic(caught)
	}
}

// drain claims and runs chunks until none is left.
func (p *Pool) drain(id int) {
	for !p.claim(id) {
	}
}

// claim runs chunks until none is left; a panic ends it early, with false.
func (p *Pool) claim(id int) (finished bool) {
	over := 0 // counted at the end: until then the launch cannot end
	defer func() {
		if !finished {
			p.abort(recover())
			over++
		}
		if over != 0 {
			p.done.Add(int64(over))
		}
	}()
	for {
		v := p.word.Load()
		left := int(uint32(v))
		if left == 0 {
			return true
		}
		if p.word.CompareAndSwap(v, v-1) {
			p.f(p.n-left, id)
			over++
		}
	}
}

// abort keeps the panic and drops the chunks that nobody has claimed.
func (p *Pool) abort(value any) {
	p.caught.CompareAndSwap(nil, newPanic(value))
	for {
		v := p.word.Load()
		left := v & math.MaxUint32
		if p.word.CompareAndSwap(v, v-left) {
			p.done.Add(int64(left))
			return
		}
	}
}

// Close ends the workers and returns when they are gone. Later Runs happen on the caller's goroutine. Close
// must not be called from inside a chunk.
func (p *Pool) Close() {
	p.closing.Do(func() {
		p.busy.Lock()
		p.closed.Store(true)
		p.wake(len(p.workers))
		p.exited.Wait()
	})
}
