package exec

import "unsafe"

// call jumps to fn with args in RDI, on the goroutine's stack.
//
//go:noescape
func call(fn uintptr, args unsafe.Pointer)
