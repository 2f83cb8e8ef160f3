package jitc_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc"
	"jitc/ir/tensor"
	rt "jitc/runtime"
)

type T = jitc.Tensor

// reference is a context whose calls are evaluated by the ops' definitions.
func reference() context.Context {
	return jitc.InStance(context.Background(), jitc.Stance{Mode: jitc.ForceReference})
}

// cyclic is a f32 tensor of -1, -0.75, ... in cycles.
func cyclic(sizes ...int) *T {
	n := 1
	for _, s := range sizes {
		n *= s
	}
	data := make([]float32, n)
	for i := range data {
		data[i] = float32(i%11)/4 - 1
	}
	t, err := jitc.From(data, sizes...)
	if err != nil {
		panic(err)
	}
	return t
}

// alike checks that two tensors are of one type and differ by rounding only.
func alike(t testing.TB, want, got *T) {
	t.Helper()
	require.NoError(t, got.Err())
	require.NoError(t, want.Err())
	require.Equal(t, want.DType(), got.DType())
	require.Equal(t, want.Shape(), got.Shape())
	a, b := tensor.Floats(want.Host()), tensor.Floats(got.Host())
	for i := range a {
		if math.IsNaN(a[i]) != math.IsNaN(b[i]) || math.Abs(a[i]-b[i]) > 1e-4*(1+math.Abs(a[i])) {
			require.Failf(t, "elements differ", "at %d: %v instead of %v", i, b[i], a[i])
		}
	}
}

func values(t testing.TB, x *T) []float32 {
	data, err := jitc.Data[float32](x)
	require.NoError(t, err)
	return data
}

type apiLayer struct {
	W, B *T
}

type apiModel struct {
	Layers []apiLayer
	Extra  map[string]*T
	Act    string
	Scale  float64
	Head   *apiLayer
}

type apiOutput struct {
	Logits *T
	Parts  []*T
	Named  map[string]*T
	Depth  int
	Note   string
}

func (m *apiModel) run(x *T, train bool) apiOutput {
	out := apiOutput{Named: map[string]*T{}, Depth: len(m.Layers), Note: m.Act}
	for _, l := range m.Layers {
		x = x.MatMul(l.W).Add(l.B)
		if m.Act == "relu" {
			x = x.Relu()
		} else {
			x = x.Tanh()
		}
		out.Parts = append(out.Parts, x)
	}
	for k, v := range m.Extra {
		out.Named[k] = x.Mul(v)
	}
	if m.Head != nil {
		x = x.Linear(m.Head.W, m.Head.B)
	}
	if train {
		x = x.Mul(m.Scale)
	}
	out.Logits = x
	return out
}

func newAPIModel(depth int) *apiModel {
	m := &apiModel{Act: "relu", Scale: 0.5, Extra: map[string]*T{"a": cyclic(4), "b": cyclic(1)}}
	for range depth {
		m.Layers = append(m.Layers, apiLayer{cyclic(4, 4), cyclic(4)})
	}
	return m
}

func TestNestedArgumentsAndResults(t *testing.T) {
	e, ctx := engine(t, jitc.Options{}), context.Background()
	f := jitc.Func3(e, (*apiModel).run, jitc.ArgNames("m", "x", "train"), jitc.Name("model"))
	check := func(m *apiModel, x *T, train bool) apiOutput {
		t.Helper()
		want := m.run(x, train) // outside a trace the ops compute at once
		got, err := f.Call(ctx, m, x, train)
		require.NoError(t, err)
		alike(t, want.Logits, got.Logits)
		require.Len(t, got.Parts, len(want.Parts))
		for i := range want.Parts {
			alike(t, want.Parts[i], got.Parts[i])
		}
		require.Len(t, got.Named, len(want.Named))
		for k := range want.Named {
			alike(t, want.Named[k], got.Named[k])
		}
		assert.Equal(t, []any{want.Depth, want.Note}, []any{got.Depth, got.Note})
		return got
	}
	m := newAPIModel(2)
	a := check(m, cyclic(3, 4), false)
	b := check(m, cyclic(3, 4), false)
	assert.NotSame(t, a.Logits, b.Logits)
	assert.Len(t, f.Traced().Entries(), 1)
	why := func() string {
		es := f.Traced().Entries()
		return fmt.Sprint(es[len(es)-1].Why)
	}
	for _, change := range []struct {
		do   func()
		want string
	}{
		{func() { m.Layers = append(m.Layers, m.Layers[0]) }, "len(m.Layers) == 2; len(m.Layers) is 3"},
		{func() { m.Act = "tanh" }, `m.Act == "relu"; m.Act is "tanh"`},
		{func() { delete(m.Extra, "b"); m.Extra["c"] = cyclic(4) }, `"b"`},
		{func() { m.Head = &apiLayer{cyclic(5, 4), cyclic(5)} }, "m.Head"},
		{func() { m.Head = &apiLayer{cyclic(6, 4), cyclic(6)} }, "m.Head.W.size(0) == 5; m.Head.W.size(0) is 6"},
	} {
		before := len(f.Traced().Entries())
		change.do()
		check(m, cyclic(3, 4), false)
		require.Len(t, f.Traced().Entries(), before+1, change.want)
		assert.Contains(t, why(), change.want)
	}
	check(m, cyclic(3, 4), true)
	s := f.Traced().Stats()
	assert.Equal(t, "model", s.Function)
	assert.EqualValues(t, 8, s.Calls)
	assert.EqualValues(t, 7, s.Misses)
	assert.Contains(t, f.String(), "func @model(")
}

func TestFunctionsOfEveryArity(t *testing.T) {
	e, ctx := engine(t, jitc.Options{}), context.Background()
	x := func(n float32) *T { v, _ := jitc.From([]float32{n}); return v }
	sum := func(ts ...*T) *T {
		s := ts[0]
		for i, v := range ts[1:] {
			s = s.Add(v.Mul(i + 2))
		}
		return s
	}
	f1 := jitc.Func1(e, func(a *T) *T { return sum(a) })
	f2 := jitc.Func2(e, func(a, b *T) *T { return sum(a, b) })
	f3 := jitc.Func3(e, func(a, b, c *T) *T { return sum(a, b, c) })
	f4 := jitc.Func4(e, func(a, b, c, d *T) *T { return sum(a, b, c, d) })
	f5 := jitc.Func5(e, func(a, b, c, d, f *T) *T { return sum(a, b, c, d, f) })
	f6 := jitc.Func6(e, func(a, b, c, d, f, g *T) *T { return sum(a, b, c, d, f, g) })
	calls := []struct {
		call func() (*T, error)
		into func(*(*T)) error
		want float32
	}{
		{func() (*T, error) { return f1.Call(ctx, x(1)) }, func(o **T) error { return f1.CallInto(ctx, o, x(1)) }, 1},
		{func() (*T, error) { return f2.Call(ctx, x(1), x(2)) }, func(o **T) error { return f2.CallInto(ctx, o, x(1), x(2)) }, 5},
		{func() (*T, error) { return f3.Call(ctx, x(1), x(2), x(3)) }, func(o **T) error { return f3.CallInto(ctx, o, x(1), x(2), x(3)) }, 14},
		{func() (*T, error) { return f4.Call(ctx, x(1), x(2), x(3), x(4)) },
			func(o **T) error { return f4.CallInto(ctx, o, x(1), x(2), x(3), x(4)) }, 30},
		{func() (*T, error) { return f5.Call(ctx, x(1), x(2), x(3), x(4), x(5)) },
			func(o **T) error { return f5.CallInto(ctx, o, x(1), x(2), x(3), x(4), x(5)) }, 55},
		{func() (*T, error) { return f6.Call(ctx, x(1), x(2), x(3), x(4), x(5), x(6)) },
			func(o **T) error { return f6.CallInto(ctx, o, x(1), x(2), x(3), x(4), x(5), x(6)) }, 91},
	}
	for _, c := range calls {
		got, err := c.call()
		require.NoError(t, err)
		assert.Equal(t, []float32{c.want}, values(t, got))
		var out *T
		require.NoError(t, c.into(&out))
		assert.Equal(t, []float32{c.want}, values(t, out))
	}
}

func TestCallIntoWritesInPlace(t *testing.T) {
	e, ctx := engine(t, jitc.Options{}), context.Background()
	f := jitc.Func1(e, func(x *T) apiOutput {
		return apiOutput{Logits: x.Mul(2), Parts: []*T{x.Add(1), x.Neg()}, Depth: 3}
	})
	var out apiOutput
	require.NoError(t, f.CallInto(ctx, &out, cyclic(8)))
	first, host := out, out.Logits.Host()
	require.NoError(t, f.CallInto(ctx, &out, cyclic(8)))
	assert.Same(t, first.Logits, out.Logits)
	assert.Same(t, host, out.Logits.Host())
	alike(t, cyclic(8).Mul(2), out.Logits)

	require.NoError(t, f.CallInto(ctx, &out, cyclic(4)), "other sizes: new tensors")
	assert.NotSame(t, first.Logits, out.Logits)
	assert.Equal(t, []int{4}, out.Logits.Shape())

	x := out.Logits // an argument that lies where a result is to go
	want := x.Mul(2)
	require.NoError(t, f.CallInto(ctx, &out, x))
	assert.NotSame(t, x, out.Logits)
	alike(t, want, out.Logits)

	out.Depth = 4 // another value of a constant: the structure is not what the call returns
	before := out.Logits
	require.NoError(t, f.CallInto(ctx, &out, cyclic(4)))
	assert.Equal(t, 3, out.Depth)
	assert.NotSame(t, before, out.Logits)
	require.ErrorContains(t, f.CallInto(ctx, nil, cyclic(4)), "expected where to put the result, got nil")
}

func TestSteadyCallsAllocateNothing(t *testing.T) {
	e, ctx := engine(t, jitc.Options{Threads: 1}), context.Background()
	m := newAPIModel(2)
	frozen, err := jitc.Freeze(m)
	require.NoError(t, err)
	plain := jitc.Func2(e, func(m *apiModel, x *T) *T { return m.run(x, true).Logits })
	deep := jitc.Func2(e, func(m *jitc.Frozen[*apiModel], x *T) *T { return m.Value().run(x, true).Logits })
	scalar := jitc.Func2(e, func(x *T, lr jitc.Float) *T { return x.Mul(lr) })
	x, y := cyclic(3, 4), cyclic(5, 4)
	var out, out2, out3, out4 *T
	for name, f := range map[string]func() error{
		"add":    func() error { return plain.CallInto(ctx, &out, m, x) },
		"frozen": func() error { return deep.CallInto(ctx, &out2, frozen, x) },
		"two sizes": func() error {
			return errors.Join(plain.CallInto(ctx, &out3, m, y), plain.CallInto(ctx, &out, m, x))
		},
		"scalar": func() error { return scalar.CallInto(ctx, &out4, x, jitc.NewFloat(0.5)) },
	} {
		require.NoError(t, f())
		require.NoError(t, f())
		allocs := testing.AllocsPerRun(100, func() { err = errors.Join(err, f()) })
		require.NoError(t, err)
		if !raceEnabled {
			assert.Zero(t, allocs, name)
		}
	}
}

func TestFrozenArguments(t *testing.T) {
	e, ctx := engine(t, jitc.Options{}), context.Background()
	m := newAPIModel(2)
	f := jitc.Func2(e, func(m *jitc.Frozen[*apiModel], x *T) *T { return m.Value().run(x, false).Logits }, jitc.ArgNames("m", "x"))
	one, err := jitc.Freeze(m)
	require.NoError(t, err)
	call := func(z *jitc.Frozen[*apiModel], x *T, want *apiModel) {
		t.Helper()
		got, err := f.Call(ctx, z, x)
		require.NoError(t, err)
		alike(t, want.run(x, false).Logits, got)
	}
	call(one, cyclic(3, 4), m)
	call(one, cyclic(3, 4), m)
	other := newAPIModel(2)
	other.Layers[1].W = cyclic(4, 4).Neg()
	two, err := jitc.Freeze(other)
	require.NoError(t, err)
	call(two, cyclic(3, 4), other)
	call(one, cyclic(3, 4), m)
	assert.Len(t, f.Traced().Entries(), 1, "other weights of the same types")
	assert.Equal(t, int64(1), f.Traced().Stats().Hits.Tree)
	deeper := newAPIModel(3)
	three, err := jitc.Freeze(deeper)
	require.NoError(t, err)
	call(three, cyclic(3, 4), deeper)
	assert.Contains(t, fmt.Sprint(f.Traced().Entries()[1].Why), "entry 0 needs ")

	_, err = f.Call(ctx, nil, cyclic(3, 4))
	require.ErrorContains(t, err, "frozen argument is nil")
	m.Layers[0] = apiLayer{cyclic(4, 4).Neg(), cyclic(4)} // Freeze has copied the structure
	call(one, cyclic(3, 4), newAPIModel(2))
	_, err = jitc.Freeze([]*T{nil})
	require.ErrorContains(t, err, "freeze")
}

func TestDonatedMemory(t *testing.T) {
	e, ctx := engine(t, jitc.Options{}), context.Background()
	// Nobody reads w any more when the result is written.
	late := jitc.Func2(e, func(w, g *T) *T { return w.MatMul(g).Relu().MatMul(g) }, jitc.ArgNames("w", "g"), jitc.Donate("w"))
	w, g := cyclic(4, 4), cyclic(4, 4)
	for range 3 {
		want := w.MatMul(g).Relu().MatMul(g)
		got, err := late.Call(ctx, w, g)
		require.NoError(t, err)
		alike(t, want, got)
		assert.Same(t, &values(t, w)[0], &values(t, got)[0], "it lies where w did")
		w = got
	}
	_, err := late.Call(ctx, w, w)
	require.ErrorContains(t, err, "donated w: expected memory that no other argument has, got that of g")
	var into *T // which lies elsewhere: nothing is overwritten
	require.NoError(t, late.CallInto(ctx, &into, g, cyclic(4, 4)))
	require.NoError(t, late.CallInto(ctx, &into, cyclic(4, 4), cyclic(4, 4)))
	w, g = cyclic(4, 4), cyclic(4, 4)

	// A result that is the argument stays where it is.
	same := jitc.Func2(e, func(w, g *T) []*T { return []*T{w, g.Mul(2)} }, jitc.ArgNames("w", "g"), jitc.Donate("w"))
	out, err := same.Call(ctx, w, g)
	require.NoError(t, err)
	assert.Same(t, &values(t, w)[0], &values(t, out[0])[0])
	var buffer *rt.BufferError
	for range 2 { // the first call and a remembered one
		_, err = same.Call(ctx, w, w)
		require.ErrorAs(t, err, &buffer)
		require.ErrorContains(t, err, "donated w: expected memory that no other argument has, got that of g")
	}
	_, err = jitc.Func1(e, func(x *T) *T { return x }, jitc.Donate("y")).Call(ctx, w)
	require.ErrorContains(t, err, `donate "y": no tensor argument has that path: expected one of [0]`)
}

func TestCapturedTensors(t *testing.T) {
	e, ctx := engine(t, jitc.Options{}), context.Background()
	captured := cyclic(4)
	f := jitc.Func1(e, func(x *T) []*T { return []*T{x.Add(captured), captured} })
	got, err := f.Call(ctx, cyclic(4))
	require.NoError(t, err)
	alike(t, cyclic(4).Add(captured), got[0])
	values(t, captured)[0] = 100 // they are read at every call
	got, err = f.Call(ctx, cyclic(4))
	require.NoError(t, err)
	assert.EqualValues(t, 99, values(t, got[0])[0])
	assert.NotSame(t, captured.Host(), got[1].Host(), "a result has memory of its own")
}
