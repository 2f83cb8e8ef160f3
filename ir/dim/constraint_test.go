package dim_test

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/ir/dim"
)

func constraint(t testing.TB, s string) dim.Constraint {
	t.Helper()
	c, err := dim.ParseConstraint(s)
	require.NoError(t, err, s)
	return c
}

func TestConstraintNormalForm(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"S <= T", "S <= T"},
		{"T >= S", "S <= T"},
		{"S < T", "S + 1 <= T"},
		{"S + T <= 4096", "S + T <= 4096"},
		{"N >= K + 2", "K + 2 <= N"},
		{"K <= N + 2", "K <= N + 2"},
		{"B >= 4", "B >= 4"},
		{"B > 3", "B >= 4"},
		{"4 <= B", "B >= 4"},
		{"B >= -2", "B >= -2"},
		{"2*B >= 7", "B >= 4"},
		{"2*B <= 7", "B <= 3"},
		{"2*A + 4*B >= 7", "A + 2*B >= 4"},
		{"B <= 64", "B <= 64"},
		{"2*A == B", "B == 2*A"},
		{"A == B", "A == B"},
		{"B == A", "A == B"},
		{"B + 1 == 2*A", "2*A == B + 1"},
		{"2*A == 7", "false"},
		{"2*A != 7", "true"},
		{"B != 1", "B != 1"},
		{"1 - B != 0", "B != 1"},
		{"B % 8 == 0", "B % 8 == 0"},
		{"B % 8 == 3", "B % 8 == 3"},
		{"B % 8 == 8", "false"},
		{"B % 8 != 8", "true"},
		{"B % 1 == 0", "true"},
		{"6*B % 4 == 2", "B % 2 == 1"},
		{"3*B % 4 == 1", "B % 4 == 3"},
		{"9*B % 8 != 0", "B % 8 != 0"},
		{"(A + B + 8) % 8 == 0", "(A + B) % 8 == 0"},
		{"2*B % 4 == 1", "false"},
		{"B mod 8 == 3", "B % 8 == 3"},
		{"B mod 8 == 9", "false"},
		{"B mod 8 != 0", "B % 8 != 0"},
		{"B mod 8 >= 1", "B % 8 != 0"},
		{"B mod 8 <= 0", "B % 8 == 0"},
		{"B mod 8 <= 7", "true"},
		{"B mod 8 < 0", "false"},
		{"B mod 8 >= 3", "B mod 8 >= 3"},
		{"(B mod 16) % 8 == 0", "B % 8 == 0"},
		{"B floordiv 4 >= 2", "B >= 8"},
		{"B floordiv 4 <= 2", "B <= 11"},
		{"B floordiv 4 == 2", "B floordiv 4 == 2"},
		{"(B floordiv 4) % 2 == 1", "(B floordiv 4) % 2 == 1"},
		{"B*S % 8 == 0", "B*S % 8 == 0"},
		{"min(A, B) <= 3", "min(A, B) <= 3"},
		{"3 == 3", "true"},
		{"3 < 3", "false"},
		{"A <= A", "true"},
		{"true", "true"},
		{"false", "false"},
		{"true <= 3", "true <= 3"},
		{"-9223372036854775808 <= B", "B + -9223372036854775808 >= 0"},
	} {
		if c.in == "-9223372036854775808 <= B" { // B + 2^63 overflows
			_, err := dim.ParseConstraint(c.in)
			require.Error(t, err)
			continue
		}
		got := constraint(t, c.in)
		assert.Equal(t, c.want, got.String(), c.in)
		assert.True(t, constraint(t, c.want).Equal(got), c.in)
	}
	var none dim.Constraint
	assert.Equal(t, "true", none.String())
	least := dim.Divisible(dim.Sym("B"), math.MinInt64)
	assert.True(t, constraint(t, least.String()).Equal(least), least.String())
	assert.True(t, dim.Divisible(dim.Sym("B"), 0).Equal(constraint(t, "B == 0")))
	assert.True(t, dim.Divisible(dim.Sym("B"), -8).Equal(constraint(t, "B % 8 == 0")))
	extreme := dim.Ge(dim.Sym("B").Add(dim.Const(math.MinInt64)), dim.Const(0))
	assert.True(t, constraint(t, extreme.String()).Equal(extreme), extreme.String())
}

func TestParseConstraintErrors(t *testing.T) {
	for _, c := range []struct {
		in     string
		offset int
	}{
		{"", 0}, {"B", 1}, {"B <=", 4}, {"B = 3", 2}, {"B ! 3", 2}, {"B <= 3 4", 7}, {"A + B % 8 == 0", 6},
		{"B % 0 == 0", 4}, {"B % x == 0", 4}, {"B % 8 <= 0", 6}, {"B % 8 == x", 9}, {"true false", 5},
		{"9223372036854775807*B <= -2*B", 22},
	} {
		var pe *dim.ParseError
		_, err := dim.ParseConstraint(c.in)
		require.ErrorAs(t, err, &pe, c.in)
		assert.Equal(t, c.offset, pe.Offset, c.in)
	}
}

func TestConstraintErrors(t *testing.T) {
	big := dim.Const(math.MaxInt64).Mul(dim.Sym("B"))
	c := dim.Le(big, dim.Sym("B").Mul(dim.Const(-2)))
	assert.True(t, c.Invalid())
	_, err := c.Holds(map[string]int64{"B": 1})
	require.ErrorIs(t, err, dim.ErrOverflow)
	require.ErrorIs(t, dim.NewFacts().Assume(c), dim.ErrOverflow)
	_, known := dim.NewFacts().Decide(c)
	assert.False(t, known)

	_, err = constraint(t, "A floordiv B <= C").Holds(map[string]int64{"A": 1, "B": 0, "C": 1})
	require.ErrorIs(t, err, dim.ErrDivByZero)
	var unbound *dim.UnboundError
	_, err = constraint(t, "A <= B").Holds(map[string]int64{"A": 1})
	require.ErrorAs(t, err, &unbound)
	_, ok := constraint(t, "A <= 3").Compile(nil)([]int64{1})
	assert.False(t, ok, "A has no value")
	_, ok = constraint(t, "A <= 3").Compile([]string{"A"})(nil)
	assert.False(t, ok, "A has no value")
	_, ok = constraint(t, "A <= -3").Compile([]string{"A"})([]int64{math.MinInt64})
	assert.False(t, ok, "overflow")
}

// relations are the ways to state a constraint, with what they mean.
var relations = []struct {
	build func(a, b dim.Expr) dim.Constraint
	holds func(a, b int64) bool
}{
	{dim.Eq, func(a, b int64) bool { return a == b }},
	{dim.Ne, func(a, b int64) bool { return a != b }},
	{dim.Le, func(a, b int64) bool { return a <= b }},
	{dim.Lt, func(a, b int64) bool { return a < b }},
	{dim.Ge, func(a, b int64) bool { return a >= b }},
	{dim.Gt, func(a, b int64) bool { return a > b }},
	{func(a, _ dim.Expr) dim.Constraint { return dim.Divisible(a, 3) }, func(a, _ int64) bool { return a%3 == 0 }},
	{func(a, _ dim.Expr) dim.Constraint { return dim.Divisible(a, 4).Not() }, func(a, _ int64) bool { return a%4 != 0 }},
}

func TestConstraintMeansWhatItSays(t *testing.T) {
	r := rand.New(rand.NewPCG(21, 22))
	checked := 0
	for range 1500 {
		x, y := randomNode(r, r.IntN(3)), randomNode(r, r.IntN(3))
		rel := relations[r.IntN(len(relations))]
		c := rel.build(x.expr(), y.expr())
		require.False(t, c.Invalid())
		back := constraint(t, c.String())
		require.True(t, back.Equal(c), "%s parses to %s", c, back)
		require.True(t, c.Not().Not().Equal(c), "%s, not not: %s", c, c.Not().Not())
		check, denied := c.Compile(syms), c.Not()
		assignments(-3, 4, func(env map[string]int64) {
			got, err := c.Holds(env)
			v, ok := check([]int64{env["a"], env["b"], env["c"]})
			not, _ := denied.Holds(env)
			if (err == nil) != ok || got != v || err == nil && got == not {
				require.Failf(t, "compiled or negated differs", "%s at %v", c, env)
			}
			vx, okx := x.eval(env)
			vy, oky := y.eval(env)
			if okx && oky {
				checked++
				if err != nil || got != rel.holds(vx, vy) {
					require.Failf(t, "wrong", "%s at %v: %t, %v", c, env, got, err)
				}
			}
		})
	}
	assert.Greater(t, checked, 100_000)
}

func FuzzParseConstraint(f *testing.F) {
	for _, s := range []string{"S <= T", "B >= 4", "B % 8 == 0", "3*B % 4 != 1", "B == 2*A", "B != 1", "A + B < 9223372036854775807",
		"(A floordiv 4) % 3 == 2", "min(A, B) - 3*C >= 2", "B mod 8 > -1", "true", "-9223372036854775808*A <= B",
		"A mod -9223372036854775808 == 0", "B floordiv 9223372036854775807 >= 9223372036854775807"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		c, err := dim.ParseConstraint(s)
		if err != nil {
			var pe *dim.ParseError
			require.ErrorAs(t, err, &pe)
			require.LessOrEqual(t, pe.Offset, len(s))
			return
		}
		back, err := dim.ParseConstraint(c.String())
		require.NoError(t, err, "%q prints as %q", s, c)
		require.True(t, back.Equal(c), "%q prints as %q, which parses to %q", s, c, back)
		facts := dim.NewFacts()
		value, known := facts.Decide(c)
		if facts.Assume(c) != nil {
			require.False(t, known && value, s)
			return
		}
		require.False(t, known && !value, s)
		again := dim.NewFacts()
		for _, text := range facts.Strings() {
			err := again.ParseFact(text)
			if errors.Is(err, dim.ErrContradiction) && len(facts.Constraints()) > 1 {
				return // found in this order only
			}
			require.NoError(t, err, text)
		}
		require.Equal(t, facts.Strings(), again.Strings())
	})
}
