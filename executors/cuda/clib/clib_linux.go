//go:build linux && (amd64 || arm64)

package clib

import "github.com/ebitengine/purego"

// loaded is a library of the process; it stays until the process ends.
type loaded uintptr

// System loads a library that the system's loader finds by its name, or a file.
func System(name string) (Library, error) { return open(name, purego.RTLD_NOW) }

// File loads a file, or what the loader finds by a name. Its functions are bound when
// they are called first, for libraries that have many.
func File(path string) (Library, error) { return open(path, purego.RTLD_LAZY) }

func open(name string, mode int) (Library, error) {
	h, err := purego.Dlopen(name, mode|purego.RTLD_LOCAL)
	if err != nil {
		return nil, err
	}
	return loaded(h), nil
}

// Lookup asks the loader.
func (l loaded) Lookup(name string) uintptr {
	f, err := purego.Dlsym(uintptr(l), name)
	if err != nil {
		return 0
	}
	return f
}

// Call calls a C function with integer arguments and gives its result. The caller
// keeps what pointers among args point to, and that on the heap.
func Call(f uintptr, args []uintptr) uintptr {
	r, _, _ := purego.SyscallN(f, args...)
	return r
}
