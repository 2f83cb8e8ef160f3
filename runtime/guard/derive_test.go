package guard

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/ir"
	"jitc/ir/call"
	"jitc/ir/dim"
	"jitc/ir/tensor"
)

func parse(t testing.TB, src string) *ir.Func {
	f, _, errs := ir.Parse("f.trace", src)
	require.Empty(t, errs)
	return f
}

// texts are guards one per line, as conditions on the parameters' names.
func texts(f *ir.Func, guards []Guard) string {
	s := &call.Schema{Consts: []call.Place{{Path: "1.N", Kind: call.Size}}}
	for _, p := range f.Params {
		s.Tensors = append(s.Tensors, p.Name)
	}
	var b strings.Builder
	for i := range guards {
		b.WriteString(guards[i].Text(s) + "\n")
	}
	return b.String()
}

func TestGuardsOfAFunction(t *testing.T) {
	cases := []struct{ name, src, want string }{
		{"static", `func @f(%x: f32[4,784], %n: i64[]) -> f32[4,784] {
  return %x
}`, `2 tensors
x: f32
rank(x) == 2
x.size(0) == 4
x.size(1) == 784
n: i64
rank(n) == 0
`},
		{"range", `func @f(%x: f32[B,784]) -> f32[B,784] where B in [1, 64], B % 8 == 0 {
  return %x
}`, `1 tensor
x: f32
rank(x) == 2
x.size(1) == 784
x.size(0) >= 1
x.size(0) <= 64
x.size(0) % 8 == 0
`},
		{"relation", `func @f(%x: f32[B,S], %y: f32[2*B], %z: f32[B*S]) -> f32[B,S] {
  return %x
}`, `3 tensors
x: f32
rank(x) == 2
y: f32
rank(y) == 1
y.size(0) == 2*x.size(0)
z: f32
rank(z) == 1
z.size(0) == x.size(0)*x.size(1)
`},
		{"computed", `func @f(%x: f32[2*B + 1], %y: f32[B]) -> f32[B] {
  return %y
}`, `2 tensors
x: f32
rank(x) == 1
x.size(0) == 2*y.size(0) + 1
y: f32
rank(y) == 1
`},
		{"a multiple", `func @f(%x: f32[2*B + 3]) -> f32[2*B + 3] where B in [0, 5] {
  return %x
}`, `1 tensor
x: f32
rank(x) == 1
x.size(0) % 2 == 1
x.size(0) >= 3
B <= 5 where B = (x.size(0) - 3) / 2
`},
		{"equal facts", `func @f(%x: f32[B,S], %y: f32[T]) -> f32[B,S] where T == B*S, B in [4, 4] {
  return %x
}`, `2 tensors
x: f32
rank(x) == 2
y: f32
rank(y) == 1
x.size(0) == 4
y.size(0) == x.size(0)*x.size(1)
`},
		{"relational facts", `func @f(%x: f32[S], %y: f32[T]) -> f32[S] where S <= T, T <= 9 {
  return %x
}`, `2 tensors
x: f32
rank(x) == 1
y: f32
rank(y) == 1
x.size(0) <= y.size(0)
y.size(0) <= 9
`},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			f := parse(t, c.src)
			guards, _, err := FromFunc(f, nil, nil)
			require.NoError(t, err)
			want := strings.Split(c.want, "\n")
			assert.ElementsMatch(t, want, strings.Split(texts(f, guards), "\n"))
			for _, g := range guards[1:] {
				assert.True(t, g.Pos.IsKnown(), g.Text(nil))
			}
		})
	}
}

func TestPresetsAreConstants(t *testing.T) {
	f := parse(t, `func @g(%a: f32[A*Q], %b: f32[A]) -> f32[Q] where Q <= 9 {
  %0: f32[] = constant() {value=1.0}
  %1: f32[Q] = broadcast(%0) {axes=[], shape=[Q]}
  return %1
}`)
	guards, sources, err := FromFunc(f, []int{3, 1}, map[string]int{"Q": 0})
	require.NoError(t, err)
	assert.Equal(t, `#3: f32
rank(#3) == 1
#3.size(0) == #1.size(0)*1.N
#1: f32
rank(#1) == 1
1.N <= 9
1.N >= 0
`, texts(&ir.Func{}, guards))
	set := NewSet(guards, sources)
	x := func(n int) *tensor.Tensor { return tensor.New(tensor.F32, n) }
	c := &call.Call{Tensors: []*tensor.Tensor{nil, x(2), nil, x(6)}, Consts: []call.Const{call.IntConst(3)}}
	require.Equal(t, -1, set.Check(c))
	sizes := map[string]int64{}
	require.NoError(t, set.Sizes(c, sizes))
	assert.Equal(t, map[string]int64{"Q": 3, "A": 2}, sizes)
	for _, n := range []int64{-3, 4, 10} {
		c.Consts[0] = call.IntConst(n)
		assert.GreaterOrEqual(t, set.Check(c), 0)
	}
	assert.ErrorContains(t, set.Sizes(&call.Call{}, sizes), "no value for the size")
}

func TestSizesWithoutAValue(t *testing.T) {
	f := parse(t, `func @f(%a: f32[A*B]) -> f32[A*B] {
  return %a
}`)
	_, _, err := FromFunc(f, nil, nil)
	var unbound *UnboundError
	require.ErrorAs(t, err, &unbound)
	assert.Equal(t, "A", unbound.Sym)
	assert.EqualError(t, err, "@f: the size A has no value: it does not follow from A*B of f32[A*B] "+
		"(hint: name it alone in some parameter's shape, or make it an argument)")

	f.Facts = dim.NewFacts()
	require.NoError(t, f.Facts.ParseFact("Z == 2*Q"))
	_, _, err = FromFunc(f, nil, map[string]int{"A": 0})
	assert.EqualError(t, err, "@f: the size Z has no value: no parameter's shape gives it "+
		"(hint: name it alone in some parameter's shape, or make it an argument)")
}

// TestSizesSolvedInRounds: B follows from A, which follows from C.
func TestSizesSolvedInRounds(t *testing.T) {
	f := parse(t, `func @f(%a: f32[A*B], %b: f32[A + C], %c: f32[C]) -> f32[C] where B <= 5 {
  return %c
}`)
	guards, sources, err := FromFunc(f, nil, nil)
	require.NoError(t, err)
	assert.Equal(t, `3 tensors
a: f32
rank(a) == 1
B >= 0 where B of A*B == a.size(0), A of A + C == b.size(0), C = c.size(0)
b: f32
rank(b) == 1
A >= 0 where A of A + C == b.size(0), C = c.size(0)
c: f32
rank(c) == 1
B <= 5 where B of A*B == a.size(0), A of A + C == b.size(0), C = c.size(0)
`, texts(f, guards))
	set := NewSet(guards, sources)
	sizes := map[string]int64{}
	c := of(vector(15), vector(7), vector(4))
	require.Equal(t, -1, set.Check(c))
	require.NoError(t, set.Sizes(c, sizes))
	assert.Equal(t, map[string]int64{"A": 3, "B": 5, "C": 4}, sizes)
	for _, bad := range []*call.Call{
		of(vector(16), vector(7), vector(4)), of(vector(18), vector(7), vector(4)),
		of(vector(15), vector(3), vector(4)), of(vector(0), vector(4), vector(4)), of(vector(15)),
	} {
		assert.GreaterOrEqual(t, set.FirstFailing(bad), 0)
		assert.Equal(t, -1, NewTree([]*Set{set}).Select(bad))
	}
}

func TestParametersThatCallsDoNotGive(t *testing.T) {
	f := parse(t, `func @f(%x: f32[B], %w: f32[7]) -> f32[B] {
  return %x
}`)
	guards, _, err := FromFunc(f, []int{0, -1}, nil)
	require.NoError(t, err)
	assert.Equal(t, "x: f32\nrank(x) == 1\n", texts(f, guards))
	_, _, err = FromFunc(f, []int{0}, nil)
	assert.ErrorContains(t, err, "expected the tensors of 2 parameters, got 1")
}

// TestSizesThatDataGives: what a program finds while it runs is not guarded, but
// what follows from it for the arguments is.
func TestSizesThatDataGives(t *testing.T) {
	f := parse(t, `func @f(%x: f32[S]) -> i64[U,1] where U <= S, U >= 2 {
  %0: i64[U,1] = nonzero(%x) {count=[U]}
  return %0
}`)
	guards, sources, err := FromFunc(f, nil, nil)
	require.NoError(t, err)
	assert.Equal(t, "1 tensor\nx: f32\nrank(x) == 1\nx.size(0) >= 2\n", texts(f, guards))
	require.Len(t, sources, 1)
}

// randomFunc makes a function of parameters whose sizes are built from three
// symbols, with facts.
func randomFunc(g *rand.Rand) *ir.Func {
	syms := []dim.Expr{dim.Sym("A"), dim.Sym("B"), dim.Sym("C")}
	pick := func() dim.Expr { return syms[g.IntN(3)] }
	small := func(n int) dim.Expr { return dim.Const(int64(g.IntN(n))) }
	size := func() dim.Expr {
		switch g.IntN(8) {
		case 0:
			return small(5)
		case 1:
			return pick().Mul(small(3).Add(dim.Const(1))).Add(small(4)).Sub(dim.Const(1))
		case 2:
			return pick().Add(pick())
		case 3:
			return pick().Mul(pick())
		case 4:
			return dim.Const(6).Sub(pick())
		case 5:
			return pick().FloorDiv(dim.Const(2))
		}
		return pick()
	}
	facts := dim.NewFacts()
	texts := []string{"A in [1, 4]", "B >= 2", "C % 2 == 0", "A == 2*B", "C == A + 1", "A <= 3", "B == 3", "A <= B", "A + B <= 5", "C == A - 1"}
	for range g.IntN(4) {
		_ = facts.ParseFact(texts[g.IntN(len(texts))]) // one that contradicts is left out
	}
	f := ir.NewFunc("f", facts)
	if g.IntN(3) > 0 {
		f.AddParam("all", ir.T(tensor.F32, syms...), nil)
	}
	for i := range 1 + g.IntN(3) {
		shape := make([]dim.Expr, g.IntN(3))
		for axis := range shape {
			shape[axis] = size()
		}
		f.AddParam(fmt.Sprintf("p%d", i), ir.T(someTypes[g.IntN(2)], shape...), nil)
	}
	f.Results = f.Params[:1]
	return f
}

// randomArgs often fit f.
func randomArgs(g *rand.Rand, f *ir.Func) []*tensor.Tensor {
	env := map[string]int64{"A": int64(g.IntN(5)), "B": int64(g.IntN(5)), "C": int64(g.IntN(5))}
	args := make([]*tensor.Tensor, len(f.Params))
	for i, p := range f.Params {
		dt := p.Type.DType
		if g.IntN(30) == 0 {
			dt = tensor.U8
		}
		shape := make([]int, p.Type.Rank())
		for axis, e := range p.Type.Shape {
			n, err := e.Eval(env)
			if err != nil || n < 0 || g.IntN(12) == 0 {
				n = int64(g.IntN(8))
			}
			shape[axis] = int(n)
		}
		args[i] = tensor.New(dt, shape...)
	}
	return args
}

// TestGuardsSayWhatBindSizesSays compares the two on random functions and calls:
// what one accepts the other does, with the same sizes.
func TestGuardsSayWhatBindSizesSays(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 5))
	accepted, refused, unbound, unsolved := 0, 0, 0, 0
	for range 2500 {
		f := randomFunc(rng)
		guards, sources, err := FromFunc(f, nil, nil)
		if err != nil {
			unbound++
			continue
		}
		set := NewSet(guards, sources)
		for range 25 {
			args := randomArgs(rng, f)
			want, bindErr := ir.BindSizes(f, args, nil)
			c := &call.Call{Tensors: args}
			failed := set.Check(c)
			var valueless *dim.UnboundError
			if errors.As(bindErr, &valueless) { // facts leave one value only, which BindSizes does not look for
				_, constant := f.Facts.Simplify(dim.Sym(valueless.Sym)).Const()
				require.True(t, constant || failed >= 0, "%s", signature(f))
				continue
			}
			if bindErr != nil {
				refused++
				require.GreaterOrEqual(t, failed, 0, "%s\n%v\n%v\n%s", signature(f), bindErr, args, texts(f, guards))
				continue
			}
			if len(want) < len(sources) { // A*C where A is 0 says nothing of C
				require.GreaterOrEqual(t, failed, 0)
				continue
			}
			if failed >= 0 && slices.ContainsFunc(sources, func(s Source) bool { return s.Solve != nil && !s.Solve.fixed }) {
				unsolved++ // the size of a symbol times 0, where another would have done
				continue
			}
			accepted++
			require.Equal(t, -1, failed, "%s\n%v\n%s", signature(f), want, texts(f, guards))
			got := map[string]int64{}
			require.NoError(t, set.Sizes(c, got))
			require.Equal(t, want, got, "%s", signature(f))
		}
	}
	assert.Greater(t, accepted, 5_000)
	assert.Greater(t, refused, 10_000)
	assert.Less(t, unbound, 1000)
	assert.Less(t, unsolved, 50)
}

func signature(f *ir.Func) string {
	s := "("
	for _, p := range f.Params {
		s += p.Name + ": " + p.Type.String() + " "
	}
	return s + ") where " + strings.Join(f.Facts.Strings(), ", ")
}

// TestNoFactFollowsFromTheOthers leaves each fact out in turn: some small call
// tells the difference.
func TestNoFactFollowsFromTheOthers(t *testing.T) {
	f := parse(t, `func @f(%x: f32[A], %y: f32[B], %z: f32[2*C]) -> f32[A]
    where A in [2, 6], B in [1, 9], A <= B, A + B <= 8, C <= 4, C >= 1 {
  return %x
}`)
	guards, sources, err := FromFunc(f, nil, nil)
	require.NoError(t, err)
	var calls []*call.Call
	for a := range 10 {
		for b := range 10 {
			for c := range 12 {
				x := func(n int) *tensor.Tensor { return tensor.New(tensor.F32, n) }
				calls = append(calls, (&call.Call{Tensors: []*tensor.Tensor{x(a), x(b), x(c)}}).Remember())
			}
		}
	}
	all := NewSet(guards, sources)
	for i, g := range guards {
		if g.Kind != Cond || g.Reason == "declared" { // a parameter's size
			continue
		}
		rest := NewSet(append(guards[:i:i], guards[i+1:]...), sources)
		differs := false
		for _, c := range calls {
			differs = differs || (rest.FirstFailing(c) < 0) != (all.FirstFailing(c) < 0)
		}
		assert.True(t, differs, "%s follows from the others", g.Text(nil))
	}
}
