package padding

import (
	"fmt"
	"strings"

	"jitc/ir"
)

// Refusal says why a dimension cannot be padded.
type Refusal struct {
	Sym    string // the symbol
	Op     string // the op in the way; empty if it is the function as a whole
	Within string // the composite that it is part of; may be empty
	Pos    ir.Pos // of the op; may be unknown
	What   string // "moves padding among kept elements on axis 0"
	Hint   string // what to do about it; may be empty
}

// Error is one line: "cannot pad B: reverse at model.go:12:3 moves padding among
// kept elements on axis 0 (leave B out of the buckets)".
func (r *Refusal) Error() string {
	var s strings.Builder
	fmt.Fprintf(&s, "cannot pad %s: ", r.Sym)
	if r.Op != "" {
		s.WriteString(r.Op + " ")
	}
	if r.Within != "" {
		s.WriteString("within " + r.Within + " ")
	}
	if r.Pos.IsKnown() {
		fmt.Fprintf(&s, "at %s ", r.Pos)
	}
	s.WriteString(r.What)
	if r.Hint != "" {
		s.WriteString(" (" + r.Hint + ")")
	}
	return s.String()
}

// refuse is a refusal because of v; what is a format.
func (w *walker) refuse(v *ir.Value, hint, what string, args ...any) error {
	return &Refusal{Sym: w.sym, Op: v.Op.String(), Within: w.within(v), Pos: v.Pos, What: fmt.Sprintf(what, args...), Hint: hint}
}

// leaveOut is the hint where only another choice of buckets helps.
func (w *walker) leaveOut() string { return "leave " + w.sym + " out of the buckets" }

// within is the composite being taken apart, if v is not it itself.
func (w *walker) within(v *ir.Value) string {
	if w.whole == nil || w.whole.Op == v.Op {
		return ""
	}
	return w.whole.Op.String()
}
