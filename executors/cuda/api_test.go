package cuda_test

import (
	"bytes"
	"context"
	"fmt"

	"runtime"
	"sync"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc"
	"jitc/executors/cuda"
	"jitc/executors/cuda/driver"
	"jitc/executors/cuda/driver/fake"
	"jitc/ir/tensor"
)

// T is a tensor of the embedding API.
type T = jitc.Tensor

var apiTolerance = tensor.Tolerance{Abs: 1e-4, Rel: 1e-4, NaNEqual: true}

// ramp has elements -1, -0.75, ... in cycles of 11.
func ramp(dt tensor.DType, sizes ...int) *T {
	n, err := tensor.CheckedElements(sizes)
	if err != nil {
		panic(err)
	}
	xs := make([]float64, n)
	for i := range xs {
		xs[i] = float64(i%11)/4 - 1
		if !dt.IsFloat() {
			xs[i] = float64((i*7 + 3) % 5)
		}
	}
	if dt.IsFloat() {
		return jitc.FromHost(tensor.FromFloats(dt, sizes, xs))
	}
	ints := make([]int64, n)
	for i := range ints {
		ints[i] = int64(xs[i])
		if dt == tensor.Bool {
			ints[i] &= 1
		}
	}
	return jitc.FromHost(tensor.FromInts(dt, sizes, ints))
}

// far is x on the device.
func (w way) far(t testing.TB, x *T) *T {
	t.Helper()
	y, err := w.engine.ToDevice(x, string(w.queue.Device()))
	require.NoError(t, err)
	return y
}

// apart is x on the host with every other element of its memory.
func apart(t testing.TB, x *T) *T {
	t.Helper()
	strides, step := make([]int, x.Rank()), 2
	for i, n := range x.Shape() {
		strides[i] = step
		step *= max(n, 1)
	}
	out, err := tensor.Strided(x.DType(), x.Shape(), strides)
	require.NoError(t, err)
	require.NoError(t, out.CopyFrom(x.Host()))
	return jitc.FromHost(out)
}

// placements are where the arguments may lie, as digits of a number.
func (w way) place(t testing.TB, x *T, digit int) *T {
	switch digit % 3 {
	case 1:
		return w.far(t, x)
	case 2:
		return apart(t, x)
	}
	return x
}

func requireAlike(t testing.TB, want, got *T, what ...any) {
	t.Helper()
	require.NoError(t, want.Err(), what...)
	require.NoError(t, got.Err(), what...)
	require.Nil(t, tensor.Compare(got.Host(), want.Host(), apiTolerance), what...)
}

// function is one of the API's, with two arguments and some results.
type function = func(x, y *T) []*T

// captured is used by functions without being an argument.
var captured = ramp(tensor.F32, 3)

// functions is what the API can do, for x, y: f32[n,3].
var functions = map[string]struct {
	f    function
	opts []jitc.FuncOption
}{
	"parameters and constants": {f: func(x, y *T) []*T {
		return []*T{x, x, captured, y, x.Reshape(x.NumElements()), jitc.Full(jitc.F32, 5, 2), x.Add(captured)}
	}},
	"results twice": {f: func(x, y *T) []*T {
		s := x.Mul(y).Tanh()
		return []*T{s, s, s.Reshape(s.Size(1), s.Size(0)), s.Transpose(0, 1), s.Slice(1, 0, 2)}
	}},
	"scalars": {f: func(x, y *T) []*T {
		return []*T{x.Sum(), y.Prod(), x.Sum().Mul(y.Mean()), x.Size(0).Tensor(), jitc.Scalar(float32(3)).Add(x.Sum())}
	}},
	"types": {f: func(x, y *T) []*T {
		var out []*T
		for _, dt := range tensor.DTypes() {
			if z := x.To(dt); dt.IsFloat() {
				out = append(out, z.Mul(2).Maximum(y.To(dt)), z.Gt(0)) // exact, however wide
			} else {
				out = append(out, y.Abs().To(dt))
			}
		}
		return append(out, x.Gt(y).And(y.Lt(0)).Not(), x.Gt(y).Any(), x.Argmax(1))
	}},
	"products": {f: func(x, y *T) []*T {
		p := x.MatMul(y.Transpose(0, 1))
		return []*T{p.Softmax(1).MatMul(y), p.Relu().Sum(0), x.LayerNorm(captured, captured, 1e-5)}
	}},
	"control flow": {f: func(x, y *T) []*T {
		c := jitc.Cond(x.Sum().Gt(y.Sum()), func() *T { return x.Sin() }, func() *T { return y.Mul(2) })
		w := jitc.While(x, func(v *T) *T { return v.Abs().Sum().Gt(1) }, func(v *T) *T { return v.Mul(0.25) })
		last, all := jitc.Scan(captured, x, func(c, r *T) (*T, *T) { c = c.Add(r).Mul(0.5); return c, c.Exp() })
		return []*T{c, w, last, all}
	}},
	"sizes from data": {f: func(x, y *T) []*T {
		some := x.MaskedSelect(x.Gt(0))
		return []*T{x.Gt(y).Nonzero(), some.Exp().Sum(), some.Neg(), y.MaskedSelect(y.Lt(-5)).Tanh()}
	}},
	"padded": {f: func(x, y *T) []*T { return []*T{x.Mul(y).Exp(), x.Softmax(1).Add(y)} },
		opts: []jitc.FuncOption{jitc.Marks(jitc.Dynamic("0", 0, jitc.Dim("B")).Range(0, 64), jitc.Dynamic("1", 0, jitc.Dim("B")).Range(0, 64)),
			jitc.Bucket("B", jitc.Steps(8))}},
	"symbolic": {f: func(x, y *T) []*T { return []*T{x.Mul(y).Cos(), x.Sum(1)} },
		opts: []jitc.FuncOption{jitc.Marks(jitc.Dynamic("*", 0, jitc.Dim("B")).Range(0, 64))}},
}

// stances take turns.
var stances = []jitc.Stance{{}, {}, {Mode: jitc.NoRecompile}, {Mode: jitc.EagerThenCompile}, {Mode: jitc.ForceReference},
	{Mode: jitc.Differentiating, Sample: 1}, {}}

// The functions give with a device what they give without one, wherever arguments
// lie, in every stance, for sizes that change, into results of the caller's too.
func TestFunctions(t *testing.T) {
	salt.Store(1)
	host := engineOf(t, "native")
	for _, v := range variants {
		w := newWay(t, v.fake, v.cuda, v.jitc, v.takes)
		for name, fn := range functions {
			t.Run(v.name+"/"+name, func(t *testing.T) {
				there, here := jitc.Func2(w.engine, fn.f, fn.opts...), jitc.Func2(host, fn.f, fn.opts...)
				var into []*T
				for call, n := range []int{4, 4, 4, 1, 5, 6, 0, 7, 4} {
					x := ramp(tensor.F32, n, 3)
					y := x.Mul(-0.5).Add(0.125)
					want, err := here.Call(t.Context(), x, y)
					require.NoError(t, err)
					x, y = w.place(t, x, call), w.place(t, y, call/3+call)
					ctx := jitc.InStance(t.Context(), stances[call%len(stances)])
					got, err := there.Call(ctx, x, y)
					require.NoError(t, err)
					require.NoError(t, there.CallInto(ctx, &into, x, y))
					requireApart(t, append([]*T{x, y}, got...))
					for i := range want {
						requireAlike(t, want[i], got[i], "call %d, result %d", call, i)
						requireAlike(t, want[i], into[i], "call %d, result %d, into", call, i)
					}
				}
			})
		}
	}
}

// requireApart checks that no two tensors share memory of a device.
func requireApart(t testing.TB, xs []*T) {
	t.Helper()
	at := map[*byte]int{}
	for i, x := range xs {
		if b := x.Storage().DeviceBytes(); len(b) > 0 {
			other, shared := at[unsafe.SliceData(b)]
			require.False(t, shared, "tensors %d and %d share memory", other, i)
			at[unsafe.SliceData(b)] = i
		}
	}
}

// One tensor may be given twice, and be the result that a call is to write.
func TestSharedTensors(t *testing.T) {
	w := newWay(t, fake.Config{}, cuda.Options{}, jitc.Options{}, all)
	f := jitc.Func2(w.engine, func(x, y *T) []*T { return []*T{x.Add(y), x.MatMul(y.Transpose(0, 1)), y} })
	for _, x := range []*T{ramp(tensor.F32, 4, 4), w.far(t, ramp(tensor.F32, 4, 4))} {
		h := ramp(tensor.F32, 4, 4)
		want := []*T{h.Add(h), h.MatMul(h.Transpose(0, 1)), h}
		for range 3 {
			got, err := f.Call(t.Context(), x, x)
			require.NoError(t, err)
			require.NoError(t, f.CallInto(t.Context(), &got, x, x))
			same := w.far(t, h)
			out := []*T{x, same, same}
			require.NoError(t, f.CallInto(t.Context(), &out, x, x))
			requireApart(t, append(out, x))
			for i := range want {
				requireAlike(t, want[i], got[i])
				requireAlike(t, want[i], out[i])
			}
			requireAlike(t, h, x)
		}
	}
}

// Donated memory is that of the result; frozen sets and what a function captured
// are used from wherever they lie, and see changes.
func TestDonatedAndFrozen(t *testing.T) {
	salt.Store(2)
	for _, v := range variants {
		t.Run(v.name, func(t *testing.T) {
			w := newWay(t, v.fake, v.cuda, v.jitc, v.takes)
			outside := w.far(t, ramp(tensor.F32, 5))
			step := jitc.Func3(w.engine, func(p *T, g *jitc.Frozen[*T], x *T) []*T {
				return []*T{p.Sub(g.Value().Mul(0.5)).Add(outside), p.Sum(), x.MatMul(g.Value())}
			}, jitc.ArgNames("p", "g", "x"), jitc.Donate("p"))
			g, x := ramp(tensor.F32, 5, 5), ramp(tensor.F32, 2, 5)
			for k := range 3 {
				frozen, err := jitc.Freeze(w.place(t, g, k))
				require.NoError(t, err)
				p := w.far(t, g)
				want := g
				for range 4 {
					sum := want.Sum()
					want = want.Sub(g.Mul(0.5)).Add(ramp(tensor.F32, 5))
					got, err := step.Call(t.Context(), p, frozen, w.place(t, x, k+1))
					require.NoError(t, err)
					requireAlike(t, want, got[0])
					requireAlike(t, sum, got[1])
					requireAlike(t, x.MatMul(g), got[2])
					p = got[0]
				}
			}
		})
	}
}

// A package made with a device is loaded by another engine that has it, and by none
// that does not.
func TestPackages(t *testing.T) {
	w := newWay(t, fake.Config{}, cuda.Options{}, jitc.Options{}, all)
	body := func(x, y *T) []*T {
		return []*T{x.MatMul(y.Transpose(0, 1)).Softmax(1), x.MaskedSelect(x.Gt(0)).Exp()}
	}
	x := ramp(tensor.F32, 4, 3)
	want := body(x, x.Neg())
	from := jitc.Func2(w.engine, body, jitc.Name("packed"))
	_, err := from.Call(t.Context(), x, w.far(t, x.Neg()))
	require.NoError(t, err)
	var file bytes.Buffer
	require.NoError(t, from.Traced().Save(&file))
	to := jitc.Func2(engineOf(t, w.name, "native"), body, jitc.Name("packed"))
	_, err = to.Traced().Load(t.Context(), bytes.NewReader(file.Bytes()))
	require.NoError(t, err)
	require.Len(t, to.Traced().Entries(), 1)
	for k := range 3 {
		got, err := to.Call(t.Context(), x, w.place(t, x.Neg(), k))
		require.NoError(t, err)
		for i := range want {
			requireAlike(t, want[i], got[i])
		}
	}
	require.Len(t, to.Traced().Entries(), 1)
	_, err = jitc.Func2(engineOf(t, "native"), body, jitc.Name("packed")).Traced().Load(t.Context(), &file)
	require.ErrorContains(t, err, "cannot load: executors: expected")
}

// Goroutines call functions at different sizes, on tensors anywhere, while others
// collect garbage and ask for statistics; what they lose is freed.
func TestGoroutines(t *testing.T) {
	w := newWay(t, fake.Config{Seed: 3}, cuda.Options{}, jitc.Options{Threads: 2}, mixed)
	f := jitc.Func2(w.engine, func(x, y *T) []*T { return []*T{x.MatMul(y.Transpose(0, 1)).Exp(), x.MaskedSelect(x.Gt(0))} },
		jitc.Marks(jitc.Dynamic("*", 0, jitc.Dim("B")).Range(1, 64)))
	var calls sync.WaitGroup
	for g := range 5 {
		calls.Go(func() {
			x := ramp(tensor.F32, g+1, 3)
			want := []*T{x.MatMul(x.Transpose(0, 1)).Exp(), x.MaskedSelect(x.Gt(0))}
			for c := range 9 {
				a, b := w.place(t, x, c), w.place(t, x, c/3)
				got, err := f.Call(t.Context(), a, b)
				if !assert.NoError(t, err) {
					return
				}
				if c%4 == g%4 { // others are lost while they are being computed
					runtime.GC()
					_ = w.engine.Stats()
				}
				if c%3 == 0 {
					for i := range want {
						assert.Nil(t, tensor.Compare(got[i].Host(), want[i].Host(), apiTolerance))
					}
				}
			}
		})
	}
	calls.Wait()
	f = nil
	requireCollected(t, w)
	require.NoError(t, w.queue.Sync())
}

// A failure is one call of the driver's, and what the error leaves.
var failures = []struct {
	name string
	code int
	lost bool // the device
}{{"not supported", driver.NotSupported, false}, {"out of memory", driver.OutOfMemory, false}, {"a fault", driver.IllegalAddress, true}}

// Whatever call of the driver fails, once, the call of the program that it is in
// fails or does without it, and later ones are right; after a fault they fail. No
// memory is lost.
func TestEveryFailure(t *testing.T) {
	t.Parallel()
	calls := []string{"AddKernelNode", "AllocAsync", "AllocHost", "CopyOnDevice", "CopyToDevice", "CopyToHost", "DestroyGraph",
		"DestroyGraphExec", "Function", "Instantiate", "Launch", "LaunchGraph", "LoadModule", "NewEvent", "NewGraph", "RecordEvent", "SetContext",
		"SetKernelNode", "SyncEvent", "SyncStream", "FreeAsync"}
	x, y := ramp(tensor.F32, 6, 3), ramp(tensor.F32, 6, 3).Neg()
	body := func(x, y *T) []*T {
		return []*T{x.MatMul(y.Transpose(0, 1)).Softmax(1), x.MaskedSelect(x.Gt(0)).Exp().Sum(), x}
	}
	want, most := body(x, y), 12
	if testing.Short() {
		most = 2
	}
	for _, c := range failures {
		for _, call := range calls {
			for nth := 1; nth < most; nth += nth + 1 { // 1, 3, 7
				what := fmt.Sprintf("%s: %s %d", c.name, call, nth)
				d := fake.New(fake.Config{Seed: int64(nth)})
				w := wayOn(t, d, cuda.Options{PieceBytes: 256}, jitc.Options{Threads: 1}, all)
				f := jitc.Func2(w.engine, body)
				d.FailNext(call, nth, c.code)
				failed := 0
				for k := range 5 {
					got, err := w.try(f, x, y, k)
					if err != nil {
						failed++
						continue
					}
					require.True(t, failed == 0 || !c.lost, what)
					for i := range want {
						requireAlike(t, want[i], got[i], "%s, call %d, result %d", what, k, i)
					}
				}
				if !c.lost {
					require.LessOrEqual(t, failed, 1, what)
				}
			}
		}
	}
}

// try is a call with arguments somewhere, whose results are brought to the host.
func (w way) try(f *jitc.F2[*T, *T, []*T], x, y *T, k int) ([]*T, error) {
	var err error
	if k%2 == 1 {
		if x, err = w.engine.ToDevice(x, string(w.queue.Device())); err != nil {
			return nil, err
		}
	}
	got, err := f.Call(context.Background(), x, y)
	if err != nil {
		return nil, err
	}
	out := make([]*T, len(got))
	for i, r := range got {
		if out[i], err = w.engine.ToDevice(r, "cpu"); err != nil {
			return nil, err
		}
	}
	return out, nil
}
