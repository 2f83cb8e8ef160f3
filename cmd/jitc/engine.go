package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"jitc"
	"jitc/executors"
	"jitc/ir"
	"jitc/ir/diag"
	"jitc/ir/dim"
	"jitc/passes"
	"jitc/trace"
)

// engineFlags are the flags of every command that compiles.
type engineFlags struct {
	executors []string
	threads   int
	noFuse    bool
	fastMath  bool
	verify    bool
	dims      []string
	buckets   []string
}

func (e *engineFlags) add(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.StringSliceVar(&e.executors, "executors", nil, "executors in order of preference (default: all that run here), a `LIST` such as native,reference or cuda:1,native")
	fl.IntVar(&e.threads, "threads", 0, "workers that run kernels; 0: one per processor")
	fl.BoolVar(&e.noFuse, "no-fuse", false, "make every op a region of its own")
	fl.BoolVar(&e.fastMath, "fast-math", false, "allow rewrites that change results beyond rounding")
	fl.BoolVar(&e.verify, "verify", false, "check the program after every pass")
}

// addDims adds --dim, for commands that need sizes.
func (e *engineFlags) addDims(cmd *cobra.Command) {
	cmd.Flags().StringSliceVar(&e.dims, "dim", nil, "value of a size, `SYM=N`; may be repeated")
}

// newEngine makes the engine that the flags ask for.
func (a *app) newEngine(e *engineFlags, dumps bool) (*jitc.Engine, error) {
	if e.threads < 0 || e.threads > maxThreads {
		return nil, badFlag("threads", strconv.Itoa(e.threads), fmt.Sprintf("a number from 0 to %d", maxThreads))
	}
	names := a.preferred
	if len(e.executors) > 0 {
		names = make([]string, len(e.executors))
	} else if names == nil {
		a.warnMisconfigured()
	}
	for i, n := range e.executors {
		names[i] = strings.TrimSpace(n)
	}
	engine, err := jitc.NewEngine(jitc.Options{Executors: names, Threads: e.threads, FastMath: e.fastMath,
		NoFuse: e.noFuse, Verify: e.verify, Dumps: dumps})
	if err != nil {
		return nil, executorsError(names, err)
	}
	return engine, nil
}

// warnMisconfigured says which executors are passed over because an environment
// variable has a value that they do not know: who set it expects them to be used.
func (a *app) warnMisconfigured() {
	names := map[string][]string{} // by what is wrong
	for _, x := range a.executors {
		var wrong interface{ Variable() string }
		if err := x.Available(); errors.As(err, &wrong) {
			names[err.Error()] = append(names[err.Error()], x.Name())
		}
	}
	for _, why := range sortedKeys(names) {
		fmt.Fprintf(a.err, "warning: %s: not used, as %s\n", strings.Join(names[why], ", "), why)
	}
}

// executorsError is why an engine cannot have the executors named.
func executorsError(names []string, err error) error {
	var unknown *executors.UnknownError
	var absent *executors.UnavailableError
	switch {
	case errors.As(err, &unknown):
		return &usageError{msg: err.Error(), hint: unknownHint(unknown)}
	case errors.As(err, &absent):
		why, hint := whyAndHint(absent.Err)
		return &usageError{msg: fmt.Sprintf("executor %q is not available: %s", absent.Name, why),
			hint: orText(hint, "jitc executors lists what is")}
	}
	return &usageError{msg: "--executors " + strings.Join(names, ",") + ": " + err.Error()}
}

// unknownHint says what to write in the place of an unknown name.
func unknownHint(e *executors.UnknownError) string {
	kind, _, numbered := strings.Cut(e.Name, ":")
	for _, x := range executors.All() {
		if !numbered || x.Name() != kind {
			continue
		}
		if _, several := x.(executors.Indexed); several {
			return fmt.Sprintf("devices have numbers from 0: %s is the first, %[1]s:1 the second", kind)
		}
		return kind + " has no numbered devices: name it alone"
	}
	if kind == "gpu" && slices.Contains(e.Known, "cuda") {
		return "did you mean cuda?"
	}
	if near := nearNames(kind, e.Known); kind != "" && len(near) > 0 {
		return "did you mean " + listNames(near) + "?"
	}
	return "jitc executors lists them"
}

// maxThreads bounds --threads: a typing mistake should not start a million workers.
const maxThreads = 4096

// sizes reads the values of --dim.
func (e *engineFlags) sizes() (map[string]int64, error) {
	sizes := map[string]int64{}
	for _, d := range e.dims {
		sym, text, ok := strings.Cut(d, "=")
		n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
		sym = strings.TrimSpace(sym)
		if !ok || err != nil || n < 0 || !dim.ValidSym(sym) {
			return nil, badFlag("dim", d, "SYM=N with a whole number from 0 to 2^63-1, such as B=4")
		}
		if old, twice := sizes[sym]; twice && old != n {
			return nil, badFlag("dim", d, fmt.Sprintf("one value of %s, but %d was given too", sym, old))
		}
		sizes[sym] = n
	}
	return sizes, nil
}

// checkDims finds values of --dim that a trace cannot have whatever else is
// given: before anything of such sizes is made.
func checkDims(path string, facts *dim.Facts, dims map[string]int64) error {
	var list diag.List
	for _, sym := range sortedKeys(dims) {
		d := &diag.Diagnostic{Pos: diag.Pos{File: path}, Got: fmt.Sprintf("--dim %s=%d", sym, dims[sym])}
		lo, hi := facts.Range(dim.Sym(sym))
		switch {
		case !slices.Contains(facts.Syms(), sym):
			d.Msg, d.Expected = "the trace has no size "+sym, orText(listNames(facts.Syms()), "no --dim: it has no sizes")
		case dims[sym] < lo || dims[sym] > hi:
			d.Msg, d.Expected = "the size "+sym+" is out of its range", rangeText(sym, lo, hi)
		default:
			continue
		}
		list = append(list, d)
	}
	return list.Err()
}

// rangeText prints a range as a trace declares it.
func rangeText(sym string, lo, hi int64) string {
	if hi == math.MaxInt64 {
		return fmt.Sprintf("%s >= %d", sym, lo)
	}
	return fmt.Sprintf("%s in [%d, %d]", sym, lo, hi)
}

// readTrace reads and verifies a trace; "-" is standard input.
func (a *app) readTrace(path string) (*trace.File, error) {
	file, err := a.parseTrace(path)
	if err != nil {
		return nil, err
	}
	return file, ir.Verify(file.Func, ir.Surface)
}

func (a *app) parseTrace(path string) (*trace.File, error) {
	src, err := a.source(path)
	if err != nil {
		return nil, err
	}
	return parseSource(path, src)
}

func parseSource(path, src string) (*trace.File, error) {
	if path == "-" {
		path = "<stdin>"
	}
	return trace.Parse(path, src)
}

// source is the text of a trace; "-" is standard input.
func (a *app) source(path string) (string, error) {
	name, r := "standard input", a.in
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return "", fileError("trace", path, err)
		}
		defer f.Close()
		name, r = path, f
	}
	src, err := io.ReadAll(io.LimitReader(r, trace.MaxBytes+1))
	if err != nil {
		return "", fileError("trace", name, err)
	}
	if len(src) > trace.MaxBytes {
		return "", fmt.Errorf("%s: a trace of more than %d MiB", name, trace.MaxBytes>>20)
	}
	return string(src), nil
}

// compileTrace compiles a verified trace: what fails now is not the user's
// mistake.
func (a *app) compileTrace(ctx context.Context, e *jitc.Engine, f *ir.Func, obs passes.Observer) (*jitc.Compiled, error) {
	a.progress.start("compiling @%s", f.Name)
	defer a.progress.stop()
	c, err := e.Compile(ctx, f, obs)
	if err != nil {
		return nil, fault{err}
	}
	return c, nil
}

// sizesText prints sizes in order: "B=4 S=128".
func sizesText(sizes map[string]int64) string {
	parts := make([]string, 0, len(sizes))
	for _, k := range sortedKeys(sizes) {
		parts = append(parts, fmt.Sprintf("%s=%d", k, sizes[k]))
	}
	return strings.Join(parts, " ")
}
