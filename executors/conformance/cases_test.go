package conformance

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/executors/reference"
	"jitc/fusion"
	"jitc/ir"
)

// willing claims everything for regions of any sort.
type willing struct{ reference.Executor }

func (willing) Claim(*ir.Value) fusion.Claim { return fusion.Claim{Level: fusion.Fusible} }

// Every op has plain cases; every variant applies to most of the ops that it can;
// regions are well-formed, and some repeat.
func TestCasesCoverTheTable(t *testing.T) {
	s := newSuite(t, willing{}, Options{})
	applies := map[string]int{}
	for _, op := range s.ops() {
		seen, plain, repeated := map[string]bool{}, 0, 0
		for _, c := range s.cases(op) {
			require.NoError(t, ir.Verify(c.region, ir.Surface), c.name)
			if c.plain {
				plain++
			}
			if c.repeat {
				repeated++
			}
			for _, v := range variants {
				if strings.HasPrefix(c.name, v.name+" ") {
					seen[v.name] = true
				}
			}
		}
		assert.GreaterOrEqual(t, plain, 3, op)
		assert.Positive(t, repeated, op)
		for name := range seen {
			applies[name]++
		}
	}
	for _, v := range variants {
		assert.Greater(t, applies[v.name], len(s.ops())/2, "variant %s", v.name)
	}
}

// Thin runs keep a part of every op.
func TestThinCasesCoverTheTable(t *testing.T) {
	whole, thin := newSuite(t, willing{}, Options{}), newSuite(t, willing{}, Options{Thin: true})
	for _, op := range whole.ops() {
		n, all := len(thin.cases(op)), len(whole.cases(op))
		assert.Positive(t, n, op)
		assert.Less(t, n, all, op)
	}
}

// Symbolic regions are bound at sizes that they can take, beyond their samples'.
func TestSymbolicCasesRunAtSeveralSizes(t *testing.T) {
	s := newSuite(t, willing{}, Options{})
	for _, op := range []ir.Op{ir.OpAdd, ir.OpReduceSum, ir.OpDotGeneral, ir.OpTranspose, ir.OpSoftmax, ir.OpConcat, ir.OpPad} {
		most := 0
		for _, c := range s.cases(op) {
			runs := 0
			for _, sizes := range c.sizes {
				if tooLarge(c.region, sizes) {
					continue
				}
				args, err := c.fill.operands(c.region, sizes, 1)
				require.NoError(t, err)
				if _, _, err := evaluate(c.region, args, sizes); err == nil {
					runs++
				}
			}
			most = max(most, runs)
		}
		assert.GreaterOrEqual(t, most, 5, op)
	}
}
