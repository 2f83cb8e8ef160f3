// Package diag holds the diagnostics that a user's mistake produces: where,
// what, expected, got, and a hint, printed with the source line.
//
//	mlp.trace:14:11: error: matmul: inner dimensions differ
//	  14 | %5 = matmul(%3, %4)
//	     |      ^^^^^^
//	  expected  lhs[1] == rhs[0]
//	  got       f32[32,128] x f32[64,10]
//	  hint      transpose the second operand
package diag

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Pos is a position in a source file. The zero Pos is unknown.
type Pos struct {
	File string
	Line int // from 1
	Col  int // from 1, in bytes; 0 where it is unknown, as in Go programs
}

// IsKnown reports whether the position names a line.
func (p Pos) IsKnown() bool { return p.Line > 0 }

// String prints file:line:col, file:line where the column is unknown, or "-".
func (p Pos) String() string {
	if !p.IsKnown() {
		return "-"
	}
	if p.Col == 0 {
		return fmt.Sprintf("%s:%d", p.File, p.Line)
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Col)
}

// Diagnostic is one mistake found in a source.
type Diagnostic struct {
	Pos      Pos
	Len      int    // bytes to underline; at least one caret is printed
	Line     string // the source line, without its newline; empty if unknown
	Msg      string
	Expected string
	Got      string
	Hint     string
}

// Error renders the diagnostic over several lines, without a final newline.
func (d *Diagnostic) Error() string {
	var b strings.Builder
	if d.Pos.File != "" {
		fmt.Fprintf(&b, "%s: ", d.Pos.where())
	}
	b.WriteString("error: " + d.Msg)
	if d.Line != "" {
		d.excerpt(&b)
	}
	for _, row := range [][2]string{{"expected", d.Expected}, {"got", d.Got}, {"hint", d.Hint}} {
		if row[1] != "" {
			fmt.Fprintf(&b, "\n  %-9s %s", row[0], strings.ReplaceAll(row[1], "\n", "\n            "))
		}
	}
	return b.String()
}

// where is the position without a line that is unknown.
func (p Pos) where() string {
	if p.IsKnown() {
		return p.String()
	}
	return p.File
}

// maxExcerpt bounds the part of a long source line that is printed.
const maxExcerpt = 72

func (d *Diagnostic) excerpt(b *strings.Builder) {
	line, col := d.Line, d.Pos.Col-1
	if col < 0 || col > len(line) {
		col = len(line)
	}
	n := max(d.Len, 1)
	if len(line) > maxExcerpt { // keep the fault in view
		from := max(0, min(col-maxExcerpt/3, len(line)-maxExcerpt))
		to := min(len(line), from+maxExcerpt)
		cut := to < len(line)
		line, col = line[from:to], col-from
		if from > 0 {
			line = "..." + line[3:]
		}
		if cut {
			line = line[:len(line)-3] + "..."
		}
	}
	n = max(1, utf8.RuneCountInString(line[col:min(col+n, len(line))]))
	num := fmt.Sprint(d.Pos.Line)
	pad := strings.Map(func(r rune) rune {
		if r == '\t' {
			return '\t'
		}
		return ' '
	}, line[:col])
	fmt.Fprintf(b, "\n  %s | %s", num, visible(line))
	fmt.Fprintf(b, "\n  %s | %s%s", strings.Repeat(" ", len(num)), pad, strings.Repeat("^", n))
}

// visible replaces what a terminal would not show in one column.
func visible(line string) string {
	return strings.Map(func(r rune) rune {
		if r != '\t' && (r == utf8.RuneError || !unicode.IsPrint(r)) {
			return '?'
		}
		return r
	}, line)
}

// List is the diagnostics of one source, in order. A non-empty List is an error.
type List []*Diagnostic

// Error renders every diagnostic, separated by newlines.
func (l List) Error() string {
	parts := make([]string, len(l))
	for i, d := range l {
		parts[i] = d.Error()
	}
	return strings.Join(parts, "\n")
}

// Err is the list as an error: nil if it is empty.
func (l List) Err() error {
	if len(l) == 0 {
		return nil
	}
	return l
}
