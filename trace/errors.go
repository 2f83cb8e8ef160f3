package trace

import (
	"errors"
	"fmt"
	"strings"

	"jitc/ir"
)

// Error is a mistake in a tensor program: an op that does not fit its operands, a
// traced tensor used as Go data, a size that must not be specialised.
type Error struct {
	Pos      ir.Pos // the user's line; unknown outside a trace
	Op       string // "matmul", as the method's name
	What     string // "inner dimensions differ"
	Expected string
	Got      string
	Hint     string
	Err      error // what lies beneath, nil if nothing does
}

// Unwrap is what lies beneath, nil if nothing does.
func (e *Error) Unwrap() error { return e.Err }

// Error renders the mistake over several lines:
//
//	model.go:41: matmul: inner dimensions differ
//	  expected  lhs[1] == rhs[0]
//	  got       f32[32,128] x f32[64,10]
//	  hint      transpose the second operand
func (e *Error) Error() string {
	var b strings.Builder
	if e.Pos.IsKnown() {
		fmt.Fprintf(&b, "%s: ", lineOf(e.Pos))
	}
	if e.Op != "" {
		b.WriteString(e.Op + ": ")
	}
	b.WriteString(e.What)
	for _, row := range [][2]string{{"expected", e.Expected}, {"got", e.Got}, {"hint", e.Hint}} {
		if row[1] != "" {
			fmt.Fprintf(&b, "\n  %-9s %s", row[0], strings.ReplaceAll(row[1], "\n", "\n            "))
		}
	}
	return b.String()
}

// PanicError is a panic of a function while it was being traced.
type PanicError struct {
	Pos   ir.Pos // the user's line that panicked
	Value any    // what it panicked with
	Stack []byte // of the goroutine, as runtime/debug.Stack gives it
}

// Error names the line and the panic.
func (e *PanicError) Error() string {
	if e.Pos.IsKnown() {
		return fmt.Sprintf("%s: panic: %v", lineOf(e.Pos), e.Value)
	}
	return fmt.Sprintf("panic: %v", e.Value)
}

// Unwrap is the panic's value if it was an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// lineOf is a position without its column, which a running program does not know.
func lineOf(p ir.Pos) string {
	if !p.IsKnown() {
		return "an unknown line"
	}
	return fmt.Sprintf("%s:%d", p.File, p.Line)
}

// ofType turns an error of package ir into an Error.
func ofType(pos ir.Pos, op string, err error) *Error {
	var oe *ir.OpError
	var te *Error
	switch {
	case errors.As(err, &te):
		return te
	case errors.As(err, &oe):
		what := oe.What
		if name := oe.Op.String(); !strings.EqualFold(strings.ReplaceAll(name, "_", ""), op) {
			what = name + ": " + what
		}
		return &Error{Pos: pos, Op: op, What: what, Expected: oe.Expected, Got: oe.Got, Hint: traceHint(oe.Hint), Err: err}
	}
	return &Error{Pos: pos, Op: op, What: err.Error(), Err: err}
}

// traceHint drops a hint that is about the text form, which a Go program does not have.
func traceHint(hint string) string {
	if strings.Contains(hint, "where clause") {
		return ""
	}
	return hint
}

// asData is the error for a tensor of a trace that is used as Go data.
func (t *Tensor) asData(op string) *Error {
	return &Error{Op: op, What: "a traced tensor has no elements: the trace holds for all inputs",
		Expected: "a tensor outside a trace", Got: t.String(),
		Hint: "to decide by its value use Cond, While, Scan or Select; for a size that data decides, Item"}
}
