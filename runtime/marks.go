package runtime

import (
	"fmt"
	"path"
	"strings"

	"jitc/ir/dim"
)

// MarkKind says how a size or scalar is to be traced.
type MarkKind uint8

const (
	// Static: always a constant; a change recompiles.
	Static MarkKind = iota + 1
	// Dynamic: a symbol from the first call on; a trace that needs one value of it
	// is an error that names the line.
	Dynamic
	// MaybeDynamic: a symbol from the first call on; a trace that needs one value
	// of it gets it, and guards it.
	MaybeDynamic
	// Unbacked: Dynamic, and no decision may look at the value at hand.
	Unbacked
)

var markNames = [...]string{Static: "static", Dynamic: "dynamic", MaybeDynamic: "maybe-dynamic", Unbacked: "unbacked"}

// String names the kind.
func (k MarkKind) String() string {
	if int(k) < len(markNames) {
		return markNames[k]
	}
	return fmt.Sprintf("mark(%d)", k)
}

// Mark is what the user says of sizes or promotable scalars.
type Mark struct {
	Path  string // of the tensor or scalar; * in it stands for anything but a dot
	Axis  int    // of the tensor; -1: every axis, or the scalar itself
	Kind  MarkKind
	Sym   string           // name of the symbol; empty: one is made. Of Static, in Facts only
	Facts []dim.Constraint // over Sym
}

// String prints the mark: "dynamic x[0] as B where B <= 64".
func (m Mark) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s", m.Kind, m.Path)
	if m.Axis >= 0 {
		fmt.Fprintf(&b, "[%d]", m.Axis)
	}
	if m.Sym != "" && (m.Kind != Static || len(m.Facts) > 0) {
		b.WriteString(" as " + m.Sym)
	}
	for i, f := range m.Facts {
		b.WriteString([]string{" where ", ", "}[min(i, 1)] + f.String())
	}
	return b.String()
}

// covers reports whether the mark is about an axis (-1: a scalar) of a path.
func (m *Mark) covers(at string, axis int) bool {
	if m.Axis >= 0 && m.Axis != axis {
		return false
	}
	return MatchPath(m.Path, at)
}

// MatchPath reports whether a pattern covers the path of an argument: it is the
// path, but that * stands for anything but a dot.
func MatchPath(pattern, at string) bool {
	if pattern == at {
		return true
	}
	// Brackets are literal in paths of arguments.
	ok, err := path.Match(strings.NewReplacer("[", `\[`, "]", `\]`, ".", "/").Replace(pattern), strings.ReplaceAll(at, ".", "/"))
	return err == nil && ok
}

// markOf is the last mark about a place, nil if there is none.
func markOf(marks []Mark, at string, axis int) *Mark {
	for i := len(marks) - 1; i >= 0; i-- {
		if marks[i].covers(at, axis) {
			return &marks[i]
		}
	}
	return nil
}
