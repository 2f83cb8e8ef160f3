// Package outoftree holds no code: its test is an executor as another module
// would write one, used through the public interfaces alone.
package outoftree

import (
	"context"
	"errors"
	"math"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"

	"jitc/executors"
	"jitc/executors/conformance"
	"jitc/fusion"
	"jitc/ir"
	"jitc/ir/tensor"
)

// rowSoftmax computes softmax of f32 over the last axis, and nothing else.
type rowSoftmax struct{}

func (rowSoftmax) Name() string             { return "row-softmax" }
func (rowSoftmax) Device() executors.Device { return executors.CPU }
func (rowSoftmax) Available() error         { return nil }

func (rowSoftmax) Claim(v *ir.Value) fusion.Claim {
	if v.Op != ir.OpSoftmax || v.Type.DType != tensor.F32 || v.Attrs.Int("axis", -1) != int64(v.Type.Rank()-1) {
		return fusion.Claim{Level: fusion.Refused, Why: "only softmax of f32 over the last axis"}
	}
	return fusion.Claim{Level: fusion.Alone}
}

func (x rowSoftmax) Compile(ctx context.Context, region *ir.Func, _ executors.Options) (executors.Kernel, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if len(region.Values) != 1 || x.Claim(region.Values[0]).Level == fusion.Refused {
		return nil, &executors.UnsupportedError{Executor: x.Name(), Reason: "not one softmax"}
	}
	return softmaxKernel{region}, nil
}

type softmaxKernel struct{ region *ir.Func }

func (k softmaxKernel) Info() executors.Info {
	bytes, flops := executors.Cost(k.region)
	return executors.Info{Executor: "row-softmax", Kind: "softmax", Bytes: bytes, Flops: flops}
}

func (softmaxKernel) Dump(string) (string, bool) { return "", false }

func (k softmaxKernel) Bind(sizes map[string]int64) (executors.Launch, error) {
	shape, err := ir.EvalShape(k.region.Params[0].Type.Shape, sizes)
	if err != nil {
		return nil, err
	}
	n, err := tensor.CheckedElements(shape)
	if err != nil {
		return nil, err
	}
	return softmaxLaunch{n, shape[len(shape)-1]}, nil
}

type softmaxLaunch struct{ elements, cols int }

func (softmaxLaunch) ScratchBytes(int) int { return 0 }

func (l softmaxLaunch) Run(bufs [][]byte, _ []byte, w executors.Workers) error {
	if len(bufs) != 2 {
		return errors.New("row-softmax: expected two buffers")
	}
	if l.elements == 0 {
		return nil
	}
	x, y := floats(bufs[0], l.elements), floats(bufs[1], l.elements)
	w.Run(l.elements/l.cols, func(row, _ int) {
		softmax(y[row*l.cols:][:l.cols], x[row*l.cols:][:l.cols])
	})
	return nil
}

func floats(b []byte, n int) []float32 {
	return unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(b))), n)
}

func softmax(y, x []float32) {
	top := math.Inf(-1)
	for _, v := range x {
		top = max(top, float64(v))
	}
	sum := 0.0
	for _, v := range x {
		sum += math.Exp(float64(v) - top)
	}
	for i, v := range x {
		y[i] = float32(math.Exp(float64(v)-top) / sum)
	}
}

func TestConformance(t *testing.T) {
	conformance.Run(t, rowSoftmax{}, conformance.Options{MustClaim: func(v *ir.Value) bool {
		return v.Op == ir.OpSoftmax && v.Type.DType == tensor.F32 && v.Attrs.Int("axis", -1) == int64(v.Type.Rank()-1)
	}})
}

// Registered and selected ahead of others, it gets the softmax whole; what it
// refuses goes to the next.
func TestSelection(t *testing.T) {
	executors.Register(rowSoftmax{}, 5)
	list, err := executors.Select("row-softmax")
	require.NoError(t, err)
	require.Len(t, list, 1, "no reference is registered in this binary")

	f, _, diags := ir.Parse("f", `func @f(%x: f32[4,8]) -> f32[4,8] {
  %y: f32[4,8] = softmax(%x) {axis=1}
  return %y
}`)
	require.NoError(t, diags.Err())
	parts, err := fusion.Partition(f, []fusion.Claimer{list[0]}, fusion.Options{})
	require.NoError(t, err)
	require.Len(t, parts.Regions, 1)
	require.Equal(t, "row-softmax", parts.Regions[0].Owner)
}
