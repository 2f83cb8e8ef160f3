package dim_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/ir/dim"
)

func constraints(t testing.TB, texts ...string) []dim.Constraint {
	t.Helper()
	out := make([]dim.Constraint, len(texts))
	for i, s := range texts {
		out[i] = constraint(t, s)
	}
	return out
}

func TestReduce(t *testing.T) {
	for _, c := range []struct {
		given []string
		cs    []string
		want  []int
	}{
		{nil, nil, nil},
		{nil, []string{"B >= 2", "B >= 4", "B >= 3"}, []int{1}},
		{nil, []string{"B % 4 == 0", "B % 8 == 0", "B % 2 == 0"}, []int{1}},
		{nil, []string{"A <= B", "B <= C", "A <= C"}, []int{0, 1}},
		{nil, []string{"A <= C", "B <= C", "A <= B"}, []int{1, 2}},
		{nil, []string{"A == B", "B == A", "A <= B"}, []int{0}},
		{nil, []string{"A == B", "B == C", "A == C"}, []int{0, 1}},
		{nil, []string{"A == 4", "B == 2*A", "B == 8"}, []int{0, 2}},
		{nil, []string{"true", "A >= 0", "A != 1"}, []int{2}},
		{nil, []string{"A >= 1", "false", "B >= 2"}, []int{1}},
		{nil, []string{"A >= 3", "A <= 2", "A <= 1"}, []int{0, 1}},
		{[]string{"S <= T"}, []string{"S <= T + 1", "T <= 8", "S <= 8", "S >= 1", "T >= 1"}, []int{1, 3}},
		{[]string{"U == S + T"}, []string{"U >= S", "S + T <= 9", "U <= 9"}, []int{2}},
		{nil, []string{"B % 2 == 1", "B >= 2", "B >= 3", "B != 2", "B != 1"}, []int{0, 1}},
	} {
		var given *dim.Facts
		if c.given != nil {
			given = facts(t, c.given...)
		}
		got := dim.Reduce(constraints(t, c.cs...), given)
		assert.Equal(t, c.want, got, "%v given %v", c.cs, c.given)
	}
}

func TestReduceKeepsTheMeaning(t *testing.T) {
	r := rand.New(rand.NewPCG(41, 42))
	dropped, needed, redundant := 0, 0, 0
	const lo, hi = 0, 8
	for range 120 {
		given, members := related(t, r, lo, hi)
		cs := make([]dim.Constraint, 2+r.IntN(5))
		for i := range cs {
			cs[i] = randomConstraint(r)
		}
		kept := dim.Reduce(cs, given)
		require.Equal(t, kept, dim.Reduce(cs, given), "deterministic")
		require.True(t, slices.IsSorted(kept))
		dropped += len(cs) - len(kept)
		decisive := make([]bool, len(cs)) // without it, the meaning differs
		for _, env := range members {
			failing := -1
			all, some, none := true, true, 0
			valued := true
			for i, c := range cs {
				holds, err := c.Holds(env)
				valued = valued && err == nil
				if !holds {
					all = false
					if slices.Contains(kept, i) {
						some = false
						failing, none = i, none+1
					}
				}
			}
			if !valued {
				continue
			}
			require.Equal(t, all, some, "%v at %v: kept %v, given %v", cs, env, kept, given.Strings())
			if none == 1 {
				decisive[failing] = true
			}
		}
		for _, i := range kept {
			if decisive[i] {
				needed++
			} else if len(members) >= 20 {
				redundant++
			}
		}
	}
	t.Logf("dropped %d; kept %d of use and %d of none", dropped, needed, redundant)
	assert.Greater(t, dropped, 50)
	assert.Greater(t, needed, 3*redundant, "few that enumeration finds implied are kept")
}

func TestSmallest(t *testing.T) {
	for _, c := range []struct {
		facts, cs []string
		except    [][]string
		want      map[string]int64
		verdict   dim.Verdict
	}{
		{nil, nil, nil, map[string]int64{}, dim.Found},
		{[]string{"B in [1, 64]"}, []string{"B % 8 == 0"}, nil, map[string]int64{"B": 8}, dim.Found},
		{[]string{"S <= T"}, []string{"S >= 3", "T % 5 == 0"}, nil, map[string]int64{"S": 3, "T": 5}, dim.Found},
		{nil, []string{"B >= 1000000007", "B % 1000 == 1"}, nil, map[string]int64{"B": 1000001001}, dim.Found},
		{nil, []string{"A*B == 391", "A >= 2", "B >= 2"}, nil, map[string]int64{"A": 17, "B": 23}, dim.Found},
		{nil, []string{"T == 2*B + 1", "T % 7 == 0"}, nil, map[string]int64{"T": 7, "B": 3}, dim.Found},
		{nil, []string{"A % 2 == 0", "A == 2*B + 1"}, nil, nil, dim.None},
		{nil, []string{"S < T", "T < U", "U <= S"}, nil, nil, dim.None},
		{nil, []string{"B >= 1"}, [][]string{{"B == 1"}, {"B % 2 == 0"}, {"B <= 7"}}, map[string]int64{"B": 9}, dim.Found},
		{nil, nil, [][]string{{"S <= T"}, {"S > T"}}, nil, dim.None},
		{nil, nil, [][]string{{"S <= T", "T <= 4"}, {"S > T"}}, map[string]int64{"S": 0, "T": 5}, dim.Found},
		{nil, nil, [][]string{{"B <= 64"}, {"B >= 65"}}, nil, dim.None},
		{nil, nil, [][]string{{}}, nil, dim.None},
		{[]string{"N >= -3"}, []string{"N*N >= 4"}, nil, map[string]int64{"N": -3}, dim.Found},
		{nil, []string{"B floordiv 3 == 4", "B mod 5 == 4"}, nil, map[string]int64{"B": 14}, dim.Found},
		{nil, []string{"A*A == 2*B*B", "B >= 1"}, nil, nil, dim.Unknown},
		{nil, []string{"A >= 9223372036854775807"}, [][]string{{"A >= 5"}}, nil, dim.None},
	} {
		name := fmt.Sprint(c.facts, c.cs, c.except)
		var except [][]dim.Constraint
		for _, texts := range c.except {
			except = append(except, constraints(t, texts...))
		}
		sizes, verdict := dim.Smallest(facts(t, c.facts...), constraints(t, c.cs...), except, 500)
		assert.Equal(t, c.verdict.String(), verdict.String(), name)
		assert.Equal(t, c.want, sizes, name)
	}
}

func TestSmallestAgreesWithEnumeration(t *testing.T) {
	r := rand.New(rand.NewPCG(43, 44))
	const lo, hi = 0, 9
	count := map[dim.Verdict]int{}
	for range 300 {
		f, _ := related(t, r, lo, hi)
		var cs []dim.Constraint
		for range r.IntN(3) {
			cs = append(cs, randomConstraint(r))
		}
		var except [][]dim.Constraint
		for range r.IntN(4) {
			var conjunction []dim.Constraint
			for range 1 + r.IntN(2) {
				conjunction = append(conjunction, randomConstraint(r))
			}
			except = append(except, conjunction)
		}
		got, verdict := dim.Smallest(f, cs, except, 2000)
		count[verdict]++
		want := leastMember(lo, hi, f, cs, except)
		switch verdict {
		case dim.Found:
			require.Equal(t, want, got, "%v, %v except %v", f.Strings(), cs, except)
		case dim.None:
			require.Nil(t, want, "%v, %v except %v", f.Strings(), cs, except)
		}
	}
	assert.Zero(t, count[dim.Unknown])
	assert.Greater(t, count[dim.None], 30)
	assert.Greater(t, count[dim.Found], 100)
}

// leastMember enumerates; the symbols are in the order of the facts.
func leastMember(lo, hi int64, f *dim.Facts, cs []dim.Constraint, except [][]dim.Constraint) map[string]int64 {
	var best map[string]int64
	sum := func(env map[string]int64) int64 { return env["a"] + env["b"] + env["c"] }
	for _, env := range satisfying(lo, hi, append(f.Constraints(), cs...)) {
		outside := !slices.ContainsFunc(except, func(conjunction []dim.Constraint) bool {
			all := true
			for _, c := range conjunction {
				holds, err := c.Holds(env)
				if err != nil {
					return true
				}
				all = all && holds
			}
			return all
		})
		if outside && (best == nil || sum(env) < sum(best)) { // enumeration is lexicographic
			best = env
		}
	}
	return best
}

func BenchmarkDecide(b *testing.B) {
	plain := facts(b, "B in [1, 64]", "B % 8 == 0", "S >= 1", "T == 2*B")
	related := facts(b, "B in [1, 64]", "S <= T", "S + U <= 4096", "N >= K + 2", "T <= 512")
	for _, c := range []struct {
		name  string
		facts *dim.Facts
		text  string
	}{
		{"symbol", plain, "B >= 1"}, {"plain", plain, "B + S >= 2"}, {"quotient", plain, "4*(S floordiv 4) <= S"},
		{"relation", related, "S <= T + 1"}, {"combination", related, "2*S + U <= 4608"}, {"unknown", related, "S == U"},
	} {
		b.Run(c.name, func(b *testing.B) {
			test := constraint(b, c.text)
			for b.Loop() {
				c.facts.Decide(test)
			}
		})
	}
}

func BenchmarkAssume(b *testing.B) {
	cs := constraints(b, "B >= 1", "B <= 64", "S <= T", "S + U <= 4096", "K + 2 <= N", "T <= 512", "A % 4 == 3", "U == 2*B")
	for b.Loop() {
		f := dim.NewFacts()
		for _, c := range cs {
			_ = f.Assume(c)
		}
	}
}

func BenchmarkHolds(b *testing.B) {
	for _, s := range []string{"B >= 4", "S <= T", "B % 8 == 0", "S + T <= 4096"} {
		b.Run(s, func(b *testing.B) {
			check := constraint(b, s).Compile([]string{"B", "S", "T"})
			vals := []int64{16, 3, 4}
			for b.Loop() {
				check(vals)
			}
		})
	}
}

func BenchmarkReduce(b *testing.B) {
	var cs []dim.Constraint
	for i := range 100 {
		s := fmt.Sprintf("X%d", i)
		cs = append(cs, constraints(b, s+" >= 2", s+" >= 1", s+" != 1")...)
	}
	for b.Loop() {
		dim.Reduce(cs, nil)
	}
}

func BenchmarkSmallest(b *testing.B) {
	cs := constraints(b, "S <= T", "S >= 3", "T % 8 == 0")
	except := [][]dim.Constraint{constraints(b, "T <= 16"), constraints(b, "S == 3")}
	for b.Loop() {
		dim.Smallest(nil, cs, except, 1000)
	}
}
