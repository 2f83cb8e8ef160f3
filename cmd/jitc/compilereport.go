package main

import (
	"fmt"
	"strings"
	"time"

	"jitc"
	"jitc/ir"
	"jitc/ir/dim"
	rt "jitc/runtime"
)

// compileReport is what jitc compile prints with --json.
type compileReport struct {
	Function string             `json:"function"`
	Time     time.Duration      `json:"time"` // ns
	Stages   []jitc.StageReport `json:"stages"`
	Passes   []jitc.PassReport  `json:"passes"`
	Regions  []regionReport     `json:"regions"`
	Kernels  int                `json:"kernels"`
	Plan     *planReport        `json:"plan,omitempty"`
	Segments []segmentReport    `json:"segments,omitempty"` // where data decides sizes
	Padding  *paddingReport     `json:"padding,omitempty"`
	Dumps    []dump             `json:"dumps,omitempty"`
	Files    []string           `json:"files,omitempty"`
}

// regionReport is a region's report with its costs in the function's own sizes.
type regionReport struct {
	Index   int `json:"index"`             // of the launch, from 0
	Segment int `json:"segment,omitempty"` // from 1, where there are several
	jitc.RegionReport
	Bytes   string `json:"bytes"` // expressions
	Flops   string `json:"flops"`
	BytesAt *int64 `json:"bytes_at_sizes,omitempty"`
	FlopsAt *int64 `json:"flops_at_sizes,omitempty"`
}

func (c *compiledTrace) report() *compileReport {
	regions := c.allRegions()
	return &compileReport{Function: c.Trace.Name, Time: c.Report.Time(), Stages: c.Report.Stages, Passes: c.Report.Passes,
		Regions: regions, Kernels: kernelsOf(regions), Plan: c.plan, Segments: c.segmentReports(), Padding: c.padding}
}

// regions are the program's steps in the order in which they run, and then those
// of bodies of control flow.
func (c *compiledTrace) regions() []regionReport {
	out := []regionReport{}
	for i, step := range c.Steps() {
		cost := costOf(step.Step)
		x := regionReport{Index: i, RegionReport: c.Report.Regions[i], Bytes: cost.bytes.String(), Flops: cost.flops.String()}
		x.Name = regionName(step.Region)
		if c.plan != nil {
			bytes, flops := cost.at(c.sizes)
			x.BytesAt, x.FlopsAt = &bytes, &flops
		}
		out = append(out, x)
	}
	return out
}

// cost is what a step moves and computes, in the function's sizes.
type cost struct{ bytes, flops dim.Expr }

// costOf renames the sizes of a step's kernel, which may have been compiled for
// another region, to the function's.
func costOf(s *rt.Step) cost {
	if s.Kernel == nil { // control flow: what its bodies cost depends on data
		return cost{dim.Const(0), dim.Const(0)}
	}
	info := s.Kernel.Info()
	names := map[string]dim.Expr{}
	for of, to := range s.Syms {
		names[of] = dim.Sym(to)
	}
	return cost{info.Bytes.Subst(names), info.Flops.Subst(names)}
}

// at evaluates the cost; what cannot be evaluated counts as nothing.
func (c cost) at(sizes map[string]int64) (bytes, flops int64) {
	bytes, _ = c.bytes.Eval(sizes)
	flops, _ = c.flops.Eval(sizes)
	return bytes, flops
}

// groupKernels groups regions by kernel, in the order of first use. Control flow
// has none and is a group of its own.
func groupKernels(regions []regionReport) [][]regionReport {
	var groups [][]regionReport
	at := map[string]int{}
	for _, r := range regions {
		i, ok := at[r.Key]
		if !ok || r.Kind == jitc.ControlKind {
			i = len(groups)
			at[r.Key] = i
			groups = append(groups, nil)
		}
		groups[i] = append(groups[i], r)
	}
	return groups
}

// idsText lists regions by number: "3 17 31 ...".
func idsText(group []regionReport) string {
	var ids []string
	for i, r := range group {
		if i == 3 && len(group) > 4 {
			ids = append(ids, "...")
			break
		}
		ids = append(ids, fmt.Sprint(r.Index))
	}
	return strings.Join(ids, " ")
}

// opsText sums up the ops of a region: "dot_general add*2 tanh". Views and
// sources are left out where there is anything else.
func opsText(ops []string) string {
	count, order, free := map[string]int{}, []string{}, []string{}
	for _, name := range ops {
		count[name]++
		if count[name] > 1 {
			continue
		}
		if op, ok := ir.OpByName(name); ok && op.Row().Traits&(ir.View|ir.Source) != 0 {
			free = append(free, name)
		} else {
			order = append(order, name)
		}
	}
	if len(order) == 0 {
		order = free
	}
	for i, name := range order {
		if n := count[name]; n > 1 {
			order[i] = fmt.Sprintf("%s*%d", name, n)
		}
	}
	return strings.Join(order, " ")
}

func (a *app) writeCompiled(c *compiledTrace, each bool) {
	regions := c.allRegions()
	fmt.Fprintf(a.out, "%s  %s in %s\n\n", a.style.bold("@"+c.Trace.Name),
		programText(len(regions), kernelsOf(regions), executorsOf(regions)), timeText(c.Report.Time()))
	t := &table{head: []string{"stage", ">time", ">values", ""}}
	for _, s := range c.Report.Stages {
		t.add(s.Name, timeText(s.Time), "", "")
		if s.Name != "passes" {
			continue
		}
		for _, p := range c.passes {
			t.add("  "+p.name, timeText(p.took), changeText(p.before, p.after), "")
		}
	}
	t.write(a.out, a.style)
	fmt.Fprintln(a.out)
	a.writePadding(c.padding)
	for i, s := range c.segments() {
		if i > 0 {
			fmt.Fprintln(a.out)
		}
		a.writeSegment(s, each)
	}
}

// writeSegment prints the regions and the plan's totals of a segment.
func (a *app) writeSegment(s *segment, each bool) {
	a.writeHeading(s)
	if s.of > 1 && len(s.Program.Steps) == 0 {
		fmt.Fprintln(a.out, "  nothing to compute")
		return
	}
	a.writeRegions(s, each)
	switch {
	case s.plan != nil:
		fmt.Fprintln(a.out)
		s.plan.summary(a.out)
	case s.of == 1:
		fmt.Fprintln(a.out)
		fmt.Fprintln(a.out, a.style.dim("for bytes, flops and the memory plan give --dim SYM=N for "+listNames(s.unknown)))
	default:
		fmt.Fprintln(a.out, a.style.dim("its plan depends on "+listNames(s.unknown)+": give --dim SYM=N"))
	}
}

// executorsOf counts regions by executor.
func executorsOf(regions []regionReport) map[string]int {
	n := map[string]int{}
	for _, r := range regions {
		n[r.Executor]++
	}
	return n
}

func changeText(before, after *ir.Func) string {
	if len(before.Values) == len(after.Values) {
		return fmt.Sprint(len(after.Values))
	}
	return fmt.Sprintf("%d -> %d", len(before.Values), len(after.Values))
}

// writeRegions prints one line per distinct kernel, or per region.
func (a *app) writeRegions(c *segment, each bool) {
	groups := groupKernels(c.regions())
	if each {
		groups = nil
		for _, r := range c.regions() {
			groups = append(groups, []regionReport{r})
		}
	}
	t := &table{head: []string{"region", "kernel", "kind", ">code", ">bytes", ">flops", "ops"}}
	for _, g := range groups {
		r, bytes, flops := g[0], "-", "-"
		if r.BytesAt != nil {
			bytes, flops = byteText(float64(*r.BytesAt)), flopText(float64(*r.FlopsAt))
		}
		id := fmt.Sprint(r.Index)
		if len(g) > 1 {
			id += fmt.Sprintf(" x%d", len(g))
		}
		t.add(id, kernelText(r), kindText(r), codeText(r.Code), bytes, flops, inText(r.In)+opsText(r.Ops))
	}
	t.write(a.out, a.style)
}

// kernelText is a kernel's key; "=" marks one that was there already.
func kernelText(r regionReport) string {
	if r.Cached {
		return clip(r.Key, 6) + "="
	}
	return orText(clip(r.Key, 6), "-")
}

// inText sets off the body that holds a region: "r.body: ".
func inText(in string) string {
	if in == "" {
		return ""
	}
	return in + ": "
}

// kindText says who computes a region, and how: "gemm", "reference".
func kindText(r regionReport) string {
	if r.Kind == r.Executor || r.Executor == "native" || r.Kind == jitc.ControlKind {
		return r.Kind
	}
	return r.Executor + " " + r.Kind
}

func codeText(n int) string {
	if n == 0 {
		return "-"
	}
	return byteText(float64(n))
}
