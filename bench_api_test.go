package jitc_test

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"jitc"
	"jitc/ir"
	"jitc/ir/call"
	"jitc/ir/tensor"
	rt "jitc/runtime"
	"jitc/runtime/guard"
	"jitc/trace"
)

// BenchmarkCallAdd2x2 is the least that a call costs: two f32[2,2] are added. into
// writes where the result lies, call makes a new one.
func BenchmarkCallAdd2x2(b *testing.B) {
	ctx := context.Background()
	f := jitc.Func2(engine(b, jitc.Options{}), func(x, y *T) *T { return x.Add(y) })
	x, y := cyclic(2, 2), cyclic(2, 2)
	b.Run("into", func(b *testing.B) {
		b.ReportAllocs()
		var out *T
		for b.Loop() {
			if err := f.CallInto(ctx, &out, x, y); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("call", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := f.Call(ctx, x, y); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// sumTracer traces a function of tensors that adds the first two, with everything
// constant.
type sumTracer struct {
	engine *jitc.Engine
	tb     testing.TB
}

func (sumTracer) Schema(c *call.Call) *call.Schema { return &call.Schema{} }

func (s sumTracer) Trace(_ context.Context, c *call.Call, _ *rt.Spec) (*rt.Traced, error) {
	f := ir.NewFunc("sum", nil)
	for i := range c.NumTensors() {
		l := c.Layout(i)
		f.AddParam("", ir.TConst(l.DType, l.Shape...), nil)
	}
	b := ir.NewBuilder(f)
	f.Results = []*ir.Value{b.Emit(ir.OpAdd, f.Params[:2])}
	require.NoError(s.tb, b.Err())
	gs, sources, err := guard.FromFunc(f, nil, nil)
	return &rt.Traced{F: f, Guards: gs, Sources: sources}, err
}

func (s sumTracer) Compile(ctx context.Context, t *rt.Traced) (*rt.Compiled, error) {
	c, err := s.engine.Compile(ctx, t.F, nil)
	if err != nil {
		return nil, err
	}
	return &rt.Compiled{Program: c.Program}, nil
}

// guardCalls are eight calls with 300 tensors each, of which two differ from call
// to call: one in its element type, one in its size.
func guardCalls(frozen bool) (calls []*call.Call) {
	for k := range 8 {
		c := &call.Call{}
		for i := range 300 {
			dt, n := tensor.F32, 16
			if i == 10+k {
				dt = tensor.F16
			}
			if i == 100+k {
				n = 32
			}
			c.Tensors = append(c.Tensors, tensor.New(dt, n, 4))
		}
		if frozen {
			c = &call.Call{Tensors: c.Tensors[:1], Frozen: []*call.Frozen{call.NewFrozen(c.Tensors[1:], nil)}}
		}
		calls = append(calls, c)
	}
	return calls
}

// BenchmarkGuards300 is what it takes to find the program of a call with 300
// tensors among eight: one program again and again, and each in turn.
func BenchmarkGuards300(b *testing.B) {
	e := engine(b, jitc.Options{})
	for _, row := range []struct {
		name   string
		frozen bool
		stance jitc.Stance
	}{{"sound", false, jitc.Stance{}}, {"differentiating", false, jitc.Stance{Mode: jitc.Differentiating}}, {"frozen", true, jitc.Stance{}}} {
		calls, tracer := guardCalls(row.frozen), sumTracer{e, b}
		c := rt.NewCache(rt.Config{Name: "sum", Workers: e.Workers().Workers(), Separate: true,
			Marks: []rt.Mark{{Path: "*", Axis: -1, Kind: rt.Static}}})
		c.SetStance(row.stance)
		ctx := context.Background()
		for _, cl := range calls {
			_, err := c.Resolve(rt.WithStance(ctx, jitc.Stance{}), cl, tracer, 0)
			require.NoError(b, err)
		}
		require.Len(b, c.Entries(), 8)
		for k, cl := range calls { // the subset of guards is made
			a, err := c.Resolve(ctx, cl, tracer, 0)
			require.NoError(b, err)
			require.Same(b, c.Entries()[k], a.Entry)
		}
		b.Run(row.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if c.Hit(ctx, calls[3], 0) == nil {
					b.Fatal("no hit")
				}
			}
		})
		b.Run(row.name+"-in-turn", func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if c.Hit(ctx, calls[i&7], 0) == nil {
					b.Fatal("no hit")
				}
			}
		})
	}
}

// A decoder of 12 layers with a cache of keys and values that grows by a row per
// step.
type decoderLayer struct{ Q, K, V, O, Up, Down, Norm, Norm2 *T }

type decoderCache struct{ K, V []*T }

type decoderStep struct {
	X     *T
	Cache decoderCache
}

func decode(layers *jitc.Frozen[[]decoderLayer], in decoderStep) decoderStep {
	x, out := in.X, decoderStep{}
	for i, l := range layers.Value() {
		h := x.RMSNorm(l.Norm, 1e-5, -1)
		k, v := jitc.Concat(0, in.Cache.K[i], h.MatMul(l.K)), jitc.Concat(0, in.Cache.V[i], h.MatMul(l.V))
		x = x.Add(jitc.Attention(h.MatMul(l.Q), k, v, trace.AttentionOptions{}).MatMul(l.O))
		x = x.Add(x.RMSNorm(l.Norm2, 1e-5, -1).MatMul(l.Up).Silu().MatMul(l.Down))
		out.Cache.K, out.Cache.V = append(out.Cache.K, k), append(out.Cache.V, v)
	}
	out.X = x
	return out
}

func newDecoder(width int) (layers []decoderLayer) {
	square := func() *T { return cyclic(width, width).Mul(0.05) }
	for range 12 {
		layers = append(layers, decoderLayer{square(), square(), square(), square(), cyclic(width, 4*width).Mul(0.05),
			cyclic(4*width, width).Mul(0.05), jitc.Ones(jitc.F32, width), jitc.Ones(jitc.F32, width)})
	}
	return layers
}

// decoderInput is a step with a cache of n rows.
func decoderInput(n, width int) decoderStep {
	in := decoderStep{X: cyclic(1, width)}
	for range 12 {
		in.Cache.K, in.Cache.V = append(in.Cache.K, cyclic(n, width)), append(in.Cache.V, cyclic(n, width))
	}
	return in
}

// BenchmarkDecodeGrowing decodes 200 steps: one program for all lengths, and in the
// same loop, alternating, one compiled for each length. throughput is the first's
// in terms of the second's. learned has no marks, so that the first length makes a
// program of its own; declared says that the length varies, and how far, which spares the parts that
// very long sums need.
func BenchmarkDecodeGrowing(b *testing.B) {
	length := func(path string) jitc.Mark { return jitc.MaybeDynamic(path, 0, jitc.Dim("S")).Range(0, 8192) }
	b.Run("learned", func(b *testing.B) { benchmarkDecode(b) })
	b.Run("declared", func(b *testing.B) {
		benchmarkDecode(b, jitc.Marks(length("in.Cache.K[*]"), length("in.Cache.V[*]")))
	})
	b.Run("guards", benchmarkDecodeGuards)
}

// benchmarkDecodeGuards is the share that finding the program has of a step of 12
// layers as wide as GPT-2 small's: 24 tensors of the cache, 96 of frozen layers.
func benchmarkDecodeGuards(b *testing.B) {
	ctx := context.Background()
	layers, err := jitc.Freeze(newDecoder(768))
	require.NoError(b, err)
	f := jitc.Func2(engine(b, jitc.Options{}), decode)
	ins := [2]decoderStep{decoderInput(100, 768), decoderInput(101, 768)}
	var outs [2]decoderStep
	var guards, steps []time.Duration
	for turn := 0; b.Loop(); turn++ {
		i := turn & 1
		took, hit := jitc.TimeLookup(f, ctx, layers, ins[i]) // of another length than the last; the step has swept the caches
		start := time.Now()
		require.NoError(b, f.CallInto(ctx, &outs[i], layers, ins[i]))
		if hit && turn > 3 {
			guards, steps = append(guards, took), append(steps, time.Since(start))
		}
	}
	if len(steps) == 0 {
		b.Skip("too few turns to measure: -benchtime 20x")
	}
	slices.Sort(guards)
	slices.Sort(steps)
	guard, step := guards[len(guards)/2], steps[len(steps)/2]
	b.ReportMetric(float64(guard), "ns/lookup")
	b.ReportMetric(float64(step)/1e3, "us/step")
	b.ReportMetric(100*float64(guard)/float64(step), "%guards")
	b.ReportMetric(0, "ns/op")
}

func benchmarkDecode(b *testing.B, opts ...jitc.FuncOption) {
	const lengths, width = 200, 128
	ctx := context.Background()
	layers, err := jitc.Freeze(newDecoder(width))
	require.NoError(b, err)
	e := engine(b, jitc.Options{Threads: 1}) // a step is too small to share out
	limits := rt.Limits{Entries: lengths + 1, Recompiles: 2 * lengths}
	opts = append(opts, jitc.Name("symbolic"), jitc.WithLimits(limits), jitc.ArgNames("l", "in"))
	symbolic := jitc.Func2(e, decode, opts...)
	static := jitc.Func2(e, decode, jitc.Name("static"), jitc.WithLimits(limits), jitc.ArgNames("l", "in"),
		jitc.Marks(jitc.Static("in.*", -1), jitc.Static("in.*.*", -1)))
	var inputs []decoderStep
	var outs [lengths]decoderStep
	for n := range lengths {
		inputs = append(inputs, decoderInput(n+1, width))
		require.NoError(b, symbolic.CallInto(ctx, &outs[n], layers, inputs[n]))
	}
	held := rt.Arenas()
	for n := range lengths {
		require.NoError(b, static.CallInto(ctx, &outs[n], layers, inputs[n]))
	}
	require.Len(b, static.Traced().Entries(), lengths)
	var one, many times
	for turn := 0; b.Loop(); turn++ {
		for n := range lengths {
			run := func(ts *times, f *jitc.F2[*jitc.Frozen[[]decoderLayer], decoderStep, decoderStep]) {
				ts.run(func() { require.NoError(b, f.CallInto(ctx, &outs[n], layers, inputs[n])) })
			}
			if turn&1 == 0 { // the second finds its arguments in the caches
				run(&one, symbolic)
				run(&many, static)
			} else {
				run(&many, static)
				run(&one, symbolic)
			}
		}
	}
	var sumOne, sumMany float64
	for n := range lengths { // of each length the best run, so that one disturbance does not count
		best := func(ts times) float64 {
			m := ts[n]
			for i := n; i < len(ts); i += lengths {
				m = min(m, ts[i])
			}
			return m.Seconds()
		}
		sumOne, sumMany = sumOne+best(one), sumMany+best(many)
	}
	s := symbolic.Traced().Stats()
	b.ReportMetric(float64(s.Misses), "compiles")
	b.ReportMetric(sumMany/sumOne, "throughput")
	b.ReportMetric(sumOne/lengths*1e6, "us/step")
	b.ReportMetric(float64(held.Idle+held.Lent), "arena-bytes")
	largest := 0
	for _, es := range s.Entries {
		largest = max(largest, es.Arena)
	}
	b.ReportMetric(float64(largest), "largest-bytes")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkCallParallel calls one function from 32 goroutines, on one processor and
// on all, and checks that no call is lost to the statistics.
func BenchmarkCallParallel(b *testing.B) {
	for _, procs := range []int{1, runtime.GOMAXPROCS(0)} {
		b.Run(fmt.Sprintf("procs=%d", procs), func(b *testing.B) {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(procs))
			ctx := context.Background()
			f := jitc.Func2(engine(b, jitc.Options{Threads: 1}), func(x, y *T) *T { return x.Add(y) })
			_, err := f.Call(ctx, cyclic(2, 2), cyclic(2, 2))
			require.NoError(b, err)
			var left atomic.Int64
			left.Store(int64(b.N))
			var wg sync.WaitGroup
			b.ResetTimer()
			for range 32 {
				wg.Add(1)
				go func() {
					defer wg.Done()
					x, y := cyclic(2, 2), cyclic(2, 2)
					var out *T
					for left.Add(-64) > -64 {
						for range 64 {
							if err := f.CallInto(ctx, &out, x, y); err != nil {
								b.Error(err)
								return
							}
						}
					}
				}()
			}
			wg.Wait()
			calls := float64((b.N + 63) / 64 * 64)
			b.ReportMetric(calls/b.Elapsed().Seconds()/1e6, "Mcalls/s")
			s := f.Traced().Stats()
			require.EqualValues(b, calls+1, s.Calls)
			require.EqualValues(b, calls, s.Hits.Total())
		})
	}
}
