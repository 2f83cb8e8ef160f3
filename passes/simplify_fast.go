package passes

import (
	"math"

	"jitc/ir"
)

// fastRules treat floats as real numbers (Options.FastMath): results may differ in
// the last places, and where infinities, NaN or the sign of 0 arise.
func fastRules() []rule {
	rules := []rule{
		{ops: ops(ir.OpDiv), from: "div(x, c)", to: "mul(x, 1/c)", apply: divByConstant},
		{ops: ops(ir.OpDiv), from: "div(x, sqrt(y))", to: "mul(x, rsqrt(y))", apply: divBySqrt},
		{ops: ops(ir.OpMul), from: "mul(exp(x), exp(y))", to: "exp(add(x, y))", apply: mulExps},
		{ops: ops(ir.OpLog), from: "log(exp(x))", to: "x", apply: inverseOf(ir.OpExp)},
		{ops: ops(ir.OpExp), from: "exp(log(x))", to: "x", apply: inverseOf(ir.OpLog)},
		{ops: ops(ir.OpMul), from: "mul(sqrt(x), sqrt(x))", to: "x", apply: func(_ *rewriter, v *ir.Value) *ir.Value {
			if x := v.Args[0]; x == v.Args[1] && x.Op == ir.OpSqrt {
				return x.Args[0]
			}
			return nil
		}},
		{ops: ops(ir.OpPow), from: "pow(x, 2), pow(x, 3), pow(x, 0.5), pow(x, -1)", to: "products, sqrt(x), div(1, x)", apply: powConstant},
	}
	for _, r := range []operandRow{
		{ir.OpAdd, floats, 0, 0, "x"}, {ir.OpSub, floats, negativeZero, 0, "x"},
		{ir.OpMul, floats, 0, 0, "c"}, {ir.OpMul, floats, negativeZero, 0, "c"},
	} {
		rules = append(rules, rule{ops: ops(r.op), from: r.op.String() + "(x, 0)", to: r.to, apply: r.apply})
	}
	for _, r := range []sameRow{{ir.OpSub, floats, "0"}, {ir.OpDiv, floats, "1"}} {
		rules = append(rules, rule{ops: ops(r.op), from: r.op.String() + "(x, x)", to: r.to, apply: r.apply})
	}
	for _, op := range ops(ir.OpAdd, ir.OpMul) {
		rules = append(rules, rule{ops: ops(op), from: op.String() + "(" + op.String() + "(x, c), d)",
			to: op.String() + "(x, c op d)", apply: reassociate(floats)})
	}
	return rules
}

// divByConstant multiplies by the reciprocal, rounded; not by that of 0 or of a
// number so small or large that it has none.
func divByConstant(e *rewriter, v *ir.Value) *ir.Value {
	c, ok := splatNumber(v.Args[1])
	if !ok || !v.Type.DType.IsFloat() {
		return nil
	}
	r := e.splat(v.Type, 1/c.f)
	if n, _ := splatNumber(r); n.f == 0 || math.IsInf(n.f, 0) || math.IsNaN(n.f) {
		return nil
	}
	return e.binary(ir.OpMul, v.Args[0], r)
}

func divBySqrt(e *rewriter, v *ir.Value) *ir.Value {
	if y := v.Args[1]; y.Op == ir.OpSqrt {
		return e.binary(ir.OpMul, v.Args[0], e.unary(ir.OpRsqrt, y.Args[0]))
	}
	return nil
}

// mulExps saves an exponential where nothing else uses both.
func mulExps(e *rewriter, v *ir.Value) *ir.Value {
	x, y := v.Args[0], v.Args[1]
	if x.Op != ir.OpExp || y.Op != ir.OpExp || x == y || !e.usedOnce(x) || !e.usedOnce(y) {
		return nil
	}
	return e.unary(ir.OpExp, e.binary(ir.OpAdd, x.Args[0], y.Args[0]))
}

func inverseOf(op ir.Op) func(*rewriter, *ir.Value) *ir.Value {
	return func(_ *rewriter, v *ir.Value) *ir.Value {
		if x := v.Args[0]; x.Op == op {
			return x.Args[0]
		}
		return nil
	}
}

func powConstant(e *rewriter, v *ir.Value) *ir.Value {
	c, ok := splatNumber(v.Args[1])
	x := v.Args[0]
	switch {
	case !ok:
		return nil
	case c.f == 2:
		return e.binary(ir.OpMul, x, x)
	case c.f == 3:
		return e.binary(ir.OpMul, e.binary(ir.OpMul, x, x), x)
	case c.f == 0.5:
		return e.unary(ir.OpSqrt, x)
	case c.f == -1:
		return e.binary(ir.OpDiv, e.splat(v.Type, 1.0), x)
	}
	return nil
}
