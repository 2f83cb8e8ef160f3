package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"jitc"
	"jitc/executors"
	"jitc/ir"
	"jitc/ir/dim"
	"jitc/ir/tensor"
	"jitc/passes"
	rt "jitc/runtime"
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
}

func (e *engineFlags) add(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.StringSliceVar(&e.executors, "executors", nil, "executors in order of preference (default: all that run here), a `LIST` such as native,reference")
	fl.IntVar(&e.threads, "threads", 0, "workers that run kernels; 0: one per processor")
	fl.BoolVar(&e.noFuse, "no-fuse", false, "make every op a region of its own")
	fl.BoolVar(&e.fastMath, "fast-math", false, "allow rewrites that change results beyond rounding")
	fl.BoolVar(&e.verify, "verify", false, "check the program after every pass")
}

// addDims adds --dim, for commands that need sizes.
func (e *engineFlags) addDims(cmd *cobra.Command) {
	cmd.Flags().StringSliceVar(&e.dims, "dim", nil, "value of a size, `SYM=N`; may be repeated")
}

func (e *engineFlags) open(dumps bool) (*jitc.Engine, error) {
	if e.threads < 0 || e.threads > maxThreads {
		return nil, badFlag("threads", strconv.Itoa(e.threads), fmt.Sprintf("a number from 0 to %d", maxThreads))
	}
	engine, err := jitc.NewEngine(jitc.Options{Executors: e.executors, Threads: e.threads, FastMath: e.fastMath,
		NoFuse: e.noFuse, Verify: e.verify, Dumps: dumps})
	var unknown *executors.UnknownError
	if errors.As(err, &unknown) {
		return nil, &usageError{msg: err.Error(), hint: "jitc executors lists them"}
	}
	return engine, err
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
			return nil, badFlag("dim", d, "SYM=N with a whole number, such as B=4")
		}
		if old, twice := sizes[sym]; twice && old != n {
			return nil, badFlag("dim", d, fmt.Sprintf("one value of %s, but %d was given too", sym, old))
		}
		sizes[sym] = n
	}
	return sizes, nil
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
	if path != "-" {
		return trace.Read(path)
	}
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

// checkSizes refuses sizes at which some tensor of the program is too large.
func checkSizes(c *jitc.Compiled, sizes map[string]int64) error {
	for _, v := range append(append([]*ir.Value{}, c.Fused.Params...), c.Fused.Values...) {
		types := v.Type.Tuple
		if !v.Type.IsTuple() {
			types = []ir.Type{v.Type}
		}
		for _, t := range types {
			shape, err := ir.EvalShape(t.Shape, sizes)
			if err != nil {
				return fmt.Errorf("%s: a tensor of type %s: %w", v.Pos, t, err)
			}
			if n, err := tensor.CheckedBytes(t.DType, shape); err != nil || n > rt.MaxBytes {
				return fmt.Errorf("%s: a tensor of type %s is too large at these sizes (%s)", v.Pos, t, sizesText(sizes))
			}
		}
	}
	return nil
}

// sizesText prints sizes in order: "B=4 S=128".
func sizesText(sizes map[string]int64) string {
	parts := make([]string, 0, len(sizes))
	for _, k := range sortedKeys(sizes) {
		parts = append(parts, fmt.Sprintf("%s=%d", k, sizes[k]))
	}
	return strings.Join(parts, " ")
}
