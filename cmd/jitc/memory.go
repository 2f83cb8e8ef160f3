package main

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"strings"

	"jitc"
	"jitc/executors"
	"jitc/ir"
	"jitc/ir/diag"
	"jitc/ir/dim"
	"jitc/ir/tensor"
	rt "jitc/runtime"
	"jitc/trace"
)

// A program that needs more memory than there is would be killed without a
// word, or make the machine swap. So what a command is about to allocate is
// added up first, in three steps, each as soon as it is known: the parameters,
// the tensors that any plan must hold, the plan. All are lower bounds: a program
// that would run is never refused.

// assumedMemory stands for the memory of a system that does not tell.
const assumedMemory = 1 << 40

// memoryFiles say how much memory there is to have, in the lines or as the whole
// of a file; the least counts.
var memoryFiles = []struct {
	path, key string
	unit      int64
}{
	{"/proc/meminfo", "MemAvailable:", 1 << 10},
	{"/sys/fs/cgroup/memory.max", "", 1},
	{"/sys/fs/cgroup/memory/memory.limit_in_bytes", "", 1},
}

// availableMemory is how many bytes the process may still take, where the system
// says so.
func availableMemory() int64 {
	least := int64(assumedMemory)
	for _, m := range memoryFiles {
		f, err := os.Open(m.path)
		if err != nil {
			continue
		}
		if n := memoryIn(f, m.key); n > 0 && n <= math.MaxInt64/m.unit {
			least = min(least, n*m.unit)
		}
		f.Close()
	}
	return least
}

// memoryIn finds the number after a key; 0 if there is none.
func memoryIn(r io.Reader, key string) int64 {
	for s := bufio.NewScanner(r); s.Scan(); {
		fields := strings.Fields(s.Text())
		if key != "" {
			if len(fields) == 0 || fields[0] != key {
				continue
			}
			fields = fields[1:]
		}
		if len(fields) > 0 {
			n, _ := strconv.ParseInt(fields[0], 10, 64)
			return n
		}
	}
	return 0
}

// checkFits refuses to allocate more than the machine has.
func (a *app) checkFits(of *ir.Func, bytes float64, what string, sizes map[string]int64) error {
	have := float64(a.memory())
	if bytes <= have {
		return nil
	}
	got := byteText(bytes) + " for " + what
	hint := "the sizes are fixed in the trace"
	if len(of.Facts.Syms()) > 0 {
		got += "\nat " + orText(sizesText(sizes), "these sizes")
		hint = "give smaller sizes"
	}
	return diag.List{{Pos: diag.Pos{File: fileOf(of)}, Msg: "@" + of.Name + " needs more memory than there is",
		Expected: "at most the " + byteText(have) + " that are available", Got: got, Hint: hint}}
}

// fileOf is the file of a function, as its parameters or values know it.
func fileOf(f *ir.Func) string {
	for _, v := range append(append([]*ir.Value{}, f.Params...), f.Values...) {
		if v.Pos.File != "" {
			return v.Pos.File
		}
	}
	return ""
}

// checkParameters adds up the parameters that are to be generated or read.
func (a *app) checkParameters(file *trace.File, inputs map[string]*tensor.Tensor, dims map[string]int64) error {
	sizes := knownSizes(file.Func, inputs, dims)
	total, largest := 0.0, 0.0
	what := ""
	for _, p := range file.Func.Params {
		if inputs[p.Name] != nil {
			continue
		}
		n := bytesOf(p.Type, sizes)
		if total += n; n > largest {
			largest, what = n, fmt.Sprintf("the parameters, %s for %%%s: %s", byteText(n), p.Name, p.Type)
		}
	}
	return a.checkFits(file.Func, total, what, sizes)
}

// knownSizes are the sizes that --dim, the facts and the inputs decide. What does
// not fit together is for others to report.
func knownSizes(f *ir.Func, inputs map[string]*tensor.Tensor, dims map[string]int64) map[string]int64 {
	sizes := fixedSizes(f, dims)
	for _, p := range f.Params {
		t := inputs[p.Name]
		if t == nil || t.Rank() != p.Type.Rank() {
			continue
		}
		for i, e := range p.Type.Shape {
			_, _ = dim.Bind(e, int64(t.Shape()[i]), sizes)
		}
	}
	return sizes
}

// fixedSizes adds to the given sizes those that have one value only.
func fixedSizes(f *ir.Func, dims map[string]int64) map[string]int64 {
	sizes := map[string]int64{}
	for _, sym := range f.Facts.Syms() {
		if lo, hi := f.Facts.Range(dim.Sym(sym)); lo == hi {
			sizes[sym] = lo
		}
	}
	for sym, n := range dims {
		sizes[sym] = n
	}
	return sizes
}

// checkTensors adds up what any plan of a compiled program holds: its results,
// the largest tensor that is computed as a whole, its constants.
func (a *app) checkTensors(c *jitc.Compiled, sizes map[string]int64) error {
	results, largest := 0.0, 0.0
	for _, v := range c.Fused.Results {
		results += bytesOf(v.Type, sizes)
	}
	for _, part := range c.Parts.Parts() {
		for _, v := range part.F.Values {
			largest = max(largest, bytesOf(v.Type, sizes))
		}
	}
	steps := c.Steps()
	for i, r := range c.Report.Regions {
		if r.Executor != executors.Reference {
			continue
		}
		for _, v := range steps[i].Region.Bodies[0].Values { // one tensor each
			largest = max(largest, bytesOf(v.Type, sizes))
		}
	}
	if err := a.checkFits(c.Trace, results, "the results", sizes); err != nil {
		return err
	}
	if err := a.checkFits(c.Trace, largest, "one tensor", sizes); err != nil {
		return err
	}
	return a.checkConstants(c, sizes)
}

// checkConstants adds up the constants that stand outside of regions: binding a
// program to sizes makes them.
func (a *app) checkConstants(c *jitc.Compiled, sizes map[string]int64) error {
	total := 0.0
	for _, part := range c.Parts.Parts() {
		for _, v := range part.F.Values {
			if v.Op == ir.OpConstant {
				total += bytesOf(v.Type, sizes)
			}
		}
	}
	return a.checkFits(c.Trace, total, "constants", sizes)
}

// checkRun adds up what a run of a recording takes.
func (a *app) checkRun(c *jitc.Compiled, r *rt.Recording) error {
	total := float64(r.Arena) + float64(r.Scratch)
	for _, v := range c.Fused.Results {
		total += bytesOf(v.Type, r.Sizes)
	}
	return a.checkFits(c.Trace, total, "intermediates and results", r.Sizes)
}

// bytesOf is the size of a type, of a tuple the sum; 0 where it is not known.
func bytesOf(t ir.Type, sizes map[string]int64) float64 {
	total := 0.0
	for _, m := range membersOf(t) {
		n := float64(m.DType.Size())
		for _, e := range m.Shape {
			x, err := e.Eval(sizes)
			if err != nil {
				return 0
			}
			n *= float64(x)
		}
		total += n
	}
	return total
}

// membersOf are the types of a value's tensors.
func membersOf(t ir.Type) []ir.Type {
	if t.IsTuple() {
		return t.Tuple
	}
	return []ir.Type{t}
}

// checkSizes refuses sizes at which some tensor of the program is too large to
// count its bytes.
func checkSizes(c *jitc.Compiled, sizes map[string]int64) error {
	for _, v := range append(append([]*ir.Value{}, c.Fused.Params...), c.Fused.Values...) {
		for _, t := range membersOf(v.Type) {
			shape, err := ir.EvalShape(t.Shape, sizes)
			if err != nil {
				return fmt.Errorf("%s: a tensor of type %s: %w", v.Pos, t, err)
			}
			if n, err := tensor.CheckedBytes(t.DType, shape); err != nil || n > rt.MaxBytes {
				return diag.List{{Pos: v.Pos, Msg: "a tensor is too large", Expected: "at most " + byteText(rt.MaxBytes),
					Got: fmt.Sprintf("%s at %s", t, orText(sizesText(sizes), "its fixed sizes")), Hint: "give smaller sizes"}}
			}
		}
	}
	return nil
}
