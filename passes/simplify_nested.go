package passes

import (
	"jitc/ir"
	"jitc/ir/tensor"
)

// unaryRules are about one-operand ops within each other.
func unaryRules() []rule {
	inner := func(op ir.Op, from, to string, f func(e *rewriter, v, x *ir.Value) *ir.Value, of ...ir.Op) rule {
		return rule{ops: of, from: from, to: to, apply: func(e *rewriter, v *ir.Value) *ir.Value {
			if x := v.Args[0]; x.Op == op {
				return f(e, v, x)
			}
			return nil
		}}
	}
	operand := func(_ *rewriter, _, x *ir.Value) *ir.Value { return x.Args[0] }
	rules := []rule{
		inner(ir.OpNeg, "neg(neg(x))", "x", operand, ir.OpNeg),
		inner(ir.OpNot, "not(not(x))", "x", operand, ir.OpNot),
		inner(ir.OpNeg, "abs(neg(x)) of signed types", "abs(x)", func(e *rewriter, v, x *ir.Value) *ir.Value {
			if v.Type.DType.IsUnsigned() { // -1 is the greatest then
				return nil
			}
			return e.unary(ir.OpAbs, x.Args[0])
		}, ir.OpAbs),
		{ops: ops(ir.OpAbs), from: "abs(x) of unsigned types", to: "x", apply: func(_ *rewriter, v *ir.Value) *ir.Value {
			if v.Type.DType.IsUnsigned() {
				return v.Args[0]
			}
			return nil
		}},
		inner(ir.OpEq, "not(eq(x, y))", "ne(x, y)", negated(ir.OpNe, true), ir.OpNot),
		inner(ir.OpNe, "not(ne(x, y))", "eq(x, y)", negated(ir.OpEq, true), ir.OpNot),
		inner(ir.OpLt, "not(lt(x, y)) of integers", "ge(x, y)", negated(ir.OpGe, false), ir.OpNot),
		inner(ir.OpLe, "not(le(x, y)) of integers", "gt(x, y)", negated(ir.OpGt, false), ir.OpNot),
		inner(ir.OpGt, "not(gt(x, y)) of integers", "le(x, y)", negated(ir.OpLe, false), ir.OpNot),
		inner(ir.OpGe, "not(ge(x, y)) of integers", "lt(x, y)", negated(ir.OpLt, false), ir.OpNot),
	}
	for _, op := range ops(ir.OpAbs, ir.OpSign, ir.OpFloor, ir.OpCeil, ir.OpRound, ir.OpTrunc) {
		rules = append(rules, inner(op, op.String()+"("+op.String()+"(x))", op.String()+"(x)",
			func(_ *rewriter, _, x *ir.Value) *ir.Value { return x }, op))
	}
	return rules
}

// negated builds the comparison that holds where another does not; of floats only
// if NaN allows.
func negated(op ir.Op, floatsToo bool) func(e *rewriter, v, x *ir.Value) *ir.Value {
	return func(e *rewriter, _, x *ir.Value) *ir.Value {
		if x.Args[0].Type.DType.IsFloat() && !floatsToo {
			return nil
		}
		return e.binary(op, x.Args[0], x.Args[1])
	}
}

// signRules move signs out of arithmetic; IEEE arithmetic rounds symmetrically.
func signRules() []rule {
	return []rule{
		{ops: ops(ir.OpAdd), from: "add(x, neg(y)), add(neg(x), y)", to: "sub(x, y), sub(y, x)", apply: func(e *rewriter, v *ir.Value) *ir.Value {
			x, y := v.Args[0], v.Args[1]
			switch {
			case y.Op == ir.OpNeg:
				return e.binary(ir.OpSub, x, y.Args[0])
			case x.Op == ir.OpNeg:
				return e.binary(ir.OpSub, y, x.Args[0])
			}
			return nil
		}},
		{ops: ops(ir.OpSub), from: "sub(x, neg(y))", to: "add(x, y)", apply: func(e *rewriter, v *ir.Value) *ir.Value {
			if y := v.Args[1]; y.Op == ir.OpNeg {
				return e.binary(ir.OpAdd, v.Args[0], y.Args[0])
			}
			return nil
		}},
		{ops: ops(ir.OpMul), from: "mul(neg(x), neg(y))", to: "mul(x, y)", apply: bothNegated},
		{ops: ops(ir.OpDiv), from: "div(neg(x), neg(y)) of floats", to: "div(x, y)", apply: func(e *rewriter, v *ir.Value) *ir.Value {
			if !v.Type.DType.IsFloat() { // the least integer is its own negative
				return nil
			}
			return bothNegated(e, v)
		}},
	}
}

func bothNegated(e *rewriter, v *ir.Value) *ir.Value {
	if x, y := v.Args[0], v.Args[1]; x.Op == ir.OpNeg && y.Op == ir.OpNeg {
		return e.binary(v.Op, x.Args[0], y.Args[0])
	}
	return nil
}

func selectRules() []rule {
	s := ops(ir.OpSelect)
	return []rule{
		{ops: s, from: "select(true, x, y), select(false, x, y)", to: "x, y", apply: func(_ *rewriter, v *ir.Value) *ir.Value {
			switch c := v.Args[0]; {
			case splatIs(c, 0, -1):
				return v.Args[1]
			case splatIs(c, 0, 0):
				return v.Args[2]
			}
			return nil
		}},
		{ops: s, from: "select(c, x, x)", to: "x", apply: func(_ *rewriter, v *ir.Value) *ir.Value {
			if v.Args[1] == v.Args[2] || sameSplat(v.Args[1], v.Args[2]) {
				return v.Args[1]
			}
			return nil
		}},
		{ops: s, from: "select(c, true, false), select(c, false, true)", to: "c, not(c)", apply: selectBools},
		{ops: s, from: "select(c, select(c, x, y), z), select(c, x, select(c, y, z))", to: "select(c, x, z)", apply: selectNested},
	}
}

func selectBools(e *rewriter, v *ir.Value) *ir.Value {
	c, x, y := v.Args[0], v.Args[1], v.Args[2]
	switch {
	case v.Type.DType != tensor.Bool:
		return nil
	case splatIs(x, 0, -1) && splatIs(y, 0, 0):
		return c
	case splatIs(x, 0, 0) && splatIs(y, 0, -1):
		return e.unary(ir.OpNot, c)
	}
	return nil
}

func selectNested(e *rewriter, v *ir.Value) *ir.Value {
	c, x, y := v.Args[0], v.Args[1], v.Args[2]
	switch {
	case x.Op == ir.OpSelect && x.Args[0] == c:
		return e.emit(ir.OpSelect, []*ir.Value{c, x.Args[1], y})
	case y.Op == ir.OpSelect && y.Args[0] == c:
		return e.emit(ir.OpSelect, []*ir.Value{c, x, y.Args[2]})
	}
	return nil
}

// associative are the ops that may be reassociated without changing a bit, by the
// classes of element types for which that is so.
var associative = map[ir.Op]int{
	ir.OpAdd: ints, ir.OpMul: ints, ir.OpAnd: ints | bools, ir.OpOr: ints | bools, ir.OpXor: ints | bools,
	ir.OpMax: ints | floats, ir.OpMin: ints | floats,
}

// nestedRules bring the constants of an associative op together.
func nestedRules() []rule {
	var rules []rule
	for _, op := range withTraits(ir.Commutative) {
		if class, ok := associative[op]; ok {
			name := op.String()
			rules = append(rules, rule{ops: ops(op), from: name + "(" + name + "(x, c), d)", to: name + "(x, " + name + "(c, d))",
				apply: reassociate(class)})
		}
	}
	return rules
}

// reassociate applies where the constants fold: both are splats.
func reassociate(class int) func(e *rewriter, v *ir.Value) *ir.Value {
	return func(e *rewriter, v *ir.Value) *ir.Value {
		x, d := v.Args[0], v.Args[1]
		if x.Op != v.Op || !inClass(v.Type.DType, class) || !isSplat(d) || !isSplat(x.Args[1]) {
			return nil
		}
		both := foldSplats(e, &ir.Value{Op: v.Op, Type: v.Type, Args: []*ir.Value{x.Args[1], d}})
		if both == nil {
			return nil
		}
		return e.binary(v.Op, x.Args[0], both)
	}
}
