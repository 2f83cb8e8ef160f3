package ir

import (
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/ir/dim"
	"jitc/ir/tensor"
)

// sampleTensor generates elements within [lo, hi); both zero: a range around zero,
// from zero for unsigned types.
func sampleTensor(rng *rand.Rand, t Type, lo, hi float64) *tensor.Tensor {
	if lo == 0 && hi == 0 {
		lo, hi = -4, 4
	}
	if t.DType.IsUnsigned() {
		lo = max(lo, 0)
	}
	shape, err := EvalShape(t.Shape, nil)
	if err != nil {
		panic(err)
	}
	n, _ := tensor.CheckedElements(shape)
	xs := make([]float64, n)
	for i := range xs {
		xs[i] = lo + (hi-lo)*rng.Float64()
	}
	if t.DType == tensor.Bool {
		for i := range xs {
			xs[i] = float64(rng.IntN(2))
		}
	}
	return tensor.FromFloats(t.DType, shape, xs)
}

// applied makes the value op(params of the sample's types), its type inferred.
func applied(op Op, s Sample) (*Value, error) {
	f := NewFunc("sample", nil)
	v := &Value{Op: op, Attrs: s.Attrs, Bodies: s.Bodies}
	for _, t := range s.Args {
		v.Args = append(v.Args, f.AddParam("", t, nil))
	}
	var err error
	v.Type, err = InferType(v, f.Facts)
	return v, err
}

// withDType replaces the first operand's element type, wherever it stands.
func (s Sample) withDType(dt tensor.DType) Sample {
	args := make([]Type, len(s.Args))
	for i, t := range s.Args {
		args[i] = t
		if t.DType == s.Args[0].DType {
			args[i] = t.WithDType(dt)
		}
	}
	s.Args = args
	return s
}

// forSamples runs check on every sample of every op, in every element type.
func forSamples(t *testing.T, check func(t *testing.T, v *Value, args []*tensor.Tensor)) {
	for _, op := range Ops() {
		row := op.Row()
		if row.Samples == nil {
			continue
		}
		t.Run(row.Name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(1, uint64(op)))
			for _, s := range row.Samples() {
				dts := []tensor.DType{tensor.Invalid}
				if len(s.Args) > 0 && len(s.Bodies) == 0 { // bodies are of one type
					dts = row.DTypes.List()
				}
				for _, dt := range dts {
					typed := s
					if dt != tensor.Invalid {
						typed = s.withDType(dt)
					}
					v, err := applied(op, typed)
					require.NoError(t, err, "%v %v", typed.Args, typed.Attrs)
					var args []*tensor.Tensor
					for _, at := range typed.Args {
						args = append(args, sampleTensor(rng, at, s.Lo, s.Hi))
					}
					check(t, v, args)
				}
			}
		})
	}
}

var snake = regexp.MustCompile(`^[a-z][a-z0-9]*(_[a-z0-9]+)*$`)

func TestRowsAreComplete(t *testing.T) {
	for _, op := range Ops() {
		row := op.Row()
		t.Run(row.Name, func(t *testing.T) {
			assert.Regexp(t, snake, row.Name)
			found, ok := OpByName(row.Name)
			assert.True(t, ok && found == op, "found by name")
			assert.True(t, strings.HasSuffix(row.Doc, "."), "doc is sentences: %q", row.Doc)
			assert.NotZero(t, row.DTypes)
			require.NotNil(t, row.Infer)
			assert.True(t, row.MaxArgs < 0 || row.MinArgs <= row.MaxArgs)
			assert.Equal(t, row.Bodies > 0, row.EvalBodies != nil, "evaluates its bodies")
			if row.Traits&(Structural|Control) != Structural {
				assert.True(t, row.Eval != nil || row.EvalBodies != nil || row.Decompose != nil, "evaluates or decomposes")
				require.NotNil(t, row.Samples)
				assert.GreaterOrEqual(t, len(row.Samples()), 3)
			}
			checkAttrSpecs(t, row)
		})
	}
}

func checkAttrSpecs(t *testing.T, row *OpRow) {
	for i := range row.Attrs {
		a := &row.Attrs[i]
		assert.Regexp(t, snake, a.Name)
		assert.NotEmpty(t, a.Doc, a.Name)
		assert.NotEmpty(t, a.Kind.String(), a.Name)
		assert.False(t, a.Required && a.Default != nil, "%s is required and has a default", a.Name)
		if a.Enum != nil {
			assert.Equal(t, KindString, a.Kind)
			if a.Default != nil {
				assert.Contains(t, a.Enum, a.Default)
			}
		}
	}
}

func TestTraitsAgreeWithArity(t *testing.T) {
	for _, op := range Ops() {
		row := op.Row()
		assert.Equal(t, row.Traits&Source != 0, row.MaxArgs == 0 && row.Traits&Structural == 0, row.Name)
		if row.Traits&Commutative != 0 {
			assert.Equal(t, 2, row.MinArgs, row.Name)
		}
	}
}

// TestSamplesEvaluate holds evaluation to the type rule, to its operands' values
// whatever their layout, and to storage of its own.
func TestSamplesEvaluate(t *testing.T) {
	forSamples(t, func(t *testing.T, v *Value, args []*tensor.Tensor) {
		strided, before := make([]*tensor.Tensor, len(args)), make([]*tensor.Tensor, len(args))
		for i, a := range args {
			strided[i], before[i] = gapped(t, a), a.Clone()
		}
		got, err := EvalValue(v, args, nil)
		require.NoError(t, err, "%s %v", argTypes(v), v.Attrs)
		require.Len(t, got, len(v.ResultTypes()))
		for i, r := range got {
			want := atSizes(t, v, args, v.ResultTypes()[i])
			assert.True(t, want.Equal(TConst(r.DType(), r.Shape()...)), "%s: %s inferred, %s%v evaluated", argTypes(v), want, r.DType(), r.Shape())
		}
		r := got[0]
		for i, a := range args {
			requireSame(t, a, before[i])
			if !v.Is(Control) && r.NumElements() > 0 && a.NumElements() > 0 {
				assert.NotSame(t, &a.Base()[0], &r.Base()[0], "shares storage with operand %d", i)
			}
		}
		again, err := EvalValue(v, strided, nil)
		require.NoError(t, err)
		for i := range got {
			requireSame(t, again[i], got[i])
		}
	})
}

// atSizes is a type with the sizes that v defines when applied to args.
func atSizes(t *testing.T, v *Value, args []*tensor.Tensor, ty Type) Type {
	t.Helper()
	sizes := map[string]int64{}
	require.NoError(t, Define(v, args, sizes))
	shape, err := EvalShape(ty.Shape, sizes)
	require.NoError(t, err)
	return TConst(ty.DType, shape...)
}

// gapped is a with its axes in reverse order in memory, backwards, with gaps.
func gapped(t *testing.T, a *tensor.Tensor) *tensor.Tensor {
	strides, step := make([]int, a.Rank()), 2
	for i, n := range a.Shape() {
		strides[i] = -step
		step *= max(n, 1)
	}
	s, err := tensor.Strided(a.DType(), a.Shape(), strides)
	require.NoError(t, err)
	require.NoError(t, s.CopyFrom(a))
	return s
}

func requireSame(t *testing.T, got, want *tensor.Tensor) {
	t.Helper()
	require.NoError(t, tensor.Check(got, want, tensor.Tolerance{NaNEqual: true, SignZero: true}))
}

// tolerances of a decomposition, which rounds once per step in narrow types.
func decompositionTolerance(dt tensor.DType) tensor.Tolerance {
	rel := map[tensor.DType]float64{tensor.F64: 1e-12, tensor.F32: 2e-5, tensor.F16: 2e-2, tensor.BF16: 0.1,
		tensor.F8E4M3: 0.5, tensor.F8E5M2: 1}[dt]
	return tensor.Tolerance{Abs: rel, Rel: rel, NaNEqual: true}
}

func TestDecompositionsAgree(t *testing.T) {
	forSamples(t, func(t *testing.T, v *Value, args []*tensor.Tensor) {
		row := v.Row()
		if row.Decompose == nil {
			return
		}
		f, err := DecomposeValue(v)
		require.NoError(t, err, "%s %v", argTypes(v), v.Attrs)
		require.True(t, v.Type.EqualUnder(f.Facts, f.Results[0].Type), "%s inferred, %s decomposed", v.Type, f.Results[0].Type)
		for _, part := range f.Values {
			require.NotEqual(t, v.Op, part.Op, "decomposes into itself")
		}
		if row.Eval == nil {
			return
		}
		want, err := EvalValue(v, args, nil)
		require.NoError(t, err)
		got, err := Eval(f, args, nil)
		require.NoError(t, err)
		require.NoError(t, tensor.Check(got[0], want[0], decompositionTolerance(v.Type.DType)), "%s %v", argTypes(v), v.Attrs)
	})
}

// hostileAttrs are values of each kind that no op expects.
var hostileAttrs = map[AttrKind][]any{
	KindInt:    {int64(-1), int64(1 << 62), int64(-1 << 63)},
	KindFloat:  {-1.0, 1e308},
	KindBool:   {true, false},
	KindString: {"", "?"},
	KindInts: {[]int64(nil), []int64{}, []int64{-1}, []int64{0, 0}, []int64{1 << 62, 1 << 62}, []int64{-1 << 63},
		[]int64{0, 1, 2, 3, 4, 5, 6, 7}, []int64{0}, []int64{0, 0, 0}, []int64{-1, -1}},
	KindDims: {[]dim.Expr(nil), Dims(-1), Dims(1<<62, 1<<62), Dims(0), Dims(5, 5, 5, 5, 5, 5), []dim.Expr{dim.Sym("Q")},
		[]dim.Expr{dim.Sym("1")}, []dim.Expr{dim.Sym("Q"), dim.Sym("Q").Neg()}, Dims(-1<<63, 3)},
	KindDType:  {tensor.Invalid, tensor.Bool, tensor.F8E4M3, tensor.DType(31), tensor.DType(200)},
	KindTensor: {tensor.Arange(tensor.F32, 3), (*tensor.Tensor)(nil)},
	KindNumber: {int64(-1), 1e300, true},
}

// TestHostileAttributes replaces each attribute of each sample: the type rule
// accepts or gives an *OpError, and what it accepts evaluates or gives an error.
func TestHostileAttributes(t *testing.T) {
	for _, op := range Ops() {
		row := op.Row()
		if row.Samples == nil {
			continue
		}
		t.Run(row.Name, func(t *testing.T) {
			for _, s := range row.Samples() {
				for i := range row.Attrs {
					for _, bad := range hostileAttrs[row.Attrs[i].Kind] {
						s := s
						s.Attrs = s.Attrs.With(row.Attrs[i].Name, bad)
						requireSound(t, op, s)
					}
				}
			}
		})
	}
}

// TestHostileOperands applies each op to operands of every sort.
func TestHostileOperands(t *testing.T) {
	sorts := []Type{TConst(tensor.F32), TConst(tensor.Bool, 3), TConst(tensor.I32, 0), TConst(tensor.F16, 2, 3),
		T(tensor.F32, dim.Sym("B"), dim.Sym("C")), TConst(tensor.U8, 1, 1, 1, 1), TConst(tensor.I64, 2, 2, 2)}
	for _, op := range Ops() {
		row := op.Row()
		if row.Samples == nil {
			continue
		}
		t.Run(row.Name, func(t *testing.T) {
			for _, s := range row.Samples() {
				for i := range s.Args {
					for _, sort := range sorts {
						s := s
						s.Args = append([]Type(nil), s.Args...)
						s.Args[i] = sort
						requireSound(t, op, s)
					}
				}
			}
		})
	}
}

func requireSound(t *testing.T, op Op, s Sample) {
	t.Helper()
	var v *Value
	var err error
	require.NotPanics(t, func() { v, err = applied(op, s) }, "%v %v", s.Args, s.Attrs)
	if err != nil {
		var oe *OpError
		require.ErrorAs(t, err, &oe)
		require.NotEmpty(t, oe.What)
		return
	}
	require.True(t, v.Type.IsValid())
	if !v.Type.IsStatic() {
		return
	}
	for _, d := range v.Type.Shape {
		if n, _ := d.Const(); n > 1000 {
			return // accepted as a type, too large to evaluate here
		}
	}
	for _, a := range v.Args {
		if !a.Type.IsStatic() {
			return
		}
	}
	rng := rand.New(rand.NewPCG(2, 3))
	var args []*tensor.Tensor
	for _, at := range s.Args {
		args = append(args, sampleTensor(rng, at, s.Lo, s.Hi))
	}
	require.NotPanics(t, func() { _, err = EvalValue(v, args, nil) }, "%v %v", s.Args, s.Attrs)
}
