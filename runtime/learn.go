package runtime

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"

	"jitc/ir/call"
	"jitc/ir/dim"
)

// Spec says what of a call is a symbol in the trace to be made; everything else
// is the constant that the call has.
type Spec struct {
	Schema  *call.Schema
	Sizes   [][]string        // by tensor and axis: the symbol's name, empty for a constant
	Scalars []string          // by constant: the symbol of a size, "input" for a real; empty for a constant
	Facts   *dim.Facts        // of the symbols, from marks
	Hints   map[string]int64  // values of the symbols in this call; unbacked ones have none
	Strict  map[string]string // symbols that must stay symbols, and the mark that says so
	// StrictReals are constants, by number, that must stay inputs, likewise.
	StrictReals map[int]string
}

// InputScalar in Spec.Scalars makes a real an input of the program.
const InputScalar = "input"

// learned is what calls have shown of the sizes and scalars of a function. The
// first call makes constants; what another value is seen of becomes a symbol.
// Safe for concurrent use.
type learned struct {
	mu    sync.Mutex
	marks []Mark
	seen  map[spot]*history
	calls int // observed
	// separate: sizes that were equal in all calls do not share a symbol.
	separate bool
}

// spot is an axis of a tensor, or a scalar (Axis -1).
type spot struct {
	Path string
	Rank int // so that a tensor of another rank is another place
	Axis int
}

// history is what was seen at a place: the values of the observed calls, while
// few, for they tell which sizes go together.
type history struct {
	Dynamic bool
	Values  []int64
	Since   int // calls observed before the first value
}

// maxHistory bounds the values kept of a place; those that differed early differ.
const maxHistory = 32

func newLearned(marks []Mark, separate bool) *learned {
	return &learned{marks: marks, seen: map[spot]*history{}, separate: separate}
}

// observe adds a call that no entry admits, and returns what its trace shall be.
func (l *learned) observe(c *call.Call, schema *call.Schema) (*Spec, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	places := placesOf(c, schema)
	if err := l.check(places); err != nil {
		return nil, err
	}
	for _, p := range places {
		l.see(p.spot, p.value)
	}
	l.calls++
	b := &specBuilder{l: l, groups: map[string]string{}, spec: &Spec{Schema: schema, Facts: dim.NewFacts(),
		Hints: map[string]int64{}, Strict: map[string]string{}, StrictReals: map[int]string{}}}
	return b.build(c, schema, places)
}

// valued is a place with the value that a call has there.
type valued struct {
	spot
	value  int64
	tensor int // index; -1 for a scalar
	at     int // axis, or index of the constant
	real   bool
}

func placesOf(c *call.Call, schema *call.Schema) []valued {
	var out []valued
	for i := range c.NumTensors() {
		lay := c.Layout(i)
		if lay == nil {
			continue
		}
		for axis, n := range lay.Shape {
			out = append(out, valued{spot{schema.TensorPath(i), len(lay.Shape), axis}, int64(n), i, axis, false})
		}
	}
	for i := range c.NumConsts() {
		p := schema.Place(i)
		if p.Kind != call.Size && p.Kind != call.Real {
			continue
		}
		v, _ := c.Const(i)
		out = append(out, valued{spot{p.Path, 0, -1}, int64(v.Bits), -1, i, p.Kind == call.Real})
	}
	return out
}

func (l *learned) see(p spot, v int64) {
	h := l.seen[p]
	if h == nil {
		h = &history{Since: l.calls}
		l.seen[p] = h
	}
	if len(h.Values) > 0 && h.Values[0] != v {
		h.Dynamic = true
	}
	if len(h.Values) < maxHistory {
		h.Values = append(h.Values, v)
	}
}

// specBuilder chooses symbols for one call.
type specBuilder struct {
	l      *learned
	spec   *Spec
	groups map[string]string // by history: the symbol
	taken  map[string]bool
	// bounded are the symbols of sizes that were small so far.
	bounded map[string]bool
}

func (b *specBuilder) build(c *call.Call, schema *call.Schema, places []valued) (*Spec, error) {
	b.taken, b.bounded = map[string]bool{}, map[string]bool{}
	for _, m := range b.l.marks {
		if m.Sym != "" {
			b.taken[m.Sym] = true
		}
	}
	b.spec.Sizes = make([][]string, c.NumTensors())
	for i := range b.spec.Sizes {
		if lay := c.Layout(i); lay != nil {
			b.spec.Sizes[i] = make([]string, len(lay.Shape))
		}
	}
	b.spec.Scalars = make([]string, c.NumConsts())
	for _, p := range places {
		if err := b.place(p); err != nil {
			return nil, err
		}
	}
	return b.spec, b.facts()
}

func (b *specBuilder) place(p valued) error {
	m := markOf(b.l.marks, p.Path, p.Axis)
	if m != nil && m.Kind == Static || m == nil && !b.l.seen[p.spot].Dynamic {
		return nil
	}
	if p.real {
		b.spec.Scalars[p.at] = InputScalar
		if m != nil && (m.Kind == Dynamic || m.Kind == Unbacked) {
			b.spec.StrictReals[p.at] = m.String()
		}
		return nil
	}
	if p.value < 0 { // a scalar that is no size stays a constant
		return nil
	}
	sym := b.symbol(p, m)
	if m == nil || m.Kind != Unbacked {
		b.spec.Hints[sym] = p.value
	}
	if m != nil && (m.Kind == Dynamic || m.Kind == Unbacked) {
		b.spec.Strict[sym] = m.String()
	}
	if p.tensor < 0 {
		b.spec.Scalars[p.at] = sym
	} else {
		b.spec.Sizes[p.tensor][p.at] = sym
		if m == nil && b.l.seen[p.spot].small(p.value) {
			b.bounded[sym] = true
		}
	}
	return nil
}

// LearnedBound is what a size is taken to be at most if it was small in every call:
// sums over it, or over a few more elements, then need not be divided, as very long
// ones are. A call beyond gets a program without the bound.
const LearnedBound = 1<<15 - 1

const smallSize = LearnedBound / 2

// small reports whether the values seen and the one at hand are small sizes.
func (h *history) small(now int64) bool {
	return now <= smallSize && slices.Max(append(slices.Clone(h.Values), 0)) <= smallSize
}

// symbol names the symbol of a place: the mark's, that of the places with the
// same history, or a new one.
func (b *specBuilder) symbol(p valued, m *Mark) string {
	if m != nil && m.Sym != "" {
		return m.Sym
	}
	h := b.l.seen[p.spot]
	key := fmt.Sprint(h.Since, h.Values, p.value, p.tensor < 0) // a long history does not hold this call's value
	if b.l.separate || m != nil {
		key = fmt.Sprint(p.spot)
	}
	if s, ok := b.groups[key]; ok {
		return s
	}
	for n := len(b.groups); ; n++ {
		s := fmt.Sprintf("s%d", n)
		if !b.taken[s] {
			b.taken[s], b.groups[key] = true, s
			return s
		}
	}
}

// facts states what marks say. That it holds of the call was checked.
func (b *specBuilder) facts() error {
	used := map[string]bool{}
	for _, sizes := range append(slices.Clone(b.spec.Sizes), b.spec.Scalars) {
		for _, s := range sizes {
			if s != "" && s != InputScalar {
				used[s] = true
			}
		}
	}
	for _, s := range slices.Sorted(maps.Keys(used)) {
		most := int64(math.MaxInt64)
		if b.bounded[s] {
			most = LearnedBound
		}
		if err := b.spec.Facts.Declare(s, 0, most); err != nil {
			return err
		}
	}
	for i := range b.l.marks {
		m := &b.l.marks[i]
		for _, f := range m.Facts {
			if m.Kind == Static || slices.ContainsFunc(f.Syms(), func(s string) bool { return !used[s] }) {
				continue
			}
			if err := b.spec.Facts.Assume(f); err != nil {
				return fmt.Errorf("mark %s: %w", m, err)
			}
		}
	}
	return nil
}

// check holds a call against what the marks declare: a symbol has one value, and
// facts hold. Sizes marked static have no symbol in the trace; each of them alone
// satisfies the mark's facts.
func (l *learned) check(places []valued) error {
	if err := l.checkAxes(places); err != nil {
		return err
	}
	values := map[string]int64{}
	for _, p := range places {
		m := markOf(l.marks, p.Path, p.Axis)
		if m == nil || p.real {
			continue
		}
		if m.Kind == Static {
			if err := m.holds(p, map[string]int64{m.Sym: p.value}); err != nil {
				return err
			}
			continue
		}
		if p.value < 0 && m.Kind != MaybeDynamic {
			return m.broken(p, "it cannot be a size", "0 or more")
		}
		if m.Sym == "" {
			continue
		}
		if old, ok := values[m.Sym]; ok && old != p.value {
			return m.broken(p, m.Sym+" stands for two sizes", fmt.Sprintf("%d, as elsewhere in this call", old))
		}
		values[m.Sym] = p.value
		if err := m.holds(p, values); err != nil {
			return err
		}
	}
	for i := range l.marks { // facts that look at several symbols
		m := &l.marks[i]
		if m.Kind == Static {
			continue
		}
		if err := m.holds(valued{spot: spot{Path: m.Path, Axis: m.Axis}, value: values[m.Sym]}, values); err != nil {
			return err
		}
	}
	return nil
}

// checkAxes refuses marks of an axis that the tensor with exactly their path does
// not have. A pattern may cover tensors of several ranks.
func (l *learned) checkAxes(places []valued) error {
	for i := range l.marks {
		m := &l.marks[i]
		at := slices.IndexFunc(places, func(p valued) bool { return p.Path == m.Path && m.Axis >= p.Rank })
		if at < 0 {
			continue
		}
		expected := "-1, as it is a number"
		if n := places[at].Rank; n > 0 {
			expected = fmt.Sprintf("one below %d", n)
		}
		return &MarkError{Mark: *m, Path: m.Path, Axis: m.Axis, What: "there is no such axis", Expected: expected, Got: int64(m.Axis)}
	}
	return nil
}

// holds checks the facts whose symbols have values; p is where one came from.
func (m *Mark) holds(p valued, values map[string]int64) error {
	for _, f := range m.Facts {
		if ok, err := f.Holds(values); err == nil && !ok {
			return m.broken(p, "a size is outside its declared range", f.String())
		}
	}
	return nil
}

func (m *Mark) broken(p valued, what, expected string) error {
	return &MarkError{Mark: *m, Path: p.Path, Axis: p.Axis, What: what, Expected: expected, Got: p.value}
}

// MarkError is a call that breaks what a mark declares.
type MarkError struct {
	Mark     Mark
	Path     string
	Axis     int
	What     string
	Expected string
	Got      int64
}

// Error is one line.
func (e *MarkError) Error() string {
	at := e.Path
	if e.Axis >= 0 {
		at = fmt.Sprintf("axis %d of %s", e.Axis, e.Path)
	}
	return fmt.Sprintf("%s: %s: expected %s, got %d (mark: %s)", at, e.What, e.Expected, e.Got, e.Mark)
}

// Dynamism is what a function's calls have shown of one size or scalar.
type Dynamism struct {
	Path    string  `json:"path"`
	Rank    int     `json:"rank"`
	Axis    int     `json:"axis"` // -1: a scalar
	Dynamic bool    `json:"dynamic"`
	Values  []int64 `json:"values"` // of the calls that were traced; floats by their bits
	Since   int     `json:"since"`  // traced calls before the first value
}

// export lists what was learned, in a stable order.
func (l *learned) export() []Dynamism {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make([]Dynamism, 0, len(l.seen))
	for p, h := range l.seen {
		out = append(out, Dynamism{p.Path, p.Rank, p.Axis, h.Dynamic, slices.Clone(h.Values), h.Since})
	}
	slices.SortFunc(out, func(a, b Dynamism) int {
		return cmp.Or(strings.Compare(a.Path, b.Path), cmp.Compare(a.Rank, b.Rank), cmp.Compare(a.Axis, b.Axis))
	})
	return out
}

// restore takes what another process learned. Of places that calls have shown here
// it takes no more than that they are dynamic.
func (l *learned) restore(ds []Dynamism) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, d := range ds {
		if h := l.seen[spot{d.Path, d.Rank, d.Axis}]; h != nil {
			h.Dynamic = h.Dynamic || d.Dynamic
			continue
		}
		l.seen[spot{d.Path, d.Rank, d.Axis}] = &history{d.Dynamic, slices.Clone(d.Values), d.Since}
		l.calls = max(l.calls, d.Since+len(d.Values))
	}
}
