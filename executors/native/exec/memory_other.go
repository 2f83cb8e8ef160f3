//go:build !amd64 || !(unix || windows)

package exec

func newMemory() (memory, error) { return nil, ErrUnsupported }
