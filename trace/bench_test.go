package trace_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"jitc/ir/tensor"
	"jitc/trace"
)

// BenchmarkRecord traces GPT-2 small: 282 values over 149 parameters.
func BenchmarkRecord(b *testing.B) {
	file, err := trace.Read(filepath.Join("..", "testdata", "programs", "gpt2.trace"))
	require.NoError(b, err)
	spec := trace.Spec{Name: "gpt2", Facts: file.Func.Facts}
	for _, p := range file.Func.Params {
		spec.Inputs = append(spec.Inputs, trace.Input{Path: p.Name, DType: p.Type.DType, Sizes: p.Type.Shape})
	}
	named := map[string]*trace.Tensor{}
	for b.Loop() {
		_, err := trace.Record(spec, func(in []*trace.Tensor, _ []any) ([]*trace.Tensor, error) {
			for i, x := range in {
				named[spec.Inputs[i].Path] = x
			}
			return gpt2(named), nil
		})
		require.NoError(b, err)
	}
}

// BenchmarkVarGet reads a setting outside of a trace, as code on a hot path does.
func BenchmarkVarGet(b *testing.B) {
	v := trace.NewVar("n", 3)
	for b.Loop() {
		_ = v.Get()
	}
}

// BenchmarkAtOnce is one small op outside of a trace.
func BenchmarkAtOnce(b *testing.B) {
	x := trace.Ones(tensor.F32, 4)
	for b.Loop() {
		_ = x.Add(x)
	}
}
