package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"jitc"
	"jitc/executors/native"
	"jitc/ir"
)

// dump is the text of one stage.
type dump struct {
	Stage   string `json:"stage"`
	Segment int    `json:"segment,omitempty"` // from 1, where there are several
	File    string `json:"-"`
	Text    string `json:"text"`
	heading string // of the segment
}

func (c *compiledTrace) dumps(stages []string, source string) ([]dump, error) {
	var out []dump
	for _, s := range stages {
		switch s {
		case "trace":
			out = append(out, dump{Stage: s, File: "trace.trace", Text: source})
		case "passes":
			for i, p := range c.passes {
				out = append(out, dump{Stage: p.name, File: fmt.Sprintf("pass-%02d-%s.trace", i+1, p.name), Text: p.after.String()})
			}
		case "canonical":
			out = append(out, dump{Stage: s, File: "canonical.trace", Text: c.Canonical.String()})
		case "fused", "loops", "ptx", "asm", "plan":
			if s == "ptx" && len(stages) > 1 && !c.hasDump(s) {
				continue // only who asks for it alone is told that there is none
			}
			parts, err := c.segmentDumps(s, len(stages) > 1)
			if err != nil {
				return nil, err
			}
			out = append(out, parts...)
		default:
			for i, p := range c.passes {
				if p.name == s {
					out = append(out, dump{Stage: s, File: fmt.Sprintf("pass-%02d-%s.trace", i+1, s), Text: p.after.String()})
				}
			}
		}
	}
	return out, nil
}

// segmentDumps are a stage of each segment; among: other stages are dumped too.
func (c *compiledTrace) segmentDumps(stage string, among bool) ([]dump, error) {
	var out []dump
	for _, s := range c.segments() {
		d := dump{Stage: stage, Segment: s.number(), File: s.fileName(stage, ".txt")}
		if d.Segment > 0 {
			d.heading = s.heading()
		}
		switch {
		case s.of > 1 && len(s.Program.Steps) == 0:
			d.Text = "# nothing to compute\n"
		case stage == "fused":
			d.File, d.Text = s.fileName(stage, ".trace"), fusedText(s)
		case stage == "plan":
			text, err := s.planText(among || s.of > 1)
			if err != nil {
				return nil, err
			}
			d.Text = text
		default:
			d.Text = s.kernelDump(stage)
		}
		out = append(out, d)
	}
	return out, nil
}

// hasDump reports whether some kernel has a stage.
func (c *compiledTrace) hasDump(stage string) bool {
	for _, s := range c.segments() {
		for _, step := range s.Steps() {
			if step.Kernel != nil {
				if _, ok := step.Kernel.Dump(stage); ok {
					return true
				}
			}
		}
	}
	return false
}

// kernelDump is a stage of every distinct kernel.
func (c *segment) kernelDump(stage string) string {
	var b strings.Builder
	steps := c.Steps()
	for _, g := range groupKernels(c.regions()) {
		r := g[0]
		if r.Kind == jitc.ControlKind {
			continue
		}
		fmt.Fprintf(&b, "# kernel %s: %s, %s %s\n", r.Key, r.Executor, plural(len(g), "region"), idsText(g))
		text, ok := steps[r.Index].Kernel.Dump(stage)
		if !ok {
			text = fmt.Sprintf("# it has no %s: %s", stage, r.Detail)
			if stage == "ptx" && r.Executor == native.Name {
				text = "# it has no ptx, which is for GPUs: see asm"
			}
		}
		b.WriteString(strings.TrimRight(text, "\n") + "\n\n")
	}
	return strings.TrimRight(b.String(), "\n") + "\n"
}

func writeDumps(dir string, dumps []dump) (written []string, err error) {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, outError(dir, err)
	}
	for _, d := range dumps {
		path := filepath.Join(dir, d.File)
		if err := writeFile(path, []byte(d.Text), 0o644); err != nil {
			return written, outError(path, err)
		}
		written = append(written, path)
	}
	return written, nil
}

// writeDumps prints dumps: one as it is, several under their names.
func (a *app) writeDumps(dumps []dump) {
	for i, d := range dumps {
		if len(dumps) > 1 {
			if i > 0 {
				fmt.Fprintln(a.out)
			}
			title := d.Stage
			if d.heading != "" {
				title += ", " + d.heading
			}
			fmt.Fprintln(a.out, a.style.bold("# == "+title+" =="))
		}
		fmt.Fprint(a.out, strings.TrimRight(d.Text, "\n")+"\n")
	}
}

// fusedText is the fused function with the reasons for its regions as comments.
func fusedText(c *segment) string {
	var b strings.Builder
	_ = c.Fused.Print(&b, ir.PrintOptions{Source: c.Parts.Comments()}) // a strings.Builder does not fail
	return b.String()
}
