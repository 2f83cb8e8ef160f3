//go:build !(linux && amd64)

package exec

// EnableAMX asks the system for the AMX tile registers. The error says why there are none.
func EnableAMX() error { return ErrUnsupported }
