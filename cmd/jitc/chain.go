package main

import (
	"context"
	"errors"
	"slices"
	"time"

	"jitc"
	"jitc/ir"
	"jitc/ir/tensor"
)

// chain compiles a function whose sizes depend on data; nil for others, which have
// an entry.
func (s *session) chain(ctx context.Context) (*jitc.Compiled, error) {
	if len(ir.Definers(s.file.Func)) == 0 {
		return nil, nil
	}
	s.a.progress.start("compiling @%s", s.name)
	defer s.a.progress.stop()
	c, err := s.fn.Compiled(ctx)
	if err != nil {
		return nil, fault{err}
	}
	if c.Chain == nil {
		return nil, nil
	}
	if err := checkSizes(c, s.sizes); err != nil {
		return nil, err
	}
	return c, s.a.checkTensors(c, s.sizes)
}

// runChain is run for a chain: how large results are shows when they are there.
func (s *session) runChain(ctx context.Context, c *jitc.Compiled, err error, n int) ([]*tensor.Tensor, *runReport, error) {
	if err != nil {
		return nil, nil, err
	}
	regions := (&compiledTrace{Compiled: c}).allRegions()
	r := &runReport{Function: s.name, Sizes: s.sizes, Compile: c.Report.Time(), Regions: len(regions),
		Kernels: kernelsOf(regions), By: executorsOf(regions), Runs: n, recorded: true}
	var results []*tensor.Tensor
	times := make([]time.Duration, 0, min(n, 1<<16))
	s.a.progress.start("running @%s", s.name)
	defer s.a.progress.stop()
	for i := range n {
		if err := ctx.Err(); err != nil {
			return nil, nil, err
		}
		s.a.progress.update("running @%s, %d of %d", s.name, i+1, n)
		start := time.Now()
		if results, err = s.fn.Call(ctx, s.args...); err != nil {
			return nil, nil, chainError(err)
		}
		times = append(times, time.Since(start))
	}
	for _, stats := range c.Chain.Stats() {
		r.Arena = max(r.Arena, stats.Bytes)
		r.Link += stats.Record
	}
	r.Min, r.Median = slices.Min(times), median(times)
	return results, r, nil
}

// chainError tells sizes that the inputs give, and that the trace does not allow,
// from what is no mistake of the user.
func chainError(err error) error {
	if errors.As(err, new(*ir.DefineError)) || errors.Is(err, context.Canceled) {
		return err
	}
	return fault{err}
}
