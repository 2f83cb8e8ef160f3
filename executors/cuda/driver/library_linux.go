//go:build linux && (amd64 || arm64)

package driver

import (
	"runtime"

	"github.com/ebitengine/purego"
)

// driverNames: the loader's name, then where WSL keeps it.
var driverNames = []string{"libcuda.so.1", "/usr/lib/wsl/lib/libcuda.so.1"}

// assemblerNames: the driver ships its assembler beside itself.
var assemblerNames = []string{
	"libnvidia-ptxjitcompiler.so.1",
	"/usr/lib/" + multiarch[runtime.GOARCH] + "/nvidia/current/libnvidia-ptxjitcompiler.so.1",
	"/usr/lib/wsl/lib/libnvidia-ptxjitcompiler.so.1",
}

var multiarch = map[string]string{"amd64": "x86_64-linux-gnu", "arm64": "aarch64-linux-gnu"}

// loaded is a library of the process; it stays until the process ends.
type loaded uintptr

func openLibrary(name string) (library, error) {
	h, err := purego.Dlopen(name, purego.RTLD_NOW|purego.RTLD_LOCAL)
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
