package attention

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"jitc/codegen/ptx/sim"
	"jitc/ir"
	"jitc/ir/tensor"
)

// evaluated is what the op is defined to be: the evaluation of its decomposition.
func (e *example) evaluated(t *testing.T) []float64 {
	f := ir.NewFunc("attention", nil)
	var params []*ir.Value
	var args []*tensor.Tensor
	for _, a := range []*array{e.q, e.k, e.v, e.mask} {
		if a != nil {
			shape := append(append([]int{}, a.lead...), a.rows, a.cols)
			params = append(params, f.AddParam("x", ir.TConst(a.dtype, shape...), nil))
			args = append(args, tensor.FromFloats(a.dtype, shape, a.values))
		}
	}
	b := ir.NewBuilder(f)
	y := b.Emit(ir.OpAttention, params, ir.Attr{Name: "causal", Value: e.p.Causal}, ir.Attr{Name: "scale", Value: e.s.Scale})
	require.NoError(t, b.Err())
	f.Results = []*ir.Value{y}
	out, err := ir.Eval(f, args, nil)
	require.NoError(t, err)
	return tensor.Floats(out[0])
}

// The templates mean what the op means, at the edges of its definition too.
func TestAgreesWithTheOp(t *testing.T) {
	for _, c := range []struct {
		name          string
		queries, keys int
		p             Problem
		change        func(e *example)
	}{
		{"plain", 9, 21, Problem{}, func(*example) {}},
		{"causal", 9, 21, Problem{Causal: true}, func(*example) {}},
		{"causal, more queries than keys", 21, 9, Problem{Causal: true}, func(*example) {}},
		{"no keys", 3, 0, Problem{}, func(*example) {}},
		{"rows of nothing", 9, 21, Problem{Mask: BoolMask}, func(e *example) { clear(e.mask.values[21:63]) }},
		{"added mask and causality", 9, 21, Problem{Mask: AddMask, Causal: true}, func(*example) {}},
		{"an infinite mask", 9, 21, Problem{Mask: AddMask}, func(e *example) {
			e.mask.values[3], e.mask.values[30] = math.Inf(-1), math.Inf(1)
		}},
		{"an infinite key", 9, 21, Problem{}, func(e *example) { e.k.values[16*4+2] = math.Inf(1) }},
		{"negative scale", 9, 21, Problem{}, func(e *example) { e.s.Scale = -2 }},
		{"no scale", 9, 21, Problem{Mask: BoolMask}, func(e *example) { e.s.Scale = 0 }},
	} {
		for _, dt := range dtypes {
			t.Run(c.name+"/"+dt.String(), func(t *testing.T) {
				c.p.DType, c.p.HeadDim, c.p.ValueDim = dt, 16, 24
				e := newExample(c.p, []int{2}, c.queries, c.keys, 11)
				c.change(e)
				e.run(t, sim.Options{})
				compare(t, e.o.values, e.evaluated(t), 2*c.p.tolerance())
			})
		}
	}
}
