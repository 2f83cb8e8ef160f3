package trace_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"jitc/ir"
	"jitc/ir/tensor"
	"jitc/trace"
)

// notOps are methods that are no ops on data.
var notOps = map[string]bool{"Host": true, "Err": true, "String": true, "Bool": true, "Value": true, "Type": true, "Shape": true}

// argument makes a random argument of a method, right or wrong.
func argument(rng *rand.Rand, typ reflect.Type, name string, x []*trace.Tensor) reflect.Value {
	pick := func(vs ...any) reflect.Value {
		v := vs[rng.IntN(len(vs))]
		if v == nil {
			return reflect.Zero(typ)
		}
		return reflect.ValueOf(v)
	}
	some := x[rng.IntN(len(x))]
	switch typ {
	case reflect.TypeFor[*trace.Tensor]():
		return pick(some, some, some, some, some, some, nil)
	case reflect.TypeFor[any]():
		if some.Rank() > 0 && rng.IntN(2) == 0 {
			return reflect.ValueOf(some.Size(rng.IntN(some.Rank())))
		}
		return pick(some, some, 0, 1, 2, 3, -1, int64(2), int32(1), 2.5, true, trace.NewInt(2), trace.NewFloat(0.5), "no", trace.End, nil)
	case reflect.TypeFor[[]any]():
		return reflect.ValueOf([]any{argument(rng, reflect.TypeFor[any](), name, x).Interface(), 1})
	case reflect.TypeFor[int]():
		return pick(0, 0, 1, 1, -1, -2, 2, 3, -5)
	case reflect.TypeFor[float64]():
		return pick(0.0, 1e-5, 1.0, -1.0)
	case reflect.TypeFor[string]():
		return pick("sum", "prod", "amin", "amax", "mean", "")
	case reflect.TypeFor[tensor.DType]():
		return pick(tensor.F32, tensor.I64, tensor.Bool, tensor.F16, tensor.U8, tensor.Invalid)
	case reflect.TypeFor[trace.ConvOptions]():
		return pick(trace.ConvOptions{}, trace.ConvOptions{Stride: []int{2}, Padding: []int{1}}, trace.ConvOptions{Stride: []int{0}, Groups: 2}, trace.ConvOptions{Dilation: []int{1, 2, 3}})
	case reflect.TypeFor[trace.PoolOptions]():
		return pick(trace.PoolOptions{}, trace.PoolOptions{Window: []int{1, 2}}, trace.PoolOptions{Window: []int{-1}}, trace.PoolOptions{Window: []int{2}, Padding: []int{1}, ExcludePad: true})
	case reflect.TypeFor[trace.CrossEntropyOptions]():
		return pick(trace.CrossEntropyOptions{}, trace.CrossEntropyOptions{Reduction: "none"}, trace.CrossEntropyOptions{Reduction: "max"})
	}
	panic("BUG: trace_test: no argument of type " + typ.String() + " for " + name)
}

// apply calls a random method of a random tensor and returns its last tensor.
func apply(rng *rand.Rand, x []*trace.Tensor) (*trace.Tensor, string) {
	recv := reflect.ValueOf(x[rng.IntN(len(x))])
	for {
		m := recv.Type().Method(rng.IntN(recv.NumMethod()))
		if notOps[m.Name] {
			continue
		}
		var args []reflect.Value
		text := m.Name
		for i := 1; i < m.Type.NumIn(); i++ {
			typ, n := m.Type.In(i), 1
			if m.Type.IsVariadic() && i == m.Type.NumIn()-1 {
				typ, n = typ.Elem(), rng.IntN(4)
			}
			for range n {
				a := argument(rng, typ, m.Name, x)
				args = append(args, a)
				text += fmt.Sprintf(" %v", a)
			}
		}
		switch y := recv.Method(m.Index).Call(args)[0].Interface().(type) {
		case *trace.Tensor:
			return y, text
		case []*trace.Tensor:
			return y[len(y)-1], text
		case trace.Size:
			return y.Tensor(), text
		}
	}
}

// program applies up to four methods, each to what those before it gave.
func program(rng *rand.Rand, x []*trace.Tensor) (y *trace.Tensor, text string) {
	for range 1 + rng.IntN(4) {
		var op string
		y, op = apply(rng, x)
		text += op + "\n"
		if y.Err() != nil {
			return y, text
		}
		x = append(x[:len(x):len(x)], y, y)
	}
	return y, text
}

func argsOf(r *trace.Recorded, in []*tensor.Tensor) (args []*tensor.Tensor) {
	for _, p := range r.Params {
		args = append(args, in[p.Index])
	}
	return args
}

// Whatever is asked of an op, the answer is a tensor or an error, never a panic, and
// a trace of symbolic sizes gives what computing at once does.
func TestRandomCalls(t *testing.T) {
	pool := []*tensor.Tensor{
		f32s([]int{2, 3}, 1, -2, 3, 0.5, 5, 6), f32s([]int{3}, 1, 2, 0), f32s([]int{}, 2), i64s([]int{3}, 0, 2, 1), i64s([]int{}, 1),
		bools([]int{2, 3}, true, false, true, true, false, false), f32s([]int{1, 2, 2, 2}, 1, 2, 3, 4, 5, 6, 7, 8), f32s([]int{0, 3}),
		tensor.FromFloats(tensor.F16, []int{3, 2}, []float64{1, 2, 3, 4, 5, 6}),
	}
	now := make([]*trace.Tensor, len(pool))
	for i, h := range pool {
		now[i] = trace.FromHost(h)
	}
	good, differ := 0, []string(nil)
	for seed := range uint64(3000) {
		want, text := program(rand.New(rand.NewPCG(seed, 1)), now)
		r, err := trace.Record(specOf("f", true, pool...), func(x []*trace.Tensor, _ []any) ([]*trace.Tensor, error) {
			y, _ := program(rand.New(rand.NewPCG(seed, 1)), x)
			return []*trace.Tensor{y}, nil
		})
		var pe *trace.PanicError
		require.False(t, errors.As(err, &pe), "%s: %v", text, err)
		if want.Err() != nil {
			if err == nil && strings.Contains(want.Err().Error(), "there is nothing to") {
				continue // of an axis that may be empty, ops take what comes
			}
			if err == nil { // what is wrong shows in the sizes only, and then when it runs
				_, err = ir.Eval(r.F, argsOf(r, pool), nil)
			}
			require.Error(t, err, "%s: at once it is %v", text, want.Err())
			continue
		}
		if strings.Contains(text, "Item") || strings.Contains(text, "Size ") {
			continue // give no error outside a trace, where there is nothing to end
		}
		if err != nil {
			if !strings.Contains(err.Error(), "needs a constant exponent") && // a Size is one outside a trace
				!strings.Contains(err.Error(), "no value at hand of u") { // nor are there sizes from data
				differ = append(differ, fmt.Sprintf("seed %d: %s: %v", seed, text, err))
			}
			continue
		}
		got, err := ir.Eval(r.F, argsOf(r, pool), nil)
		require.NoError(t, err, "%s\n%s", text, r.F)
		require.NoError(t, tensor.Check(got[0], want.Host(), tensor.Exact), "%s\n%s", text, r.F)
		good++
	}
	require.Greater(t, good, 500)
	require.Empty(t, differ)
}

// otherSizes is inputs of the kinds of a pool with other sizes.
func otherSizes(rng *rand.Rand, pool []*tensor.Tensor) []*tensor.Tensor {
	out := make([]*tensor.Tensor, len(pool))
	for i, x := range pool {
		shape := slices.Clone(x.Shape())
		for a := range shape {
			if rng.IntN(3) == 0 {
				shape[a] = 1 + rng.IntN(4)
			}
		}
		data := make([]float64, tensor.New(x.DType(), shape...).NumElements())
		for j := range data {
			data[j] = float64(rng.IntN(5) - 1)
		}
		out[i] = tensor.FromFloats(x.DType(), shape, data)
	}
	return out
}

// A trace holds for all sizes that its conditions admit: there it gives what
// computing at once gives.
func TestConditionsAreSufficient(t *testing.T) {
	pool := []*tensor.Tensor{
		f32s([]int{2, 3}, 1, -2, 3, 0.5, 5, 6), f32s([]int{3}, 1, 2, 0), i64s([]int{3}, 0, 2, 1), bools([]int{2, 3}, true, false, true, true, false, false),
		f32s([]int{2, 1}, 4, 5), f32s([]int{2, 4, 3}, make([]float32, 24)...),
	}
	admitted, refused := 0, 0
	for seed := range uint64(3000) {
		r, err := trace.Record(specOf("f", true, pool...), func(x []*trace.Tensor, _ []any) ([]*trace.Tensor, error) {
			y, _ := program(rand.New(rand.NewPCG(seed, 2)), x)
			return []*trace.Tensor{y}, nil
		})
		if err != nil {
			continue
		}
		for other := range uint64(3) {
			in := otherSizes(rand.New(rand.NewPCG(seed, other)), pool)
			if _, err := ir.BindSizes(r.F, argsOf(r, in), nil); err != nil {
				refused++
				continue
			}
			now := make([]*trace.Tensor, len(in))
			for i, h := range in {
				now[i] = trace.FromHost(h)
			}
			want, text := program(rand.New(rand.NewPCG(seed, 2)), now)
			got, err := ir.Eval(r.F, argsOf(r, in), nil)
			if want.Err() != nil && err != nil || strings.Contains(text, "Item") || strings.Contains(text, "Size ") {
				continue
			}
			require.NoError(t, err, "seed %d: %s\n%s", seed, text, r.F)
			require.NoError(t, want.Err(), "seed %d: %s\n%s", seed, text, r.F)
			require.NoError(t, tensor.Check(got[0], want.Host(), tensor.Exact), "seed %d: %s\n%s", seed, text, r.F)
			admitted++
		}
	}
	require.Greater(t, admitted, 500)
	require.Greater(t, refused, 50)
}
