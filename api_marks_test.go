package jitc_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc"
	rt "jitc/runtime"
)

func TestMarksOfFunctions(t *testing.T) {
	e, ctx := engine(t, jitc.Options{}), context.Background()
	b := jitc.Dim("B")
	for name, c := range map[string]struct {
		mark jitc.Mark
		fn   func(x *T) *T
		want []string
	}{
		"dynamic": {jitc.Dynamic("x", 0, b), func(x *T) *T { return x.Mul(x.Shape()[0]) },
			[]string{"api_marks_test.go:", "Shape: specialises B to 3", "as marked: dynamic x[0] as B", "use Size or Sizes"}},
		"an op": {jitc.Dynamic("x", 0, b), func(x *T) *T { return x.Add(cyclic(3, 4)) },
			[]string{"api_marks_test.go:", "Add: specialises B to 3", "as marked: dynamic x[0] as B"}},
		"unbacked": {jitc.Unbacked("x", 0, b), func(x *T) *T {
			if x.Size(0).Less(10) {
				return x.Neg()
			}
			return x
		}, []string{"api_marks_test.go:", "B"}},
	} {
		f := jitc.Func1(e, c.fn, jitc.ArgNames("x"), jitc.Marks(c.mark))
		_, err := f.Call(ctx, cyclic(3, 4))
		for _, w := range c.want {
			require.ErrorContains(t, err, w, name)
		}
	}
	maybe := jitc.Func1(e, func(x *T) *T { return x.Mul(x.Shape()[0]) }, jitc.ArgNames("x"), jitc.Marks(jitc.MaybeDynamic("x", 0, b)))
	for _, n := range []int{3, 4, 3} {
		got, err := maybe.Call(ctx, cyclic(n, 2))
		require.NoError(t, err)
		alike(t, cyclic(n, 2).Mul(n), got)
	}
	assert.Len(t, maybe.Traced().Entries(), 2)
	lr := jitc.Func2(e, func(x *T, lr jitc.Float) *T { return x.Mul(lr.Value()) }, jitc.ArgNames("x", "lr"),
		jitc.Marks(jitc.Dynamic("lr", -1, jitc.Dim("L"))))
	_, err := lr.Call(ctx, cyclic(3), jitc.NewFloat(0.5))
	require.ErrorContains(t, err, "Value: specialises lr")
	require.ErrorContains(t, err, "api_marks_test.go:")
}

func TestRangesOfFunctions(t *testing.T) {
	e, ctx := engine(t, jitc.Options{}), context.Background()
	f := jitc.Func2(e, func(x *T, n jitc.Int) *T { return x.Mul(n) }, jitc.ArgNames("x", "n"),
		jitc.Marks(jitc.Dynamic("x", 0, jitc.Dim("B")).Range(2, 64).Divisible(2), jitc.Static("x", 1).Range(1, 4),
			jitc.Dynamic("n", -1, jitc.Dim("N")).Range(0, 9)))
	for _, n := range []int{2, 4, 64} {
		got, err := f.Call(ctx, cyclic(n, 2), jitc.NewInt(n/8))
		require.NoError(t, err)
		alike(t, cyclic(n, 2).Mul(n/8), got)
	}
	assert.Len(t, f.Traced().Entries(), 1)
	for _, c := range []struct {
		rows, cols, n int
		want          string
	}{
		{3, 2, 1, "axis 0 of x: a size is outside its declared range: expected B % 2 == 0, got 3"},
		{0, 2, 1, "expected B >= 2, got 0"},
		{66, 2, 1, "expected B <= 64, got 66"},
		{4, 5, 1, "axis 1 of x: a size is outside its declared range"},
		{4, 2, 10, "n: a size is outside its declared range: expected N <= 9, got 10"},
	} {
		for _, ctx := range []context.Context{ctx, reference()} {
			_, err := f.Call(ctx, cyclic(c.rows, c.cols), jitc.NewInt(c.n))
			var me *rt.MarkError
			require.ErrorAs(t, err, &me)
			assert.ErrorContains(t, err, c.want)
		}
	}
	s := f.Traced().Stats()
	assert.EqualValues(t, 10, s.Failed)
	assert.EqualValues(t, 13, s.Calls)
	assert.NotEmpty(t, s.Entries[0].Failing)
}

func TestStancesOfFunctions(t *testing.T) {
	e, ctx := engine(t, jitc.Options{}), context.Background()
	traced := 0
	f := jitc.Func1(e, func(x *T) *T { traced++; return x.Mul(2) }, jitc.WithStance(jitc.Stance{Mode: jitc.FailOnRecompile}))
	check := func(ctx context.Context, n int) error {
		got, err := f.Call(ctx, cyclic(n))
		if err == nil {
			alike(t, cyclic(n).Mul(2), got)
		}
		return err
	}
	require.NoError(t, check(ctx, 3))
	err := check(ctx, 4)
	var re *rt.RecompileError
	require.ErrorAs(t, err, &re)
	assert.Contains(t, re.Reasons[0], "entry 0 needs 0.size(0) == 3; 0.size(0) is 4")
	require.NoError(t, check(jitc.InStance(ctx, jitc.Stance{Mode: jitc.NoRecompile}), 4))
	require.NoError(t, check(jitc.InStance(ctx, jitc.Stance{}), 4), "the context's stance goes before the function's")
	require.NoError(t, check(ctx, 5), "which made an entry for all sizes")
	differ := jitc.Stance{Mode: jitc.Differentiating}
	for range 2 {
		for _, n := range []int{3, 4, 5, 9} {
			require.NoError(t, check(jitc.InStance(ctx, differ), n))
		}
	}
	assert.Equal(t, 3, traced)
	s := f.Traced().Stats()
	assert.EqualValues(t, 8, s.Hits.Differ)
	assert.EqualValues(t, 13, s.Calls)

	// A differentiating call that its tensors' types give away is a miss, by the
	// policy at hand.
	g := jitc.Func1(e, func(x *T) *T { return x.Mul(2) })
	i32, err := jitc.From([]int32{1, 2, 3})
	require.NoError(t, err)
	_, err = g.Call(jitc.InStance(ctx, differ), cyclic(3))
	require.NoError(t, err)
	_, err = g.Call(jitc.InStance(ctx, differ), cyclic(3))
	require.NoError(t, err)
	_, err = g.Call(jitc.InStance(ctx, jitc.Stance{Mode: jitc.Differentiating, OnMiss: rt.MissError}), i32)
	require.ErrorAs(t, err, &re)
	got, err := g.Call(jitc.InStance(ctx, differ), i32)
	require.NoError(t, err)
	data, err := jitc.Data[int32](got)
	require.NoError(t, err)
	assert.Equal(t, []int32{2, 4, 6}, data)
	gs := g.Traced().Stats()
	assert.EqualValues(t, 2, gs.Violations)
	assert.EqualValues(t, 4, gs.Calls)
}

func TestBudgetOfAnEngine(t *testing.T) {
	e, ctx := engine(t, jitc.Options{Recompiles: 2, Limits: rt.Limits{OnLimit: rt.LimitError}}), context.Background()
	for i := range 3 {
		_, err := jitc.Func1(e, func(x *T) *T { return x.Add(i) }).Call(ctx, cyclic(2))
		if i < 2 {
			require.NoError(t, err)
		} else {
			require.ErrorContains(t, err, "the limit of 2 compilations of all functions is reached")
		}
	}
}

func TestSlicesOfNilAndMaps(t *testing.T) {
	e, ctx := engine(t, jitc.Options{}), context.Background()
	f := jitc.Func1(e, func(m map[string][]*T) *T {
		s := jitc.Zeros(jitc.F32, 2)
		for _, k := range []string{"a", "b"} {
			for _, x := range m[k] {
				s = s.Add(x)
			}
		}
		return s
	}, jitc.ArgNames("m"))
	for i, m := range []map[string][]*T{nil, {}, {"a": nil}, {"a": {cyclic(2)}}, {"b": {cyclic(2)}}, {"a": {cyclic(2), cyclic(2)}, "b": {}}} {
		for range 2 {
			got, err := f.Call(ctx, m)
			require.NoError(t, err)
			alike(t, jitc.Zeros(jitc.F32, 2).Add(cyclic(2).Mul(len(m["a"])+len(m["b"]))), got)
		}
		es := f.Traced().Entries()
		if i > 1 {
			assert.NotContains(t, fmt.Sprint(es[len(es)-1].Why), "tensor", "the structure is told, not its consequence")
		}
	}
}

// TestLearnedBounds: sizes that were small are bounded, and a large one gets a
// program for all.
func TestLearnedBounds(t *testing.T) {
	e, ctx := engine(t, jitc.Options{}), context.Background()
	f := jitc.Func1(e, func(x *T) *T { return x.Sum(0) }, jitc.ArgNames("x"))
	for i, c := range []struct{ n, entries int }{{3, 1}, {4, 2}, {rt.LearnedBound, 2}, {rt.LearnedBound + 1, 3}, {200_000, 3}, {5, 3}} {
		got, err := f.Call(ctx, jitc.Ones(jitc.F64, c.n, 2))
		require.NoError(t, err)
		alike(t, jitc.Full(jitc.F64, c.n, 2), got)
		assert.Len(t, f.Traced().Entries(), c.entries, "call %d", i)
	}
	assert.Contains(t, fmt.Sprint(f), "where s0 in [0, 32767]")
	assert.Contains(t, fmt.Sprint(f.Traced().Entries()[2].Why), "x.size(0) <= 32767; x.size(0) is 32768")
}
