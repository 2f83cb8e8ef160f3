package jitc

import (
	"context"

	"jitc/ir/tensor"
	rt "jitc/runtime"
	"jitc/trace"
)

// Dim is a symbol for marks and facts about arguments: Dynamic("x", 0, Dim("B")).
func Dim(name string) Size { return trace.Dim(name) }

// NewInt makes a promotable scalar argument.
func NewInt(n int) Int { return trace.NewInt(n) }

// NewFloat makes a promotable scalar argument.
func NewFloat(f float64) Float { return trace.NewFloat(f) }

// NewVar makes a guarded global; its name is for messages.
func NewVar[T bool | int | int64 | float64 | string](name string, value T) *Var[T] {
	return trace.NewVar(name, value)
}

// From makes a tensor of a copy of data, in row-major order; without sizes it is a
// vector. Sizes that do not multiply to len(data) are an error.
func From[T tensor.Element](data []T, sizes ...int) (*Tensor, error) {
	return trace.From(data, sizes...)
}

// Data copies a tensor's elements, in row-major order. A tensor of another element
// type, and one that is traced, is an error.
func Data[T tensor.Element](t *Tensor) ([]T, error) { return trace.Data[T](t) }

// FromHost wraps a host tensor, which it shares.
func FromHost(t *tensor.Tensor) *Tensor { return trace.FromHost(t) }

// The functions below, and the methods of Tensor, return no error: in a trace a
// mistake ends the trace, elsewhere it gives a tensor whose Err says what is wrong.

// Scalar is a number whose element type gives way to that of the other operand.
func Scalar(v any) *Tensor { return trace.Scalar(v) }

// Full is a tensor whose elements all are value: a Go number or bool, which must
// fit the element type, or a tensor of rank 0. Here and below sizes are ints, Ints
// or Sizes.
func Full(dt DType, value any, sizes ...any) *Tensor { return trace.Full(dt, value, sizes...) }

// Zeros is a tensor of zeros.
func Zeros(dt DType, sizes ...any) *Tensor { return trace.Zeros(dt, sizes...) }

// Ones is a tensor of ones.
func Ones(dt DType, sizes ...any) *Tensor { return trace.Ones(dt, sizes...) }

// Arange is 0, 1, ... n-1.
func Arange(dt DType, n any) *Tensor { return trace.Arange(dt, n) }

// Eye is the identity matrix of n rows.
func Eye(dt DType, n any) *Tensor { return trace.Eye(dt, n) }

// Concat joins tensors along an axis.
func Concat(axis int, ts ...*Tensor) *Tensor { return trace.Concat(axis, ts...) }

// Stack joins tensors along a new axis.
func Stack(axis int, ts ...*Tensor) *Tensor { return trace.Stack(axis, ts...) }

// Where is a where cond holds and b elsewhere; the three are broadcast. a and b are
// tensors or numbers.
func Where(cond *Tensor, a, b any) *Tensor { return trace.Where(cond, a, b) }

// Select is Where under its other name.
func Select(p *Tensor, a, b any) *Tensor { return trace.Select(p, a, b) }

// Einsum is a sum of products over named axes: "bij,bjk->bik".
func Einsum(spec string, ts ...*Tensor) *Tensor { return trace.Einsum(spec, ts...) }

// Attention is softmax(q k^T) v, scaled and masked as the options say.
func Attention(q, k, v *Tensor, o trace.AttentionOptions) *Tensor { return trace.Attention(q, k, v, o) }

// Cond computes yes or no, as p, a bool scalar, says. Both are traced, one runs. What
// they give are tensors, or structs, slices and maps of them, of the same structure
// and types.
func Cond[R any](p *Tensor, yes, no func() R) R { return trace.Cond(p, yes, no) }

// While computes body(c), from init on, as long as cond(c), a bool scalar, is true.
func While[C any](init C, cond func(C) *Tensor, body func(C) C) C {
	return trace.While(init, cond, body)
}

// Scan calls body for each index along axis 0 of xs, with the carry so far and the
// slices there, and stacks what body gives beside the carry.
func Scan[C, X, Y any](init C, xs X, body func(C, X) (C, Y)) (C, Y) {
	return trace.Scan(init, xs, body)
}

// The modes of a Stance; see package runtime.
const (
	Default          = rt.ModeDefault
	ForceReference   = rt.ModeReference
	NoRecompile      = rt.ModeNoRecompile
	FailOnRecompile  = rt.ModeFailOnRecompile
	EagerThenCompile = rt.ModeEagerThenCompile
	Differentiating  = rt.ModeDifferentiating
)

// InStance is a context whose calls take the stance, whatever that of the function.
func InStance(ctx context.Context, s Stance) context.Context { return rt.WithStance(ctx, s) }
