package main

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"jitc"
	"jitc/internal/expect"
	"jitc/ir/tensor"
	rt "jitc/runtime"
)

// runFlags are the flags of jitc run.
type runFlags struct {
	engine engineFlags
	inputs inputFlags
	expect string
	atol   float64
	rtol   float64
	repeat int
	out    string
	stats  string
	stance string
}

const runLong = `Run compiles a trace, runs it, and prints its results.

A parameter's tensor comes from --input or --inputs, from a weights file (the
attribute weight names the key), or from a seeded rule in the trace (the
attribute init). Sizes that no given tensor decides come from --dim.

With --expect, every tensor of the file is compared with the result of that
name; the key may name a section as numpy does: "logits[0,:]". An element passes
if |got-want| <= atol + rtol*|want|; integers must be equal, NaN equals NaN.
The exit code is 1 if anything differs.

--dim B=1..8 and --dim B=1,2,4 run the same program at each size in turn, and
print times in the place of results. --stats tells what the program's cache did:
calls by how they found their program, what it was compiled for and why, what
each stage cost, the recordings that it keeps. --stats=prometheus prints that in
the format that Prometheus reads, and nothing else.

--bucket pads a size, so that one recording serves all sizes of a bucket:
B=8,16,32 lists them, B=pow2 and B=pow2:16 are powers of two (from 16 on), and
B=step:16 multiples. Results are those of the true size. What padding could
spoil is masked, or the op in the way is an error; jitc compile --bucket lists
the masks.

--stance says what a call may do beside running a program that its guards let it
into: default (compile one), reference (evaluate the ops by their definitions),
no-recompile, fail-on-recompile, eager-then-compile, differentiating.`

const runExample = `  jitc run mlp.trace --dim B=8
  jitc run mlp.trace --input x=images.npz:batch0 --weights mlp.safetensors
  jitc run mlp.trace --dim B=8 --expect mlp.B=8.npz --rtol 1e-3
  jitc run gpt2.trace --repeat 10 --stats --out result.npz
  jitc run mlp.trace --dim B=1..8 --stats
  jitc run mlp.trace --dim B=1..8 --bucket B=pow2
  jitc run mlp.trace --dim B=8 --stance reference
  jitc run gpt2.trace --executors cuda,native`

func (a *app) runCommand() *cobra.Command {
	f := &runFlags{}
	cmd := &cobra.Command{
		Use: "run FILE", Short: "Compile a trace and run it", Long: runLong, Example: runExample, Args: files(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error { return a.runTrace(cmd.Context(), args[0], f) },
	}
	f.inputs.add(cmd)
	f.engine.addDims(cmd)
	f.engine.addBuckets(cmd)
	f.engine.add(cmd)
	fl := cmd.Flags()
	fl.StringVar(&f.expect, "expect", "", "`FILE` of expected results")
	fl.Float64Var(&f.atol, "atol", 1e-4, "absolute tolerance of --expect")
	fl.Float64Var(&f.rtol, "rtol", 1e-4, "relative tolerance of --expect")
	fl.IntVar(&f.repeat, "repeat", 1, "run `N` times")
	fl.StringVar(&f.out, "out", "", "write the results to an .npz or .safetensors `FILE`")
	fl.StringVar(&f.stats, "stats", "", "print what the caches did, as `FORMAT` text or prometheus")
	fl.Lookup("dim").Usage = "value of a size, `SYM=N`, or several, SYM=1..8; may be repeated"
	fl.Lookup("stats").NoOptDefVal = statsText
	fl.StringVar(&f.stance, "stance", "", "`NAME` of what calls may do: default, reference, no-recompile, fail-on-recompile, eager-then-compile, differentiating")
	return cmd
}

// runReport is what jitc run prints.
type runReport struct {
	Function string           `json:"function"`
	Sizes    map[string]int64 `json:"sizes"`
	Compile  time.Duration    `json:"compile"` // ns
	Regions  int              `json:"regions"`
	Kernels  int              `json:"kernels"`
	By       map[string]int   `json:"regions_by_executor"`
	Home     string           `json:"home,omitempty"` // the device where all is computed, and arguments and results lie
	Link     time.Duration    `json:"record"`         // ns, to bind the kernels and plan the memory
	Arena    int              `json:"arena"`          // bytes, on the host
	Devices  []rt.DevicePlan  `json:"devices,omitempty"`
	Runs     int              `json:"runs"`
	Min      time.Duration    `json:"min"`    // ns
	Median   time.Duration    `json:"median"` // ns
	Stance   string           `json:"stance,omitempty"`
	Turns    []turnReport     `json:"turns,omitempty"` // at several sizes; the other figures are then of the first
	Padding  *paddingReport   `json:"padding,omitempty"`
	Results  []resultReport   `json:"results"`
	Expect   *expectation     `json:"expect,omitempty"`
	Out      string           `json:"out,omitempty"`
	Stats    *statsReport     `json:"stats,omitempty"`

	metrics  func() error // prints them in the place of all this; nil otherwise
	recorded bool         // not evaluated op by op
}

// The formats of --stats.
const (
	statsText       = "text"
	statsPrometheus = "prometheus"
)

func (f *runFlags) check() error {
	if f.repeat < 1 {
		return badFlag("repeat", strconv.Itoa(f.repeat), "1 or more")
	}
	if !(f.atol >= 0) {
		return badFlag("atol", fmt.Sprint(f.atol), "a tolerance of 0 or more")
	}
	if !(f.rtol >= 0) {
		return badFlag("rtol", fmt.Sprint(f.rtol), "a tolerance of 0 or more")
	}
	if f.stats != "" && f.stats != statsText && f.stats != statsPrometheus {
		return badFlag("stats", f.stats, statsText+" or "+statsPrometheus)
	}
	if _, err := rt.ParseMode(orText(f.stance, "default")); err != nil {
		return &usageError{msg: "--stance: " + err.Error()}
	}
	return nil
}

// checkFiles finds out before a long run that its results would have no place, or
// nothing to be compared with.
func (f *runFlags) checkFiles(results int) error {
	if f.expect != "" {
		file, err := openTensors("expected results", f.expect)
		if err != nil {
			return err
		}
		file.Close()
	}
	if f.out == "" {
		return nil
	}
	formats := []string{".npz", ".safetensors"}
	if results == 1 {
		formats = append(formats, ".npy")
	}
	if !slices.Contains(formats, strings.ToLower(filepath.Ext(f.out))) {
		return badFlag("out", f.out, "a name that ends in "+strings.Join(formats, " or "))
	}
	if info, err := os.Stat(f.out); err == nil && info.IsDir() {
		return outError(f.out, &fs.PathError{Err: syscall.EISDIR})
	}
	if _, err := os.Stat(filepath.Dir(f.out)); err != nil {
		return outError(f.out, err)
	}
	return nil
}

func (a *app) runTrace(ctx context.Context, path string, f *runFlags) error {
	if err := f.check(); err != nil {
		return err
	}
	turns, err := f.engine.turns()
	if err != nil {
		return err
	}
	f.engine.dims = dimsOf(turns[0])
	p, err := a.open(path, &f.engine, false)
	if err != nil {
		return err
	}
	defer p.engine.Close()
	if err := p.checkTurns(path, f, turns); err != nil {
		return err
	}
	if err := f.checkFiles(len(p.file.Func.Results)); err != nil {
		return err
	}
	if f.stance != "" {
		mode, _ := rt.ParseMode(f.stance) // check has seen it
		ctx = jitc.InStance(ctx, jitc.Stance{Mode: mode})
	}
	s, r, results, err := p.runAll(ctx, f, turns)
	if err != nil {
		return err
	}
	r.Stance = f.stance
	if f.stats != "" {
		r.Stats = statsOf(p.engine, s.fn)
	}
	if f.stats == statsPrometheus {
		r.metrics = func() error { return a.writeMetrics(p.engine) }
	}
	return a.finishRun(f, r, expect.Names(p.file.Func), results)
}

// runAll runs the program at one or several sizes; at several there are no results.
func (p *program) runAll(ctx context.Context, f *runFlags, turns []map[string]int64) (*session, *runReport, []*tensor.Tensor, error) {
	if len(turns) > 1 {
		s, r, err := p.runTurns(ctx, f, turns)
		return s, r, nil, err
	}
	s, err := p.with(&f.inputs)
	if err != nil {
		return nil, nil, nil, err
	}
	results, r, err := s.run(ctx, f.repeat)
	return s, r, results, err
}

// finishRun writes, compares and prints results.
func (a *app) finishRun(f *runFlags, r *runReport, names []string, results []*tensor.Tensor) error {
	for i, t := range results {
		r.Results = append(r.Results, describeResult(names[i], t))
	}
	if f.expect != "" {
		var err error
		if r.Expect, err = compareWith(f.expect, tensor.Tolerance{Abs: f.atol, Rel: f.rtol}, names, results); err != nil {
			return err
		}
	}
	if f.out != "" {
		byName := map[string]*tensor.Tensor{}
		for i, t := range results {
			byName[names[i]] = t
		}
		if err := tensor.WriteFile(f.out, byName); err != nil {
			return outError(f.out, err)
		}
		r.Out = f.out
	}
	switch {
	case a.json:
		a.writeJSON(r)
	case r.metrics != nil:
		if err := r.metrics(); err != nil {
			return err
		}
	default:
		a.writeRun(r)
	}
	if r.Expect != nil && !r.Expect.OK {
		return verdict{exitDiffers}
	}
	return nil
}

func (a *app) writeRun(r *runReport) {
	more := []string{homeText(r.Home)}
	if len(r.Turns) > 0 {
		more = append(more, fmt.Sprintf("at %d sizes", len(r.Turns)))
	}
	if r.Stance != "" {
		more = append(more, r.Stance)
	}
	a.writeTitle(r.Function, r.Sizes, more...)
	fmt.Fprintf(a.out, "  compile  %-8s  %s\n", timeText(r.Compile), programText(r.Regions, r.Kernels, r.By))
	if p := r.Padding; p != nil {
		a.runItem("pads", p.bucketsText())
		a.runItem("results", p.exactText())
	}
	if len(r.Turns) > 0 {
		a.writeTurns(r)
	} else {
		a.writeTimes(r)
	}
	for _, x := range r.Results {
		a.writeResult(x)
	}
	if r.Out != "" {
		fmt.Fprintf(a.out, "\nwritten to %s\n", r.Out)
	}
	if r.Expect != nil {
		a.writeExpectation(r.Expect)
	}
	if r.Stats != nil {
		a.writeStats(r.Stats)
	}
}

// runItem prints a labelled text under the title, wrapped.
func (a *app) runItem(label, text string) {
	for _, l := range wrap(text, columns-11) {
		fmt.Fprintf(a.out, "  %-7s  %s\n", label, l)
		label = ""
	}
}

// writeTitle prints a function's name, its sizes if it has any, and what else
// belongs in the first line.
func (a *app) writeTitle(name string, sizes map[string]int64, more ...string) {
	line := a.style.bold("@" + name)
	for _, s := range append([]string{sizesText(sizes)}, more...) {
		if s != "" {
			line += "  " + s
		}
	}
	fmt.Fprintln(a.out, line)
}

// programText sums up a program: 5 regions, 4 kernels: native 4, reference 1.
func programText(regions, kernels int, by map[string]int) string {
	parts := make([]string, 0, len(by))
	for _, name := range sortedKeys(by) {
		parts = append(parts, fmt.Sprintf("%s %d", name, by[name]))
	}
	s := plural(regions, "region") + ", " + plural(kernels, "kernel")
	if len(parts) > 0 {
		s += " (" + strings.Join(parts, ", ") + ")"
	}
	return s
}

// writeTimes prints the times of the runs at one size.
func (a *app) writeTimes(r *runReport) {
	if r.recorded {
		fmt.Fprintf(a.out, "  record   %-8s  arena %s\n", timeText(r.Link), devicesText(r.Arena, r.Devices))
	}
	if r.Runs == 1 {
		fmt.Fprintf(a.out, "  run      %-8s  the first and only one\n", timeText(r.Min))
		return
	}
	fmt.Fprintf(a.out, "  run      %-8s  min of %d; median %s\n", timeText(r.Min), r.Runs, timeText(r.Median))
}

func orText(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
