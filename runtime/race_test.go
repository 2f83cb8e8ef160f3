//go:build race

package runtime

// raceEnabled: under the race detector a sync.Pool drops some of what it is
// given, so that nothing is free of allocations.
const raceEnabled = true
