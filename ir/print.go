package ir

import (
	"fmt"
	"io"
	"strconv"
	"strings"
)

// PrintOptions choose what the text form shows beside the program itself.
type PrintOptions struct {
	Positions bool        // append `at "file":line:col` to every value
	Source    *SourceText // comments and literals to put back as they were written
}

// SourceText is what a text had beside its function: what `fmt` must not lose.
// Comments and literals are found by value ID.
type SourceText struct {
	Weights  string           // file of the weights, from the header; may be empty
	Head     []string         // comment lines above the function
	Above    map[int][]string // comment lines above a value
	Beside   map[int]string   // comment at the end of a value's line
	Tail     []string         // comment lines before the return
	Foot     []string         // comment lines after the function
	Literals map[int]bool     // constants that were written in place, as an operand
}

// String prints the function in the text form.
func (f *Func) String() string {
	var b strings.Builder
	_ = f.Print(&b, PrintOptions{}) // a strings.Builder does not fail
	return b.String()
}

// Print writes the function in the text form. Values without a name are
// numbered in order, so that printing what was parsed from a print gives the
// same text.
func (f *Func) Print(w io.Writer, o PrintOptions) error {
	p := &printer{opts: o}
	if o.Source != nil {
		for _, c := range o.Source.Head {
			p.line("", c)
		}
		if o.Source.Weights != "" {
			p.line("", "weights "+strconv.Quote(o.Source.Weights))
		}
	}
	p.text.WriteString("func @" + f.Name)
	p.function(f, "")
	p.text.WriteByte('\n')
	if o.Source != nil {
		for _, c := range o.Source.Foot {
			p.line("", c)
		}
	}
	_, err := io.WriteString(w, p.text.String())
	return err
}

type printer struct {
	opts PrintOptions
	text strings.Builder
}

func (p *printer) line(indent, s string) { p.text.WriteString(indent + s + "\n") }

// names gives each value of f its printed name, by ID.
func (p *printer) names(f *Func) []string {
	names := make([]string, f.NumIDs)
	taken := map[string]bool{}
	n := 0
	give := func(v *Value) {
		if v.Name != "" && !taken[v.Name] {
			taken[v.Name] = true
			names[v.ID] = "%" + v.Name
			return
		}
		names[v.ID] = "%" + strconv.Itoa(n)
		n++
	}
	for _, v := range f.Params {
		give(v)
	}
	for _, v := range f.Values {
		if lit := p.literal(v); lit != "" {
			names[v.ID] = lit
			continue
		}
		give(v)
	}
	return names
}

// literal is the text of a constant that was written in place; else empty.
func (p *printer) literal(v *Value) string {
	if p.opts.Source == nil || !p.opts.Source.Literals[v.ID] || v.Op != OpConstant {
		return ""
	}
	return AttrString(v.Attrs.Get("value"))
}

// paramColumns is the width beyond which parameters go on lines of their own.
const paramColumns = 80

func (p *printer) function(f *Func, indent string) {
	names := p.names(f)
	p.params(f, names, indent)
	p.text.WriteString(" -> " + resultsString(f.ResultTypes()))
	if facts := f.Facts.Strings(); len(facts) > 0 && indent == "" {
		p.text.WriteString("\n    where " + strings.Join(facts, ", "))
	}
	p.text.WriteString(" {\n")
	for _, v := range f.Values {
		p.value(v, names, indent+"  ")
	}
	if s := p.opts.Source; s != nil && indent == "" {
		for _, c := range s.Tail {
			p.line(indent+"  ", c)
		}
	}
	rs := make([]string, len(f.Results))
	for i, r := range f.Results {
		rs[i] = names[r.ID]
	}
	p.line(indent, "  return "+strings.Join(rs, ", "))
	p.text.WriteString(indent + "}")
}

func (p *printer) params(f *Func, names []string, indent string) {
	parts := make([]string, len(f.Params))
	width := len(f.Name) + len(indent)
	for i, v := range f.Params {
		parts[i] = names[v.ID] + ": " + v.Type.String() + attrsString(v)
		width += len(parts[i]) + 2
	}
	if width <= paramColumns {
		p.text.WriteString("(" + strings.Join(parts, ", ") + ")")
		return
	}
	p.text.WriteString("(\n")
	for _, s := range parts {
		p.line(indent, "    "+s+",")
	}
	p.text.WriteString(indent + ")")
}

func resultsString(ts []Type) string {
	if len(ts) == 1 {
		return ts[0].String()
	}
	parts := make([]string, len(ts))
	for i, t := range ts {
		parts[i] = t.String()
	}
	return "(" + strings.Join(parts, ", ") + ")"
}

func (p *printer) value(v *Value, names []string, indent string) {
	if p.literal(v) != "" {
		return
	}
	src := p.opts.Source
	if src != nil && indent == "  " {
		for _, c := range src.Above[v.ID] {
			p.line(indent, c)
		}
	}
	args := make([]string, len(v.Args))
	for i, a := range v.Args {
		args[i] = names[a.ID]
	}
	fmt.Fprintf(&p.text, "%s%s: %s = %s(%s)%s", indent, names[v.ID], v.Type, v.Op, strings.Join(args, ", "), attrsString(v))
	if v.Body != nil {
		p.text.WriteString(" func")
		p.function(v.Body, indent)
	}
	if p.opts.Positions && v.Pos.IsKnown() {
		fmt.Fprintf(&p.text, " at %q:%d:%d", v.Pos.File, v.Pos.Line, v.Pos.Col)
	}
	if src != nil && indent == "  " && src.Beside[v.ID] != "" {
		p.text.WriteString("  " + src.Beside[v.ID])
	}
	p.text.WriteByte('\n')
}

// attrsString prints the attributes that the result type does not imply.
func attrsString(v *Value) string {
	var parts []string
	row := v.Row()
	for _, a := range v.Attrs {
		if spec := row.Attr(a.Name); spec != nil && spec.FromType {
			continue
		}
		parts = append(parts, a.Name+"="+AttrString(a.Value))
	}
	if len(parts) == 0 {
		return ""
	}
	return " {" + strings.Join(parts, ", ") + "}"
}
