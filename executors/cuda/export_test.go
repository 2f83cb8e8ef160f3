package cuda

import (
	"jitc/executors"
	"jitc/executors/cuda/driver"
)

// NewOf is New with a driver that is yet to be opened.
func NewOf(open func() (driver.API, error)) *Executor {
	return newExecutor(open, 0, func() Options { return Options{} })
}

// SizeClass is the size of the block for so many bytes.
func SizeClass(bytes int) int { return sizeClass(bytes) }

// ReadEnvironment are the options that the environment asks for.
func ReadEnvironment() (Options, error) {
	e, err := readEnvironment()
	if err != nil {
		return Options{}, err
	}
	return e.Options, nil
}

// Retired is how much a queue has to destroy.
func Retired(q executors.Queue) int { return q.(*queue).retired.len() }

// IsSticky reports whether an error is of a fault that ends a context.
func IsSticky(err error) bool { return isSticky(err) }
