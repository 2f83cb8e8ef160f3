package passes

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/internal/irgen"
	"jitc/ir"
	"jitc/ir/tensor"
)

func TestConstraintsHold(t *testing.T) {
	names := Names()
	for _, c := range Constraints {
		before, after := slices.Index(names, c.Before), slices.Index(names, c.After)
		assert.GreaterOrEqual(t, before, 0, "no pass %s", c.Before)
		assert.Less(t, before, after, "%s before %s: %s", c.Before, c.After, c.Why)
		assert.NotEmpty(t, c.Why)
	}
	for _, p := range Passes {
		assert.NotEmpty(t, p.Doc, p.Name)
		assert.True(t, slices.ContainsFunc(Constraints, func(c Constraint) bool {
			return c.Before == p.Name || c.After == p.Name
		}), "nothing says why %s is where it is", p.Name)
	}
}

func TestUptoAndObserver(t *testing.T) {
	f := parse(t, `func @f(%x: f32[4]) -> f32[4] {
  %y: f32[4] = relu(%x)
  return %y
}
`)
	var seen []string
	last := f
	g, err := Run(f, Options{Upto: "fold", Verify: true}, func(pass string, before, after *ir.Func, d time.Duration) {
		assert.Same(t, last, before)
		assert.GreaterOrEqual(t, d, time.Duration(0))
		seen, last = append(seen, pass), after
	})
	require.NoError(t, err)
	assert.Same(t, last, g)
	assert.Equal(t, []string{"decompose", "canonicalise", "fold"}, seen)
	_, err = Run(f, Options{Upto: "folding"}, nil)
	require.ErrorContains(t, err, `no pass "folding"`)
}

func parse(t testing.TB, text string) *ir.Func {
	t.Helper()
	f, _, diags := ir.Parse("in.trace", text)
	require.NoError(t, diags.Err())
	require.NoError(t, ir.Verify(f, ir.Surface))
	return f
}

// seeds is how many random functions a property is tried on.
func seeds() uint64 {
	if testing.Short() {
		return 200
	}
	return 1500
}

// forRandom runs check on random functions and arguments.
func forRandom(t *testing.T, stream uint64, o irgen.Options, check func(t *testing.T, rng *rand.Rand, f *ir.Func)) {
	for seed := range seeds() {
		rng := rand.New(rand.NewPCG(stream, seed))
		o := o
		o.Static = seed%3 == 0
		o.Values = 8 + int(seed%5)*8
		o.Control = seed%6 == 1
		f := irgen.Func(rng, o)
		check(t, rng, f)
		if t.Failed() {
			t.Fatalf("seed %d of stream %d:\n%s", seed, stream, f)
		}
	}
}

// TestPassesKeepEveryBit runs each pass alone on functions of primitives.
func TestPassesKeepEveryBit(t *testing.T) {
	for i, p := range Passes {
		t.Run(p.Name, func(t *testing.T) {
			t.Parallel()
			forRandom(t, uint64(10+i), irgen.Options{}, func(t *testing.T, rng *rand.Rand, f *ir.Func) {
				text := f.String()
				g, err := p.Run(f, Options{})
				require.NoError(t, err)
				assert.Equal(t, text, f.String(), "the input changed")
				requireEqualResults(t, rng, f, g, tensor.Exact)
			})
		})
	}
}

// requireSound verifies g, made from f: what the package comment promises of it,
// but for the results' elements.
func requireSound(t *testing.T, f, g *ir.Func) {
	t.Helper()
	require.NoError(t, ir.Verify(g, ir.Primitive), "%s", g)
	old, positions, names := map[*ir.Value]bool{}, map[ir.Pos]bool{}, map[string]bool{}
	for _, v := range f.Values {
		old[v] = true
	}
	collectPositions(f, positions)
	for _, v := range g.Values {
		require.True(t, g == f || !old[v], "shares a value with its input")
		require.True(t, positions[v.Pos], "%s at %s", v.Op, v.Pos)
		require.False(t, v.Name != "" && names[v.Name], "two values named %s", v.Name)
		names[v.Name] = true
	}
	require.Equal(t, len(g.Params)+len(g.Values), g.NumIDs, "IDs are dense")
	for i, r := range f.Results {
		require.True(t, r.Name == "" || g.Results[i].Name != "", "result %d has lost its name", i)
		require.True(t, r.Type.EqualUnder(f.Facts, g.Results[i].Type))
	}
	for i, p := range f.Params {
		require.Equal(t, p.Name, g.Params[i].Name)
		require.True(t, p.Type.Equal(g.Params[i].Type))
	}
}

// collectPositions adds the positions of f's values, and of those in bodies.
func collectPositions(f *ir.Func, positions map[ir.Pos]bool) {
	for _, v := range f.Values {
		positions[v.Pos] = true
		for _, body := range v.Bodies {
			collectPositions(body, positions)
		}
	}
}

// requireEqualResults compares g's results with f's on random arguments.
func requireEqualResults(t *testing.T, rng *rand.Rand, f, g *ir.Func, tol tensor.Tolerance) {
	t.Helper()
	requireSound(t, f, g)
	for range 2 {
		sizes := irgen.Sizes(rng, f)
		args := irgen.Args(rng, f, sizes)
		want, err := ir.Eval(f, args, sizes)
		require.NoError(t, err)
		got, err := ir.Eval(g, args, sizes)
		require.NoError(t, err, "%s", g)
		require.Len(t, got, len(want))
		for i := range want {
			require.NoError(t, tensor.Check(got[i], want[i], tol), "result %d at %v of\n%s", i, sizes, g)
		}
	}
}

// TestPipelineKeepsBitsAndSettles runs all passes on functions of primitives: the
// results keep their bits, and running the passes again changes nothing.
func TestPipelineKeepsBitsAndSettles(t *testing.T) {
	forRandom(t, 1, irgen.Options{}, func(t *testing.T, rng *rand.Rand, f *ir.Func) {
		text := f.String()
		g, err := Run(f, Options{Verify: true}, nil)
		require.NoError(t, err)
		assert.Equal(t, text, f.String(), "the input changed")
		requireEqualResults(t, rng, f, g, tensor.Exact)
		requireSettled(t, g)
	})
}

// requireSettled runs all passes on their own result.
func requireSettled(t *testing.T, g *ir.Func) {
	t.Helper()
	again, err := Run(g, Options{Verify: true}, func(pass string, before, after *ir.Func, _ time.Duration) {
		assert.Equal(t, before.String(), after.String(), "%s changes what was settled", pass)
	})
	require.NoError(t, err)
	assert.Same(t, g, again, "not settled")
}

// TestPipelineOfComposites compares with the composites' own evaluation, which is
// their decomposition in most cases, in types where rounding is tame.
func TestPipelineOfComposites(t *testing.T) {
	o := irgen.Options{Surface: true, DTypes: []tensor.DType{tensor.F32, tensor.F64, tensor.I32, tensor.Bool},
		Keep: func(op ir.Op) bool { return op != ir.OpCumulative }} // its decomposition has another order
	requireComposites(t, 2, o)
}

// TestPipelineOfIntegerComposites has no rounding, so that no order matters.
func TestPipelineOfIntegerComposites(t *testing.T) {
	requireComposites(t, 3, irgen.Options{Surface: true, DTypes: []tensor.DType{tensor.I8, tensor.I32, tensor.U64, tensor.Bool}})
}

func requireComposites(t *testing.T, stream uint64, o irgen.Options) {
	t.Helper()
	forRandom(t, stream, o, func(t *testing.T, rng *rand.Rand, f *ir.Func) {
		g, err := Run(f, Options{Verify: true}, nil)
		require.NoError(t, err)
		requireEqualResults(t, rng, f, g, tensor.Exact)
		requireSettled(t, g)
	})
}
