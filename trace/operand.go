package trace

import (
	"fmt"
	"math"

	"jitc/ir"
	"jitc/ir/dim"
	"jitc/ir/tensor"
)

// Operand is what an op takes where a tensor is wanted: a *Tensor, a Go bool, int,
// int32, int64, float32 or float64, a Size, an Int or a Float. What is not a tensor
// is a scalar whose element type gives way to that of the tensors beside it: x.Mul(2)
// has x's type, also where that is f16 or i8.
type Operand = any

// traceOf finds the trace that an op belongs to, nil for none, and the operands as
// tensors; Sizes and other Extents marked so only count for the trace.
func traceOf(op string, operands []any) (r *recorder, tensors []*Tensor, err error) {
	r = current()
	var lent *recorder // of an operand
	for _, x := range operands {
		if s, ok := x.(extent); ok {
			if lent == nil {
				lent = s.rec
			}
			continue
		}
		t, err := operandOf(x)
		if err != nil {
			return r, nil, named(err, op)
		}
		if t.Err() != nil {
			return r, nil, t.Err()
		}
		if t.rec != nil && lent == nil {
			lent = t.rec
		}
		tensors = append(tensors, t)
	}
	switch {
	case r == nil && lent == nil:
		return nil, tensors, nil
	case r == nil && lent.ended.Load():
		return nil, nil, &Error{Op: op, What: "a tensor of the trace of " + lent.name() + " is used after the trace has ended",
			Hint: "it was a promise of the traced function's: return it from there"}
	case r == nil:
		return lent, nil, &Error{Op: op, What: "a tensor of the trace of " + lent.name() + " is used on another goroutine",
			Hint: "trace on one goroutine"}
	}
	r.begin(op, caller())
	for _, t := range tensors {
		if err := r.check(t); err != nil {
			return r, nil, err
		}
	}
	if lent != nil && lent != r {
		return r, nil, &Error{Pos: r.pos, Op: op, What: "a size of the trace of " + lent.name() + " is used in the trace of " + r.name(),
			Hint: "pass what it is the size of as an argument"}
	}
	return r, tensors, nil
}

// extent is a Size among operands that is not data.
type extent struct{ Size }

// sizesAs marks sizes as extents, for traceOf.
func sizesAs(operands []any, sizes ...Size) []any {
	for _, s := range sizes {
		operands = append(operands, extent{s})
	}
	return operands
}

func named(err error, op string) error {
	if e, ok := err.(*Error); ok && e.Op == "" {
		e.Op = op
	}
	return err
}

// operandOf reads an Operand.
func operandOf(x Operand) (*Tensor, error) {
	switch x := x.(type) {
	case *Tensor:
		return x, nil
	case Size:
		return x.Tensor(), nil
	case Int:
		return x.Tensor(), nil
	case Float:
		return x.Tensor(), nil
	}
	if num, ok := numberOf(x); ok {
		return weakScalar(num), nil
	}
	return nil, &Error{What: "not an operand", Expected: "a *Tensor, a Go number, a bool, a Size, an Int or a Float", Got: fmt.Sprintf("a %T", x)}
}

// numberOf is a Go number as the value of a splat.
func numberOf(x any) (num any, ok bool) {
	switch x := x.(type) {
	case bool, int64, float64:
		return x, true
	case int:
		return int64(x), true
	case int32:
		return int64(x), true
	case float32:
		return float64(x), true
	}
	return nil, false
}

// weakScalar is a scalar whose element type gives way.
func weakScalar(num any) *Tensor {
	return &Tensor{typ: ir.T(weakTypes[kindOf(num)]), num: num, weak: true}
}

// kind orders what numbers are: a bool fits where an integer does, an integer
// where a float does.
type kind uint8

const (
	kindBool kind = iota
	kindInt
	kindFloat
)

var weakTypes = [...]tensor.DType{kindBool: tensor.Bool, kindInt: tensor.I64, kindFloat: tensor.F64}

func kindOf(num any) kind {
	switch num.(type) {
	case bool:
		return kindBool
	case int64:
		return kindInt
	}
	return kindFloat
}

func kindOfDType(dt tensor.DType) kind {
	switch {
	case dt.IsFloat():
		return kindFloat
	case dt.IsInt():
		return kindInt
	}
	return kindBool
}

// to converts a term to an element type; weak ones are so no more.
func (s *scope) to(x term, dt tensor.DType) term {
	if x.v == nil {
		if num, ok := convert(x.num, x.t.DType, dt); ok {
			return term{num: num, t: x.t.WithDType(dt)}
		}
	}
	v := s.value(x)
	if v.Type.DType == dt {
		return term{v: v}
	}
	return term{v: s.emit(ir.OpCast, []*ir.Value{v}, attr("dtype", dt))}
}

// convert is a splat's value in another element type, as cast gives it; ok is
// false where the text form cannot say it.
func convert(num any, from, to tensor.DType) (any, bool) {
	if from == to {
		return num, true
	}
	var scalar *tensor.Tensor
	switch n := num.(type) {
	case bool:
		scalar = tensor.Scalar(n)
	case int64:
		scalar = tensor.IntScalar(from, n)
	case float64:
		if from == tensor.F64 && to.IsFloat() {
			return n, true // the constant rounds it
		}
		scalar = tensor.FloatScalar(from, n)
	}
	scalar = tensor.Cast(scalar, to)
	switch kindOfDType(to) {
	case kindBool:
		return tensor.Ints(scalar)[0] != 0, true
	case kindInt:
		return tensor.Ints(scalar)[0], true
	}
	f := tensor.Floats(scalar)[0]
	return f, !math.IsNaN(f)
}

// toShape lays a term on axes of a shape, as NumPy does: its last axis on the last,
// axes of size 1 repeated. The shapes are known to fit.
func (s *scope) toShape(x term, shape []dim.Expr) term {
	if x.v == nil {
		return term{num: x.num, t: ir.T(x.t.DType, shape...), weak: x.weak}
	}
	if len(x.shape()) == len(shape) && ir.ShapeEqual(s.rec.facts, x.shape(), shape) {
		return x
	}
	axes := make([]int64, x.rank())
	for i := range axes {
		axes[i] = int64(len(shape) - len(axes) + i)
	}
	return term{v: s.emit(ir.OpBroadcast, []*ir.Value{x.v}, attr("shape", shape), attr("axes", axes)), weak: x.weak}
}
