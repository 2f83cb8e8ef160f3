//go:build linux || darwin

package fake

import "golang.org/x/sys/unix"

// reserve takes address space that faults where it is touched.
func reserve() ([]byte, error) {
	return unix.Mmap(-1, 0, 64<<30, unix.PROT_NONE, unix.MAP_ANON|unix.MAP_PRIVATE|unix.MAP_NORESERVE)
}
