package guard

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"jitc/ir/call"
	"jitc/ir/dim"
)

// Source is where a symbol's value is read: it is (n - Offset) / Coef, an exact
// division, where n is the size of axis Axis of tensor Arg or, if Arg is
// negative, constant number Const, an int64. A Coef of 0 stands for 1. With a
// Solve, which only FromFunc makes, Coef and Offset follow from other symbols.
type Source struct {
	Sym          string
	Arg, Axis    int
	Coef, Offset int64
	Const        int
	Solve        *Solve
}

// raw is what the source reads, before the division.
func (s *Source) raw(c *call.Call) (int64, bool) {
	if s.Arg >= 0 {
		return size(c, s.Arg, s.Axis)
	}
	v, ok := constant(c, s.Const)
	return int64(v.Bits), ok && v.Text == ""
}

// plain reports whether the value is what is read.
func (s *Source) plain() bool { return s.Offset == 0 && s.coef() == 1 && s.Solve == nil }

func (s *Source) coef() int64 {
	if s.Coef == 0 {
		return 1
	}
	return s.Coef
}

// Value is the symbol's value in the call; ok is false where there is none: the
// tensor or axis is missing, or the size is no multiple.
func (s *Source) Value(c *call.Call) (v int64, ok bool) {
	n, ok := s.raw(c)
	if !ok || s.plain() {
		return n, ok
	}
	coef, offset := s.coef(), s.Offset
	if s.Solve != nil {
		if coef, offset, ok = s.Solve.at(c); !ok {
			return 0, false
		}
	}
	d := n - offset
	if (d < n) != (offset > 0) || d%coef != 0 || d == -d && d != 0 && coef == -1 {
		return 0, false // it overflows or does not divide
	}
	return d / coef, true
}

// path is what is read, for messages: "x.size(0)", "1.Scale".
func (s *Source) path(schema *call.Schema) string {
	if s.Arg < 0 {
		return constPlace(schema, s.Const).Path
	}
	return sizePath(schema, s.Arg, s.Axis)
}

// Text says what the symbol's value is, in equations: "B = x.size(0)". There are
// several where other symbols come first. A nil schema numbers the arguments.
func (s *Source) Text(schema *call.Schema) []string { return s.equations(schema) }

// equations define the symbol: "B = (x.size(0) - 1) / 2".
func (s *Source) equations(schema *call.Schema) []string {
	if s.Solve != nil {
		return s.Solve.equations(s.Sym, s.path(schema), schema)
	}
	return []string{s.Sym + " = " + s.definition(schema)}
}

// definition is the value in terms of what is read: "x.size(0)",
// "(x.size(0) - 1) / 2".
func (s *Source) definition(schema *call.Schema) string {
	text := s.path(schema)
	if s.Offset != 0 {
		text = fmt.Sprintf("%s - %d", text, s.Offset)
		if s.Offset < 0 && -s.Offset > 0 {
			text = fmt.Sprintf("%s + %d", s.path(schema), -s.Offset)
		}
		if s.coef() != 1 {
			text = "(" + text + ")"
		}
	}
	if s.coef() != 1 {
		text = fmt.Sprintf("%s / %d", text, s.coef())
	}
	return text
}

// place is a name for what the source gives, the same for every guard that reads
// it: a valid symbol.
func (s *Source) place() string {
	if s.Solve != nil {
		return s.Solve.place(s.Sym, s.rawPlace())
	}
	return s.rawPlace() + s.scale()
}

func (s *Source) rawPlace() string {
	if s.Arg < 0 {
		return "c" + signed(int64(s.Const))
	}
	return "t" + signed(int64(s.Arg)) + "_" + signed(int64(s.Axis))
}

func (s *Source) scale() string {
	if s.plain() {
		return ""
	}
	return "d" + signed(s.coef()) + "o" + signed(s.Offset)
}

func signed(n int64) string { return strings.Replace(fmt.Sprint(n), "-", "m", 1) }

// condition is a compiled constraint.
type condition struct {
	sources []Source
	holdsOf func(vals []int64) (holds, ok bool)
	places  dim.Constraint // the constraint with each symbol named by its place
	key     string         // equal keys, equal conditions: the text of places, and all that is read
}

func compile(g *Guard) *condition {
	syms := make([]string, len(g.From))
	rename := make(map[string]dim.Expr, len(g.From))
	for i := range g.From {
		syms[i] = g.From[i].Sym
		rename[syms[i]] = dim.Sym(g.From[i].place())
	}
	k := &condition{sources: g.From, holdsOf: g.Cond.Compile(syms), places: g.Cond.Subst(rename)}
	read := make([]string, len(g.From))
	for i := range g.From {
		read[i] = g.From[i].place()
	}
	slices.Sort(read)
	k.key = k.places.String() + " of " + strings.Join(slices.Compact(read), " ")
	return k
}

// scratch lends slices for the values of symbols: closures are given them, so
// they cannot be on the stack. Compiled constraints keep nothing.
var scratch = sync.Pool{New: func() any {
	vals := make([]int64, 0, 8)
	return &vals
}}

// holds reads the values and tests them; without all values it does not hold.
func (k *condition) holds(c *call.Call) bool {
	room := scratch.Get().(*[]int64)
	vals, all := readAll(k.sources, c, (*room)[:0])
	holds, ok := false, false
	if all {
		holds, ok = k.holdsOf(vals)
	}
	*room = vals
	scratch.Put(room)
	return holds && ok
}

// readAll appends the sources' values; ok is false where one has none.
func readAll(sources []Source, c *call.Call, vals []int64) (all []int64, ok bool) {
	for i := range sources {
		v, ok := sources[i].Value(c)
		if !ok {
			return vals, false
		}
		vals = append(vals, v)
	}
	return vals, true
}
