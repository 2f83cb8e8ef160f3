// Package workload has what is measured on GPUs beside PyTorch and JAX: single
// kernels by size, and a GPT-2 that decodes with a cache of keys and values. The
// programs are written as a user of package jitc writes them; the tables and
// testdata/peers/peers.py have the same names.
//
// Invariant: a workload has a size at which the interpreter of PTX runs it, so that
// all of them are tested where there is no GPU.
//
//	for _, w := range workload.Kernels(workload.Full) {
//		args, _ := w.Random()
//		f := w.Prepare(engine)
//		err := f.Call(ctx, args, &out)
//	}
//
// One step of the decoder is, in short:
//
//	%k1 = dynamic_update_slice(%k0, %row, 0, 0, %position, 0)   in place, if donated
//	%y  = scaled_dot_product_attention(%q, %k1, %v1, %used)     %used: rows up to position
//	%t  = argmax(%logits)
package workload

import (
	"context"
	"fmt"

	"jitc"
	"jitc/ir/tensor"
)

// Workload is a row of the device table: a function, its arguments, and the least
// that any way to compute it must move and calculate.
type Workload struct {
	Name    string
	Args    []Arg
	Prepare func(e *jitc.Engine) *Function
	Bytes   float64 // that pass through the device's memory; 0: not what it is bound by
	Flops   float64 // 0: not what it is bound by
	Kernels int     // dependent launches that one call makes at least, if that is what is measured
	OnHost  bool    // arguments and result lie on the host
}

// Arg is the type of an argument.
type Arg struct {
	DType jitc.DType
	Shape []int
}

// Function is a workload made ready for an engine.
type Function struct {
	// Call computes it into *out, as F1.CallInto does.
	Call func(ctx context.Context, args []*jitc.Tensor, out **jitc.Tensor) error
	// Traced has what became of it.
	Traced *jitc.Traced
}

// Regions are those of the program of the first call; none before.
func (f *Function) Regions() []jitc.RegionReport {
	entries := f.Traced.Entries()
	if len(entries) == 0 {
		return nil
	}
	return entries[0].Compiled().Detail.(*jitc.Compiled).Report.Regions
}

// Tolerance is that of two ways to compute the workload.
func (w *Workload) Tolerance() tensor.Tolerance {
	if w.Args[0].DType == jitc.BF16 {
		return tensor.Tolerance{Abs: 3e-2, Rel: 2e-2}
	}
	return tensor.Tolerance{Abs: 1e-4, Rel: 1e-4}
}

// Random makes arguments with normal elements, on the host.
func (w *Workload) Random() ([]*jitc.Tensor, error) {
	out := make([]*jitc.Tensor, len(w.Args))
	for i, a := range w.Args {
		x, err := tensor.Generate(tensor.Rule{Kind: "normal", Std: 1, Seed: uint64(i + 1)}, a.DType, a.Shape)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", w.Name, err)
		}
		out[i] = jitc.FromHost(x)
	}
	return out, nil
}

func unary(f func(x *jitc.Tensor) *jitc.Tensor) func(*jitc.Engine) *Function {
	return func(e *jitc.Engine) *Function {
		fn := jitc.Func1(e, f)
		return &Function{func(ctx context.Context, a []*jitc.Tensor, out **jitc.Tensor) error {
			return fn.CallInto(ctx, out, a[0])
		}, fn.Traced()}
	}
}

func binary(f func(x, y *jitc.Tensor) *jitc.Tensor) func(*jitc.Engine) *Function {
	return func(e *jitc.Engine) *Function {
		fn := jitc.Func2(e, f)
		return &Function{func(ctx context.Context, a []*jitc.Tensor, out **jitc.Tensor) error {
			return fn.CallInto(ctx, out, a[0], a[1])
		}, fn.Traced()}
	}
}

func ternary(f func(x, y, z *jitc.Tensor) *jitc.Tensor) func(*jitc.Engine) *Function {
	return func(e *jitc.Engine) *Function {
		fn := jitc.Func3(e, f)
		return &Function{func(ctx context.Context, a []*jitc.Tensor, out **jitc.Tensor) error {
			return fn.CallInto(ctx, out, a[0], a[1], a[2])
		}, fn.Traced()}
	}
}
