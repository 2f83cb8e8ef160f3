package cublaslt

import (
	"fmt"
	"syscall"

	"golang.org/x/sys/windows"
)

// loaded is a library of the process; it stays until the process ends.
type loaded windows.Handle

// openLibrary loads a file, and what that needs from beside it or from the system.
func openLibrary(path string) (library, error) {
	const beside = windows.LOAD_LIBRARY_SEARCH_DLL_LOAD_DIR | windows.LOAD_LIBRARY_SEARCH_SYSTEM32
	h, err := windows.LoadLibraryEx(path, 0, beside)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return loaded(h), nil
}

func (l loaded) lookup(name string) uintptr {
	f, err := windows.GetProcAddress(windows.Handle(l), name)
	if err != nil {
		return 0
	}
	return f
}

// syscallN calls a C function with integer arguments and gives its result. The
// caller keeps what pointers among args point to, and that on the heap.
func syscallN(f uintptr, args []uintptr) uintptr {
	r, _, _ := syscall.SyscallN(f, args...)
	return r
}
