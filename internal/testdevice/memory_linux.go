package testdevice

import "syscall"

// Faults says that reading or writing device memory ends the process.
const Faults = true

// reserve returns addresses without memory.
func reserve(n int) []byte {
	b, err := syscall.Mmap(-1, 0, n, syscall.PROT_NONE, syscall.MAP_ANON|syscall.MAP_PRIVATE|syscall.MAP_NORESERVE)
	if err != nil {
		panic("BUG: testdevice: no addresses: " + err.Error())
	}
	return b
}
