//go:build !race

// Pools drop what they hold at random under the race detector.

package guard

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestCheckAllocatesNothing(t *testing.T) {
	g := newGenerator(9)
	for range 30 {
		s, c := g.family(1)[0], g.call()
		for range 40 { // until the order follows the failures
			s.Check(c)
		}
		assert.Zero(t, testing.AllocsPerRun(8, func() { s.FirstFailing(c); s.Check(c) }))
	}
}

func TestSelectAllocatesNothing(t *testing.T) {
	g := newGenerator(11)
	for range 20 {
		sets := g.family(6)
		tree, c := NewTree(sets), g.call()
		tree.Select(c) // makes the layouts
		assert.Zero(t, testing.AllocsPerRun(50, func() { tree.Select(c) }))
	}
}

func TestDifferAllocatesNothing(t *testing.T) {
	g := newGenerator(4)
	for range 20 {
		sets := g.family(6)
		live, admitted := admit(g, sets, 20)
		d := Differentiate(sets, admitted)
		for _, c := range live {
			assert.Zero(t, testing.AllocsPerRun(20, func() { d.Select(c) }))
		}
	}
}
