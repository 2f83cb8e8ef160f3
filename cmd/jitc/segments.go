package main

import (
	"fmt"
	"strings"

	"jitc"
	"jitc/ir"
)

// segment is a part of a program that runs at sizes known when it begins: one of
// several where data decides sizes, else the whole.
type segment struct {
	compiledTrace
	index, of int
	definers  []*ir.Value // what runs behind it, and gives the next one its sizes
}

// segmentReport describes one of several segments.
type segmentReport struct {
	Index    int              `json:"index"` // from 1
	Function string           `json:"function"`
	Defines  []definitionText `json:"defines"` // behind the segment
	Plan     *planReport      `json:"plan,omitempty"`
	Needs    []string         `json:"needs,omitempty"` // sizes without which there is no plan
}

// definitionText is an op that finds sizes in data.
type definitionText struct {
	Sizes []string `json:"sizes"`
	Op    string   `json:"op"`
	At    string   `json:"at"`
	line  int
}

// segments are the parts of the program in the order in which they run.
func (c *compiledTrace) segments() []*segment {
	if c.Chain == nil {
		return []*segment{{compiledTrace: *c, index: 1, of: 1}}
	}
	if c.chained == nil {
		for k, s := range c.Chain.Segments() {
			c.chained = append(c.chained, &segment{compiledTrace: compiledTrace{Compiled: c.Segments[k]},
				index: k + 1, of: len(c.Segments), definers: s.Definers})
		}
	}
	return c.chained
}

// allRegions are the regions of all segments.
func (c *compiledTrace) allRegions() []regionReport {
	var out []regionReport
	for _, s := range c.segments() {
		out = append(out, s.regions()...)
	}
	return out
}

// kernelsOf counts the distinct kernels of regions.
func kernelsOf(regions []regionReport) int {
	seen := map[string]bool{}
	for _, r := range regions {
		if r.Kind != jitc.ControlKind {
			seen[r.Key] = true
		}
	}
	return len(seen)
}

// regions are those of the segment, which know it if there are several.
func (s *segment) regions() []regionReport {
	out := s.compiledTrace.regions()
	for i := range out {
		out[i].Segment = s.number()
	}
	return out
}

// number counts the segments of a program from 1; 0 for the only one.
func (s *segment) number() int {
	if s.of == 1 {
		return 0
	}
	return s.index
}

// fileName is that of a dump, which each of several segments has its own of.
func (s *segment) fileName(base, ext string) string {
	if s.of == 1 {
		return base + ext
	}
	return fmt.Sprintf("%s-%d%s", base, s.index, ext)
}

func (s *segment) defines() []definitionText {
	out := []definitionText{}
	for _, v := range s.definers {
		out = append(out, definitionText{ir.Defines(v), v.Op.String(), v.Pos.String(), v.Pos.Line})
	}
	return out
}

// heading says which segment it is: "segment 1 of 2: defines U by nonzero at line 5".
func (s *segment) heading() string {
	text := fmt.Sprintf("segment %d of %d", s.index, s.of)
	for i, d := range s.defines() {
		lead := ": defines "
		if i > 0 {
			lead = ", "
		}
		text += lead + strings.Join(d.Sizes, ", ") + " by " + d.Op
		if d.line > 0 {
			text += fmt.Sprintf(" at line %d", d.line)
		}
	}
	return text
}

// writeHeading prints the heading of one of several segments.
func (a *app) writeHeading(s *segment) {
	if s.of > 1 {
		for _, l := range wrap(s.heading(), columns) {
			fmt.Fprintln(a.out, a.style.bold(l))
		}
	}
}

// report describes the segment.
func (s *segment) report() segmentReport {
	return segmentReport{Index: s.index, Function: s.Canonical.Name, Defines: s.defines(), Plan: s.plan, Needs: s.unknown}
}

// segmentReports describe the segments of a program of several.
func (c *compiledTrace) segmentReports() []segmentReport {
	var out []segmentReport
	if c.Chain != nil {
		for _, s := range c.segments() {
			out = append(out, s.report())
		}
	}
	return out
}
