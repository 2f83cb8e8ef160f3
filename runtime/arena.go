package runtime

import (
	"sync"
	"sync/atomic"

	"jitc/ir/tensor"
)

// arenas lends blocks of memory to runs. All recordings of a process share it,
// so that memory follows the number of concurrent runs and the largest of them,
// not the number of recordings.
type arenas struct {
	mu    sync.Mutex
	free  [][]byte // by size, smallest first
	total atomic.Int64
}

var shared arenas

// maxIdle bounds the blocks kept for later runs.
const maxIdle = 8

// take returns a block of at least n bytes, 64-byte aligned. Its contents are
// undefined.
func (a *arenas) take(n int) []byte {
	if n == 0 {
		return nil
	}
	a.mu.Lock()
	for i, b := range a.free {
		if len(b) >= n {
			a.free = append(a.free[:i], a.free[i+1:]...)
			a.mu.Unlock()
			return b
		}
	}
	a.mu.Unlock()
	a.total.Add(int64(n))
	data, _ := tensor.New(tensor.U8, n).Bytes()
	return data
}

// give hands a block back. When too many are idle the smallest is released.
func (a *arenas) give(b []byte) {
	if b == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	at := 0
	for at < len(a.free) && len(a.free[at]) < len(b) {
		at++
	}
	a.free = append(a.free, nil)
	copy(a.free[at+1:], a.free[at:])
	a.free[at] = b
	if len(a.free) > maxIdle {
		a.total.Add(-int64(len(a.free[0])))
		a.free = a.free[1:]
	}
}

// ArenaBytes is the memory that arenas hold now, lent and idle.
func ArenaBytes() int64 { return shared.total.Load() }
