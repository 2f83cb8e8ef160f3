package guard

import (
	"errors"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/ir/call"
	"jitc/ir/dim"
	"jitc/ir/tensor"
)

// mode is a variable that knows the kind of its values.
type mode struct{ v call.Const }

func (m *mode) Name() string     { return "mode" }
func (m *mode) Load() call.Const { return m.v }
func (m *mode) Kind() call.Kind  { return call.Float }

func schema() *call.Schema {
	return &call.Schema{
		Tensors: []string{"x", "y", "p.W", "z"},
		Consts: []call.Place{{Path: "1.Scale", Kind: call.Float}, {Path: "len(2)", Kind: call.Len},
			{Path: "name", Kind: call.String}},
	}
}

// example is f32[4,8], i32[2], f32[4,8] transposed over x's memory, nil; 0.5, 3, "a".
func example(t testing.TB) *call.Call {
	x := tensor.New(tensor.F32, 4, 8)
	xt, err := x.Permute(1, 0)
	require.NoError(t, err)
	return &call.Call{
		Tensors: []*tensor.Tensor{x, tensor.New(tensor.I32, 2)},
		Consts:  []call.Const{call.FloatConst(0.5), call.IntConst(3)},
		Frozen:  []*call.Frozen{call.NewFrozen([]*tensor.Tensor{xt, nil}, []call.Const{{Text: "a"}})},
	}
}

func TestGuards(t *testing.T) {
	a, b := dim.Sym("A"), dim.Sym("B")
	x0, y0 := Source{Sym: "A", Arg: 0, Axis: 0}, Source{Sym: "B", Arg: 1, Axis: 0}
	odd := Source{Sym: "A", Arg: 0, Axis: 0, Coef: 3, Offset: 1}
	n := Source{Sym: "B", Arg: -1, Const: 1}
	cond := func(c dim.Constraint, from ...Source) Guard { return Guard{Kind: Cond, Cond: c, From: from} }
	training := &flag{name: "training"}
	cases := []struct {
		g         Guard
		holds     bool
		text, got string
	}{
		{Guard{Kind: Count, Want: 4}, true, "4 tensors", "4 tensors"},
		{Guard{Kind: Count, Arg: 1, Want: 1}, false, "1 constant", "3 constants"},
		{Guard{Kind: Present, Arg: 2}, true, "p.W is not nil", "p.W is not nil"},
		{Guard{Kind: Present, Arg: 3}, false, "z is not nil", "z is nil"},
		{Guard{Kind: Present, Arg: 9}, false, "#9 is not nil", "#9 is nil"},
		{Guard{Kind: DType, DType: tensor.F32}, true, "x: f32", "x is f32"},
		{Guard{Kind: DType, DType: tensor.F16}, false, "x: f16", "x is f32"},
		{Guard{Kind: DType, Arg: 3, DType: tensor.F16}, false, "z: f16", "z is nil"},
		{Guard{Kind: Rank, Arg: 2, Want: 2}, true, "rank(p.W) == 2", "rank(p.W) is 2"},
		{Guard{Kind: Rank, Arg: 1, Want: 2}, false, "rank(y) == 2", "rank(y) is 1"},
		{Guard{Kind: Rank, Arg: -1, Want: 2}, false, "rank(#-1) == 2", "#-1 is nil"},
		{sized(0, 1, 8), true, "x.size(1) == 8", "x.size(1) is 8"},
		{sized(2, 1, 8), false, "p.W.size(1) == 8", "p.W.size(1) is 4"},
		{sized(1, 1, 8), false, "y.size(1) == 8", "y has rank 1"},
		{sized(1, -1, 8), false, "y.size(-1) == 8", "y has rank 1"},
		{sized(3, 1, 8), false, "z.size(1) == 8", "z is nil"},
		{Guard{Kind: Const, Value: call.FloatConst(0.5)}, true, "1.Scale == 0.5", "1.Scale is 0.5"},
		{Guard{Kind: Const, Arg: 1, Value: call.IntConst(4)}, false, "len(2) == 4", "len(2) is 3"},
		{Guard{Kind: Const, Arg: 2, Value: call.Const{Text: "b"}}, false, `name == "b"`, `name is "a"`},
		{Guard{Kind: Const, Arg: 7}, false, "constant 7 == 0", "no constant 7"},
		{Guard{Kind: Const, Arg: -7}, false, "constant -7 == 0", "no constant -7"},
		{cond(dim.Eq(a, dim.Const(2).Mul(b)), x0, y0), true, "x.size(0) == 2*y.size(0)", "x.size(0) is 4, y.size(0) is 2"},
		{cond(dim.Le(a, dim.Const(3)), x0), false, "x.size(0) <= 3", "x.size(0) is 4"},
		{cond(dim.Le(a, dim.Const(1)), odd), true, "A <= 1 where A = (x.size(0) - 1) / 3", "x.size(0) is 4"},
		{cond(dim.Lt(a, b), odd, n), true, "A + 1 <= B where A = (x.size(0) - 1) / 3, B = len(2)", "x.size(0) is 4, len(2) is 3"},
		{cond(dim.Ge(a, dim.Const(0)), Source{Sym: "A", Arg: 0, Axis: 1, Coef: 3, Offset: -2}), false,
			"A >= 0 where A = (x.size(1) + 2) / 3", "x.size(1) is 8"},
		{cond(dim.Ge(a, dim.Const(0)), Source{Sym: "A", Arg: 3}), false, "z.size(0) >= 0", "z is nil"},
		{cond(dim.Ge(a, dim.Const(0)), Source{Sym: "A", Arg: -1, Const: 5}), false, "constant 5 >= 0", "no constant 5"},
		{cond(dim.Eq(a.Mod(b.Sub(dim.Const(2))), dim.Const(0)), x0, y0), false,
			"x.size(0) mod (y.size(0) - 2) == 0", "x.size(0) is 4, y.size(0) is 2"}, // division by zero
		{cond(dim.Ge(a, dim.Const(0))), false, "A >= 0", "A >= 0"}, // nobody gives A
		{cond(dim.Constraint{}), true, "true", "true"},
		{Guard{Kind: Var, Var: training, Value: call.IntConst(1)}, false, "training == 1", "training is 0"},
		{Guard{Kind: Var, Var: &mode{call.FloatConst(2.5)}, Value: call.FloatConst(2.5)}, true, "mode == 2.5", "mode is 2.5"},
		{Guard{Kind: Disjoint, Arg: 0, Axis: 1}, true, "x does not overlap y", "x does not overlap y"},
		{Guard{Kind: Disjoint, Arg: 0, Axis: 2}, false, "x does not overlap p.W", "x overlaps p.W"},
		{Guard{Kind: Disjoint, Arg: 0, Axis: 3}, true, "x does not overlap z", "x does not overlap z"},
	}
	c := example(t)
	for _, k := range cases {
		g := &k.g
		assert.Equal(t, k.holds, g.Holds(c), k.text)
		assert.Equal(t, k.text, g.Text(schema()))
		assert.Equal(t, k.got, g.Got(c, schema()), k.text)
		assert.Equal(t, k.holds || g.Kind == Disjoint, g.Holds(c.Remember()), "remembered: %s", k.text)
		assert.Equal(t, k.holds, NewSet([]Guard{k.g}, nil).Check(c) == -1, k.text)
		assert.NotPanics(t, func() { g.Holds(&call.Call{}); g.Got(&call.Call{}, nil) })
	}
}

// TestSpans: views of one storage overlap where their spans do, however they run.
func TestSpans(t *testing.T) {
	base := tensor.New(tensor.F32, 16)
	view := func(stride, offset, n int) *tensor.Tensor {
		v, err := base.View([]int{stride}, offset, []int{n})
		require.NoError(t, err)
		return v
	}
	memory := make([]byte, 64)
	far := func(offset, n int) *tensor.Tensor {
		x, err := tensor.OnDevice(nowhere{}, tensor.F32, []int{n}, memory[4*offset:4*(offset+n)], nil)
		require.NoError(t, err)
		return x
	}
	g := Guard{Kind: Disjoint, Arg: 0, Axis: 1}
	cases := []struct {
		a, b  *tensor.Tensor
		apart bool
	}{
		{view(1, 0, 8), view(1, 8, 8), true},
		{view(1, 0, 9), view(1, 8, 8), false},
		{view(-1, 7, 8), view(-1, 15, 8), true},
		{view(-1, 8, 8), view(-1, 15, 8), false},
		{view(1, 0, 0), base, true},
		{view(0, 3, 5), view(1, 4, 4), true},
		{view(0, 4, 5), view(1, 4, 4), false},
		{base, base, false},
		{base, tensor.New(tensor.F32, 16), true},
		{far(0, 4), far(4, 4), true},
		{far(0, 5), far(4, 4), false},
		{far(0, 4), far(0, 4), false},
		{far(0, 4), base, true},
		{far(2, 0), far(0, 4), true},
	}
	for i, c := range cases {
		assert.Equal(t, c.apart, g.Holds(of(c.a, c.b)), i)
		assert.Equal(t, c.apart, g.Holds(of(c.b, c.a)), i)
	}
}

// nowhere is a device that gives nothing: guards look at addresses.
type nowhere struct{}

func (nowhere) Name() string { return "nowhere" }

func (nowhere) Download([]byte, []byte) error { return errors.New("it is nowhere") }

func TestSourcesDoNotOverflow(t *testing.T) {
	c := &call.Call{Consts: []call.Const{call.IntConst(math.MinInt64), call.IntConst(math.MaxInt64), {Text: "x"}}}
	for _, s := range []Source{
		{Arg: -1, Const: 0, Coef: 1, Offset: 1},
		{Arg: -1, Const: 1, Coef: 1, Offset: -1},
		{Arg: -1, Const: 0, Coef: -1},
		{Arg: -1, Const: 2},
	} {
		_, ok := s.Value(c)
		assert.False(t, ok, "%+v", s)
	}
	v, ok := (&Source{Arg: -1, Const: 1, Coef: -1, Offset: 7}).Value(c)
	assert.True(t, ok)
	assert.Equal(t, int64(7-math.MaxInt64), v*1)
}

func TestKinds(t *testing.T) {
	for k := Count; k < numKinds; k++ {
		assert.NotEmpty(t, k.String())
		assert.NotContains(t, k.String(), "kind(")
		assert.Equal(t, k == Var || k == Disjoint, k.Live(), k)
	}
	assert.Equal(t, "kind(0)", Kind(0).String())
}
