package jitc

import (
	"context"
	"fmt"

	"jitc/passes"
	rt "jitc/runtime"
)

// A trace in which data decides sizes is compiled in segments, each of which is a
// program for all sizes known when it begins, and runs as a chain of them.

// split makes a walk for each segment, if there is more than one.
func (w *walk) split() {
	segments := passes.Split(w.c.Canonical)
	if len(segments) == 1 {
		return
	}
	w.segments = segments
	for _, s := range segments {
		w.walks = append(w.walks, &walk{engine: w.engine, c: &Compiled{Trace: w.c.Trace, Canonical: s.F, Report: &Report{}}})
	}
}

// each runs a stage, of every segment where there are several; the last one links
// the programs to a chain.
func (w *walk) each(ctx context.Context, stage func(*walk, context.Context) error) error {
	if w.walks == nil {
		return stage(w, ctx)
	}
	linked := true
	for _, part := range w.walks {
		if err := stage(part, ctx); err != nil {
			return fmt.Errorf("@%s: %w", part.c.Canonical.Name, err)
		}
		linked = linked && part.c.Program != nil
	}
	first := w.walks[0].c
	w.c.Fused, w.c.Parts, w.c.Program = first.Fused, first.Parts, first.Program
	if !linked {
		return nil
	}
	return w.linkChain()
}

func (w *walk) linkChain() (err error) {
	segments := make([]rt.ChainSegment, len(w.segments))
	for k, s := range w.segments {
		c := w.walks[k].c
		segments[k] = rt.ChainSegment{Program: c.Program, Params: s.Params, Results: s.Results, Definers: s.Definers}
		w.c.Segments = append(w.c.Segments, c)
	}
	w.c.Chain, err = rt.NewChain(w.c.Canonical, segments, w.recordings())
	return err
}

// recordings bounds those of each segment of a chain.
func (w *walk) recordings() int {
	if n := w.limits.Recordings; n > 0 {
		return n
	}
	return rt.DefaultRecordings
}

// reportChain reports every segment. The whole trace's regions are those of Fused.
func (w *walk) reportChain() {
	for _, part := range w.walks {
		part.report()
	}
	w.c.Report.Regions = w.walks[0].c.Report.Regions
}

// Programs are the linked programs, in the order in which a call runs them: one,
// unless data decides sizes.
func (c *Compiled) Programs() []*rt.Program {
	if c.Chain == nil {
		return []*rt.Program{c.Program}
	}
	programs := make([]*rt.Program, len(c.Segments))
	for k, s := range c.Segments {
		programs[k] = s.Program
	}
	return programs
}
