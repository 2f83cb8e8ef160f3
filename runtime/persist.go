package runtime

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"jitc/ir"
	"jitc/ir/call"
	"jitc/ir/tensor"
	"jitc/runtime/guard"
)

// SavedEntry is an entry as a file keeps it: its trace in the text form, what its
// guards look at beside what the trace implies, and the sizes of its recordings.
// Kernels are not kept, they are compiled again.
//
//	func @f(%x: f32[s0,4]) -> ...     the guards on x follow from it (guard.FromFunc)
//	count, const, disjoint            these do not, and are listed
//	s0 <= 64: model.go:12, "compared" where those that do stem from
type SavedEntry struct {
	Trace   string             `json:"trace"`
	Presets map[string]int     `json:"presets,omitempty"` // symbols that are constants of the call, by number
	Preset  map[string]int64   `json:"preset,omitempty"`  // symbols that no call gives
	Guards  []SavedGuard       `json:"guards"`
	Notes   []SavedNote        `json:"notes,omitempty"`
	Reals   []int              `json:"reals,omitempty"`
	Free    []int              `json:"free,omitempty"`
	Donated []int              `json:"donated,omitempty"`
	Tensors []string           `json:"tensors"` // paths
	Consts  []SavedPlace       `json:"consts"`
	Sizes   []map[string]int64 `json:"sizes"` // of the recordings, last used first
	LastUse time.Time          `json:"last_use"`
}

// SavedGuard is a guard of kind count, const or disjoint.
type SavedGuard struct {
	Kind   string     `json:"kind"`
	Arg    int        `json:"arg"`
	Axis   int        `json:"axis,omitempty"`
	Want   int64      `json:"want,omitempty"`
	Value  SavedConst `json:"value,omitzero"`
	Pos    ir.Pos     `json:"pos,omitzero"`
	Reason string     `json:"reason"`
}

// SavedNote says where a guard that the trace implies stems from.
type SavedNote struct {
	Guard  string `json:"guard"` // its text
	Pos    ir.Pos `json:"pos,omitzero"`
	Reason string `json:"reason"`
}

// SavedPlace is where a constant stands.
type SavedPlace struct {
	Path string `json:"path"`
	Kind string `json:"kind"`
}

// SavedConst is a constant; its text may be any bytes.
type SavedConst struct {
	Bits uint64 `json:"bits,omitempty"`
	Text []byte `json:"text,omitempty"`
}

// SaveConst is the constant as a file keeps it.
func SaveConst(c call.Const) SavedConst {
	return SavedConst{c.Bits, slices.Clip([]byte(c.Text))}
}

// Const is the constant that was saved.
func (s SavedConst) Const() call.Const { return call.Const{Bits: s.Bits, Text: string(s.Text)} }

// savedKinds are the kinds of guards that a trace does not imply and a file can hold.
var savedKinds = map[string]guard.Kind{"count": guard.Count, "const": guard.Const, "disjoint": guard.Disjoint}

// Save is the entry as a file keeps it. The error says why a file cannot.
func (e *Entry) Save() (*SavedEntry, error) {
	t := e.Traced
	if len(t.Captured) > 0 {
		return nil, fmt.Errorf("it uses %d tensors that the function found outside its arguments, which are memory of this process "+
			"(hint: pass them as arguments, or as one Frozen)", len(t.Captured))
	}
	var b strings.Builder
	_ = t.F.Print(&b, ir.PrintOptions{Positions: true}) // a strings.Builder does not fail
	s := &SavedEntry{Trace: b.String(), Preset: t.Preset, Reals: t.Reals, Free: t.Free, Donated: t.Donated,
		Tensors: t.Schema.Tensors, LastUse: e.lastUse(), Sizes: e.recordedSizes()}
	for _, p := range t.Schema.Consts {
		s.Consts = append(s.Consts, SavedPlace{p.Path, p.Kind.String()})
	}
	for _, src := range t.Sources {
		if src.Arg < 0 {
			if s.Presets == nil {
				s.Presets = map[string]int{}
			}
			s.Presets[src.Sym] = src.Const
		}
	}
	if err := s.keepGuards(t.Guards, t.Schema); err != nil {
		return nil, err
	}
	again, err := s.Restore()
	if err == nil && !sameGuards(t.Guards, again.Guards) {
		err = errors.New("its guards do not follow from its trace")
	}
	return s, err
}

func (s *SavedEntry) keepGuards(gs []guard.Guard, schema *call.Schema) error {
	for _, g := range gs {
		switch _, kept := savedKinds[g.Kind.String()]; {
		case kept:
			s.Guards = append(s.Guards, SavedGuard{g.Kind.String(), g.Arg, g.Axis, g.Want, SaveConst(g.Value), g.Pos, g.Reason})
		case g.Kind == guard.Var:
			return fmt.Errorf("it is guarded by the variable %s, of which a file cannot tell that it is the same (hint: make it an argument)", g.Var.Name())
		default:
			s.Notes = append(s.Notes, SavedNote{g.Text(schema), g.Pos, g.Reason})
		}
	}
	return nil
}

// sameGuards reports whether two lists demand the same in the same order.
func sameGuards(a, b []guard.Guard) bool {
	return slices.EqualFunc(a, b, func(a, b guard.Guard) bool {
		return demand(&a) == demand(&b) && a.Pos == b.Pos && a.Reason == b.Reason
	})
}

// demand is equal for guards that demand the same.
func demand(g *guard.Guard) string {
	return fmt.Sprintf("%s %d %d %s %d %d %q %s", g.Kind, g.Arg, g.Axis, g.DType, g.Want, g.Value.Bits, g.Value.Text, g.Cond)
}

func (e *Entry) lastUse() time.Time {
	return e.cache.epoch.Add(time.Duration(e.last.Load())).Round(0)
}

// recordedSizes lists the sizes of the recordings, last used first.
func (e *Entry) recordedSizes() []map[string]int64 {
	all := e.recorded()
	slices.SortFunc(all, func(a, b *recorded) int {
		return cmp.Or(cmp.Compare(b.last.Load(), a.last.Load()), strings.Compare(a.key, b.key))
	})
	sizes := make([]map[string]int64, len(all))
	for i, r := range all {
		sizes[i] = maps.Clone(r.rec.Sizes)
	}
	return sizes
}

// Restore is the trace with its guards, derived anew and checked; Data is the
// caller's to set. Nothing in s is trusted but that it is what was saved: what
// cannot have been is an error.
func (s *SavedEntry) Restore() (*Traced, error) {
	f, _, diags := ir.Parse("trace", s.Trace)
	if err := diags.Err(); err != nil {
		return nil, fmt.Errorf("trace: %w", err)
	}
	if err := ir.Verify(f, ir.Surface); err != nil {
		return nil, fmt.Errorf("trace: %w", err)
	}
	t := &Traced{F: f, Preset: s.Preset, Reals: s.Reals, Free: s.Free, Donated: s.Donated, Schema: &call.Schema{Tensors: s.Tensors}}
	for _, c := range s.Consts {
		k, ok := kindOf(c.Kind)
		if !ok {
			return nil, fmt.Errorf("constants: %q is no kind", c.Kind)
		}
		t.Schema.Consts = append(t.Schema.Consts, call.Place{Path: c.Path, Kind: k})
	}
	if err := s.check(f); err != nil {
		return nil, err
	}
	return t, s.derive(t)
}

func kindOf(name string) (call.Kind, bool) {
	for k := call.Bool; k <= call.Real; k++ {
		if k.String() == name {
			return k, true
		}
	}
	return 0, false
}

// check holds every number against what it counts.
func (s *SavedEntry) check(f *ir.Func) error {
	tensors, consts := len(s.Tensors), len(s.Consts)
	if len(f.Params) != tensors+len(s.Reals) {
		return fmt.Errorf("parameters: expected those of %d tensors and %d reals, got %d", tensors, len(s.Reals), len(f.Params))
	}
	for _, p := range f.Params[tensors:] {
		if p.Type.DType != tensor.F64 || p.Type.Rank() != 0 {
			return fmt.Errorf("parameters: a real is f64[], not %s", p.Type)
		}
	}
	presets := make([]int, 0, len(s.Presets))
	for _, i := range s.Presets {
		presets = append(presets, i)
	}
	for _, row := range []struct {
		what  string
		at    []int
		below int
	}{{"reals", s.Reals, consts}, {"free constants", s.Free, consts}, {"presets", presets, consts}, {"donated", s.Donated, tensors}} {
		for _, i := range row.at {
			if i < 0 || i >= row.below {
				return fmt.Errorf("%s: expected numbers below %d, got %d", row.what, row.below, i)
			}
		}
	}
	return nil
}

// derive sets the guards and the sources: counts, what the trace implies, the rest.
func (s *SavedEntry) derive(t *Traced) error {
	tensors := make([]int, len(t.F.Params))
	for i := range tensors {
		if tensors[i] = i; i >= len(s.Tensors) {
			tensors[i] = -1
		}
	}
	implied, sources, err := guard.FromFunc(t.F, tensors, s.Presets)
	if err != nil {
		return err
	}
	notes := map[string]SavedNote{}
	for _, n := range s.Notes {
		notes[n.Guard] = n
	}
	for i := range implied {
		if n, ok := notes[implied[i].Text(t.Schema)]; ok {
			implied[i].Pos, implied[i].Reason = n.Pos, n.Reason
		}
	}
	var counts, rest []guard.Guard
	for _, g := range s.Guards {
		k, ok := savedKinds[g.Kind]
		if !ok || !s.inRange(k, &g) {
			return fmt.Errorf("guards: %q of %d and %d is no guard of this trace", g.Kind, g.Arg, g.Axis)
		}
		to := &rest
		if k == guard.Count {
			to = &counts
		}
		*to = append(*to, guard.Guard{Kind: k, Arg: g.Arg, Axis: g.Axis, Want: g.Want, Value: g.Value.Const(), Pos: g.Pos, Reason: g.Reason})
	}
	if len(counts) == 0 || counts[0].Arg != 0 {
		return errors.New("guards: the number of tensors is not guarded")
	}
	t.Guards, t.Sources = slices.Concat(counts, implied, rest), sources
	return nil
}

// inRange holds a guard's numbers against the parts of a call.
func (s *SavedEntry) inRange(k guard.Kind, g *SavedGuard) bool {
	tensors, consts := len(s.Tensors), len(s.Consts)
	in := func(i, n int) bool { return 0 <= i && i < n }
	switch k {
	case guard.Count:
		return in(g.Arg, 2) && g.Want == int64([]int{tensors, consts}[g.Arg])
	case guard.Const:
		return in(g.Arg, consts)
	}
	return in(g.Arg, tensors) && in(g.Axis, tensors) && g.Arg != g.Axis
}
