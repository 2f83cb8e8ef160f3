package runtime

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"jitc/ir"
	"jitc/ir/call"
	"jitc/ir/dim"
	"jitc/ir/tensor"
	"jitc/runtime/guard"
)

// fakeTracer traces a function of tensors that returns as many ones as the first
// tensor's first axis is long. What it compiles counts its runs.
type fakeTracer struct {
	t      testing.TB
	memory *arenas
	places []call.Place // of the constants
	// decide, if not nil, adds what the trace rests on beside sizes and constants.
	decide func(c *call.Call, spec *Spec, tr *Traced)
	// fail, if not nil, is asked before tracing and compiling.
	fail func(stage string) error

	traces, compiles, runs atomic.Int64
}

func newTracer(t testing.TB) *fakeTracer { return &fakeTracer{t: t, memory: &arenas{}} }

func (x *fakeTracer) Schema(c *call.Call) *call.Schema {
	s := &call.Schema{Consts: x.places}
	for i := range c.NumTensors() {
		s.Tensors = append(s.Tensors, string(rune('a'+i)))
	}
	return s
}

func (x *fakeTracer) check(stage string) error {
	if x.fail == nil {
		return nil
	}
	return x.fail(stage)
}

func (x *fakeTracer) Trace(_ context.Context, c *call.Call, spec *Spec) (*Traced, error) {
	x.traces.Add(1)
	if err := x.check("trace"); err != nil {
		return nil, err
	}
	f := ir.NewFunc("f", spec.Facts)
	for i := range c.NumTensors() {
		l := c.Layout(i)
		var shape []dim.Expr
		for axis, n := range l.Shape {
			e := dim.Const(int64(n))
			if s := spec.Sizes[i][axis]; s != "" {
				e = dim.Sym(s)
			}
			shape = append(shape, e)
		}
		f.AddParam("", ir.T(l.DType, shape...), nil)
	}
	tr := &Traced{F: f, Schema: x.Schema(c)}
	presets := map[string]int{}
	var consts []guard.Guard
	for i := range c.NumConsts() {
		v, _ := c.Const(i)
		switch s := spec.Scalars[i]; s {
		case "":
			consts = append(consts, guard.Guard{Kind: guard.Const, Arg: i, Value: v})
		case InputScalar:
			f.AddParam("", ir.T(tensor.F64), nil)
			tr.Reals = append(tr.Reals, i)
		default:
			presets[s] = i
		}
	}
	tensors := slices.Repeat([]int{-1}, len(f.Params))
	for i := range c.NumTensors() {
		tensors[i] = i
	}
	gs, sources, err := guard.FromFunc(f, tensors, presets)
	if err != nil {
		return nil, err
	}
	tr.Guards = slices.Concat([]guard.Guard{{Kind: guard.Count, Want: int64(c.NumTensors())},
		{Kind: guard.Count, Arg: 1, Want: int64(c.NumConsts())}}, gs, consts)
	tr.Sources = sources
	if x.decide != nil {
		x.decide(c, spec, tr)
	}
	b := &builder{t: x.t, f: f, b: ir.NewBuilder(f), steps: map[int]Step{}}
	n := dim.Const(1)
	if s := f.Params[0].Type.Shape; len(s) > 0 {
		n = s[0]
	}
	x.build(b, n)
	tr.Data = b
	return tr, nil
}

// build appends what the function computes, and its kernel.
func (x *fakeTracer) build(b *builder, n dim.Expr) {
	ones := &fake{run: func(_ map[string]int64, bufs [][]byte, _ []byte) error {
		x.runs.Add(1)
		for i := range bufs[len(bufs)-1] {
			bufs[len(bufs)-1][i] = 1
		}
		return nil
	}}
	b.f.Results = []*ir.Value{b.region(Step{Kernel: ones}, []dim.Expr{n}, b.f.Params...)}
}

func (x *fakeTracer) Compile(_ context.Context, tr *Traced) (*Compiled, error) {
	x.compiles.Add(1)
	if err := x.check("compile"); err != nil {
		return nil, err
	}
	b := tr.Data.(*builder)
	p, err := Link(b.f, b.steps)
	if err != nil {
		return nil, err
	}
	p.memory = x.memory
	return &Compiled{Program: p, Code: 64, Cost: []StageCost{{"fake", 1}}}, nil
}

// caller calls functions of a cache as the embedding API does.
type caller struct {
	t      testing.TB
	c      *Cache
	tracer *fakeTracer
	stripe uint32
}

func newCaller(t testing.TB, o Config) *caller {
	if o.Name == "" {
		o.Name = "f"
	}
	return &caller{t: t, c: NewCache(o), tracer: newTracer(t)}
}

// find is the admission of a call.
func (k *caller) find(ctx context.Context, cl *call.Call) (*Admission, error) {
	if a := k.c.Hit(ctx, cl, k.stripe); a != nil {
		return a, nil
	}
	return k.c.Resolve(ctx, cl, k.tracer, k.stripe)
}

// call runs a call and checks its result.
func (k *caller) call(ctx context.Context, cl *call.Call) (*Admission, error) {
	a, err := k.find(ctx, cl)
	if err != nil {
		return nil, err
	}
	out, err := a.Run(ctx, cl, nil, serial{})
	if b, e, ok := k.c.Reconsider(ctx, a, err, cl, k.tracer, k.stripe); ok {
		if a, err = b, e; err == nil {
			out, err = a.Run(ctx, cl, nil, serial{})
		}
	}
	if err != nil {
		return a, err
	}
	want := 1
	if s := cl.Tensor(0).Shape(); len(s) > 0 {
		want = s[0]
	}
	require.Equal(k.t, []int{want}, out[0].Shape())
	for _, x := range tensor.Floats(out[0]) {
		require.EqualValues(k.t, 1, x)
	}
	return a, nil
}

// must is call under the function's own stance, which succeeds.
func (k *caller) must(cl *call.Call) *Admission {
	k.t.Helper()
	return k.in(Stance{}, cl)
}

// in is call under a stance, which succeeds; the zero one is the function's own.
func (k *caller) in(s Stance, cl *call.Call) *Admission {
	k.t.Helper()
	ctx := context.Background()
	if s != (Stance{}) {
		ctx = WithStance(ctx, s)
	}
	a, err := k.call(ctx, cl)
	require.NoError(k.t, err)
	return a
}

// vectors is a call with u8 vectors of these lengths.
func vectors(ns ...int) *call.Call {
	c := &call.Call{}
	for _, n := range ns {
		c.Tensors = append(c.Tensors, tensor.New(tensor.U8, n))
	}
	return c
}

// with adds constants to a call.
func with(c *call.Call, consts ...call.Const) *call.Call {
	c.Consts = append(c.Consts, consts...)
	return c
}

// sums checks that every call so far was counted once.
func (k *caller) sums(calls int) CacheStats {
	k.t.Helper()
	s := k.c.Stats()
	require.EqualValues(k.t, calls, s.Calls)
	require.Equal(k.t, s.Calls, s.Hits.Total()+s.Misses+s.Reference)
	return s
}
