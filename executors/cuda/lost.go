package cuda

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"jitc/executors"
	"jitc/executors/cuda/driver"
)

// LostError says that a device met a fault that its context does not survive.
// Every call of its queue fails with it from then on.
type LostError struct {
	Device executors.Device
	At     string // the launches among which the fault is
	First  error  // what the driver said first
}

// Error says what happened first, and where.
func (e *LostError) Error() string {
	text := fmt.Sprintf("device %s lost: %v", e.Device, e.First)
	if e.At != "" {
		text += ", at " + e.At
	}
	return text
}

// Unwrap is the driver's error.
func (e *LostError) Unwrap() error { return e.First }

// lostError is the *LostError of a device that is lost, else nil.
func (q *queue) lostError() error {
	if e := q.lost.Load(); e != nil {
		return e
	}
	return nil
}

// failed passes an error of the driver on. A fault is remembered: the first one is
// the cause of those that follow.
func (q *queue) failed(err error) error {
	if err == nil {
		return nil
	}
	if isSticky(err) {
		q.lost.CompareAndSwap(nil, &LostError{Device: q.name, At: q.recent.String(), First: err})
		return q.lost.Load()
	}
	return fmt.Errorf("%s: %w", q.name, err)
}

// isSticky reports whether any of the errors that err is made of ends the context:
// the one that a call failed with first may not tell.
func isSticky(err error) bool {
	switch e := err.(type) {
	case *driver.Error:
		return e.Sticky()
	case interface{ Unwrap() []error }:
		return slices.ContainsFunc(e.Unwrap(), isSticky)
	case interface{ Unwrap() error }:
		return isSticky(e.Unwrap())
	}
	return false
}

// isOutOfMemory reports whether the driver had too little memory.
func isOutOfMemory(err error) bool { return errors.Is(err, &driver.Error{Code: driver.OutOfMemory}) }

// recent remembers what was launched and has not been waited for, the last few, for
// the message about a fault: the driver tells of it at some later call.
type recent struct {
	mu     sync.Mutex
	labels [8]string
	n      int // launches ever
	waited int // of those, known to be done
}

// add notes a launch.
func (r *recent) add(label string) {
	r.mu.Lock()
	r.labels[r.n%len(r.labels)] = label
	r.n++
	r.mu.Unlock()
}

func (r *recent) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.n
}

// done notes that the first n launches are done.
func (r *recent) done(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.waited = max(r.waited, n)
}

// String lists the launches that may be at fault, oldest first.
func (r *recent) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	pending := r.n - r.waited
	switch pending {
	case 0:
		return ""
	case 1:
		return r.labels[(r.n-1)%len(r.labels)]
	}
	shown := min(pending, len(r.labels))
	list := make([]string, 0, shown)
	for i := r.n - shown; i < r.n; i++ {
		list = append(list, r.labels[i%len(r.labels)])
	}
	text := "one of " + strings.Join(list, "; ")
	if pending > shown {
		text += fmt.Sprintf("; or %d launches before", pending-shown)
	}
	return text + " (JITC_CUDA_BLOCKING=on tells which)"
}
