package codegen

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/ir/tensor"
)

// primitive spells no elementary function and no code that has an expansion.
func primitive(c Code, t tensor.DType) bool {
	switch c {
	case FNMA, Floor, Ceil, Trunc, Scale2, RoundTo:
		return false
	case Div, Rem:
		return t.IsFloat()
	}
	return !c.Elementary()
}

// expansionOf runs the expansion of a code over samples by the interpreter.
type expansionOf[T float32 | float64] struct {
	code Code
	m    *Machine
	bufs [][]byte
	a, b []T
	y    []T
}

func newExpansion[T float32 | float64](t *testing.T, code Code, target Target, n int) *expansionOf[T] {
	t.Helper()
	dt := tensor.DTypeOf[T]()
	b := NewKernel(code.String())
	x := b.Buffer(Input, "a", dt, con(int64(n)))
	z := b.Buffer(Input, "b", dt, con(int64(n)))
	y := b.Buffer(Output, "y", dt, con(int64(n)))
	s := b.Nest([]Axis{{"i", con(int64(n))}}, 1)
	s.Once()
	args := []Val{s.Load(At(x, 1)), s.Load(At(z, 1))}
	s.Store(At(y, 1), s.Op(code, args[:code.Arity()]...))
	k, err := b.Build()
	require.NoError(t, err)
	k, err = Legalize(k, target)
	require.NoError(t, err)
	for _, in := range k.Steps[0].Nest.Insts {
		require.False(t, in.Op.Elementary(), "%s is left in the expansion", in.Op)
	}
	bound, err := Bind(k, nil)
	require.NoError(t, err)
	e := &expansionOf[T]{code: code, a: make([]T, n), b: make([]T, n), y: make([]T, n)}
	e.m, err = NewMachine(bound)
	require.NoError(t, err)
	e.bufs = [][]byte{memOf(e.a), memOf(e.b), memOf(e.y)}
	require.NoError(t, e.m.SetBuffers(e.bufs))
	return e
}

// ulps is the distance of got from want in units of got's last place, measured
// at the float that want rounds to.
func ulps[T float32 | float64](got T, want float64) float64 {
	g := float64(got)
	w := T(want)
	switch {
	case math.IsNaN(g) && math.IsNaN(want), g == want:
		if g == 0 && math.Signbit(g) != math.Signbit(want) {
			return math.Inf(1)
		}
		return 0
	case math.IsNaN(g) || math.IsNaN(want):
		return math.Inf(1)
	case math.IsInf(float64(w), 0) && got == w, w == 0 && got == 0 && math.Signbit(g) == math.Signbit(want):
		return 0
	case math.IsInf(float64(w), 0) || math.IsInf(g, 0):
		// One step beyond the largest finite number counts as one ulp.
		return math.Abs(float64(ordinal(got) - ordinal(w)))
	}
	_, exp := math.Frexp(float64(w))
	man, least := 24, -149
	if _, ok := any(got).(float64); ok {
		man, least = 53, -1074
	}
	return math.Ldexp(math.Abs(g-want), -max(exp-man, least))
}

// ordinal numbers the floats in order.
func ordinal[T float32 | float64](x T) int64 {
	switch v := any(x).(type) {
	case float32:
		i := int64(int32(math.Float32bits(v)))
		if i < 0 {
			i = -(i & 0x7fffffff)
		}
		return i
	case float64:
		i := int64(math.Float64bits(v))
		if i < 0 {
			i = -(i & math.MaxInt64)
		}
		return i
	}
	return 0
}

// specials are the values at which formulas break.
var specials = []float64{0, math.Copysign(0, -1), 1, -1, 0.5, -0.5, 2, -2, 3, -3, math.Inf(1), math.Inf(-1), math.NaN(),
	0x1p-149, -0x1p-149, 0x1p-126, -0x1p-126, 0x1.fffffep-127, math.MaxFloat32, -math.MaxFloat32, 0x1p-1022, 0x1p-1074, math.MaxFloat64,
	88.72283, 88.72284, -87.33655, -103.97, -103.98, 709.78271, -745.13, 710.47, 16367173 * 0x1p72, 1.5707964, math.Pi, 0.66, 0.84375, 1.25, 0.9277}

// fillSamples draws floats uniformly by bits, every exponent and sign, with a
// share near the interesting magnitudes, and sets the specials first.
func fillSamples[T float32 | float64](x []T, r *rand.Rand) {
	for i := range x {
		switch any(x[0]).(type) {
		case float32:
			x[i] = T(math.Float32frombits(r.Uint32()))
		default:
			x[i] = T(math.Float64frombits(r.Uint64()))
		}
		switch i % 8 {
		case 0:
			x[i] = T(r.NormFloat64() * 20)
		case 1:
			x[i] = T(r.NormFloat64())
		case 2:
			x[i] = T(1 + r.NormFloat64()/64)
		case 3:
			x[i] = T(r.NormFloat64() * 400)
		}
	}
}

// worst is the largest error of an expansion over rounds of samples.
func (e *expansionOf[T]) worst(t *testing.T, rounds int) (worst float64, at string) {
	t.Helper()
	r := rand.New(rand.NewPCG(uint64(e.code), 7))
	for round := range rounds {
		fillSamples(e.a, r)
		fillSamples(e.b, r)
		if round == 0 {
			for i := range min(len(e.a), len(specials)*len(specials)) {
				e.a[i], e.b[i] = T(specials[i%len(specials)]), T(specials[i/len(specials)])
			}
		}
		require.NoError(t, e.m.Run())
		for i := range e.a {
			want := reference(e.code, float64(e.a[i]), float64(e.b[i]))
			if u := ulps(e.y[i], want); u > worst {
				worst, at = u, fmt.Sprintf("a=%v b=%v got %v want %v", e.a[i], e.b[i], e.y[i], want)
			}
		}
	}
	return worst, at
}

// reference is the code in float64 by the Go library.
func reference(c Code, a, b float64) float64 {
	x, y, z := []float64{a}, []float64{b}, []float64{0}
	o := operands{inst: &Inst{Op: c}, dst: words(z), a: words(x), b: words(y)}
	interpTable[c].f64(o)(1)
	return math.Float64frombits(o.dst[0])
}

func words(x []float64) []uint64 { return []uint64{math.Float64bits(x[0])} }

func elementaries() []Code {
	var out []Code
	for c := Code(0); c < numCodes; c++ {
		if c.Elementary() {
			out = append(out, c)
		}
	}
	return out
}

func TestElementaryF32(t *testing.T) {
	for _, target := range []Target{{}, {Spells: primitive}} {
		for _, c := range elementaries() {
			e := newExpansion[float32](t, c, target, 4096)
			worst, at := e.worst(t, 40)
			assert.LessOrEqual(t, worst, 2.0, "%s: %s", c, at)
			t.Logf("%-8s %4d instructions, %.2f ulp (%s)", c, len(e.m.bound.Kernel.Steps[0].Nest.Insts), worst, at)
		}
	}
}

// correctF64 reads testdata/elementary/f64.txt: triples of operands and the
// correctly rounded result, by code. The Go library is no reference here: it is
// off by thousands of ulp for log2, asin and acos near 1.
func correctF64(t *testing.T) map[string][][3]float64 {
	t.Helper()
	text, err := os.ReadFile("testdata/elementary/f64.txt")
	require.NoError(t, err)
	out := map[string][][3]float64{}
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		var name string
		var a, b, y uint64
		_, err := fmt.Sscanf(line, "%s %x %x %x", &name, &a, &b, &y)
		require.NoError(t, err, line)
		out[name] = append(out[name], [3]float64{math.Float64frombits(a), math.Float64frombits(b), math.Float64frombits(y)})
	}
	return out
}

func TestElementaryF64(t *testing.T) {
	all := correctF64(t)
	for _, c := range elementaries() {
		rows := all[c.String()]
		require.NotEmpty(t, rows, "%s has no reference values", c)
		for _, target := range []Target{{}, {Spells: primitive}} {
			e := newExpansion[float64](t, c, target, len(rows))
			for i, r := range rows {
				e.a[i], e.b[i] = r[0], r[1]
			}
			require.NoError(t, e.m.Run())
			worst, at := 0.0, ""
			for i, r := range rows {
				if u := ulps(e.y[i], r[2]); u > worst {
					worst, at = u, fmt.Sprintf("a=%v b=%v got %v want %v", r[0], r[1], e.y[i], r[2])
				}
			}
			assert.LessOrEqual(t, worst, 4.0, "%s: %s", c, at)
			t.Logf("%-8s %4d instructions, %.2f ulp (%s)", c, len(e.m.bound.Kernel.Steps[0].Nest.Insts), worst, at)
		}
	}
}

// Values at which only the sign, a zero, an infinity or a NaN is at stake.
func TestElementaryF64Specials(t *testing.T) {
	inf, nan, neg0 := math.Inf(1), math.NaN(), math.Copysign(0, -1)
	for _, r := range []struct {
		code       Code
		a, b, want float64
	}{
		{Exp, inf, 0, inf}, {Exp, -inf, 0, 0}, {Exp, nan, 0, nan}, {Exp2, inf, 0, inf}, {Exp2, -inf, 0, 0},
		{Expm1, neg0, 0, neg0}, {Expm1, -inf, 0, -1}, {Expm1, inf, 0, inf}, {Expm1, nan, 0, nan},
		{Log, 0, 0, -inf}, {Log, neg0, 0, -inf}, {Log, -1, 0, nan}, {Log, inf, 0, inf}, {Log, -inf, 0, nan}, {Log, nan, 0, nan},
		{Log2, 0, 0, -inf}, {Log2, 8, 0, 3}, {Log2, 0x1p-1074, 0, -1074}, {Log2, inf, 0, inf}, {Log2, nan, 0, nan},
		{Log1p, neg0, 0, neg0}, {Log1p, -1, 0, -inf}, {Log1p, -2, 0, nan}, {Log1p, inf, 0, inf}, {Log1p, nan, 0, nan},
		{Asin, neg0, 0, neg0}, {Asin, 2, 0, nan}, {Asin, nan, 0, nan}, {Acos, 1, 0, 0}, {Acos, -1, 0, math.Pi}, {Acos, 2, 0, nan},
		{Atan, inf, 0, math.Pi / 2}, {Atan, -inf, 0, -math.Pi / 2}, {Atan, neg0, 0, neg0}, {Atan, nan, 0, nan},
		{Atan2, 0, 1, 0}, {Atan2, neg0, 1, neg0}, {Atan2, 0, neg0, math.Pi}, {Atan2, neg0, neg0, -math.Pi}, {Atan2, 0, 0, 0},
		{Atan2, inf, inf, math.Pi / 4}, {Atan2, inf, -inf, 3 * math.Pi / 4}, {Atan2, 1, inf, 0}, {Atan2, 1, -inf, math.Pi},
		{Atan2, inf, 3, math.Pi / 2}, {Atan2, nan, 1, nan}, {Atan2, 1, nan, nan}, {Atan2, nan, nan, nan},
		{Sinh, inf, 0, inf}, {Sinh, -inf, 0, -inf}, {Sinh, neg0, 0, neg0}, {Sinh, nan, 0, nan}, {Cosh, -inf, 0, inf}, {Cosh, 0, 0, 1}, {Cosh, nan, 0, nan},
		{Tanh, inf, 0, 1}, {Tanh, -inf, 0, -1}, {Tanh, neg0, 0, neg0}, {Tanh, nan, 0, nan},
		{Sigmoid, inf, 0, 1}, {Sigmoid, -inf, 0, 0}, {Sigmoid, 0, 0, 0.5}, {Sigmoid, nan, 0, nan},
		{Erf, inf, 0, 1}, {Erf, -inf, 0, -1}, {Erf, neg0, 0, neg0}, {Erf, nan, 0, nan},
		{Rsqrt, 0, 0, inf}, {Rsqrt, neg0, 0, -inf}, {Rsqrt, inf, 0, 0}, {Rsqrt, -1, 0, nan},
		{Sin, inf, 0, nan}, {Cos, -inf, 0, nan}, {Tan, inf, 0, nan}, {Sin, nan, 0, nan}, {Sin, neg0, 0, neg0}, {Tan, neg0, 0, neg0}, {Cos, 0, 0, 1},
		{Cbrt, neg0, 0, neg0}, {Cbrt, -inf, 0, -inf}, {Cbrt, -27, 0, -3}, {Cbrt, nan, 0, nan},
	} {
		e := newExpansion[float64](t, r.code, Target{}, 1)
		e.a[0], e.b[0] = r.a, r.b
		require.NoError(t, e.m.Run())
		assert.Zero(t, ulps(e.y[0], r.want), "%s(%v, %v) = %v, want %v", r.code, r.a, r.b, e.y[0], r.want)
	}
}

// Where the Go library's power is a zero, one, infinity or NaN, so is ours.
func TestPowF64Specials(t *testing.T) {
	n := len(specials) * len(specials)
	e := newExpansion[float64](t, Pow, Target{}, n)
	for i := range n {
		e.a[i], e.b[i] = specials[i%len(specials)], specials[i/len(specials)]
	}
	require.NoError(t, e.m.Run())
	checked := 0
	for i := range n {
		want := math.Pow(e.a[i], e.b[i])
		if want == 0 || math.Abs(want) == 1 || math.IsInf(want, 0) || math.IsNaN(want) {
			checked++
			assert.Zero(t, ulps(e.y[i], want), "pow(%v, %v) = %v, want %v", e.a[i], e.b[i], e.y[i], want)
		}
	}
	require.Greater(t, checked, 100)
}
