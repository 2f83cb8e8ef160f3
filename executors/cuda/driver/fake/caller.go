package fake

import (
	"bytes"
	"runtime"
)

// caller is the calling goroutine, and whether it is locked to its thread. The
// runtime says both at the head of a stack trace only:
//
//	goroutine 7 [running, locked to thread]:
//
// A trace is slow: an eager driver takes all goroutines for one that is locked.
func (d *Driver) caller() (goroutine string, locked bool) {
	if d.cfg.Eager {
		return "", true
	}
	var buf [96]byte
	head, _, _ := bytes.Cut(buf[:runtime.Stack(buf[:], false)], []byte{'\n'})
	name, state, _ := bytes.Cut(head, []byte(" ["))
	return string(name), bytes.Contains(state, []byte("locked to thread"))
}
