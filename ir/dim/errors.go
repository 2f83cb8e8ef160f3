package dim

import (
	"errors"
	"fmt"
)

var (
	// ErrOverflow is an evaluation that left int64, or of an invalid
	// expression.
	ErrOverflow = errors.New("overflow of int64")
	// ErrDivByZero is an evaluation that divided by zero.
	ErrDivByZero = errors.New("division by zero")
	// ErrContradiction is a fact that no size can satisfy together with those
	// already known.
	ErrContradiction = errors.New("contradicts what is known")
)

// UnboundError is an evaluation that met a symbol without a value.
type UnboundError struct {
	Sym string
}

func (e *UnboundError) Error() string {
	return fmt.Sprintf("dim: symbol %s has no value", e.Sym)
}

// ParseError is a text that is no expression, or no fact.
type ParseError struct {
	Offset   int    // in bytes from the start of the text
	Expected string // what would have been accepted there
	Got      string // what stands there
}

func (e *ParseError) Error() string {
	return fmt.Sprintf("dim: offset %d: expected %s, got %s", e.Offset, e.Expected, e.Got)
}

// SizeError is a concrete size that its dimension expression cannot have.
type SizeError struct {
	Expr Expr   // the dimension
	Got  int64  // the size
	Want string // the sizes it could have: "128", "4*B + 1 for an integer B >= 0"
}

func (e *SizeError) Error() string {
	return fmt.Sprintf("dim: size of %s: expected %s, got %d", e.Expr, e.Want, e.Got)
}

// Violation is a value that breaks a fact.
type Violation struct {
	Sym  string
	Fact string // as [Facts.Strings] prints it
	Got  int64  // the symbol's value
}

func (v *Violation) Error() string {
	return fmt.Sprintf("dim: expected %s, got %s = %d", v.Fact, v.Sym, v.Got)
}
