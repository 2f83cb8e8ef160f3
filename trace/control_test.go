package trace_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/ir"
	"jitc/ir/tensor"
	"jitc/trace"
)

// state is what the loops of these tests carry.
type state struct {
	H    *trace.Tensor
	More map[string]*trace.Tensor
	Skip []*trace.Tensor
	N    int
}

func TestCond(t *testing.T) {
	type T = trace.Tensor
	w := trace.FromHost(f32s([]int{2}, 10, 20))
	fn := func(x []*T) *T {
		bias := x[1].Mul(2)
		return trace.Cond(x[0].Sum().Gt(0),
			func() state { return state{H: x[0].Add(bias), More: map[string]*T{"k": w.Add(x[0])}} },
			func() state { return state{H: x[0].Sub(bias), More: map[string]*T{"k": trace.Zeros(tensor.F32, 2)}} },
		).sum()
	}
	got := everyWay(t, fn, f32s([]int{2}, 1, 2), f32s([]int{}, 3))
	assert.Equal(t, []float32{18, 30}, tensor.Data[float32](got))
	got = everyWay(t, fn, f32s([]int{2}, -1, -2), f32s([]int{}, 3))
	assert.Equal(t, []float32{-7, -8}, tensor.Data[float32](got))

	r := record(t, specOf("f", false, f32s([]int{2}, 1, 2), f32s([]int{}, 3)), fn)
	require.Equal(t, `func @f(%x0: f32[2], %x1: f32[], %captured.0: f32[2]) -> f32[2] {
  %0: f32[] = constant() {value=2.0}
  %1: f32[] = mul(%x1, %0)
  %2: f32[] = reduce_sum(%x0) {axes=[0]}
  %3: f32[] = constant() {value=0.0}
  %4: bool[] = gt(%2, %3)
  %5: (f32[2], f32[2]) = cond(%4, %x0, %1, %captured.0) func(%0: f32[2], %1: f32[], %2: f32[2]) -> (f32[2], f32[2]) {
    %3: f32[2] = broadcast(%1) {axes=[]}
    %4: f32[2] = add(%0, %3)
    %5: f32[2] = add(%2, %0)
    return %4, %5
  } func(%0: f32[2], %1: f32[], %2: f32[2]) -> (f32[2], f32[2]) {
    %3: f32[2] = broadcast(%1) {axes=[]}
    %4: f32[2] = sub(%0, %3)
    %5: f32[2] = constant() {value=0.0}
    return %4, %5
  }
  %6: f32[2] = get(%5) {index=0}
  %7: f32[2] = get(%5) {index=1}
  %8: f32[2] = add(%6, %7)
  return %8
}
`, r.F.String())
	nested := func(x []*T) *T {
		return trace.Cond(x[0].Gt(0), func() *T {
			return trace.Cond(x[1].Gt(0), func() *T { return x[0].Add(x[1]) }, func() *T { return x[1] })
		}, func() *T { return x[0].Mul(1) })
	}
	for _, c := range [][3]float32{{1, 2, 3}, {1, -2, -2}, {-1, 2, -1}} {
		got := everyWay(t, nested, f32s([]int{}, c[0]), f32s([]int{}, c[1]))
		assert.Equal(t, c[2:], tensor.Data[float32](got))
	}
}

func (s state) sum() *trace.Tensor { return s.H.Add(s.More["k"]) }

func TestWhile(t *testing.T) {
	type T = trace.Tensor
	// Newton's iteration for the square root: the number of steps depends on data,
	// the start takes the type that the body gives.
	root := func(x []*T) *T {
		type c struct{ Y, Steps *T }
		out := trace.While(c{trace.Scalar(1.0), trace.Scalar(0)},
			func(s c) *T { return s.Y.Square().Sub(x[0]).Abs().Gt(1e-5).And(s.Steps.Lt(50)) },
			func(s c) c { return c{s.Y.Add(x[0].Div(s.Y)).Mul(0.5), s.Steps.Add(1)} })
		return trace.Stack(0, out.Y, out.Steps.To(tensor.F32))
	}
	got := tensor.Data[float32](everyWay(t, root, f32s([]int{}, 9)))
	assert.InDelta(t, 3, got[0], 1e-5)
	assert.InDelta(t, 6, got[1], 1)
	// A loop around a loop, with an invariant of the outer function.
	table := func(x []*T) *T {
		return trace.While([2]*T{trace.Zeros(tensor.I64), x[0]}, func(c [2]*T) *T { return c[0].Lt(3) }, func(c [2]*T) [2]*T {
			inner := trace.While([2]*T{c[0], c[1]}, func(c [2]*T) *T { return c[0].Gt(0) },
				func(c [2]*T) [2]*T { return [2]*T{c[0].Sub(1), c[1].Add(x[1])} })
			return [2]*T{c[0].Add(1), inner[1]}
		})[1]
	}
	got = tensor.Data[float32](everyWay(t, table, f32s([]int{2}, 0, 1), f32s([]int{2}, 1, 10)))
	assert.Equal(t, []float32{3, 31}, got) // 0 + 1 + 2 times
}

func TestScan(t *testing.T) {
	type T = trace.Tensor
	running := func(x []*T) *T {
		sum, sums := trace.Scan(trace.Scalar(0.0), x[0], func(c, x *T) (*T, *T) { c = c.Add(x); return c, c.Mul(x) })
		return sums.Add(sum)
	}
	got := tensor.Data[float32](everyWay(t, running, f32s([]int{3}, 1, 2, 3)))
	assert.Equal(t, []float32{7, 12, 24}, got)
	rnn := func(x []*T) *T {
		type step struct{ X, Mask *T }
		out, none := trace.Scan(state{H: trace.Zeros(tensor.F32, 2), N: 1}, step{x[0], x[1]}, func(c state, s step) (state, struct{}) {
			c.H = trace.Where(s.Mask, c.H.Mul(x[2]).Add(s.X), c.H)
			return c, struct{}{}
		})
		assert.Equal(t, struct{}{}, none)
		assert.Equal(t, 1, out.N)
		return out.H
	}
	got = tensor.Data[float32](everyWay(t, rnn, f32s([]int{3, 2}, 1, 2, 3, 4, 5, 6), bools([]int{3}, true, false, true), f32s([]int{}, 2)))
	assert.Equal(t, []float32{7, 10}, got)
	none := everyWay(t, running, f32s([]int{0}))
	assert.Equal(t, []int{0}, none.Shape())
	r := record(t, specOf("f", true, f32s([]int{3}, 1, 2, 3)), running)
	i := 0
	for r.F.Values[i].Op != ir.OpScan {
		i++
	}
	assert.Equal(t, "(f32[], f32[S0_0])", r.F.Values[i].Type.String())
}

func TestControlFlowMistakes(t *testing.T) {
	type T = trace.Tensor
	type num struct {
		X *T
		N int
	}
	cases := []struct {
		name string
		fn   traced
		want string
	}{
		{"branches of two types", func(x []*T) *T {
			return trace.Cond(x[0].Sum().Gt(0), func() *T { return x[0] }, func() *T { return x[0].Sum() })
		}, "Cond: the branches differ in the type of result 0"},
		{"branches of two structures", func(x []*T) *T {
			return trace.Cond(x[0].Sum().Gt(0), func() num { return num{x[0], 1} }, func() num { return num{x[0], 2} }).X
		}, "Cond: the branches give values of different structure"},
		{"predicate", func(x []*T) *T {
			return trace.Cond(x[0].Gt(0), func() *T { return x[0] }, func() *T { return x[1] })
		}, "Cond: the predicate is not a bool scalar"},
		{"a carry that grows", func(x []*T) *T {
			return trace.While(x[0], func(c *T) *T { return c.Sum().Lt(9) }, func(c *T) *T { return trace.Concat(0, c, c) })
		}, "While: the body changes the type of carry 0"},
		{"a number that changes", func(x []*T) *T {
			return trace.While(num{x[0], 1}, func(c num) *T { return c.X.Sum().Lt(9) }, func(c num) num { c.N++; return c }).X
		}, "While: the body changes the structure of what it carries"},
		{"nothing carried", func(x []*T) *T {
			trace.While(struct{}{}, func(struct{}) *T { return x[0].Sum().Gt(0) }, func(c struct{}) struct{} { return c })
			return x[0]
		}, "While: nothing is carried"},
		{"nil", func(x []*T) *T {
			return trace.While((*T)(nil), func(c *T) *T { return c }, func(c *T) *T { return c })
		}, "While: a nil *Tensor: value"},
		{"lengths", func(x []*T) *T {
			y, _ := trace.Scan(x[0].Sum(), []*T{x[0], x[1].Slice(0, 0, 1)}, func(c *T, x []*T) (*T, *T) { return c, c })
			return y
		}, "Scan: inputs differ in length"},
		{"not a value", func(x []*T) *T {
			trace.Cond(x[0].Sum().Gt(0), func() func() { return nil }, func() func() { return nil })
			return x[0]
		}, "Cond: "},
		{"an error inside", func(x []*T) *T {
			return trace.While(x[0], func(c *T) *T { return c.Sum().Lt(9) }, func(c *T) *T { return c.MatMul(c) })
		}, "MatMul: inner dimensions differ"},
		{"a size from data", func(x []*T) *T {
			return trace.Cond(x[0].Sum().Gt(0), func() *T { return x[0].Nonzero() }, func() *T { return x[0].Nonzero() })
		}, "Nonzero: a size that data decides cannot come from a branch"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			err := recordErr(symbolic(), c.fn)
			require.ErrorContains(t, err, c.want)
			require.Regexp(t, `^control_test\.go:\d+: `, err.Error())
			x := trace.FromHost(tensor.New(tensor.F32, 3, 4))
			if y := c.fn([]*T{x, x}); c.name != "nothing carried" && c.name != "not a value" {
				require.Error(t, y.Err())
			}
		})
	}
}

func TestKnownPredicatesTakeTheirBranch(t *testing.T) {
	type T = trace.Tensor
	r := record(t, symbolic(), func(x []*T) *T {
		return trace.Cond(trace.Full(tensor.Bool, true), func() *T { return x[0].Exp() }, func() *T { return x[1].Log() })
	})
	require.Equal(t, []ir.Op{ir.OpExp}, []ir.Op{r.F.Values[0].Op})
}
