package cuda

import "jitc/executors"

// Entries is how many entries a launch runs.
func Entries(l executors.Launch) int { return len(l.(*launch).entries) }
