package codegen

import (
	"testing"

	"github.com/stretchr/testify/require"

	"jitc/internal/golden"
	"jitc/ir"
	"jitc/passes"
)

// primitives decomposes every composite op.
func primitives(t testing.TB, f *ir.Func) *ir.Func {
	t.Helper()
	out, err := passes.Run(f, passes.Options{Upto: "decompose"}, nil)
	require.NoError(t, err)
	return out
}

// TestLowerGolden shows the nests of regions that matter.
func TestLowerGolden(t *testing.T) {
	golden.Run(t, "../testdata/loops", func(t *testing.T, c *golden.Case) {
		k, err := Lower(primitives(t, parseFunc(t, c.In)), Options{})
		require.NoError(t, err)
		c.Want(t, "want.loops", k.String())
	})
}
