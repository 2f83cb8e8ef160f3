package fake

import "golang.org/x/sys/unix"

// thread is the calling thread.
func thread() int { return unix.Gettid() }
