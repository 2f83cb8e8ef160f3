package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"jitc"
	"jitc/ir"
	"jitc/passes"
)

// compileFlags are the flags of jitc compile.
type compileFlags struct {
	engine engineFlags
	dump   []string
	out    string
	each   bool
}

const compileLong = `Compile compiles a trace without running it and reports what each stage did:
times, the passes with the number of values before and after, the regions with
their kernels, and at given sizes the memory plan's totals.

--dump prints a stage instead of the report, in the text form that jitc reads
where the stage is a function:

  trace       as given                 loops  loop nests of every kernel
  passes      after every pass         ptx    what kernels for NVIDIA GPUs are
  a pass      after that pass                 assembled from
  canonical   after all passes         asm    machine code of every kernel
  fused       divided into regions     plan   the memory plan (needs all sizes)
                                       all    all of these

Where data decides sizes of the trace, the program is several segments that run
one after the other; each is reported, and dumped, under a heading that says
which size it finds. --bucket pads a size as jitc run does, and adds what was
masked for it.

The plan lists each intermediate with its place in the arena, and draws when it
lives. With --out each dump becomes a file of that folder, and the report is
printed.`

const compileExample = `  jitc compile mlp.trace
  jitc compile mlp.trace --dim B=8
  jitc compile mlp.trace --dump fused
  jitc compile mlp.trace --dump all --out dumps
  jitc compile mlp.trace --bucket B=pow2`

// stageDumps are the dumps besides those of single passes, in order.
var stageDumps = []string{"trace", "passes", "canonical", "fused", "loops", "ptx", "asm", "plan"}

func (a *app) compileCommand() *cobra.Command {
	f := &compileFlags{}
	cmd := &cobra.Command{
		Use: "compile FILE", Short: "Compile a trace and report or dump the stages", Long: compileLong, Example: compileExample, Args: files(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error { return a.compile(cmd.Context(), args[0], f) },
	}
	f.engine.addDims(cmd)
	f.engine.addBuckets(cmd)
	f.engine.add(cmd)
	fl := cmd.Flags()
	fl.StringSliceVar(&f.dump, "dump", nil, "print `STAGE`s: trace, passes, canonical, fused, loops, ptx, asm, plan, all, or a pass ("+strings.Join(passes.Names(), ", ")+")")
	fl.StringVar(&f.out, "out", "", "write each dump to a file in `DIR`, which is made")
	fl.BoolVar(&f.each, "each", false, "list every region, not only the distinct kernels")
	return cmd
}

// stages is the set of dumps asked for.
func (f *compileFlags) stages() ([]string, error) {
	var out []string
	for _, d := range f.dump {
		switch {
		case d == "all":
			out = append(out, stageDumps...)
		case slices.Contains(stageDumps, d) || slices.Contains(passes.Names(), d):
			out = append(out, d)
		default:
			return nil, badFlag("dump", d, "one of "+strings.Join(stageDumps, " ")+" all, or a pass: "+strings.Join(passes.Names(), " "))
		}
	}
	if f.out != "" && len(out) == 0 {
		out = slices.Clone(stageDumps)
	}
	return out, nil
}

// compiledTrace is a compilation with what the observer saw of it.
type compiledTrace struct {
	*jitc.Compiled
	passes  []passStep
	sizes   map[string]int64 // nil unless all are known
	unknown []string         // the sizes that are not known
	plan    *planReport      // nil unless sizes are known
	padding *paddingReport   // nil without --bucket
	chained []*segment       // of a program of several
}

// passStep is a pass as it was applied.
type passStep struct {
	name          string
	before, after *ir.Func
	took          time.Duration
}

// observe compiles a verified trace and keeps what every pass made of it.
func (a *app) observe(ctx context.Context, e *jitc.Engine, f *ir.Func) (*compiledTrace, error) {
	c := &compiledTrace{}
	compiled, err := a.compileTrace(ctx, e, f, func(pass string, before, after *ir.Func, d time.Duration) {
		c.passes = append(c.passes, passStep{pass, before, after, d})
	})
	c.Compiled = compiled
	return c, err
}

func (a *app) compile(ctx context.Context, path string, f *compileFlags) error {
	stages, err := f.stages()
	if err != nil {
		return err
	}
	p, err := a.open(path, &f.engine, len(stages) > 0)
	if err != nil {
		return err
	}
	defer p.engine.Close()
	c, err := p.observe(ctx)
	if err != nil {
		return err
	}
	if err := p.bind(c); err != nil {
		return err
	}
	return a.printCompiled(c, p.file.Format(), stages, f)
}

func (a *app) printCompiled(c *compiledTrace, source string, stages []string, f *compileFlags) error {
	dumps, err := c.dumps(stages, source)
	if err != nil {
		return err
	}
	var written []string
	if f.out != "" {
		if written, err = writeDumps(f.out, dumps); err != nil {
			return err
		}
	}
	switch {
	case a.json:
		r := c.report()
		r.Files = written
		if f.out == "" {
			r.Dumps = dumps
		}
		a.writeJSON(r)
	case len(dumps) > 0 && f.out == "":
		a.writeDumps(dumps)
	default:
		a.writeCompiled(c, f.each)
		for _, w := range written {
			fmt.Fprintln(a.out, "wrote "+w)
		}
	}
	return nil
}

// bind finds the sizes that the given ones and the facts decide, and plans the
// memory of the segments of which it knows all.
func (p *program) bind(c *compiledTrace) error {
	sizes := fixedSizes(c.Trace, p.dims)
	c.padding = p.paddingReport(c.Compiled, sizes)
	if c.Chain == nil {
		return p.bindProgram(c, sizes)
	}
	for _, s := range c.segments() {
		if err := p.bindProgram(&s.compiledTrace, sizes); err != nil {
			return err
		}
	}
	return nil
}

func (p *program) bindProgram(c *compiledTrace, given map[string]int64) error {
	facts, sizes := c.Canonical.Facts, map[string]int64{}
	for _, sym := range facts.Syms() {
		if n, ok := given[sym]; ok {
			sizes[sym] = n
		} else {
			c.unknown = append(c.unknown, sym)
		}
	}
	if len(c.unknown) > 0 {
		return nil
	}
	if err := facts.Check(sizes); err != nil {
		return fmt.Errorf("a size violates a declared fact: %w", err)
	}
	sizes, err := p.padded(sizes)
	if err != nil {
		return err
	}
	if err := checkSizes(c.Compiled, sizes); err != nil {
		return err
	}
	if err := p.a.checkConstants(c.Compiled, sizes); err != nil {
		return err
	}
	rec, err := c.Program.Record(sizes, p.engine.Workers().Workers())
	if err != nil {
		return fault{err}
	}
	c.sizes, c.plan = sizes, planOf(c.Program, rec)
	return nil
}
