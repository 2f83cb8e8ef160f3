package dim_test

import (
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/ir/dim"
)

func parse(t testing.TB, s string) dim.Expr {
	t.Helper()
	e, err := dim.Parse(s)
	require.NoError(t, err, s)
	return e
}

func TestNormalForm(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"0", "0"},
		{"-9223372036854775808", "-9223372036854775808"},
		{"B - 9223372036854775807 - 1", "B + -9223372036854775808"},
		{"1 + 2*B", "2*B + 1"},
		{"B - B", "0"},
		{"-B", "-B"},
		{"-B*3", "-3*B"},
		{"-(x floordiv 2)*3", "-3*(x floordiv 2)"},
		{"1 - (x floordiv 2)", "-(x floordiv 2) + 1"},
		{"(a+b)*c - b*c", "a*c"},
		{"(a+b)*(a-b)", "a*a - b*b"},
		{"c*b*a", "a*b*c"},
		{"(a+1)*(a+1)*(a+1)", "a*a*a + 3*a*a + 3*a + 1"},

		{"7 floordiv 2", "3"},
		{"-7 floordiv 2", "-4"},
		{"7 floordiv -2", "-4"},
		{"B*4 floordiv 4", "B"},
		{"(4*B+3) floordiv 4", "B"},
		{"(4*B-1) floordiv 4", "B - 1"},
		{"(5*B+7) floordiv 4", "B + ((B + 3) floordiv 4) + 1"},
		{"(S - 1) floordiv 4", "((S + 3) floordiv 4) - 1"},
		{"(S + 3) floordiv 4", "(S + 3) floordiv 4"},
		{"S ceildiv 4", "(S + 3) floordiv 4"},
		{"x floordiv 1", "x"},
		{"x floordiv -1", "-x"},
		{"x floordiv -4", "(-x) floordiv 4"},
		{"(x floordiv 2) floordiv 3", "x floordiv 6"},
		{"((x + 1) floordiv 2 + 1) floordiv 3", "(x + 3) floordiv 6"},
		{"(2*B + 1) floordiv 4", "B floordiv 2"},
		{"(6*B) floordiv 4", "B + (B floordiv 2)"},
		{"x floordiv y", "x floordiv y"},
		{"x floordiv 0", "x floordiv 0"},
		{"(x + 1) floordiv (y + 1)", "(x + 1) floordiv (y + 1)"},

		{"7 mod 4", "3"},
		{"-7 mod 4", "1"},
		{"7 mod -4", "-1"},
		{"(4*B+3) mod 4", "3"},
		{"(5*B+7) mod 4", "(B + 3) mod 4"},
		{"x mod 1", "0"},
		{"x mod -1", "0"},
		{"2*B mod 4", "2*(B mod 2)"},
		{"(2*B + 5) mod 4", "2*(B mod 2) + 1"},
		{"x mod 8 mod 4", "x mod 4"},
		{"(x mod 8 + y) mod 4", "(x + y) mod 4"},
		{"x mod 4 mod 8", "(x mod 4) mod 8"},
		{"x mod 0", "x mod 0"},

		{"min(3, 5)", "3"},
		{"min(x, x)", "x"},
		{"max(x)", "x"},
		{"min(8, B)", "min(B, 8)"},
		{"min(B, min(C, 4), 7)", "min(B, C, 4)"},
		{"max(B, max(C, 4), 7)", "max(B, C, 7)"},
		{"min(B + 2, B + 1, B + 3)", "B + 1"},
		{"max(B + 2, B + 1, C)", "max(B + 2, C)"},
		{"max(min(x, y), 3)", "max(min(x, y), 3)"},
		{"2*min(x, y) + 1", "2*min(x, y) + 1"},
		{"(x mod 4)*(y floordiv 2)", "(x mod 4)*(y floordiv 2)"},
		{"(x*y) mod (z*2)", "(x*y) mod (2*z)"},
	} {
		t.Run(c.in, func(t *testing.T) {
			e := parse(t, c.in)
			assert.Equal(t, c.want, e.String())
			assert.True(t, e.Equal(parse(t, c.want)))
		})
	}
}

func TestZeroValueIsZero(t *testing.T) {
	var e dim.Expr
	v, ok := e.Const()
	assert.True(t, ok)
	assert.Zero(t, v)
	assert.True(t, e.Equal(dim.Const(0)))
	assert.True(t, dim.Product(nil).Equal(dim.Const(1)))
	assert.Equal(t, "6*B", dim.Product([]dim.Expr{dim.Const(2), dim.Sym("B"), dim.Const(3)}).String())
}

func TestSyms(t *testing.T) {
	assert.Equal(t, []string{"a", "b", "c"}, parse(t, "min(c, a*b) + a floordiv (b + 1)").Syms())
	assert.Empty(t, dim.Const(3).Syms())
	name, ok := dim.Sym("B").IsSym()
	assert.True(t, ok)
	assert.Equal(t, "B", name)
	_, ok = parse(t, "2*B").IsSym()
	assert.False(t, ok)
}

func TestValidSym(t *testing.T) {
	for _, s := range []string{"B", "_", "b1", "min_", "Max", strings.Repeat("x", 255)} {
		assert.True(t, dim.ValidSym(s), s)
	}
	for _, s := range []string{"", "1b", "a-b", "min", "mod", "overflow", "é", "B/", strings.Repeat("x", 256)} {
		assert.False(t, dim.ValidSym(s), s)
		assert.True(t, dim.Sym(s).Invalid(), s)
	}
}

func TestOverflowIsInvalid(t *testing.T) {
	big, least, b := dim.Const(math.MaxInt64), dim.Const(math.MinInt64), dim.Sym("B")
	for name, e := range map[string]dim.Expr{
		"add":         big.Add(dim.Const(1)),
		"sub":         least.Sub(dim.Const(1)),
		"sub least":   dim.Const(0).Sub(least),
		"neg":         least.Neg(),
		"mul":         big.Mul(dim.Const(2)),
		"mul least":   least.Mul(dim.Const(-1)),
		"floordiv":    least.FloorDiv(dim.Const(-1)),
		"coefficient": big.Mul(b).Add(b),
		"product":     big.Mul(b).Mul(dim.Const(3)),
		"nested":      big.Add(dim.Const(1)).Mul(b).FloorDiv(dim.Const(2)).Min(b).Sub(b).Mod(b).CeilDiv(b),
		"argument":    b.FloorDiv(big.Add(dim.Const(1))),
		"zero times":  dim.Const(0).Mul(least.Neg()),
		"subst":       parse(t, "B*9223372036854775807").Subst(map[string]dim.Expr{"B": dim.Const(2)}),
	} {
		assert.True(t, e.Invalid(), name)
		assert.Equal(t, "overflow", e.String(), name)
		assert.True(t, e.Equal(big.Add(big)), name)
		assert.False(t, e.Equal(b), name)
		assert.False(t, e.Equal(dim.Const(0)), name)
		_, err := e.Eval(map[string]int64{"B": 1})
		require.ErrorIs(t, err, dim.ErrOverflow, name)
		_, ok := e.Compile([]string{"B"})([]int64{1})
		assert.False(t, ok, name)
		_, err = dim.Parse(e.String())
		require.Error(t, err, name)
	}
	assert.False(t, least.Mul(dim.Const(1)).Invalid())
	assert.Equal(t, "-9223372036854775808", big.Neg().Sub(dim.Const(1)).String())
}

func TestSizeIsLimited(t *testing.T) {
	e := dim.Const(1)
	for i := range 20 {
		e = e.Mul(dim.Sym("x" + strings.Repeat("i", i)).Add(dim.Const(1)))
	}
	assert.True(t, e.Invalid())
	assert.Equal(t, "oversize", e.String())

	deep := dim.Sym("x")
	for range dim.MaxDepth {
		deep = deep.FloorDiv(dim.Sym("y"))
	}
	require.False(t, deep.Invalid())
	assert.True(t, parse(t, deep.String()).Equal(deep))
	assert.True(t, deep.Mod(dim.Sym("y")).Invalid())
}

func TestSubstIsSimultaneous(t *testing.T) {
	e := parse(t, "a + 2*b + min(a, b) + a floordiv 2")
	got := e.Subst(map[string]dim.Expr{"a": dim.Sym("b"), "b": parse(t, "2*a")})
	assert.Equal(t, parse(t, "b + 4*a + min(b, 2*a) + b floordiv 2").String(), got.String())
	v, ok := e.Subst(map[string]dim.Expr{"a": dim.Const(7), "b": dim.Const(1)}).Const()
	assert.True(t, ok)
	assert.Equal(t, int64(7+2+1+3), v)
	assert.True(t, e.Subst(nil).Equal(e))
}

func TestEvalErrors(t *testing.T) {
	env := map[string]int64{"B": math.MaxInt64, "Z": 0}
	for _, c := range []struct {
		expr string
		want error
	}{
		{"B + 1", dim.ErrOverflow},
		{"2*B", dim.ErrOverflow},
		{"B*B", dim.ErrOverflow},
		{"(-B - 1) floordiv (Z - 1)", dim.ErrOverflow},
		{"B floordiv Z", dim.ErrDivByZero},
		{"B mod Z", dim.ErrDivByZero},
		{"B floordiv 0", dim.ErrDivByZero},
	} {
		_, err := parse(t, c.expr).Eval(env)
		require.ErrorIs(t, err, c.want, c.expr)
		_, ok := parse(t, c.expr).Compile([]string{"B", "Z"})([]int64{math.MaxInt64, 0})
		assert.False(t, ok, c.expr)
	}
	var unbound *dim.UnboundError
	_, err := parse(t, "min(B, S)").Eval(env)
	require.ErrorAs(t, err, &unbound)
	assert.Equal(t, "S", unbound.Sym)
}

func TestCompileMissingValues(t *testing.T) {
	e := parse(t, "2*B + S")
	_, ok := e.Compile([]string{"B"})([]int64{1})
	assert.False(t, ok, "S has no position")
	f := e.Compile([]string{"B", "S"})
	_, ok = f([]int64{1})
	assert.False(t, ok, "S has no value")
	v, ok := f([]int64{3, 4})
	assert.True(t, ok)
	assert.Equal(t, int64(10), v)
	vals := []int64{3, 4}
	assert.Zero(t, testing.AllocsPerRun(100, func() { f(vals) }))
}

func TestParseErrors(t *testing.T) {
	for _, c := range []struct {
		in       string
		offset   int
		expected string
		got      string
	}{
		{"", 0, "an integer", "the end"},
		{"B +", 3, "an integer", "the end"},
		{"B + * 2", 4, "an integer", `"*"`},
		{"(B + 2", 6, `")"`, "the end"},
		{"min(B 2)", 6, `")"`, `"2"`},
		{"min B", 4, `"("`, `"B"`},
		{"B 2", 2, "an operator", `"2"`},
		{"B + é", 4, "an integer", `"é"`},
		{"99999999999999999999", 0, "64 bits", `"99999999999999999999"`},
		{"B + mod", 4, "an integer", `"mod"`},
		{"--3", 1, "an integer", `"-"`},
		{"9223372036854775807 + 1", 20, "limits", "overflow"},
		{strings.Repeat("(", 1000) + "B", 192, "nested", `"("`},
	} {
		_, err := dim.Parse(c.in)
		var pe *dim.ParseError
		require.ErrorAs(t, err, &pe, c.in)
		assert.Equal(t, c.offset, pe.Offset, c.in)
		assert.Contains(t, pe.Expected, c.expected, c.in)
		assert.Equal(t, c.got, pe.Got, c.in)
	}
}

var sink dim.Expr

func TestConstantsDoNotAllocate(t *testing.T) {
	a, b := dim.Const(12), dim.Const(5)
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		sink = a.Mul(b).Add(a).Sub(b).FloorDiv(b).Mod(a).Min(b).Max(a)
	}))
}

func BenchmarkConst(b *testing.B) {
	b.ReportAllocs()
	for i := range b.N {
		sink = dim.Const(int64(i))
	}
}

func BenchmarkMulConst(b *testing.B) {
	b.ReportAllocs()
	x, y := dim.Const(128), dim.Const(768)
	for range b.N {
		sink = x.Mul(y)
	}
}

func BenchmarkMulSym(b *testing.B) {
	b.ReportAllocs()
	x, y := dim.Sym("B"), dim.Const(768)
	for range b.N {
		sink = x.Mul(y)
	}
}

func BenchmarkEqualSym(b *testing.B) {
	b.ReportAllocs()
	x, y := dim.Sym("B").Mul(dim.Sym("S")), dim.Sym("S").Mul(dim.Sym("B"))
	for range b.N {
		if !x.Equal(y) {
			b.Fatal("unequal")
		}
	}
}

func BenchmarkCompiled(b *testing.B) {
	b.ReportAllocs()
	f := parse(b, "4*B*S + (S + 3) floordiv 4").Compile([]string{"B", "S"})
	vals := []int64{8, 128}
	for range b.N {
		f(vals)
	}
}
