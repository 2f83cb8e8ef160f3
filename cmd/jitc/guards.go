package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"jitc"
	"jitc/ir"
	"jitc/ir/call"
	"jitc/ir/dim"
	"jitc/ir/tensor"
	"jitc/runtime/guard"
)

const guardsLong = `Guards lists the conditions under which a call runs the compiled program, each
with the place in the trace that it comes from, and where the program's sizes
have their values.

With --dim, it says whether arguments of these sizes are let in and, if not,
which guard is the first to refuse them (exit code 1); if they are, what the
executors chose by these sizes, and for which sizes they would choose the same.
Only for that is the trace compiled; nothing runs.`

const guardsExample = `  jitc guards mlp.trace
  jitc guards mlp.trace --dim B=64
  jitc guards mlp.trace --dim B=5000 --json`

func (a *app) guardsCommand() *cobra.Command {
	f := &engineFlags{}
	cmd := &cobra.Command{
		Use: "guards FILE", Short: "Say which calls a program is good for", Long: guardsLong, Example: guardsExample, Args: files(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error { return a.guards(cmd.Context(), args[0], f) },
	}
	f.addDims(cmd)
	f.add(cmd)
	return cmd
}

// guardsReport is what jitc guards prints.
type guardsReport struct {
	Function string           `json:"function"`
	File     string           `json:"file"`
	Guards   []guardReport    `json:"guards"`
	Symbols  []string         `json:"symbols"` // equations
	Sizes    map[string]int64 `json:"sizes,omitempty"`
	Holds    *bool            `json:"holds,omitempty"` // at Sizes
	Failing  *failingReport   `json:"failing,omitempty"`
	Choices  []choiceReport   `json:"choices,omitempty"` // at Sizes
	Devices  []string         `json:"devices"`
	Free     []freedom        `json:"not_assumed"`
}

// guardReport is a guard and what it comes from.
type guardReport struct {
	Kind  string `json:"kind"`
	Guard string `json:"guard"`
	Line  int    `json:"line,omitempty"`
	Col   int    `json:"col,omitempty"`
	From  string `json:"from"`
}

func (g *guardReport) at() string {
	if g.Line == 0 {
		return ""
	}
	return fmt.Sprintf("%d:%d", g.Line, g.Col)
}

// failingReport is the first guard that refuses a call.
type failingReport struct {
	guardReport
	Got string `json:"got"`
}

// choiceReport is what an executor chose by size.
type choiceReport struct {
	What    string   `json:"what"`
	Where   []string `json:"where"` // conditions; none if they cannot be told
	By      string   `json:"by"`
	Line    int      `json:"line,omitempty"` // of the first region
	Regions int      `json:"regions,omitempty"`
}

// freedom is something that guards do not ask for.
type freedom struct {
	What string `json:"what"`
	Text string `json:"text"`
}

// notAssumed holds for every program.
var notAssumed = []freedom{
	{"strides", "any; an argument that is not contiguous is copied first"},
	{"aliasing", "arguments may share memory with each other"},
	{"results", "are new, or what the caller gives; they share memory with nothing"},
	{"contents", "no element of an argument is looked at"},
}

func (a *app) guards(ctx context.Context, path string, f *engineFlags) error {
	dims, err := f.sizes()
	if err != nil {
		return err
	}
	f.dims = nil // a size out of its range is what the guards are asked about
	p, err := a.open(path, f, false)
	if err != nil {
		return err
	}
	defer p.engine.Close()
	if err := knownDims(path, p.file.Func, dims); err != nil {
		return err
	}
	fn, set, err := p.guarded(dims)
	if err != nil {
		return err
	}
	r := p.describeGuards(fn, set)
	if len(dims) > 0 {
		if err := p.tryGuards(ctx, r, fn, set, dims); err != nil {
			return err
		}
	}
	if a.json {
		a.writeJSON(r)
	} else {
		a.writeGuards(r)
	}
	if r.Holds != nil && !*r.Holds {
		return verdict{exitDiffers}
	}
	return nil
}

// guarded makes the function, with those of the given sizes as constants that
// arguments do not decide.
func (p *program) guarded(dims map[string]int64) (*jitc.Function, *guard.Set, error) {
	given := map[string]int64{}
	for {
		fn := p.function(given)
		set, err := fn.Guards()
		var unbound *guard.UnboundError
		if !errors.As(err, &unbound) {
			return fn, set, err
		}
		n, ok := dims[unbound.Sym]
		if _, tried := given[unbound.Sym]; !ok || tried {
			return nil, nil, &usageError{msg: unbound.Error(), hint: "give --dim " + unbound.Sym + "=N"}
		}
		given[unbound.Sym] = n
	}
}

// function is the program's function for given sizes: one for all calls of them.
func (p *program) function(given map[string]int64) *jitc.Function {
	key := sizesText(given)
	if p.functions[key] == nil {
		if p.functions == nil {
			p.functions = map[string]*jitc.Function{}
		}
		p.functions[key] = p.engine.FunctionAt(p.file.Func, maps.Clone(given), p.options...)
	}
	return p.functions[key]
}

func (p *program) describeGuards(fn *jitc.Function, set *guard.Set) *guardsReport {
	r := &guardsReport{Function: p.file.Func.Name, File: p.file.Path, Guards: []guardReport{}, Symbols: []string{}, Free: notAssumed}
	clause := whereClause(p.file.Text)
	for i := range set.Guards {
		r.Guards = append(r.Guards, p.describeGuard(&set.Guards[i], fn.Schema(), clause))
	}
	for i := range set.Sources {
		if set.Sources[i].Arg < 0 {
			r.Symbols = append(r.Symbols, fmt.Sprintf("%s is given: no argument's size decides it", set.Sources[i].Sym))
			continue
		}
		for _, equation := range set.Sources[i].Text(fn.Schema()) {
			if !slices.Contains(r.Symbols, equation) {
				r.Symbols = append(r.Symbols, equation)
			}
		}
	}
	for _, x := range p.engine.Executors() {
		if d := string(x.Device()); !slices.Contains(r.Devices, d) {
			r.Devices = append(r.Devices, d)
		}
	}
	return r
}

func (p *program) describeGuard(g *guard.Guard, schema *call.Schema, clause clause) guardReport {
	out := guardReport{Kind: g.Kind.String(), Guard: g.Text(schema), Line: g.Pos.Line, Col: g.Pos.Col, From: g.Reason}
	stated, isFact := strings.CutPrefix(g.Reason, "declared: ")
	switch {
	case g.Kind == guard.Count:
		out.From = "the parameters"
	case isFact && clause.line > 0:
		out.From = "where " + stated
		out.Line, out.Col = clause.find(g.Cond)
	case isFact:
		out.From = stated
	case g.Reason == "declared" && g.Arg >= 0 && g.Arg < len(p.file.Func.Params):
		out.From = schema.TensorPath(g.Arg)
	}
	return out
}

// tryGuards asks the guards about arguments of given sizes.
func (p *program) tryGuards(ctx context.Context, r *guardsReport, fn *jitc.Function, set *guard.Set, dims map[string]int64) error {
	f := p.file.Func
	r.Sizes = fixedSizes(f, nil)
	for _, s := range sortedKeys(dims) {
		r.Sizes[s] = dims[s]
	}
	c, err := callOfSizes(fn, f, r.Sizes)
	if err != nil {
		return err
	}
	i := set.FirstFailing(c)
	holds := i < 0
	r.Holds = &holds
	if !holds {
		r.Failing = &failingReport{r.Guards[i], set.Guards[i].Got(c, fn.Schema())}
		return nil
	}
	if err := set.Sizes(c, r.Sizes); err != nil {
		return fault{err}
	}
	p.a.progress.start("compiling @%s", f.Name)
	defer p.a.progress.stop()
	compiled, err := fn.Compiled(ctx)
	if err != nil {
		return fault{err}
	}
	if err := checkSizes(compiled, r.Sizes); err != nil {
		return err
	}
	choices, err := compiled.Choices(r.Sizes)
	if err != nil {
		return fault{err}
	}
	r.Choices = describeChoices(choices)
	return nil
}

func describeChoices(choices []jitc.Choice) []choiceReport {
	out := []choiceReport{}
	for _, x := range choices {
		c := choiceReport{What: x.What, Where: []string{}, By: x.By, Line: x.At.Line, Regions: x.Count}
		for _, cond := range x.Conds {
			c.Where = append(c.Where, cond.String())
		}
		out = append(out, c)
	}
	return out
}

// callOfSizes is a call with arguments of these sizes, which have no memory.
func callOfSizes(fn *jitc.Function, f *ir.Func, sizes map[string]int64) (*call.Call, error) {
	c := &call.Call{Layouts: []*tensor.Layout{}}
	for _, p := range f.Params {
		shape, err := ir.EvalShape(p.Type.Shape, sizes)
		if err != nil {
			return nil, sizesNeeded(f, sizes, fmt.Errorf("%s: the parameter %%%s: %w", p.Pos, p.Name, err))
		}
		c.Layouts = append(c.Layouts, tensor.LayoutOf(p.Type.DType, shape))
	}
	for _, place := range fn.Schema().Consts {
		c.Consts = append(c.Consts, call.IntConst(sizes[place.Path]))
	}
	return c, nil
}

// sizesNeeded names the sizes that are not given, if that is what is wrong.
func sizesNeeded(f *ir.Func, sizes map[string]int64, err error) error {
	var open []string
	for _, p := range f.Params {
		for _, e := range p.Type.Shape {
			for _, s := range e.Syms() {
				if _, ok := sizes[s]; !ok && !slices.Contains(open, s) {
					open = append(open, s)
				}
			}
		}
	}
	if len(open) == 0 {
		return err
	}
	return &usageError{msg: "the guards are asked about all sizes or none: no value for " + listNames(open),
		hint: "give --dim " + open[0] + "=N too"}
}

// knownDims refuses sizes that the trace does not have.
func knownDims(path string, f *ir.Func, dims map[string]int64) error {
	known := dim.NewFacts()
	for _, s := range f.Facts.Syms() {
		_ = known.Declare(s, 0, 1<<63-1) // the first word on it
	}
	return checkDims(path, known, dims)
}

func (a *app) writeGuards(r *guardsReport) {
	a.writeTitle(r.Function, nil, r.File, plural(len(r.Guards), "guard"))
	fmt.Fprintln(a.out)
	t := &table{head: []string{"line", "guard", "from"}, inset: 2}
	for i := range r.Guards {
		g := &r.Guards[i]
		t.add(g.at(), g.Guard, g.From)
	}
	t.write(a.out, a.style)
	a.writeSection("sizes", r.Symbols)
	if r.Holds != nil {
		a.writeTried(r)
	}
	fmt.Fprintf(a.out, "\n%s  %s\n", a.style.bold("device"), strings.Join(r.Devices, ", "))
	fmt.Fprintf(a.out, "\n%s\n", a.style.bold("not assumed"))
	for _, x := range r.Free {
		a.item(x.What, x.Text)
	}
}

func (a *app) writeSection(title string, lines []string) {
	if len(lines) == 0 {
		return
	}
	fmt.Fprintf(a.out, "\n%s\n", a.style.bold(title))
	for _, l := range lines {
		fmt.Fprintln(a.out, "  "+l)
	}
}

// writeTried prints what the guards say to sizes.
func (a *app) writeTried(r *guardsReport) {
	title := "at " + orText(sizesText(r.Sizes), "these sizes")
	if g := r.Failing; g != nil {
		fmt.Fprintf(a.out, "\n%s  %s\n", a.style.bold(title), a.style.bad("refused"))
		a.item("guard", g.Guard)
		a.item("got", g.Got)
		a.item("line", g.at())
		return
	}
	fmt.Fprintf(a.out, "\n%s  %s\n", a.style.bold(title), a.style.good("all guards hold"))
	a.writeChoices(r.Choices)
}

// writeChoices prints one choice of an executor after the other.
func (a *app) writeChoices(cs []choiceReport) {
	if len(cs) == 0 {
		fmt.Fprintln(a.out, "  no executor chose anything by size")
	}
	for _, c := range cs {
		text := choiceText(c) + ": " + orText(strings.Join(c.Where, ", "), "by sizes, in no condition that can be told")
		for i, l := range wrap(text, columns-4) {
			fmt.Fprintln(a.out, strings.Repeat(" ", 2+2*min(i, 1))+l)
		}
	}
}
