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
	Became    []partWhy      `json:"became"`            // after the passes
	Gone      string         `json:"gone,omitempty"`    // why there is nothing after the passes
	Regions   []regionWhy    `json:"regions"`           // that compute some of it
	ReadBy    []int          `json:"read_by,omitempty"` // regions that read it, for a parameter
	Decisions []decisionText `json:"decisions"`
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
	v, isTrace := e.find(name)
	if v == nil {
		return &usageError{msg: "the trace has no value %" + name, hint: e.nearValues(name)}
	}
	w := e.value(v, name, isTrace)
	if a.json {
		a.writeJSON(w)
	} else {
		a.writeValueWhy(w)
	}
	return nil
}

// find looks for a value by its name in the trace, and then by its name after
// the passes.
func (e *explanation) find(name string) (v *ir.Value, isTrace bool) {
	names := e.Trace.ValueNames(e.file.Source)
	for _, v := range append(slices.Clone(e.Trace.Params), e.Trace.Values...) {
		if names[v.ID] == "%"+name {
			return v, true
		}
	}
	for _, v := range append(slices.Clone(e.Canonical.Params), e.Canonical.Values...) {
		if e.parts.Name(v) == "%"+name {
			return v, false
		}
	}
	return nil, false
}

// nearValues suggests names.
func (e *explanation) nearValues(name string) string {
	var near, all []string
	for _, n := range e.Trace.ValueNames(e.file.Source) {
		if n == "" {
			continue
		}
		all = append(all, n)
		if len(name) > 0 && n[1] == name[0] {
			near = append(near, n)
		}
	}
	if len(near) > 0 {
		return "values that begin alike: " + listNames(near)
	}
	return "its values are " + listNames(all)
}

// value explains v, a value of the trace or of the canonical function.
func (e *explanation) value(v *ir.Value, name string, isTrace bool) *valueWhy {
	w := &valueWhy{Value: "%" + name, Text: valueText(v), At: v.Pos.String(), Became: []partWhy{},
		Regions: []regionWhy{}, Decisions: []decisionText{}}
	mine := e.traces(v, isTrace)
	for _, p := range e.Canonical.Values {
		if mine(p) {
			w.Became = append(w.Became, e.part(p))
		}
	}
	if len(w.Became) == 0 && v.Op != ir.OpParam {
		w.Gone = e.goneIn(mine)
	}
	for _, g := range e.parts.Regions {
		i := e.stepOf(g.Value)
		if slices.ContainsFunc(g.Value.Bodies[0].Values, mine) {
			w.Regions = append(w.Regions, e.region(i))
		}
		if v.Op == ir.OpParam && slices.ContainsFunc(g.Value.Args, mine) {
			w.ReadBy = append(w.ReadBy, i)
		}
	}
	for _, c := range e.parts.Control {
		if mine(c.Of) {
			w.Regions = append(w.Regions, e.region(e.stepOf(c.Value)))
		}
	}
	for _, d := range e.parts.Decisions {
		if mine(d.Producer) || d.Consumer != nil && mine(d.Consumer) {
			w.Decisions = append(w.Decisions, decisionText{subject(e.parts, d), d.Verdict.String(), e.parts.Reason(d)})
		}
	}
	return w
}

// traces is the predicate for what v became: values with its name, and those
// with its position, which passes hand down.
func (e *explanation) traces(v *ir.Value, isTrace bool) func(*ir.Value) bool {
	return func(p *ir.Value) bool {
		if p.Op == ir.OpParam || v.Op == ir.OpParam {
			return p.Op == v.Op && p.Name == v.Name
		}
		if !isTrace && v.Name == "" {
			return p == v
		}
		return v.Name != "" && p.Name == v.Name || isTrace && v.Pos.IsKnown() && p.Pos == v.Pos
	}
}

// goneIn names the pass after which nothing of a value is left.
func (e *explanation) goneIn(mine func(*ir.Value) bool) string {
	for _, p := range e.passes {
		if slices.ContainsFunc(p.before.Values, mine) && !slices.ContainsFunc(p.after.Values, mine) {
			return fmt.Sprintf("nothing is left of it after the pass %s: it was constant, equal to another value, or not needed", p.name)
		}
	}
	return "no value after the passes has its name or position"
}

func (e *explanation) part(p *ir.Value) partWhy {
	w := partWhy{Name: e.parts.Name(p), Text: valueText(p), Claims: []claimWhy{}}
	for _, x := range e.engine.Executors() {
		c := x.Claim(p)
		level := c.Level.String()
		if c.Level == fusion.Alone {
			level = "claims alone"
		} else if c.Level == fusion.Fusible {
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
	a.item("gone", w.Gone)
	if len(w.ReadBy) > 0 {
		a.item("read by", "region "+intsText(w.ReadBy))
	}
	if len(w.Became) > 0 {
		fmt.Fprintln(a.out)
		t := &table{head: []string{"after the passes", "value", "executors"}}
		for _, p := range w.Became {
			t.add(clip(p.Name, 24), clip(p.Text, 34), claimsText(p.Claims))
		}
		t.write(a.out, a.style)
	}
	for _, r := range w.Regions {
		fmt.Fprintln(a.out)
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
