package refeval

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
)

// Expected values: the true ones, rounded to float64 (computed with 50 digits).
func TestExpAndLogAtTheEnds(t *testing.T) {
	for _, c := range []struct{ x, want float64 }{
		{5e-324, -744.4400719213812},
		{0x1p-1030, -713.9415959767437},
		{1, 0},
		{math.E, 1},
	} {
		assert.InEpsilon(t, 1+c.want, 1+Log(c.x), 1e-15, "log %g", c.x)
	}
	assert.Equal(t, math.Inf(1), Log(math.Inf(1)))
	assert.Equal(t, math.Inf(-1), Log(0))
	assert.True(t, math.IsNaN(Log(-1)))
	for _, c := range []struct{ x, want float64 }{
		{709.782712893384, 1.797693134862273e308},
		{709.5, 1.3549863193146328e308},
		{1, math.E},
		{-746, 0},
	} {
		if c.want == 0 {
			assert.Zero(t, Exp(c.x))
			continue
		}
		assert.InEpsilon(t, c.want, Exp(c.x), 1e-14, "exp %g", c.x)
	}
	assert.True(t, math.IsInf(Exp(709.79), 1))
}
