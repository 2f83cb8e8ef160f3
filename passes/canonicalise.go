package passes

import (
	"slices"

	"jitc/ir"
)

// canonicalise gives equal data movement one spelling, composes and cancels it,
// and moves it towards the smaller tensor:
//
//	before  %t: f32[3,2] = transpose(%x) {perm=[1, 0]}
//	        %e: f32[3,2] = add(1.0, %t)
//	        %u: f32[2,3] = transpose(%e) {perm=[1, 0]}
//	after   %u: f32[2,3] = add(%x, 1.0)
//
// Its rules are directed, which is why they end: reshapes, transposes and slices
// move towards operands and lose themselves in broadcasts, contractions and
// sources; broadcasts move towards results through pointwise ops.
func canonicalise(f *ir.Func, o Options) (*ir.Func, error) {
	return rewrite(f, pick(sets().canonicalise, o), false), nil
}

func canonicalRules() []rule {
	return slices.Concat(orderRules(), reshapeRules(), broadcastRules(), transposeRules(), sliceRules(),
		joinRules(), reduceRules(), dotRules(), castRules(), sinkRules())
}

// ops is a list of ops, for tables.
func ops(list ...ir.Op) []ir.Op { return list }

// orderRules put operands and attributes in one order.
func orderRules() []rule {
	return []rule{
		{ops: withTraits(ir.Commutative), from: "op(c, x)", to: "op(x, c)", apply: constantSecond},
		{ops: ops(ir.OpLt, ir.OpLe, ir.OpGt, ir.OpGe), from: "lt(c, x), gt(x, y)", to: "gt(x, c), lt(y, x)", apply: orderComparison},
		{ops: ops(ir.OpSelect), from: "select(not(c), x, y)", to: "select(c, y, x)", apply: selectNot},
		{ops: ops(ir.OpConstant), from: "constant {value=1} of a float type", to: "constant {value=1.0}", apply: floatNumber},
	}
}

func constantSecond(e *rewriter, v *ir.Value) *ir.Value {
	if !isConstant(v.Args[0]) || isConstant(v.Args[1]) {
		return nil
	}
	return e.binary(v.Op, v.Args[1], v.Args[0])
}

var mirrored = map[ir.Op]ir.Op{ir.OpLt: ir.OpGt, ir.OpGt: ir.OpLt, ir.OpLe: ir.OpGe, ir.OpGe: ir.OpLe}

// orderComparison puts a constant second; without one, the lesser side is first.
func orderComparison(e *rewriter, v *ir.Value) *ir.Value {
	x, y := v.Args[0], v.Args[1]
	switch {
	case isConstant(y):
		return nil
	case isConstant(x), v.Op == ir.OpGt, v.Op == ir.OpGe:
		return e.binary(mirrored[v.Op], y, x)
	}
	return nil
}

func selectNot(e *rewriter, v *ir.Value) *ir.Value {
	if c := v.Args[0]; c.Op == ir.OpNot {
		return e.emit(ir.OpSelect, []*ir.Value{c.Args[0], v.Args[2], v.Args[1]})
	}
	return nil
}

func floatNumber(e *rewriter, v *ir.Value) *ir.Value {
	n, isInt := v.Attrs.Get("value").(int64)
	if !isInt || !v.Type.DType.IsFloat() {
		return nil
	}
	return e.with(v, v.Attrs.With("value", float64(n)))
}
