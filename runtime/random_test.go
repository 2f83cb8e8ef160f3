package runtime

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jitc/executors"
	"jitc/executors/reference"
	"jitc/internal/irgen"
	"jitc/internal/testdevice"
	"jitc/ir"
	"jitc/ir/tensor"
)

// regions cuts a function of primitives into regions of one to three values, and
// links it over the reference executor: some kernels get their operands and
// results in another order, and some constants stand outside regions.
type regions struct {
	t     *testing.T
	rng   *rand.Rand
	from  *ir.Func
	f     *ir.Func
	b     *ir.Builder
	env   map[*ir.Value]*ir.Value // of values that regions give to others
	uses  map[*ir.Value]int       // the last group that uses a value; groups count as results
	steps map[int]Step
	order bool // some kernel has another order

	devices []*testdevice.Device // that some regions run on
}

func cut(t *testing.T, rng *rand.Rand, from *ir.Func, devices ...*testdevice.Device) *regions {
	r := &regions{t: t, rng: rng, from: from, devices: devices, f: ir.NewFunc(from.Name, from.Facts),
		env: map[*ir.Value]*ir.Value{}, uses: map[*ir.Value]int{}, steps: map[int]Step{}}
	r.b = ir.NewBuilder(r.f)
	for _, p := range from.Params {
		r.env[p] = r.f.AddParam(p.Name, p.Type, nil)
	}
	var groups [][]*ir.Value
	for rest := from.Values; len(rest) > 0; {
		n := 1 + rng.IntN(min(3, len(rest)))
		groups, rest = append(groups, rest[:n]), rest[n:]
	}
	for i, g := range groups {
		for _, v := range g {
			for _, a := range v.Args {
				r.uses[a] = i
			}
		}
	}
	for _, v := range from.Results {
		r.uses[v] = len(groups)
	}
	for i, g := range groups {
		r.group(i, g)
	}
	for _, v := range from.Results {
		r.f.Results = append(r.f.Results, r.env[v])
	}
	require.NoError(t, r.b.Err())
	return r
}

// group makes a region of consecutive values, or a constant that stands alone.
func (r *regions) group(at int, values []*ir.Value) {
	if v := values[0]; len(values) == 1 && v.Op == ir.OpConstant && r.rng.IntN(2) == 0 {
		r.env[v] = r.b.Clone(v, nil)
		return
	}
	body := ir.NewFunc("", r.from.Facts)
	bb := ir.NewBuilder(body)
	inner, operands := map[*ir.Value]*ir.Value{}, []*ir.Value(nil)
	var given []*ir.Value // what others use
	for _, v := range values {
		args := make([]*ir.Value, len(v.Args))
		for i, a := range v.Args {
			if inner[a] == nil {
				inner[a] = body.AddParam("", a.Type, nil)
				operands = append(operands, r.env[a])
			}
			args[i] = inner[a]
		}
		inner[v] = bb.Clone(v, args)
	}
	for _, v := range values {
		if r.uses[v] > at || v == values[len(values)-1] {
			given = append(given, v)
			body.Results = append(body.Results, inner[v])
		}
	}
	require.NoError(r.t, bb.Err())
	region := r.b.EmitRegion(body, operands)
	require.NoError(r.t, r.b.Err())
	r.steps[region.ID] = r.compile(body)
	for i, v := range given {
		r.env[v] = region
		if len(given) > 1 {
			r.env[v] = r.b.Emit(ir.OpGet, []*ir.Value{region}, ir.Attr{Name: "index", Value: int64(i)})
		}
	}
}

// compile gives the body to the reference executor, its operands and results
// shuffled now and then.
func (r *regions) compile(body *ir.Func) Step {
	var s Step
	if r.rng.IntN(2) == 0 {
		shuffled := *body
		s.Params, s.Results = r.rng.Perm(len(body.Params)), r.rng.Perm(len(body.Results))
		shuffled.Params, shuffled.Results = nil, nil
		for _, i := range s.Params {
			shuffled.Params = append(shuffled.Params, body.Params[i])
		}
		for _, i := range s.Results {
			shuffled.Results = append(shuffled.Results, body.Results[i])
		}
		r.order = r.order || !slices.IsSorted(s.Params) || !slices.IsSorted(s.Results)
		s.Syms = map[string]string{}
		for _, sym := range body.Facts.Syms() {
			s.Syms[sym] = sym
		}
		body = &shuffled
	}
	k, err := reference.Executor{}.Compile(context.Background(), body, executors.Options{})
	require.NoError(r.t, err)
	s.Kernel = k
	if n := len(r.devices); n > 0 {
		if i := r.rng.IntN(n + 1); i < n {
			s.Kernel, s.Queue = r.devices[i].Kernel(testdevice.Counted(k, len(body.Results))), r.devices[i]
		}
	}
	return s
}

// checkAgainstEval runs a random function at some sizes, strided arguments
// among them, with every block of the arena full of garbage.
func checkAgainstEval(t *testing.T, seed uint64) *regions {
	rng := rand.New(rand.NewPCG(seed, 7))
	f := irgen.Func(rng, irgen.Options{Static: seed%4 == 0, Values: 8 + rng.IntN(40)})
	r := cut(t, rng, f)
	about := fmt.Sprintf("seed %d\n%s", seed, r.f)
	require.NoError(t, ir.Verify(r.f, ir.Fused), about)
	p, err := Link(r.f, r.steps)
	require.NoError(t, err, about)
	p.memory = &arenas{}
	for range 3 {
		sizes := irgen.Sizes(rng, f)
		rec, err := p.Record(sizes, 1)
		require.NoError(t, err, about)
		require.GreaterOrEqual(t, rec.Arena, rec.Live)
		args := irgen.Args(rng, f, sizes)
		want, err := ir.Eval(f, args, sizes)
		require.NoError(t, err, about)
		for i := range args {
			if rng.IntN(3) == 0 {
				args[i] = strided(t, args[i])
			}
		}
		spoil(rec)
		got := mustRun(t, rec, args...)
		require.Nil(t, tensor.CompareAll(got, want, tensor.Exact), "sizes %v, %s", sizes, about)
	}
	return r
}

// strided is a copy of x with its axes reversed in memory.
func strided(t *testing.T, x *tensor.Tensor) *tensor.Tensor {
	axes := make([]int, x.Rank())
	for i := range axes {
		axes[i] = x.Rank() - 1 - i
	}
	reversed, err := x.Permute(axes...)
	require.NoError(t, err)
	back, err := reversed.Clone().Permute(axes...)
	require.NoError(t, err)
	return back
}

// spoil makes what the next run is lent hold garbage.
func spoil(r *Recording) {
	f := r.frames.Get().(*frame)
	m := f.takeMemory()
	for i := range m {
		m[i] = 0xA5
	}
	f.giveMemory()
	r.frames.Put(f)
}

func TestRecordingsComputeWhatEvalDoes(t *testing.T) {
	seen := map[string]int{}
	for seed := range uint64(150) {
		r := checkAgainstEval(t, seed)
		saw := map[string]bool{
			"another order":             r.order,
			"constant outside":          slices.ContainsFunc(r.f.Values, func(v *ir.Value) bool { return v.Op == ir.OpConstant }),
			"symbolic constant outside": slices.ContainsFunc(r.f.Values, func(v *ir.Value) bool { return v.Op == ir.OpConstant && !v.Type.IsStatic() }),
			"tuple":                     slices.ContainsFunc(r.f.Values, func(v *ir.Value) bool { return v.Op == ir.OpGet }),
			"parameter returned":        slices.ContainsFunc(r.f.Results, func(v *ir.Value) bool { return v.Op == ir.OpParam }),
			"returned twice":            len(slices.Compact(slices.Sorted(slices.Values(ids(r.f.Results))))) < len(r.f.Results),
		}
		for what := range maps.Keys(saw) {
			if saw[what] {
				seen[what]++
			}
		}
	}
	t.Log(seen)
	assert.Len(t, seen, 6, "every case occurs")
}

func ids(values []*ir.Value) []int {
	out := make([]int, len(values))
	for i, v := range values {
		out[i] = v.ID
	}
	return out
}

func FuzzRecordings(f *testing.F) {
	f.Add(uint64(1))
	f.Add(uint64(1 << 40))
	f.Fuzz(func(t *testing.T, seed uint64) { checkAgainstEval(t, seed) })
}
