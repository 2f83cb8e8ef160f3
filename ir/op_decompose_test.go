package ir

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/ir/dim"
	"jitc/ir/tensor"
)

// TestDecomposeWithSymbols builds every sample of every composite with symbols for
// its sizes: decompositions must type-check and agree for all sizes at once.
func TestDecomposeWithSymbols(t *testing.T) {
	for _, op := range Ops() {
		if !op.Composite() {
			continue
		}
		t.Run(op.String(), func(t *testing.T) {
			for _, s := range op.Row().Samples() {
				requireSymbolic(t, op, s)
			}
		})
	}
}

// requireSymbolic replaces each size but those of a filter by a symbol, one for
// all equal sizes, and compares evaluation of the parts with that of the sample.
func requireSymbolic(t *testing.T, op Op, s Sample) {
	t.Helper()
	f := NewFunc("symbolic", nil)
	b := NewBuilder(f)
	v := &Value{Op: op, Attrs: s.Attrs}
	var args []*tensor.Tensor
	for i, at := range s.Args {
		args = append(args, sampleTensor(newRand(uint64(i)), at, s.Lo, s.Hi))
		shape := slices.Clone(at.Shape)
		for a, e := range shape {
			n, _ := e.Const()
			if op != OpConvolution && n > 1 {
				shape[a] = symbolOf(n)
				require.NoError(t, f.Facts.Declare(shape[a].String(), 2, 64))
			}
		}
		v.Args = append(v.Args, f.AddParam("", at.WithShape(shape), nil))
	}
	var err error
	v.Type, err = InferType(v, f.Facts)
	require.NoError(t, err, "%s %v", argTypes(v), v.Attrs)
	r := op.Row().Decompose(b, v)
	require.NoError(t, b.Err(), "%s %v", argTypes(v), v.Attrs)
	assert.True(t, v.Type.EqualUnder(f.Facts, r.Type), "%s inferred, %s decomposed", v.Type, r.Type)
	f.Results = []*Value{r}
	got, err := Eval(f, args, nil)
	require.NoError(t, err)
	static, err := applied(op, s)
	require.NoError(t, err)
	want, err := EvalValue(static, args, nil)
	require.NoError(t, err)
	require.NoError(t, tensor.Check(got[0], want[0], tensor.Tolerance{Rel: 1e-5, Abs: 1e-6, NaNEqual: true}), "%s %v", argTypes(v), v.Attrs)
}

func newRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(11, seed)) }

// symbolOf is one symbol per size.
func symbolOf(n int64) dim.Expr { return dim.Sym(fmt.Sprintf("N%d", n)) }

// TestSizesThatDoNotFitAtRunTime: what no fact excludes is an error when it
// happens, not a panic.
func TestSizesThatDoNotFitAtRunTime(t *testing.T) {
	at := NewAttrs(Attr{"axis", int64(0)})
	cases := []struct {
		op    Op
		attrs Attrs
		args  []Type
		in    []*tensor.Tensor
		want  string
	}{
		{OpReduceWindow, NewAttrs(Attr{"op", "sum"}, Attr{"window", ints(5)}), []Type{typed(tensor.F32, "H")},
			[]*tensor.Tensor{tensor.New(tensor.F32, 1)}, "negative"},
		{OpMaxPool, NewAttrs(Attr{"window", ints(5)}, Attr{"strides", ints(1)}), []Type{typed(tensor.F32, "1", "1", "H")},
			[]*tensor.Tensor{tensor.New(tensor.F32, 1, 1, 2)}, "negative"},
		{OpGather, at, []Type{typed(tensor.F32, "H"), typed(tensor.I64)},
			[]*tensor.Tensor{tensor.New(tensor.F32, 0), tensor.Scalar(int64(0))}, "nothing to index"},
		{OpPad, NewAttrs(Attr{"low", Dims(1 << 62)}, Attr{"high", Dims(0)}), []Type{typed(tensor.F32, "H"), typed(tensor.F32)},
			[]*tensor.Tensor{tensor.New(tensor.F32, 1), tensor.Scalar(float32(0))}, "address space"},
	}
	for _, c := range cases {
		f := NewFunc("f", nil)
		b := NewBuilder(f)
		var args []*Value
		for _, a := range c.args {
			args = append(args, f.AddParam("", a, nil))
		}
		r := b.EmitAttrs(c.op, args, c.attrs)
		require.NoError(t, b.Err())
		f.Results = []*Value{r}
		_, err := Eval(f, c.in, nil)
		assert.ErrorContains(t, err, c.want, c.op)
	}
}

// TestCompositeThatNeedsAFactEvaluates: the evaluation of a composite knows its
// sizes, so it needs none of the facts that its type rule needed.
func TestCompositeThatNeedsAFactEvaluates(t *testing.T) {
	f := NewFunc("f", factsOf(t, "K == N"))
	x := f.AddParam("x", typed(tensor.F32, "2", "K"), nil)
	y := f.AddParam("y", typed(tensor.F32, "N", "1"), nil)
	b := NewBuilder(f)
	r := b.Binary(OpMatmul, x, y)
	require.NoError(t, b.Err())
	f.Results = []*Value{r}
	got, err := Eval(f, []*tensor.Tensor{tensor.Of([]int{2, 2}, float32(1), 2, 3, 4), tensor.Of([]int{2, 1}, float32(1), 10)}, nil)
	require.NoError(t, err)
	requireSame(t, got[0], tensor.Of([]int{2, 1}, float32(21), 43))
}
