//go:build (unix && !linux) || windows

package exec

func newMemory() (memory, error) { return newPages() }
