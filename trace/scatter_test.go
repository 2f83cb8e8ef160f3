package trace_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"jitc/ir/tensor"
	"jitc/trace"
)

func TestScatterMisuse(t *testing.T) {
	type T = trace.Tensor
	i := func(x *T) *T { return x.Argmax(1) }                // i64[B]
	wide := func(x *T) *T { return x.Mul(0).To(tensor.I64) } // i64[B,4]
	for name, c := range map[string]struct {
		fn   func(x []*T) *T
		want string
	}{
		"reduction":          {func(x []*T) *T { return x[0].IndexReduce(0, i(x[0]), x[0], "mean") }, `IndexReduce: there is no such reduction`},
		"reduction of words": {func(x []*T) *T { return x[0].ScatterReduce(0, i(x[0]), x[0], "add") }, `expected  sum, prod, amin or amax`},
		"rank of the source": {func(x []*T) *T { return x[0].IndexAdd(0, i(x[0]), i(x[0])) }, `IndexAdd: the source has another rank`},
		"sizes of the source": {func(x []*T) *T { return x[0].IndexCopy(1, i(x[0]), x[0].Slice(1, 0, 2)) },
			`IndexCopy: scatter: the updates have another shape than what the indices choose`},
		"rank of the indices": {func(x []*T) *T { return x[0].Scatter(0, i(x[0]), x[0]) }, `Scatter: the operands have different ranks`},
		"sizes of the indices": {func(x []*T) *T { return x[0].ScatterAdd(0, wide(x[0]).Slice(1, 0, 2), x[0].Slice(1, 0, 2)) },
			`ScatterAdd: scatter: batch dimensions differ`},
		"indices of floats": {func(x []*T) *T { return x[0].ScatterAdd(1, x[0], x[0]) }, `ScatterAdd: scatter: wrong element type of the second operand`},
		"axis":              {func(x []*T) *T { return x[0].Scatter(2, wide(x[0]), x[0]) }, `Scatter: axis out of range`},
	} {
		t.Run(name, func(t *testing.T) { require.ErrorContains(t, recordErr(symbolic(), c.fn), c.want) })
	}
}
