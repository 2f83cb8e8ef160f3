package executors

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/ir"
	"jitc/ir/tensor"
)

// Every element of a view is where its strides say: the views of an iota, computed by
// the reference, give its places.
func TestStridesOf(t *testing.T) {
	for _, c := range []struct {
		views string // of %0: f32[6,4]
		ok    bool
	}{
		{"", true},
		{"transpose(%0) {perm=[1,0]}", true},
		{"reshape(%0) {shape=[2,3,4]}; transpose(%1) {perm=[2,0,1]}; reshape(%2) {shape=[4,6]}", true},
		{"reshape(%0) {shape=[2,3,4]}; transpose(%1) {perm=[1,0,2]}; reshape(%2) {shape=[6,4]}", false},
		{"transpose(%0) {perm=[1,0]}; reshape(%1) {shape=[24]}", false},
		{"transpose(%0) {perm=[1,0]}; reshape(%1) {shape=[2,2,1,3,2]}", true},
		{"slice(%0) {starts=[1,0], limits=[6,3], strides=[2,1]}", true},
		{"slice(%0) {starts=[1,0], limits=[6,3]}; reshape(%1) {shape=[15]}", false},
		{"slice(%0) {starts=[1,0], limits=[5,4]}; reshape(%1) {shape=[8,2]}", true},
		{"slice(%0) {starts=[2,1], limits=[3,2]}; reshape(%1) {shape=[1,1,1]}; broadcast(%2) {axes=[0,2,3], shape=[1,5,4,3]}", true},
		{"reverse(%0) {axes=[0]}; reshape(%1) {shape=[3,2,4]}; reverse(%2) {axes=[1,2]}", true},
		{"slice(%0) {starts=[2,1], limits=[2,4]}; reverse(%1) {axes=[0]}; reshape(%2) {shape=[3,0,7]}", true},
		{"broadcast(%0) {axes=[1,2], shape=[5,6,4]}; reshape(%1) {shape=[30,4]}", false},
		{"broadcast(%0) {axes=[0,2], shape=[6,5,4]}; reshape(%1) {shape=[30,4]}", false},
		{"broadcast(%0) {axes=[0,2], shape=[6,5,4]}; transpose(%1) {perm=[1,0,2]}; reshape(%2) {shape=[5,24]}", true},
	} {
		requireStrides(t, c.views, c.ok)
	}
}

func requireStrides(t *testing.T, views string, wantOK bool) {
	t.Helper()
	f := viewsOf(t, views)
	v := f.Results[0]
	s, ok, err := StridesOf(v, nil)
	require.NoError(t, err, views)
	require.Equal(t, wantOK, ok, views)
	if !ok {
		require.Same(t, v, s.Root)
		return
	}
	require.Same(t, f.Params[0], s.Root)
	x := tensor.New(tensor.F32, 6, 4)
	for i := range tensor.Data[float32](x) {
		tensor.Data[float32](x)[i] = float32(i)
	}
	out, err := ir.Eval(f, []*tensor.Tensor{x}, nil)
	require.NoError(t, err)
	require.Equal(t, out[0].Shape(), s.Shape)
	got, err := x.View(s.Strides, s.Offset, s.Shape)
	if out[0].NumElements() == 0 {
		return
	}
	require.NoError(t, err, views)
	require.Nil(t, tensor.CompareAll([]*tensor.Tensor{got}, out, tensor.Exact), "%s: %+v", views, s)
}

// viewsOf is a function that applies ops, separated by semicolons, to f32[6,4].
func viewsOf(t *testing.T, views string) *ir.Func {
	t.Helper()
	src, n := "func @views(%0: f32[6,4]) -> f32[6,4] {\n", 0
	for op := range strings.SplitSeq(views, ";") {
		if op == "" {
			continue
		}
		n++
		src += fmt.Sprintf("  %%%d = %s\n", n, op)
	}
	f, _, diags := ir.Parse("views", src+"  return %0\n}\n")
	require.NoError(t, diags.Err(), src)
	if n > 0 { // whose type the text would have to say
		f.Results = f.Values[n-1:]
	}
	return f
}

// Random chains: whatever has strides has the right ones.
func TestStridesOfRandomViews(t *testing.T) {
	regular := 0
	for seed := range uint64(500) {
		rng := rand.New(rand.NewPCG(seed, 5))
		views, shape := "", []int{6, 4}
		for n := range 1 + rng.IntN(5) {
			if n > 0 {
				views += ";"
			}
			var op string
			op, shape = randomView(rng, shape)
			views += fmt.Sprintf(op, n)
		}
		f := viewsOf(t, views)
		_, ok, err := StridesOf(f.Results[0], nil)
		require.NoError(t, err)
		requireStrides(t, views, ok)
		if ok {
			regular++
		}
	}
	assert.Greater(t, regular, 250)
}

func randomView(rng *rand.Rand, shape []int) (op string, to []int) {
	rank := len(shape)
	switch rng.IntN(5) {
	case 0:
		perm := rng.Perm(rank)
		for _, p := range perm {
			to = append(to, shape[p])
		}
		return "transpose(%%%d) {perm=" + list(perm) + "}", to
	case 1:
		starts, limits := make([]int, rank), make([]int, rank)
		for i, n := range shape {
			starts[i] = rng.IntN(n)
			limits[i] = starts[i] + 1 + rng.IntN(n-starts[i])
			to = append(to, limits[i]-starts[i])
		}
		return "slice(%%%d) {starts=" + list(starts) + ", limits=" + list(limits) + "}", to
	case 2:
		return fmt.Sprintf("reverse(%%%%%%d) {axes=[%d]}", rng.IntN(rank)), shape
	case 3:
		at := rng.IntN(rank + 1)
		to = slices.Insert(slices.Clone(shape), at, 1+rng.IntN(3))
		var axes []int
		for i := range to {
			if i != at {
				axes = append(axes, i)
			}
		}
		return "broadcast(%%%d) {axes=" + list(axes) + ", shape=" + list(to) + "}", to
	}
	to = factors(rng, shape)
	return "reshape(%%%d) {shape=" + list(to) + "}", to
}

// factors is a random shape with as many elements.
func factors(rng *rand.Rand, shape []int) (to []int) {
	n := 1
	for _, x := range shape {
		n *= x
	}
	for n > 1 && len(to) < 4 {
		d := 1 + rng.IntN(n)
		for n%d != 0 {
			d--
		}
		to = append(to, d)
		n /= d
	}
	return append(to, n)
}

func list(xs []int) string { return strings.ReplaceAll(fmt.Sprint(xs), " ", ",") }

// What is stored where StridesInto says has the elements of the view in order.
func TestStridesInto(t *testing.T) {
	for views, wantOK := range map[string]bool{
		"":                           true,
		"transpose(%0) {perm=[1,0]}": true,
		"reshape(%0) {shape=[2,12]}; reshape(%1) {shape=[3,8]}":                                                                true,
		"transpose(%0) {perm=[1,0]}; reshape(%1) {shape=[2,2,6]}":                                                              true,
		"reshape(%0) {shape=[2,3,4]}; transpose(%1) {perm=[1,0,2]}; reshape(%2) {shape=[6,4]}":                                 false,
		"reshape(%0) {shape=[2,3,2,2]}; transpose(%1) {perm=[2,0,1,3]}; reshape(%2) {shape=[2,6,2]}":                           false,
		"reshape(%0) {shape=[2,3,4]}; transpose(%1) {perm=[2,0,1]}; reshape(%2) {shape=[4,6]}":                                 true,
		"transpose(%0) {perm=[1,0]}; reshape(%1) {shape=[2,2,6]}; transpose(%2) {perm=[2,0,1]}; reshape(%3) {shape=[3,2,4,1]}": true,
	} {
		f := viewsOf(t, views)
		v, root := f.Results[0], f.Params[0]
		s, ok, err := StridesInto(v, root, nil)
		require.NoError(t, err, views)
		require.Equal(t, wantOK, ok, views)
		if !ok {
			continue
		}
		require.Same(t, v, s.Root)
		x, err := tensor.Generate(tensor.Rule{Kind: "normal", Std: 1, Seed: 1}, tensor.F32, []int{6, 4})
		require.NoError(t, err)
		want, err := ir.Eval(f, []*tensor.Tensor{x}, nil)
		require.NoError(t, err)
		got := tensor.New(tensor.F32, want[0].Shape()...)
		to, err := got.View(s.Strides, s.Offset, s.Shape)
		require.NoError(t, err)
		require.NoError(t, to.CopyFrom(x))
		require.Nil(t, tensor.Compare(got, want[0], tensor.Exact), views)
	}
}

func TestStridesOfBadSizes(t *testing.T) {
	f, _, diags := ir.Parse("views", "func @v(%x: f32[S]) -> f32[S,1] {\n %0 = reshape(%x) {shape=[S,1]}\n return %0\n}\n")
	require.NoError(t, diags.Err())
	_, _, err := StridesOf(f.Results[0], nil)
	require.ErrorContains(t, err, "S")
}
