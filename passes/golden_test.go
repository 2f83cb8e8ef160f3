package passes

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"jitc/internal/golden"
	"jitc/internal/irgen"
	"jitc/ir"
	"jitc/ir/tensor"
)

// TestGolden: want.<pass> is the function after that pass, or with the flag alone,
// what that pass by itself makes of the input. Flags: fast for fast math,
// keep-softmax to keep that composite.
func TestGolden(t *testing.T) {
	golden.Run(t, "../testdata/passes", func(t *testing.T, c *golden.Case) {
		f := parse(t, c.In)
		o := Options{Verify: true, FastMath: c.Flags["fast"]}
		if c.Flags["keep-softmax"] {
			o.KeepComposite = func(v *ir.Value) bool { return v.Op == ir.OpSoftmax }
		}
		wanted := 0
		for _, p := range Passes {
			if !c.Has("want." + p.Name) {
				continue
			}
			wanted++
			o.Upto = p.Name
			run := Run
			if c.Flags["alone"] {
				run = func(f *ir.Func, o Options, _ Observer) (*ir.Func, error) { return p.Run(f, o) }
			}
			g, err := run(f, o, nil)
			require.NoError(t, err)
			require.NoError(t, ir.Verify(g, dialect(o)))
			c.Want(t, "want."+p.Name, g.String())
			if !c.Flags["fast"] {
				requireSame(t, f, g)
			}
		}
		require.Positive(t, wanted, "no section want.<pass>")
	})
}

// requireSame compares the results of f and g for sizes that satisfy the facts.
func requireSame(t *testing.T, f, g *ir.Func) {
	t.Helper()
	rng, compared := rand.New(rand.NewPCG(8, 9)), 0
	for range 50 {
		sizes := irgen.Sizes(rng, f)
		if f.Facts.Check(sizes) != nil {
			continue
		}
		compared++
		args := irgen.Args(rng, f, sizes)
		want, err := ir.Eval(f, args, sizes)
		require.NoError(t, err)
		got, err := ir.Eval(g, args, sizes)
		require.NoError(t, err)
		for i := range want {
			require.NoError(t, tensor.Check(got[i], want[i], tensor.Exact), "result %d of\n%s", i, g)
		}
	}
	require.Positive(t, compared, "no sizes satisfy the facts")
}

// goldenInputs are the inputs of all cases, for tests that need many functions.
func goldenInputs(t *testing.T) []*ir.Func {
	t.Helper()
	var fs []*ir.Func
	golden.Run(t, "../testdata/passes", func(t *testing.T, c *golden.Case) { fs = append(fs, parse(t, c.In)) })
	return slices.Clip(fs)
}
