package cuda_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"jitc"
	"jitc/executors"
	"jitc/executors/cuda"
	"jitc/executors/cuda/driver"
	"jitc/executors/cuda/driver/fake"
	"jitc/fusion"
	"jitc/internal/irgen"
	"jitc/internal/spread"
	"jitc/ir"
	"jitc/ir/tensor"
	rt "jitc/runtime"
)

var (
	firstSeed = flag.Uint64("first", 0, "the first seed of random programs")
	seedCount = flag.Uint64("seeds", 80, "how many random programs to run; a quarter with -short")
)

// lastSeed is the one behind the last.
func lastSeed() uint64 {
	if testing.Short() {
		return *firstSeed + *seedCount/4
	}
	return *firstSeed + *seedCount
}

// partly is an executor for a device that takes some of the ops only, under a name
// of its own.
type partly struct {
	*cuda.Executor
	name  string
	takes func(v *ir.Value) bool
}

func (p partly) Name() string { return p.name }

func (p partly) Claim(v *ir.Value) fusion.Claim {
	if !p.takes(v) {
		return fusion.Claim{Level: fusion.Refused, Why: "left to the host"}
	}
	return p.Executor.Claim(v)
}

// salt chooses which ops mixed takes.
var salt atomic.Uint64

func mixed(v *ir.Value) bool { return (uint64(v.Op)*7+salt.Load())%3 != 0 }

func all(*ir.Value) bool { return true }

// variants are ways of running programs with a device that must agree with ir.Eval.
var variants = []struct {
	name  string
	fake  fake.Config
	cuda  cuda.Options
	jitc  jitc.Options
	takes func(v *ir.Value) bool
}{
	{"all", fake.Config{Races: true, Eager: true}, cuda.Options{NoReuse: true}, jitc.Options{Verify: true}, all},
	{"mixed", fake.Config{Seed: 5, Perturb: 3, Races: true}, cuda.Options{}, jitc.Options{Threads: 2}, mixed},
	{"unfused", fake.Config{Major: 9, Multiprocessors: 2}, cuda.Options{NoGraphs: "a test"}, jitc.Options{NoFuse: true}, all},
}

// way is a variant made ready.
type way struct {
	name   string
	engine *jitc.Engine
	queue  executors.Queue
	device *cuda.Executor
}

var named atomic.Int64

// newWay makes an engine with a device of its own.
func newWay(t *testing.T, f fake.Config, c cuda.Options, o jitc.Options, takes func(v *ir.Value) bool) way {
	t.Helper()
	d := fake.New(f)
	w := wayOn(t, d, c, o, takes)
	t.Cleanup(func() {
		require.Positive(t, d.Count("Launch")+d.Count("LaunchGraph"), "the device was not used")
		require.NoError(t, w.device.Close())
	})
	return w
}

// wayOn makes an engine with the first device of a driver.
func wayOn(t *testing.T, d driver.API, c cuda.Options, o jitc.Options, takes func(v *ir.Value) bool) way {
	t.Helper()
	x := partly{cuda.New(d, 0, c), fmt.Sprintf("cuda-way-%d", named.Add(1)), takes}
	executors.Register(x, 10)
	o.Executors = []string{x.name, "native"}
	e, err := jitc.NewEngine(o)
	require.NoError(t, err)
	q, err := x.Queue()
	require.NoError(t, err)
	t.Cleanup(func() {
		e.Close()
		_ = x.Close() // it may have a failure left that a test asked for
	})
	return way{x.name, e, q, x.Executor}
}

// scatter brings some of the tensors to the device.
func (w way) scatter(t *testing.T, rng *rand.Rand, args []*tensor.Tensor) []*tensor.Tensor {
	t.Helper()
	out := make([]*tensor.Tensor, len(args))
	for i, a := range args {
		out[i] = a
		if a.Device() == nil && rng.IntN(4) == 0 {
			out[i] = irgen.Strided(rng, a)
		}
		if rng.IntN(2) == 0 {
			far, err := rt.ToQueue(out[i], w.queue)
			require.NoError(t, err)
			out[i] = far
		}
	}
	return out
}

// room is where results may be written: on either side.
func (w way) room(t *testing.T, rng *rand.Rand, like []*tensor.Tensor) []*tensor.Tensor {
	t.Helper()
	out := make([]*tensor.Tensor, len(like))
	for i, x := range like {
		out[i] = tensor.New(x.DType(), x.Shape()...)
		if rng.IntN(2) == 0 {
			far, err := rt.ToQueue(out[i], w.queue)
			require.NoError(t, err)
			out[i] = far
		}
	}
	return out
}

// late is what a call returned, to be looked at later.
type late struct {
	what string
	f    *ir.Func
	want *spread.Oracle
	got  []*tensor.Tensor
}

func (l late) check(t *testing.T, sum *spread.Tally) {
	t.Helper()
	require.NoError(t, l.want.Check(sum, l.got), "%s\n%s", l.what, l.f)
}

// Random programs, at several sizes from one compilation, give what ir.Eval gives,
// wherever their arguments lie and whichever of their ops run on the device, looked
// at when later work is queued.
func TestRandomPrograms(t *testing.T) {
	var ways []way
	for _, v := range variants {
		w := newWay(t, v.fake, v.cuda, v.jitc, v.takes)
		w.name = v.name
		ways = append(ways, w)
	}
	var sum spread.Tally
	var queued []late
	for seed := *firstSeed; seed < lastSeed(); seed++ {
		rng, f := irgen.Seeded(seed)
		salt.Store(seed)
		fns := make([]*jitc.Function, len(ways))
		for i, w := range ways {
			fns[i] = w.engine.Function(f)
		}
		for turn := range 3 {
			sizes := irgen.SizesAt(rng, f, turn)
			args := irgen.Args(rng, f, sizes)
			want, err := spread.New(rng, f, args, sizes)
			require.NoError(t, err, "seed %d", seed)
			for i, w := range ways {
				what := fmt.Sprintf("seed %d, %s, sizes %v, turn %d", seed, w.name, sizes, turn)
				in := w.scatter(t, rng, args)
				got, err := fns[i].Call(context.Background(), in...)
				require.NoError(t, err, "%s\n%s", what, f)
				into := w.room(t, rng, want.Results())
				require.NoError(t, fns[i].CallInto(context.Background(), into, in), "%s, into\n%s", what, f)
				queued = append(queued, late{what, f, want, got}, late{what + ", into", f, want, into})
			}
		}
		for len(queued) > 20 {
			queued[0].check(t, &sum)
			queued = queued[1:]
		}
	}
	for _, l := range queued {
		l.check(t, &sum)
	}
	t.Logf("%d elements, %d not defined", sum.Elements, sum.Undefined)
	require.Less(t, 4*sum.Undefined, sum.Elements, "most elements must be compared")
}

// foundWrong are programs, cut down, that random ones found to fail.
var foundWrong = map[string]string{
	"attention with a scale of 0 makes NaN of infinite scores": `func @f(%q: f32[B,S,8], %k: f32[B,S,8], %v: f32[B,S,8]) -> f32[B,S,8] where B in [1, 5], S in [0, 6] {
		%o: f32[B,S,8] = scaled_dot_product_attention(%q, %k, %v) {causal=true, scale=0.0}
		return %o
	}`,
}

func TestProgramsFoundWrong(t *testing.T) {
	for _, v := range variants {
		w := newWay(t, v.fake, v.cuda, v.jitc, v.takes)
		for name, text := range foundWrong {
			f, _, diags := ir.Parse("wrong.trace", text)
			require.NoError(t, diags.Err())
			for seed := range uint64(12) {
				rng := rand.New(rand.NewPCG(12, seed))
				sizes := irgen.SizesAt(rng, f, int(seed))
				args := irgen.Args(rng, f, sizes)
				want, err := spread.New(rng, f, args, sizes)
				require.NoError(t, err)
				got, err := w.engine.FunctionAt(f, sizes).Call(t.Context(), w.scatter(t, rng, args)...)
				require.NoError(t, err, "%s, %s", v.name, name)
				late{fmt.Sprintf("%s, %s, seed %d, sizes %v", v.name, name, seed, sizes), f, want, got}.check(t, &spread.Tally{})
			}
		}
	}
}

// On two devices and the host, each of which takes a part.
func TestRandomProgramsOnTwoDevices(t *testing.T) {
	d := fake.New(fake.Config{Devices: 2, Races: true, Seed: 2})
	third := func(n uint64) func(v *ir.Value) bool {
		return func(v *ir.Value) bool { return (uint64(v.Op)*5+salt.Load())%3 == n }
	}
	var names []string
	var ways []way
	for dev := range 2 {
		x := partly{cuda.New(d, dev, cuda.Options{}), fmt.Sprintf("cuda-way-%d", named.Add(1)), third(uint64(dev))}
		executors.Register(x, 10)
		q, err := x.Queue()
		require.NoError(t, err)
		names, ways = append(names, x.name), append(ways, way{name: x.name, queue: q})
		t.Cleanup(func() { require.NoError(t, x.Close()) })
	}
	e := engineOf(t, append(names, "native")...)
	var sum spread.Tally
	for seed := *firstSeed; seed < lastSeed(); seed++ {
		rng, f := irgen.Seeded(seed)
		salt.Store(seed)
		fn := e.Function(f)
		for turn := range 2 {
			sizes := irgen.SizesAt(rng, f, turn)
			args := irgen.Args(rng, f, sizes)
			want, err := spread.New(rng, f, args, sizes)
			require.NoError(t, err, "seed %d", seed)
			for _, w := range ways {
				args = w.scatter(t, rng, args)
			}
			what := fmt.Sprintf("seed %d, sizes %v, turn %d", seed, sizes, turn)
			got, err := fn.Call(context.Background(), args...)
			require.NoError(t, err, "%s\n%s", what, f)
			late{what, f, want, got}.check(t, &sum)
		}
	}
	require.Less(t, 4*sum.Undefined, sum.Elements, "most elements must be compared")
}

// With too little memory a call is right, or says that there is too little.
func TestRandomProgramsInLittleMemory(t *testing.T) {
	t.Parallel()
	d := fake.New(fake.Config{Memory: 2 << 10, Eager: true})
	w := wayOn(t, d, cuda.Options{}, jitc.Options{}, all)
	var sum spread.Tally
	short, fine := 0, 0
	for seed := *firstSeed; seed < lastSeed(); seed++ {
		rng, f := irgen.Seeded(seed)
		fn := w.engine.Function(f)
		for turn := range 3 {
			sizes := irgen.SizesAt(rng, f, turn)
			args := irgen.Args(rng, f, sizes)
			want, err := spread.New(rng, f, args, sizes)
			require.NoError(t, err, "seed %d", seed)
			what := fmt.Sprintf("seed %d, sizes %v, turn %d", seed, sizes, turn)
			got, err := fn.Call(context.Background(), args...)
			if err != nil {
				var e *cuda.OutOfMemoryError
				require.ErrorAs(t, err, &e, "%s\n%s", what, f)
				short++
				continue
			}
			fine++
			late{what, f, want, got}.check(t, &sum)
		}
	}
	t.Logf("%d of %d had too little", short, short+fine)
	require.Positive(t, short)
	require.Greater(t, fine, short)
}

// Programs with control flow, whose bodies have steps on either side, give exactly
// what the reference executor gives.
func TestRandomControlFlow(t *testing.T) {
	w := newWay(t, fake.Config{Races: true, Seed: 9}, cuda.Options{}, jitc.Options{}, mixed)
	reference := engineOf(t, "reference")
	exact := []tensor.DType{tensor.I32, tensor.Bool, tensor.U8, tensor.I64}
	for seed := *firstSeed; seed < lastSeed(); seed++ {
		rng := rand.New(rand.NewPCG(29, seed))
		f := irgen.Func(rng, irgen.Options{Control: true, MaxElements: 300, DTypes: exact})
		salt.Store(seed)
		for turn := range 2 {
			sizes := irgen.SizesAt(rng, f, turn)
			args := irgen.Args(rng, f, sizes)
			want, err := reference.Function(f).Call(context.Background(), args...)
			require.NoError(t, err)
			got, err := w.engine.Function(f).Call(context.Background(), w.scatter(t, rng, args)...)
			require.NoError(t, err, "seed %d, sizes %v\n%s", seed, sizes, f)
			require.Nil(t, tensor.CompareAll(got, want, tensor.Exact), "seed %d, sizes %v\n%s", seed, sizes, f)
		}
	}
}
