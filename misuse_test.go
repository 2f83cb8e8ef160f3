package jitc_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc"
)

// TestNothingWhereSomethingIsNeeded: nil and zero values are errors that say so.
func TestNothingWhereSomethingIsNeeded(t *testing.T) {
	e := engine(t, jitc.Options{})
	ctx, x := context.Background(), cyclic(2)
	double := func(a *T) *T { return a.Add(a) }
	called := func(f *jitc.F1[*T, *T], ctx context.Context) error {
		_, err := f.Call(ctx, x)
		return err
	}
	for _, c := range []struct {
		name string
		got  func() error
		want string
	}{
		{"nil engine", func() error { return called(jitc.Func1(nil, double), ctx) }, "expected an engine that NewEngine made"},
		{"zero engine", func() error { return called(jitc.Func1(new(jitc.Engine), double), ctx) }, "expected an engine that NewEngine made"},
		{"zero engine of a trace", func() error {
			_, err := new(jitc.Engine).Function(nil).Call(ctx)
			return err
		}, "expected an engine that NewEngine made"},
		{"zero engine compiles", func() error {
			_, err := new(jitc.Engine).Compile(ctx, nil, nil)
			return err
		}, "expected an engine that NewEngine made"},
		{"zero function", func() error { return called(new(jitc.F1[*T, *T]), ctx) }, "expected one that Func1, Func2, ... made"},
		{"nil context", func() error { return called(jitc.Func1(e, double), nil) }, "expected a context, got nil"},
		{"branches", func() error { return jitc.Cond[*T](jitc.Scalar(true), nil, nil).Err() }, "Cond: expected two branches, got nil"},
		{"traced branches", func() error {
			return called(jitc.Func1(e, func(a *T) *T { return jitc.Cond[*T](a.Sum().Gt(1), nil, nil) }), ctx)
		}, "Cond: expected two branches, got nil"},
		{"loop", func() error { return jitc.While(x, nil, nil).Err() }, "While: expected a condition and a body, got nil"},
		{"scan", func() error {
			c, _ := jitc.Scan[*T, *T, *T](x, x, nil)
			return c.Err()
		}, "Scan: expected a body, got nil"},
		{"buckets", func() error {
			return called(jitc.Func1(e, double, jitc.Bucket("B", jitc.Listed())), ctx)
		}, "bucket B: expected a size of 0 or more at least, got none"},
	} {
		t.Run(c.name, func(t *testing.T) { assert.ErrorContains(t, c.got(), c.want) })
	}
	assert.Contains(t, new(jitc.F1[*T, *T]).String(), "a function without a body")
}

// TestTheZeroVarIsZero: a Var needs no constructor.
func TestTheZeroVarIsZero(t *testing.T) {
	var bias jitc.Var[float64]
	f := jitc.Func1(engine(t, jitc.Options{}), func(a *T) *T { return a.Add(bias.Get()) })
	x := cyclic(2)
	for _, want := range []float64{0, 1} {
		bias.Set(want)
		got, err := f.Call(context.Background(), x)
		require.NoError(t, err)
		alike(t, x.Add(want), got)
	}
}
