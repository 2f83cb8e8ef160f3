package jitc_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc"
)

// memoryModes are functions of a vector of size B that keep memory in different
// ways: exact recordings, one with a symbol, one with padded copies.
var memoryModes = map[string][]jitc.FuncOption{
	"static":   nil,
	"symbolic": {jitc.Marks(jitc.Dynamic("0", 0, jitc.Dim("B")).Range(0, 64))},
	"padded":   {jitc.Marks(jitc.Dynamic("0", 0, jitc.Dim("B")).Range(0, 64)), jitc.Bucket("B", jitc.PowersOfTwo(8))},
}

func vector(t testing.TB, xs ...float32) *T {
	t.Helper()
	x, err := jitc.From(xs, len(xs))
	require.NoError(t, err)
	return x
}

func requireElements(t testing.TB, x *T, want ...float32) {
	t.Helper()
	got, err := jitc.Data[float32](x)
	require.NoError(t, err)
	require.Equal(t, want, got)
}

// window is elements [from, from+n) of a vector, step apart.
func window(t testing.TB, x *T, from, n, step int) *T {
	t.Helper()
	v, err := x.Host().View([]int{step}, from, []int{n})
	require.NoError(t, err)
	return jitc.FromHost(v)
}

// TestCallIntoWritesNothingThatIsShared gives CallInto results that are arguments,
// or one another: they are left alone, and the results are new.
func TestCallIntoWritesNothingThatIsShared(t *testing.T) {
	type two struct{ Plus, Twice *T }
	ctx := context.Background()
	for name, opts := range memoryModes {
		t.Run(name, func(t *testing.T) {
			f := jitc.Func1(engine(t, jitc.Options{}), func(x *T) two { return two{x.Add(1), x.Mul(2)} }, opts...)
			x := vector(t, 1, 2, 3)
			_, err := f.Call(ctx, x)
			require.NoError(t, err)
			own, shared, long := vector(t, 0, 0, 0), vector(t, 0, 0, 0, 0, 0), vector(t, 1, 2, 3, 4, 5)
			for what, c := range map[string]struct {
				arg *T
				out two
			}{
				"an argument":           {x, two{x, own}},
				"one tensor":            {x, two{own, own}},
				"overlapping results":   {x, two{window(t, shared, 0, 3, 1), window(t, shared, 2, 3, 1)}},
				"overlapping arguments": {window(t, long, 0, 3, 1), two{window(t, long, 1, 3, 1), own}},
			} {
				require.NoError(t, f.CallInto(ctx, &c.out, c.arg), what)
				requireElements(t, c.out.Plus, 2, 3, 4)
				requireElements(t, c.out.Twice, 2, 4, 6)
				requireElements(t, x, 1, 2, 3)
				requireElements(t, long, 1, 2, 3, 4, 5)
			}
		})
	}
}

// TestResultsAreNewTensors: what is done to results reaches neither the arguments,
// nor what the function captured, nor another result, in any stance.
func TestResultsAreNewTensors(t *testing.T) {
	for name, opts := range memoryModes {
		for _, mode := range []jitc.Stance{{}, {Mode: jitc.ForceReference}, {Mode: jitc.EagerThenCompile}, {Mode: jitc.NoRecompile}} {
			t.Run(name+"/"+mode.Mode.String(), func(t *testing.T) {
				ctx := jitc.InStance(context.Background(), mode)
				x, captured := vector(t, 1, 2, 3), vector(t, 7)
				f := jitc.Func1(engine(t, jitc.Options{}), func(x *T) []*T {
					return []*T{x, x, captured, x.Reshape(x.Size(0), 1), x.Add(1), jitc.Full(jitc.F32, 5, 1)}
				}, opts...)
				for range 3 {
					out, err := f.Call(ctx, x)
					require.NoError(t, err)
					for i, want := range [][]float32{{1, 2, 3}, {1, 2, 3}, {7}, {1, 2, 3}, {2, 3, 4}, {5}} {
						requireElements(t, out[i], want...)
						b, _ := out[i].Host().Bytes()
						clear(b)
					}
					requireElements(t, x, 1, 2, 3)
					requireElements(t, captured, 7)
				}
			})
		}
	}
}

// TestElementsOfFrozenTensorsMayChange: of strided ones too, which runs copy.
func TestElementsOfFrozenTensorsMayChange(t *testing.T) {
	ctx, long := context.Background(), vector(t, 1, 0, 2, 0, 3, 0)
	f := jitc.Func2(engine(t, jitc.Options{}), func(p *jitc.Frozen[*T], x *T) *T { return x.Add(p.Value()) })
	frozen, err := jitc.Freeze(window(t, long, 0, 3, 2))
	require.NoError(t, err)
	x, out := vector(t, 10, 20, 30), (*T)(nil)
	for i := range 4 {
		require.NoError(t, long.Host().CopyFrom(vector(t, float32(i), 0, 2, 0, 3, 0).Host()))
		require.NoError(t, f.CallInto(ctx, &out, frozen, x))
		requireElements(t, out, 10+float32(i), 22, 33)
	}
	assert.EqualValues(t, 4, f.Traced().Stats().Calls)
}

// TestSizesBeyondTheMachineAreErrors: an allocation that Go cannot make ends the
// process, so none is tried.
func TestSizesBeyondTheMachineAreErrors(t *testing.T) {
	const huge = 1 << 43 // 32 TiB of f32
	e, x := engine(t, jitc.Options{}), vector(t, 1, 2, 3)
	contexts := []context.Context{context.Background(), reference(),
		jitc.InStance(context.Background(), jitc.Stance{Mode: jitc.EagerThenCompile})}
	row := func(x *T, n jitc.Int) *T { return x.Slice(0, 0, 1).BroadcastTo(n.Size()).Exp() }
	for name, fn := range map[string]func(x *T, n jitc.Int) *T{
		"result":       row,
		"intermediate": func(x *T, n jitc.Int) *T { return row(x, n).CumSum(0).Sum() },
		"constant":     func(x *T, n jitc.Int) *T { return jitc.Zeros(jitc.F32, n.Size()).Add(x.Sum()) },
	} {
		f := jitc.Func2(e, fn)
		for range 2 {
			for _, ctx := range contexts {
				_, err := f.Call(ctx, x, jitc.NewInt(huge))
				require.Error(t, err, name)
				_, err = f.Call(ctx, x, jitc.NewInt(5))
				require.NoError(t, err, name)
			}
		}
	}
	padded := jitc.Func1(e, func(x *T) *T { return x.Sum() }, jitc.Marks(jitc.Dynamic("0", 0, jitc.Dim("B"))),
		jitc.Bucket("B", jitc.Steps(huge)))
	_, err := padded.Call(context.Background(), x)
	require.ErrorContains(t, err, "expected at most the machine's")
	require.Error(t, jitc.Zeros(jitc.F32, huge).Add(x.Sum()).Err())
}
