//go:build !windows && !(linux && (amd64 || arm64))

package driver

var driverNames, assemblerNames = []string{"libcuda.so.1"}, []string{"libnvidia-ptxjitcompiler.so.1"}

func openLibrary(string) (library, error) { return nil, errNoLibraries }

func syscallN(uintptr, []uintptr) uintptr {
	panic("BUG: driver: a call into a library where none can be loaded")
}
