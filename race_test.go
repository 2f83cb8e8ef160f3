//go:build race

package jitc_test

// raceEnabled: under the race detector a sync.Pool drops some of what it is
// given, so that nothing is free of allocations.
const raceEnabled = true
