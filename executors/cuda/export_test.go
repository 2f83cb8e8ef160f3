package cuda

import "jitc/executors/cuda/driver"

// NewOf is New with a driver that is yet to be opened.
func NewOf(open func() (driver.API, error)) *Executor {
	return newExecutor(open, 0, func() Options { return Options{} })
}

// SizeClass is the size of the block for so many bytes.
func SizeClass(bytes int) int { return sizeClass(bytes) }
