package cuda

import (
	"jitc/executors"
	"jitc/executors/cuda/driver"
)

// CountersOf are the addresses of the counters of a batch's launches.
func CountersOf(b executors.Batch) (at []driver.Ptr) {
	for _, c := range b.(*batch).counters {
		at = append(at, address(c.mem))
	}
	return at
}
