//go:build unix

package exec

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

func mapWritable(n int) ([]byte, uintptr, error) {
	mem, err := unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return nil, 0, err
	}
	return mem, uintptr(unsafe.Pointer(&mem[0])), nil
}

func makeExecutable(mem []byte) error { return unix.Mprotect(mem, unix.PROT_READ|unix.PROT_EXEC) }

func unmap(mem []byte) {
	if err := unix.Munmap(mem); err != nil {
		panic("BUG: exec: unmap: " + err.Error())
	}
}
