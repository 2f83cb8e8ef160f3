package ir

import (
	"math"

	"jitc/ir/dim"
	"jitc/ir/internal/refeval"
	"jitc/ir/tensor"
)

// elementwiseRows are the ops whose result element i depends on the elements i
// of the operands only. There is no implicit broadcasting: operands have one
// type. Floats are computed in f32 or wider and rounded once per op.
func elementwiseRows() map[Op]OpRow {
	return mergeRows(unaryArithRows(), elementaryRows(), logicRows(), castRows(), binaryArithRows(), comparisonRows())
}

func mergeRows(families ...map[Op]OpRow) map[Op]OpRow {
	all := map[Op]OpRow{}
	for _, rows := range families {
		for op, row := range rows {
			all[op] = row
		}
	}
	return all
}

func unaryArithRows() map[Op]OpRow {
	return map[Op]OpRow{
		OpNeg: unary("neg", "-x. Integers wrap; floats flip the sign, of zeros and NaN too.", Numbers, 0,
			refeval.Unary{Float: refeval.Neg[float64], Int: refeval.Neg[int64]}, domain{}),
		OpAbs: unary("abs", "|x|. The least signed integer wraps to itself.", Numbers, 0,
			refeval.Unary{Float: math.Abs, Int: refeval.AbsInt, Uint: refeval.Same[uint64]}, domain{}),
		OpSign: unary("sign", "-1, 0 or 1 by the sign of x; sign(NaN) = NaN and sign(-0) = -0.", Numbers, 0,
			refeval.Unary{Float: refeval.Sign, Int: refeval.SignInt, Uint: refeval.SignUint}, domain{}),
		OpFloor: unary("floor", "The greatest integral value <= x.", Floats, 0, refeval.Unary{Float: math.Floor}, domain{}),
		OpCeil:  unary("ceil", "The least integral value >= x.", Floats, 0, refeval.Unary{Float: math.Ceil}, domain{}),
		OpRound: unary("round", "The nearest integral value, halves to even.", Floats, 0,
			refeval.Unary{Float: math.RoundToEven}, domain{-4, 4}),
		OpTrunc: unary("trunc", "x without its fraction, towards zero.", Floats, 0, refeval.Unary{Float: math.Trunc}, domain{}),
		OpSqrt: unary("sqrt", "The square root, correctly rounded; NaN for x < 0, and sqrt(-0) = -0.", Floats, 0,
			refeval.Unary{Float: math.Sqrt}, domain{0, 9}),
	}
}

// elementaryRows are the functions that executors may compute a few ulp off.
func elementaryRows() map[Op]OpRow {
	fn := func(name, doc string, f func(float64) float64, d domain) OpRow {
		return unary(name, doc, Floats, Approximate, refeval.Unary{Float: f}, d)
	}
	return map[Op]OpRow{
		OpRsqrt:   fn("rsqrt", "1/sqrt(x).", refeval.Rsqrt, domain{0.01, 9}),
		OpCbrt:    fn("cbrt", "The cube root, of negative numbers too.", math.Cbrt, domain{-9, 9}),
		OpExp:     fn("exp", "e**x.", refeval.Exp, domain{-5, 5}),
		OpExp2:    fn("exp2", "2**x.", math.Exp2, domain{-5, 5}),
		OpExpm1:   fn("expm1", "e**x - 1, accurate near 0.", math.Expm1, domain{-3, 3}),
		OpLog:     fn("log", "The natural logarithm: -inf at 0, NaN below.", refeval.Log, domain{0.01, 9}),
		OpLog2:    fn("log2", "The binary logarithm.", refeval.Log2, domain{0.01, 9}),
		OpLog1p:   fn("log1p", "log(1+x), accurate near 0.", math.Log1p, domain{-0.9, 9}),
		OpSin:     fn("sin", "The sine of x in radians.", math.Sin, domain{-9, 9}),
		OpCos:     fn("cos", "The cosine of x in radians.", math.Cos, domain{-9, 9}),
		OpTan:     fn("tan", "The tangent of x in radians.", math.Tan, domain{-1.4, 1.4}),
		OpAsin:    fn("asin", "The arc sine, in [-pi/2, pi/2]; NaN outside [-1, 1].", refeval.Asin, domain{-1, 1}),
		OpAcos:    fn("acos", "The arc cosine, in [0, pi]; NaN outside [-1, 1].", refeval.Acos, domain{-1, 1}),
		OpAtan:    fn("atan", "The arc tangent, in [-pi/2, pi/2].", math.Atan, domain{-9, 9}),
		OpSinh:    fn("sinh", "(e**x - e**-x) / 2.", math.Sinh, domain{-4, 4}),
		OpCosh:    fn("cosh", "(e**x + e**-x) / 2.", math.Cosh, domain{-4, 4}),
		OpTanh:    fn("tanh", "sinh(x) / cosh(x).", math.Tanh, domain{-4, 4}),
		OpSigmoid: fn("sigmoid", "1 / (1 + e**-x), the logistic function.", refeval.Sigmoid, domain{-8, 8}),
		OpErf:     fn("erf", "The error function, 2/sqrt(pi) times the integral of e**(-t*t) from 0 to x.", math.Erf, domain{-3, 3}),
	}
}

func logicRows() map[Op]OpRow {
	bits := func(name, doc string, b refeval.Binary) OpRow {
		return binary(name, doc, Ints|Bools, Commutative, b, domain{})
	}
	shift := func(name, doc string, b refeval.Binary) OpRow { return binary(name, doc, Ints, 0, b, domain{0, 10}) }
	return map[Op]OpRow{
		OpNot: {
			Name: "not", Doc: "Logical not of bool, bitwise complement of integers.",
			MinArgs: 1, MaxArgs: 1, Traits: Pointwise, DTypes: Ints | Bools,
			Infer: inferPointwise, Eval: evalNot, Samples: elementSamples(1, tensor.Bool, domain{}),
		},
		OpIsNaN: predicate("is_nan", "Whether x is NaN; the result is bool.", refeval.IsNaN),
		OpIsFinite: predicate("is_finite", "Whether x is neither NaN nor an infinity; the result is bool.",
			refeval.IsFinite),
		OpAnd: bits("and", "Logical and of bool, bitwise and of integers.", refeval.Binary{Int: refeval.And[int64]}),
		OpOr:  bits("or", "Logical or of bool, bitwise or of integers.", refeval.Binary{Int: refeval.Or[int64]}),
		OpXor: bits("xor", "Exclusive or of bool, bitwise of integers.", refeval.Binary{Int: refeval.Xor[int64]}),
		OpShl: shift("shl", "x * 2**y, wrapped; 0 where y, read as unsigned, is the width of the type or more.",
			refeval.Binary{Int: refeval.Shl[int64]}),
		OpShr: shift("shr", "x shifted right by y, arithmetic for signed types and logical for unsigned ones; "+
			"where y, read as unsigned, is the width or more: the sign (0 or -1), or 0.",
			refeval.Binary{Int: refeval.Shr[int64], Uint: refeval.Shr[uint64]}),
		OpSelect: {
			Name: "select", Doc: "cond ? x : y, element by element; cond is bool, x and y have one type and its shape.",
			MinArgs: 3, MaxArgs: 3, Traits: Pointwise, DTypes: Bools,
			Infer: inferSelect, Samples: selectSamples,
			Eval: func(c *Call) (*tensor.Tensor, error) { return refeval.Select(c.Args[0], c.Args[1], c.Args[2]), nil },
		},
	}
}

func binaryArithRows() map[Op]OpRow {
	return map[Op]OpRow{
		OpAdd: binary("add", "x + y. Integers wrap.", Numbers, Commutative,
			refeval.Binary{Float: refeval.Add[float64], Int: refeval.Add[int64]}, domain{}),
		OpSub: binary("sub", "x - y. Integers wrap.", Numbers, 0,
			refeval.Binary{Float: refeval.Sub[float64], Int: refeval.Sub[int64]}, domain{}),
		OpMul: binary("mul", "x * y. Integers wrap.", Numbers, Commutative,
			refeval.Binary{Float: refeval.Mul[float64], Int: refeval.Mul[int64]}, domain{}),
		OpDiv: binary("div", "x / y. Integers truncate towards zero; x/0 has all bits set (-1 if signed), "+
			"and the least integer divided by -1 is itself.", Numbers, 0,
			refeval.Binary{Float: refeval.Div, Int: refeval.IntDiv[int64], Uint: refeval.IntDiv[uint64]}, domain{}),
		OpRem: binary("rem", "x - y*trunc(x/y), with the sign of x, exact. For integers, x rem 0 is x; for floats, NaN.", Numbers, 0,
			refeval.Binary{Float: math.Mod, Int: refeval.IntRem[int64], Uint: refeval.IntRem[uint64]}, domain{}),
		OpMax: binary("max", "The greater of x and y; NaN if either is NaN; +0 is greater than -0.", Numbers, Commutative, maxOf, domain{}),
		OpMin: binary("min", "The lesser of x and y; NaN if either is NaN; -0 is less than +0.", Numbers, Commutative, minOf, domain{}),
		OpPow: binary("pow", "x**y; special values as IEEE 754 pow (pow(x, 0) = 1, NaN for x < 0 and y not integral).",
			Floats, Approximate, refeval.Binary{Float: math.Pow}, domain{0.1, 3}),
		OpAtan2: binary("atan2", "The angle of the point (y, x), in [-pi, pi]: the first operand is the ordinate.",
			Floats, Approximate, refeval.Binary{Float: math.Atan2}, domain{-4, 4}),
	}
}

var (
	maxOf = refeval.Binary{Float: refeval.Max[float64], Int: refeval.Max[int64], Uint: refeval.Max[uint64]}
	minOf = refeval.Binary{Float: refeval.Min[float64], Int: refeval.Min[int64], Uint: refeval.Min[uint64]}
)

func comparisonRows() map[Op]OpRow {
	return map[Op]OpRow{
		OpEq: comparison("eq", "x == y as bool; false if either is NaN, and -0 == +0.", Anything, Commutative,
			refeval.Comparison{Float: refeval.Eq[float64], Int: refeval.Eq[int64]}),
		OpNe: comparison("ne", "x != y as bool; true if either is NaN.", Anything, Commutative,
			refeval.Comparison{Float: refeval.Ne[float64], Int: refeval.Ne[int64]}),
		OpLt: comparison("lt", "x < y as bool; false if either is NaN.", Numbers, 0,
			refeval.Comparison{Float: refeval.Lt[float64], Int: refeval.Lt[int64], Uint: refeval.Lt[uint64]}),
		OpLe: comparison("le", "x <= y as bool; false if either is NaN.", Numbers, 0,
			refeval.Comparison{Float: refeval.Le[float64], Int: refeval.Le[int64], Uint: refeval.Le[uint64]}),
		OpGt: comparison("gt", "x > y as bool; false if either is NaN.", Numbers, 0,
			refeval.Comparison{Float: refeval.Gt[float64], Int: refeval.Gt[int64], Uint: refeval.Gt[uint64]}),
		OpGe: comparison("ge", "x >= y as bool; false if either is NaN.", Numbers, 0,
			refeval.Comparison{Float: refeval.Ge[float64], Int: refeval.Ge[int64], Uint: refeval.Ge[uint64]}),
	}
}

// domain bounds the operands of samples; zero is the generator's default.
type domain struct{ lo, hi float64 }

func unary(name, doc string, dtypes DTypeSet, traits Traits, u refeval.Unary, d domain) OpRow {
	return OpRow{
		Name: name, Doc: doc, MinArgs: 1, MaxArgs: 1, Traits: Pointwise | traits, DTypes: dtypes, Infer: inferPointwise,
		Eval:    func(c *Call) (*tensor.Tensor, error) { return u.Apply(c.Args[0]), nil },
		Samples: elementSamples(1, tensor.F32, d),
	}
}

func binary(name, doc string, dtypes DTypeSet, traits Traits, b refeval.Binary, d domain) OpRow {
	return OpRow{
		Name: name, Doc: doc, MinArgs: 2, MaxArgs: 2, Traits: Pointwise | traits, DTypes: dtypes, Infer: inferPointwise,
		Eval:    func(c *Call) (*tensor.Tensor, error) { return b.Apply(c.Args[0], c.Args[1]), nil },
		Samples: elementSamples(2, representative(dtypes), d),
	}
}

func comparison(name, doc string, dtypes DTypeSet, traits Traits, cmp refeval.Comparison) OpRow {
	return OpRow{
		Name: name, Doc: doc, MinArgs: 2, MaxArgs: 2, Traits: Pointwise | traits, DTypes: dtypes, Infer: inferTest,
		Eval: func(c *Call) (*tensor.Tensor, error) { return cmp.Apply(c.Args[0], c.Args[1]), nil },
		// A narrow range of values makes equal elements likely.
		Samples: elementSamples(2, tensor.I32, domain{-2, 2}),
	}
}

func predicate(name, doc string, f func(float64) bool) OpRow {
	return OpRow{
		Name: name, Doc: doc, MinArgs: 1, MaxArgs: 1, Traits: Pointwise, DTypes: Floats, Infer: inferTest,
		Eval:    func(c *Call) (*tensor.Tensor, error) { return refeval.Predicate(c.Args[0], f), nil },
		Samples: elementSamples(1, tensor.F32, domain{}),
	}
}

// representative is the element type that samples are written with.
func representative(dtypes DTypeSet) tensor.DType {
	if dtypes.Has(tensor.F32) {
		return tensor.F32
	}
	return tensor.I32
}

// inferPointwise is the rule of ops whose result has the type that all operands have.
func inferPointwise(v *Value, facts *dim.Facts) (Type, error) {
	if err := wantDType(v, 0, v.Row().DTypes); err != nil {
		return Type{}, err
	}
	return sameTypes(v, facts, 0)
}

// inferTest is inferPointwise with a result of bool.
func inferTest(v *Value, facts *dim.Facts) (Type, error) {
	t, err := inferPointwise(v, facts)
	return t.WithDType(tensor.Bool), err
}

func inferSelect(v *Value, facts *dim.Facts) (Type, error) {
	if err := wantDType(v, 0, Bools); err != nil {
		return Type{}, err
	}
	t, err := sameTypes(v, facts, 1)
	if err != nil {
		return Type{}, err
	}
	return t, sameShape(v, facts, 0, t.Shape)
}

func evalNot(c *Call) (*tensor.Tensor, error) {
	if c.DType == tensor.Bool {
		return refeval.Unary{Int: func(x int64) int64 { return 1 - x }}.Apply(c.Args[0]), nil
	}
	return refeval.Unary{Int: func(x int64) int64 { return ^x }}.Apply(c.Args[0]), nil
}

// elementSamples apply an op to n operands of one type, in shapes that reach a
// scalar, nothing, ragged ends of vectors, and several axes.
func elementSamples(n int, dt tensor.DType, d domain) func() []Sample {
	return func() []Sample {
		var out []Sample
		for _, shape := range [][]int{{}, {0, 3}, {1}, {7, 13}, {2, 3, 5}, {131}} {
			s := Sample{Lo: d.lo, Hi: d.hi}
			for range n {
				s.Args = append(s.Args, TConst(dt, shape...))
			}
			out = append(out, s)
		}
		return out
	}
}

func selectSamples() []Sample {
	var out []Sample
	for _, t := range []Type{
		TConst(tensor.F32), TConst(tensor.F32, 0, 3), TConst(tensor.F32, 7, 13), TConst(tensor.F64, 5),
		TConst(tensor.F16, 2, 3, 5), TConst(tensor.I64, 17), TConst(tensor.U8, 33), TConst(tensor.Bool, 3, 3),
	} {
		out = append(out, Sample{Args: []Type{t.WithDType(tensor.Bool), t, t}})
	}
	return out
}
