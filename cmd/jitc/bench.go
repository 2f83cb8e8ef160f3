package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"jitc"
	"jitc/ir"
	"jitc/ir/call"
	"jitc/ir/tensor"
	rt "jitc/runtime"
)

// benchFlags are the flags of jitc bench.
type benchFlags struct {
	engine   engineFlags
	inputs   inputFlags
	repeat   int
	each     bool
	noLimits bool
}

const benchLong = `Bench runs a trace repeatedly and reports steady times: of the program, and of
each kernel with its share, the memory it moves, its arithmetic, and how near
it comes to what this machine was seen to reach in the same run.

A program of which a device computes everything lives there: its arguments are
brought there once, before the runs, and its results stay there.

The limits are a triad (a = b + 3*c over arrays beyond the caches) and fused
multiply-adds on registers, measured between the runs with the same threads; on
a device the triad alone. The column "limit" is the least time that a kernel's
bytes and operations take at the limits, over its time; above 100% the data came
from a cache, or a gather read less than all of its table, which is what is
counted.

A program in which data decides sizes is timed as a whole: what its kernels move
and compute is not known before it runs.`

const benchExample = `  jitc bench mlp.trace --dim B=64
  jitc bench gpt2.trace --repeat 10 --threads 1
  jitc bench gpt2.trace --executors cuda,native
  jitc bench mlp.trace --dim B=1 --no-limits --json`

func (a *app) benchCommand() *cobra.Command {
	f := &benchFlags{}
	cmd := &cobra.Command{
		Use: "bench FILE", Short: "Time a program and its kernels", Long: benchLong, Example: benchExample, Args: files(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error { return a.bench(cmd.Context(), args[0], f) },
	}
	f.inputs.add(cmd)
	f.engine.addDims(cmd)
	f.engine.add(cmd)
	fl := cmd.Flags()
	fl.IntVar(&f.repeat, "repeat", 20, "run `N` times")
	fl.BoolVar(&f.each, "each", false, "list every region, not only the distinct kernels")
	fl.BoolVar(&f.noLimits, "no-limits", false, "do not measure what the machine can reach")
	return cmd
}

// benchReport is what jitc bench prints.
type benchReport struct {
	Function string           `json:"function"`
	Sizes    map[string]int64 `json:"sizes"`
	Threads  int              `json:"threads"`
	Compile  time.Duration    `json:"compile"` // ns
	Regions  int              `json:"regions"`
	Distinct int              `json:"distinct_kernels"`
	By       map[string]int   `json:"regions_by_executor"`
	Runs     int              `json:"runs"`
	Min      time.Duration    `json:"min"`    // ns
	Median   time.Duration    `json:"median"` // ns
	Bytes    int64            `json:"bytes"`
	Flops    int64            `json:"flops"`
	Home     string           `json:"home,omitempty"` // the device where all is computed, and arguments and results lie
	Arena    int              `json:"arena"`          // bytes, on the host
	Devices  []rt.DevicePlan  `json:"devices,omitempty"`
	Limits   *limits          `json:"limits,omitempty"`
	Kernels  []kernelTime     `json:"kernels"`
	// Segments are those of a program whose sizes data decides, which is timed as a
	// whole; Bytes, Flops, Limits and Kernels are then not known.
	Segments []rt.SegmentStats `json:"segments,omitempty"`
}

// kernelTime is the time of one kernel in one run of the program: the sum over
// its regions of the median over the runs.
type kernelTime struct {
	Key     string        `json:"key"`
	Kind    string        `json:"kind"`
	Regions []int         `json:"regions"`
	Ops     []string      `json:"ops"`
	Time    time.Duration `json:"time"` // ns
	Share   float64       `json:"share"`
	Bytes   int64         `json:"bytes"`
	Flops   int64         `json:"flops"`
	Bound   time.Duration `json:"bound,omitempty"` // ns, least time at the limits
	By      string        `json:"bound_by,omitempty"`
}

func (a *app) bench(ctx context.Context, path string, f *benchFlags) error {
	if f.repeat < 1 {
		return badFlag("repeat", strconv.Itoa(f.repeat), "1 or more")
	}
	p, err := a.open(path, &f.engine, false)
	if err != nil {
		return err
	}
	defer p.engine.Close()
	s, err := p.with(&f.inputs)
	if err != nil {
		return err
	}
	b := &benchmark{session: s}
	if !f.noLimits && len(ir.Definers(p.file.Func)) == 0 {
		if b.probe, err = s.openProbe(ctx); err != nil {
			return err
		}
		defer b.probe.close()
	}
	r, err := b.measure(ctx, f)
	if err != nil {
		return err
	}
	if a.json {
		a.writeJSON(r)
	} else {
		a.writeBench(r)
	}
	return nil
}

// openProbe prepares the limits of where the program lives.
func (s *session) openProbe(ctx context.Context) (*probe, error) {
	c, err := s.fn.Compiled(ctx)
	if err != nil {
		return nil, fault{err}
	}
	s.a.progress.start("preparing the machine's limits")
	defer s.a.progress.stop()
	return newProbe(ctx, s.a.placeOf(c.Report), s.engine.Workers().Workers(), triadBytes)
}

// benchmark is a session under measurement.
type benchmark struct {
	*session
	probe *probe // nil: no limits
	runs  []time.Duration
	steps [][]time.Duration // by step
}

// limitSamples is how often the limits are measured, spread over the runs.
const limitSamples = 5

func (b *benchmark) measure(ctx context.Context, f *benchFlags) (*benchReport, error) {
	if c, err := b.chain(ctx); err != nil || c != nil {
		return b.measureChain(ctx, c, err, f.repeat)
	}
	c, entry, err := b.entry(ctx)
	if err != nil {
		return nil, err
	}
	var results []*tensor.Tensor
	if b.home == "" {
		results = entry.Recording.Results()
	}
	b.steps = make([][]time.Duration, len(c.Program.Steps))
	b.a.progress.start("running @%s", b.name)
	defer b.a.progress.stop()
	if results, err = entry.Run(ctx, &call.Call{Tensors: b.args}, results, b.engine.Workers()); err != nil { // warm
		return nil, fault{err}
	}
	for i := range f.repeat {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		b.a.progress.update("running @%s, %d of %d", b.name, i+1, f.repeat)
		if b.probe != nil && i%max(1, f.repeat/limitSamples) == 0 {
			if err := b.probe.sample(); err != nil {
				return nil, err
			}
		}
		if err := b.once(ctx, results); err != nil {
			return nil, fault{err}
		}
	}
	ct := &compiledTrace{Compiled: c, sizes: b.sizes, plan: planOf(c.Program, entry.Recording)}
	return b.report(ct, f.each), nil
}

// measureChain times a program whose sizes data decides, as a whole: what its
// kernels move and compute is not known before it runs.
func (b *benchmark) measureChain(ctx context.Context, c *jitc.Compiled, err error, n int) (*benchReport, error) {
	if err != nil {
		return nil, err
	}
	if _, _, err := b.runChain(ctx, c, nil, 1); err != nil { // warm
		return nil, err
	}
	_, run, err := b.runChain(ctx, c, nil, n)
	if err != nil {
		return nil, err
	}
	return &benchReport{Function: b.name, Sizes: b.sizes, Threads: b.engine.Workers().Workers(), Compile: run.Compile,
		Regions: run.Regions, Distinct: run.Kernels, By: run.By, Runs: run.Runs, Min: run.Min, Median: run.Median,
		Arena: run.Arena, Segments: c.Chain.Stats(), Kernels: []kernelTime{}}, nil
}

// once times one run as a whole, and one step by step.
func (b *benchmark) once(ctx context.Context, results []*tensor.Tensor) error {
	entry, err := b.fn.Lookup(ctx, b.args...)
	if err != nil {
		return err
	}
	start := time.Now()
	if err := b.fn.CallInto(ctx, results, b.args); err != nil {
		return err
	}
	if err := b.sync(); err != nil {
		return err
	}
	b.runs = append(b.runs, time.Since(start))
	return entry.Recording.Profile(b.args, results, b.engine.Workers(), func(step int, d time.Duration) {
		b.steps[step] = append(b.steps[step], d)
	})
}

func (b *benchmark) report(c *compiledTrace, each bool) *benchReport {
	regions := c.regions()[:len(c.Program.Steps)] // control flow is timed as a whole
	r := &benchReport{Function: b.name, Sizes: b.sizes, Threads: b.engine.Workers().Workers(), Compile: c.Report.Time(),
		Regions: len(regions), Distinct: c.Report.Kernels(), By: byExecutor(c.Report), Runs: len(b.runs),
		Min: slices.Min(b.runs), Median: median(b.runs), Home: b.home, Arena: c.plan.Arena, Devices: c.plan.Devices, Kernels: []kernelTime{}}
	if b.probe != nil {
		r.Limits = &b.probe.limits
	}
	groups := groupKernels(regions)
	if each {
		groups = nil
		for _, g := range regions {
			groups = append(groups, []regionReport{g})
		}
	}
	var total time.Duration
	for _, g := range groups {
		k := b.kernel(g)
		total += k.Time
		r.Bytes += k.Bytes
		r.Flops += k.Flops
		r.Kernels = append(r.Kernels, k)
	}
	for i := range r.Kernels {
		r.Kernels[i].Share = float64(r.Kernels[i].Time) / max(float64(total), 1)
	}
	slices.SortStableFunc(r.Kernels, func(x, y kernelTime) int { return cmp.Compare(y.Time, x.Time) })
	return r
}

// kernel sums up the regions of one kernel.
func (b *benchmark) kernel(group []regionReport) kernelTime {
	k := kernelTime{Key: group[0].Key, Kind: kindText(group[0]), Ops: group[0].Ops}
	for _, g := range group {
		k.Regions = append(k.Regions, g.Index)
		k.Time += median(b.steps[g.Index])
		k.Bytes += *g.BytesAt
		k.Flops += *g.FlopsAt
	}
	// Limits are of one place, the host where kernels are in several.
	if d, known := deviceOf(group[0].Executor); b.probe != nil && known && string(d) == b.probe.device {
		k.Bound, k.By = b.probe.limits.bound(float64(k.Bytes), float64(k.Flops))
	}
	return k
}

func (a *app) writeBench(r *benchReport) {
	a.writeTitle(r.Function, r.Sizes, plural(r.Threads, "thread"), homeText(r.Home))
	fmt.Fprintf(a.out, "  compile  %-8s  %s\n", timeText(r.Compile), programText(r.Regions, r.Distinct, r.By))
	fmt.Fprintf(a.out, "  steady   %-8s  min of %d; median %s\n", timeText(r.Min), r.Runs, timeText(r.Median))
	if r.Segments != nil {
		a.writeBenchSegments(r)
		return
	}
	fmt.Fprintf(a.out, "  rates    %s GB/s, %s GFLOP/s at the median; arena %s\n",
		rate(float64(r.Bytes), r.Median), rate(float64(r.Flops), r.Median), devicesText(r.Arena, r.Devices))
	if r.Limits != nil {
		fmt.Fprintf(a.out, "  limits   %s\n", r.Limits.text())
	}
	fmt.Fprintln(a.out)
	t := &table{head: []string{">time", ">share", ">bytes", ">GB/s", ">GFLOP/s", ">limit", "region", "ops"}}
	for _, k := range r.Kernels {
		region := fmt.Sprint(k.Regions[0])
		if len(k.Regions) > 1 {
			region += fmt.Sprintf(" x%d", len(k.Regions))
		}
		limit := "-"
		if k.Bound > 0 {
			limit = percent(float64(k.Bound), float64(k.Time)) + " " + k.By
		}
		t.add(timeText(k.Time), percent(k.Share, 1), byteText(float64(k.Bytes)), rate(float64(k.Bytes), k.Time),
			rate(float64(k.Flops), k.Time), limit, region, opsText(k.Ops))
	}
	t.write(a.out, a.style)
}

// writeBenchSegments prints what the segments of a program did that is timed as a
// whole.
func (a *app) writeBenchSegments(r *benchReport) {
	fmt.Fprintf(a.out, "  arena    %-8s\n", byteText(float64(r.Arena)))
	fmt.Fprintf(a.out, "\n%s\n", "data decides sizes, so that kernels are not timed one by one")
	t := &table{head: []string{">segment", ">kernels run", ">sizes found", ">recordings", ">hits", ">misses"}}
	for i, s := range r.Segments {
		t.add(fmt.Sprint(i+1), fmt.Sprint(s.Steps), fmt.Sprint(s.Definers), fmt.Sprint(s.Recordings), fmt.Sprint(s.Hits), fmt.Sprint(s.Misses))
	}
	t.write(a.out, a.style)
}
