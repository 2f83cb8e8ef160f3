package runtime

import (
	"errors"
	"fmt"
	goruntime "runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/executors"
	"jitc/internal/testdevice"
	"jitc/ir"
	"jitc/ir/call"
	"jitc/ir/dim"
	"jitc/ir/tensor"
)

// on is a step of a fake kernel with one result that runs on a device.
func on(d *testdevice.Device, k *fake) Step {
	return Step{Kernel: d.Kernel(testdevice.Counted(k, 1)), Queue: d}
}

func (b *builder) oneOn(d *testdevice.Device, k *fake, x *ir.Value) *ir.Value {
	return b.region(on(d, k), x.Type.Shape, x)
}

// sandwich is x+1 on the host, +2 and +3 on the device, +4 on the host: 10 in all.
func sandwich(t testing.TB, d *testdevice.Device, n int) *Recording {
	b := newBuilder(t)
	x := b.one(addByte(1), b.param(dim.Const(int64(n))))
	x = b.oneOn(d, addByte(3), b.oneOn(d, addByte(2), x))
	return record(t, b.link(b.one(addByte(4), x)), nil)
}

// twice is x+1 and then +1, both on the device.
func twice(t testing.TB, d *testdevice.Device, n int) *Recording {
	b := newBuilder(t)
	return record(t, b.link(b.oneOn(d, addByte(1), b.oneOn(d, addByte(1), b.param(dim.Const(int64(n)))))), nil)
}

func toDevice(t testing.TB, d *testdevice.Device, x *tensor.Tensor) *tensor.Tensor {
	y, err := ToQueue(x, d)
	require.NoError(t, err)
	return y
}

func hostBytes(t testing.TB, x *tensor.Tensor) []uint8 {
	h, err := x.ToHost()
	require.NoError(t, err)
	return tensor.Data[uint8](h)
}

func TestStepsOnDevicesAreBatches(t *testing.T) {
	d := testdevice.New("test:0", 1)
	r := sandwich(t, d, 4)
	assert.Equal(t, []BatchReport{{Device: "test:0", First: 1, Last: 2}}, r.Batches())
	assert.Equal(t, []string{"test:0"}, r.p.Devices())
	require.Len(t, r.Devices(), 1)
	assert.Equal(t, DevicePlan{"test:0", 2*256 + 2*512, 2*256 + 2*512}, r.Devices()[0], "two intermediates at a time, the scratch of two steps")
	for range 3 {
		assert.Equal(t, []uint8{11, 12, 13, 14}, hostBytes(t, mustRun(t, r, u8(1, 2, 3, 4))[0]))
	}
	c := d.Counts()
	assert.Equal(t, 1, c.Batches, "made once")
	assert.Equal(t, 3, c.Runs)
	assert.Equal(t, 6, c.Launches)
	assert.Equal(t, [2]int{3, 3}, [2]int{c.Uploads, c.Downloads})
	assert.Equal(t, 1, c.Allocs, "one slab serves all runs")

	one := record(t, func() *Program { b := newBuilder(t); return b.link(b.oneOn(d, addByte(1), b.param(four()))) }(), nil)
	assert.Equal(t, []BatchReport{{Device: "test:0", Unrecorded: "one launch is launched"}}, one.Batches())
	plan := r.Plan()
	require.Len(t, plan, 3)
	assert.Equal(t, []string{"", "test:0", "test:0"}, []string{plan[0].Device, plan[1].Device, plan[2].Device})
}

// An argument on the device is used where it is, and so is a result.
func TestArgumentsAndResultsInPlace(t *testing.T) {
	d := testdevice.New("test:0", 2)
	r := twice(t, d, 4)
	x := toDevice(t, d, u8(1, 2, 3, 4))
	y := toDevice(t, d, u8(0, 0, 0, 0))
	before := d.Counts()
	require.NoError(t, r.Run([]*tensor.Tensor{x}, []*tensor.Tensor{y}, serial{}))
	after := d.Counts()
	assert.Equal(t, [2]int{before.Uploads, before.Downloads}, [2]int{after.Uploads, after.Downloads}, "nothing is copied")
	assert.Equal(t, []uint8{3, 4, 5, 6}, hostBytes(t, y))
	assert.ErrorContains(t, r.Run([]*tensor.Tensor{x}, []*tensor.Tensor{x}, serial{}), "result 0: expected memory of its own, got that of argument 0")
}

func TestResultsFollowTheLeaves(t *testing.T) {
	d, other := testdevice.New("test:0", 3), testdevice.New("test:1", 3)
	b := newBuilder(t)
	x, y := b.param(four()), b.param(four())
	h := b.one(addByte(1), x)
	r := record(t, b.link(b.oneOn(d, addByte(2), h), h, y), nil)
	devices := func(leaves ...*tensor.Tensor) (names []string) {
		results, err := r.resultsFor(&call.Call{Tensors: leaves})
		require.NoError(t, err)
		for _, r := range results {
			names = append(names, r.Layout().Device)
		}
		return names
	}
	host := u8(1, 2, 3, 4)
	assert.Equal(t, []string{"", "", ""}, devices(host, host))
	assert.Equal(t, []string{"test:0", "", ""}, devices(toDevice(t, d, host), host), "what the device computes")
	assert.Equal(t, []string{"test:0", "", "test:0"}, devices(host, toDevice(t, d, host)), "and what lies there")
	assert.Equal(t, []string{"", "", ""}, devices(toDevice(t, other, host), host), "another device")
	frozen := call.NewFrozen([]*tensor.Tensor{host, toDevice(t, d, host)}, nil)
	results, err := r.resultsFor(&call.Call{Tensors: []*tensor.Tensor{host}, Frozen: []*call.Frozen{frozen}})
	require.NoError(t, err)
	assert.Equal(t, "test:0", results[0].Layout().Device, "a set lies there")
}

func TestADonatedUpdateOnADevice(t *testing.T) {
	d := testdevice.New("test:0", 4)
	b := newBuilder(t)
	w, g := b.param(four()), b.param(four())
	read := b.oneOn(d, addByte(5), w) // before the update, which does not depend on it
	next := b.oneOn(d, addByte(1), b.region(on(d, summing()), []dim.Expr{four()}, g, g))
	p := b.link(read, next).Donate([]int{0})
	r := record(t, p, nil)
	require.Equal(t, []int{-1, 0}, r.Donated())
	assert.Equal(t, [][]int{nil, nil, {0, 1}}, r.devices.after[0], "the last reader of w is done before its memory is written")
	x, y := toDevice(t, d, u8(1, 2, 3, 4)), toDevice(t, d, u8(10, 20, 30, 40))
	for range 20 {
		results, err := r.resultsFor(&call.Call{Tensors: []*tensor.Tensor{x, y}})
		require.NoError(t, err)
		taken := r.takeDonated(&call.Call{Tensors: []*tensor.Tensor{x, y}}, results)
		require.Same(t, x, taken[1])
		require.NoError(t, r.Run([]*tensor.Tensor{x, y}, taken, serial{}))
		require.Equal(t, []uint8{21, 41, 61, 81}, hostBytes(t, x))
		require.NoError(t, x.CopyFrom(u8(1, 2, 3, 4)))
		require.Equal(t, []uint8{6, 7, 8, 9}, hostBytes(t, taken[0]))
	}
	host, err := r.resultsFor(&call.Call{Tensors: []*tensor.Tensor{u8(1, 2, 3, 4), u8(1, 2, 3, 4)}})
	require.NoError(t, err)
	assert.Nil(t, r.takeDonated(&call.Call{Tensors: []*tensor.Tensor{x, y}}, host), "a result on the host does not take a device's memory")
}

func TestFrozenSetsAreCopiedOnce(t *testing.T) {
	d := testdevice.New("test:0", 5)
	b := newBuilder(t)
	w, x := b.param(four()), b.param(four())
	p := b.link(b.region(on(d, summing()), []dim.Expr{four()}, w, x), b.one(addByte(1), w))
	set := call.NewFrozen([]*tensor.Tensor{u8(1, 1, 1, 1)}, nil)
	there := call.NewFrozen([]*tensor.Tensor{toDevice(t, d, u8(2, 2, 2, 2))}, nil)
	sum := func(r *Recording, set *call.Frozen) [2][]uint8 {
		results := r.Results()
		c := &call.Call{Frozen: []*call.Frozen{set}}
		require.NoError(t, r.RunCall(c, []*tensor.Tensor{u8(1, 2, 3, 4)}, results, serial{}))
		return [2][]uint8{tensor.Data[uint8](results[0]), tensor.Data[uint8](results[1])}
	}
	before := d.Counts()
	for range 3 { // recordings share the copies
		r := record(t, p, nil)
		for range 3 {
			require.Equal(t, [2][]uint8{{2, 3, 4, 5}, {2, 2, 2, 2}}, sum(r, set))
			require.Equal(t, [2][]uint8{{3, 4, 5, 6}, {3, 3, 3, 3}}, sum(r, there))
		}
	}
	c := d.Counts()
	assert.Equal(t, before.Uploads+18+1, c.Uploads, "x in every run, the set once")
	assert.Equal(t, before.Downloads+18+1, c.Downloads, "the result in every run, the other set once")
}

func TestConstantsAreCopiedOnce(t *testing.T) {
	d := testdevice.New("test:0", 6)
	b := newBuilder(t)
	c := b.constant(u8(1, 2, 3, 4))
	r := record(t, b.link(b.region(on(d, summing()), []dim.Expr{four()}, c, b.param(four())), c), nil)
	assert.Equal(t, 1, d.Counts().Uploads)
	for range 3 {
		got := mustRun(t, r, u8(1, 1, 1, 1))
		assert.Equal(t, []uint8{2, 3, 4, 5}, hostBytes(t, got[0]))
		assert.Equal(t, []uint8{1, 2, 3, 4}, hostBytes(t, got[1]))
	}
	assert.Equal(t, 1+3, d.Counts().Uploads)
}

// A program of the host takes tensors of devices, and gives them.
func TestAProgramOfTheHostTakesTensorsOfDevices(t *testing.T) {
	d := testdevice.New("test:0", 7)
	r := adder(t, 4)
	want := mustRun(t, r, u8(1, 2, 3, 4))
	got := []*tensor.Tensor{toDevice(t, d, u8(0, 0, 0, 0)), u8(0, 0, 0, 0)}
	require.NoError(t, r.Run([]*tensor.Tensor{toDevice(t, d, u8(1, 2, 3, 4))}, got, serial{}))
	require.Nil(t, tensor.CompareAll(got, want, tensor.Exact))
	got[1] = got[0]
	assert.ErrorContains(t, r.Run([]*tensor.Tensor{u8(1, 2, 3, 4)}, got, serial{}), "memory of its own")
}

func TestTooLittleMemory(t *testing.T) {
	d := testdevice.New("test:0", 8)
	b := newBuilder(t, "N")
	p := b.link(b.oneOn(d, addByte(1), b.oneOn(d, addByte(1), b.param(dim.Sym("N")))))
	small, large := record(t, p, map[string]int64{"N": 1000}), record(t, p, map[string]int64{"N": 100_000})
	mustRun(t, small, tensor.New(tensor.U8, 1000))
	require.Equal(t, int64(1), deviceOf(d).arenas.stats().Blocks)
	d.Limit(60_000)
	err := large.Run([]*tensor.Tensor{tensor.New(tensor.U8, 100_000)}, large.Results(), serial{})
	assert.ErrorContains(t, err, "@f at N=100000 needs 301312 bytes on test:0, 101120 for intermediates and scratch, 200192 for arguments and results that lie elsewhere: test:0: ")
	assert.ErrorContains(t, err, "60000 are free", "what idled is released")
	assert.Zero(t, deviceOf(d).arenas.stats().Blocks)
	mustRun(t, small, tensor.New(tensor.U8, 1000))
	_, err = ToQueue(tensor.New(tensor.U8, 100_000), d)
	assert.ErrorContains(t, err, "a tensor u8[100000] on test:0: test:0: 100000 bytes were asked for, 60000 are free")
	d.Limit(301_312)
	mustRun(t, large, tensor.New(tensor.U8, 100_000))
	assert.EqualValues(t, 301_312, deviceOf(d).arenas.bytesHeld(), "where there is no room for more")
}

// Tensors that the program has lost make room for others.
func TestLostTensorsAreFreed(t *testing.T) {
	d := testdevice.New("test:0", 9)
	d.Limit(1 << 20)
	x := tensor.New(tensor.U8, 200_000)
	for range 50 {
		_ = toDevice(t, d, x)
	}
	assert.GreaterOrEqual(t, d.Counts().Frees, 40)
	for range 100 {
		if goruntime.GC(); d.Counts().Bytes == 0 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	assert.Zero(t, d.Counts().Bytes)
	assert.Zero(t, deviceOf(d).live.Load())
}

func TestAFaultIsTheErrorOfItsCall(t *testing.T) {
	d := testdevice.New("test:0", 10)
	r, host := sandwich(t, d, 4), adder(t, 4)
	boom := errors.New("the kernel divided by zero")
	d.Fail(1, false, boom)
	err := r.Run([]*tensor.Tensor{u8(1, 2, 3, 4)}, r.Results(), serial{})
	require.ErrorIs(t, err, boom)
	assert.ErrorContains(t, err, "@f: region at ")
	assert.Equal(t, []uint8{11, 12, 13, 14}, hostBytes(t, mustRun(t, r, u8(1, 2, 3, 4))[0]), "the next call is well")

	x := toDevice(t, d, u8(1, 2, 3, 4))
	d.Fail(0, true, boom)
	require.ErrorIs(t, r.Run([]*tensor.Tensor{x}, r.Results(), serial{}), boom)
	require.ErrorIs(t, r.Run([]*tensor.Tensor{u8(1, 2, 3, 4)}, r.Results(), serial{}), boom)
	_, err = x.ToHost()
	assert.ErrorIs(t, err, boom)
	assert.Contains(t, x.String(), "u8[4] on test:0 that cannot be read: ")
	mustRun(t, host, u8(1, 2, 3, 4))
}

func TestConcurrentRunsOnOneDevice(t *testing.T) {
	d := testdevice.New("test:0", 11)
	const n = 2000
	r := sandwich(t, d, n)
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			x := tensor.Fill(tensor.U8, []int{n}, float64(g))
			if g%2 == 0 {
				x = toDevice(t, d, x)
			}
			results := r.Results()
			for range 20 {
				if !assert.NoError(t, r.Run([]*tensor.Tensor{x}, results, serial{})) ||
					!assert.Nil(t, tensor.Compare(results[0], tensor.Fill(tensor.U8, []int{n}, float64(g+10)), tensor.Exact)) {
					return
				}
			}
		})
	}
	wg.Wait()
	assert.LessOrEqual(t, deviceOf(d).arenas.stats().Blocks, int64(8))
	assert.Zero(t, deviceOf(d).arenas.stats().Lent)
}

func TestProfileTimesStepsOnDevices(t *testing.T) {
	d := testdevice.New("test:0", 12)
	r := sandwich(t, d, 4)
	var steps []int
	results := r.Results()
	require.NoError(t, r.Profile([]*tensor.Tensor{u8(1, 2, 3, 4)}, results, serial{}, func(step int, _ time.Duration) { steps = append(steps, step) }))
	assert.Equal(t, []int{0, 1, 2, 3}, steps)
	assert.Equal(t, []uint8{11, 12, 13, 14}, tensor.Data[uint8](results[0]))
	assert.Zero(t, d.Counts().Runs)
}

func TestDeviceArenasAreCounted(t *testing.T) {
	d := testdevice.New("test:counted", 13)
	mustRun(t, twice(t, d, 5000), tensor.New(tensor.U8, 5000))
	x := toDevice(t, d, tensor.New(tensor.U8, 777))
	for _, a := range DeviceArenas() {
		if a.Device == "test:counted" {
			assert.Equal(t, [3]int64{1, 0, 777}, [3]int64{a.Blocks, a.Lent, a.Tensors})
			assert.Greater(t, a.Idle, int64(10_000))
			goruntime.KeepAlive(x)
			return
		}
	}
	require.Fail(t, "the device is not among them")
}

// A batch that the device refuses is an error of the recording.
func TestARefusedBatch(t *testing.T) {
	d, other := testdevice.New("test:0", 14), testdevice.New("test:1", 14)
	b := newBuilder(t)
	step := on(d, addByte(1))
	step.Queue = other
	p := b.link(b.region(step, []dim.Expr{four()}, b.param(four())))
	_, err := p.Record(nil, 1)
	assert.ErrorContains(t, err, "on test:1: testdevice: launch 0 is not of test:1")
	assert.ErrorContains(t, err, "@f: region at ")
}

// The bodies of control flow go to the device and back.
func TestControlFlowOnDevices(t *testing.T) {
	d := testdevice.New("test:0", 15)
	f, _, diags := ir.Parse("in.trace", scanText)
	require.Empty(t, diags)
	p := linkFuncOn(t, f, d)
	sizes := map[string]int64{"N": 300, "S": 7}
	r := record(t, p, sizes)
	rng := func(shape ...int) *tensor.Tensor { return tensor.Arange(tensor.F32, shape...) }
	args := []*tensor.Tensor{rng(300), rng(7, 300), rng(300)}
	want, err := ir.Eval(f, args, sizes)
	require.NoError(t, err)
	for k := range 4 {
		for i := range args {
			if k>>(i%2)&1 == 1 {
				args[i] = toDevice(t, d, args[i])
			}
		}
		require.Nil(t, tensor.CompareAll(mustRun(t, r, args...), want, tensor.Exact))
	}
	assert.Greater(t, d.Counts().Runs, 7)
}

// linkFuncOn is linkFunc with every region on a device.
func linkFuncOn(t *testing.T, f *ir.Func, d *testdevice.Device) *Program {
	steps := map[int]Step{}
	for _, v := range f.Values {
		step := Step{}
		switch {
		case v.Op == ir.OpFused:
			x := &testdevice.Executor{Queued: d}
			k, err := x.Compile(t.Context(), v.Bodies[0], executors.Options{})
			require.NoError(t, err)
			step = Step{Kernel: k, Queue: d}
		case v.Is(ir.Control):
			for _, body := range v.Bodies {
				step.Bodies = append(step.Bodies, linkFuncOn(t, body, d))
			}
		}
		steps[v.ID] = step
	}
	p, err := Link(f, steps)
	require.NoError(t, err)
	return p
}

// Steps by a set that is known by no number leave nothing behind for a call without
// sets.
func TestAStridedSetIsForgotten(t *testing.T) {
	r := adderOf(t, 2, 4)
	spread, err := u8(1, 9, 2, 9, 3, 9, 4).View([]int{2}, 0, []int{4})
	require.NoError(t, err)
	x := u8(1, 1, 1, 1)
	set := call.NewFrozen([]*tensor.Tensor{spread}, nil)
	require.NoError(t, r.RunCall(&call.Call{Tensors: []*tensor.Tensor{x}, Frozen: []*call.Frozen{set}}, nil, r.Results(), serial{}))
	y := u8(2, 2, 2, 2)
	err = r.RunCall(&call.Call{Tensors: []*tensor.Tensor{x}}, []*tensor.Tensor{y}, []*tensor.Tensor{y}, serial{})
	assert.ErrorContains(t, err, "result 0: expected memory of its own, got that of argument 1", fmt.Sprint(hostBytes(t, y)))
}
