package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"jitc"
	"jitc/ir"
	"jitc/ir/diag"
)

// checkReport is what jitc check found in one file.
type checkReport struct {
	File        string           `json:"file"`
	OK          bool             `json:"ok"`
	Values      int              `json:"values,omitempty"`
	Regions     int              `json:"regions,omitempty"`
	Kernels     int              `json:"kernels,omitempty"`
	Diagnostics []jsonDiagnostic `json:"diagnostics,omitempty"`

	by  map[string]int
	err error
}

const checkLong = `Check parses traces, verifies their types and compiles them, without running
anything. The exit code is 1 if a trace has mistakes, 3 if one that has none
cannot be compiled.`

const checkExample = `  jitc check mlp.trace lstm.trace
  jitc check --json *.trace`

func (a *app) checkCommand() *cobra.Command {
	f := &engineFlags{}
	cmd := &cobra.Command{
		Use: "check FILE...", Short: "Find mistakes in traces without running them", Long: checkLong, Example: checkExample, Args: files(1, -1),
		RunE: func(cmd *cobra.Command, args []string) error { return a.check(cmd.Context(), args, f) },
	}
	f.add(cmd)
	return cmd
}

func (a *app) check(ctx context.Context, paths []string, f *engineFlags) error {
	engine, err := a.newEngine(f, false)
	if err != nil {
		return err
	}
	defer engine.Close()
	var answer error
	reports := []checkReport{}
	for _, p := range paths {
		r, err := a.checkFile(ctx, engine, p)
		if err != nil {
			return err
		}
		reports = append(reports, r)
		if !r.OK && exitCode(answer) != exitFault {
			answer = verdict{exitDiffers}
		}
		if errors.As(r.err, new(fault)) {
			answer = verdict{exitFault}
		}
	}
	if a.json {
		a.writeJSON(map[string]any{"files": reports})
		return answer
	}
	for _, r := range reports {
		a.writeCheck(r)
	}
	return answer
}

// checkFile checks one file. Its error is one of reading the file.
func (a *app) checkFile(ctx context.Context, engine *jitc.Engine, path string) (checkReport, error) {
	r := checkReport{File: path}
	file, err := a.parseTrace(path)
	if err != nil && !errors.As(err, new(diag.List)) {
		return r, err
	}
	var c *jitc.Compiled
	if err == nil {
		if err = ir.Verify(file.Func, ir.Surface); err == nil {
			c, err = a.compileTrace(ctx, engine, file.Func, nil)
		}
	}
	if errors.Is(err, context.Canceled) {
		return r, err
	}
	if err != nil {
		r.err, r.Diagnostics = err, diagnostics(err)
		return r, nil
	}
	regions := (&compiledTrace{Compiled: c}).allRegions()
	r.OK, r.Values, r.Regions = true, len(file.Func.Values), len(regions)
	r.Kernels, r.by = kernelsOf(regions), executorsOf(regions)
	return r, nil
}

func (a *app) writeCheck(r checkReport) {
	if r.OK {
		fmt.Fprintf(a.out, "%s: %s, %s, %s\n", r.File, a.style.good("ok"), plural(r.Values, "value"),
			programText(r.Regions, r.Kernels, r.by))
		return
	}
	fmt.Fprintln(a.err, a.errorText(r.err))
}
