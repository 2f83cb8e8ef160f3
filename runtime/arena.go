package runtime

import (
	"math/bits"
	"slices"
	"sync"

	"jitc/ir/tensor"
)

// arenas lends blocks of memory to runs. Like the heap, one serves the whole
// process, so that memory follows what runs at the same time, not the number of
// recordings, functions or engines.
//
// Invariants: a block is lent to one run at a time; lent and idle blocks
// together stay below the budget, except that what is lent may exceed it. The
// budget follows the largest demand of the last few thousand runs.
type arenas struct {
	mu     sync.Mutex
	idle   [][]byte // by size, smallest first
	lent   int64    // bytes of blocks lent
	held   int64    // bytes of blocks lent and idle
	demand int64    // bytes asked for by the runs under way
	recent int64    // largest demand of this epoch
	before int64    // and of the one before
	peak   int64    // largest demand ever
	takes  int64
	made   int64 // blocks allocated
}

var shared arenas

const (
	// epoch is the number of runs after which an old demand fades.
	epoch = 1024
	// A block of up to slack times the need is as good as a new one.
	slack = 4
	// floor is what may always idle: small programs are not worth releasing.
	floor = 64 << 20
)

// budget is what lent and idle blocks together may hold: a quarter more than
// the demand, so that programs that alternate keep their own blocks.
func (a *arenas) budget() int64 {
	need := max(a.recent, a.before)
	return need + need/4 + floor
}

// take returns a block of at least n bytes, 64-byte aligned, for n above 0. Its
// contents are undefined.
func (a *arenas) take(n int) []byte {
	if n == 0 {
		return nil
	}
	size, b := sizeClass(n), []byte(nil)
	a.mu.Lock()
	a.note(int64(n))
	if i := a.choose(size); i < len(a.idle) {
		b = a.idle[i]
		a.idle = slices.Delete(a.idle, i, i+1)
		a.lent += int64(len(b))
	} else {
		a.made++
		a.lent += int64(size)
		a.held += int64(size)
		a.trim()
	}
	a.mu.Unlock()
	if b == nil { // outside the lock: it may take long
		b, _ = tensor.New(tensor.U8, size).Bytes()
	}
	return b
}

// note counts a demand.
func (a *arenas) note(n int64) {
	if a.takes++; a.takes%epoch == 0 {
		a.before, a.recent = a.recent, 0
	}
	a.demand += n
	a.recent = max(a.recent, a.demand)
	a.peak = max(a.peak, a.demand)
}

// choose returns the index of the idle block to lend, or len(a.idle) for a new
// one: the smallest that fits, unless it is far too large and the budget has
// room for another.
func (a *arenas) choose(size int) int {
	i, _ := slices.BinarySearchFunc(a.idle, size, func(b []byte, size int) int { return len(b) - size })
	if i < len(a.idle) && len(a.idle[i])/slack > size && a.held+int64(size) <= a.budget() {
		return len(a.idle)
	}
	return i
}

// give hands back a block that take(n) returned.
func (a *arenas) give(b []byte, n int) {
	if n == 0 {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.demand -= int64(n)
	a.lent -= int64(len(b))
	at, _ := slices.BinarySearchFunc(a.idle, b, func(x, y []byte) int { return len(x) - len(y) })
	a.idle = slices.Insert(a.idle, at, b)
	a.trim()
}

// trim releases idle blocks until the budget holds: first one that alone
// exceeds it, then the smallest, which are the soonest replaced.
func (a *arenas) trim() {
	budget := a.budget()
	for len(a.idle) > 0 && a.held > budget {
		at := 0
		if last := len(a.idle) - 1; int64(len(a.idle[last])) > budget {
			at = last
		}
		a.held -= int64(len(a.idle[at]))
		a.idle = slices.Delete(a.idle, at, at+1)
	}
}

// sizeClass rounds up to one of eight sizes per power of two, at least 4 KiB:
// runs of slowly growing sizes then share blocks.
func sizeClass(n int) int {
	if n <= 4096 {
		return 4096
	}
	step := 1 << (bits.Len(uint(n-1)) - 4)
	return (n + step - 1) &^ (step - 1)
}

// arenaStats describes the memory that runs of this process use for
// intermediates and scratch. In bytes, but for Blocks.
type arenaStats struct {
	Lent   int64 // blocks of runs under way
	Idle   int64 // blocks kept for later runs
	Peak   int64 // most that runs asked for at one time
	Blocks int64 // blocks allocated so far
}

func (a *arenas) stats() arenaStats {
	a.mu.Lock()
	defer a.mu.Unlock()
	return arenaStats{Lent: a.lent, Idle: a.held - a.lent, Peak: a.peak, Blocks: a.made}
}

// ArenaBytes is the memory that arenas hold now, lent and idle.
func ArenaBytes() int64 {
	s := shared.stats()
	return s.Lent + s.Idle
}
