//go:build !race

package pytree_test

const raceEnabled = false
