package padding

import (
	"jitc/ir"
	"jitc/ir/tensor"
)

// A rule gives the axes of v, the value being built, whose operands are those of
// the rewritten function. It may replace operands by masked or bounded ones, and
// for some ops v itself. v is touched: padding reaches it.
type rule func(w *walker, v *ir.Value) ([]axis, error)

// rules are those of the ops that are not pointwise. Composites have none, but for
// size and cumulative: they are decomposed.
var rules map[ir.Op]rule

// init fills the table, since rules of bodies look rules up.
func init() {
	rules = map[ir.Op]rule{
		ir.OpConstant:  source,
		ir.OpIota:      iota,
		ir.OpReshape:   reshape,
		ir.OpBroadcast: broadcast,
		ir.OpTranspose: transpose,
		ir.OpSlice:     slice,
		ir.OpReverse:   reverse,

		ir.OpPad:                pad,
		ir.OpPatches:            patches,
		ir.OpConcat:             concat,
		ir.OpGather:             gather,
		ir.OpDynamicSlice:       dynamicSlice,
		ir.OpDynamicUpdateSlice: dynamicUpdateSlice,
		ir.OpScatter:            scatter,

		ir.OpReduceSum:    reduce(identity{0, 0}, true),
		ir.OpReduceProd:   reduce(identity{1, 1}, true),
		ir.OpReduceMax:    reduce(lowest, false),
		ir.OpReduceMin:    reduce(highest, false),
		ir.OpReduceAny:    reduce(identity{0, 0}, false),
		ir.OpReduceAll:    reduce(identity{1, 1}, false),
		ir.OpReduceWindow: reduceWindow,

		ir.OpDotGeneral: dotGeneral,

		ir.OpCumulative: cumulative,

		ir.OpCond:  bodies,
		ir.OpWhile: bodies,
		ir.OpScan:  bodies,
		ir.OpGet:   plainRule,

		ir.OpNonzero: nonzero,
		ir.OpRepeat:  repeat,
		ir.OpSize:    size,
	}
}

// ruleOf is the rule for v, nil if there is none.
func ruleOf(v *ir.Value) rule {
	if v.Is(ir.Pointwise) {
		return pointwise
	}
	return rules[v.Op]
}

// pointwise: the operands' padding lies in the same place, and the result's is
// there too. Where all operands hold known scalars in the padding, so does the
// result.
func pointwise(w *walker, v *ir.Value) ([]axis, error) {
	if len(v.Args) == 0 {
		return w.plain(v)
	}
	others := make([][]axis, 0, 2)
	for _, a := range v.Args[1:] {
		others = append(others, w.axes[a])
	}
	out, err := w.join(v, w.axes[v.Args[0]], others...)
	if err != nil {
		return nil, err
	}
	for i, a := range out {
		for j, p := range a.parts {
			if p.padded {
				out[i].parts[j].fill = w.fold(v, i, j, len(a.parts))
			}
		}
	}
	return out, nil
}

// fold is v's value where the padding along a part is known for all operands, and
// every executor gives the same.
func (w *walker) fold(v *ir.Value, at, part, parts int) *tensor.Tensor {
	if v.Is(ir.Approximate) {
		return nil
	}
	s := &ir.Value{Op: v.Op, Attrs: v.Attrs, Type: ir.T(v.Type.DType)}
	fills := make([]*tensor.Tensor, len(v.Args))
	for i, a := range v.Args {
		ps := w.axes[a][at].parts
		p := ps[0] // uniform, or it would not have joined
		if len(ps) == parts {
			p = ps[part]
		}
		if p.fill == nil {
			return nil
		}
		fills[i] = p.fill
		s.Args = append(s.Args, &ir.Value{Op: ir.OpParam, Type: ir.T(a.Type.DType)})
	}
	out, err := ir.EvalValue(s, fills, nil)
	if err != nil {
		return nil
	}
	return out[0]
}

// source is the rule of constants: splats, since data has no symbol in its shape.
func source(w *walker, v *ir.Value) ([]axis, error) {
	axes, err := w.plain(v)
	if err != nil {
		return nil, err
	}
	c := scalarOf(v)
	for i := range axes {
		axes[i] = axes[i].withFill(func(part) *tensor.Tensor { return c })
	}
	return uniformAxes(axes), nil
}

// scalarOf is the element of a splat, nil for any other value.
func scalarOf(v *ir.Value) *tensor.Tensor {
	if v.Op != ir.OpConstant || !v.Attrs.Has("value") {
		return nil
	}
	s := &ir.Value{Op: v.Op, Type: ir.T(v.Type.DType), Attrs: v.Attrs}
	out, err := ir.EvalValue(s, nil, nil)
	if err != nil {
		return nil
	}
	return out[0]
}

// iota counts from the start of its axis and is the same along the others.
func iota(w *walker, v *ir.Value) ([]axis, error) {
	axes, err := w.plain(v)
	if err != nil {
		return nil, err
	}
	out := uniformAxes(axes)
	at := v.Attrs.Int("axis", 0)
	out[at] = axes[at]
	return out, nil
}
