//go:build amd64 || arm64

package trace

// goroutine is a number that no other goroutine has while this one lives: the
// address of what the scheduler keeps of it, which does not move. To read it from
// the head of a stack trace, as elsewhere, takes more time than all else that
// recording an op takes.
func goroutine() uint64
