//go:build linux && (amd64 || arm64)

package cublaslt

import "github.com/ebitengine/purego"

// loaded is a library of the process; it stays until the process ends.
type loaded uintptr

// openLibrary loads a file, or what the loader finds by a name. Its functions are bound
// when they are called first: it has many.
func openLibrary(name string) (library, error) {
	h, err := purego.Dlopen(name, purego.RTLD_LAZY|purego.RTLD_LOCAL)
	if err != nil {
		return nil, err
	}
	return loaded(h), nil
}

func (l loaded) lookup(name string) uintptr {
	f, err := purego.Dlsym(uintptr(l), name)
	if err != nil {
		return 0
	}
	return f
}

// syscallN calls a C function with integer arguments and gives its result. The
// caller keeps what pointers among args point to, and that on the heap.
func syscallN(f uintptr, args []uintptr) uintptr {
	r, _, _ := purego.SyscallN(f, args...)
	return r
}
