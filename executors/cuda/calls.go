package cuda

import (
	"math"
	"sync/atomic"
)

// calls counts the calls that are inside a queue, so that its end waits for them
// and lets no others in.
type calls struct {
	inside atomic.Int64 // closing and the number of calls, when the end has come
	last   chan struct{}
}

const closing = math.MinInt64 / 2

func newCalls() calls { return calls{last: make(chan struct{}, 1)} }

// begin reports whether a call may go on; it must then end.
func (c *calls) begin() bool {
	if c.inside.Add(1) > 0 {
		return true
	}
	c.end()
	return false
}

func (c *calls) end() {
	if c.inside.Add(-1) == closing {
		select {
		case c.last <- struct{}{}:
		default: // a call that came too late has left too
		}
	}
}

// ended reports whether no more calls are let in.
func (c *calls) ended() bool { return c.inside.Load() < 0 }

// close lets no more calls in and waits for those inside. It is called once.
func (c *calls) close() {
	if c.inside.Add(closing) != closing {
		<-c.last
	}
}
