package ir

import (
	"fmt"
	"io"
	"strconv"
	"strings"
)

// PrintOptions choose what the text form shows beside the program itself.
type PrintOptions struct {
	Positions bool        // append `at "file":line:col`, or `at -`, to every parameter and value
	Source    *SourceText // comments and literals to put back as they were written
}

// SourceText is what a text had beside its function: what `fmt` must not lose.
// Comments keep their "#".
type SourceText struct {
	Weights  string              // file of the weights, from the header; may be empty
	Head     []string            // comment lines above the function
	Above    map[*Value][]string // comment lines above a parameter or a value
	Beside   map[*Value]string   // comment at the end of its line
	Tail     map[*Func][]string  // comment lines before the return
	Return   map[*Func]string    // comment at the end of the return's line
	Foot     []string            // comment lines after the function
	Literals map[*Value]bool     // constants that were written in place, as an operand
}

// NewSourceText returns a text without comments.
func NewSourceText() *SourceText {
	return &SourceText{Above: map[*Value][]string{}, Beside: map[*Value]string{},
		Tail: map[*Func][]string{}, Return: map[*Func]string{}, Literals: map[*Value]bool{}}
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
	p := &printer{opts: o, source: o.Source}
	if p.source == nil {
		p.source = &SourceText{} // lookups in its nil maps find nothing
	}
	p.lines("", p.source.Head)
	if p.source.Weights != "" {
		p.line("", "weights "+strconv.Quote(p.source.Weights))
	}
	p.text.WriteString("func @" + f.Name)
	p.function(f, "")
	p.text.WriteByte('\n')
	p.lines("", p.source.Foot)
	_, err := io.WriteString(w, p.text.String())
	return err
}

type printer struct {
	opts   PrintOptions
	source *SourceText
	text   strings.Builder
}

func (p *printer) line(indent, s string) { p.text.WriteString(indent + s + "\n") }

func (p *printer) lines(indent string, ss []string) {
	for _, s := range ss {
		p.line(indent, s)
	}
}

// isLabel reports whether a name can stand in the text form; numbers are left to
// values without a name.
func isLabel(name string) bool {
	if name == "" || isDigit(name[0]) {
		return false
	}
	for i := range len(name) {
		if !isIdentPart(name[i]) {
			return false
		}
	}
	return true
}

// ValueNames gives each value of f the name that the text form prints, "%h" or
// "%12", by ID. Constants that source, which may be nil, knows as written in
// place have none.
func (f *Func) ValueNames(source *SourceText) []string {
	names := make([]string, f.NumIDs)
	taken := map[string]bool{}
	n := 0
	give := func(v *Value) {
		if isLabel(v.Name) && !taken[v.Name] {
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
		if !source.inPlace(v) {
			give(v)
		}
	}
	return names
}

// inPlace reports whether v is a constant that was written as an operand.
func (s *SourceText) inPlace(v *Value) bool {
	return s != nil && v.Op == OpConstant && s.Literals[v]
}

// names are the values' names, and the text of constants written in place, by ID.
func (p *printer) names(f *Func) []string {
	names := f.ValueNames(p.source)
	for _, v := range f.Values {
		if lit := p.literal(v); lit != "" {
			names[v.ID] = lit
		}
	}
	return names
}

// literal is the text of a constant that was written in place; else empty.
func (p *printer) literal(v *Value) string {
	if !p.source.inPlace(v) {
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
	p.lines(indent+"  ", p.source.Tail[f])
	rs := make([]string, len(f.Results))
	for i, r := range f.Results {
		rs[i] = names[r.ID]
	}
	p.line(indent, "  return "+strings.Join(rs, ", ")+besideText(p.source.Return[f]))
	p.text.WriteString(indent + "}")
}

// params prints the parameter list on one line, or a line each where that is too
// long or comments need it.
func (p *printer) params(f *Func, names []string, indent string) {
	parts := make([]string, len(f.Params))
	width, commented := len(f.Name)+len(indent), false
	for i, v := range f.Params {
		parts[i] = names[v.ID] + ": " + v.Type.String() + attrsString(v) + p.position(v)
		width += len(parts[i]) + 2
		commented = commented || len(p.source.Above[v]) > 0 || p.source.Beside[v] != ""
	}
	if width <= paramColumns && !commented {
		p.text.WriteString("(" + strings.Join(parts, ", ") + ")")
		return
	}
	p.text.WriteString("(\n")
	for i, v := range f.Params {
		p.lines(indent+"    ", p.source.Above[v])
		p.line(indent, "    "+parts[i]+","+besideText(p.source.Beside[v]))
	}
	p.text.WriteString(indent + ")")
}

// besideText sets a comment off from what it stands beside.
func besideText(comment string) string {
	if comment == "" {
		return ""
	}
	return "  " + comment
}

// position is the suffix that keeps a position, if the options ask for it.
func (p *printer) position(v *Value) string {
	switch {
	case !p.opts.Positions:
		return ""
	case !v.Pos.IsKnown():
		return " at -"
	}
	at := fmt.Sprintf(" at %q:%d", v.Pos.File, v.Pos.Line)
	if v.Pos.Col > 0 {
		at += fmt.Sprintf(":%d", v.Pos.Col)
	}
	return at
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
	p.lines(indent, p.source.Above[v])
	args := make([]string, len(v.Args))
	for i, a := range v.Args {
		args[i] = names[a.ID]
	}
	fmt.Fprintf(&p.text, "%s%s: %s = %s(%s)%s", indent, names[v.ID], v.Type, v.Op, strings.Join(args, ", "), attrsString(v))
	for _, body := range v.Bodies {
		p.text.WriteString(" func")
		p.function(body, indent)
	}
	p.text.WriteString(p.position(v) + besideText(p.source.Beside[v]) + "\n")
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
