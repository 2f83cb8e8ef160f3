//go:build !race

package jitc_test

const raceEnabled = false
