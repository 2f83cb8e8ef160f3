package ir_test

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"jitc/internal/irgen"
	"jitc/ir"
)

// partition puts about half of f's values into regions of one value each.
func partition(rng *rand.Rand, f *ir.Func) *ir.Func {
	g := ir.NewFunc(f.Name, f.Facts.Clone())
	b := ir.NewBuilder(g)
	of := map[*ir.Value]*ir.Value{}
	for _, p := range f.Params {
		of[p] = g.AddParam(p.Name, p.Type, p.Attrs)
		of[p].Pos = p.Pos
	}
	for _, v := range f.Values {
		args := make([]*ir.Value, len(v.Args))
		for i, a := range v.Args {
			args[i] = of[a]
		}
		b.Pos = v.Pos
		if rng.IntN(2) == 0 || v.Is(ir.Structural) {
			of[v] = b.Clone(v, args)
			continue
		}
		of[v] = b.EmitRegion(regionOf(g, v), args)
	}
	for _, r := range f.Results {
		g.Results = append(g.Results, of[r])
	}
	if b.Err() != nil {
		panic(b.Err())
	}
	return g
}

func regionOf(g *ir.Func, v *ir.Value) *ir.Func {
	body := ir.NewFunc("", g.Facts)
	inner := make([]*ir.Value, len(v.Args))
	for i, a := range v.Args {
		inner[i] = body.AddParam("", a.Type, nil)
		inner[i].Pos = a.Pos
	}
	b := ir.NewBuilder(body)
	body.Results = []*ir.Value{b.Clone(v, inner)}
	return body
}

func requireRoundTrip(t *testing.T, f *ir.Func, d ir.Dialect, seed uint64) {
	t.Helper()
	require.NoError(t, ir.Verify(f, d), "seed %d\n%s", seed, f)
	for _, positions := range []bool{false, true} {
		o := ir.PrintOptions{Positions: positions}
		var first, second strings.Builder
		require.NoError(t, f.Print(&first, o))
		again, _, diags := ir.Parse("again.trace", first.String())
		require.NoError(t, diags.Err(), "seed %d\n%s", seed, first.String())
		require.NoError(t, ir.Verify(again, d), "seed %d", seed)
		require.NoError(t, again.Print(&second, o))
		require.Equal(t, first.String(), second.String(), "seed %d", seed)
		require.Equal(t, f.Facts.Strings(), again.Facts.Strings())
	}
}

// everyValue lists parameters and values, those of bodies too.
func everyValue(f *ir.Func) []*ir.Value {
	all := append(append([]*ir.Value{}, f.Params...), f.Values...)
	for _, v := range f.Values {
		for _, body := range v.Bodies {
			all = append(all, everyValue(body)...)
		}
	}
	return all
}

// Printing and parsing gives a function back, at the surface and fused, with
// positions (some unknown) and without.
func TestRandomFunctionsRoundTrip(t *testing.T) {
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(7, seed))
		f := irgen.Func(rng, irgen.Options{Surface: seed%2 == 0, Static: seed%7 == 0, Control: seed%3 == 0})
		for _, v := range everyValue(f) {
			if rng.IntN(3) > 0 {
				v.Pos = ir.Pos{File: "dir/\"quoted\" α.py", Line: 1 + rng.IntN(100), Col: 1 + rng.IntN(80)}
			}
			if rng.IntN(4) == 0 {
				v.Name = []string{"a", "b.c", "_", "7", "x y", "Ä", ""}[rng.IntN(7)] // some twice, some no labels
			}
		}
		requireRoundTrip(t, f, ir.Surface, seed)
		requireRoundTrip(t, partition(rng, f), ir.Fused, seed)
	}
}
