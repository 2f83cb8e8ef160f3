package metrics

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"

	"jitc/runtime"
)

// The counts of a function.
const (
	misses = iota
	failed
	made
	recompiled
	loaded
	evicted
	violations
	numCounts
)

// totals are what the functions of one name did.
type totals struct {
	counts   [numCounts]float64
	routes   map[string]float64
	stages   map[string]float64 // in seconds
	oldFails float64            // of guards whose entries are gone

	entries, signatures, recordings, code float64
}

func newTotals() *totals {
	return &totals{routes: map[string]float64{}, stages: map[string]float64{}}
}

// add adds the counters of a function.
func (t *totals) add(s *runtime.CacheStats) {
	for i, n := range [numCounts]int64{misses: s.Misses, failed: s.Failed, made: s.Made, recompiled: s.Recompiled,
		loaded: s.Loaded, evicted: s.Evicted, violations: s.Violations} {
		t.counts[i] += float64(n)
	}
	for route, n := range map[string]int64{"last": s.Hits.Last, "memo": s.Hits.Memo, "tree": s.Hits.Tree,
		"differ": s.Hits.Differ, "miss": s.Misses, "reference": s.Reference} {
		t.routes[route] += float64(n)
	}
	for _, c := range s.Stages {
		t.stages[c.Stage] += c.Time.Seconds()
	}
}

// merge adds the counters of functions that are gone.
func (t *totals) merge(o *totals) {
	for i := range t.counts {
		t.counts[i] += o.counts[i]
	}
	t.oldFails += o.oldFails
	for k, n := range o.routes {
		t.routes[k] += n
	}
	for k, s := range o.stages {
		t.stages[k] += s
	}
}

// gauges adds what is there now.
func (t *totals) gauges(s *runtime.CacheStats) {
	t.entries += float64(len(s.Entries))
	t.signatures += float64(s.Signatures)
	t.recordings += float64(s.Recordings)
	for _, e := range s.Entries {
		t.code += float64(e.Code)
	}
}

// cacheState is what a collector remembers of a function from scrape to scrape.
type cacheState struct {
	last   runtime.CacheStats
	prefix string                  // of its entries' labels
	guards map[int]map[string]bool // by entry: those with a series of their own
}

// collector implements prometheus.Collector.
type collector struct {
	stats func() runtime.Stats

	mu     sync.Mutex // guards what follows: scrapes may overlap
	caches map[uint64]*cacheState
	gone   map[string]*totals // of collected functions, by name
	named  map[string]int     // functions ever seen, by name
}

// Describe sends every metric there is.
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, f := range byFunction {
		ch <- f.desc
	}
	for _, f := range ofKernels {
		ch <- f.desc
	}
	for _, f := range ofArenas {
		ch <- f.desc
	}
	for _, d := range []*prometheus.Desc{calls.desc, stages.desc, fails.desc, lastUse.desc, lookups.desc, arenaBytes.desc, deviceBytes.desc} {
		ch <- d
	}
}

// Collect sends the values of one moment.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.stats() // under the lock: an older look must not follow a newer one
	c.bury(s.Functions)
	byName := map[string]*totals{}
	for name, t := range c.gone {
		byName[name] = newTotals()
		byName[name].merge(t)
	}
	for i := range s.Functions {
		f := &s.Functions[i]
		name := text(f.Function)
		t := byName[name]
		if t == nil {
			t = newTotals()
			byName[name] = t
		}
		t.add(f)
		t.gauges(f)
		t.oldFails += c.entries(ch, name, f)
	}
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		byName[name].emit(ch, name)
	}
	emitProcess(ch, &s)
}

// bury keeps the counts of functions that the garbage collector took.
func (c *collector) bury(live []runtime.CacheStats) {
	here := map[uint64]bool{}
	for i := range live {
		here[live[i].ID] = true
	}
	for id, state := range c.caches {
		if here[id] {
			continue
		}
		name := text(state.last.Function)
		t := c.gone[name]
		if t == nil {
			t = newTotals()
			c.gone[name] = t
		}
		t.add(&state.last)
		t.oldFails += float64(state.last.GuardFails)
		delete(c.caches, id)
	}
}

// state is what is remembered of a function. The labels of entries begin with a
// number where functions share a name.
func (c *collector) state(name string, f *runtime.CacheStats) *cacheState {
	s := c.caches[f.ID]
	if s == nil {
		s = &cacheState{guards: map[int]map[string]bool{}}
		if n := c.named[name]; n > 0 {
			s.prefix = fmt.Sprintf("%d:", n)
		}
		c.named[name]++
		c.caches[f.ID] = s
	}
	s.last = *f
	return s
}

// maxGuards bounds the guards of an entry that have a series of their own: the
// first ones to fail. The others share one.
const maxGuards = 16

// entries sends the metrics of a function's entries and returns how often guards
// of evicted ones failed.
func (c *collector) entries(ch chan<- prometheus.Metric, name string, f *runtime.CacheStats) (past float64) {
	state := c.state(name, f)
	past = float64(f.GuardFails)
	live := map[int]bool{}
	for i := range f.Entries {
		e := &f.Entries[i]
		live[e.ID] = true
		label := state.prefix + fmt.Sprint(e.ID)
		lastUse.emit(ch, float64(e.LastUse.UnixMicro())/1e6, name, label)
		counts := state.byGuard(e)
		for _, g := range slices.Sorted(maps.Keys(counts)) {
			fails.emit(ch, counts[g], name, label, g)
			past -= counts[g]
		}
	}
	maps.DeleteFunc(state.guards, func(id int, _ map[string]bool) bool { return !live[id] })
	return past
}

// byGuard counts the failures of an entry by guard.
func (s *cacheState) byGuard(e *runtime.EntryStats) map[string]float64 {
	own := s.guards[e.ID]
	if own == nil {
		own = map[string]bool{}
		s.guards[e.ID] = own
	}
	counts := map[string]float64{}
	for _, g := range e.Failing {
		label := text(g.Guard)
		if !own[label] && len(own) == maxGuards {
			label = "other"
		} else {
			own[label] = true
		}
		counts[label] += float64(g.Fails)
	}
	return counts
}

// emit sends the metrics of the functions of one name.
func (t *totals) emit(ch chan<- prometheus.Metric, name string) {
	for _, f := range byFunction {
		f.emit(ch, t, name)
	}
	for _, route := range slices.Sorted(maps.Keys(t.routes)) {
		calls.emit(ch, t.routes[route], name, route)
	}
	for _, stage := range slices.Sorted(maps.Keys(t.stages)) {
		stages.emit(ch, t.stages[stage], name, stage)
	}
	if t.oldFails > 0 {
		fails.emit(ch, t.oldFails, name, "evicted", "")
	}
}

// emitProcess sends what is not of single functions.
func emitProcess(ch chan<- prometheus.Metric, s *runtime.Stats) {
	for _, f := range ofKernels {
		f.emit(ch, &s.Kernels)
	}
	lookups.emit(ch, s.Kernels.Hits, "hit")
	lookups.emit(ch, s.Kernels.Misses, "miss")
	for _, f := range ofArenas {
		f.emit(ch, &s.Arenas)
	}
	arenaBytes.emit(ch, s.Arenas.Lent, "lent")
	arenaBytes.emit(ch, s.Arenas.Idle, "idle")
	for _, d := range s.Devices {
		name := text(d.Device)
		deviceBytes.emit(ch, d.Lent, name, "lent")
		deviceBytes.emit(ch, d.Idle, name, "idle")
		deviceBytes.emit(ch, d.Tensors, name, "tensors")
	}
}

// maxText bounds a label, in bytes.
const maxText = 120

// text makes a label of any string.
func text(s string) string {
	s = strings.ToValidUTF8(s, "?")
	if len(s) <= maxText {
		return s
	}
	end := maxText - len("...")
	for !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + "..."
}
