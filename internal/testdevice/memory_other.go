//go:build !linux

package testdevice

// Faults says that reading or writing device memory ends the process.
const Faults = false

// reserve returns memory that nobody is to look at.
func reserve(n int) []byte { return make([]byte, n+grain)[:n] }
