package driver

import (
	"fmt"
	"syscall"

	"golang.org/x/sys/windows"
)

var driverNames = []string{"nvcuda.dll"}

// assemblerNames is empty: the driver's assembler is not on the search path.
var assemblerNames []string

// loaded is a library of the process; it stays until the process ends.
type loaded windows.Handle

// openLibrary looks in the system's directory only, so that no file beside the
// program is taken for the driver.
func openLibrary(name string) (library, error) {
	h, err := windows.LoadLibraryEx(name, 0, windows.LOAD_LIBRARY_SEARCH_SYSTEM32)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
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
