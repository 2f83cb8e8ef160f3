package main

import (
	"fmt"
	"slices"
	"strings"

	"jitc/fusion"
	"jitc/ir"
)

// valueWhy is what became of one value of the trace.
type valueWhy struct {
	Value     string         `json:"value"`
	Text      string         `json:"text"`              // the value as printed
	At        string         `json:"at"`                // position
	In        string         `json:"in,omitempty"`      // the body of control flow that holds it, "r.body"
	Became    []partWhy      `json:"became"`            // after the passes
	Gone      string         `json:"gone,omitempty"`    // why there is nothing after the passes
	Regions   []regionWhy    `json:"regions"`           // that compute some of it
	Runs      string         `json:"runs,omitempty"`    // when, if in no region
	ReadBy    []regionRef    `json:"read_by,omitempty"` // regions that read it, where none computes it
	Decisions []decisionText `json:"decisions"`
}

// regionRef names a region.
type regionRef struct {
	Segment int `json:"segment,omitempty"` // from 1, where there are several
	Index   int `json:"index"`
}

// partWhy is a primitive value and what the executors say of it.
type partWhy struct {
	Name   string     `json:"name"`
	Text   string     `json:"text"`
	Claims []claimWhy `json:"claims"`
}

type claimWhy struct {
	Executor string `json:"executor"`
	Level    string `json:"level"`
	Why      string `json:"why,omitempty"`
}

type decisionText struct {
	About   string `json:"about"`
	Verdict string `json:"verdict"`
	Reason  string `json:"reason"`
}

func (a *app) explainValue(e *explanation, name string) error {
	v := e.find(name)
	if v == nil {
		return &usageError{msg: "the trace has no value %" + name, hint: e.nearValues(name)}
	}
	w := e.value(v)
	if a.json {
		a.writeJSON(w)
	} else {
		a.writeValueWhy(w)
	}
	return nil
}

// find looks for a value by its name in the trace, outside of bodies first, and then
// by its name after the passes.
func (e *explanation) find(name string) *foundValue {
	path, label, in := strings.Cut(name, ":")
	if !in {
		path, label = "", name
	}
	var found *foundValue
	eachBody(e.Trace, "", func(f *ir.Func, at string) {
		names := f.ValueNames(e.file.Source)
		for _, v := range append(slices.Clone(f.Params), f.Values...) {
			if found == nil && (!in || at == path) && names[v.ID] == "%"+label {
				found = &foundValue{v, at, label, true}
			}
		}
	})
	if found != nil {
		return found
	}
	for _, s := range e.scopes() {
		for _, v := range slices.Concat(s.f.Values, s.f.Params) {
			if (!in || s.path == path) && s.fused.Name(v) == "%"+label {
				return &foundValue{v, s.path, label, false}
			}
		}
	}
	return nil
}

// nearValues suggests names.
func (e *explanation) nearValues(name string) string {
	var near, all []string
	eachBody(e.Trace, "", func(f *ir.Func, _ string) {
		for _, n := range f.ValueNames(e.file.Source) {
			if n == "" || slices.Contains(all, n) {
				continue
			}
			all = append(all, n)
			if len(name) > 0 && n[1] == name[0] {
				near = append(near, n)
			}
		}
	})
	if len(near) > 0 {
		return "values that begin alike: " + listNames(near)
	}
	return "its values are " + listNames(all)
}

// value explains a value of the trace or of the canonical function.
func (e *explanation) value(v *foundValue) *valueWhy {
	w := &valueWhy{Value: "%" + v.label, Text: valueText(v.Value), At: v.Pos.String(), In: v.path,
		Became: []partWhy{}, Regions: []regionWhy{}, Decisions: []decisionText{}}
	for _, s := range e.scopes() {
		e.valueIn(w, v, s)
	}
	for _, s := range e.segments() {
		e.valueBehind(w, v, s)
	}
	if len(w.Became) == 0 && v.Op != ir.OpParam {
		w.Gone = e.goneIn(v)
	}
	return w
}

// valueIn adds what became of a value in one partition.
func (e *explanation) valueIn(w *valueWhy, v *foundValue, s scope) {
	mine := func(p *ir.Value) bool { return v.is(p, s.path) }
	reads := func(region *ir.Value) bool {
		return v.readFrom() && slices.ContainsFunc(region.Args, func(p *ir.Value) bool { return v.isParam(p, s.path) })
	}
	for _, p := range s.f.Values {
		if mine(p) {
			w.Became = append(w.Became, e.part(p, s.fused.Name(p)))
		}
	}
	for _, g := range s.fused.Regions {
		i := s.stepOf(g.Value)
		if slices.ContainsFunc(g.Members, mine) || slices.ContainsFunc(g.Value.Bodies[0].Values, mine) {
			w.Regions = append(w.Regions, s.region(i))
		}
		if reads(g.Value) {
			w.ReadBy = append(w.ReadBy, regionRef{s.number(), i})
		}
	}
	for _, c := range s.fused.Control {
		if mine(c.Of) {
			w.Regions = append(w.Regions, s.region(s.stepOf(c.Value)))
		}
		if reads(c.Value) {
			w.ReadBy = append(w.ReadBy, regionRef{s.number(), s.stepOf(c.Value)})
		}
	}
	for _, d := range s.fused.Decisions {
		if mine(d.Producer) || d.Consumer != nil && mine(d.Consumer) {
			w.Decisions = append(w.Decisions, decisionText{inText(s.path) + subject(s.fused, d), d.Verdict.String(), s.fused.Reason(d)})
		}
	}
}

// valueBehind adds that a value runs behind a segment, to find sizes in data.
func (e *explanation) valueBehind(w *valueWhy, v *foundValue, s *segment) {
	for _, d := range s.definers {
		if v.is(d, "") {
			w.Became = append(w.Became, e.part(d, "%"+orText(d.Name, "-")))
			w.Runs = fmt.Sprintf("between segments %d and %d of %d, and defines %s for what follows: its size is found in data, so it is in no region",
				s.index, s.index+1, s.of, strings.Join(ir.Defines(d), ", "))
		}
	}
}

// goneIn names the pass after which nothing of a value is left.
func (e *explanation) goneIn(v *foundValue) string {
	has := func(f *ir.Func) (found bool) {
		eachBody(f, "", func(body *ir.Func, path string) {
			found = found || slices.ContainsFunc(body.Values, func(p *ir.Value) bool { return v.is(p, path) })
		})
		return found
	}
	for _, p := range e.passes {
		if has(p.before) && !has(p.after) {
			return fmt.Sprintf("nothing is left of it after the pass %s: it was constant, equal to another value, or not needed", p.name)
		}
	}
	return "no value after the passes has its name or position"
}

func (e *explanation) part(p *ir.Value, name string) partWhy {
	w := partWhy{Name: name, Text: valueText(p), Claims: []claimWhy{}}
	for _, x := range e.engine.Executors() {
		c := x.Claim(p)
		level := c.Level.String()
		switch c.Level {
		case fusion.Alone:
			level = "claims alone"
		case fusion.Strided:
			level = "claims alone, at any strides"
		case fusion.Fusible:
			level = "claims"
		}
		w.Claims = append(w.Claims, claimWhy{x.Name(), level, c.Why})
	}
	return w
}

// valueText is a value without its name: "f32[B,512] = gelu".
func valueText(v *ir.Value) string { return v.Type.String() + " = " + v.Op.String() }

func (a *app) writeValueWhy(w *valueWhy) {
	fmt.Fprintf(a.out, "%s: %s  at %s\n", a.style.bold(w.Value), w.Text, w.At)
	a.item("in", bodyText(w.In))
	a.item("gone", w.Gone)
	a.item("runs", w.Runs)
	a.item("read by", refsText(w.ReadBy))
	if len(w.Became) > 0 {
		fmt.Fprintln(a.out)
		t := &table{head: []string{"after the passes", "value", "executors"}}
		for _, p := range w.Became {
			t.add(clip(p.Name, 24), clip(p.Text, 34), claimsText(p.Claims))
		}
		t.write(a.out, a.style)
	}
	for i, r := range w.Regions {
		fmt.Fprintln(a.out)
		if r.Segment > 0 && (i == 0 || w.Regions[i-1].Segment != r.Segment) {
			fmt.Fprintln(a.out, a.style.bold(fmt.Sprintf("segment %d", r.Segment)))
		}
		a.writeRegionWhy(r)
	}
	if len(w.Decisions) == 0 {
		return
	}
	fmt.Fprintf(a.out, "\n%s\n", a.style.bold("decisions"))
	for _, d := range w.Decisions {
		fmt.Fprintf(a.out, "  %s: %s\n", d.About, d.Verdict)
		for _, l := range wrap(d.Reason, columns-4) {
			fmt.Fprintln(a.out, "    "+l)
		}
	}
}

// refsText lists regions: "region 0 3", "region 0 of segment 1, region 2 of segment 2".
func refsText(refs []regionRef) string {
	var ids []int
	var parts []string
	for _, r := range refs {
		ids = append(ids, r.Index)
		parts = append(parts, fmt.Sprintf("region %d of segment %d", r.Index, r.Segment))
	}
	switch {
	case len(refs) == 0:
		return ""
	case refs[0].Segment == 0:
		return "region " + intsText(ids)
	}
	return strings.Join(parts, ", ")
}

// intsText prints numbers with spaces between.
func intsText(ns []int) string { return strings.Trim(fmt.Sprint(ns), "[]") }

// claimsText is what executors say, up to the first that takes the value.
func claimsText(claims []claimWhy) string {
	s := ""
	for i, c := range claims {
		if i > 0 {
			s += "; "
		}
		s += c.Executor + " " + c.Level
		if c.Why != "" {
			s += " (" + c.Why + ")"
		}
		if c.Level != fusion.Refused.String() {
			break
		}
	}
	return s
}
