package dim_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/ir/dim"
)

// node is an expression as written, evaluated by definition: the yardstick for
// whatever the normal form does.
type node struct {
	op   string // "const", "sym" or an operation
	sym  string
	val  int64
	l, r *node
}

var syms = []string{"a", "b", "c"}

var operations = map[string]struct {
	build func(x, y dim.Expr) dim.Expr
	eval  func(x, y int64) (int64, bool)
}{
	"+":        {dim.Expr.Add, func(x, y int64) (int64, bool) { return x + y, true }},
	"-":        {dim.Expr.Sub, func(x, y int64) (int64, bool) { return x - y, true }},
	"*":        {dim.Expr.Mul, func(x, y int64) (int64, bool) { return x * y, true }},
	"min":      {dim.Expr.Min, func(x, y int64) (int64, bool) { return min(x, y), true }},
	"max":      {dim.Expr.Max, func(x, y int64) (int64, bool) { return max(x, y), true }},
	"floordiv": {dim.Expr.FloorDiv, naiveDiv},
	"ceildiv":  {dim.Expr.CeilDiv, func(x, y int64) (int64, bool) { return naiveDiv(x+y-1, y) }},
	"mod": {dim.Expr.Mod, func(x, y int64) (int64, bool) {
		q, ok := naiveDiv(x, y)
		return x - y*q, ok
	}},
}

var opNames = []string{"+", "-", "*", "min", "max", "floordiv", "ceildiv", "mod"}

// naiveDiv counts, so that it shares nothing with what it judges.
func naiveDiv(x, y int64) (int64, bool) {
	if y == 0 {
		return 0, false
	}
	if y < 0 {
		x, y = -x, -y
	}
	q := x / y
	for q*y > x {
		q--
	}
	for (q+1)*y <= x {
		q++
	}
	return q, true
}

func randomNode(r *rand.Rand, depth int) *node {
	switch {
	case depth == 0 && r.IntN(3) == 0, depth > 0 && r.IntN(12) == 0:
		return &node{op: "const", val: r.Int64N(11) - 3}
	case depth == 0 || r.IntN(8) == 0:
		return &node{op: "sym", sym: syms[r.IntN(len(syms))]}
	}
	n := &node{op: opNames[r.IntN(len(opNames))], l: randomNode(r, depth-1), r: randomNode(r, depth-1)}
	if n.op == "floordiv" || n.op == "mod" || n.op == "ceildiv" {
		if r.IntN(3) > 0 { // mostly by constants, as programs do
			n.r = &node{op: "const", val: r.Int64N(9) + 1}
		}
	}
	return n
}

func (n *node) expr() dim.Expr {
	switch n.op {
	case "const":
		return dim.Const(n.val)
	case "sym":
		return dim.Sym(n.sym)
	}
	return operations[n.op].build(n.l.expr(), n.r.expr())
}

func (n *node) eval(env map[string]int64) (int64, bool) {
	switch n.op {
	case "const":
		return n.val, true
	case "sym":
		return env[n.sym], true
	}
	x, okx := n.l.eval(env)
	y, oky := n.r.eval(env)
	if !okx || !oky {
		return 0, false
	}
	return operations[n.op].eval(x, y)
}

// assignments calls fn for all values lo..hi of the symbols.
func assignments(lo, hi int64, fn func(env map[string]int64)) {
	for a := lo; a <= hi; a++ {
		for b := lo; b <= hi; b++ {
			for c := lo; c <= hi; c++ {
				fn(map[string]int64{"a": a, "b": b, "c": c})
			}
		}
	}
}

func TestNormalFormKeepsValues(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	decided := 0
	for range 1000 {
		n := randomNode(r, 1+r.IntN(4))
		e := n.expr()
		require.False(t, e.Invalid())
		back := parse(t, e.String())
		require.True(t, back.Equal(e), "%s parses to %s", e, back)
		require.Equal(t, e.Key(), back.Key())
		f := e.Compile(syms)
		assignments(-3, 4, func(env map[string]int64) {
			got, err := e.Eval(env)
			v, ok := f([]int64{env["a"], env["b"], env["c"]})
			if (err == nil) != ok || got != v {
				require.Failf(t, "compiled differs", "%s at %v: %d, %t; %d, %v", e, env, v, ok, got, err)
			}
			if want, ok := n.eval(env); ok {
				decided++
				if err != nil || got != want {
					require.Failf(t, "wrong value", "%s at %v: %d, %v; expected %d", e, env, got, err, want)
				}
			}
		})
	}
	assert.Greater(t, decided, 100_000, "most expressions have values")
}

func TestEqualMeansEqualKeys(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	equal := 0
	var es []dim.Expr
	for range 400 {
		es = append(es, randomNode(r, 1+r.IntN(2)).expr())
	}
	for _, x := range es {
		for _, y := range es {
			require.Equal(t, x.Equal(y), x.Key() == y.Key(), "%s and %s", x, y)
			if x.Equal(y) {
				equal++
			}
		}
		require.True(t, x.Add(es[0]).Sub(es[0]).Equal(x))
		require.True(t, x.Mul(es[1]).Equal(es[1].Mul(x)))
		require.True(t, x.Add(es[2]).Mul(es[3]).Equal(x.Mul(es[3]).Add(es[2].Mul(es[3]))))
	}
	assert.Greater(t, equal, len(es))
}

func TestSubstMatchesEval(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 300 {
		e, a := randomNode(r, 3), randomNode(r, 2)
		s := e.expr().Subst(map[string]dim.Expr{"a": a.expr()})
		assignments(-2, 3, func(env map[string]int64) {
			v, ok := a.eval(env)
			want, ok2 := e.eval(map[string]int64{"a": v, "b": env["b"], "c": env["c"]})
			if ok && ok2 {
				got, err := s.Eval(env)
				require.NoError(t, err)
				require.Equal(t, want, got, "%s with a = %s at %v", e.expr(), a.expr(), env)
			}
		})
	}
}

// randomFacts states facts of the three symbols, at most one an equality.
func randomFacts(t *testing.T, r *rand.Rand) *dim.Facts {
	f := dim.NewFacts()
	for _, s := range syms {
		lo := r.Int64N(8) - 4
		require.NoError(t, f.Declare(s, lo, lo+r.Int64N(9)))
		if r.IntN(2) == 0 {
			_ = f.SetDivisible(s, 1+r.Int64N(4)) // refused where no multiple is in range
		}
	}
	if r.IntN(3) == 0 {
		_ = f.SetEqual("c", randomNode(r, 1).expr()) // refused where it contradicts or is circular
	}
	return f
}

// model is the expressions' values under all assignments that satisfy facts.
type model []map[string]int64

func modelOf(f *dim.Facts) model {
	var m model
	assignments(-4, 12, func(env map[string]int64) {
		if f.Check(env) == nil {
			m = append(m, env)
		}
	})
	return m
}

func TestFactsAreSound(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	simplified, divided, ordered := 0, 0, 0
	for range 60 {
		f := randomFacts(t, r)
		m := modelOf(f)
		for range 12 {
			n := randomNode(r, 1+r.IntN(3))
			e := n.expr()
			s := f.Simplify(e)
			if !s.Equal(e) {
				simplified++
			}
			lo, hi := f.Range(e)
			zero := dim.Const(0)
			positive := f.Less(zero, e)
			nonNegative := f.LessEq(zero, e)
			if nonNegative {
				ordered++
			}
			var divisors []int64
			for d := int64(2); d <= 6; d++ {
				if f.Divides(d, e) {
					divisors = append(divisors, d)
					divided++
				}
			}
			for _, env := range m {
				want, ok := n.eval(env)
				if !ok {
					continue
				}
				got, err := s.Eval(env)
				fault := ""
				switch {
				case err != nil || got != want:
					fault = "Simplify: " + s.String()
				case want < lo || want > hi:
					fault = fmt.Sprintf("Range: %d..%d", lo, hi)
				case positive && want <= 0, nonNegative && want < 0:
					fault = "Less or LessEq"
				case slices.ContainsFunc(divisors, func(d int64) bool { return want%d != 0 }):
					fault = fmt.Sprintf("Divides: %v", divisors)
				}
				if fault != "" {
					require.Failf(t, fault, "%s = %d under %v at %v", e, want, f.Strings(), env)
				}
			}
		}
	}
	assert.Greater(t, simplified, 100)
	assert.Greater(t, divided, 100)
	assert.Greater(t, ordered, 100)
}

func TestFactsEqualAndQuotientAreSound(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	equal, quotients := 0, 0
	for range 60 {
		f := randomFacts(t, r)
		m := modelOf(f)
		var ns []*node
		for range 12 {
			ns = append(ns, randomNode(r, 1+r.IntN(2)))
		}
		for _, x := range ns {
			for _, y := range ns {
				same := f.Equal(x.expr(), y.expr())
				q, exact := f.Quotient(x.expr(), y.expr())
				less := f.LessEq(x.expr(), y.expr())
				for _, env := range m {
					vx, okx := x.eval(env)
					vy, oky := y.eval(env)
					if !okx || !oky {
						continue
					}
					if same && vx != vy || less && vx > vy {
						require.Failf(t, "wrong proof", "%s and %s under %v at %v", x.expr(), y.expr(), f.Strings(), env)
					}
					if !exact {
						continue
					}
					if vq, err := q.Eval(env); err != nil || vq*vy != vx {
						require.Failf(t, "inexact", "%s / %s = %s under %v at %v", x.expr(), y.expr(), q, f.Strings(), env)
					}
				}
				if same && x != y {
					equal++
				}
				if exact && x != y {
					quotients++
				}
			}
		}
	}
	assert.Greater(t, equal, 100)
	assert.Greater(t, quotients, 100)
}

func TestDivisionIdentityIsProvable(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	f := dim.NewFacts()
	for range 300 {
		x, n := randomNode(r, 2).expr(), dim.Const(2+r.Int64N(7))
		sum := n.Mul(x.FloorDiv(n)).Add(x.Mod(n))
		require.True(t, f.Equal(sum, x), "%s*(x floordiv %s) + x mod %s for x = %s", n, n, n, x)
	}
}

func TestBindInvertsEval(t *testing.T) {
	r := rand.New(rand.NewPCG(13, 14))
	bindings := 0
	for range 400 {
		e := randomNode(r, 2).expr()
		assignments(0, 3, func(want map[string]int64) {
			size, err := e.Eval(want)
			if err != nil {
				return
			}
			env := map[string]int64{"b": want["b"], "c": want["c"]}
			bound, err := dim.Bind(e, size, env)
			if err != nil { // the symbol cancelled out of a division by zero, or a size below 0
				require.Less(t, size, int64(0), "%s = %d at %v: %v", e, size, want, err)
				return
			}
			if a, ok := env["a"]; ok && bound {
				bindings++
				require.Equal(t, want["a"], a, "%s = %d at %v", e, size, want)
			}
		})
	}
	assert.Greater(t, bindings, 1000)
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"2*B + 1", "(S + 3) floordiv 4", "min(B, 8)", "max(a, -b) mod 3 - -4", "x ceildiv (y+1)*2", "((a", "9223372036854775808"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		e, err := dim.Parse(s)
		if err != nil {
			var pe *dim.ParseError
			require.ErrorAs(t, err, &pe)
			require.GreaterOrEqual(t, pe.Offset, 0)
			require.LessOrEqual(t, pe.Offset, len(s))
			return
		}
		back, err := dim.Parse(e.String())
		require.NoError(t, err, "%q prints as %q", s, e)
		require.True(t, back.Equal(e), "%q prints as %q", s, e)
		facts := dim.NewFacts()
		facts.Range(e)
		facts.Simplify(e)
	})
}

func FuzzParseFact(f *testing.F) {
	for _, s := range []string{"B in [1, 64]", "S >= 1", "B % 8 == 0", "T == 2*B", "x <= -3", "B == B", "B <= S", "(B + S) % 4 == 3", "B*S == 12", "B != 2"} {
		f.Add(s, "B >= 2")
		f.Add(s, "S == B")
		f.Add(s, "S <= max(B, 3)")
	}
	f.Add("B == 0", "B <= 0")
	f.Fuzz(func(t *testing.T, s, u string) {
		facts := dim.NewFacts()
		if facts.ParseFact(s) != nil {
			require.Empty(t, facts.Syms())
			return
		}
		_ = facts.ParseFact(u)
		again := dim.NewFacts()
		for _, text := range facts.Strings() {
			err := again.ParseFact(text)
			if errors.Is(err, dim.ErrContradiction) && len(facts.Constraints()) > 1 {
				return // found in this order only
			}
			require.NoError(t, err)
		}
		require.Equal(t, facts.Strings(), again.Strings())
		for _, sym := range facts.Syms() {
			facts.Range(dim.Sym(sym))
			facts.Simplify(dim.Sym(sym).Mod(dim.Const(7)))
		}
	})
}
