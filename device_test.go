package jitc_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc"
	"jitc/executors"
	"jitc/internal/irgen"
	"jitc/internal/spread"
	"jitc/internal/testdevice"
	"jitc/ir"
	"jitc/ir/tensor"
	rt "jitc/runtime"
)

// accelerator is an executor that only deviceEngine can choose.
var accelerator = sync.OnceValue(func() *testdevice.Executor {
	x := &testdevice.Executor{Queued: testdevice.New("test:0", 1)}
	x.Hide(true)
	executors.Register(x, 97)
	return x
})

// deviceEngine is an engine with a device for the ops that takes says; nil: all.
func deviceEngine(t testing.TB, takes func(v *ir.Value) bool) (*jitc.Engine, *testdevice.Device) {
	x := accelerator()
	x.Hide(false)
	e := engine(t, jitc.Options{Executors: []string{"testdevice", "native"}, Threads: 2})
	x.Hide(true)
	x.Takes, x.Refuses = takes, nil
	return e, x.Queued
}

func there(t testing.TB, e *jitc.Engine, x *T) *T {
	t.Helper()
	y, err := e.ToDevice(x, "test:0")
	require.NoError(t, err)
	require.Equal(t, "test:0", y.Device())
	return y
}

func TestTensorsOnDevices(t *testing.T) {
	e, _ := deviceEngine(t, nil)
	assert.Equal(t, []string{"cpu", "test:0"}, e.Devices())
	x := cyclic(2, 3)
	assert.Equal(t, "cpu", x.Device())
	y := there(t, e, x)
	assert.Equal(t, values(t, x), values(t, y))
	assert.Contains(t, y.String(), "f32[2,3] on test:0\n[[")
	alike(t, x.Add(x), y.Add(x))
	assert.Equal(t, "cpu", y.Add(y).Device(), "what is computed at once is on the host")
	same, err := e.ToDevice(y, "test:0")
	require.NoError(t, err)
	assert.Same(t, y, same)
	back, err := e.ToDevice(y, "cpu")
	require.NoError(t, err)
	alike(t, x, back)
	assert.Equal(t, "cpu", back.Device())

	path := filepath.Join(t.TempDir(), "x.safetensors")
	require.NoError(t, tensor.WriteFile(path, map[string]*tensor.Tensor{"x": y.Storage()}))
	read, err := tensor.LoadFile(path)
	require.NoError(t, err)
	alike(t, x, jitc.FromHost(read["x"]))

	_, err = e.ToDevice(x, "cuda:7")
	assert.EqualError(t, err, `to device "cuda:7": no executor of the engine has it: expected one of ["cpu" "test:0"]`)
	_, err = e.ToDevice(nil, "cpu")
	assert.Error(t, err)
	_, err = e.ToDevice(new(T), "cpu")
	assert.ErrorContains(t, err, "new(Tensor)")
	_, err = (*jitc.Engine)(nil).ToDevice(x, "cpu")
	assert.ErrorContains(t, err, "expected an engine that NewEngine made")
}

// allButExp has exp on the host and all else on the device.
func allButExp(v *ir.Value) bool { return v.Op != ir.OpExp }

func layer(w, x *T) *T { return x.MatMul(w).Exp().Add(x) }

func TestComputationFollowsData(t *testing.T) {
	e, d := deviceEngine(t, allButExp)
	f := jitc.Func2(e, layer, jitc.Name("layer"))
	w, x := cyclic(3, 3), cyclic(2, 3)
	want, err := f.Call(reference(), w, x)
	require.NoError(t, err)
	for _, c := range []struct {
		w, x *T
		on   string
	}{{w, x, "cpu"}, {there(t, e, w), x, "test:0"}, {w, there(t, e, x), "test:0"}, {there(t, e, w), there(t, e, x), "test:0"}} {
		for range 3 {
			got, err := f.Call(context.Background(), c.w, c.x)
			require.NoError(t, err)
			assert.Equal(t, c.on, got.Device())
			alike(t, want, got)
		}
	}
	assert.Len(t, f.Traced().Entries(), 1, "one program serves tensors anywhere")
	signatures := f.Traced().Stats().Signatures
	assert.Equal(t, 4, signatures, "and each placement is a signature of its own")
	stats := f.Traced().Stats().Entries[0]
	require.Len(t, stats.Devices, 1)
	assert.Equal(t, "test:0", stats.Devices[0].Device)
	assert.NotEmpty(t, stats.Batches)
	report := f.Traced().Entries()[0].Compiled().Detail.(*jitc.Compiled)
	assert.Equal(t, []string{"test:0"}, report.Program.Devices())

	out := there(t, e, cyclic(2, 3))
	before := d.Counts().Allocs
	require.NoError(t, f.CallInto(context.Background(), &out, there(t, e, w), x))
	assert.Equal(t, "test:0", out.Device())
	assert.LessOrEqual(t, d.Counts().Allocs, before+1, "only the argument is new")
	alike(t, want, out)
	require.NoError(t, f.CallInto(context.Background(), &out, w, x), "a result may be wanted there")
	assert.Equal(t, "test:0", out.Device())
	alike(t, want, out)
	out = cyclic(2, 3)
	require.NoError(t, f.CallInto(context.Background(), &out, there(t, e, w), x))
	assert.Equal(t, "cpu", out.Device())
	alike(t, want, out)
	byReference, err := f.Call(reference(), there(t, e, w), there(t, e, x))
	require.NoError(t, err)
	alike(t, want, byReference)
	eager := jitc.Func2(e, layer)
	eager.Traced().SetStance(jitc.Stance{Mode: jitc.EagerThenCompile})
	for range 3 {
		got, err := eager.Call(context.Background(), there(t, e, w), x)
		require.NoError(t, err)
		alike(t, want, got)
	}
	assert.NotEmpty(t, e.Stats().Devices)
}

// Frozen tensors are uploaded once. One that the function captured is read at each
// call, as on the host: what is written into it in between is seen.
func TestFrozenTensorsAreCopiedOnce(t *testing.T) {
	e, d := deviceEngine(t, allButExp)
	w, x, outside := cyclic(3, 3), cyclic(2, 3), cyclic(2, 3)
	f := jitc.Func2(e, func(w *jitc.Frozen[*T], x *T) *T { return layer(w.Value(), x).Mul(outside) })
	frozen, err := jitc.Freeze(w)
	require.NoError(t, err)
	far, err := jitc.Freeze(there(t, e, w))
	require.NoError(t, err)
	want := layer(w, x).Mul(outside)
	call := func(w *jitc.Frozen[*T], x *T) {
		got, err := f.Call(context.Background(), w, x)
		require.NoError(t, err)
		alike(t, want, got)
	}
	call(frozen, x)
	y := there(t, e, x)
	call(frozen, y)
	before := d.Counts()
	for range 5 {
		call(frozen, y)
	}
	after := d.Counts()
	assert.Equal(t, 2*5, after.Uploads-before.Uploads, "what the host computed, and what was captured")
	data, err := jitc.Data[float32](outside)
	require.NoError(t, err)
	data[0] += 7
	want = layer(w, x).Mul(outside)
	call(frozen, y)
	call(far, y)
	call(far, x)

	selects := jitc.Func2(e, func(w *jitc.Frozen[*T], x *T) *T {
		return layer(w.Value(), x).Mul(outside).MaskedSelect(x.Gt(0)).Neg()
	})
	want = want.MaskedSelect(x.Gt(0)).Neg()
	var steady testdevice.Counts
	for k := range 4 {
		before = d.Counts()
		got, err := selects.Call(context.Background(), frozen, y)
		require.NoError(t, err)
		alike(t, want, got)
		if after := d.Counts(); k > 0 {
			steady = testdevice.Counts{Uploads: after.Uploads - before.Uploads}
		}
	}
	assert.LessOrEqual(t, steady.Uploads, 4, "sets are kept from segment to segment")
}

func TestDonationOnADevice(t *testing.T) {
	e, d := deviceEngine(t, nil)
	step := jitc.Func2(e, func(w, g *T) *T { return w.Sub(g.Mul(0.5)).Relu() }, jitc.ArgNames("w", "g"), jitc.Donate("w"))
	w, g := cyclic(4, 5), cyclic(4, 5)
	want := w.Sub(g.Mul(0.5)).Relu()
	far := there(t, e, w)
	gs := there(t, e, g)
	got, err := step.Call(context.Background(), far, gs)
	require.NoError(t, err)
	assert.Same(t, far.Storage(), got.Storage())
	alike(t, want, got)
	for range 4 {
		want = want.Sub(g.Mul(0.5)).Relu()
		before := d.Counts().Allocs
		got, err = step.Call(context.Background(), got, gs)
		require.NoError(t, err)
		_ = before
		alike(t, want, got)
	}
	_, err = step.Call(context.Background(), gs, gs)
	assert.ErrorContains(t, err, "memory that no other argument has")
	onHost, err := step.Call(context.Background(), w, g)
	require.NoError(t, err)
	assert.Same(t, w.Storage(), onHost.Storage())
}

// Padded calls, sizes from data and control flow take tensors from anywhere.
func TestOtherWaysOfRunningOnDevices(t *testing.T) {
	e, _ := deviceEngine(t, allButExp)
	marks := jitc.Marks(jitc.Dynamic("1", 0, jitc.Dim("B")).Range(0, 60))
	for name, f := range map[string]*jitc.F2[*T, *T, *T]{
		"padded": jitc.Func2(e, layer, marks, jitc.Bucket("B", jitc.Steps(16))),
		"chain":  jitc.Func2(e, func(w, x *T) *T { return layer(w, x).MaskedSelect(x.Gt(0)) }),
		"loop": jitc.Func2(e, func(w, x *T) *T {
			last, _ := jitc.Scan(x, jitc.Stack(0, w, w), func(c, w *T) (*T, *T) { c = layer(w, c).Mul(0.1); return c, c })
			return last
		}),
	} {
		t.Run(name, func(t *testing.T) {
			w, x := cyclic(3, 3), cyclic(5, 3)
			want, err := f.Call(reference(), w, x)
			require.NoError(t, err)
			for k := range 4 {
				a, b := w, x
				if k&1 != 0 {
					a = there(t, e, w)
				}
				if k&2 != 0 {
					b = there(t, e, x)
				}
				got, err := f.Call(context.Background(), a, b)
				require.NoError(t, err)
				alike(t, want, got)
				if name == "padded" && k > 0 {
					assert.Equal(t, "test:0", got.Device())
				}
				out := there(t, e, got)
				require.NoError(t, f.CallInto(context.Background(), &out, a, b))
				alike(t, want, out)
			}
		})
	}
}

// Regions that the accelerator turns out not to support run on the host.
func TestRefusedRegionsRunOnTheHost(t *testing.T) {
	e, d := deviceEngine(t, nil)
	accelerator().Refuses = func(region *ir.Func) bool { return region.Values[len(region.Values)-1].Op == ir.OpTanh }
	f := jitc.Func1(e, func(x *T) *T { return x.Tanh().Add(1).Tanh() })
	x := cyclic(6)
	before := d.Counts().Launches
	got, err := f.Call(context.Background(), x)
	require.NoError(t, err)
	alike(t, x.Tanh().Add(1).Tanh(), got)
	assert.Greater(t, d.Counts().Launches, before)
	for _, s := range f.Traced().Entries()[0].Compiled().Detail.(*jitc.Compiled).Steps() {
		values := s.Region.Bodies[0].Values
		fell := values[len(values)-1].Op == ir.OpTanh
		assert.Equal(t, fell, s.Queue == nil)
		assert.Equal(t, fell, s.Executor == "reference")
	}
}

func TestADeviceThatFails(t *testing.T) {
	e, d := deviceEngine(t, nil)
	f := jitc.Func1(e, func(x *T) *T { return x.Tanh().Add(1) }, jitc.Name("f"))
	x := there(t, e, cyclic(6))
	boom := errors.New("an illegal address")
	d.Fail(0, false, boom)
	y, err := f.Call(context.Background(), x)
	if err == nil { // it shows when somebody looks
		assert.Nil(t, y.Host())
		assert.ErrorIs(t, y.Err(), boom)
		assert.ErrorIs(t, y.Add(1).Err(), boom)
		_, err = jitc.Data[float32](y)
	}
	assert.ErrorIs(t, err, boom)
	_, err = f.Call(context.Background(), x)
	assert.NoError(t, err)
	assert.NoError(t, e.Sync("test:0"))
	d.Fail(0, false, boom)
	if _, err = f.Call(context.Background(), x); err == nil {
		err = e.Sync("test:0")
	}
	assert.ErrorIs(t, err, boom)
	assert.NoError(t, e.Sync("cpu"))
	assert.EqualError(t, e.Sync("cuda:7"), `sync "cuda:7": no executor of the engine has it: expected one of ["cpu" "test:0"]`)

	d.Limit(100)
	defer d.Limit(testdevice.Bytes)
	_, err = f.Call(context.Background(), cyclic(1000))
	assert.ErrorContains(t, err, "@f at s0=1000 needs ")
	assert.ErrorContains(t, err, " bytes on test:0, ")
	_, err = e.ToDevice(cyclic(1000), "test:0")
	assert.ErrorContains(t, err, "are free")
	native := jitc.Func1(engine(t, jitc.Options{Executors: []string{"native"}}), func(x *T) *T { return x.Tanh().Add(1) })
	got, err := native.Call(context.Background(), cyclic(6))
	require.NoError(t, err)
	alike(t, cyclic(6).Tanh().Add(1), got)
}

// Random functions whose ops and arguments lie anywhere give what ir.Eval gives.
func TestRandomFunctionsOnDevices(t *testing.T) {
	salt := 0
	e, d := deviceEngine(t, func(v *ir.Value) bool { return (int(v.Op)*7+salt)%3 != 0 })
	var sum spread.Tally
	from, to := seeds(t, 120)
	for seed := from; seed < to; seed++ {
		rng, f := irgen.Seeded(seed)
		salt = int(seed)
		fn := e.Function(f)
		for turn := range 2 {
			sizes := irgen.SizesAt(rng, f, turn)
			args := irgen.Args(rng, f, sizes)
			want, err := spread.New(rng, f, args, sizes)
			require.NoError(t, err, "seed %d", seed)
			scatter(t, rng, args, d)
			got, err := fn.Call(context.Background(), args...)
			require.NoError(t, err, "seed %d, sizes %v\n%s", seed, sizes, f)
			require.NoError(t, want.Check(&sum, got), "seed %d, sizes %v\n%s", seed, sizes, f)
		}
	}
	assert.Less(t, 4*sum.Undefined, sum.Elements)
}

// scatter brings some of the tensors to a device.
func scatter(t *testing.T, rng *rand.Rand, args []*tensor.Tensor, d *testdevice.Device) {
	for i := range args {
		if rng.IntN(2) == 0 {
			far, err := rt.ToQueue(args[i], d)
			require.NoError(t, err)
			args[i] = far
		}
	}
}

// So do those with control flow, whose bodies have steps on either side: here exactly
// what the reference executor gives.
func TestRandomControlFlowOnDevices(t *testing.T) {
	salt := 0
	e, d := deviceEngine(t, func(v *ir.Value) bool { return (int(v.Op)*7+salt)%3 != 0 })
	plain := engine(t, jitc.Options{Executors: []string{"reference"}})
	from, to := seeds(t, 60)
	for seed := from; seed < to; seed++ {
		rng := rand.New(rand.NewPCG(29, seed))
		f := irgen.Func(rng, irgen.Options{Control: true, MaxElements: 300, DTypes: []tensor.DType{tensor.I32, tensor.Bool, tensor.U8}})
		salt = int(seed)
		for turn := range 2 {
			sizes := irgen.SizesAt(rng, f, turn)
			args := irgen.Args(rng, f, sizes)
			want, err := plain.Function(f).Call(context.Background(), args...)
			require.NoError(t, err)
			scatter(t, rng, args, d)
			got, err := e.Function(f).Call(context.Background(), args...)
			require.NoError(t, err, "seed %d, sizes %v\n%s", seed, sizes, f)
			require.Nil(t, tensor.CompareAll(got, want, tensor.Exact), "seed %d, sizes %v\n%s", seed, sizes, f)
		}
	}
}

func TestConcurrentCallsOnADevice(t *testing.T) {
	e, _ := deviceEngine(t, allButExp)
	f := jitc.Func2(e, layer)
	w := cyclic(8, 8)
	far := there(t, e, w)
	var all sync.WaitGroup
	for g := range 6 {
		all.Go(func() {
			x := cyclic(g+1, 8)
			want := layer(w, x)
			for c := range 10 {
				y := w
				if c%2 == 0 {
					y = far
				}
				got, err := f.Call(context.Background(), y, x)
				if !assert.NoError(t, err) {
					return
				}
				alike(t, want, got)
			}
		})
	}
	all.Wait()
}
