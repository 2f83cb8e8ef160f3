package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"jitc/ir/dim"
)

// maxTurns bounds the sizes of one command: a typing mistake should not run for
// days.
const maxTurns = 4096

// turns are the sizes that --dim names: B=1..3 and B=1,2,3 are three, and with
// T=5,6 too, six, the last size changing fastest.
func (e *engineFlags) turns() ([]map[string]int64, error) {
	syms, values, err := e.dimLists()
	if err != nil {
		return nil, err
	}
	turns := []map[string]int64{{}}
	for _, sym := range syms {
		if len(turns)*len(values[sym]) > maxTurns {
			return nil, badFlag("dim", sym, fmt.Sprintf("at most %d combinations of sizes", maxTurns))
		}
		var next []map[string]int64
		for _, t := range turns {
			for _, n := range values[sym] {
				at := maps.Clone(t)
				at[sym] = n
				next = append(next, at)
			}
		}
		turns = next
	}
	return turns, nil
}

// dimLists reads --dim; the flag package has split it at commas.
func (e *engineFlags) dimLists() (syms []string, values map[string][]int64, err error) {
	values = map[string][]int64{}
	sym := ""
	for _, d := range e.dims {
		name, text, named := strings.Cut(d, "=")
		if !named {
			name, text = sym, d
		}
		ns, ok := rangeOf(text)
		sym = strings.TrimSpace(name)
		if !ok || !dim.ValidSym(sym) {
			return nil, nil, badFlag("dim", d, "SYM=N or SYM=N..N with whole numbers from 0 to 2^63-1, such as B=4 or B=1..8")
		}
		if named && len(values[sym]) > 0 && !slices.Equal(values[sym], ns) {
			return nil, nil, badFlag("dim", d, fmt.Sprintf("one value of %s, but %d was given too", sym, values[sym][0]))
		}
		if len(values[sym]) == 0 {
			syms = append(syms, sym)
		}
		if !named || len(values[sym]) == 0 {
			values[sym] = append(values[sym], ns...)
		}
	}
	return syms, values, nil
}

// rangeOf reads "4" and "1..8".
func rangeOf(text string) ([]int64, bool) {
	low, high, isRange := strings.Cut(text, "..")
	lo, err := strconv.ParseInt(strings.TrimSpace(low), 10, 64)
	if err != nil || lo < 0 {
		return nil, false
	}
	hi := lo
	if isRange {
		if hi, err = strconv.ParseInt(strings.TrimSpace(high), 10, 64); err != nil || hi < lo || hi-lo >= maxTurns {
			return nil, false
		}
	}
	var ns []int64
	for n := lo; ; n++ {
		if ns = append(ns, n); n == hi {
			return ns, true
		}
	}
}

// dimsOf are flags that give sizes.
func dimsOf(sizes map[string]int64) []string {
	var out []string
	for _, s := range sortedKeys(sizes) {
		out = append(out, fmt.Sprintf("%s=%d", s, sizes[s]))
	}
	return out
}

// turnReport is the runs at one of several sizes.
type turnReport struct {
	Sizes  map[string]int64 `json:"sizes"`
	Padded map[string]int64 `json:"padded,omitempty"` // what --bucket makes of them
	Record time.Duration    `json:"record"`           // ns
	Arena  int              `json:"arena"`            // bytes
	Min    time.Duration    `json:"min"`              // ns
	Median time.Duration    `json:"median"`           // ns
}

// runTurns runs one function at several sizes, one after the other.
func (p *program) runTurns(ctx context.Context, f *runFlags, turns []map[string]int64) (*session, *runReport, error) {
	var s *session
	var r *runReport
	for _, dims := range turns {
		p.dims = dims
		var err error
		if s, err = p.with(&f.inputs); err != nil {
			return nil, nil, err
		}
		_, one, err := s.run(ctx, f.repeat)
		if err != nil {
			return nil, nil, err
		}
		if r == nil {
			r = one
		}
		turn := turnReport{Sizes: s.sizes, Record: one.Link, Arena: one.Arena, Min: one.Min, Median: one.Median}
		if p.padding != nil {
			turn.Padded, _ = p.padded(s.sizes) // it ran, so they have buckets
		}
		r.Turns = append(r.Turns, turn)
	}
	r.Sizes, r.Results = nil, []resultReport{}
	if r.Padding != nil { // of the first size
		for i := range r.Padding.Buckets {
			r.Padding.Buckets[i].Size, r.Padding.Buckets[i].Padded = nil, nil
		}
		if len(r.Padding.Rounded) == 0 {
			r.Padding.Exact, r.Padding.Other = nil, nil
		}
	}
	return s, r, nil
}

// checkTurns refuses, before anything runs, sizes that the trace does not allow
// and flags that are about one run.
func (p *program) checkTurns(path string, f *runFlags, turns []map[string]int64) error {
	if len(turns) == 1 {
		return nil
	}
	for _, dims := range turns {
		if err := checkDims(path, p.file.Func.Facts, dims); err != nil {
			return err
		}
	}
	for _, x := range []struct{ flag, value string }{{"out", f.out}, {"expect", f.expect}} {
		if x.value != "" {
			return &usageError{msg: "--" + x.flag + " is about one run, but --dim gives several sizes"}
		}
	}
	return nil
}

func (a *app) writeTurns(r *runReport) {
	t := &table{head: []string{"sizes", ">record", ">min", ">median", ">arena"}, inset: 2}
	for _, x := range r.Turns {
		sizes := sizesText(x.Sizes)
		if x.Padded != nil {
			sizes += " at " + sizesText(x.Padded)
		}
		t.add(sizes, timeText(x.Record), timeText(x.Min), timeText(x.Median), byteText(float64(x.Arena)))
	}
	fmt.Fprintln(a.out)
	t.write(a.out, a.style)
}
