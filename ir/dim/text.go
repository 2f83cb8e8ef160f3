package dim

import (
	"strconv"
	"strings"
)

// String returns the text form, which [Parse] reads back to an equal
// expression: "2*B + 1", "(S + 3) floordiv 4", "min(B, 8)". An invalid
// expression is "overflow", "oversize" or "badname", which Parse refuses.
func (e Expr) String() string {
	if e.p == nil {
		return strconv.FormatInt(e.c, 10)
	}
	if e.p.why != valid {
		return [...]string{overflow: "overflow", oversize: "oversize", badName: "badname"}[e.p.why]
	}
	if a, ok := e.soleAtom(); ok {
		return a.key
	}
	var b strings.Builder
	for i, t := range e.p.terms {
		writeTerm(&b, t, i == 0)
	}
	return b.String()
}

// writeTerm writes a term with its sign or the operator that joins it.
func writeTerm(b *strings.Builder, t term, first bool) {
	c := t.coef
	neg, representable := negOK(c)
	switch {
	case first && c == -1 && len(t.atoms) > 0:
		b.WriteByte('-')
		c = 1
	case first:
	case c < 0 && representable:
		b.WriteString(" - ")
		c = neg
	default: // the least int64 has no magnitude: "B + -9223372036854775808"
		b.WriteString(" + ")
	}
	if c != 1 || len(t.atoms) == 0 {
		b.WriteString(strconv.FormatInt(c, 10))
		if len(t.atoms) > 0 {
			b.WriteByte('*')
		}
	}
	for i, a := range t.atoms {
		if i > 0 {
			b.WriteByte('*')
		}
		writeFactor(b, a)
	}
}

// writeFactor writes an atom as a factor: infix operations are parenthesised,
// since they bind no tighter than *.
func writeFactor(b *strings.Builder, a *atom) {
	if a.op != opFloorDiv && a.op != opMod {
		b.WriteString(a.key)
		return
	}
	b.WriteByte('(')
	b.WriteString(a.key)
	b.WriteByte(')')
}

var opNames = [...]string{opFloorDiv: "floordiv", opMod: "mod", opMin: "min", opMax: "max"}

// atomText is the text of an operation, and its key.
func atomText(op op, args []Expr) string {
	var b strings.Builder
	if op == opFloorDiv || op == opMod {
		writeOperand(&b, args[0])
		b.WriteString(" " + opNames[op] + " ")
		writeOperand(&b, args[1])
		return b.String()
	}
	b.WriteString(opNames[op])
	sep := "("
	for _, arg := range args {
		b.WriteString(sep)
		b.WriteString(arg.String())
		sep = ", "
	}
	b.WriteByte(')')
	return b.String()
}

// writeOperand writes an operand of an infix operation.
func writeOperand(b *strings.Builder, e Expr) {
	a, ok := e.soleAtom()
	switch {
	case ok:
		writeFactor(b, a)
	case e.p == nil && e.c >= 0:
		b.WriteString(e.String())
	default:
		b.WriteString("(" + e.String() + ")")
	}
}
