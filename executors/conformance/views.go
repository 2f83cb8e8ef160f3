package conformance

import (
	"jitc/ir"
	"jitc/ir/dim"
	"jitc/ir/tensor"
)

// view appends to b a value of type t that is a view of a new parameter; nil
// where t's shape does not allow it. Shapes are static.
type view func(b *ir.Builder, t ir.Type, shape []int) *ir.Value

// throughView makes the op's operands views of the region's parameters, where
// that applies to one of them at least.
func throughView(view view) func(application) (testCase, bool) {
	return func(a application) (testCase, bool) {
		b := ir.NewBuilder(ir.NewFunc(a.op.String(), nil))
		args, applies := make([]*ir.Value, len(a.sample.Args)), false
		for i, t := range a.sample.Args {
			shape, err := ir.EvalShape(t.Shape, nil)
			if err != nil {
				return testCase{}, false
			}
			if v := view(b, t, shape); v != nil {
				args[i], applies = v, true
			} else {
				args[i] = b.F.AddParam("", t, nil)
			}
		}
		if !applies {
			return testCase{}, false
		}
		v := a.apply(b, args)
		return a.newCase(b, v, v)
	}
}

func param(b *ir.Builder, t ir.Type, shape []int) *ir.Value {
	return b.F.AddParam("", ir.TConst(t.DType, shape...), nil)
}

// transposed reverses the axes.
func transposed(b *ir.Builder, t ir.Type, shape []int) *ir.Value {
	if len(shape) < 2 {
		return nil
	}
	back, perm := make([]int, len(shape)), make([]int64, len(shape))
	for i, n := range shape {
		back[len(shape)-1-i], perm[i] = n, int64(len(shape)-1-i)
	}
	return b.Transpose(param(b, t, back), perm...)
}

// slice cuts shape out of a parameter of the size wide along the last axis.
func slice(b *ir.Builder, t ir.Type, shape []int, wide, start, step int) *ir.Value {
	last := len(shape) - 1
	whole := append([]int(nil), shape...)
	starts, limits, strides := make([]int, len(shape)), append([]int(nil), shape...), make([]int64, len(shape))
	for i := range strides {
		strides[i] = 1
	}
	whole[last], starts[last], strides[last] = wide, start, int64(step)
	limits[last] = start + step*shape[last]
	return b.Emit(ir.OpSlice, []*ir.Value{param(b, t, whole)}, ir.Attr{Name: "starts", Value: ir.Dims(starts...)},
		ir.Attr{Name: "limits", Value: ir.Dims(limits...)}, ir.Attr{Name: "strides", Value: strides})
}

// strided takes every third element of the last axis.
func strided(b *ir.Builder, t ir.Type, shape []int) *ir.Value {
	if len(shape) == 0 {
		return nil
	}
	n := shape[len(shape)-1]
	return slice(b, t, shape, 3*n+2, 1, 3)
}

// farApart lays rows more than a page apart.
func farApart(b *ir.Builder, t ir.Type, shape []int) *ir.Value {
	if len(shape) < 2 {
		return nil
	}
	const start = 521
	return slice(b, t, shape, start+shape[len(shape)-1]+4096, start, 1)
}

// reversed turns every axis around.
func reversed(b *ir.Builder, t ir.Type, shape []int) *ir.Value {
	if len(shape) == 0 {
		return nil
	}
	axes := make([]int64, len(shape))
	for i := range axes {
		axes[i] = int64(i)
	}
	return b.Emit(ir.OpReverse, []*ir.Value{param(b, t, shape)}, ir.Attr{Name: "axes", Value: axes})
}

// broadcast repeats the last axis along the others; of one axis, one element.
func broadcast(b *ir.Builder, t ir.Type, shape []int) *ir.Value {
	switch last := len(shape) - 1; {
	case last < 0:
		return nil
	case last == 0:
		return b.Broadcast(param(b, t, nil), t.Shape)
	default:
		return b.Broadcast(param(b, t, shape[last:]), t.Shape, int64(last))
	}
}

// reshaped lays the elements out flat.
func reshaped(b *ir.Builder, t ir.Type, shape []int) *ir.Value {
	n, err := tensor.CheckedElements(shape)
	if err != nil || len(shape) < 2 {
		return nil
	}
	return b.Reshape(param(b, t, []int{n}), t.Shape)
}

// column is a slice of a transpose: both axes are far from their neighbours.
func column(b *ir.Builder, t ir.Type, shape []int) *ir.Value {
	if len(shape) != 2 {
		return nil
	}
	x := b.Transpose(param(b, t, []int{shape[1] + 3, shape[0]}), 1, 0)
	return b.Emit(ir.OpSlice, []*ir.Value{x}, ir.Attr{Name: "starts", Value: ir.Dims(0, 2)},
		ir.Attr{Name: "limits", Value: ir.Dims(shape[0], shape[1]+2)})
}

// fused puts a pointwise op before the first operand and one with an operand of
// its own behind the result, and returns both results.
func fused(a application) (testCase, bool) {
	if len(a.sample.Args) == 0 {
		return testCase{}, false
	}
	b := ir.NewBuilder(ir.NewFunc(a.op.String(), nil))
	args := make([]*ir.Value, len(a.sample.Args))
	for i, t := range a.sample.Args {
		args[i] = b.F.AddParam("", t, nil)
	}
	lo, hi := fill{lo: a.sample.Lo, hi: a.sample.Hi}.bounds()
	args[0] = prologue(b, args[0], (lo+hi)/2)
	v := a.apply(b, args)
	if b.Err() != nil {
		return testCase{}, false
	}
	r := epilogue(b, v)
	return a.newCase(b, v, r, v)
}

// number appends a scalar constant, broadcast to t's shape.
func number(b *ir.Builder, t ir.Type, x float64) *ir.Value {
	return b.Broadcast(b.Splat(ir.T(t.DType, []dim.Expr{}...), x), t.Shape)
}

// prologue raises the elements below middle to it: about half of them change, no
// rounding happens, and the range stays that of the sample.
func prologue(b *ir.Builder, x *ir.Value, middle float64) *ir.Value {
	if x.Type.DType == tensor.Bool {
		return b.Unary(ir.OpNot, x)
	}
	return b.Binary(ir.OpMax, x, number(b, x.Type, middle))
}

// epilogue combines a result with a new operand.
func epilogue(b *ir.Builder, r *ir.Value) *ir.Value {
	other := b.F.AddParam("", r.Type, nil)
	if r.Type.DType == tensor.Bool {
		return b.Binary(ir.OpXor, r, other)
	}
	return b.Add(r, other)
}
