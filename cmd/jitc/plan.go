package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"jitc/ir"
	rt "jitc/runtime"
)

// planReport is a memory plan at concrete sizes, in bytes.
type planReport struct {
	Sizes         map[string]int64 `json:"sizes"`
	Arena         int              `json:"arena"`
	Scratch       int              `json:"scratch"`
	Intermediates int              `json:"intermediates"` // without sharing of memory
	Parameters    int              `json:"parameters"`
	Results       int              `json:"results"`
	Steps         []planStep       `json:"steps"`
}

// planStep is one launch: what it makes, and how long that lives.
type planStep struct {
	Region int    `json:"region"`
	Name   string `json:"name"`
	Type   string `json:"type"`
	Bytes  int    `json:"bytes"`
	Last   int    `json:"last_use"` // number of the step that reads it last
	Result bool   `json:"result"`
}

func planOf(p *rt.Program, rec *rt.Recording) *planReport {
	r := &planReport{Sizes: rec.Sizes, Arena: rec.Arena, Scratch: rec.Scratch, Steps: []planStep{}}
	last, isResult := lastUses(p)
	for _, v := range p.F.Params {
		r.Parameters += bytesAt(v.Type, rec.Sizes)
	}
	for _, v := range p.F.Results {
		r.Results += bytesAt(v.Type, rec.Sizes)
	}
	for i, s := range p.Steps {
		step := planStep{Region: s.Region.ID, Name: regionName(s.Region), Type: s.Region.Type.String(),
			Bytes: bytesAt(s.Region.Type, rec.Sizes), Last: max(i, last[s.Region.ID]), Result: isResult[s.Region.ID]}
		if !step.Result {
			r.Intermediates += step.Bytes
		}
		r.Steps = append(r.Steps, step)
	}
	return r
}

// lastUses finds, by ID of a region, the step that reads it last, and whether
// some of it is a result.
func lastUses(p *rt.Program) (last map[int]int, isResult map[int]bool) {
	last, isResult = map[int]int{}, map[int]bool{}
	region := func(v *ir.Value) *ir.Value {
		if v.Op == ir.OpGet {
			return v.Args[0]
		}
		return v
	}
	for i, s := range p.Steps {
		for _, arg := range s.Region.Args {
			last[region(arg).ID] = i
		}
	}
	for _, v := range p.F.Results {
		isResult[region(v).ID] = true
	}
	return last, isResult
}

// bytesAt is the size of a type at sizes that checkSizes has accepted.
func bytesAt(t ir.Type, sizes map[string]int64) int {
	n, err := t.Bytes().Eval(sizes)
	if err != nil {
		panic("BUG: jitc: size of a bound program: " + err.Error())
	}
	return int(n)
}

// regionName is the name of what a region computes: of its last named value.
func regionName(v *ir.Value) string {
	if v.Name != "" {
		return v.Name
	}
	for _, r := range slices.Backward(v.Body.Results) {
		if r.Name != "" {
			return r.Name
		}
	}
	return "-"
}

func (c *compiledTrace) planText(among bool) (string, error) {
	if c.plan == nil && among {
		return "there is no memory plan without sizes: give --dim " + listNames(c.Trace.Facts.Syms()) + "\n", nil
	}
	if c.plan == nil {
		return "", &usageError{msg: "the memory plan needs every size", hint: "give --dim SYM=N for " + listNames(c.Trace.Facts.Syms())}
	}
	return c.plan.text(), nil
}

func (r *planReport) text() string {
	var b strings.Builder
	r.summary(&b)
	t := &table{head: []string{">step", "region", ">bytes", "lives", "type"}}
	for i, s := range r.Steps {
		lives := fmt.Sprintf("%d-%d", i, s.Last)
		if s.Result {
			lives = "result"
		}
		t.add(fmt.Sprint(i), clip(s.Name, 24), fmt.Sprint(s.Bytes), lives, s.Type)
	}
	b.WriteByte('\n')
	t.write(&b, style{})
	return b.String()
}

// summary prints the totals.
func (r *planReport) summary(w io.Writer) {
	fmt.Fprintf(w, "memory plan, %s\n", orText(sizesText(r.Sizes), "static sizes"))
	t := &table{head: []string{"", ">", ""}, inset: 2}
	t.add("arena", byteText(float64(r.Arena)), "holds "+byteText(float64(r.Intermediates))+" of intermediates")
	t.add("scratch", byteText(float64(r.Scratch)), "of the kernel that needs most")
	t.add("parameters", byteText(float64(r.Parameters)), "")
	t.add("results", byteText(float64(r.Results)), "")
	t.write(w, style{})
}
