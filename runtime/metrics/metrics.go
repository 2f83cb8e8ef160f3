// Package metrics exports the statistics of an engine to Prometheus. Importing it
// is what makes a program depend on the client library: nothing else of jitc does.
//
//	http.Handle("/metrics", metrics.Handler(engine.Stats))
//
//	jitc_calls_total{function="mlp",route="last"} 1.2e+06
//	jitc_recompiles_total{function="mlp"} 1
//	jitc_guard_failures_total{entry="0",function="mlp",guard="x.size(0) == 4"} 3
//
// Invariants: counters never decrease, not when entries are evicted, nor when a
// function is collected; functions of one name are one series, but for what is
// told by entry; the number of series is bounded by the live entries, by the names
// of functions and by maxGuards.
package metrics

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"jitc/runtime"
)

// Handler serves the statistics in the formats that Prometheus scrapes, from a
// registry of its own. stats is the Stats method of an engine.
func Handler(stats func() runtime.Stats) http.Handler {
	reg := prometheus.NewRegistry()
	reg.MustRegister(NewCollector(stats))
	return promhttp.HandlerFor(reg, promhttp.HandlerOpts{Registry: reg})
}

// NewCollector makes a collector of the statistics, for a registry of the caller's.
// One per registry, or each with labels of its own (prometheus.WrapRegistererWith):
// two of them export the same names. stats is called once per scrape. Safe for
// concurrent use.
func NewCollector(stats func() runtime.Stats) prometheus.Collector {
	return &collector{stats: stats, caches: map[uint64]*cacheState{}, gone: map[string]*totals{}, named: map[string]int{}}
}

// family is one metric of functions, entries, kernels or arenas.
type family[T any] struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(T) float64
}

func counter[T any](name, help string, value func(T) float64, labels ...string) family[T] {
	return family[T]{prometheus.NewDesc("jitc_"+name, help, labels, nil), prometheus.CounterValue, value}
}

func gauge[T any](name, help string, value func(T) float64, labels ...string) family[T] {
	return family[T]{prometheus.NewDesc("jitc_"+name, help, labels, nil), prometheus.GaugeValue, value}
}

func (f family[T]) emit(ch chan<- prometheus.Metric, x T, labels ...string) {
	ch <- prometheus.MustNewConstMetric(f.desc, f.kind, f.value(x), labels...)
}

// byFunction are the metrics of functions; what they read only grows where they
// are counters.
var byFunction = []family[*totals]{
	counter("misses_total", "Calls that made an entry, or failed.", func(t *totals) float64 { return t.counts[misses] }, "function"),
	counter("misses_failed_total", "Calls that got an error.", func(t *totals) float64 { return t.counts[failed] }, "function"),
	counter("entries_made_total", "Entries traced and compiled.", func(t *totals) float64 { return t.counts[made] }, "function"),
	counter("recompiles_total", "Entries made because no earlier one admitted the call.", func(t *totals) float64 { return t.counts[recompiled] }, "function"),
	counter("entries_loaded_total", "Entries that came from a file.", func(t *totals) float64 { return t.counts[loaded] }, "function"),
	counter("entries_evicted_total", "Entries dropped because there were too many.", func(t *totals) float64 { return t.counts[evicted] }, "function"),
	counter("guard_violations_total", "Calls that passed the differentiating guards of an entry that they did not fit.", func(t *totals) float64 { return t.counts[violations] }, "function"),
	gauge("entries", "Live entries.", func(t *totals) float64 { return t.entries }, "function"),
	gauge("signatures", "Exact signatures remembered.", func(t *totals) float64 { return t.signatures }, "function"),
	gauge("recordings", "Recordings kept.", func(t *totals) float64 { return t.recordings }, "function"),
	gauge("code_bytes", "Machine code of live entries.", func(t *totals) float64 { return t.code }, "function"),
}

var (
	calls = counter("calls_total", "Calls, by how they were answered: last, memo, tree and differ hit an entry.",
		func(n float64) float64 { return n }, "function", "route")
	stages = counter("compile_seconds_total", "Time spent making entries.",
		func(s float64) float64 { return s }, "function", "stage")
	fails = counter("guard_failures_total", "Calls refused by a guard; entry evicted: by guards of entries that are gone.",
		func(n float64) float64 { return n }, "function", "entry", "guard")
	lastUse = gauge("entry_last_use_timestamp_seconds", "When a call last ran the entry.",
		func(s float64) float64 { return s }, "function", "entry")
	lookups = counter("kernel_lookups_total", "Kernels asked for by compilations: hit or miss.",
		func(n int64) float64 { return float64(n) }, "result")
	arenaBytes = gauge("arena_bytes", "Memory for intermediates and scratch: lent to runs under way, or idle.",
		func(n int64) float64 { return float64(n) }, "state")
	deviceBytes = gauge("device_bytes", "Memory of devices: lent to runs for intermediates and scratch, idle, or of tensors.",
		func(n int64) float64 { return float64(n) }, "device", "state")
)

var ofKernels = []family[*runtime.KernelStats]{
	gauge("kernels", "Compiled kernels kept.", func(k *runtime.KernelStats) float64 { return float64(k.Kernels) }),
	counter("kernel_failures_total", "Kernels that did not compile.", func(k *runtime.KernelStats) float64 { return float64(k.Failed) }),
	counter("kernel_evictions_total", "Kernels dropped because there were too many.", func(k *runtime.KernelStats) float64 { return float64(k.Evicted) }),
	counter("kernel_compile_seconds_total", "Time spent compiling kernels.", func(k *runtime.KernelStats) float64 { return k.Compile.Seconds() }),
}

var ofArenas = []family[*runtime.ArenaStats]{
	gauge("arena_peak_bytes", "The most memory that was lent and idle at one time.", func(a *runtime.ArenaStats) float64 { return float64(a.Peak) }),
	gauge("arena_blocks", "Blocks of memory, lent and idle.", func(a *runtime.ArenaStats) float64 { return float64(a.Blocks) }),
	counter("arena_blocks_allocated_total", "Blocks of memory allocated.", func(a *runtime.ArenaStats) float64 { return float64(a.Made) }),
}
