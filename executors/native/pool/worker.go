package pool

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"time"
)

const (
	checkEvery = 32  // pauses between looks at the clock
	yieldEvery = 512 // pauses between offers of the processor to other goroutines
)

// relax waits a moment; i counts its calls in a row. Yielding now and then lets a goroutine run that this one
// waits for, where there are more goroutines than processors.
func relax(i int) {
	if i%yieldEvery == 0 {
		runtime.Gosched()
		return
	}
	pause()
}

// serve is a worker's life.
func (p *Pool) serve(w *worker) {
	defer p.exited.Done()
	p.park(w, true)
	for !p.closed.Load() {
		if p.pending() {
			p.drain(w.id)
		} else if expired := p.await(); !p.pending() {
			p.park(w, expired)
		}
	}
}

// pending reports whether a chunk waits to be claimed.
func (p *Pool) pending() bool { return uint32(p.word.Load()) != 0 }

// await spins until there is something to do or the time to spin is over. It reports whether even the time
// allowed between Begin and End is.
func (p *Pool) await() (expired bool) {
	start := time.Now()
	for i := 1; !p.pending(); i++ {
		if i%checkEvery == 0 {
			idle := time.Since(start)
			switch {
			case p.closed.Load(), idle > bracketSpin:
				return true
			case p.active.Load() == 0 && idle > time.Duration(p.spin.Load()):
				return false
			}
		}
		relax(i)
	}
	return false
}

// park sleeps until woken. Announcing it before the last look for work means that either this look sees the
// work or its author sees the announcement.
func (p *Pool) park(w *worker, expired bool) {
	w.parked.Store(true)
	awake := p.pending() || p.closed.Load() || !expired && p.active.Load() > 0
	if awake && w.parked.CompareAndSwap(true, false) {
		return
	}
	<-w.wake // if the swap failed, the token is on its way
}

// wake wakes up to n parked workers.
func (p *Pool) wake(n int) {
	for _, w := range p.workers {
		if n <= 0 {
			return
		}
		n--
		if w.parked.Load() && w.parked.CompareAndSwap(true, false) {
			w.wake <- struct{}{}
		}
	}
}

// Panic is what Run panics with: the value that a chunk panicked with, and where.
type Panic struct {
	Value any
	Stack []byte
}

func newPanic(value any) *Panic {
	if p, ok := value.(*Panic); ok { // of a Run inside a chunk
		return p
	}
	return &Panic{value, debug.Stack()}
}

// Error returns the value and the stack of the goroutine that panicked.
func (p *Panic) Error() string {
	return fmt.Sprintf("panic in a chunk: %v\n\n%s", p.Value, p.Stack)
}

// Unwrap returns the value if it is an error.
func (p *Panic) Unwrap() error {
	err, _ := p.Value.(error)
	return err
}

// runHere runs all chunks on this goroutine.
func runHere(chunks int, f func(chunk, worker int)) {
	defer func() {
		if value := recover(); value != nil {
			panic(newPanic(value))
		}
	}()
	for chunk := range chunks {
		f(chunk, 0)
	}
}
