package clib

import (
	"fmt"
	"syscall"

	"golang.org/x/sys/windows"
)

// loaded is a library of the process; it stays until the process ends.
type loaded windows.Handle

// System looks in the system's directory only, so that no file beside the program is
// taken for its library.
func System(name string) (Library, error) { return open(name, windows.LOAD_LIBRARY_SEARCH_SYSTEM32) }

// File loads a file, and what that needs from beside it or from the system.
func File(path string) (Library, error) {
	return open(path, windows.LOAD_LIBRARY_SEARCH_DLL_LOAD_DIR|windows.LOAD_LIBRARY_SEARCH_SYSTEM32)
}

func open(name string, flags uintptr) (Library, error) {
	h, err := windows.LoadLibraryEx(name, 0, flags)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return loaded(h), nil
}

// Lookup asks the loader.
func (l loaded) Lookup(name string) uintptr {
	f, err := windows.GetProcAddress(windows.Handle(l), name)
	if err != nil {
		return 0
	}
	return f
}

// Call calls a C function with integer arguments and gives its result. The caller
// keeps what pointers among args point to, and that on the heap.
func Call(f uintptr, args []uintptr) uintptr {
	r, _, _ := syscall.SyscallN(f, args...)
	return r
}
