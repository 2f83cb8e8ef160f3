//go:build !linux

package fake

// thread is the same for all threads where the system does not tell them apart.
func thread() int { return 0 }
