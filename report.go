package jitc

import (
	"strings"
	"time"

	"jitc/executors"
	"jitc/fusion"
	"jitc/ir"
	rt "jitc/runtime"
)

// Report says what a compilation did, and how long it took. Fusion's decisions
// are in Compiled.Parts.
type Report struct {
	Stages  []StageReport  `json:"stages"`
	Passes  []PassReport   `json:"passes"`
	Regions []RegionReport `json:"regions"`
}

// StageReport is the time of one stage of the walk.
type StageReport struct {
	Name string        `json:"name"`
	Time time.Duration `json:"time"` // ns
}

// PassReport is what one pass left.
type PassReport struct {
	Name   string        `json:"name"`
	Values int           `json:"values"` // in the function after the pass
	Time   time.Duration `json:"time"`   // ns
}

// RegionReport describes one step of the linked program: a region or control flow.
type RegionReport struct {
	ID       int            `json:"id"` // of the region's value in the fused function
	Name     string         `json:"name"`
	In       string         `json:"in,omitempty"` // the body of control flow that holds it, "r.body"
	Ops      []string       `json:"ops"`          // of the region, in order; of control flow, the op itself
	Executor string         `json:"executor"`
	Key      string         `json:"key"`    // prefix of the canonical form's hash
	Cached   bool           `json:"cached"` // the kernel existed before this region asked
	Info     executors.Info `json:"-"`
	Kind     string         `json:"kind"`
	Detail   string         `json:"detail"`
	Code     int            `json:"code"`  // bytes of machine code
	Bytes    string         `json:"bytes"` // memory traffic, an expression of the symbols
	Flops    string         `json:"flops"`
}

// Time is the total of the stages.
func (r *Report) Time() time.Duration {
	var sum time.Duration
	for _, s := range r.Stages {
		sum += s.Time
	}
	return sum
}

// Kernels counts the distinct kernels of the program.
func (r *Report) Kernels() int {
	seen := map[string]bool{}
	for _, g := range r.Regions {
		if g.Kind != ControlKind {
			seen[g.Key] = true
		}
	}
	return len(seen)
}

func (w *walk) report() {
	if w.walks != nil {
		w.reportChain()
		return
	}
	for _, s := range w.c.Steps() {
		w.c.Report.Regions = append(w.c.Report.Regions, w.reportStep(s))
	}
}

// controlExecutor is who runs control flow, in reports.
const controlExecutor = "runtime"

func (w *walk) reportStep(s Step) RegionReport {
	r := RegionReport{ID: s.Region.ID, Name: s.Region.Name, In: s.In, Executor: s.Executor, Key: s.Key, Cached: w.hits[s.Region]}
	if s.Bodies != nil {
		r.Key, r.Kind, r.Ops = "", ControlKind, []string{s.Region.Op.String()}
		for i := range s.Bodies {
			r.Detail = strings.TrimPrefix(r.Detail+", "+ir.BodyRole(s.Region.Op, i), ", ")
		}
		r.Detail = "runs bodies: " + r.Detail
		return r
	}
	info := s.Kernel.Info()
	r.Info, r.Kind, r.Detail, r.Code, r.Bytes, r.Flops = info, info.Kind, info.Detail, info.Code, info.Bytes.String(), info.Flops.String()
	for _, v := range s.Region.Bodies[0].Values {
		r.Ops = append(r.Ops, v.Op.String())
	}
	return r
}

// ControlKind is the kind of a step that runs bodies rather than a kernel.
const ControlKind = "control flow"

// Step is a step of the program or of a body of its control flow.
type Step struct {
	*rt.Step
	In string // the body that holds it, "r.body", "r.body/c.then"; empty for the program's own
}

// Steps are the steps of the program, and behind them those of the bodies of its
// control flow, in the order of Report.Regions.
func (c *Compiled) Steps() []Step {
	var out []Step
	var walk func(p *rt.Program, in string)
	walk = func(p *rt.Program, in string) {
		for i := range p.Steps {
			out = append(out, Step{&p.Steps[i], in})
		}
		for i := range p.Steps {
			for k, body := range p.Steps[i].Bodies {
				walk(body, fusion.BodyPath(in, p.Steps[i].Region, k))
			}
		}
	}
	walk(c.Program, "")
	return out
}
