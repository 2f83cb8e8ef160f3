//go:build !windows && !(linux && (amd64 || arm64))

package clib

// System fails.
func System(string) (Library, error) { return nil, ErrNone }

// File fails.
func File(string) (Library, error) { return nil, ErrNone }

// Call is never reached: there are no functions.
func Call(uintptr, []uintptr) uintptr {
	panic("BUG: clib: a call into a library where none can be loaded")
}
