//go:build race

package exec

import (
	"runtime"
	"unsafe"
)

// RaceRead tells the race detector that machine code reads n bytes at p, which it cannot see by itself.
// Without the detector it does nothing.
func RaceRead(p unsafe.Pointer, n int) {
	if n > 0 {
		runtime.RaceReadRange(p, n)
	}
}

// RaceWrite tells the race detector that machine code writes n bytes at p.
func RaceWrite(p unsafe.Pointer, n int) {
	if n > 0 {
		runtime.RaceWriteRange(p, n)
	}
}
