package passes

import (
	"math/rand/v2"
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
			requireSame(t, f, g, c.Flags["fast"])
		}
		require.Positive(t, wanted, "no section want.<pass>")
	})
}

// requireSame compares the results of f and g for sizes that satisfy the facts: bit
// by bit, or if fast, roughly and on tame arguments.
func requireSame(t *testing.T, f, g *ir.Func, fast bool) {
	t.Helper()
	tol := tensor.Exact
	if fast {
		tol = tensor.Tolerance{Rel: 1e-5, Abs: 1e-6}
	}
	rng, compared := rand.New(rand.NewPCG(8, 9)), 0
	for range 50 {
		sizes := irgen.Sizes(rng, f)
		if ir.CheckFacts(f, sizes) != nil {
			continue
		}
		compared++
		args := irgen.Args(rng, f, sizes)
		if fast {
			args = tame(t, rng, args)
		}
		want, err := ir.Eval(f, args, sizes)
		require.NoError(t, err)
		got, err := ir.Eval(g, args, sizes)
		require.NoError(t, err)
		for i := range want {
			require.NoError(t, tensor.Check(got[i], want[i], tol), "result %d of\n%s", i, g)
		}
	}
	require.Positive(t, compared, "no sizes satisfy the facts")
}

// tame replaces tensors by ones of their types with elements in [0.5, 2).
func tame(t *testing.T, rng *rand.Rand, args []*tensor.Tensor) []*tensor.Tensor {
	out := make([]*tensor.Tensor, len(args))
	for i, a := range args {
		var err error
		rule := tensor.Rule{Kind: "uniform", Seed: rng.Uint64(), Lo: 0.5, Hi: 2}
		out[i], err = tensor.Generate(rule, a.DType(), a.Shape())
		require.NoError(t, err)
	}
	return out
}
