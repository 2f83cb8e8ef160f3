package ptx

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/codegen"
	"jitc/codegen/internal/elements"
	"jitc/ir/tensor"
)

// Split products end, with their epilogue, in one launch, which leaves its counters as
// it found them; of known sizes there is no entry for a second one.
func TestSplitProductsEndInOneLaunch(t *testing.T) {
	many := Device{Arch: 90, Multiprocessors: 132, SharedBytes: 227 << 10}
	s := sizes{"M": 1, "N": 72, "K": 1600}
	for _, c := range []struct {
		dt  tensor.DType
		tol float64
	}{{tensor.BF16, 0.05}, {tensor.F32, 1e-3}} {
		for _, wide := range []bool{false, true} {
			for _, known := range []bool{false, true} {
				k := productKernel(t, c.dt, c.dt, c.dt, false, sym("M"), sym("N"), sym("K"))
				at := s
				if known {
					k, at = productKernel(t, c.dt, c.dt, c.dt, false, con(1), con(72), con(1600)), nil
				}
				legal, err := codegen.Legalize(k, Target(false, wide))
				require.NoError(t, err)
				m, err := Compile(legal, many, Options{})
				require.NoError(t, err)
				d := forDevice(t, m)
				checkOn(t, d, at, elements.Moderate, c.tol, 0)
				require.Len(t, d.plan.Launches, 1)
				assert.NotContains(t, d.plan.Launches[0].Entry, "_plain")
				assert.Positive(t, d.plan.Zeros)
				assert.Positive(t, d.plan.Scratch)
				if known {
					assert.NotContains(t, m.Text(), "_sum(")
				} else {
					assert.Contains(t, m.Text(), "_sum(")
				}
			}
		}
	}
}
