package runtime

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/ir/call"
	"jitc/ir/dim"
)

func marked(t *testing.T, marks ...Mark) *caller {
	k := newCaller(t, Config{Marks: marks})
	k.tracer.places = []call.Place{{Path: "n", Kind: call.Size}}
	return k
}

func TestMarks(t *testing.T) {
	static := marked(t, Mark{Path: "a", Axis: 0, Kind: Static})
	for n := range 3 {
		static.must(vectors(n))
	}
	assert.Len(t, static.c.Entries(), 3)

	for _, kind := range []MarkKind{Dynamic, MaybeDynamic, Unbacked} {
		k := marked(t, Mark{Path: "*", Axis: -1, Kind: kind, Sym: "B"})
		var spec *Spec
		k.tracer.decide = func(_ *call.Call, s *Spec, _ *Traced) { spec = s }
		e := k.must(vectors(3, 3)).Entry
		assert.Same(t, e, k.must(vectors(1, 1)).Entry)
		assert.Equal(t, []string{"u8[B]", "u8[B]"}, k.c.Stats().Entries[0].Params, "%s", kind)
		_, hinted := spec.Hints["B"]
		assert.Equal(t, kind != Unbacked, hinted)
		_, strict := spec.Strict["B"]
		assert.Equal(t, kind != MaybeDynamic, strict)
		_, err := k.call(context.Background(), vectors(3, 4))
		require.ErrorContains(t, err, "axis 0 of b: B stands for two sizes: expected 3, as elsewhere in this call, got 4")
	}
}

func TestTheLastMarkHolds(t *testing.T) {
	k := marked(t, Mark{Path: "*", Axis: -1, Kind: Dynamic}, Mark{Path: "b", Axis: 0, Kind: Static})
	k.must(vectors(3, 3, 3))
	assert.Equal(t, []string{"u8[s0]", "u8[3]", "u8[s1]"}, k.c.Stats().Entries[0].Params)
}

// What marks declare is looked at before any kernel runs, under every stance.
func TestDeclaredRangesAreChecked(t *testing.T) {
	b := dim.Sym("B")
	facts := []dim.Constraint{dim.Ge(b, dim.Const(2)), dim.Le(b, dim.Const(8)), dim.Divisible(b, 2)}
	for _, kind := range []MarkKind{Static, Dynamic, MaybeDynamic, Unbacked} {
		k := marked(t, Mark{Path: "a", Axis: 0, Kind: kind, Sym: "B", Facts: facts})
		k.must(vectors(4))
		runs := k.tracer.runs.Load()
		for n, want := range map[int]string{1: "B >= 2", 10: "B <= 8", 5: "B % 2 == 0"} {
			for m := range modeNames {
				s := Stance{Mode: Mode(m)}
				if s.Mode == ModeFailOnRecompile || s.Mode == ModeDifferentiating {
					continue // which run no entry either
				}
				_, err := k.call(WithStance(context.Background(), s), vectors(n))
				var me *MarkError
				require.ErrorAs(t, err, &me, "%s under %s", kind, s.Mode)
				assert.Equal(t, want, me.Expected)
				assert.EqualValues(t, n, me.Got)
				assert.Contains(t, err.Error(), "axis 0 of a: a size is outside its declared range: expected "+want)
			}
		}
		assert.Equal(t, runs, k.tracer.runs.Load())
		k.must(vectors(6))
		k.must(vectors(8))
	}
}

func TestMarkedScalars(t *testing.T) {
	k := marked(t, Mark{Path: "n", Axis: -1, Kind: Dynamic, Sym: "N", Facts: []dim.Constraint{dim.Le(dim.Sym("N"), dim.Const(9))}})
	e := k.must(with(vectors(3), call.IntConst(5)))
	assert.EqualValues(t, 5, e.Sizes["N"])
	assert.Same(t, e.Entry, k.must(with(vectors(3), call.IntConst(0))).Entry)
	_, err := k.call(context.Background(), with(vectors(3), call.IntConst(-1)))
	require.ErrorContains(t, err, "n: it cannot be a size: expected 0 or more, got -1")
	_, err = k.call(context.Background(), with(vectors(3), call.IntConst(10)))
	require.ErrorContains(t, err, "n: a size is outside its declared range: expected N <= 9, got 10 (mark: dynamic n as N where N <= 9)")
	k.tracer.places = []call.Place{{Path: "lr", Kind: call.Real}}
	r := newCaller(t, Config{Marks: []Mark{{Path: "lr", Axis: -1, Kind: Dynamic, Sym: "L"}}})
	r.tracer.places = k.tracer.places
	a := r.must(with(vectors(3), call.FloatConst(0.5)))
	assert.Same(t, a, r.must(with(vectors(3), call.FloatConst(-7))))
}

func TestMarksPrint(t *testing.T) {
	b := dim.Sym("B")
	m := Mark{Path: "x", Axis: 0, Kind: Dynamic, Sym: "B", Facts: []dim.Constraint{dim.Ge(b, dim.Const(1)), dim.Divisible(b, 8)}}
	assert.Equal(t, "dynamic x[0] as B where B >= 1, B % 8 == 0", m.String())
	assert.Equal(t, "static *", Mark{Path: "*", Axis: -1, Kind: Static, Sym: "size"}.String())
	for _, c := range []struct {
		pattern, path string
		want          bool
	}{{"x", "x", true}, {"*", "x", true}, {"*", "x.W", false}, {"m.*.W", "m.L[3].W", true}, {"m.L[*].W", "m.L[3].W", true},
		{"m.L[3].W", "m.L[3].W", true}, {"m.L[3].W", "m.L3.W", false}, {"[", "x", false}} {
		assert.Equal(t, c.want, MatchPath(c.pattern, c.path), "%s of %s", c.pattern, c.path)
	}
}
