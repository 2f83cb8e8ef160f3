package ir

import (
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/ir/tensor"
)

// defineDot sums over every assignment of the contracted axes.
func defineDot(c call, index []int) float64 {
	x, y := c.args[0], c.args[1]
	xb, yb := c.ints("lhs_batch", 0, 0), c.ints("rhs_batch", 0, 0)
	xc, yc := c.ints("lhs_contract", 0, 0), c.ints("rhs_contract", 0, 0)
	var sizes []int
	for _, a := range xc {
		sizes = append(sizes, x.shape[a])
	}
	sum := 0.0
	for _, k := range indices(sizes) {
		rest := index[len(xb):]
		place := func(rank int, batch, contract []int) []int {
			at := make([]int, rank)
			for a := range at {
				if i := slices.Index(batch, a); i >= 0 {
					at[a] = index[i]
				} else if i := slices.Index(contract, a); i >= 0 {
					at[a] = k[i]
				} else {
					at[a], rest = rest[0], rest[1:]
				}
			}
			return at
		}
		i := place(len(x.shape), xb, xc)
		j := place(len(y.shape), yb, yc)
		sum += x.get(i...) * y.get(j...)
	}
	return sum
}

func defineConvolution(c call, index []int) float64 {
	x, w, n := c.args[0], c.args[1], len(c.args[0].shape)-2
	strides, low, dilation := c.ints("strides", n, 1), c.ints("padding_low", n, 0), c.ints("dilation", n, 1)
	group := index[1] / (w.shape[0] / c.int("groups", 1))
	sum := 0.0
	for _, k := range indices(w.shape[1:]) {
		from := []int{index[0], group*w.shape[1] + k[0]}
		for i := range n {
			from = append(from, index[2+i]*strides[i]+k[1+i]*dilation[i]-low[i])
		}
		v, _ := x.at(from...)
		sum += v * w.get(append([]int{index[1]}, k...)...)
	}
	return sum
}

// windowAt lists the elements of the window at index; padding is left out.
func (c call) windowAt(index, window, strides, low, dilation []int) []float64 {
	var out []float64
	for _, k := range indices(window) {
		from := make([]int, len(index))
		for i := range from {
			from[i] = index[i]*strides[i] + k[i]*dilation[i] - low[i]
		}
		if x, ok := c.args[0].at(from...); ok {
			out = append(out, x)
		}
	}
	return out
}

func defineReduceWindow(c call, index []int) float64 {
	n := len(index)
	xs := c.windowAt(index, c.ints("window", n, 0), c.ints("strides", n, 1), c.ints("padding_low", n, 0), c.ints("dilation", n, 1))
	identity := map[string]float64{"sum": 0, "max": math.Inf(-1), "min": math.Inf(1)}[c.v.Attrs.Str("op", "")]
	if c.v.Type.DType == tensor.I32 {
		identity = min(max(identity, math.MinInt32), math.MaxInt32)
	}
	for _, x := range xs {
		switch c.v.Attrs.Str("op", "") {
		case "sum":
			identity += x
		case "max":
			identity = math.Max(identity, x)
		case "min":
			identity = math.Min(identity, x)
		}
	}
	return identity
}

func TestContractDefinitions(t *testing.T) {
	requireDefinitions(t, map[Op]definition{
		OpDotGeneral: defineDot, OpConvolution: defineConvolution, OpReduceWindow: defineReduceWindow,
	}, tensor.Tolerance{Abs: 1e-12, Rel: 1e-12})
}

func contract(lhs, rhs int64, more ...Attr) Attrs {
	return NewAttrs(append(more, Attr{"lhs_contract", ints(lhs)}, Attr{"rhs_contract", ints(rhs)})...)
}

func TestDotGeneralRoundsOnce(t *testing.T) {
	// 2048 + 1 + 1 is 2050, but in f16 2048 + 1 is 2048.
	x := tensor.FromFloats(tensor.F16, []int{3}, []float64{2048, 1, 1})
	one := tensor.Fill(tensor.F16, []int{3}, 1)
	requireSame(t, evalOp(t, OpDotGeneral, contract(0, 0), x, one), tensor.FloatScalar(tensor.F16, 2050))
	// 100*100*3 leaves f16, not f32.
	big := tensor.Fill(tensor.F16, []int{30}, 100)
	requireSame(t, evalOp(t, OpDotGeneral, contract(0, 0, Attr{"dtype", tensor.F32}), big, big), tensor.FloatScalar(tensor.F32, 300000))
	requireSame(t, evalOp(t, OpDotGeneral, contract(0, 0), big, big), tensor.FloatScalar(tensor.F16, math.Inf(1)))
}

func TestDotGeneralOfIntegers(t *testing.T) {
	x := tensor.Of([]int{2}, int8(100), 100)
	requireSame(t, evalOp(t, OpDotGeneral, contract(0, 0, Attr{"dtype", tensor.I32}), x, x), tensor.Scalar(int32(20000)))
	requireSame(t, evalOp(t, OpDotGeneral, contract(0, 0), x, x), tensor.Scalar(int8(32))) // 20000 mod 256
	u := tensor.Of([]int{1}, uint64(1)<<63+5)
	requireSame(t, evalOp(t, OpDotGeneral, contract(0, 0), u, tensor.Of([]int{1}, uint64(3))), tensor.Scalar(uint64(1)<<63+15))
}

func TestDotGeneralPropagatesNaN(t *testing.T) {
	x := tensor.Of([]int{2, 2}, float32(math.Inf(1)), 1, 2, 3)
	y := tensor.Of([]int{2, 1}, float32(0), 1)
	requireSame(t, evalOp(t, OpDotGeneral, contract(1, 0), x, y), tensor.Of([]int{2, 1}, float32(math.NaN()), 3))
}

func TestReduceWindowIdentities(t *testing.T) {
	empty := func(op string, dt tensor.DType) *tensor.Tensor {
		return evalOp(t, OpReduceWindow, NewAttrs(Attr{"op", op}, Attr{"window", ints(1)}, Attr{"padding_low", ints(1)}),
			tensor.New(dt, 0))
	}
	requireSame(t, empty("max", tensor.F32), tensor.Of([]int{1}, float32(math.Inf(-1))))
	requireSame(t, empty("min", tensor.F8E4M3), tensor.FromFloats(tensor.F8E4M3, []int{1}, []float64{448}))
	requireSame(t, empty("max", tensor.I8), tensor.Of([]int{1}, int8(-128)))
	requireSame(t, empty("min", tensor.I64), tensor.Of([]int{1}, int64(math.MaxInt64)))
	requireSame(t, empty("min", tensor.U64), tensor.Of([]int{1}, uint64(math.MaxUint64)))
	requireSame(t, empty("max", tensor.U16), tensor.Of([]int{1}, uint16(0)))
	requireSame(t, empty("sum", tensor.I32), tensor.Of([]int{1}, int32(0)))
}

func TestReduceWindowOrdersU64AndNaN(t *testing.T) {
	pair := func(op string) Attrs { return NewAttrs(Attr{"op", op}, Attr{"window", ints(2)}) }
	u := tensor.Of([]int{2}, uint64(1)<<63, 7)
	requireSame(t, evalOp(t, OpReduceWindow, pair("max"), u), tensor.Of([]int{1}, uint64(1)<<63))
	requireSame(t, evalOp(t, OpReduceWindow, pair("min"), u), tensor.Of([]int{1}, uint64(7)))
	f := tensor.Of([]int{2}, float32(math.NaN()), 7)
	requireSame(t, evalOp(t, OpReduceWindow, pair("max"), f), tensor.Of([]int{1}, float32(math.NaN())))
}

func TestContractTypeRules(t *testing.T) {
	f32 := func(sizes ...string) Type { return typed(tensor.F32, sizes...) }
	facts := factsOf(t, "B in [1, 64]", "C == 2*B", "G % 4 == 0")
	inner := contract(1, 0)
	requireTypeRules(t, facts, []typeRuleCase{
		{OpDotGeneral, inner, []Type{f32("B", "C"), f32("2*B", "7")}, "f32[B,7]"},
		{OpDotGeneral, contract(2, 1, Attr{"lhs_batch", ints(0)}, Attr{"rhs_batch", ints(2)}, Attr{"dtype", tensor.F64}),
			[]Type{f32("B", "3", "5"), f32("7", "5", "B")}, "f64[B,3,7]"},
		{OpDotGeneral, inner, []Type{f32("32", "128"), f32("64", "10")},
			`dot_general: inner dimensions differ: expected lhs[1] == rhs[0], got f32[32,128] x f32[64,10]`},
		{OpDotGeneral, inner, []Type{f32("32", "128"), f32("64", "128")},
			`dot_general: inner dimensions differ: expected lhs[1] == rhs[0], got f32[32,128] x f32[64,128] (transpose the second operand)`},
		{OpDotGeneral, inner, []Type{f32("2", "S"), f32("T", "3")},
			`dot_general: inner dimensions differ: expected lhs[1] == rhs[0], got f32[2,S] x f32[T,3] (declare "S == T" in the where clause)`},
		{OpDotGeneral, contract(1, 0, Attr{"lhs_batch", ints(0)}), []Type{f32("2", "3"), f32("3", "2")},
			`dot_general: lhs_batch and rhs_batch differ in length: expected [0], got [] (axes go together in pairs)`},
		{OpDotGeneral, contract(1, 0, Attr{"lhs_batch", ints(1)}, Attr{"rhs_batch", ints(1)}), []Type{f32("2", "3"), f32("3", "3")},
			`dot_general: axis is both batch and contracted: expected distinct axes, got 1`},
		{OpDotGeneral, contract(1, 0, Attr{"dtype", tensor.I32}), []Type{f32("2", "3"), f32("3", "2")},
			`dot_general: the result cannot have this element type: expected one of f8e4m3, f8e5m2, f16, bf16, f32, f64, got i32 (cast the operands first)`},
		{OpDotGeneral, inner, []Type{f32("2", "3"), typed(tensor.F16, "3", "2")},
			`dot_general: operands differ in element type: expected f32, got f32[2,3] x f16[3,2] (cast the second operand to f32)`},
		{OpConvolution, NewAttrs(Attr{"padding_low", ints(1)}, Attr{"padding_high", ints(1)}, Attr{"strides", ints(2)}),
			[]Type{f32("B", "3", "2*B"), f32("16", "3", "3")}, "f32[B,16,B]"},
		{OpConvolution, NewAttrs(Attr{"groups", int64(4)}), []Type{f32("1", "G", "8"), f32("8", "G floordiv 4", "1")}, "f32[1,8,8]"},
		{OpConvolution, NewAttrs(Attr{"groups", int64(4)}), []Type{f32("1", "8", "8"), f32("6", "2", "1")},
			`convolution: groups do not divide the output channels: expected rhs[0] % 4 == 0, got f32[1,8,8] x f32[6,2,1]`},
		{OpConvolution, NewAttrs(Attr{"groups", int64(4)}), []Type{f32("1", "8", "8"), f32("B", "2", "1")},
			`convolution: groups do not divide the output channels: expected rhs[0] % 4 == 0, got f32[1,8,8] x f32[B,2,1] (declare "B % 4 == 0" in the where clause)`},
		{OpConvolution, NewAttrs(Attr{"groups", int64(4)}), []Type{f32("1", "8", "8"), f32("G", "2", "1")}, "f32[1,G,8]"},
		{OpConvolution, nil, []Type{f32("1", "3", "8"), f32("6", "2", "1")},
			`convolution: numbers of channels differ: expected lhs[1] == rhs[1], got f32[1,3,8] x f32[6,2,1]`},
		{OpConvolution, nil, []Type{f32("1", "2", "8"), f32("6", "2", "B")},
			`convolution: filter size on axis 2: expected a constant of at least 1, got f32[6,2,B]`},
		{OpReduceWindow, NewAttrs(Attr{"op", "mean"}, Attr{"window", ints(1)}), []Type{f32("4")},
			`reduce_window: attribute op has an unknown value: expected one of "max", "min", "sum", got "mean"`},
		{OpReduceWindow, NewAttrs(Attr{"op", "max"}, Attr{"window", ints(1, 2)}, Attr{"strides", ints(1, 2)}), []Type{f32("B", "C")}, "f32[B,C floordiv 2]"},
	})
}

// TestDecomposeSymbolicConvolution checks that decompositions hold for every
// size, not only for those of the samples.
func TestDecomposeSymbolicConvolution(t *testing.T) {
	f := NewFunc("conv", factsOf(t, "B in [1, 8]", "H in [8, 64]"))
	x := f.AddParam("x", typed(tensor.F32, "B", "4", "H", "H"), nil)
	w := f.AddParam("w", typed(tensor.F32, "6", "2", "3", "3"), nil)
	b := NewBuilder(f)
	attrs := NewAttrs(Attr{"groups", int64(2)}, Attr{"strides", ints(2, 2)}, Attr{"padding_low", ints(1, 1)})
	whole := b.EmitAttrs(OpConvolution, []*Value{x, w}, attrs)
	require.NoError(t, b.Err())
	parts := whole.Row().Decompose(b, whole)
	require.NoError(t, b.Err())
	require.True(t, whole.Type.EqualUnder(f.Facts, parts.Type), "%s and %s", whole.Type, parts.Type)
	f.Results = []*Value{whole, parts}
	in := func(shape ...int) *tensor.Tensor {
		v, err := tensor.Generate(tensor.Rule{Kind: "normal", Seed: 3, Std: 1}, tensor.F32, shape)
		require.NoError(t, err)
		return v
	}
	got, err := Eval(f, []*tensor.Tensor{in(3, 4, 11, 11), in(6, 2, 3, 3)}, nil)
	require.NoError(t, err)
	assert.Equal(t, []int{3, 6, 5, 5}, got[0].Shape())
	require.NoError(t, tensor.Check(got[1], got[0], tensor.Tolerance{ULP: 1, Abs: 1e-6}))
}
