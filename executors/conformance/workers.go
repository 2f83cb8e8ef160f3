package conformance

import (
	"fmt"
	"sync"
)

// serial is one worker that runs chunks first to last, or last to first.
type serial struct{ backwards bool }

func (serial) Workers() int { return 1 }

func (s serial) Run(chunks int, f func(chunk, worker int)) {
	for i := range chunks {
		if s.backwards {
			i = chunks - 1 - i
		}
		f(i, 0)
	}
}

// crew is several workers that deal the chunks out in turn, the last first.
type crew int

func (c crew) Workers() int { return int(c) }

// Run passes a panic of a chunk on to the caller.
func (c crew) Run(chunks int, f func(chunk, worker int)) {
	var all sync.WaitGroup
	panics := make([]any, c)
	for w := range int(c) {
		all.Go(func() {
			defer func() { panics[w] = recover() }()
			for i := chunks - 1 - w; i >= 0; i -= int(c) {
				f(i, w)
			}
		})
	}
	all.Wait()
	for w, p := range panics {
		if p != nil {
			panic(fmt.Sprintf("worker %d: %v", w, p))
		}
	}
}
