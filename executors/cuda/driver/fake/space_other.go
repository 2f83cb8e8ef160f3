//go:build !linux && !darwin && !windows

package fake

// reserve takes memory, where address space cannot be had without.
func reserve() ([]byte, error) { return make([]byte, 256<<20), nil }
