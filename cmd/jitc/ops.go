package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"jitc/ir"
	"jitc/ir/tensor"
)

// opReport documents one op: what its row in the op table says.
type opReport struct {
	Name    string       `json:"name"`
	Kind    string       `json:"kind"` // primitive, composite, structural
	Doc     string       `json:"doc"`
	MinArgs int          `json:"min_args"`
	MaxArgs int          `json:"max_args"` // -1: any number
	DTypes  []string     `json:"dtypes"`   // of the first operand
	Traits  []string     `json:"traits"`
	Attrs   []attrReport `json:"attrs"`
}

type attrReport struct {
	Name     string   `json:"name"`
	Kind     string   `json:"kind"`
	Doc      string   `json:"doc"`
	Required bool     `json:"required"`
	Implied  bool     `json:"implied"` // by the printed result type
	Default  string   `json:"default,omitempty"`
	Enum     []string `json:"enum,omitempty"`
}

// traitNames name the traits in docs.
var traitNames = []struct {
	trait ir.Traits
	name  string
}{
	{ir.Pointwise, "pointwise"}, {ir.View, "view"}, {ir.Indexed, "indexed"}, {ir.Source, "source"},
	{ir.Reduce, "reduction"}, {ir.Contract, "contraction"}, {ir.Commutative, "commutative"}, {ir.Random, "random"},
	{ir.Effect, "effect"}, {ir.Structural, "structural"}, {ir.Approximate, "approximate"},
	{ir.Control, "control"}, {ir.Dynamic, "dynamic"},
}

var attrKinds = map[ir.AttrKind]string{
	ir.KindInt: "int", ir.KindFloat: "float", ir.KindBool: "bool", ir.KindString: "string", ir.KindInts: "ints",
	ir.KindDims: "sizes", ir.KindDType: "element type", ir.KindTensor: "tensor", ir.KindNumber: "number",
}

// opKinds are the kinds in the order of the list.
var opKinds = []string{"primitive", "composite", "control", "structural"}

// dtypeSets are the sets of element types that have a name.
var dtypeSets = []struct {
	set  ir.DTypeSet
	name string
}{{ir.Anything, "any"}, {ir.Numbers, "numbers"}, {ir.Floats, "floats"}, {ir.Ints, "ints"}, {ir.Bools, "bool"}}

const opsLong = `Ops documents the operations that traces may hold, from the op table: operands,
attributes and their defaults, element types of the first operand, and whether
an op is primitive or a composite that decomposes.`

const opsExample = `  jitc ops
  jitc ops softmax
  jitc ops --markdown > ops.md`

func (a *app) opsCommand() *cobra.Command {
	markdown := false
	cmd := &cobra.Command{
		Use: "ops [NAME]", Short: "Document the operations", Long: opsLong, Example: opsExample,
		Args: files(0, 1),
		RunE: func(_ *cobra.Command, args []string) error {
			ops, err := selectOps(args)
			if err != nil {
				return err
			}
			a.writeOps(ops, len(args) > 0, markdown)
			return nil
		},
	}
	cmd.Flags().BoolVar(&markdown, "markdown", false, "print Markdown")
	return cmd
}

func selectOps(names []string) ([]opReport, error) {
	var out []opReport
	if len(names) == 0 {
		for _, op := range ir.Ops() {
			out = append(out, describeOp(op))
		}
		return out, nil
	}
	op, ok := ir.OpByName(names[0])
	if !ok {
		return nil, &usageError{msg: "there is no op " + quote(names[0]), hint: nearOps(names[0])}
	}
	return []opReport{describeOp(op)}, nil
}

// otherNames are names that users of other systems look for.
var otherNames = map[string]string{
	"index_add": `scatter with combine="add"`, "scatter_add": `scatter with combine="add"`,
	"index_copy": `scatter with combine="set"`, "index_put": `scatter with combine="set"`,
	"scatter_reduce": "scatter", "index_select": "gather", "take": "gather", "where": "select", "permute": "transpose",
	"attention": "scaled_dot_product_attention", "conv2d": "convolution", "einsum": "dot_general", "bmm": "matmul",
}

// nearOps suggests the ops that a text may mean.
func nearOps(text string) string {
	if is, ok := otherNames[text]; ok {
		return "in a trace it is " + is
	}
	var names []string
	for _, op := range ir.Ops() {
		names = append(names, op.String())
	}
	if near := nearNames(text, names); len(near) > 0 {
		return "did you mean " + listNames(near) + "?"
	}
	return "jitc ops lists them"
}

// nearNames are the names that the text may mean: those that hold it or are held by
// it, and those that two letters are missing from, or were added to, at most.
func nearNames(text string, names []string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(n string) bool {
		short, long := text, n
		if len(short) > len(long) {
			short, long = long, short
		}
		return !strings.Contains(long, short) && (len(short) < 3 || len(long) > len(short)+2 || !isWithin(short, long))
	})
}

// isWithin reports whether long is short with letters added.
func isWithin(short, long string) bool {
	for i := range len(long) {
		if short != "" && short[0] == long[i] {
			short = short[1:]
		}
	}
	return short == ""
}

func describeOp(op ir.Op) opReport {
	row := op.Row()
	r := opReport{Name: row.Name, Kind: "primitive", Doc: row.Doc, MinArgs: row.MinArgs, MaxArgs: row.MaxArgs,
		DTypes: []string{}, Traits: []string{}, Attrs: []attrReport{}}
	for _, dt := range row.DTypes.List() {
		r.DTypes = append(r.DTypes, dt.String())
	}
	for _, t := range traitNames {
		if row.Traits&t.trait != 0 {
			r.Traits = append(r.Traits, t.name)
		}
	}
	switch {
	case row.Traits&ir.Control != 0:
		r.Kind = "control"
	case row.Traits&ir.Structural != 0:
		r.Kind = "structural"
	case op.Composite():
		r.Kind = "composite"
	}
	for _, s := range row.Attrs {
		r.Attrs = append(r.Attrs, attrReport{Name: s.Name, Kind: attrKinds[s.Kind], Doc: s.Doc, Required: s.Required,
			Implied: s.FromType, Default: defaultText(s.Default), Enum: s.Enum})
	}
	return r
}

func defaultText(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case float64:
		return ir.FloatString(v)
	case tensor.DType:
		return v.String()
	}
	return fmt.Sprint(v)
}

func (r *opReport) operands() string {
	switch {
	case r.MaxArgs < 0:
		return fmt.Sprintf("%d or more", r.MinArgs)
	case r.MinArgs == r.MaxArgs:
		return fmt.Sprint(r.MinArgs)
	}
	return fmt.Sprintf("%d to %d", r.MinArgs, r.MaxArgs)
}

// dtypes is the set of element types by name, or its members.
func (r *opReport) dtypes() string {
	for _, s := range dtypeSets {
		if len(s.set.List()) == len(r.DTypes) && s.set == setOf(r.DTypes) {
			return s.name
		}
	}
	return strings.Join(r.DTypes, " ")
}

func setOf(names []string) (s ir.DTypeSet) {
	for _, n := range names {
		if dt, ok := tensor.ParseDType(n); ok {
			s |= 1 << dt
		}
	}
	return s
}

// note says what an attribute must or may be: "required", "default 0, one of a b".
func (x *attrReport) note() string {
	var notes []string
	switch {
	case x.Implied:
		notes = append(notes, "from the result type")
	case x.Required:
		notes = append(notes, "required")
	case x.Default != "":
		notes = append(notes, "default "+x.Default)
	}
	if len(x.Enum) > 0 {
		notes = append(notes, "one of "+strings.Join(x.Enum, " "))
	}
	return strings.Join(notes, ", ")
}

func (a *app) writeOps(ops []opReport, detail, markdown bool) {
	switch {
	case a.json:
		a.writeJSON(map[string]any{"ops": ops})
	case markdown:
		a.writeOpsMarkdown(ops)
	case detail:
		a.writeOp(&ops[0])
	default:
		for _, kind := range opKinds {
			t := &table{head: []string{kind, "doc"}}
			for _, r := range ops {
				if r.Kind == kind {
					t.add(r.Name, firstSentence(r.Doc))
				}
			}
			t.write(a.out, a.style)
			fmt.Fprintln(a.out)
		}
		fmt.Fprintf(a.out, "%s; jitc ops NAME tells all about one\n", plural(len(ops), "op"))
	}
}

func firstSentence(s string) string {
	if first, _, ok := strings.Cut(s, ". "); ok {
		return first + "."
	}
	return s
}

func (a *app) writeOp(r *opReport) {
	fmt.Fprintf(a.out, "%s  %s\n", a.style.bold(r.Name), r.Kind)
	for _, l := range wrap(r.Doc, columns-2) {
		fmt.Fprintln(a.out, "  "+l)
	}
	fmt.Fprintf(a.out, "\n  operands       %s\n  element types  %s\n", r.operands(), r.dtypes())
	if len(r.Traits) > 0 {
		fmt.Fprintf(a.out, "  traits         %s\n", strings.Join(r.Traits, " "))
	}
	if len(r.Attrs) == 0 {
		return
	}
	fmt.Fprintln(a.out)
	for _, x := range r.Attrs {
		head := fmt.Sprintf("  %-14s %s", x.Name, x.Kind)
		if n := x.note(); n != "" {
			head += " (" + n + ")"
		}
		fmt.Fprintln(a.out, head)
		for _, l := range wrap(x.Doc, columns-17) {
			fmt.Fprintln(a.out, strings.Repeat(" ", 17)+l)
		}
	}
}

func (a *app) writeOpsMarkdown(ops []opReport) {
	cell := strings.NewReplacer("|", `\|`, "\n", " ", "<", "&lt;", "*", `\*`)
	fmt.Fprintf(a.out, "# Operations\n\n%s, from the op table.\n", plural(len(ops), "op"))
	for _, r := range ops {
		fmt.Fprintf(a.out, "\n## %s\n\n%s\n\n", r.Name, strings.NewReplacer("<", "&lt;", "*", `\*`).Replace(r.Doc))
		fmt.Fprintf(a.out, "%s; operands: %s; element types: %s", r.Kind, r.operands(), r.dtypes())
		if len(r.Traits) > 0 {
			fmt.Fprintf(a.out, "; traits: %s", strings.Join(r.Traits, ", "))
		}
		fmt.Fprintln(a.out, ".")
		if len(r.Attrs) > 0 {
			fmt.Fprint(a.out, "\n| attribute | kind | meaning | |\n|---|---|---|---|\n")
		}
		for _, x := range r.Attrs {
			fmt.Fprintf(a.out, "| %s | %s | %s | %s |\n", x.Name, x.Kind, cell.Replace(x.Doc), cell.Replace(x.note()))
		}
	}
}
