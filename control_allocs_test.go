//go:build !race

package jitc_test

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"

	"jitc"
)

// A run with control flow allocates nothing once a first one has. (The race
// detector makes pools drop what they are given.)
func TestControlAllocatesNothing(t *testing.T) {
	e := engine(t, jitc.Options{Threads: 1})
	for name, c := range controlTraces {
		f := parseTrace(t, c.text)
		sizes := c.sizes[len(c.sizes)-1]
		_, r := recorded(t, e, f, sizes)
		args, results := smallArgs(t, rand.New(rand.NewPCG(6, 7)), f, sizes), r.Results()
		n := testing.AllocsPerRun(20, func() {
			if err := r.Run(args, results, e.Workers()); err != nil {
				panic(err)
			}
		})
		assert.Zero(t, n, name)
	}
}
