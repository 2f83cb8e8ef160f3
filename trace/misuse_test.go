package trace_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/ir"
	"jitc/ir/call"
	"jitc/ir/dim"
	"jitc/ir/tensor"
	"jitc/trace"
)

// symbolic is a trace for x0: f32[B,4] at B = 3 and x1: f32[C,4] at C = 3.
func symbolic() trace.Spec {
	b, c, four := dim.Sym("B"), dim.Sym("C"), dim.Const(4)
	return trace.Spec{Name: "f", Inputs: []trace.Input{
		{Path: "x0", DType: tensor.F32, Sizes: []dim.Expr{b, four}, Hint: []int{3, 4}},
		{Path: "x1", DType: tensor.F32, Sizes: []dim.Expr{c, four}, Hint: []int{3, 4}},
	}}
}

func recordErr(spec trace.Spec, fn traced) error {
	_, err := trace.Record(spec, func(in []*trace.Tensor, _ []any) ([]*trace.Tensor, error) {
		return []*trace.Tensor{fn(in)}, nil
	})
	return err
}

func TestErrorsNameTheLine(t *testing.T) {
	strict := symbolic()
	strict.Strict = map[string]string{"B": "dynamic x0[0]"}
	unbacked := symbolic()
	unbacked.Hints = map[string]int64{"C": 3}
	cases := []struct {
		name string
		spec trace.Spec
		fn   traced
		want string
	}{
		{"a type rule", symbolic(), func(x []*trace.Tensor) *trace.Tensor { return x[0].MatMul(x[1]) }, `misuse_test.go:LINE: MatMul: inner dimensions differ
  expected  4 == C
  got       f32[B,4] x f32[C,4]
  hint      transpose the second operand: Transpose(-1, -2)`},
		{"broadcasting", symbolic(), func(x []*trace.Tensor) *trace.Tensor { return x[0].Add(x[1].Slice(0, 0, 2)) }, `misuse_test.go:LINE: Add: shapes do not broadcast
  expected  sizes that are equal, or 1, from the last axis on
  got       f32[B,4] x f32[2,4]
  hint      align the axes with Unsqueeze or Reshape`},
		{"axis", symbolic(), func(x []*trace.Tensor) *trace.Tensor { return x[0].Sum(2) }, `misuse_test.go:LINE: Sum: axis out of range
  expected  -2 to 1
  got       2`},
		{"a strict symbol", strict, func(x []*trace.Tensor) *trace.Tensor { return x[0].Reshape(x[0].Shape()[0] * 4) }, `misuse_test.go:LINE: Shape: specialises B to 3: B was asked for its integer value
  expected  a program for every B, as marked: dynamic x0[0]
  got       one for B == 3
  hint      use Size or Sizes instead of Shape, or mark it maybe-dynamic or static`},
		{"a strict symbol by an op", strict, func(x []*trace.Tensor) *trace.Tensor { return x[0].Add(trace.Ones(tensor.F32, 3, 4)) }, `misuse_test.go:LINE: Add: specialises B to 3: sizes of the operands are equal
  expected  a program for every B, as marked: dynamic x0[0]
  got       one for B == 3
  hint      keep it symbolic, or mark it maybe-dynamic or static`},
		{"an unbacked symbol", unbacked, func(x []*trace.Tensor) *trace.Tensor { return x[0].Add(x[1]) }, `misuse_test.go:LINE: Add: the trace would have to decide B == C, which no size at hand may
  got       no value at hand of B
  hint      the size comes from data or is marked unbacked: state what is known of it with InRange`},
		{"data", symbolic(), func(x []*trace.Tensor) *trace.Tensor {
			if ok, _ := x[0].Sum().Gt(0).Bool(); ok { // LINE
				return x[0]
			}
			return x[1]
		}, `misuse_test.go:LINE: Bool: a traced tensor has no elements: the trace holds for all inputs
  expected  a tensor outside a trace
  got       bool[] (gt of misuse_test.go:LINE)
  hint      to decide by its value use Cond, While, Scan or Select; for a size that data decides, Item`},
		{"a panic", symbolic(), func(x []*trace.Tensor) *trace.Tensor { return x[5] }, `misuse_test.go:LINE: panic: runtime error: index out of range [5] with length 2`},
		{"nil", symbolic(), func(x []*trace.Tensor) *trace.Tensor { return x[0].Add((*trace.Tensor)(nil)) }, `misuse_test.go:LINE: a nil *Tensor`},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			err := recordErr(c.spec, c.fn)
			require.Error(t, err)
			require.Equal(t, c.want, lineNumber.ReplaceAllString(err.Error(), "misuse_test.go:LINE"))
		})
	}
}

func TestNoResults(t *testing.T) {
	for _, out := range [][]*trace.Tensor{nil, {nil}} {
		_, err := trace.Record(symbolic(), func([]*trace.Tensor, []any) ([]*trace.Tensor, error) { return out, nil })
		require.Error(t, err)
	}
	mine := errors.New("mine")
	_, err := trace.Record(symbolic(), func([]*trace.Tensor, []any) ([]*trace.Tensor, error) { return nil, mine })
	require.ErrorIs(t, err, mine)
}

func TestARecoveredMistakeStillEndsTheTrace(t *testing.T) {
	err := recordErr(symbolic(), func(x []*trace.Tensor) *trace.Tensor {
		defer func() { _ = recover() }()
		return x[0].Sum(7)
	})
	require.ErrorContains(t, err, "axis out of range")
}

func TestTensorsStayInTheirTrace(t *testing.T) {
	var leaked *trace.Tensor
	var size trace.Size
	require.NoError(t, recordErr(symbolic(), func(x []*trace.Tensor) *trace.Tensor {
		leaked, size = x[0].Exp(), x[0].Size(0)
		return x[0]
	}))
	y := leaked.Add(1)
	require.ErrorContains(t, y.Err(), "a tensor of the trace of f is used after the trace has ended")
	require.Nil(t, leaked.Host())
	assert.Equal(t, []int{3, 4}, leaked.Shape()) // the sizes it was traced with
	assert.Equal(t, 3, size.Int())
	assert.True(t, size.Equal(3))
	require.Error(t, trace.Ones(tensor.F32, size).Err())

	g := symbolic()
	g.Name = "g"
	err := recordErr(g, func(x []*trace.Tensor) *trace.Tensor { return x[0].Add(leaked) })
	require.ErrorContains(t, err, "a tensor of the trace of f, which has ended, is used in the trace of g")
	err = recordErr(symbolic(), func(x []*trace.Tensor) *trace.Tensor {
		err := recordErr(g, func(z []*trace.Tensor) *trace.Tensor { return z[0].Mul(x[0]) })
		require.ErrorContains(t, err, "a tensor of the trace of f is used in the trace of g")
		return x[0].Neg() // the outer trace goes on
	})
	require.NoError(t, err)
	err = recordErr(symbolic(), func(x []*trace.Tensor) *trace.Tensor {
		done := make(chan bool)
		go func() { x[0].Exp(); close(done) }()
		<-done
		return x[0]
	})
	require.ErrorContains(t, err, "a tensor of the trace of f is used on another goroutine")
	err = recordErr(symbolic(), func(x []*trace.Tensor) *trace.Tensor {
		var inner *trace.Tensor
		trace.Cond(x[0].Sum().Gt(0), func() *trace.Tensor { inner = x[0].Exp(); return inner }, func() *trace.Tensor { return x[0] })
		return inner.Neg()
	})
	require.ErrorContains(t, err, "a tensor of a branch or loop body is used outside of it")
}

func TestDecisionsBecomeConditions(t *testing.T) {
	cases := []struct {
		name string
		fn   func(b, c trace.Size) bool
		want []string
		is   bool
	}{
		{"known", func(b, _ trace.Size) bool { return b.Add(b).Equal(b.Mul(2)) && b.GreaterEq(0) }, nil, true},
		{"equal", func(b, c trace.Size) bool { return b.Equal(c) }, []string{"B == C"}, true},
		{"not equal", func(b, _ trace.Size) bool { return b.Equal(4) }, []string{"B != 4"}, false},
		{"less", func(b, _ trace.Size) bool { return b.Less(8) }, []string{"B <= 7"}, true},
		{"not less", func(b, _ trace.Size) bool { return b.Less(3) }, []string{"B >= 3"}, false},
		{"divisible", func(b, _ trace.Size) bool { return b.Mul(5).DivisibleBy(3) }, []string{"B % 3 == 0"}, true},
		{"asked twice", func(b, _ trace.Size) bool { return b.Greater(1) && !b.LessEq(1) && b.GreaterEq(2) }, []string{"B >= 2"}, true},
		{"specialised", func(b, _ trace.Size) bool { return b.Int() == 3 && b.Equal(3) }, []string{"B == 3"}, true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r := record(t, symbolic(), func(x []*trace.Tensor) *trace.Tensor {
				assert.Equal(t, c.is, c.fn(x[0].Size(0), x[1].Size(0)))
				return x[0]
			})
			var got []string
			for _, k := range r.Conditions {
				got = append(got, k.Constraint.String())
				assert.Equal(t, "misuse_test.go", k.Pos.File)
				assert.NotEmpty(t, k.Why)
			}
			assert.Equal(t, c.want, got)
			for _, k := range r.Conditions {
				v, known := r.F.Facts.Decide(k.Constraint)
				assert.True(t, v && known)
			}
		})
	}
}

func TestInRange(t *testing.T) {
	r := record(t, symbolic(), func(x []*trace.Tensor) *trace.Tensor {
		n := x[0].Sum().To(tensor.I64).Item().InRange(1, 9)
		assert.True(t, n.Less(10))                                       // known from what is stated
		return trace.Ones(tensor.F32, n.Add(x[0].Size(0).InRange(2, 5))) // a guard: the size at hand is of an argument
	})
	require.Len(t, r.Conditions, 2)
	assert.Equal(t, "B >= 2", r.Conditions[0].Constraint.String())
	require.Contains(t, r.F.String(), "u0 in [1, 9]")
	three := tensor.Of([]int{1, 4}, make([]float32, 4)...)
	_, err := ir.Eval(r.F, []*tensor.Tensor{tensor.New(tensor.F32, 2, 4), three}, nil)
	require.ErrorContains(t, err, "u0") // 0 is not in [1, 9]: noticed when it runs
	err = recordErr(symbolic(), func(x []*trace.Tensor) *trace.Tensor { x[0].Size(0).InRange(4, 5); return x[0] })
	require.ErrorContains(t, err, "InRange: the size at hand breaks what is stated")
	err = recordErr(symbolic(), func(x []*trace.Tensor) *trace.Tensor { x[0].Nonzero().Size(0).Less(3); return x[0] })
	require.ErrorContains(t, err, "no value at hand of u0")
	err = recordErr(symbolic(), func(x []*trace.Tensor) *trace.Tensor { x[0].Nonzero().Shape(); return x[0] })
	require.ErrorContains(t, err, "Shape: the trace would have to decide the value of u0")
}

func TestParametersHaveTheirOwnNames(t *testing.T) {
	spec := trace.Spec{}
	for _, path := range []string{"0.Layers[2].W", "0.Layers.2.W", "x[\"w\"]", "", "-"} {
		spec.Inputs = append(spec.Inputs, trace.Input{Path: path, DType: tensor.F32})
	}
	r := record(t, spec, func(x []*trace.Tensor) *trace.Tensor { return x[0].Add(trace.FromHost(tensor.New(tensor.F32))) })
	require.Contains(t, r.F.String(), "func @traced(\n    %arg0.Layers.2.W: f32[],\n    %arg0.Layers.2.W.2: f32[],\n    %x.w: f32[],\n    %0: f32[],\n    %1: f32[],\n    %captured.0: f32[],\n)")
}

func TestScalarArguments(t *testing.T) {
	spec := symbolic()
	spec.Scalars = []trace.ScalarSpec{
		{Path: "n", Kind: size, Value: intConst(2), Sym: "N"}, {Path: "k", Kind: size, Value: intConst(5)},
		{Path: "rate", Kind: real, Value: floatConst(0.5), Input: true}, {Path: "eps", Kind: real, Value: floatConst(0.25)},
		{Path: "unused", Kind: size, Value: intConst(7)},
	}
	r, err := trace.Record(spec, func(x []*trace.Tensor, s []any) ([]*trace.Tensor, error) {
		n, k, rate, eps := s[0].(trace.Int), s[1].(trace.Int), s[2].(trace.Float), s[3].(trace.Float)
		y := x[0].Slice(0, 0, n).Mul(rate).Add(eps)
		return []*trace.Tensor{y.Mul(n).Add(k), trace.Zeros(tensor.F32, n, k.Value())}, nil
	})
	require.NoError(t, err)
	require.Equal(t, []bool{true, true, true, true, false}, r.Used)
	require.Equal(t, `func @f(%x0: f32[B,4], %x1: f32[C,4], %rate: f64[]) -> (f32[N,4], f32[N,5])
    where B >= 0, C >= 0, N >= 0, N <= B {
  %0: f32[N,4] = slice(%x0) {limits=[N, 4], starts=[0, 0]}
  %1: f32[] = cast(%rate)
  %2: f32[N,4] = broadcast(%1) {axes=[]}
  %3: f32[N,4] = mul(%0, %2)
  %4: f32[N,4] = constant() {value=0.25}
  %5: f32[N,4] = add(%3, %4)
  %6: i64[] = size() {of=[N]}
  %7: f32[] = cast(%6)
  %8: f32[N,4] = broadcast(%7) {axes=[]}
  %9: f32[N,4] = mul(%5, %8)
  %10: f32[N,4] = constant() {value=5.0}
  %11: f32[N,4] = add(%9, %10)
  %12: f32[N,5] = constant() {value=0.0}
  return %11, %12
}
`, r.F.String())
	require.Equal(t, trace.Param{Kind: trace.ParamScalar, Index: 2}, r.Params[2])
	r, err = trace.Record(spec, func(x []*trace.Tensor, s []any) ([]*trace.Tensor, error) {
		return []*trace.Tensor{x[0].Mul(s[2].(trace.Float).Value()).Add(s[0].(trace.Int).Value())}, nil
	})
	require.NoError(t, err)
	require.Len(t, r.Specialised, 1)
	assert.Equal(t, 2, r.Specialised[0].Scalar)
	require.Len(t, r.Conditions, 1)
	assert.Equal(t, "N == 2", r.Conditions[0].Constraint.String())
}

func TestVars(t *testing.T) {
	precise := trace.NewVar("precise", false)
	width := trace.NewVar("width", 3)
	fn := func(x []*trace.Tensor) *trace.Tensor {
		if first := precise.Get(); first && precise.Get() {
			return x[0].Gelu()
		}
		return x[0].GeluTanh().Mul(width.Get())
	}
	r := record(t, symbolic(), fn)
	require.Len(t, r.Vars, 2)
	assert.Equal(t, "precise", r.Vars[0].Var.Name())
	assert.Equal(t, "false", r.Vars[0].Value.Format(r.Vars[0].Var.Kind()))
	assert.Equal(t, r.Vars[1].Value, r.Vars[1].Var.Load())
	before := call.Epoch()
	precise.Set(true)
	assert.Equal(t, before+1, call.Epoch())
	assert.NotEqual(t, r.Vars[0].Value, r.Vars[0].Var.Load())
	assert.Equal(t, ir.OpGelu, record(t, symbolic(), fn).F.Values[0].Op)
	err := recordErr(symbolic(), func(x []*trace.Tensor) *trace.Tensor { precise.Set(false); return x[0] })
	require.ErrorContains(t, err, "the setting precise is changed in a traced function")
	assert.True(t, precise.Get())
	assert.Equal(t, "s", trace.NewVar("n", "s").Load().Text)
	assert.True(t, strings.HasPrefix(trace.NewVar("n", 2.5).Load().Format(trace.NewVar("n", 2.5).Kind()), "2.5"))
}

func TestCapturesOnce(t *testing.T) {
	w := trace.FromHost(f32s([]int{4}, 1, 2, 3, 4))
	same := trace.FromHost(w.Host())
	r := record(t, symbolic(), func(x []*trace.Tensor) *trace.Tensor {
		scaled := w.Mul(2) // staged, though both are at hand: w may change
		return x[0].Add(w).Mul(same).Add(scaled).Add(trace.Ones(tensor.F32, 4))
	})
	require.Equal(t, []*trace.Tensor{w}, r.Captured)
	w.Host().Bytes()
	got := eval(t, r, []*tensor.Tensor{tensor.New(tensor.F32, 1, 4), tensor.New(tensor.F32, 1, 4)})
	assert.Equal(t, []float32{4, 9, 16, 25}, tensor.Data[float32](got))
}
