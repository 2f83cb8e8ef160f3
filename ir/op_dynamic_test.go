package ir

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/ir/dim"
	"jitc/ir/tensor"
)

// evalSized evaluates the only function of a text.
func evalSized(t *testing.T, text string, sizes map[string]int64, args ...*tensor.Tensor) ([]*tensor.Tensor, error) {
	t.Helper()
	f, _, diags := Parse("in.trace", text)
	require.NoError(t, diags.Err())
	require.NoError(t, Verify(f, Surface))
	return Eval(f, args, sizes)
}

func i64s(shape []int, xs ...int64) *tensor.Tensor { return tensor.FromInts(tensor.I64, shape, xs) }

func floats32(shape []int, xs ...float64) *tensor.Tensor {
	return tensor.FromFloats(tensor.F32, shape, xs)
}

func TestDynamicOpsByHand(t *testing.T) {
	nan, negZero := math.NaN(), math.Copysign(0, -1)
	for _, c := range []struct {
		name, text string
		args       []*tensor.Tensor
		want       *tensor.Tensor
	}{
		{"nonzero of a matrix", `func @f(%x: f32[2,3]) -> i64[U,2] where U >= 0 {
  %r: i64[U,2] = nonzero(%x) {count=[U]}
  return %r
}`, []*tensor.Tensor{floats32([]int{2, 3}, 0, 1, negZero, nan, 0, -2)}, i64s([]int{3, 2}, 0, 1, 1, 0, 1, 2)},
		{"nonzero of a scalar", `func @f(%x: f32[]) -> i64[U,0] where U >= 0 {
  %r: i64[U,0] = nonzero(%x) {count=[U]}
  return %r
}`, []*tensor.Tensor{floats32(nil, 3)}, tensor.New(tensor.I64, 1, 0)},
		{"nonzero of zeros", `func @f(%x: f32[2,3]) -> i64[U,2] where U >= 0 {
  %r: i64[U,2] = nonzero(%x) {count=[U]}
  return %r
}`, []*tensor.Tensor{tensor.New(tensor.F32, 2, 3)}, tensor.New(tensor.I64, 0, 2)},
		{"repeat of rows", `func @f(%x: i64[3,2], %n: i64[3]) -> i64[U,2] where U >= 0 {
  %r: i64[U,2] = repeat(%x, %n) {axis=0, total=[U]}
  return %r
}`, []*tensor.Tensor{i64s([]int{3, 2}, 1, 2, 3, 4, 5, 6), i64s([]int{3}, 2, 0, 1)}, i64s([]int{3, 2}, 1, 2, 1, 2, 5, 6)},
		{"repeat of columns", `func @f(%x: i64[2,2], %n: i64[2]) -> i64[2,U] where U >= 0 {
  %r: i64[2,U] = repeat(%x, %n) {axis=1, total=[U]}
  return %r
}`, []*tensor.Tensor{i64s([]int{2, 2}, 1, 2, 3, 4), i64s([]int{2}, 1, 3)}, i64s([]int{2, 4}, 1, 2, 2, 2, 3, 4, 4, 4)},
		{"masked select", `func @f(%x: i64[2,2], %n: bool[2,2]) -> i64[U] where U >= 0 {
  %r: i64[U] = masked_select(%x, %n) {count=[U]}
  return %r
}`, []*tensor.Tensor{i64s([]int{2, 2}, 1, 2, 3, 4), tensor.FromInts(tensor.Bool, []int{2, 2}, []int64{0, 1, 1, 0})}, i64s([]int{2}, 2, 3)},
		{"a size as data", `func @f(%x: i64[N], %y: i64[2*M]) -> i64[] where M >= 0, N >= 0 {
  %r: i64[] = size() {of=[N - M*M]}
  return %r
}`, []*tensor.Tensor{tensor.New(tensor.I64, 5), tensor.New(tensor.I64, 6)}, i64s(nil, -4)},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := evalSized(t, c.text, nil, c.args...)
			require.NoError(t, err)
			require.NoError(t, tensor.Check(got[0], c.want, tensor.Exact))
		})
	}
}

// TestDynamicOpsOnLargeTensors compares the loops, which take eight elements at a
// time, with the definitions, in every element size and density.
func TestDynamicOpsOnLargeTensors(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for _, dt := range tensor.DTypes() {
		for _, n := range []int{0, 1, 7, 8, 9, 1000} {
			for _, every := range []int{1, 2, 40} {
				xs := make([]int64, n)
				for i := range xs {
					if rng.IntN(every) == 0 {
						xs[i] = 1 + int64(rng.IntN(3))
					}
				}
				x := tensor.Cast(i64s([]int{n}, xs...), dt)
				requireSelects(t, x, xs)
			}
		}
	}
}

// requireSelects checks the positions of the elements that xs says are not zero,
// and the elements there.
func requireSelects(t *testing.T, x *tensor.Tensor, xs []int64) {
	t.Helper()
	var at, kept []int64
	for i, v := range xs {
		if v != 0 {
			at, kept = append(at, int64(i)), append(kept, v)
		}
	}
	u := []dim.Expr{dim.Sym("U")}
	nonzero := &Value{Op: OpNonzero, Attrs: NewAttrs(Attr{"count", u}), Type: T(tensor.I64, u[0], dim.Const(1)), Args: make([]*Value, 1)}
	nonzero.Args[0] = &Value{Type: TConst(x.DType(), x.Shape()...)}
	got, err := EvalValue(nonzero, []*tensor.Tensor{x}, nil)
	require.NoError(t, err)
	require.NoError(t, tensor.Check(got[0], i64s([]int{len(at), 1}, at...), tensor.Exact))
	sel := &Value{Op: OpMaskedSelect, Attrs: nonzero.Attrs, Type: T(x.DType(), u[0])}
	got, err = EvalValue(sel, []*tensor.Tensor{x, tensor.Cast(x, tensor.Bool)}, nil)
	require.NoError(t, err)
	require.NoError(t, tensor.Check(got[0], tensor.Cast(i64s([]int{len(kept)}, kept...), x.DType()), tensor.Exact))
}

func TestSizesFromDataAreChecked(t *testing.T) {
	const text = `func @f(%n: i64[], %x: f32[B]) -> i64[]
    where B >= 0, U in [1, 8] {
  %m: i64[] = size_from(%n) {size=[U]}
  %r: i64[] = size() {of=[2*U]}
  return %r
}
`
	x := tensor.New(tensor.F32, 3)
	got, err := evalSized(t, text, nil, i64s(nil, 4), x)
	require.NoError(t, err)
	require.EqualValues(t, 8, tensor.Ints(got[0])[0])
	_, err = evalSized(t, text, nil, i64s(nil, 9), x)
	require.EqualError(t, err, "in.trace:3:3: size_from: the size U: expected U in [1, 8], got U = 9")
	_, err = evalSized(t, text, map[string]int64{"U": 3}, i64s(nil, 4), x)
	require.EqualError(t, err, "a value for a size that the program finds itself: expected none for U, got U = 3 (size_from at in.trace:3:3 defines it)")

	const derived = `func @f(%n: i64[]) -> f32[T]
    where U >= 1, T == 2*U {
  %m: i64[] = size_from(%n) {size=[U]}
  %z: f32[T] = constant() {value=0.0}
  return %z
}
`
	_, err = evalSized(t, derived, nil, i64s(nil, 4))
	require.EqualError(t, err, "no value for the size T (no parameter's shape gives it: name a value)")
	got, err = evalSized(t, derived, map[string]int64{"T": 8}, i64s(nil, 4))
	require.NoError(t, err)
	require.Equal(t, []int{8}, got[0].Shape())

	const repeat = `func @f(%x: f32[3], %n: i64[3]) -> f32[U] where U >= 0 {
  %r: f32[U] = repeat(%x, %n) {axis=0, total=[U]}
  return %r
}
`
	_, err = evalSized(t, repeat, nil, x, i64s([]int{3}, 1, -2, 3))
	require.EqualError(t, err, "in.trace:2:3: repeat: the size U: expected counts >= 0, got counts[1] = -2")
	_, err = evalSized(t, repeat, nil, x, i64s([]int{3}, 1, math.MaxInt64, 3))
	require.ErrorContains(t, err, "fits 64 bits")
	_, err = evalSized(t, repeat, nil, x, i64s([]int{3}, 1, 1<<61, 3))
	require.ErrorContains(t, err, "repeat: ", "too large to allocate")
	got, err = evalSized(t, repeat, nil, x, i64s([]int{3}, 0, 0, 0))
	require.NoError(t, err)
	require.Equal(t, []int{0}, got[0].Shape())
}

// TestFactsOfLateSizes: a fact is checked once all its symbols have values.
func TestFactsOfLateSizes(t *testing.T) {
	const text = `func @f(%n: i64[], %m: i64[], %x: f32[B]) -> i64[]
    where B >= 0, U >= 0, V >= 0, V == U + B {
  %0: i64[] = size_from(%n) {size=[U]}
  %1: i64[] = size_from(%m) {size=[V]}
  %r: i64[] = add(%0, %1)
  return %r
}
`
	x := tensor.New(tensor.F32, 3)
	_, err := evalSized(t, text, nil, i64s(nil, 2), i64s(nil, 5), x)
	require.NoError(t, err)
	_, err = evalSized(t, text, nil, i64s(nil, 2), i64s(nil, 6), x)
	var de *DefineError
	require.ErrorAs(t, err, &de)
	assert.Equal(t, "V", de.Sym)
	assert.Equal(t, OpSizeFrom, de.V.Op)
	assert.Equal(t, 4, de.V.Pos.Line)
}

// TestRelationsOfLateSizes: relations name no symbol of their own.
func TestRelationsOfLateSizes(t *testing.T) {
	const text = `func @f(%n: i64[], %m: i64[], %x: f32[B]) -> i64[]
    where B >= 0, U >= 0, V >= 0, U <= B, U + V <= 2*B {
  %0: i64[] = size_from(%n) {size=[U]}
  %1: i64[] = size_from(%m) {size=[V]}
  %r: i64[] = add(%0, %1)
  return %r
}
`
	x := tensor.New(tensor.F32, 3)
	_, err := evalSized(t, text, nil, i64s(nil, 3), i64s(nil, 3), x)
	require.NoError(t, err)
	_, err = evalSized(t, text, nil, i64s(nil, 4), i64s(nil, 0), x)
	require.EqualError(t, err, "in.trace:3:3: size_from: the size U: expected U <= B, got U = 4 with B = 3")
	_, err = evalSized(t, text, nil, i64s(nil, 3), i64s(nil, 4), x)
	require.EqualError(t, err, "in.trace:4:3: size_from: the size V: expected U + V <= 2*B, got V = 4 with B = 3")
}

func TestVerifyFindsMisplacedSymbols(t *testing.T) {
	build := func() *Func {
		f, _, diags := Parse("late.trace", `func @f(%x: f32[4], %s: f32[], %p: bool[]) -> f32[U]
    where U >= 0 {
  %a: i64[U,1] = nonzero(%x) {count=[U]}
  %b: f32[U] = broadcast(%s) {axes=[]}
  %c: f32[U] = cond(%p, %b) func(%y: f32[U]) -> f32[U] {
    return %y
  } func(%y: f32[U]) -> f32[U] {
    %z: f32[U] = neg(%y)
    return %z
  }
  return %c
}
`)
		require.NoError(t, diags.Err())
		require.NoError(t, Verify(f, Surface))
		return f
	}
	for _, c := range []struct {
		name  string
		spoil func(f *Func)
		want  string
	}{
		{"above", func(f *Func) { f.Values[0], f.Values[1] = f.Values[1], f.Values[0] }, "symbol U above its definition by nonzero at late.trace:3:3"},
		{"in a parameter", func(f *Func) { f.AddParam("q", T(tensor.F32, dim.Sym("U")), nil) }, "symbol U above its definition"},
		{"twice", func(f *Func) {
			again := *f.Values[0]
			again.ID = f.NumIDs
			f.NumIDs++
			f.Values = append(f.Values, &again)
		}, "defines the symbol U, which late.trace:3:3 defines too"},
		{"within a body", func(f *Func) {
			body := f.Values[2].Bodies[1]
			v := *f.Values[0]
			v.ID, v.Args = body.NumIDs, body.Params
			body.NumIDs++
			body.Values = append(body.Values, &v)
		}, "within a body"},
		{"no symbol", func(f *Func) { f.Values[0].Attrs = f.Values[0].Attrs.With("count", Dims(4)) }, "count must name the symbol"},
		{"wrong kind", func(f *Func) { f.Values[0].Attrs = f.Values[0].Attrs.With("count", int64(4)) }, "has the wrong kind"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := build()
			c.spoil(f)
			require.ErrorContains(t, Verify(f, Surface), c.want)
		})
	}
}

func TestRestrictKeepsWhatIsKnown(t *testing.T) {
	facts := dim.NewFacts()
	for _, s := range []string{"B in [2, 8]", "U >= 0", "T == 2*B", "V == U + 1", "S % 4 == 0"} {
		require.NoError(t, facts.ParseFact(s))
	}
	r := Restrict(facts, func(sym string) bool { return sym != "U" })
	assert.NotContains(t, r.Syms(), "U")
	assert.True(t, r.Equal(dim.Sym("T"), dim.Sym("B").Mul(dim.Const(2))))
	assert.True(t, r.Divides(4, dim.Sym("S")))
	lo, _ := r.Range(dim.Sym("V"))
	assert.EqualValues(t, 1, lo, "implied by a fact that is gone")
	assert.Contains(t, facts.Syms(), "U", "the facts given are left alone")
}
