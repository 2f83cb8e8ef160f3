//go:build !amd64

package exec

import "unsafe"

// call is never reached: Load fails here.
func call(uintptr, unsafe.Pointer) { panic("BUG: exec: call without machine code") }
