package main

import (
	"fmt"
	"strings"

	"jitc"
	rt "jitc/runtime"
)

// statsReport is what an engine's only function did.
type statsReport struct {
	Function rt.CacheStats    `json:"function"`
	Kernels  rt.KernelStats   `json:"kernels"`
	Arenas   rt.ArenaStats    `json:"arenas"`
	Devices  []rt.DeviceArena `json:"devices,omitempty"`
}

func statsOf(e *jitc.Engine, fn *jitc.Function) *statsReport {
	s := e.Stats()
	return &statsReport{Function: fn.Stats(), Kernels: s.Kernels, Arenas: s.Arenas, Devices: s.Devices}
}

func (a *app) writeStats(s *statsReport) {
	f := &s.Function
	fmt.Fprintf(a.out, "\n%s\n", a.style.bold("stats"))
	t := &table{head: []string{"", ">", ""}, inset: 2}
	count := func(what string, n int64, text string) { t.add(what, fmt.Sprint(n), text) }
	count("calls", f.Calls, "")
	count("hits", f.Hits.Total(), routesText(f.Hits))
	count("misses", f.Misses, fmt.Sprintf("%d failed", f.Failed))
	count("reference", f.Reference, "evaluated, not compiled")
	if f.Violations > 0 {
		count("violations", f.Violations, "of guards that the differentiating ones do not look at")
	}
	count("entries", int64(len(f.Entries)), fmt.Sprintf("%d evicted", f.Evicted))
	count("signatures", int64(f.Signatures), "remembered")
	count("recordings", int64(f.Recordings), "kept")
	count("kernels", int64(s.Kernels.Kernels), fmt.Sprintf("%d hits, %d compiled in %s", s.Kernels.Hits, s.Kernels.Misses, timeText(s.Kernels.Compile)))
	count("arenas", s.Arenas.Blocks, byteText(float64(s.Arenas.Lent+s.Arenas.Idle))+" in all")
	for _, d := range s.Devices {
		count(d.Device, d.Blocks, fmt.Sprintf("arenas of %s in all, tensors of %s", byteText(float64(d.Lent+d.Idle)), byteText(float64(d.Tensors))))
	}
	t.write(a.out, a.style)
	for i := range f.Entries {
		a.writeEntry(&f.Entries[i])
	}
}

func routesText(h rt.Hits) string {
	return fmt.Sprintf("last %d, memo %d, guards %d, differentiating %d", h.Last, h.Memo, h.Tree, h.Differ)
}

func (a *app) writeEntry(e *rt.EntryStats) {
	fmt.Fprintf(a.out, "\n%s\n", a.style.bold(fmt.Sprintf("entry %d", e.ID)))
	a.item("arguments", clip(strings.Join(e.Params, ", "), 3*(columns-13)))
	a.item("made for", orText(strings.Join(e.Why, "; "), "the first call"))
	a.item("guards", fmt.Sprint(e.Guards))
	for _, g := range e.Failing {
		a.item("refused", fmt.Sprintf("%s by %s", plural(int(g.Fails), "call"), g.Guard+atText(g.At)))
	}
	a.item("hits", fmt.Sprintf("%d: %s", e.Hits.Total(), routesText(e.Hits)))
	if !e.Compiled {
		a.item("program", "none: evaluated by reference")
		return
	}
	a.item("compiled", timeText(e.Compile))
	for _, c := range e.Cost {
		fmt.Fprintf(a.out, "  %-9s  %-8s  %s\n", "", c.Stage, timeText(c.Time))
	}
	a.item("code", byteText(float64(e.Code)))
	a.item("keeps", fmt.Sprintf("%s, the largest with an arena of %s", plural(e.Recordings, "recording"), byteText(float64(e.Arena))))
	for _, d := range e.Devices {
		a.item("needs", fmt.Sprintf("%s on %s", byteText(float64(d.Arena)), d.Device))
	}
	for _, b := range e.Batches {
		a.item("batch", fmt.Sprintf("steps %d-%d on %s: %s", b.First, b.Last, b.Device, orText(b.Unrecorded, "replayed")))
	}
	if e.Unrecorded != "" {
		a.item("replays", e.Unrecorded)
	}
}

func atText(at string) string {
	if at == "" {
		return ""
	}
	return " (" + at + ")"
}
