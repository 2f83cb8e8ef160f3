package trace

import (
	"fmt"
	"slices"

	"jitc/ir"
	"jitc/ir/dim"
	"jitc/ir/tensor"
)

// Tensors made of nothing but numbers are recipes: in a trace they become constants
// of the program, not tensors that it captures, and only Host takes memory for
// them.

// From makes a tensor of a copy of data, in row-major order. Its length must be the
// product of the sizes; without sizes it is a vector.
func From[T tensor.Element](data []T, sizes ...int) (*Tensor, error) {
	if sizes == nil {
		sizes = []int{len(data)}
	}
	h, err := tensor.FromSlice(sizes, slices.Clone(data))
	if err != nil {
		return nil, &Error{Op: "From", What: err.Error(), Err: err}
	}
	return FromHost(h), nil
}

// Scalar is a number (a bool, int, int32, int64, float32 or float64) as a tensor of
// rank 0 whose element type gives way to that of the other operand. An Int or a
// Float gives its Tensor.
func Scalar(v any) *Tensor {
	t, err := operandOf(v)
	if err != nil {
		return failedHere(named(err, "Scalar"))
	}
	return t
}

// failedHere is a failed tensor; in a trace the failure ends it.
func failedHere(err error) *Tensor {
	current().abort(err)
	return failed(err)
}

// Full is a tensor whose elements all are value: a Go number or bool, which must
// fit the element type, or a tensor of rank 0.
func Full(dt tensor.DType, value Operand, sizes ...Extent) *Tensor {
	num, ok := numberOf(value)
	if !ok {
		return spread("Full", dt, value, sizes)
	}
	if !ir.Anything.Has(dt) {
		return failedHere(&Error{Op: "Full", What: dt.String() + " is not an element type"})
	}
	fitted, ok := convert(num, weakTypes[kindOf(num)], dt)
	if !ok || kindOf(num) == kindInt && dt.IsInt() && dt != tensor.U64 && fitted != num {
		return failedHere(&Error{Op: "Full", What: "value does not fit the element type", Expected: dt.String(), Got: fmt.Sprint(value)})
	}
	return recipe("Full", dt, sizes, func(_ *scope, t ir.Type) term { return term{num: fitted, t: t} })
}

// spread is Full with a tensor's element.
func spread(op string, dt tensor.DType, value Operand, sizes []Extent) *Tensor {
	shape, err := extents(sizes)
	if err != nil {
		return failedHere(named(err, op))
	}
	return do(op, sizesAs([]any{value}, shape...), func(s *scope, x []term) term {
		if x[0].rank() != 0 {
			s.rec.fail("the value is not a scalar", "a tensor of rank 0", x[0].typ().String(), "")
		}
		return s.toShape(s.to(x[0], dt), exprs(shape))
	})
}

// Zeros is a tensor of zeros, or of false.
func Zeros(dt tensor.DType, sizes ...Extent) *Tensor { return Full(dt, 0, sizes...) }

// Ones is a tensor of ones, or of true.
func Ones(dt tensor.DType, sizes ...Extent) *Tensor { return Full(dt, 1, sizes...) }

// Arange is 0, 1, 2 up to n-1.
func Arange(dt tensor.DType, n Extent) *Tensor { return Iota(dt, 0, n) }

// Iota counts along an axis: element i is i[axis].
func Iota(dt tensor.DType, axis int, sizes ...Extent) *Tensor {
	a, ok := wrapAxis(axis, len(sizes))
	if !ok {
		return failedHere(axisError("Iota", axis, len(sizes)))
	}
	return recipe("Iota", dt, sizes, func(s *scope, t ir.Type) term { return s.iota(t, a) })
}

func (s *scope) iota(t ir.Type, axis int) term {
	return term{v: s.emit(ir.OpIota, nil, attr("dtype", t.DType), attr("shape", t.Shape), attr("axis", int64(axis)))}
}

// Eye is the n x n matrix with ones, or true, on its diagonal.
func Eye(dt tensor.DType, n Extent) *Tensor {
	return recipe("Eye", dt, []Extent{n, n}, func(s *scope, t ir.Type) term {
		at := ir.T(tensor.I64, t.Shape...)
		return s.to(s.op(ir.OpEq, []term{s.iota(at, 0), s.iota(at, 1)}), dt)
	})
}

// recipe is a tensor that is made where it is used or, where its sizes are
// symbolic, a value of the trace.
func recipe(op string, dt tensor.DType, sizes []Extent, build func(s *scope, t ir.Type) term) *Tensor {
	shape, err := extents(sizes)
	if err != nil {
		return failedHere(named(err, op))
	}
	t := ir.T(dt, exprs(shape)...)
	for _, s := range shape {
		if s.rec != nil {
			return do(op, sizesAs(nil, shape...), func(s *scope, _ []term) term { return build(s, t) })
		}
	}
	static, ok := constShape(t.Shape)
	if !ok {
		return failedHere(&Error{Op: op, What: "a size without a value", Expected: "integers, or sizes of traced tensors", Got: ir.ShapeString(t.Shape),
			Hint: "what Dim makes is for marks; take the size of an argument with Size"})
	}
	if _, err := tensor.CheckedBytes(dt, static); err != nil {
		return failedHere(&Error{Op: op, What: err.Error(), Err: err})
	}
	if x := (&Tensor{typ: t}); op == "Full" {
		x.num = build(nil, t).num
		return x
	}
	return &Tensor{typ: t, recipe: func(s *scope) term { return build(s, t) }}
}

// constants are sizes as expressions.
func constants(ns ...int64) []dim.Expr {
	es := make([]dim.Expr, len(ns))
	for i, n := range ns {
		es[i] = dim.Const(n)
	}
	return es
}
