package exec

import (
	"unsafe"

	"golang.org/x/sys/windows"
)

func mapWritable(n int) ([]byte, uintptr, error) {
	addr, err := windows.VirtualAlloc(0, uintptr(n), windows.MEM_COMMIT|windows.MEM_RESERVE, windows.PAGE_READWRITE)
	if err != nil {
		return nil, 0, err
	}
	// The memory is not Go's: converting through a pointer to the integer is what vet accepts for that.
	base := *(*unsafe.Pointer)(unsafe.Pointer(&addr))
	return unsafe.Slice((*byte)(base), n), addr, nil
}

func makeExecutable(mem []byte) error {
	var old uint32
	return windows.VirtualProtect(uintptr(unsafe.Pointer(&mem[0])), uintptr(len(mem)), windows.PAGE_EXECUTE_READ, &old)
}

func unmap(mem []byte) {
	if err := windows.VirtualFree(uintptr(unsafe.Pointer(&mem[0])), 0, windows.MEM_RELEASE); err != nil {
		panic("BUG: exec: unmap: " + err.Error())
	}
}
