package fake

import (
	"unsafe"

	"golang.org/x/sys/windows"
)

const reservedBytes = 64 << 30

// reserve takes address space that faults where it is touched.
func reserve() ([]byte, error) {
	addr, err := windows.VirtualAlloc(0, reservedBytes, windows.MEM_RESERVE, windows.PAGE_NOACCESS)
	if err != nil {
		return nil, err
	}
	return unsafe.Slice((*byte)(*(*unsafe.Pointer)(unsafe.Pointer(&addr))), reservedBytes), nil
}
