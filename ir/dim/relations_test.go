package dim_test

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/ir/dim"
)

func TestRelationsProve(t *testing.T) {
	f := facts(t, "S <= T", "S + U <= 4096", "N >= K + 2", "T <= 512", "(A + 1) % 4 == 0", "B % 4 == 2",
		"P <= Q", "Q <= P", "X*Y <= Z", "H in [1, 8]", "W == 2*H - L")
	for _, c := range []struct {
		in   string
		want bool
	}{
		{"S <= 512", true}, {"S <= T + 1", true}, {"S < T + 1", true}, {"U <= 4096", true}, {"2*S + U <= 4608", true},
		{"K < N", true}, {"N >= 2", true}, {"N == K", false}, {"N >= K + 2", true}, {"N < K", false},
		{"P == Q", true}, {"2*P - Q >= 0", true}, {"P != Q", false},
		{"H*S <= H*T", true}, {"S*K <= T*K", true}, {"S*K <= T*K + 1", true}, {"S floordiv 4 <= T", true},
		{"S mod 7 <= T", true}, {"min(S, T) == S", true}, {"max(S, T) == T", true}, {"min(S, 4*T) <= T", true},
		{"(A + B) % 4 == 1", true}, {"(A + B) % 4 == 0", false}, {"A == 7*B", false}, {"A % 2 == 1", true}, {"A != 0", true},
		{"A >= 3", true}, {"X*Y <= Z + 1", true}, {"X*Y > Z", false}, {"L <= 2*H", true}, {"L <= 16", true},
		{"4*(S floordiv 4) <= T", true}, {"S floordiv 8 <= T floordiv 8", true}, {"T < S", false},
	} {
		value, known := f.Decide(constraint(t, c.in))
		assert.True(t, known, c.in)
		assert.Equal(t, c.want, value, c.in)
	}
	for _, s := range []string{"S == T", "S <= U", "K <= S", "A % 8 == 3", "X <= Z", "T < N", "S + T <= 600", "A == B + 1", "S % 2 == 0"} {
		_, known := f.Decide(constraint(t, s))
		assert.False(t, known, s)
	}
	expr := func(s string) dim.Expr { return parse(t, s) }
	for _, c := range [][2]string{
		{"min(S, T)", "S"}, {"max(S, T)", "T"}, {"max(S, T) - min(T, S)", "-S + T"}, {"Q + 1", "P + 1"}, {"(Q*S) floordiv P", "S"},
		{"S floordiv (T + 1)", "0"}, {"S mod (T + 1)", "S"}, {"min(N, K)", "K"}, {"(4096 - S - U) floordiv 8192", "0"},
	} {
		assert.Equal(t, c[1], f.Simplify(expr(c[0])).String(), c[0])
	}
	assert.True(t, f.LessEq(expr("S"), expr("T")))
	assert.True(t, f.Less(expr("K"), expr("N")))
	assert.True(t, f.Equal(expr("P*S"), expr("S*Q")))
	assert.True(t, f.Divides(4, expr("A + B + 3")))
	lo, hi := f.Range(expr("T - S"))
	assert.Equal(t, []int64{0, 512}, []int64{lo, hi})
	lo, hi = f.Range(expr("L"))
	assert.Equal(t, []int64{0, 16}, []int64{lo, hi})
}

func TestRelationalFactTexts(t *testing.T) {
	f := facts(t, "B in [1, 64]", "S < T", "S + T <= 4096", "2*P == 3*Q", "B != 7", "B != 1", "A*B >= 2", "B % 8 == 0", "A % 4 == 3", "2 <= C")
	want := []string{"B in [2, 64]", "B % 8 == 0", "S >= 0", "T >= 0", "P >= 0", "Q >= 0", "A >= 0", "C >= 2",
		"S + 1 <= T", "S + T <= 4096", "2*P == 3*Q", "B != 7", "A*B >= 2", "A % 4 == 3"}
	assert.Equal(t, want, f.Strings())
	assert.Equal(t, want, facts(t, f.Strings()...).Strings())
	g := f.Clone()
	require.NoError(t, g.ParseFact("S >= 9"))
	assert.Equal(t, want, f.Strings(), "a clone is independent")

	again := dim.NewFacts()
	var texts []string
	for _, c := range f.Constraints() {
		require.NoError(t, again.Assume(c))
		texts = append(texts, c.String())
	}
	assert.Equal(t, []string{"B >= 2", "B <= 64", "B % 8 == 0", "C >= 2", "S + 1 <= T", "S + T <= 4096", "2*P == 3*Q", "B != 7",
		"A*B >= 2", "A % 4 == 3"}, texts)
	require.NoError(t, again.Assume(constraint(t, "A == A")))
	assert.Equal(t, []string{"B", "C", "S", "T", "P", "Q", "A"}, again.Syms())
}

func TestRefusedRelations(t *testing.T) {
	f := facts(t, "S <= T", "T <= 9", "U == S + 1", "A % 4 == 3", "B != 3")
	before := f.Strings()
	for _, s := range []string{"S > T", "S >= 10", "T < S", "S in [10, 12]", "S == T + 1", "U >= 11", "A % 2 == 0", "S + T >= 19",
		"B == 3", "V == S", "0 == 1"} {
		err := f.ParseFact(s)
		if s == "V == S" {
			require.NoError(t, err)
			require.ErrorIs(t, f.ParseFact("V > T"), dim.ErrContradiction)
			break
		}
		require.ErrorIs(t, err, dim.ErrContradiction, s)
		assert.Equal(t, before, f.Strings(), "a refused fact changes nothing")
	}
	require.NoError(t, f.Assume(constraint(t, "T == 9")))
	require.NoError(t, f.Assume(constraint(t, "2*S + T == 27")), "only S == 9 is left")
	value, known := f.Decide(constraint(t, "S == T"))
	assert.True(t, known && value)
}

func TestCheckRelations(t *testing.T) {
	f := facts(t, "S <= T", "T == 2*H", "(S + H) % 2 == 0")
	require.NoError(t, f.Check(map[string]int64{"S": 2, "H": 2}))
	var v *dim.Violation
	require.ErrorAs(t, f.Check(map[string]int64{"S": 6, "H": 2}), &v)
	assert.Equal(t, dim.Violation{Sym: "S", Fact: "S <= T", Got: 6}, *v)
	require.ErrorAs(t, f.Check(map[string]int64{"S": 3, "H": 2}), &v)
	assert.Equal(t, dim.Violation{Sym: "H", Fact: "(H + S) % 2 == 0", Got: 2}, *v)
	var unbound *dim.UnboundError
	require.ErrorAs(t, f.Check(map[string]int64{"S": 1}), &unbound)
}

func randomConstraint(r *rand.Rand) dim.Constraint {
	rel := relations[r.IntN(len(relations))]
	if r.IntN(2) == 0 { // linear, as most are
		sum := func() dim.Expr {
			e := dim.Const(r.Int64N(9) - 2)
			for range 1 + r.IntN(2) {
				e = e.Add(dim.Const(1 + r.Int64N(3)).Mul(dim.Sym(syms[r.IntN(len(syms))])))
			}
			return e
		}
		return rel.build(sum(), sum())
	}
	return rel.build(randomNode(r, r.IntN(3)).expr(), randomNode(r, r.IntN(2)).expr())
}

// related are random facts with relations that hold at some point at least.
func related(t *testing.T, r *rand.Rand, lo, hi int64) (*dim.Facts, []map[string]int64) {
	f := dim.NewFacts()
	for _, s := range syms {
		require.NoError(t, f.Declare(s, lo, hi))
	}
	var cs []dim.Constraint
	for range 1 + r.IntN(4) {
		c := randomConstraint(r)
		before := f.Strings()
		if f.Assume(c) != nil {
			require.Empty(t, satisfying(lo, hi, append(cs, c)), "%s after %v", c, before)
			require.Equal(t, before, f.Strings())
			continue
		}
		cs = append(cs, c)
	}
	members := satisfying(lo, hi, cs)
	for _, env := range members {
		require.NoError(t, f.Check(env), "%v", f.Strings())
	}
	if len(members) > 0 { // else another order may find the contradiction
		require.Equal(t, f.Strings(), facts(t, f.Strings()...).Strings())
	}
	return f, members
}

// satisfying enumerates the points at which all constraints hold.
func satisfying(lo, hi int64, cs []dim.Constraint) []map[string]int64 {
	var out []map[string]int64
	assignments(lo, hi, func(env map[string]int64) {
		for _, c := range cs {
			if holds, err := c.Holds(env); err != nil || !holds {
				return
			}
		}
		out = append(out, env)
	})
	return out
}

func TestRelationalProofsAreSound(t *testing.T) {
	r := rand.New(rand.NewPCG(31, 32))
	decided, undecided, simplified := 0, 0, 0
	for range 150 {
		f, members := related(t, r, 0, 8)
		for range 10 {
			c := randomConstraint(r)
			value, known := f.Decide(c)
			n := randomNode(r, 1+r.IntN(2))
			e := n.expr()
			s := f.Simplify(e)
			lo, hi := f.Range(e)
			if known {
				decided++
			} else {
				undecided++
			}
			if !s.Equal(e) {
				simplified++
			}
			for _, env := range members {
				if got, err := c.Holds(env); known && err == nil && got != value {
					require.Failf(t, "wrong decision", "%s is %t under %v at %v", c, got, f.Strings(), env)
				}
				want, ok := n.eval(env)
				if !ok {
					continue
				}
				if got, err := s.Eval(env); err != nil || got != want {
					require.Failf(t, "Simplify", "%s = %d, %s = %d under %v at %v", e, want, s, got, f.Strings(), env)
				}
				if want < lo || want > hi {
					require.Failf(t, "Range", "%s = %d, not in [%d, %d], under %v at %v", e, want, lo, hi, f.Strings(), env)
				}
			}
		}
	}
	t.Logf("decided %d, undecided %d, simplified %d", decided, undecided, simplified)
	assert.Greater(t, decided, 500)
	assert.Greater(t, undecided, 100)
	assert.Greater(t, simplified, 300)
}

// Linear constraints of small sizes should nearly always be decided where
// enumeration decides them.
func TestRelationalProofsAreStrong(t *testing.T) {
	r := rand.New(rand.NewPCG(33, 34))
	truths, proved := 0, 0
	for range 150 {
		f, members := related(t, r, 0, 10)
		for range 10 {
			sum := dim.Const(r.Int64N(20))
			for _, s := range syms {
				sum = sum.Add(dim.Const(r.Int64N(5) - 2).Mul(dim.Sym(s)))
			}
			c := dim.Ge(sum, dim.Const(0))
			all, none := true, true
			for _, env := range members {
				holds, err := c.Holds(env)
				require.NoError(t, err)
				all, none = all && holds, none && !holds
			}
			if !all && !none {
				continue
			}
			truths++
			if _, known := f.Decide(c); known {
				proved++
			} else {
				t.Log(c, all, f.Strings())
			}
		}
	}
	t.Logf("proved %d of %d", proved, truths)
	assert.Greater(t, float64(proved), 0.8*float64(truths))
}
