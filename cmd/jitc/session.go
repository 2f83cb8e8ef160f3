package main

import (
	"context"
	"slices"
	"time"

	"jitc"
	"jitc/ir/call"
	"jitc/ir/tensor"
	rt "jitc/runtime"
	"jitc/trace"
)

// program is a verified trace and the engine that compiles it.
type program struct {
	a      *app
	file   *trace.File
	engine *jitc.Engine
	dims   map[string]int64 // of --dim

	padding *jitc.Padding // what --bucket made of the trace; nil without
	options []jitc.FuncOption

	functions map[string]*jitc.Function // by the sizes given that arguments do not decide
}

// open reads a trace and makes an engine, which the caller closes. dumps keeps
// what --dump prints.
func (a *app) open(path string, f *engineFlags, dumps bool) (*program, error) {
	dims, err := f.sizes()
	if err != nil {
		return nil, err
	}
	file, err := a.readTrace(path)
	if err != nil {
		return nil, err
	}
	if err := checkDims(path, file.Func.Facts, dims); err != nil {
		return nil, err
	}
	padded, err := f.paddedDims()
	if err != nil {
		return nil, err
	}
	engine, err := a.newEngine(f, dumps)
	if err != nil {
		return nil, err
	}
	p := &program{a: a, file: file, engine: engine, dims: dims}
	if err := p.usePadding(padded); err != nil {
		engine.Close()
		return nil, err
	}
	return p, nil
}

// observe compiles the program and keeps what every pass made of it.
func (p *program) observe(ctx context.Context) (*compiledTrace, error) {
	f := p.file.Func
	if p.padding != nil {
		f = p.padding.F
	}
	return p.a.observe(ctx, p.engine, f)
}

// with makes the program's arguments.
func (p *program) with(inputs *inputFlags) (*session, error) {
	args, sizes, err := p.a.arguments(p.file, inputs, p.dims)
	if err != nil {
		return nil, err
	}
	fn, _, err := p.guarded(p.dims)
	if err != nil {
		return nil, err
	}
	return &session{program: p, name: p.file.Func.Name, fn: fn, args: args, sizes: sizes}, nil
}

// session is a program with its arguments.
type session struct {
	*program
	name  string
	fn    *jitc.Function
	args  []*tensor.Tensor
	sizes map[string]int64
	home  string // the device that has the arguments; empty: the host
}

// entry compiles the function and binds it to the arguments.
func (s *session) entry(ctx context.Context) (*jitc.Compiled, *rt.Admission, error) {
	s.a.progress.start("compiling @%s", s.name)
	defer s.a.progress.stop()
	c, err := s.fn.Compiled(ctx)
	if err != nil {
		return nil, nil, fault{err}
	}
	sizes, err := s.padded(s.sizes)
	if err != nil {
		return nil, nil, err
	}
	if err := checkSizes(c, sizes); err != nil {
		return nil, nil, err
	}
	if err := s.a.checkTensors(c, sizes); err != nil {
		return nil, nil, err
	}
	if err := s.moveHome(c); err != nil {
		return nil, nil, err
	}
	entry, err := s.fn.Lookup(ctx, s.args...)
	if err != nil {
		return nil, nil, fault{err}
	}
	if entry.Recording == nil { // it is evaluated, op by op
		return c, entry, nil
	}
	return c, entry, s.a.checkRun(c, entry.Recording)
}

// padded are the sizes that the program runs at for some sizes.
func (p *program) padded(sizes map[string]int64) (map[string]int64, error) {
	if p.padding == nil {
		return sizes, nil
	}
	out, err := p.padding.Bucket(sizes)
	return out, p.paddingError(err)
}

// run runs the function n times and keeps the results of the last.
func (s *session) run(ctx context.Context, n int) ([]*tensor.Tensor, *runReport, error) {
	if chain, err := s.chain(ctx); err != nil || chain != nil {
		return s.runChain(ctx, chain, err, n)
	}
	c, entry, err := s.entry(ctx)
	if err != nil {
		return nil, nil, err
	}
	r := &runReport{Function: s.name, Sizes: s.sizes, Compile: c.Report.Time(), Regions: len(c.Report.Regions),
		Kernels: c.Report.Kernels(), By: byExecutor(c.Report), Link: entry.Bind, Runs: n}
	var results []*tensor.Tensor
	if rec := entry.Recording; rec != nil { // else it is evaluated, on the host
		r.Home, r.recorded, r.Arena, r.Devices, r.Padding = s.home, true, rec.Arena, rec.Devices(), s.paddingReport(c, s.sizes)
		if s.padding == nil && s.home == "" { // else results are smaller than the recording's, or elsewhere
			results = rec.Results()
		}
	}
	times := make([]time.Duration, 0, min(n, 1<<16))
	s.a.progress.start("running @%s", s.name)
	defer s.a.progress.stop()
	for i := range n {
		if err := ctx.Err(); err != nil {
			return nil, nil, err
		}
		s.a.progress.update("running @%s, %d of %d", s.name, i+1, n)
		start := time.Now()
		if i == 0 { // the look-up was the first call's
			results, err = entry.Run(ctx, &call.Call{Tensors: s.args}, results, s.engine.Workers())
		} else {
			err = s.fn.CallInto(ctx, results, s.args)
		}
		if err == nil {
			err = s.sync()
		}
		if err != nil {
			return nil, nil, fault{err}
		}
		times = append(times, time.Since(start))
	}
	r.Min, r.Median = slices.Min(times), median(times)
	return results, r, toHost(results)
}

func byExecutor(r *jitc.Report) map[string]int {
	n := map[string]int{}
	for _, g := range r.Regions {
		n[g.Executor]++
	}
	return n
}

// median is the middle of durations, which it leaves in order.
func median(ds []time.Duration) time.Duration {
	slices.Sort(ds)
	return ds[len(ds)/2]
}
