package cublas_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"jitc/executors"
	"jitc/executors/conformance"
	"jitc/executors/cuda"
	ltfake "jitc/executors/cuda/cublaslt/fake"
	"jitc/executors/cuda/driver/fake"
	"jitc/fusion"
	"jitc/ir"
	"jitc/ir/tensor"
)

var executorsOptions executors.Options

// pair is the library ahead of the device's own kernels, as in a selection.
type pair struct{ *machine }

func (p pair) Name() string                    { return "pair" }
func (p pair) Device() executors.Device        { return p.device.Device() }
func (p pair) Available() error                { return p.cublas.Available() }
func (p pair) Queue() (executors.Queue, error) { return p.device.Queue() }

func (p pair) Claim(v *ir.Value) fusion.Claim {
	if c := p.cublas.Claim(v); c.Level != fusion.Refused {
		return c
	}
	return p.device.Claim(v)
}

func (p pair) Compile(ctx context.Context, region *ir.Func, o executors.Options) (executors.Kernel, error) {
	k, err := p.cublas.Compile(ctx, region, o)
	if errors.As(err, new(*executors.UnsupportedError)) {
		k, err = p.device.Compile(ctx, region, o)
	}
	if err != nil {
		return nil, err
	}
	return ofPair{k}, nil
}

// ofPair is a kernel of either.
type ofPair struct{ executors.Kernel }

func (k ofPair) Info() executors.Info {
	info := k.Kernel.Info()
	info.Executor = "pair"
	return info
}

// takesProducts is what the pair may not refuse.
func takesProducts(v *ir.Value) bool {
	types := map[tensor.DType]bool{tensor.F32: true, tensor.F64: true, tensor.F16: true, tensor.BF16: true}
	return v.Op == ir.OpDotGeneral && types[v.Args[0].Type.DType]
}

// The suite for products, and for a few other ops beside them; memory of exactly the
// size that is asked for, so that every access beyond it is seen.
func TestConformance(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		driver  fake.Config
		library ltfake.Config
		thin    bool
	}{
		{"eager", fake.Config{Eager: true}, ltfake.Config{}, false},
		{"late, with a workspace", fake.Config{Seed: 5}, ltfake.Config{Workspace: 1000, Version: 130001}, true},
		{"without capture", fake.Config{Eager: true}, ltfake.Config{Uncapturable: true}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newMachine(t, c.driver, c.library, cuda.Options{NoReuse: true})
			t.Run("suite", func(t *testing.T) {
				conformance.Run(t, pair{m}, conformance.Options{MustClaim: takesProducts, Thin: c.thin,
					Ops: []ir.Op{ir.OpDotGeneral, ir.OpLinear, ir.OpMatmul, ir.OpAdd}})
			})
			require.Greater(t, m.library.Count("Multiply"), 20)
		})
	}
}

// Alone, the executor refuses the rest, with reasons.
func TestConformanceAlone(t *testing.T) {
	t.Parallel()
	m := newMachine(t, fake.Config{Eager: true}, ltfake.Config{}, cuda.Options{})
	conformance.Check(t, m.cublas, conformance.Options{Thin: true, MustClaim: takesProducts})
	require.Greater(t, m.library.Count("Multiply"), 20)
}
