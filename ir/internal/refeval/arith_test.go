package refeval

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/ir/tensor"
)

// within2 asserts that got is within 2 ulp of want.
func within2(t *testing.T, want, got float64, of string, x float64) {
	t.Helper()
	require.NoError(t, tensor.Check(tensor.Scalar(got), tensor.Scalar(want), tensor.Tolerance{ULP: 2, NaNEqual: true}), "%s(%g)", of, x)
}

// TestNearOne holds the functions that are not the math package's to series
// around 1, where those lose digits.
func TestNearOne(t *testing.T) {
	for k := 30; k <= 50; k++ {
		d := math.Ldexp(1, -k)
		within2(t, d*math.Log2E*(1-d/2), Log2(1+d), "log2", 1+d)
		within2(t, -d*math.Log2E*(1+d/2), Log2(1-d), "log2", 1-d)
		within2(t, math.Sqrt(2*d)*(1+d/12), Acos(1-d), "acos", 1-d)
		within2(t, math.Pi/2-math.Sqrt(2*d)*(1+d/12), Asin(1-d), "asin", 1-d)
	}
}

func TestArcsElsewhere(t *testing.T) {
	for x := -1.0; x <= 1; x += 1.0 / 64 {
		assert.InDelta(t, math.Asin(x), Asin(x), 3e-16)
		assert.InDelta(t, math.Acos(x), Acos(x), 6e-16)
	}
	for x := 0.01; x < 4; x += 0.03 {
		assert.InDelta(t, math.Log(x)/math.Ln2, Log2(x), 2e-15)
	}
}

func TestSigmoidTails(t *testing.T) {
	for x := -700.0; x < -40; x += 10 {
		within2(t, math.Exp(x), Sigmoid(x), "sigmoid", x)
	}
	assert.Equal(t, 1.0, Sigmoid(800))
	assert.Equal(t, 0.0, Sigmoid(-800))
	assert.True(t, math.IsNaN(Sigmoid(math.NaN())))
}

func TestPairwiseSum(t *testing.T) {
	xs := make([]float64, 1_000_003)
	for i := range xs {
		xs[i] = 0.1
	}
	assert.InEpsilon(t, 100000.3, PairwiseSum(xs), 1e-15)
	assert.Equal(t, 3.0, PairwiseSum([]float64{1, 2}))
}

func TestIdentitiesAreExtremes(t *testing.T) {
	for _, dt := range tensor.DTypes() {
		lo, hi := tensor.Floats(Lowest(dt))[0], tensor.Floats(Highest(dt))[0]
		switch {
		case dt == tensor.F8E4M3:
			assert.Equal(t, []float64{-448, 448}, []float64{lo, hi})
		case dt.IsFloat():
			assert.True(t, math.IsInf(lo, -1) && math.IsInf(hi, 1), dt)
		case dt == tensor.Bool || dt.IsUnsigned():
			assert.Equal(t, []float64{0, math.Ldexp(1, max(1, bits(dt))) - 1}, []float64{lo, hi}, dt)
		default:
			assert.Equal(t, []int64{-1 << (bits(dt) - 1), 1<<(bits(dt)-1) - 1},
				[]int64{tensor.Ints(Lowest(dt))[0], tensor.Ints(Highest(dt))[0]}, dt)
		}
	}
}

// bits is the width of an integer type; of bool, one.
func bits(dt tensor.DType) int {
	if dt == tensor.Bool {
		return 1
	}
	return 8 * dt.Size()
}
