package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"jitc"
	"jitc/ir/dim"
)

const sizesLong = `Sizes divides the sizes that a trace may be called with into classes: within a
class the compiled program does the same, and from class to class executors run
other code. Each class has its conditions, beside those that hold for all, its
smallest member, which is what to test with, and the choices that were made.

The classes are found by exhausting them: compile, bind to the smallest sizes
that are in no class yet, ask what was chosen by size. Nothing runs.`

const sizesExample = `  jitc sizes mlp.trace
  jitc sizes mlp.trace --executors reference
  jitc sizes mlp.trace --json`

func (a *app) sizesCommand() *cobra.Command {
	f := &engineFlags{}
	cmd := &cobra.Command{
		Use: "sizes FILE", Short: "List the classes of valid sizes", Long: sizesLong, Example: sizesExample, Args: files(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error { return a.sizes(cmd.Context(), args[0], f) },
	}
	f.addDims(cmd)
	f.add(cmd)
	return cmd
}

// sizesReport is what jitc sizes prints.
type sizesReport struct {
	Function string           `json:"function"`
	Symbols  []string         `json:"symbols"`
	Given    map[string]int64 `json:"given,omitempty"`
	Facts    []string         `json:"facts"` // hold for every class
	Classes  []classReport    `json:"classes"`
	Complete bool             `json:"complete"` // every valid size is in a class
	Rest     string           `json:"rest,omitempty"`
}

// classReport is a class of sizes.
type classReport struct {
	Where    []string         `json:"where"` // conditions; none: all sizes
	Smallest map[string]int64 `json:"smallest"`
	Choices  []choiceReport   `json:"choices"`
	Error    string           `json:"error,omitempty"` // why there is no program
}

func (a *app) sizes(ctx context.Context, path string, f *engineFlags) error {
	p, err := a.open(path, f, false)
	if err != nil {
		return err
	}
	defer p.engine.Close()
	if len(p.file.Func.Facts.Syms()) == 0 {
		return &usageError{msg: "@" + p.file.Func.Name + " has no sizes: its shapes are all numbers", hint: "name a size in a parameter's shape: %x: f32[B,784]"}
	}
	fn := p.engine.FunctionAt(p.file.Func, p.dims)
	a.progress.start("compiling @%s", p.file.Func.Name)
	defer a.progress.stop()
	if _, err := fn.Compiled(ctx); err != nil {
		return fault{err}
	}
	classes, err := fn.Sizes(ctx)
	if err != nil {
		return err
	}
	a.progress.stop()
	r := describeClasses(classes)
	r.Function, r.Given = p.file.Func.Name, p.dims
	if a.json {
		a.writeJSON(r)
	} else {
		a.writeClasses(r)
	}
	return nil
}

func describeClasses(s *jitc.SizeClasses) *sizesReport {
	r := &sizesReport{Symbols: s.Syms, Facts: constraintTexts(s.Facts), Classes: []classReport{}, Complete: s.Complete, Rest: s.Rest}
	for _, c := range s.Classes {
		x := classReport{Where: constraintTexts(c.Conds), Smallest: c.Smallest, Choices: describeChoices(c.Choices)}
		if c.Err != nil {
			x.Error = c.Err.Error()
		}
		r.Classes = append(r.Classes, x)
	}
	return r
}

func constraintTexts(cs []dim.Constraint) []string {
	out := []string{}
	for _, c := range cs {
		out = append(out, c.String())
	}
	return out
}

func (a *app) writeClasses(r *sizesReport) {
	known := plural(len(r.Classes), "class")
	if len(r.Classes) != 1 {
		known = fmt.Sprintf("%d classes", len(r.Classes))
	}
	if !r.Complete {
		known = "at least " + known
	}
	a.writeTitle(r.Function, r.Given, known)
	a.item("sizes", strings.Join(r.Symbols, ", "))
	a.item("valid", strings.Join(r.Facts, ", "))
	for i, c := range r.Classes {
		fmt.Fprintf(a.out, "\n%s\n", a.style.bold(fmt.Sprintf("class %d", i+1)))
		a.item("where", orText(strings.Join(c.Where, ", "), "all valid sizes"))
		a.item("smallest", sizesText(c.Smallest))
		label := "does"
		for _, x := range alike(c.Choices) {
			a.item(label, choiceText(x))
			label = ""
		}
		if c.Error != "" {
			a.item("error", c.Error)
		}
	}
	if !r.Complete {
		fmt.Fprintln(a.out)
		for _, l := range wrap(r.Rest, columns) {
			fmt.Fprintln(a.out, l)
		}
	}
}

// alike merges choices that differ in their conditions only, which stand with the
// class.
func alike(cs []choiceReport) []choiceReport {
	var out []choiceReport
	for _, c := range cs {
		at := slices.IndexFunc(out, func(o choiceReport) bool { return o.What == c.What && o.By == c.By })
		if at < 0 {
			out = append(out, c)
			continue
		}
		out[at].Regions += c.Regions
	}
	return out
}

// choiceText is a choice in a line: its conditions stand with the class.
func choiceText(c choiceReport) string {
	text := c.What + " (" + c.By
	if c.Line > 0 {
		text += fmt.Sprintf(", line %d", c.Line)
	}
	if c.Regions > 1 {
		text += " and " + plural(c.Regions-1, "more region")
	}
	return text + ")"
}
