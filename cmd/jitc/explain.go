package main

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"jitc"
	"jitc/fusion"
	"jitc/ir"
	"jitc/trace"
)

const explainLong = `Explain says why the regions of a program are what they are.

Without VALUE it lists the regions with the reason why their values are
together, and counts the reasons why others were kept apart; where data decides
sizes, the regions of each segment follow its heading. With VALUE, a name
in the trace or the name of a value after the passes, it says what became of
that value: what the passes made of it, which executors claim or refuse it and
why, its region, and every decision about it and its neighbours. Values in
bodies of control flow are found too: r.body:h is the %h in the body of %r, if
others are called %h.`

const explainExample = `  jitc explain mlp.trace
  jitc explain mlp.trace a0
  jitc explain mlp.trace %probs --no-fuse`

func (a *app) explainCommand() *cobra.Command {
	f := &engineFlags{}
	cmd := &cobra.Command{
		Use: "explain FILE [VALUE]", Short: "Say why values are in their regions", Long: explainLong, Example: explainExample, Args: files(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			value := ""
			if len(args) > 1 {
				value = strings.TrimPrefix(args[1], "%")
			}
			return a.explain(cmd.Context(), args[0], value, f)
		},
	}
	f.add(cmd)
	return cmd
}

// explanation is a compilation with the partitions that made it.
type explanation struct {
	*compiledTrace
	file   *trace.File
	engine *jitc.Engine
	parts  []*explainedPart
}

// explainedPart is a segment with its partition.
type explainedPart struct {
	*segment
	fused *fusion.Result
}

func (a *app) explain(ctx context.Context, path, value string, f *engineFlags) error {
	p, err := a.open(path, f, false)
	if err != nil {
		return err
	}
	defer p.engine.Close()
	c, err := p.observe(ctx)
	if err != nil {
		return err
	}
	e := &explanation{compiledTrace: c, file: p.file, engine: p.engine}
	for _, s := range c.segments() {
		e.parts = append(e.parts, &explainedPart{s, s.Parts})
	}
	if value != "" {
		return a.explainValue(e, value)
	}
	if a.json {
		a.writeJSON(e.overview())
	} else {
		a.writeOverview(e.overview())
	}
	return nil
}

// regionWhy is a region and the reason for it.
type regionWhy struct {
	Segment  int      `json:"segment,omitempty"` // from 1, where there are several
	Index    int      `json:"index"`
	In       string   `json:"in,omitempty"` // the body of control flow that holds it
	Kind     string   `json:"kind"`
	Executor string   `json:"executor"`
	Key      string   `json:"key"`
	Members  []string `json:"members"`
	Why      string   `json:"why"`
	Detail   string   `json:"detail"` // of the kernel
	Like     []int    `json:"like,omitempty"`

	ops string
}

// region explains step i of the report: a region, or control flow.
func (e *explainedPart) region(i int) regionWhy {
	v, r := e.Steps()[i].Region, e.Report.Regions[i]
	w := regionWhy{Segment: e.number(), Index: i, In: r.In, Kind: r.Kind, Executor: r.Executor, Key: r.Key, Members: []string{},
		Detail: r.Detail, ops: opsText(r.Ops)}
	for _, part := range e.fused.Parts() {
		for _, g := range part.Regions {
			if g.Value != v {
				continue
			}
			w.Kind, w.Why = g.Kind.String(), g.Why
			for _, m := range g.Members {
				w.Members = append(w.Members, part.Name(m))
			}
		}
		for _, c := range part.Control {
			if c.Value == v {
				w.Why, w.Members = "control flow is in no region", []string{part.Name(c.Of)}
			}
		}
	}
	return w
}

// stepOf is the index of the step that computes a region.
func (e *explainedPart) stepOf(v *ir.Value) int {
	return slices.IndexFunc(e.Steps(), func(s jitc.Step) bool { return s.Region == v })
}

// overview sums up all regions and decisions.
type overview struct {
	Function string          `json:"function"`
	Segments []segmentReport `json:"segments,omitempty"` // where data decides sizes
	Regions  []regionWhy     `json:"regions"`
	Reasons  []reasonCount   `json:"reasons"`

	parts []*explainedPart
}

// reasonCount is how often a reason was given, the names of values aside.
type reasonCount struct {
	Verdict string `json:"verdict"`
	Reason  string `json:"reason"`
	Count   int    `json:"count"`
	Example string `json:"example"`
}

func (e *explanation) overview() *overview {
	o := &overview{Function: e.Trace.Name, Segments: e.segmentReports(), Regions: []regionWhy{}, Reasons: e.reasons(), parts: e.parts}
	for _, part := range e.parts {
		for _, g := range groupKernels(part.regions()) {
			w := part.region(g[0].Index)
			for _, other := range g[1:] {
				w.Like = append(w.Like, other.Index)
			}
			o.Regions = append(o.Regions, w)
		}
	}
	return o
}

var valueName = regexp.MustCompile(`%[^\s,:]+`)

func (e *explanation) reasons() []reasonCount {
	out := []reasonCount{}
	at := map[string]int{}
	for _, part := range e.allParts() {
		for _, d := range part.Decisions {
			general := valueName.ReplaceAllString(part.Reason(d), "%_")
			key := d.Verdict.String() + general
			if _, ok := at[key]; !ok {
				at[key] = len(out)
				out = append(out, reasonCount{Verdict: d.Verdict.String(), Reason: general, Example: inText(part.Path) + subject(part.Result, d)})
			}
			out[at[key]].Count++
		}
	}
	slices.SortStableFunc(out, func(a, b reasonCount) int { return strings.Compare(a.Verdict, b.Verdict) })
	return out
}

// allParts are the partitions of all segments and of the bodies in them.
func (e *explanation) allParts() []fusion.Part {
	var out []fusion.Part
	for _, part := range e.parts {
		out = append(out, part.fused.Parts()...)
	}
	return out
}

// subject names what a decision is about: "%h", "%h -> %a".
func subject(parts *fusion.Result, d fusion.Decision) string {
	if d.Consumer == nil {
		return parts.Name(d.Producer)
	}
	return parts.Name(d.Producer) + " -> " + parts.Name(d.Consumer)
}

func (a *app) writeOverview(o *overview) {
	var regions []regionReport
	for _, part := range o.parts {
		regions = append(regions, part.regions()...)
	}
	fmt.Fprintf(a.out, "%s  %s, %s\n", a.style.bold("@"+o.Function), plural(len(regions), "region"), plural(kernelsOf(regions), "kernel"))
	for _, part := range o.parts {
		if part.of > 1 {
			fmt.Fprintln(a.out)
			a.writeHeading(part.segment)
			if len(part.Program.Steps) == 0 {
				fmt.Fprintln(a.out, "  nothing to compute")
			}
		}
		for _, r := range o.Regions {
			if r.Segment == part.number() {
				fmt.Fprintln(a.out)
				a.writeRegionWhy(r)
			}
		}
	}
	if len(o.Reasons) == 0 {
		return
	}
	fmt.Fprintln(a.out)
	t := &table{head: []string{">", "verdict", "reason, %_ standing for a value"}}
	for _, r := range o.Reasons {
		t.add(fmt.Sprint(r.Count), r.Verdict, r.Reason)
	}
	t.write(a.out, a.style)
}

func (a *app) writeRegionWhy(r regionWhy) {
	kernel := ", kernel " + clip(r.Key, 8)
	if r.Key == "" {
		kernel = ""
	}
	fmt.Fprintf(a.out, "%s  %s, %s%s\n", a.style.bold(fmt.Sprintf("region %d", r.Index)), r.Kind, r.Executor, kernel)
	a.item("in", r.In)
	a.item("ops", r.ops)
	a.item("computes", strings.Join(r.Members, " "))
	a.item("together", r.Why)
	a.item("kernel", r.Detail)
	if len(r.Like) > 0 {
		a.item("like it", intsText(r.Like))
	}
}

// item prints a labelled text, wrapped.
func (a *app) item(label, text string) {
	if text == "" {
		return
	}
	for _, l := range wrap(text, columns-13) {
		fmt.Fprintf(a.out, "  %-9s  %s\n", label, l)
		label = ""
	}
}
