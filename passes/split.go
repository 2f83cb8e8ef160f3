package passes

import (
	"fmt"
	"slices"

	"jitc/ir"
	"jitc/ir/dim"
)

// Segment is a part of a function that runs at sizes known when it begins.
//
//	func @f(%x: f32[N]) -> f32[U] {                segment 0
//	  %m: bool[N] = gt(%x, 0.0)                      F: (%x) -> %m, %n
//	  %p: f32[U] = masked_select(%x, %m) {...}       Definers: %p
//	  %n: f32[N] = ...                             segment 1, U known
//	  %r: f32[U] = sqrt(%p)                          F: (%p) -> %r
//	  ...                                            Definers: none
type Segment struct {
	// F computes the values of the segment that anything outside it needs. Where
	// there are none, it has no values and no results.
	F *ir.Func
	// Params and Results are the values of the whole function that F's parameters
	// and results stand for.
	Params, Results []*ir.Value
	// Definers are values of the whole function; they run behind F, in order, and
	// give the segments after this one their sizes. The last segment has none.
	Definers []*ir.Value
}

// Split divides a function into segments at the values that define symbols. Each
// value is in the first segment in which its operands and its symbols are known;
// what is cheap and only needed later moves behind, so as to be fused there, and
// sources are built where they are read. F.Facts is what is known of the symbols
// that have values when the segment begins. A function that defines no symbols is
// one segment, itself.
//
// f passes ir.Verify and is left alone. Results of f may be parameters, results of
// a segment, or definers.
func Split(f *ir.Func) []Segment {
	if len(ir.Definers(f)) == 0 {
		return []Segment{{F: f, Params: f.Params, Results: f.Results}}
	}
	s := &splitter{f: f, at: make([]int, f.NumIDs), known: map[string]int{}, exported: make([]bool, f.NumIDs), used: f.Uses()}
	s.place()
	s.sink()
	s.export()
	segments := make([]Segment, s.last+1)
	for k := range segments {
		segments[k] = s.segment(k)
	}
	return segments
}

type splitter struct {
	f        *ir.Func
	at       []int          // by ID: the segment that computes the value
	known    map[string]int // the first segment that knows a symbol; 0 if absent
	exported []bool         // by ID: needed outside its segment, or by its definers
	used     []int          // by ID: uses
	last     int
}

// ready is the first segment that can read a value.
func (s *splitter) ready(v *ir.Value) int {
	if v.Is(ir.Dynamic) {
		return s.at[v.ID] + 1
	}
	return s.at[v.ID]
}

// place gives every value the first segment that it can be in. Effects keep their
// order.
func (s *splitter) place() {
	effects := 0
	for _, v := range s.f.Values {
		own := ir.Defines(v)
		at := 0
		for _, sym := range ir.MentionedSyms(v) {
			if !slices.Contains(own, sym) {
				at = max(at, s.known[sym])
			}
		}
		for _, a := range v.Args {
			at = max(at, s.ready(a))
		}
		if v.HasEffect() {
			at = max(at, effects)
			effects = at
		}
		s.at[v.ID] = at
		for _, sym := range own {
			s.learn(sym, at+1)
		}
		s.last = max(s.last, s.ready(v))
	}
}

// learn notes that a symbol has its value from segment at on, and so have those that
// equalities make of it, unless arguments give them.
func (s *splitter) learn(sym string, at int) {
	s.known[sym] = at
	given := func(other string) bool {
		return slices.ContainsFunc(s.f.Params, func(p *ir.Value) bool { return slices.Contains(ir.MentionedSyms(p), other) })
	}
	for _, other := range s.f.Facts.Syms() {
		if other != sym && slices.Contains(s.f.Facts.Simplify(dim.Sym(other)).Syms(), sym) && !given(other) {
			s.known[other] = max(s.known[other], at)
		}
	}
}

// sink moves cheap values that only later segments read to the first of these.
// No more may cross between segments for that: what it reads is there anyway, or
// crosses in its place.
func (s *splitter) sink() {
	first := make([]int, s.f.NumIDs) // segment of the first reader
	for i := range first {
		first[i] = s.last + 1
	}
	for _, r := range s.f.Results {
		first[r.ID] = 0
	}
	for _, v := range slices.Backward(s.f.Values) {
		if at := first[v.ID]; at > s.at[v.ID] && at <= s.last && s.sinks(v) {
			s.at[v.ID] = at
		}
		for _, a := range v.Args {
			first[a.ID] = min(first[a.ID], s.at[v.ID])
		}
	}
}

func (s *splitter) sinks(v *ir.Value) bool {
	if !v.Is(ir.Pointwise) && (!v.Is(ir.View) || v.Op == ir.OpSlice) {
		return false
	}
	var crossing *ir.Value
	for _, a := range v.Args {
		switch {
		case a.Op == ir.OpParam || a.Is(ir.Source) || a == crossing:
		case crossing != nil || a.Type.DType.Size() > v.Type.DType.Size():
			return false
		default:
			crossing = a
		}
	}
	return true
}

// export finds what segments must give away. Sources that other values read are
// built by each segment for itself.
func (s *splitter) export() {
	for _, v := range s.f.Values {
		for _, a := range v.Args {
			if v.Is(ir.Dynamic) || s.at[v.ID] > s.at[a.ID] && !a.Is(ir.Source) {
				s.exported[a.ID] = true
			}
		}
	}
	for _, r := range s.f.Results {
		s.exported[r.ID] = true
	}
}

// segment builds segment k.
func (s *splitter) segment(k int) Segment {
	facts := ir.Restrict(s.f.Facts, func(sym string) bool { return s.known[sym] <= k })
	e := &segmentBuilder{s: s, k: k, out: Segment{F: ir.NewFunc(fmt.Sprintf("%s_%d", s.f.Name, k), facts)}, now: make([]*ir.Value, s.f.NumIDs)}
	for _, v := range s.f.Values {
		switch {
		case s.at[v.ID] != k || s.used[v.ID] == 0 && !v.HasEffect() && !v.Is(ir.Dynamic):
		case v.Is(ir.Dynamic):
			e.out.Definers = append(e.out.Definers, v)
		case !v.Is(ir.Source) || s.exported[v.ID]:
			e.value(v)
		}
	}
	return e.out
}

// segmentBuilder copies values of the whole function to a segment's.
type segmentBuilder struct {
	s   *splitter
	k   int
	out Segment
	now []*ir.Value // by ID in the whole function
}

// value appends a copy of v, and what it reads that the segment has not yet.
func (e *segmentBuilder) value(v *ir.Value) *ir.Value {
	if e.now[v.ID] != nil {
		return e.now[v.ID]
	}
	c := *v
	c.Args = make([]*ir.Value, len(v.Args))
	for i, a := range v.Args {
		c.Args[i] = e.operand(a)
	}
	c.Bodies = withFacts(v.Bodies, e.out.F.Facts)
	f := e.out.F
	c.ID = f.NumIDs
	f.NumIDs++
	f.Values = append(f.Values, &c)
	e.now[v.ID] = &c
	if e.s.exported[v.ID] && e.s.at[v.ID] == e.k {
		f.Results = append(f.Results, &c)
		e.out.Results = append(e.out.Results, v)
	}
	return &c
}

// operand is the segment's own value for a, which is a parameter where another
// segment computes it.
func (e *segmentBuilder) operand(a *ir.Value) *ir.Value {
	if e.now[a.ID] != nil {
		return e.now[a.ID]
	}
	if a.Op != ir.OpParam && (a.Is(ir.Source) || e.s.at[a.ID] == e.k && !a.Is(ir.Dynamic)) {
		return e.value(a)
	}
	p := e.out.F.AddParam(a.Name, a.Type, nil)
	if p.Pos = a.Pos; a.Op == ir.OpParam {
		p.Attrs = a.Attrs
	}
	e.out.Params = append(e.out.Params, a)
	e.now[a.ID] = p
	return p
}

// withFacts copies bodies, so that they share the facts of the function that their
// value is moved to.
func withFacts(bodies []*ir.Func, facts *dim.Facts) []*ir.Func {
	if bodies == nil {
		return nil
	}
	out := make([]*ir.Func, len(bodies))
	for i, body := range bodies {
		e := &segmentBuilder{out: Segment{F: ir.NewFunc(body.Name, facts)}, now: make([]*ir.Value, body.NumIDs), s: &splitter{
			at: make([]int, body.NumIDs), exported: make([]bool, body.NumIDs)}}
		for _, p := range body.Params {
			e.operand(p)
		}
		for _, v := range body.Values {
			e.value(v)
		}
		out[i] = e.out.F
		for _, r := range body.Results {
			out[i].Results = append(out[i].Results, e.now[r.ID])
		}
	}
	return out
}
