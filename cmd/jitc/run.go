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
	stats  bool
}

const runLong = `Run compiles a trace, runs it, and prints its results.

A parameter's tensor comes from --input or --inputs, from a weights file (the
attribute weight names the key), or from a seeded rule in the trace (the
attribute init). Sizes that no given tensor decides come from --dim.

With --expect, every tensor of the file is compared with the result of that
name; the key may name a section as numpy does: "logits[0,:]". An element passes
if |got-want| <= atol + rtol*|want|; integers must be equal, NaN equals NaN.
The exit code is 1 if anything differs.`

const runExample = `  jitc run mlp.trace --dim B=8
  jitc run mlp.trace --input x=images.npz:batch0 --weights mlp.safetensors
  jitc run mlp.trace --dim B=8 --expect mlp.B=8.npz --rtol 1e-3
  jitc run gpt2.trace --repeat 10 --stats --out result.npz`

func (a *app) runCommand() *cobra.Command {
	f := &runFlags{}
	cmd := &cobra.Command{
		Use: "run FILE", Short: "Compile a trace and run it", Long: runLong, Example: runExample, Args: files(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error { return a.runTrace(cmd.Context(), args[0], f) },
	}
	f.inputs.add(cmd)
	f.engine.addDims(cmd)
	f.engine.add(cmd)
	fl := cmd.Flags()
	fl.StringVar(&f.expect, "expect", "", "`FILE` of expected results")
	fl.Float64Var(&f.atol, "atol", 1e-4, "absolute tolerance of --expect")
	fl.Float64Var(&f.rtol, "rtol", 1e-4, "relative tolerance of --expect")
	fl.IntVar(&f.repeat, "repeat", 1, "run `N` times")
	fl.StringVar(&f.out, "out", "", "write the results to an .npz or .safetensors `FILE`")
	fl.BoolVar(&f.stats, "stats", false, "print what the caches did")
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
	Link     time.Duration    `json:"record"` // ns, to bind the kernels and plan the memory
	Arena    int              `json:"arena"`  // bytes
	Runs     int              `json:"runs"`
	Min      time.Duration    `json:"min"`    // ns
	Median   time.Duration    `json:"median"` // ns
	Results  []resultReport   `json:"results"`
	Expect   *expectation     `json:"expect,omitempty"`
	Out      string           `json:"out,omitempty"`
	Stats    *statsReport     `json:"stats,omitempty"`
}

type statsReport struct {
	Function rt.CacheStats  `json:"function"`
	Kernels  rt.KernelStats `json:"kernels"`
	Arenas   int64          `json:"arenas"` // bytes, lent and idle
}

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
	p, err := a.open(path, &f.engine, false)
	if err != nil {
		return err
	}
	defer p.engine.Close()
	if err := f.checkFiles(len(p.file.Func.Results)); err != nil {
		return err
	}
	s, err := p.with(&f.inputs)
	if err != nil {
		return err
	}
	results, r, err := s.run(ctx, f.repeat)
	if err != nil {
		return err
	}
	if f.stats {
		r.Stats = &statsReport{s.fn.Stats(), p.engine.KernelStats(), rt.ArenaBytes()}
	}
	return a.finishRun(f, r, expect.Names(p.file.Func), results)
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
	if a.json {
		a.writeJSON(r)
	} else {
		a.writeRun(r)
	}
	if r.Expect != nil && !r.Expect.OK {
		return verdict{exitDiffers}
	}
	return nil
}

func (a *app) writeRun(r *runReport) {
	a.writeTitle(r.Function, r.Sizes)
	fmt.Fprintf(a.out, "  compile  %-8s  %s\n", timeText(r.Compile), programText(r.Regions, r.Kernels, r.By))
	fmt.Fprintf(a.out, "  record   %-8s  arena %s\n", timeText(r.Link), byteText(float64(r.Arena)))
	if r.Runs == 1 {
		fmt.Fprintf(a.out, "  run      %-8s  the first and only one\n", timeText(r.Min))
	} else {
		fmt.Fprintf(a.out, "  run      %-8s  min of %d; median %s\n", timeText(r.Min), r.Runs, timeText(r.Median))
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

func (a *app) writeStats(s *statsReport) {
	fmt.Fprintf(a.out, "\n%s\n", a.style.bold("stats"))
	fmt.Fprintf(a.out, "  kernels  %d kept, %d hits, %d compiled in %s\n",
		s.Kernels.Kernels, s.Kernels.Hits, s.Kernels.Misses, timeText(s.Kernels.Compile))
	fmt.Fprintf(a.out, "  entries  %d kept, %d hits, %d misses, %d evicted\n",
		len(s.Function.Entries), s.Function.Hits.Total(), s.Function.Misses, s.Function.Evicted)
	fmt.Fprintf(a.out, "  arenas   %s\n", byteText(float64(s.Arenas)))
}

func orText(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
