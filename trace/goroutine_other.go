//go:build !amd64 && !arm64

package trace

import (
	"bytes"
	"runtime"
	"strconv"
)

// goroutine is a number that no other running goroutine has. Go keeps it to
// itself except at the head of a stack trace, "goroutine 18 [running]:", which is
// where it is read from. Only code that runs while something is traced asks.
func goroutine() uint64 {
	var buf [40]byte
	head := bytes.TrimPrefix(buf[:runtime.Stack(buf[:], false)], []byte("goroutine "))
	digits, _, _ := bytes.Cut(head, []byte(" "))
	id, err := strconv.ParseUint(string(digits), 10, 64)
	if err != nil {
		panic("BUG: trace: the head of a stack trace is " + strconv.Quote(string(buf[:])))
	}
	return id
}
