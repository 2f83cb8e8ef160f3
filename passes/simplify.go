package passes

import (
	"math"
	"slices"

	"jitc/ir"
	"jitc/ir/tensor"
)

// simplify removes ops by algebra that holds for every bit pattern: -0, NaN and
// infinities for floats, wrapping for integers.
//
//	before  %0: f32[B] = mul(%x, 1.0)      after  return %x
//	        %1: f32[B] = sub(%0, 0.0)
//	        return %1
//
// What is not here, and why: x + 0.0 is not x for x = -0; x - x is not 0, nor
// x*0, for infinities and NaN; not(x < y) is not x >= y for NaN. Options.FastMath
// adds such rules.
func simplify(f *ir.Func, o Options) (*ir.Func, error) {
	return rewrite(f, pick(sets().simplify, o), false), nil
}

func simplifyRules() []rule {
	return slices.Concat(constantOperandRules(), sameOperandRules(), unaryRules(), signRules(), selectRules(), nestedRules(), controlRules())
}

// classes are sets of element types.
const (
	floats = 1 << iota
	ints
	bools
)

func inClass(dt tensor.DType, class int) bool {
	switch {
	case dt.IsFloat():
		return class&floats != 0
	case dt == tensor.Bool:
		return class&bools != 0
	}
	return class&ints != 0
}

// operandRow is what an op does with a constant second operand.
type operandRow struct {
	op    ir.Op
	class int
	f     float64 // the constant for floats
	n     int64   // for integers; -1 is all bits set, and true
	to    string  // x; c, the constant; or not(x)
}

var negativeZero = math.Copysign(0, -1)

var constantOperand = []operandRow{
	{ir.OpAdd, floats | ints, negativeZero, 0, "x"},
	{ir.OpSub, floats | ints, 0, 0, "x"},
	{ir.OpMul, floats | ints, 1, 1, "x"},
	{ir.OpMul, ints, 0, 0, "c"},
	{ir.OpDiv, floats | ints, 1, 1, "x"},
	{ir.OpPow, floats, 1, 0, "x"},
	{ir.OpAnd, ints | bools, 0, -1, "x"},
	{ir.OpAnd, ints | bools, 0, 0, "c"},
	{ir.OpOr, ints | bools, 0, 0, "x"},
	{ir.OpOr, ints | bools, 0, -1, "c"},
	{ir.OpXor, ints | bools, 0, 0, "x"},
	{ir.OpXor, ints | bools, 0, -1, "not(x)"},
	{ir.OpShl, ints, 0, 0, "x"},
	{ir.OpShr, ints, 0, 0, "x"},
	{ir.OpEq, bools, 0, -1, "x"},
	{ir.OpEq, bools, 0, 0, "not(x)"},
	{ir.OpNe, bools, 0, 0, "x"},
	{ir.OpNe, bools, 0, -1, "not(x)"},
}

// constantOperandRules are the rows, and the ends of ranges for max and min.
func constantOperandRules() []rule {
	rules := []rule{
		{ops: ops(ir.OpMax, ir.OpMin), from: "max(x, lowest), max(x, greatest integer)", to: "x, the constant", apply: extremeOperand},
		{ops: ops(ir.OpPow), from: "pow(x, 0)", to: "1", apply: powZero},
		{ops: ops(ir.OpPow), from: "pow(x, 2), but of f64", to: "mul(x, x)", apply: powTwo},
		{ops: ops(ir.OpDiv), from: "div(x, c) by a power of two", to: "mul(x, 1/c)", apply: divByPowerOfTwo},
		{ops: ops(ir.OpSub), from: "sub(0, x) of integers, sub(-0.0, x)", to: "neg(x)", apply: subFromZero},
	}
	for _, r := range constantOperand {
		rules = append(rules, rule{ops: ops(r.op), from: r.op.String() + "(x, c) for a neutral or absorbing c", to: r.to, apply: r.apply})
	}
	return rules
}

func (r operandRow) apply(e *rewriter, v *ir.Value) *ir.Value {
	x, c := v.Args[0], v.Args[1]
	if !inClass(x.Type.DType, r.class) || !splatIs(c, r.f, r.n) {
		return nil
	}
	switch r.to {
	case "x":
		return x
	case "c":
		return c
	}
	return e.unary(ir.OpNot, x)
}

// extremeOperand: an infinity is neutral for floats, but not absorbing, since NaN
// wins.
func extremeOperand(_ *rewriter, v *ir.Value) *ir.Value {
	dt := v.Type.DType
	neutral, absorbing := lowest, highest
	if v.Op == ir.OpMin {
		neutral, absorbing = highest, lowest
	}
	if f, n := neutral(dt); splatIs(v.Args[1], f, n) {
		return v.Args[0]
	}
	if f, n := absorbing(dt); !dt.IsFloat() && splatIs(v.Args[1], f, n) {
		return v.Args[1]
	}
	return nil
}

// powZero: IEEE 754 pow(x, 0) is 1 for every x, NaN too.
func powZero(e *rewriter, v *ir.Value) *ir.Value {
	if c := v.Args[1]; splatIs(c, 0, 0) || splatIs(c, negativeZero, 0) {
		return e.splat(v.Type, 1.0)
	}
	return nil
}

// powTwo: a square of at most 32 bits is exact in f64, so that both round it once.
func powTwo(e *rewriter, v *ir.Value) *ir.Value {
	if v.Type.DType == tensor.F64 || !splatIs(v.Args[1], 2, 0) {
		return nil
	}
	return e.binary(ir.OpMul, v.Args[0], v.Args[0])
}

// divByPowerOfTwo: both round x/c once, if the reciprocal has no rounding.
func divByPowerOfTwo(e *rewriter, v *ir.Value) *ir.Value {
	c, ok := splatNumber(v.Args[1])
	if !ok || !v.Type.DType.IsFloat() {
		return nil
	}
	fraction, _ := math.Frexp(c.f)
	r := 1 / c.f
	if math.Abs(fraction) != 0.5 || tensor.RoundFloat(v.Type.DType, r) != r || math.IsInf(r, 0) {
		return nil
	}
	return e.binary(ir.OpMul, v.Args[0], e.splat(v.Type, r))
}

func subFromZero(e *rewriter, v *ir.Value) *ir.Value {
	if splatIs(v.Args[0], negativeZero, 0) {
		return e.unary(ir.OpNeg, v.Args[1])
	}
	return nil
}

// sameRow is what an op of one value twice gives.
type sameRow struct {
	op    ir.Op
	class int
	to    string // x, 0, 1, is_nan(x) or not(is_nan(x))
}

var sameOperand = []sameRow{
	{ir.OpSub, ints, "0"}, {ir.OpXor, ints | bools, "0"}, {ir.OpRem, ints, "0"},
	{ir.OpAnd, ints | bools, "x"}, {ir.OpOr, ints | bools, "x"}, {ir.OpMax, ints | floats, "x"}, {ir.OpMin, ints | floats, "x"},
	{ir.OpEq, ints | bools, "1"}, {ir.OpLe, ints, "1"}, {ir.OpGe, ints, "1"},
	{ir.OpNe, ints | bools, "0"}, {ir.OpLt, ints | floats, "0"}, {ir.OpGt, ints | floats, "0"},
	{ir.OpNe, floats, "is_nan(x)"}, {ir.OpEq, floats, "not(is_nan(x))"},
}

func sameOperandRules() []rule {
	var rules []rule
	for _, r := range sameOperand {
		rules = append(rules, rule{ops: ops(r.op), from: r.op.String() + "(x, x)", to: r.to, apply: r.apply})
	}
	return rules
}

func (r sameRow) apply(e *rewriter, v *ir.Value) *ir.Value {
	x := v.Args[0]
	if x != v.Args[1] || !inClass(x.Type.DType, r.class) {
		return nil
	}
	switch r.to {
	case "x":
		return x
	case "0":
		return e.splat(v.Type, numberAttr(v.Type.DType, 0, 0))
	case "1":
		return e.splat(v.Type, numberAttr(v.Type.DType, 1, 1))
	case "is_nan(x)":
		return e.unary(ir.OpIsNaN, x)
	}
	return e.unary(ir.OpNot, e.unary(ir.OpIsNaN, x))
}
