package codegen

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/ir"
	"jitc/ir/tensor"
)

// randomTensor has elements within [lo, hi); both zero: a range around zero, from
// zero for unsigned types.
func randomTensor(rng *rand.Rand, dt tensor.DType, shape []int, lo, hi float64) *tensor.Tensor {
	if lo == 0 && hi == 0 {
		lo, hi = -4, 4
	}
	if dt.IsUnsigned() {
		lo = max(lo, 0)
	}
	n, _ := tensor.CheckedElements(shape)
	xs := make([]float64, n)
	for i := range xs {
		xs[i] = lo + (hi-lo)*rng.Float64()
		if dt == tensor.Bool {
			xs[i] = float64(rng.IntN(2))
		}
	}
	return tensor.FromFloats(dt, shape, xs)
}

// interpretRegion runs a kernel on arguments and returns its outputs.
func interpretRegion(t *testing.T, k *Kernel, f *ir.Func, args []*tensor.Tensor, preset map[string]int64) []*tensor.Tensor {
	t.Helper()
	sizes, err := ir.BindSizes(f, args, preset)
	require.NoError(t, err)
	b, err := Bind(k, sizes)
	require.NoError(t, err, "%s", k)
	bufs := make([][]byte, len(k.Bufs))
	for i, a := range args {
		bufs[i], _ = a.Contiguous().Bytes()
	}
	var out []*tensor.Tensor
	for i, r := range f.Results {
		shape, err := ir.EvalShape(r.Type.Shape, sizes)
		require.NoError(t, err)
		out = append(out, tensor.New(r.Type.DType, shape...))
		bufs[len(args)+i], _ = out[i].Bytes()
	}
	require.NoError(t, Interpret(b, bufs), "%s", k)
	return out
}

// closeness is how far a fused kernel may be from the reference, which rounds
// after every op. Integers and bools are exact.
func closeness(dt tensor.DType) tensor.Tolerance {
	rel := map[tensor.DType]float64{tensor.F64: 1e-12, tensor.F32: 2e-5, tensor.F16: 4e-3, tensor.BF16: 3e-2,
		tensor.F8E4M3: 0.25, tensor.F8E5M2: 0.5}[dt]
	return tensor.Tolerance{Abs: rel, Rel: rel, NaNEqual: true}
}

// requireAgrees lowers a region and compares it with the reference evaluation.
func requireAgrees(t *testing.T, f *ir.Func, args []*tensor.Tensor, preset map[string]int64, tol ...tensor.Tolerance) *Kernel {
	t.Helper()
	k, err := Lower(f, Options{})
	require.NoError(t, err)
	legal, err := Legalize(k, Target{WideIndex: true})
	require.NoError(t, err, "%s", k)
	want, err := ir.Eval(f, args, preset)
	require.NoError(t, err)
	for _, k := range []*Kernel{k, legal} {
		for i, got := range interpretRegion(t, k, f, args, preset) {
			tol := append(tol, closeness(want[i].DType()))[0]
			require.NoError(t, tensor.Check(got, want[i], tol), "result %d of\n%s\n%s", i, f, k)
		}
	}
	return k
}

// hasData reports whether an application is of a constant that has no splat form.
func hasData(s ir.Sample) bool { return s.Attrs.Tensor("data") != nil }

// TestLowerOps lowers every sample of every primitive op, in every element type.
func TestLowerOps(t *testing.T) {
	for _, op := range ir.Ops() {
		row := op.Row()
		if row.Traits&(ir.Structural|ir.Dynamic) != 0 || row.Decompose != nil {
			continue
		}
		t.Run(row.Name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(7, uint64(op)))
			for _, s := range row.Samples() {
				dts := []tensor.DType{tensor.Invalid}
				if len(s.Args) > 0 {
					dts = row.DTypes.List()
				}
				for _, dt := range dts {
					lowerSample(t, rng, op, s, dt)
				}
			}
		})
	}
}

// lowerSample checks one application with the first operand's element type
// replaced wherever it stands.
func lowerSample(t *testing.T, rng *rand.Rand, op ir.Op, s ir.Sample, dt tensor.DType) {
	f := ir.NewFunc("sample", nil)
	b := ir.NewBuilder(f)
	var args []*tensor.Tensor
	var params []*ir.Value
	for _, at := range s.Args {
		if at.DType == s.Args[0].DType {
			at = at.WithDType(dt)
		}
		shape, err := ir.EvalShape(at.Shape, nil)
		require.NoError(t, err)
		params = append(params, f.AddParam("", at, nil))
		args = append(args, randomTensor(rng, at.DType, shape, s.Lo, s.Hi))
	}
	f.Results = []*ir.Value{b.EmitAttrs(op, params, s.Attrs)}
	require.NoError(t, b.Err())
	if op == ir.OpScatter { // writes in an order: no nest
		_, err := Lower(f, Options{})
		require.ErrorContains(t, err, "cannot lower scatter")
		return
	}
	if hasData(s) {
		_, err := Lower(f, Options{})
		var unsupported *Unsupported
		require.ErrorAs(t, err, &unsupported)
		assert.Contains(t, err.Error(), "constant with data")
		return
	}
	requireAgrees(t, f, args, nil)
}

// parseFunc reads a region in the text form.
func parseFunc(t *testing.T, src string) *ir.Func {
	t.Helper()
	f, _, diags := ir.Parse("test.trace", strings.TrimSpace(src))
	require.NotNil(t, f, "%v", diags)
	return f
}
