package jitc

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"jitc/executors"
	"jitc/fusion"
	"jitc/ir"
	"jitc/passes"
	rt "jitc/runtime"
)

// Compiled is a trace with everything that compiling made of it. It must not be
// changed.
type Compiled struct {
	Trace     *ir.Func // as given
	Canonical *ir.Func // primitives, after the passes
	Fused     *ir.Func // regions
	Parts     *fusion.Result
	Program   *rt.Program
	Report    *Report
	// Chain runs the whole trace where data decides sizes of it (see Segments);
	// nil for others. Fused, Parts and Program are then those of the first segment.
	Chain    *rt.Chain
	Segments []*Compiled // what compiling made of the chain's segments, in order
}

// Compile is the whole walk, from a trace to a linked program:
//
//	trace -> passes -> fusion -> executors (code generation) -> link
//
// obs, if not nil, sees the function before and after every pass.
func (e *Engine) Compile(ctx context.Context, f *ir.Func, obs passes.Observer) (*Compiled, error) {
	if _, err := e.usable(); err != nil {
		return nil, err
	}
	return e.compile(ctx, f, obs, e.opts.Limits)
}

// compile is Compile for a function of these limits.
func (e *Engine) compile(ctx context.Context, f *ir.Func, obs passes.Observer, limits rt.Limits) (*Compiled, error) {
	w := &walk{engine: e, limits: limits, c: &Compiled{Trace: f, Report: &Report{}}}
	stages := []struct {
		name string
		run  func(context.Context) error
	}{
		{"verify", func(context.Context) error { return ir.Verify(f, ir.Surface) }},
		{"passes", func(context.Context) error { return w.canonicalise(obs) }},
		{"fusion", func(ctx context.Context) error { return w.each(ctx, (*walk).fuse) }},
		{"kernels", func(ctx context.Context) error { return w.each(ctx, (*walk).compileRegions) }},
		{"link", func(ctx context.Context) error { return w.each(ctx, (*walk).link) }},
	}
	for _, s := range stages {
		start := time.Now()
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := s.run(ctx); err != nil {
			return nil, fmt.Errorf("%s: %w", s.name, err)
		}
		w.c.Report.Stages = append(w.c.Report.Stages, StageReport{Name: s.name, Time: time.Since(start)})
	}
	w.report()
	return w.c, nil
}

// walk carries one compilation.
type walk struct {
	engine *Engine
	limits rt.Limits // of the function
	c      *Compiled
	steps  map[*ir.Value]rt.Step // of the regions, those in bodies too
	hits   map[*ir.Value]bool    // regions whose kernel was there already

	segments []passes.Segment // of a trace whose sizes data decides; else nil
	walks    []*walk          // of the segments
}

func (w *walk) canonicalise(obs passes.Observer) error {
	observe := func(pass string, before, after *ir.Func, d time.Duration) {
		w.c.Report.Passes = append(w.c.Report.Passes, PassReport{Name: pass, Values: len(after.Values), Time: d})
		if obs != nil {
			obs(pass, before, after, d)
		}
	}
	f, err := passes.Run(w.c.Trace, passes.Options{
		FastMath:      w.engine.opts.FastMath,
		Verify:        w.engine.opts.Verify,
		KeepComposite: w.engine.claimsComposite,
	}, observe)
	w.c.Canonical = f
	if err == nil {
		w.split()
	}
	return err
}

// claimsComposite reports whether an executor ahead of the reference computes a
// composite whole, or a chain runs it between its segments.
func (e *Engine) claimsComposite(v *ir.Value) bool {
	if v.Is(ir.Dynamic) {
		return true
	}
	for _, x := range e.execs {
		if x.Name() != executors.Reference && x.Claim(v).Level != fusion.Refused {
			return true
		}
	}
	return false
}

func (w *walk) fuse(context.Context) error {
	claimers := make([]fusion.Claimer, len(w.engine.execs))
	for i, x := range w.engine.execs {
		claimers[i] = x
	}
	parts, err := fusion.Partition(w.c.Canonical, claimers, fusion.Options{Off: w.engine.opts.NoFuse})
	if err != nil {
		return err
	}
	w.c.Parts, w.c.Fused = parts, parts.F
	if w.engine.opts.Verify && len(parts.F.Results) > 0 { // a segment may have nothing to compute
		return ir.Verify(parts.F, ir.Fused)
	}
	return nil
}

// compileRegions compiles every distinct region once, side by side.
func (w *walk) compileRegions(ctx context.Context) error {
	w.steps, w.hits = map[*ir.Value]rt.Step{}, map[*ir.Value]bool{}
	var mu sync.Mutex // orders the writes to both
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(w.engine.pool.Workers())
	for _, part := range w.c.Parts.Parts() {
		for _, g := range part.Regions {
			v := g.Value
			group.Go(func() (err error) {
				defer catch(v, &err)
				step, hit, err := w.engine.compileRegion(ctx, v, w.engine.execs[part.Owner[v.ID]])
				mu.Lock()
				defer mu.Unlock()
				w.steps[v], w.hits[v] = step, hit
				return err
			})
		}
	}
	return group.Wait()
}

// catch turns a panic on a compiling goroutine, which would end the process,
// into an error.
func catch(v *ir.Value, err *error) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("BUG: compiling the region at %s: %v\n%s", v.Pos, r, debug.Stack())
	}
}

// compileRegion compiles one region through the kernel cache: regions of equal
// canonical form share a kernel. What its executor turns out not to support
// goes to the reference executor, with the reason kept for the report.
func (e *Engine) compileRegion(ctx context.Context, v *ir.Value, x executors.Executor) (rt.Step, bool, error) {
	form := fusion.Canonical(v.Bodies[0])
	o := executors.Options{FastMath: e.opts.FastMath, Dumps: e.opts.Dumps}
	target := fmt.Sprintf("%s/%+v", x.Name(), o)
	key := form.Key(target)
	kernel, hit, err := e.kernels.Get(ctx, rt.KernelKey(key), func() (executors.Kernel, error) {
		k, err := x.Compile(ctx, form.F, o)
		var unsupported *executors.UnsupportedError
		if errors.As(err, &unsupported) && x.Name() != executors.Reference {
			return e.fallBack(ctx, form.F, o, unsupported)
		}
		return k, err
	})
	if err != nil {
		return rt.Step{}, hit, fmt.Errorf("%s: region at %s: %w", x.Name(), v.Pos, err)
	}
	syms := make(map[string]string, len(form.Syms))
	for i, s := range form.Syms {
		syms["d"+strconv.Itoa(i)] = s
	}
	queue, err := queueOf(x, kernel)
	if err != nil {
		return rt.Step{}, hit, fmt.Errorf("%s: %w", x.Name(), err)
	}
	return rt.Step{Kernel: kernel, Executor: kernel.Info().Executor, Key: key.String(), Queue: queue,
		Params: form.Params, Results: form.Results, Syms: syms}, hit, nil
}

// queueOf is the queue on which a kernel of an executor runs; nil for the host,
// where those that fell back to the reference do.
func queueOf(x executors.Executor, k executors.Kernel) (executors.Queue, error) {
	a, ok := x.(executors.Accelerator)
	if _, fell := k.(refused); fell || !ok {
		return nil, nil
	}
	return a.Queue()
}

func (e *Engine) fallBack(ctx context.Context, region *ir.Func, o executors.Options, why error) (executors.Kernel, error) {
	last := e.execs[len(e.execs)-1]
	if last.Name() != executors.Reference {
		return nil, why
	}
	k, err := last.Compile(ctx, region, o)
	if err != nil {
		return nil, err
	}
	return refused{k, why}, nil
}

// refused is a kernel that took the place of one that could not be compiled.
type refused struct {
	executors.Kernel
	why error
}

// Info says why.
func (r refused) Info() executors.Info {
	info := r.Kernel.Info()
	info.Detail = r.why.Error()
	return info
}

func (w *walk) link(context.Context) (err error) {
	w.c.Program, err = linkParts(w.c.Parts, w.steps)
	return err
}

// linkParts links a partitioned function, the bodies of its control flow first.
func linkParts(r *fusion.Result, steps map[*ir.Value]rt.Step) (*rt.Program, error) {
	byID := map[int]rt.Step{}
	for _, g := range r.Regions {
		byID[g.Value.ID] = steps[g.Value]
	}
	for _, c := range r.Control {
		step := rt.Step{Executor: controlExecutor}
		for _, body := range c.Bodies {
			p, err := linkParts(body, steps)
			if err != nil {
				return nil, err
			}
			step.Bodies = append(step.Bodies, p)
		}
		byID[c.Value.ID] = step
	}
	return rt.Link(r.F, byID)
}
