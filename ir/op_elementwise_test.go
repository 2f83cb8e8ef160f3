package ir

import (
	"fmt"
	"math"
	"math/big"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/ir/dim"
	"jitc/ir/tensor"
)

// evalOp applies an op to tensors.
func evalOp(t *testing.T, op Op, attrs Attrs, args ...*tensor.Tensor) *tensor.Tensor {
	t.Helper()
	s := Sample{Attrs: attrs}
	for _, a := range args {
		s.Args = append(s.Args, TConst(a.DType(), a.Shape()...))
	}
	v, err := applied(op, s)
	require.NoError(t, err)
	out, err := EvalValue(v, args, nil)
	require.NoError(t, err)
	return out[0]
}

// inferOp gives the type rule's verdict on operand types in text: "f32[B,4]".
func inferOp(op Op, facts *dim.Facts, attrs Attrs, args ...Type) (Type, error) {
	f := NewFunc("infer", facts)
	v := &Value{Op: op, Attrs: attrs}
	for _, a := range args {
		v.Args = append(v.Args, f.AddParam("", a, nil))
	}
	return InferType(v, f.Facts)
}

// typed makes a type of sizes in text: typed(tensor.F32, "B", "2*C").
func typed(dt tensor.DType, sizes ...string) Type { return T(dt, exprs(sizes...)...) }

func exprs(sizes ...string) []dim.Expr {
	es := []dim.Expr{}
	for _, s := range sizes {
		e, err := dim.Parse(s)
		if err != nil {
			panic(err)
		}
		es = append(es, e)
	}
	return es
}

func factsOf(t *testing.T, facts ...string) *dim.Facts {
	t.Helper()
	f := dim.NewFacts()
	for _, s := range facts {
		require.NoError(t, f.ParseFact(s))
	}
	return f
}

var (
	nan  = math.NaN()
	inf  = math.Inf(1)
	ninf = math.Inf(-1)
	nzro = math.Copysign(0, -1)
)

// TestUnaryValues states values computed by hand, or taken to 17 digits from
// tables, for every op of one operand; f64 within 2 ulp, other types their rounding.
func TestUnaryValues(t *testing.T) {
	cases := map[Op][][2]float64{
		OpNeg:     {{1, -1}, {nzro, 0}, {0, nzro}, {inf, ninf}, {nan, nan}},
		OpAbs:     {{-1.5, 1.5}, {nzro, 0}, {ninf, inf}, {nan, nan}},
		OpSign:    {{-3, -1}, {2, 1}, {0, 0}, {nzro, nzro}, {nan, nan}, {ninf, -1}},
		OpFloor:   {{1.5, 1}, {-1.5, -2}, {nzro, nzro}, {inf, inf}},
		OpCeil:    {{1.5, 2}, {-1.5, -1}, {-0.5, nzro}},
		OpRound:   {{0.5, 0}, {1.5, 2}, {2.5, 2}, {-0.5, nzro}, {-1.5, -2}, {3.25, 3}},
		OpTrunc:   {{1.75, 1}, {-1.75, -1}, {-0.5, nzro}},
		OpSqrt:    {{4, 2}, {2, 1.4142135623730951}, {-1, nan}, {nzro, nzro}, {inf, inf}},
		OpRsqrt:   {{4, 0.5}, {0, inf}, {inf, 0}, {2, 0.7071067811865476}, {-1, nan}},
		OpCbrt:    {{8, 2}, {-27, -3}, {2, 1.2599210498948732}},
		OpExp:     {{0, 1}, {1, 2.718281828459045}, {ninf, 0}, {-1, 0.36787944117144233}, {1000, inf}},
		OpExp2:    {{3, 8}, {-1, 0.5}, {0.5, 1.4142135623730951}},
		OpExpm1:   {{0, 0}, {1, 1.718281828459045}, {1e-10, 1.00000000005e-10}, {ninf, -1}},
		OpLog:     {{1, 0}, {0, ninf}, {-1, nan}, {10, 2.302585092994046}, {inf, inf}},
		OpLog2:    {{8, 3}, {0.5, -1}, {10, 3.321928094887362}, {0, ninf}, {1, 0}, {1 + 0x1p-40, 1.3121234959619935e-12}},
		OpLog1p:   {{0, 0}, {-1, ninf}, {1, 0.6931471805599453}, {1e-10, 9.9999999995e-11}},
		OpSin:     {{0, 0}, {1, 0.8414709848078965}, {100, -0.5063656411097588}, {inf, nan}},
		OpCos:     {{0, 1}, {1, 0.5403023058681398}, {100, 0.8623188722876839}},
		OpTan:     {{0, 0}, {1, 1.5574077246549022}, {-1, -1.5574077246549022}},
		OpAsin:    {{0, 0}, {1, math.Pi / 2}, {0.5, 0.5235987755982989}, {1.5, nan}, {nzro, nzro}},
		OpAcos:    {{1, 0}, {-1, math.Pi}, {0, math.Pi / 2}, {0.5, 1.0471975511965979}, {-2, nan}, {1 - 0x1p-40, 1.3486991523487112e-06}},
		OpAtan:    {{1, math.Pi / 4}, {ninf, -math.Pi / 2}, {0, 0}},
		OpSinh:    {{0, 0}, {1, 1.1752011936438014}, {-1, -1.1752011936438014}},
		OpCosh:    {{0, 1}, {1, 1.5430806348152437}},
		OpTanh:    {{0, 0}, {1, 0.7615941559557649}, {inf, 1}, {ninf, -1}},
		OpSigmoid: {{0, 0.5}, {1, 0.7310585786300049}, {-1, 0.2689414213699951}, {-730, 9.226315e-318}, {ninf, 0}, {inf, 1}, {-40, 4.248354255291589e-18}},
		OpErf:     {{0, 0}, {1, 0.8427007929497149}, {-1, -0.8427007929497149}, {inf, 1}},
	}
	for op := OpNeg; op <= OpErf; op++ {
		t.Run(op.String(), func(t *testing.T) {
			require.NotEmpty(t, cases[op])
			for _, dt := range Floats.List() {
				in, want := make([]float64, len(cases[op])), make([]float64, len(cases[op]))
				for i, c := range cases[op] {
					in[i], want[i] = c[0], c[1]
					if c[0] == c[0] && tensor.RoundFloat(dt, c[0]) != c[0] { // not a value of dt
						in[i], want[i] = cases[op][0][0], cases[op][0][1]
					}
				}
				n := []int{len(in)}
				tol := tensor.Tolerance{ULP: 2, NaNEqual: true}
				if op.Row().Traits&Approximate == 0 {
					tol = tensor.Tolerance{NaNEqual: true, SignZero: true}
				}
				got := evalOp(t, op, nil, tensor.FromFloats(dt, n, in))
				require.NoError(t, tensor.Check(got, tensor.FromFloats(dt, n, want), tol), dt.String())
			}
		})
	}
}

func TestPredicates(t *testing.T) {
	for _, dt := range Floats.List() {
		x := tensor.FromFloats(dt, []int{5}, []float64{1, nan, inf, ninf, nzro})
		infs := dt != tensor.F8E4M3 // which has NaN in their place
		assert.Equal(t, []bool{false, true, !infs, !infs, false}, tensor.Data[bool](evalOp(t, OpIsNaN, nil, x)), dt)
		assert.Equal(t, []bool{true, false, false, false, true}, tensor.Data[bool](evalOp(t, OpIsFinite, nil, x)), dt)
	}
}

// wrap reduces an integer to a type's range: the definition of wrapping.
func wrap(dt tensor.DType, x *big.Int) int64 {
	width := uint(8 * dt.Size())
	mod := new(big.Int).Lsh(big.NewInt(1), width)
	r := new(big.Int).Mod(x, mod)
	if dt.IsSigned() && r.Bit(int(width)-1) == 1 {
		r.Sub(r, mod)
	}
	return signedBits(r)
}

// signedBits is the int64 of the same 64 bits.
func signedBits(r *big.Int) int64 {
	if r.Sign() < 0 {
		return r.Int64()
	}
	return int64(r.Uint64())
}

// edgeInts are the values at which integer ops are tried, all pairs.
func edgeInts(dt tensor.DType) []*big.Int {
	width := uint(8 * dt.Size())
	var out []*big.Int
	for _, x := range []int64{0, 1, 2, 3, 7, 8, 31, 63, 100} {
		out = append(out, big.NewInt(x))
		if dt.IsSigned() {
			out = append(out, big.NewInt(-x))
		}
	}
	top := new(big.Int).Lsh(big.NewInt(1), width)
	if dt.IsSigned() {
		top.Rsh(top, 1)
		out = append(out, new(big.Int).Neg(top), new(big.Int).Add(new(big.Int).Neg(top), big.NewInt(1)))
	}
	return append(out, new(big.Int).Sub(top, big.NewInt(1)), new(big.Int).Sub(top, big.NewInt(2)))
}

// bigOps define the integer ops by mathematical integers.
var bigOps = map[Op]func(dt tensor.DType, x, y *big.Int) *big.Int{
	OpAdd: func(_ tensor.DType, x, y *big.Int) *big.Int { return new(big.Int).Add(x, y) },
	OpSub: func(_ tensor.DType, x, y *big.Int) *big.Int { return new(big.Int).Sub(x, y) },
	OpMul: func(_ tensor.DType, x, y *big.Int) *big.Int { return new(big.Int).Mul(x, y) },
	OpDiv: func(_ tensor.DType, x, y *big.Int) *big.Int {
		if y.Sign() == 0 {
			return big.NewInt(-1)
		}
		return new(big.Int).Quo(x, y)
	},
	OpRem: func(_ tensor.DType, x, y *big.Int) *big.Int {
		if y.Sign() == 0 {
			return x
		}
		return new(big.Int).Rem(x, y)
	},
	OpMax: func(_ tensor.DType, x, y *big.Int) *big.Int {
		if x.Cmp(y) > 0 {
			return x
		}
		return y
	},
	OpMin: func(_ tensor.DType, x, y *big.Int) *big.Int {
		if x.Cmp(y) < 0 {
			return x
		}
		return y
	},
	OpAnd: func(_ tensor.DType, x, y *big.Int) *big.Int { return new(big.Int).And(x, y) },
	OpOr:  func(_ tensor.DType, x, y *big.Int) *big.Int { return new(big.Int).Or(x, y) },
	OpXor: func(_ tensor.DType, x, y *big.Int) *big.Int { return new(big.Int).Xor(x, y) },
	OpShl: func(dt tensor.DType, x, y *big.Int) *big.Int {
		if y.Sign() < 0 || y.Cmp(big.NewInt(int64(8*dt.Size()))) >= 0 {
			return new(big.Int)
		}
		return new(big.Int).Lsh(x, uint(y.Uint64()))
	},
	OpShr: func(dt tensor.DType, x, y *big.Int) *big.Int {
		if y.Sign() < 0 || y.Cmp(big.NewInt(int64(8*dt.Size()))) >= 0 {
			return big.NewInt(int64(min(x.Sign(), 0)))
		}
		return new(big.Int).Rsh(x, uint(y.Uint64()))
	},
}

func TestIntegerOps(t *testing.T) {
	for op, exact := range bigOps {
		for _, dt := range Ints.List() {
			edges := edgeInts(dt)
			var xs, ys, want []int64
			for _, x := range edges {
				for _, y := range edges {
					xs, ys = append(xs, signedBits(x)), append(ys, signedBits(y))
					want = append(want, wrap(dt, exact(dt, x, y)))
				}
			}
			n := []int{len(xs)}
			got := tensor.Ints(evalOp(t, op, nil, tensor.FromInts(dt, n, xs), tensor.FromInts(dt, n, ys)))
			for i := range got {
				w := tensor.Ints(tensor.IntScalar(dt, want[i]))[0]
				require.Equal(t, w, got[i], "%s %s(%d, %d)", dt, op, xs[i], ys[i])
			}
		}
	}
}

func TestIntegerUnary(t *testing.T) {
	exact := map[Op]func(x *big.Int) *big.Int{
		OpNeg:  func(x *big.Int) *big.Int { return new(big.Int).Neg(x) },
		OpAbs:  func(x *big.Int) *big.Int { return new(big.Int).Abs(x) },
		OpSign: func(x *big.Int) *big.Int { return big.NewInt(int64(x.Sign())) },
		OpNot:  func(x *big.Int) *big.Int { return new(big.Int).Not(x) },
	}
	for op, f := range exact {
		for _, dt := range Ints.List() {
			for _, x := range edgeInts(dt) {
				got := tensor.Ints(evalOp(t, op, nil, tensor.IntScalar(dt, signedBits(x))))[0]
				want := tensor.Ints(tensor.IntScalar(dt, wrap(dt, f(x))))[0]
				require.Equal(t, want, got, "%s %s(%s)", dt, op, x)
			}
		}
	}
}

func TestIntegerComparisons(t *testing.T) {
	holds := map[Op]func(cmp int) bool{
		OpEq: func(c int) bool { return c == 0 }, OpNe: func(c int) bool { return c != 0 },
		OpLt: func(c int) bool { return c < 0 }, OpLe: func(c int) bool { return c <= 0 },
		OpGt: func(c int) bool { return c > 0 }, OpGe: func(c int) bool { return c >= 0 },
	}
	for op, want := range holds {
		for _, dt := range Ints.List() {
			for _, x := range edgeInts(dt) {
				for _, y := range edgeInts(dt) {
					got := evalOp(t, op, nil, tensor.IntScalar(dt, signedBits(x)), tensor.IntScalar(dt, signedBits(y)))
					require.Equal(t, want(x.Cmp(y)), tensor.Data[bool](got)[0], "%s %s(%s, %s)", dt, op, x, y)
				}
			}
		}
	}
}

// TestFloatPairs computes f32 with f32 arithmetic, to hold the once-rounded f64
// evaluation to it, and states the special values.
func TestFloatPairs(t *testing.T) {
	edges := []float32{0, float32(nzro), 1, -1, 3, 0.1, -7.25, 1e-40, 1e38, -3e38, 1 + 0x1p-23, float32(inf), float32(ninf), float32(nan)}
	f32 := map[Op]func(x, y float32) float32{
		OpAdd: func(x, y float32) float32 { return x + y },
		OpSub: func(x, y float32) float32 { return x - y },
		OpMul: func(x, y float32) float32 { return x * y },
		OpDiv: func(x, y float32) float32 { return x / y },
	}
	for op, f := range f32 {
		for _, x := range edges {
			for _, y := range edges {
				got := evalOp(t, op, nil, tensor.Scalar(x), tensor.Scalar(y))
				require.NoError(t, tensor.Check(got, tensor.Scalar(f(x, y)), tensor.Tolerance{NaNEqual: true, SignZero: true}),
					"%s(%g, %g)", op, x, y)
			}
		}
	}
	exact := tensor.Tolerance{NaNEqual: true, SignZero: true}
	for _, c := range []struct {
		op         Op
		x, y, want float64
	}{
		{OpMax, nzro, 0, 0}, {OpMax, 0, nzro, 0}, {OpMin, 0, nzro, nzro}, {OpMin, nzro, 0, nzro},
		{OpMax, nan, inf, nan}, {OpMax, inf, nan, nan}, {OpMin, ninf, nan, nan}, {OpMax, 2, 3, 3}, {OpMin, 2, 3, 2},
		{OpRem, 5.5, 2, 1.5}, {OpRem, -5.5, 2, -1.5}, {OpRem, 5.5, -2, 1.5}, {OpRem, 1, 0, nan}, {OpRem, 3, inf, 3}, {OpRem, -4, 2, nzro},
		{OpPow, 2, 3, 8}, {OpPow, -2, 3, -8}, {OpPow, nan, 0, 1}, {OpPow, -2, 0.5, nan}, {OpPow, 0, -1, inf}, {OpPow, 4, 0.5, 2},
		{OpAtan2, 0, -1, math.Pi}, {OpAtan2, nzro, -1, -math.Pi}, {OpAtan2, 1, 0, math.Pi / 2}, {OpAtan2, nan, 1, nan},
	} {
		for _, dt := range []tensor.DType{tensor.F64, tensor.F32, tensor.F16} {
			got := evalOp(t, c.op, nil, tensor.FloatScalar(dt, c.x), tensor.FloatScalar(dt, c.y))
			require.NoError(t, tensor.Check(got, tensor.FloatScalar(dt, c.want), exact), "%s(%g, %g)", c.op, c.x, c.y)
		}
	}
	third := evalOp(t, OpDiv, nil, tensor.FloatScalar(tensor.F16, 1), tensor.FloatScalar(tensor.F16, 3))
	assert.Equal(t, uint16(0x3555), tensor.Data[uint16](third)[0], "1/3 in f16")
	sum := evalOp(t, OpAdd, nil, tensor.FloatScalar(tensor.BF16, 256), tensor.FloatScalar(tensor.BF16, 1))
	assert.Equal(t, 256.0, tensor.Floats(sum)[0], "a tie in bf16 rounds to even")
}

func TestFloatComparisons(t *testing.T) {
	for _, c := range []struct {
		x, y float64
		want string // of eq ne lt le gt ge
	}{
		{1, 1, "TFFTFT"}, {1, 2, "FTTTFF"}, {2, 1, "FTFFTT"}, {nzro, 0, "TFFTFT"}, {nan, 1, "FTFFFF"}, {nan, nan, "FTFFFF"}, {ninf, 2, "FTTTFF"},
	} {
		for _, dt := range []tensor.DType{tensor.F64, tensor.F32, tensor.BF16} {
			got := ""
			for op := OpEq; op <= OpGe; op++ {
				r := evalOp(t, op, nil, tensor.FloatScalar(dt, c.x), tensor.FloatScalar(dt, c.y))
				got += map[bool]string{true: "T", false: "F"}[tensor.Data[bool](r)[0]]
			}
			assert.Equal(t, c.want, got, "%g and %g in %s", c.x, c.y, dt)
		}
	}
}

func TestBoolOps(t *testing.T) {
	x, y := tensor.Of([]int{4}, false, false, true, true), tensor.Of([]int{4}, false, true, false, true)
	assert.Equal(t, []bool{false, false, false, true}, tensor.Data[bool](evalOp(t, OpAnd, nil, x, y)))
	assert.Equal(t, []bool{false, true, true, true}, tensor.Data[bool](evalOp(t, OpOr, nil, x, y)))
	assert.Equal(t, []bool{false, true, true, false}, tensor.Data[bool](evalOp(t, OpXor, nil, x, y)))
	assert.Equal(t, []bool{true, true, false, false}, tensor.Data[bool](evalOp(t, OpNot, nil, x)))
	assert.Equal(t, []bool{true, false, false, true}, tensor.Data[bool](evalOp(t, OpEq, nil, x, y)))
	assert.Equal(t, []bool{false, true, true, false}, tensor.Data[bool](evalOp(t, OpNe, nil, x, y)))
}

func TestSelectKeepsBits(t *testing.T) {
	quiet := math.Float32frombits(0x7fc12345)
	cond := tensor.Of([]int{3}, true, false, true)
	got := evalOp(t, OpSelect, nil, cond, tensor.Of([]int{3}, quiet, 2, 3), tensor.Of([]int{3}, float32(4), quiet, 6))
	var bits []uint32
	for _, x := range tensor.Data[float32](got) {
		bits = append(bits, math.Float32bits(x))
	}
	assert.Equal(t, []uint32{0x7fc12345, 0x7fc12345, math.Float32bits(3)}, bits)
}

func TestCast(t *testing.T) {
	for _, c := range []struct {
		from tensor.DType
		x    float64
		to   tensor.DType
		want float64
	}{
		{tensor.F32, 2.9, tensor.I32, 2}, {tensor.F32, -2.9, tensor.I32, -2}, {tensor.F32, 300, tensor.I8, 127},
		{tensor.F32, -300, tensor.I8, -128}, {tensor.F32, -1, tensor.U8, 0}, {tensor.F64, nan, tensor.I64, 0},
		{tensor.I32, 300, tensor.U8, 44}, {tensor.I32, -1, tensor.U16, 65535}, {tensor.U8, 200, tensor.I8, -56},
		{tensor.F32, 0.5, tensor.Bool, 1}, {tensor.F32, nzro, tensor.Bool, 0}, {tensor.F32, nan, tensor.Bool, 1}, {tensor.I64, 256, tensor.Bool, 1},
		{tensor.Bool, 1, tensor.F16, 1}, {tensor.F64, 65520, tensor.F16, inf}, {tensor.F64, 2049, tensor.F16, 2048}, {tensor.I32, -7, tensor.F64, -7},
	} {
		got := evalOp(t, OpCast, NewAttrs(Attr{"dtype", c.to}), tensor.FloatScalar(c.from, c.x))
		assert.Equal(t, c.to, got.DType())
		assert.Equal(t, c.want, tensor.Floats(got)[0], "%s %g to %s", c.from, c.x, c.to)
	}
}

func TestElementwiseTypeErrors(t *testing.T) {
	b4, c4 := typed(tensor.F32, "B", "4"), typed(tensor.F32, "C", "4")
	cases := []struct {
		op    Op
		attrs Attrs
		args  []Type
		want  string
	}{
		{OpAdd, nil, []Type{b4, typed(tensor.F32, "4")}, `add: operands differ in shape: expected [B,4], got f32[B,4] x f32[4] (broadcast it to [B,4] first)`},
		{OpAdd, nil, []Type{typed(tensor.F32, "4"), b4}, `add: operands differ in shape: expected [4], got f32[4] x f32[B,4] (broadcast it to [B,4] first)`},
		{OpAdd, nil, []Type{b4, c4}, `add: operands differ in shape: expected [B,4], got f32[B,4] x f32[C,4] (declare "B == C" in the where clause)`},
		{OpAdd, nil, []Type{b4, typed(tensor.F32, "1", "4")}, `add: operands differ in shape: expected [B,4], got f32[B,4] x f32[1,4] (broadcast the axis of size 1 first)`},
		{OpMul, nil, []Type{b4, typed(tensor.I32, "B", "4")}, `mul: operands differ in element type: expected f32, got f32[B,4] x i32[B,4] (cast the second operand to f32)`},
		{OpExp, nil, []Type{typed(tensor.I32, "4")}, `exp: wrong element type of the first operand: expected one of f8e4m3, f8e5m2, f16, bf16, f32, f64, got i32[4] (cast it, for example to f32)`},
		{OpLt, nil, []Type{typed(tensor.Bool), typed(tensor.Bool)}, ``},
		{OpSelect, nil, []Type{b4, b4, b4}, `select: wrong element type of the first operand: expected one of bool, got f32[B,4] (compare it with ne)`},
		{OpSelect, nil, []Type{typed(tensor.Bool), b4, b4}, `select: operands differ in shape: expected [B,4], got bool[] x f32[B,4] x f32[B,4] (broadcast it to [B,4] first)`},
		{OpCast, NewAttrs(Attr{"dtype", tensor.Invalid}), []Type{b4}, ``},
		{OpCast, nil, []Type{b4}, `cast: missing attribute dtype: expected an element type (element type of the result)`},
		{OpNot, nil, []Type{b4}, ``},
		{OpAnd, nil, []Type{b4, b4}, ``},
		{OpNeg, nil, []Type{b4, b4}, `neg: wrong number of operands: expected 1, got 2`},
		{OpNeg, NewAttrs(Attr{"axis", int64(1)}), []Type{b4}, `neg: unknown attribute axis: expected no attributes`},
	}
	for _, c := range cases {
		_, err := inferOp(c.op, nil, c.attrs, c.args...)
		var oe *OpError
		require.ErrorAs(t, err, &oe, "%s %v", c.op, c.args)
		if c.want != "" {
			assert.Equal(t, c.want, err.Error())
		}
	}
}

func TestElementwiseSymbolic(t *testing.T) {
	facts := factsOf(t, "B in [1, 64]", "C == 2*B")
	got, err := inferOp(OpAdd, facts, nil, typed(tensor.F32, "2*B", "4"), typed(tensor.F32, "C", "4"))
	require.NoError(t, err)
	assert.Equal(t, "f32[2*B,4]", got.String())
	got, err = inferOp(OpGe, facts, nil, typed(tensor.I64, "B"), typed(tensor.I64, "B"))
	require.NoError(t, err)
	assert.Equal(t, "bool[B]", got.String())
}

func ExampleInferType() {
	f := NewFunc("f", nil)
	x := f.AddParam("x", TConst(tensor.F32, 2, 3), nil)
	y := f.AddParam("y", TConst(tensor.F32, 3), nil)
	_, err := InferType(&Value{Op: OpAdd, Args: []*Value{x, y}}, f.Facts)
	fmt.Println(err)
	// Output: add: operands differ in shape: expected [2,3], got f32[2,3] x f32[3] (broadcast it to [2,3] first)
}
