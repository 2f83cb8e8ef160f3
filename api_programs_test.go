package jitc_test

import (
	"context"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc"
	"jitc/ir/tensor"
	"jitc/trace"
)

func TestMistakesNameTheLine(t *testing.T) {
	e, ctx := engine(t, jitc.Options{}), context.Background()
	for name, c := range map[string]struct {
		f    func(x *T) *T
		want []string
	}{
		"op":      {func(x *T) *T { return x.MatMul(cyclic(7, 7)) }, []string{"api_programs_test.go:", "MatMul", "f32[3,4]"}},
		"control": {func(x *T) *T { b, _ := x.Sum().Gt(0).Bool(); _ = b; return x }, []string{"api_programs_test.go:", "Cond, While, Scan or Select"}},
		"data":    {func(x *T) *T { d, _ := jitc.Data[float32](x); return x.Mul(d[0]) }, []string{"api_programs_test.go:", "traced tensor has no elements"}},
		"panic":   {func(x *T) *T { var s []*T; return s[x.Rank()] }, []string{"api_programs_test.go:", "panic", "index out of range"}},
		"nil":     {func(*T) *T { return nil }, []string{"result"}},
		"range":   {func(x *T) *T { x.Size(0).InRange(7, 9); return x }, []string{"api_programs_test.go:", "InRange"}},
	} {
		f := jitc.Func1(e, c.f)
		for range 2 {
			_, err := f.Call(ctx, cyclic(3, 4))
			require.Error(t, err, name)
			for _, w := range c.want {
				assert.ErrorContains(t, err, w, name)
			}
		}
		assert.EqualValues(t, 2, f.Traced().Stats().Failed, name)
		assert.Empty(t, f.Traced().Entries(), name)
	}
	f := jitc.Func1(e, func(x *T) *T { return x }, jitc.ArgNames("x"))
	_, err := f.Call(ctx, nil)
	require.ErrorContains(t, err, "x: expected a tensor, got nil")
	_, err = f.Call(ctx, cyclic(2).MatMul(cyclic(3)))
	require.ErrorContains(t, err, "MatMul")
	outer := jitc.Func1(e, func(x *T) *T {
		y, err := f.Call(ctx, x)
		if err != nil {
			panic(err)
		}
		return y
	})
	_, err = outer.Call(ctx, cyclic(2))
	require.ErrorContains(t, err, "called while another is traced")
	var self *jitc.F2[*T, int, *T]
	five := cyclic(5)
	self = jitc.Func2(e, func(x *T, depth int) *T { // with tensors at hand, a compiled function may be called in a trace, itself too
		if depth > 0 {
			y, err := self.Call(ctx, five, depth-1)
			if err != nil {
				panic(err)
			}
			return x.Add(y)
		}
		return x.Mul(2)
	})
	got, err := self.Call(ctx, cyclic(5), 2)
	require.NoError(t, err)
	alike(t, five.Mul(4), got)
	_, err = jitc.Func1(e, func(x chan int) *T { return nil }).Call(ctx, nil)
	require.ErrorContains(t, err, "chan int")
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	_, err = jitc.Func1(e, func(x *T) *T { return x.Add(1) }).Call(cancelled, cyclic(2))
	if err != nil {
		require.ErrorIs(t, err, context.Canceled)
	}
}

func TestControlFlowAndDataDependentSizes(t *testing.T) {
	e, ctx := engine(t, jitc.Options{}), context.Background()
	cond := func(x *T) *T {
		return jitc.Cond(x.Sum().Gt(0), func() *T { return x.Mul(2) }, func() *T { return x.Neg() })
	}
	while := func(x *T) *T {
		return jitc.While(x, func(c *T) *T { return c.Abs().Max().Gt(0.1) }, func(c *T) *T { return c.Mul(0.5) })
	}
	scan := func(x *T) *T {
		last, all := jitc.Scan(jitc.Zeros(jitc.F32), x, func(c, v *T) (*T, *T) { s := c.Add(v); return s, s.Mul(2) })
		return all.Add(last)
	}
	positive := func(x *T) *T { return x.MaskedSelect(x.Gt(0)).Exp() }
	for name, fn := range map[string]func(*T) *T{"cond": cond, "while": while, "scan": scan, "select": positive} {
		f := jitc.Func1(e, fn, jitc.Name(name))
		for _, x := range []*T{cyclic(4), cyclic(4).Neg(), cyclic(9), cyclic(17), cyclic(1), cyclic(4)} {
			got, err := f.Call(ctx, x)
			require.NoError(t, err, name)
			want, err := f.Call(reference(), x)
			require.NoError(t, err, name)
			alike(t, want, got)
			var out *T
			require.NoError(t, f.CallInto(ctx, &out, x))
			require.NoError(t, f.CallInto(ctx, &out, x))
			alike(t, want, out)
		}
		assert.Len(t, f.Traced().Entries(), 2, name)
	}
}

func TestManyGoroutines(t *testing.T) {
	e, ctx := engine(t, jitc.Options{}), context.Background()
	precise := jitc.NewVar("precise", false)
	f := jitc.Func2(e, func(x *T, n jitc.Int) *T {
		if precise.Get() {
			return x.Mul(n).Add(1)
		}
		return x.Mul(n).Sub(1)
	})
	const goroutines, calls = 16, 60
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Add(1)
		go func() {
			defer wg.Done()
			var out *T
			for i := range calls {
				x := cyclic(1 + (g+i)%5)
				if g == 0 {
					precise.Set(i%2 == 0)
				}
				if !assert.NoError(t, f.CallInto(ctx, &out, x, jitc.NewInt(i%4))) {
					return
				}
				plus, minus := x.Mul(i%4).Add(1), x.Mul(i%4).Sub(1)
				got := tensor.Floats(out.Host())
				assert.True(t, assert.ObjectsAreEqual(got, tensor.Floats(plus.Host())) || assert.ObjectsAreEqual(got, tensor.Floats(minus.Host())))
			}
		}()
	}
	wg.Wait()
	s := f.Traced().Stats()
	assert.EqualValues(t, goroutines*calls, s.Calls)
	assert.Zero(t, s.Failed)
	precise.Set(true)
	got, err := f.Call(ctx, cyclic(1), jitc.NewInt(3))
	require.NoError(t, err)
	assert.Equal(t, []float32{-2}, values(t, got))
	precise.Set(false)
	got, err = f.Call(ctx, cyclic(1), jitc.NewInt(3))
	require.NoError(t, err)
	assert.Equal(t, []float32{-4}, values(t, got))
}

// A training step whose parameters are donated and replaced.
func TestTrainingLoop(t *testing.T) {
	e, ctx := engine(t, jitc.Options{}), context.Background()
	type params struct{ W, B *T }
	type state struct {
		P    params
		Loss *T
	}
	step := func(p params, x, y *T, lr jitc.Float) state {
		n := x.Size(0)
		diff := x.MatMul(p.W).Add(p.B).Sub(y)
		scale := trace.Scalar(2).Div(n.Tensor().To(jitc.F32))
		return state{params{p.W.Sub(x.Permute(1, 0).MatMul(diff).Mul(scale).Mul(lr)), p.B.Sub(diff.Sum(0).Mul(scale).Mul(lr))},
			diff.Square().Mean()}
	}
	f := jitc.Func4(e, step, jitc.ArgNames("p", "x", "y", "lr"), jitc.Donate("p.W"), jitc.Donate("p.B"))
	truth := cyclic(4, 2)
	p := params{jitc.Zeros(jitc.F32, 4, 2), jitc.Zeros(jitc.F32, 2)}
	q := params{jitc.Zeros(jitc.F32, 4, 2), jitc.Zeros(jitc.F32, 2)}
	first, last := 0.0, 0.0
	for i := range 60 {
		x := cyclic(8+i%3, 4).Mul(1 + float64(i%4))
		y, lr := x.MatMul(truth), jitc.NewFloat(0.02/float64(1+i/20))
		want := step(q, x, y, lr)
		got, err := f.Call(ctx, p, x, y, lr)
		require.NoError(t, err)
		alike(t, want.P.W, got.P.W)
		alike(t, want.P.B, got.P.B)
		p, q = got.P, want.P
		v, err := got.Loss.Value()
		require.NoError(t, err)
		if i == 0 {
			first = v
		}
		last = v
	}
	assert.Less(t, last, first/10)
	s := f.Traced().Stats()
	assert.LessOrEqual(t, s.Misses, int64(3), "batch size and rate are promoted when they change")
}

// A decoding loop whose cache of keys grows.
func TestGrowingCache(t *testing.T) {
	e, ctx := engine(t, jitc.Options{}), context.Background()
	type kv struct{ K, V *T }
	type out struct {
		Y     *T
		Cache kv
	}
	step := func(x *T, c kv) out {
		k, v := jitc.Concat(0, c.K, x.Mul(0.5)), jitc.Concat(0, c.V, x)
		return out{jitc.Attention(x, k, v, trace.AttentionOptions{}), kv{k, v}}
	}
	f := jitc.Func2(e, step)
	cache := kv{jitc.Zeros(jitc.F32, 0, 8), jitc.Zeros(jitc.F32, 0, 8)}
	want := cache
	for i := range 24 {
		x := cyclic(1, 8).Add(float64(i) / 16)
		got, err := f.Call(ctx, x, cache)
		require.NoError(t, err)
		w := step(x, want)
		alike(t, w.Y, got.Y)
		cache, want = got.Cache, w.Cache
	}
	assert.Equal(t, 24, cache.K.Shape()[0])
	assert.Len(t, f.Traced().Entries(), 2, "the empty cache's, and one for all sizes")
}
