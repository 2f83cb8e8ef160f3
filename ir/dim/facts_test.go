package dim_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/ir/dim"
)

func facts(t testing.TB, texts ...string) *dim.Facts {
	t.Helper()
	f := dim.NewFacts()
	for _, s := range texts {
		require.NoError(t, f.ParseFact(s), s)
	}
	return f
}

// known is the set of facts that the tables below reason with.
func known(t testing.TB) *dim.Facts {
	return facts(t, "B in [1, 64]", "B % 8 == 0", "S >= 1", "K in [0, 3]", "N in [-5, 7]",
		"T == 2*B", "U == T + S", "Z in [0, 0]")
}

func TestSimplify(t *testing.T) {
	f := known(t)
	for _, c := range []struct{ in, want string }{
		{"B mod 8", "0"},
		{"B mod 4", "0"},
		{"B mod 16", "8*((B floordiv 8) mod 2)"},
		{"B + 3", "B + 3"},
		{"2*B", "2*B"},
		{"B floordiv 4", "B floordiv 4"},
		{"8*(B floordiv 8)", "B"},
		{"2*(B floordiv 8)", "B floordiv 4"},
		{"(B + 3) floordiv 8", "B floordiv 8"},
		{"B ceildiv 8", "B floordiv 8"},
		{"B*B floordiv 16", "(B floordiv 2)*(B floordiv 8)"},
		{"(4*S + K) floordiv 4", "S"},
		{"(4*S + K) mod 4", "K"},
		{"K mod 4", "K"},
		{"(K - 1) mod 8", "(K + 7) mod 8"},
		{"(K + 9) mod 8", "K + 1"},
		{"(B*S) floordiv S", "B"},
		{"(B*S + K) floordiv S", "B + (K floordiv S)"},
		{"(B*S) mod S", "0"},
		{"(x*(S + 4) + K) floordiv (S + 4)", "(x*(S + 4) + K) floordiv (S + 4)"},
		{"(x*(S + 4)) floordiv (S + 4)", "x"},
		{"min(B, 64)", "B"},
		{"min(B, 100, B + S)", "B"},
		{"max(B, 100)", "100"},
		{"max(B, K)", "B"},
		{"min(B, S)", "min(B, S)"},
		{"T + 1", "2*B + 1"},
		{"U mod 2", "S mod 2"},
		{"U floordiv T", "(S floordiv (2*B)) + 1"},
		{"Z*S", "S*Z"},
	} {
		t.Run(c.in, func(t *testing.T) {
			got := f.Simplify(parse(t, c.in))
			assert.Equal(t, parse(t, c.want).String(), got.String())
		})
	}
}

func TestRange(t *testing.T) {
	f := known(t)
	const none = math.MaxInt64
	for _, c := range []struct {
		in     string
		lo, hi int64
	}{
		{"7", 7, 7},
		{"B", 8, 64},
		{"undeclared", 0, none},
		{"N", -5, 7},
		{"N*N", 0, 49},
		{"N*B", -320, 448},
		{"B - S", math.MinInt64, 63},
		{"S*2 - 1", 1, none},
		{"T", 16, 128},
		{"U", 17, none},
		{"U - S", 16, 128},
		{"N floordiv 2", -3, 3},
		{"N mod 3", 0, 2},
		{"N mod (K + 1)", 0, 3},
		{"N floordiv (K - 4)", -7, 5},
		{"N mod (K - 4)", -3, 0},
		{"B floordiv S", 0, 64},
		{"K mod S", 0, 3},
		{"B ceildiv 16", 1, 4},
		{"min(B, S)", 1, 64},
		{"max(B, S)", 8, none},
		{"B*S - B", 0, none},
		{"B*S - B - S + 1", 0, none},
		{"S*9223372036854775807", math.MaxInt64, none},
		{"(B*S) floordiv S", 8, 64},
	} {
		lo, hi := f.Range(parse(t, c.in))
		assert.Equal(t, []int64{c.lo, c.hi}, []int64{lo, hi}, c.in)
	}
}

func TestProofs(t *testing.T) {
	f := known(t)
	expr := func(s string) dim.Expr { return parse(t, s) }
	for _, c := range [][2]string{
		{"T", "2*B"},
		{"U", "2*B + S"},
		{"4*(x floordiv 4) + x mod 4", "x"},
		{"y*(x floordiv y) + x mod y", "x"},
		{"(3*x) floordiv 4", "x + (-x) floordiv 4"},
		{"8*(B floordiv 8)", "B"},
		{"B ceildiv 8", "B floordiv 8"},
		{"min(B, 64)", "B"},
		{"(x + 4*(y mod 2)) floordiv 4", "x floordiv 4 + y - 2*(y floordiv 2)"},
		{"Z*S", "0"},
	} {
		assert.True(t, f.Equal(expr(c[0]), expr(c[1])), "%s == %s", c[0], c[1])
	}
	for _, c := range [][2]string{{"B", "S"}, {"B", "B + 1"}, {"x mod 4", "x"}, {"3", "4"}} {
		assert.False(t, f.Equal(expr(c[0]), expr(c[1])), "%s == %s", c[0], c[1])
	}
	for _, c := range [][2]string{{"B", "64"}, {"B", "B*S"}, {"B + S", "B*S + 1"}, {"K", "3"}, {"B", "T"}, {"B + S", "U"}, {"x mod 8", "7"}, {"min(x, y)", "x"},
		{"x", "max(x, y)"}, {"min(x, B)", "64"}, {"min(x, y) + min(x, z)", "x + y"}, {"max(x, y)", "x + y"}, {"min(x, y)", "max(x, z)"}, {"max(K, N)", "max(N, 9)"}} {
		assert.True(t, f.LessEq(expr(c[0]), expr(c[1])), "%s <= %s", c[0], c[1])
	}
	for _, c := range [][2]string{{"K", "B"}, {"B", "B + 1"}, {"B", "U"}} {
		assert.True(t, f.Less(expr(c[0]), expr(c[1])), "%s < %s", c[0], c[1])
	}
	for _, c := range [][2]string{{"B", "S"}, {"S", "B"}, {"B", "B"}, {"x", "y"}} {
		assert.False(t, f.Less(expr(c[0]), expr(c[1])), "%s < %s", c[0], c[1])
	}
}

func TestDivides(t *testing.T) {
	f := known(t)
	for _, c := range []struct {
		n    int64
		in   string
		want bool
	}{
		{8, "B", true}, {16, "B", false}, {4, "B", true}, {-4, "B", true}, {3, "B", false},
		{16, "T", true}, {16, "2*B*x", true}, {64, "B*B", true}, {8, "B + 4", false}, {4, "B + 4", true},
		{2, "B floordiv 4", true}, {4, "B floordiv 4", false}, {8, "B mod x", false},
		{8, "B mod (16*x)", true}, {4, "min(B, 12)", true}, {8, "min(B, 12)", false},
		{4, "x - x mod 4", true}, {1, "x", true}, {0, "x - x", true}, {0, "x", false}, {5, "0", true},
		{math.MinInt64, "x*-9223372036854775808", true},
	} {
		assert.Equal(t, c.want, f.Divides(c.n, parse(t, c.in)), "%d | %s", c.n, c.in)
	}
}

func TestQuotient(t *testing.T) {
	f := known(t)
	for _, c := range []struct{ a, b, want string }{
		{"12*B*S", "4*S", "3*B"},
		{"x*x - y*y", "x + y", "x - y"},
		{"0", "S", "0"},
		{"B", "8", "B floordiv 8"},
		{"B*S", "4*S", "B floordiv 4"},
		{"B*S + 8*x", "8", "(B floordiv 8)*S + x"},
		{"T*S", "S*2", "B"},
		{"x - x mod 4", "4", "x floordiv 4"},
	} {
		q, ok := f.Quotient(parse(t, c.a), parse(t, c.b))
		require.True(t, ok, "%s / %s", c.a, c.b)
		assert.Equal(t, parse(t, c.want).String(), q.String())
	}
	for _, c := range [][2]string{{"B", "S"}, {"x", "2"}, {"x + 1", "x"}, {"x", "0"}, {"B", "16"}, {"3*x", "2*x"}} {
		q, ok := f.Quotient(parse(t, c[0]), parse(t, c[1]))
		assert.False(t, ok, "%s / %s = %s", c[0], c[1], q)
	}
}

func TestFactTexts(t *testing.T) {
	f := known(t)
	require.NoError(t, f.ParseFact("plain >= 0"))
	require.NoError(t, f.ParseFact("V <= 9"))
	want := []string{"B in [1, 64]", "B % 8 == 0", "S >= 1", "K in [0, 3]", "N in [-5, 7]", "T == 2*B",
		"U == S + T", "Z in [0, 0]", "plain >= 0", "V in [0, 9]"}
	assert.Equal(t, want, f.Strings())
	assert.Equal(t, want, facts(t, f.Strings()...).Strings())
	assert.Equal(t, []string{"B", "S", "K", "N", "T", "U", "Z", "plain", "V"}, f.Syms())
}

func TestFactsAccumulate(t *testing.T) {
	f := facts(t, "B in [0, 100]", "B >= 2", "B <= 50", "B % 4 == 0", "B % 6 == 0", "B == B", "C % 3 == 0", "C >= -9")
	assert.Equal(t, []string{"B in [2, 50]", "B % 12 == 0", "C >= -9", "C % 3 == 0"}, f.Strings())
	lo, hi := f.Range(dim.Sym("B"))
	assert.Equal(t, []int64{12, 48}, []int64{lo, hi})

	g := f.Clone()
	require.NoError(t, g.ParseFact("B == 24"))
	require.NoError(t, g.ParseFact("D >= 1"))
	assert.True(t, g.Equal(dim.Sym("B"), dim.Const(24)))
	assert.False(t, f.Equal(dim.Sym("B"), dim.Const(24)), "a clone is independent")
	assert.Equal(t, []string{"B", "C"}, f.Syms())
}

// An equality that ranges imply is kept: its text may follow theirs.
func TestImpliedEqualitiesAreKept(t *testing.T) {
	stated, again := dim.NewFacts(), dim.NewFacts()
	for _, text := range []string{"B in [0, 0]", "T == 2*B", "T <= 0"} {
		require.NoError(t, stated.ParseFact(text))
	}
	for _, text := range stated.Strings() {
		require.NoError(t, again.ParseFact(text))
	}
	assert.Equal(t, []string{"B in [0, 0]", "T in [0, 0]", "T == 2*B"}, stated.Strings())
	assert.Equal(t, stated.Strings(), again.Strings())
}

func TestRefusedFacts(t *testing.T) {
	f := facts(t, "B in [1, 7]", "T == 2*B", "U == T + 1", "P % 4611686018427387904 == 0")
	before := f.Strings()
	for _, s := range []string{"B >= 8", "B in [5, 4]", "B % 8 == 0", "B == 9", "C in [3, 2]", "T in [15, 20]"} {
		require.ErrorIs(t, f.ParseFact(s), dim.ErrContradiction, s)
	}
	for _, s := range []string{"B == U", "B == B + 1", "T == 3*B", "C == 2*C"} {
		require.Error(t, f.ParseFact(s), s)
	}
	require.ErrorIs(t, f.SetDivisible("P", 3), dim.ErrOverflow)
	require.ErrorIs(t, f.SetEqual("C", dim.Const(math.MinInt64).Neg()), dim.ErrOverflow)
	require.Error(t, f.SetDivisible("B", 0))
	require.Error(t, f.Declare("1x", 0, 1))
	require.Error(t, f.SetEqual("min", dim.Const(1)))
	assert.Equal(t, before, f.Strings(), "a refused fact changes nothing")
	require.NoError(t, f.ParseFact("T == B + B"), "stated again")
}

func TestParseFactErrors(t *testing.T) {
	for _, c := range []struct {
		in     string
		offset int
	}{
		{"", 0}, {"3 >=", 4}, {"min >= 3", 4}, {"B", 1}, {"B > ", 4}, {"B ~ 3", 2}, {"B in", 4}, {"B in [1 2]", 8},
		{"B in [1, 2", 10}, {"B in [1, x]", 9}, {"B % 0 == 0", 4}, {"B % 8 == x", 9}, {"B % 8", 5}, {"B % -8 == 0", 4},
		{"B == ", 5}, {"B == 2 2", 7}, {"B >= 1 x", 7}, {"B 7", 2},
	} {
		f := dim.NewFacts()
		var pe *dim.ParseError
		require.ErrorAs(t, f.ParseFact(c.in), &pe, c.in)
		assert.Equal(t, c.offset, pe.Offset, c.in)
		assert.Empty(t, f.Syms())
	}
}

func TestCheck(t *testing.T) {
	f := facts(t, "B in [1, 64]", "B % 8 == 0", "T == 2*B", "U == T + 1", "U >= 20")
	require.NoError(t, f.Check(map[string]int64{"B": 16, "T": 32, "U": 33, "extra": 1}))
	require.NoError(t, f.Check(map[string]int64{"B": 16}), "T and U follow from B")
	for _, c := range []struct {
		env  map[string]int64
		want dim.Violation
	}{
		{map[string]int64{"B": 65}, dim.Violation{Sym: "B", Fact: "B in [1, 64]", Got: 65}},
		{map[string]int64{"B": 12}, dim.Violation{Sym: "B", Fact: "B % 8 == 0", Got: 12}},
		{map[string]int64{"B": 16, "T": 31}, dim.Violation{Sym: "T", Fact: "T == 2*B", Got: 31}},
		{map[string]int64{"B": 8}, dim.Violation{Sym: "U", Fact: "U >= 20", Got: 17}},
	} {
		var v *dim.Violation
		require.ErrorAs(t, f.Check(c.env), &v)
		assert.Equal(t, c.want, *v)
	}
	var unbound *dim.UnboundError
	require.ErrorAs(t, f.Check(nil), &unbound)
	assert.Equal(t, "B", unbound.Sym)
}

func TestChainsOfEqualitiesStayCheap(t *testing.T) {
	f := facts(t, "x0 in [1, 2]", "x1 in [1, 3]")
	env := map[string]int64{"x0": 1, "x1": 1}
	names := []string{"x0", "x1"}
	for i := 2; i < 60; i++ { // exponential if each use were evaluated anew
		names = append(names, names[i-1]+"_")
		e := dim.Sym(names[i-1]).FloorDiv(dim.Const(2)).Add(dim.Sym(names[i-2]).Mod(dim.Sym(names[i-1])))
		require.NoError(t, f.SetEqual(names[i], e))
	}
	require.Error(t, f.Check(env), "ends in a division by zero")
	lo, _ := f.Range(dim.Sym(names[59]))
	assert.GreaterOrEqual(t, lo, int64(math.MinInt64))
	f.Simplify(dim.Sym(names[59]))
}

func TestBind(t *testing.T) {
	for _, c := range []struct {
		expr  string
		got   int64
		env   map[string]int64
		bound bool
		sym   string
		val   int64
	}{
		{"B", 7, nil, true, "B", 7},
		{"2*B + 1", 7, nil, true, "B", 3},
		{"10 - B", 7, nil, true, "B", 3},
		{"B*S", 12, map[string]int64{"S": 4}, true, "B", 3},
		{"B*S", 12, nil, false, "", 0},
		{"B floordiv 2", 12, nil, false, "", 0},
		{"B*S", 0, map[string]int64{"S": 0}, true, "S", 0},
		{"B*S", 12, map[string]int64{"S": 4, "B": 3}, true, "B", 3},
		{"64", 64, nil, true, "", 0},
		{"min(B, S)", 3, map[string]int64{"S": 4, "B": 3}, true, "B", 3},
	} {
		env := map[string]int64{}
		for k, v := range c.env {
			env[k] = v
		}
		bound, err := dim.Bind(parse(t, c.expr), c.got, env)
		require.NoError(t, err, c.expr)
		assert.Equal(t, c.bound, bound, c.expr)
		if c.sym != "" {
			assert.Equal(t, c.val, env[c.sym], c.expr)
		}
	}
}

func TestBindErrors(t *testing.T) {
	for _, c := range []struct {
		expr string
		got  int64
		env  map[string]int64
		want string
	}{
		{"64", 65, nil, "64"},
		{"B", 7, map[string]int64{"B": 8}, "8"},
		{"B", -1, nil, "an integer >= 0"},
		{"2*B + 1", 8, nil, "2*B + 1 for an integer B >= 0"},
		{"B + 4", 3, nil, "B + 4 for an integer B >= 0"},
		{"B*S", 3, map[string]int64{"S": 2}, "2*B for an integer B >= 0"},
		{"B*S", 3, map[string]int64{"S": 0}, "0"},
		{"B floordiv 2", 3, map[string]int64{"B": 8}, "4"},
	} {
		_, err := dim.Bind(parse(t, c.expr), c.got, c.env)
		var se *dim.SizeError
		require.ErrorAs(t, err, &se, c.expr)
		assert.Equal(t, c.want, se.Want)
		assert.Equal(t, c.got, se.Got)
		assert.True(t, se.Expr.Equal(parse(t, c.expr)))
	}
	_, err := dim.Bind(parse(t, "B floordiv S"), 3, map[string]int64{"B": 8, "S": 0})
	require.ErrorIs(t, err, dim.ErrDivByZero)
	_, err = dim.Bind(parse(t, "B*S*9223372036854775807"), 3, map[string]int64{"S": 2})
	require.ErrorIs(t, err, dim.ErrOverflow)
}
