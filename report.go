package jitc

import (
	"time"

	"jitc/executors"
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

// RegionReport describes one region of the linked program.
type RegionReport struct {
	ID       int            `json:"id"` // of the region's value in the fused function
	Name     string         `json:"name"`
	Ops      []string       `json:"ops"` // of the body, in order
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
		seen[g.Key] = true
	}
	return len(seen)
}

func (w *walk) report() {
	for _, step := range w.c.Program.Steps {
		info := step.Kernel.Info()
		r := RegionReport{ID: step.Region.ID, Name: step.Region.Name, Executor: step.Executor, Key: step.Key,
			Cached: w.hits[step.Region.ID], Info: info, Kind: info.Kind, Detail: info.Detail, Code: info.Code,
			Bytes: info.Bytes.String(), Flops: info.Flops.String()}
		for _, v := range step.Region.Body.Values {
			r.Ops = append(r.Ops, v.Op.String())
		}
		w.c.Report.Regions = append(w.c.Report.Regions, r)
	}
}
