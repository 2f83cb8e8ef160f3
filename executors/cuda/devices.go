package cuda

import "jitc/executors"

var _ executors.Indexed = (*Executor)(nil)

// At is the executor for a device of the machine's driver: At, the function.
func (e *Executor) At(dev int) executors.Executor { return At(dev) }
