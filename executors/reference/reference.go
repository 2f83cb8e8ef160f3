// Package reference is the executor that computes every op by the op's own
// evaluation in plain Go: the oracle that other executors are compared with,
// and the one that takes what nobody else claims. Importing it registers it,
// last in the default selection.
//
// A region is kept as it is, and ir.Eval walks it:
//
//	func @region(%0: f32[d0], %1: f32[d0]) -> f32[d0] {
//	  %2: f32[d0] = pow(%0, %1)
//	  return %2
//	}
//
// Invariants: it refuses no op whose result's size follows from others; it computes on the caller's goroutine, so that
// results do not depend on workers; every value is rounded to its element type.
package reference

import (
	"context"
	"fmt"

	"jitc/executors"
	"jitc/fusion"
	"jitc/ir"
	"jitc/ir/tensor"
)

func init() { executors.Register(Executor{}, 100) }

// Executor is the reference executor. The zero value is ready to use.
type Executor struct{}

var _ executors.Executor = Executor{}

// Name is "reference".
func (Executor) Name() string { return executors.Reference }

// Device is the host.
func (Executor) Device() executors.Device { return executors.CPU }

// Available is always nil.
func (Executor) Available() error { return nil }

// Claim takes every op whose result's size is known beforehand, alone: a region of
// one op is what the oracle defines.
func (Executor) Claim(v *ir.Value) fusion.Claim {
	switch {
	case v.Is(ir.Structural):
		return fusion.Claim{Level: fusion.Refused, Why: "not a computation"}
	case v.Is(ir.Dynamic):
		return fusion.Claim{Level: fusion.Refused, Why: "its size depends on data: a chain of segments runs it"}
	}
	return fusion.Claim{Level: fusion.Alone}
}

// Compile keeps the region as it is.
func (Executor) Compile(_ context.Context, region *ir.Func, _ executors.Options) (executors.Kernel, error) {
	if len(region.Results) == 0 {
		return nil, fmt.Errorf("reference: region @%s has no results", region.Name)
	}
	return kernel{region}, nil
}

type kernel struct{ region *ir.Func }

func (k kernel) Bind(sizes map[string]int64) (executors.Launch, error) {
	l := &launch{region: k.region, sizes: sizes}
	for _, v := range append(append([]*ir.Value{}, k.region.Params...), k.region.Results...) {
		shape, err := ir.EvalShape(v.Type.Shape, sizes)
		if err != nil {
			return nil, err
		}
		l.dtypes = append(l.dtypes, v.Type.DType)
		l.shapes = append(l.shapes, shape)
	}
	return l, nil
}

func (k kernel) Info() executors.Info {
	bytes, flops := executors.Cost(k.region)
	return executors.Info{Executor: executors.Reference, Kind: "reference", Detail: "evaluated in plain Go", Bytes: bytes, Flops: flops}
}

func (kernel) Dump(string) (string, bool) { return "", false }

type launch struct {
	region *ir.Func
	sizes  map[string]int64
	dtypes []tensor.DType
	shapes [][]int
}

func (*launch) ScratchBytes(int) int { return 0 }

// Run evaluates the region on one goroutine and copies the results out.
func (l *launch) Run(bufs [][]byte, _ []byte, _ executors.Workers) error {
	n := len(l.region.Params)
	args := make([]*tensor.Tensor, n)
	for i := range args {
		t, err := tensor.FromBytes(l.dtypes[i], l.shapes[i], bufs[i])
		if err != nil {
			return err
		}
		args[i] = t
	}
	results, err := ir.Eval(l.region, args, l.sizes)
	if err != nil {
		return err
	}
	for i, r := range results {
		data, _ := r.Contiguous().Bytes()
		copy(bufs[n+i], data)
	}
	return nil
}
