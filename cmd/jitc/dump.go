package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"jitc"
	"jitc/ir"
)

// dump is the text of one stage.
type dump struct {
	Stage string `json:"stage"`
	File  string `json:"-"`
	Text  string `json:"text"`
}

func (c *compiledTrace) dumps(stages []string, source string) ([]dump, error) {
	var out []dump
	for _, s := range stages {
		switch s {
		case "trace":
			out = append(out, dump{s, "trace.trace", source})
		case "passes":
			for i, p := range c.passes {
				out = append(out, dump{p.name, fmt.Sprintf("pass-%02d-%s.trace", i+1, p.name), p.after.String()})
			}
		case "canonical":
			out = append(out, dump{s, "canonical.trace", c.Canonical.String()})
		case "fused":
			out = append(out, dump{s, "fused.trace", fusedText(c)})
		case "loops", "asm":
			out = append(out, dump{s, s + ".txt", c.kernelDump(s)})
		case "plan":
			text, err := c.planText(len(stages) > 1)
			if err != nil {
				return nil, err
			}
			out = append(out, dump{s, "plan.txt", text})
		default:
			for i, p := range c.passes {
				if p.name == s {
					out = append(out, dump{s, fmt.Sprintf("pass-%02d-%s.trace", i+1, s), p.after.String()})
				}
			}
		}
	}
	return out, nil
}

// kernelDump is a stage of every distinct kernel.
func (c *compiledTrace) kernelDump(stage string) string {
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
			text = "# there is none: " + r.Detail
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
			fmt.Fprintln(a.out, a.style.bold("# == "+d.Stage+" =="))
		}
		fmt.Fprint(a.out, strings.TrimRight(d.Text, "\n")+"\n")
	}
}

// fusedText is the fused function with the reasons for its regions as comments.
func fusedText(c *compiledTrace) string {
	var b strings.Builder
	_ = c.Fused.Print(&b, ir.PrintOptions{Source: c.Parts.Comments()}) // a strings.Builder does not fail
	return b.String()
}
