//go:build !race

package exec

import "unsafe"

// RaceRead tells the race detector that machine code reads n bytes at p, which it cannot see by itself.
// Without the detector it does nothing.
func RaceRead(p unsafe.Pointer, n int) {}

// RaceWrite tells the race detector that machine code writes n bytes at p.
func RaceWrite(p unsafe.Pointer, n int) {}
