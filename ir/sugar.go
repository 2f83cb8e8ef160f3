package ir

import (
	"jitc/ir/dim"
	"jitc/ir/tensor"
)

// The methods below build the values that decompositions and passes need most.
// All of them follow the Builder's sticky-error rule.

// Unary appends op(x).
func (b *Builder) Unary(op Op, x *Value) *Value { return b.Emit(op, []*Value{x}) }

// Binary appends op(x, y).
func (b *Builder) Binary(op Op, x, y *Value) *Value { return b.Emit(op, []*Value{x, y}) }

// Add appends x+y; the operands have one type.
func (b *Builder) Add(x, y *Value) *Value { return b.Binary(OpAdd, x, y) }

// Sub appends x-y.
func (b *Builder) Sub(x, y *Value) *Value { return b.Binary(OpSub, x, y) }

// Mul appends x*y.
func (b *Builder) Mul(x, y *Value) *Value { return b.Binary(OpMul, x, y) }

// Div appends x/y.
func (b *Builder) Div(x, y *Value) *Value { return b.Binary(OpDiv, x, y) }

// Select appends cond ? x : y.
func (b *Builder) Select(cond, x, y *Value) *Value { return b.Emit(OpSelect, []*Value{cond, x, y}) }

// Cast appends x converted to dt; x itself if it has that type.
func (b *Builder) Cast(x *Value, dt tensor.DType) *Value {
	if b.err != nil || x.Type.DType == dt {
		return x
	}
	return b.Emit(OpCast, []*Value{x}, Attr{"dtype", dt})
}

// Splat appends a constant of type t whose elements all are value (rounded to
// the element type).
func (b *Builder) Splat(t Type, value float64) *Value {
	var num any = value
	switch {
	case t.DType == tensor.Bool:
		num = value != 0
	case t.DType.IsInt():
		num = int64(value)
	}
	return b.Emit(OpConstant, nil, Attr{"value", num}, Attr{"dtype", t.DType}, Attr{"shape", t.Shape})
}

// SplatLike is Splat with x's type.
func (b *Builder) SplatLike(x *Value, value float64) *Value {
	if b.err != nil {
		return nil
	}
	return b.Splat(x.Type, value)
}

// Reshape appends x with another shape of as many elements; x itself if it has it.
func (b *Builder) Reshape(x *Value, shape []dim.Expr) *Value {
	if b.err != nil || ShapeEqual(nil, x.Type.Shape, shape) {
		return x
	}
	return b.Emit(OpReshape, []*Value{x}, Attr{"shape", shape})
}

// Broadcast appends x with its axis i laid on axis axes[i] of shape.
func (b *Builder) Broadcast(x *Value, shape []dim.Expr, axes ...int64) *Value {
	if b.err != nil || len(axes) == len(shape) && ShapeEqual(nil, x.Type.Shape, shape) {
		return x
	}
	return b.Emit(OpBroadcast, []*Value{x}, Attr{"shape", shape}, Attr{"axes", axes})
}

// Transpose appends x with its axes permuted: axis i of the result is axis perm[i] of x.
func (b *Builder) Transpose(x *Value, perm ...int64) *Value {
	identity := true
	for i, p := range perm {
		identity = identity && int64(i) == p
	}
	if b.err != nil || identity {
		return x
	}
	return b.Emit(OpTranspose, []*Value{x}, Attr{"perm", perm})
}

// Reduce appends a reduction of x over axes; the axes are dropped.
func (b *Builder) Reduce(op Op, x *Value, axes ...int64) *Value {
	return b.Emit(op, []*Value{x}, Attr{"axes", axes})
}

// ReduceKeep reduces x over axes and broadcasts the result back to x's shape.
func (b *Builder) ReduceKeep(op Op, x *Value, axes ...int64) *Value {
	if b.err != nil {
		return nil
	}
	return b.BroadcastBack(b.Reduce(op, x, axes...), x.Type.Shape, axes...)
}

// BroadcastBack broadcasts x, a reduction over axes, to the unreduced shape.
func (b *Builder) BroadcastBack(x *Value, shape []dim.Expr, axes ...int64) *Value {
	return b.Broadcast(x, shape, keptAxes(len(shape), axes)...)
}

// keptAxes lists the axes of a rank-n shape that are not in axes.
func keptAxes(n int, axes []int64) []int64 {
	dropped := make([]bool, n)
	for _, a := range axes {
		dropped[a] = true
	}
	kept := []int64{}
	for i := range n {
		if !dropped[i] {
			kept = append(kept, int64(i))
		}
	}
	return kept
}

// Iota appends a tensor of type t that counts along axis from 0.
func (b *Builder) Iota(t Type, axis int64) *Value {
	return b.Emit(OpIota, nil, Attr{"dtype", t.DType}, Attr{"shape", t.Shape}, Attr{"axis", axis})
}
