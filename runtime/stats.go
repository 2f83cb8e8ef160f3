package runtime

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"
)

// route is how a call found its admission.
type route uint8

const (
	routeLast   route = iota // it was the last one
	routeMemo                // its signature was admitted before
	routeTree                // the guards admitted it
	routeDiffer              // the differentiating guards did
	numRoutes
)

// Hits count calls by how they found their entry.
type Hits struct {
	Last   int64 `json:"last"`   // same signature as the call before
	Memo   int64 `json:"memo"`   // signature admitted before
	Tree   int64 `json:"tree"`   // admitted by guards
	Differ int64 `json:"differ"` // by the differentiating guards alone
}

// Total is the sum.
func (h Hits) Total() int64 { return h.Last + h.Memo + h.Tree + h.Differ }

func (h Hits) plus(o Hits) Hits {
	return Hits{h.Last + o.Last, h.Memo + o.Memo, h.Tree + o.Tree, h.Differ + o.Differ}
}

// cacheCounts are the calls that no entry's hits count.
type cacheCounts struct {
	misses, failed, reference, violations Counter
	spent                                 Counter // ns, making entries
	made, again, loaded                   Counter // entries; again: where earlier ones would not do
	stages                                stageTimes
}

// stageTimes sums up what compilations took, by stage. Safe for concurrent use.
type stageTimes struct {
	mu  sync.Mutex
	sum []StageCost // in the order in which stages were met
}

func (t *stageTimes) add(costs []StageCost) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, c := range costs {
		i := slices.IndexFunc(t.sum, func(s StageCost) bool { return s.Stage == c.Stage })
		if i < 0 {
			i = len(t.sum)
			t.sum = append(t.sum, StageCost{Stage: c.Stage})
		}
		t.sum[i].Time += c.Time
	}
}

func (t *stageTimes) list() []StageCost {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.sum)
}

// pastEntries is what evicted entries counted.
type pastEntries struct {
	evicted Counter
	hits    routeCounts
	fails   Counter // of guards
}

// take adds what an evicted entry counted since it was taken last. A call that
// counts at the entry while it is being evicted sees that and takes its count here,
// so none is lost.
func (p *pastEntries) take(e *Entry) {
	for r := range e.hits {
		if n := e.hits[r].Take(); n != 0 {
			p.hits[r].Add(0, n)
		}
	}
}

// routeCounts count calls by route.
type routeCounts [numRoutes]Counter

func (c *routeCounts) load() Hits {
	return Hits{c[routeLast].Load(), c[routeMemo].Load(), c[routeTree].Load(), c[routeDiffer].Load()}
}

// GuardStats is a guard and how often it was the first to refuse a call.
type GuardStats struct {
	Guard string `json:"guard"`
	At    string `json:"at"` // position of what it rests on; may be empty
	Fails int64  `json:"fails"`
}

// EntryStats counts what happened to one entry.
type EntryStats struct {
	ID         int           `json:"id"`
	Params     []string      `json:"params"` // types: "f32[s0,784]"
	Guards     int           `json:"guards"`
	Compiled   bool          `json:"compiled"`
	Hits       Hits          `json:"hits"`
	Failing    []GuardStats  `json:"failing"` // guards that refused calls, most often first
	Why        []string      `json:"why"`     // why earlier entries would not do
	Cost       []StageCost   `json:"cost"`
	Compile    time.Duration `json:"compile"` // ns, the sum of Cost
	Recordings int           `json:"recordings"`
	Unrecorded string        `json:"unrecorded,omitempty"` // why a call is not one recording; empty if it is
	Code       int           `json:"code"`                 // bytes of machine code
	Arena      int           `json:"arena"`                // bytes that the largest recording's run takes of the host's shared arena
	LastUse    time.Time     `json:"last_use"`
	// Devices are the memory plans of the recording that needs most of devices, and
	// Batches what it gives to them at once.
	Devices []DevicePlan  `json:"devices,omitempty"`
	Batches []BatchReport `json:"batches,omitempty"`
}

// CacheStats counts what a Cache did since it was made, evicted entries
// included. Every call is one hit, one miss, or one evaluation by reference.
type CacheStats struct {
	ID         uint64        `json:"-"` // of the cache: unique in the process
	Function   string        `json:"function"`
	Calls      int64         `json:"calls"`
	Hits       Hits          `json:"hits"`
	Misses     int64         `json:"misses"`     // calls that made an entry, or failed
	Failed     int64         `json:"failed"`     // misses that got an error: none may be made, or it does not compile
	Reference  int64         `json:"reference"`  // calls evaluated by reference, for which no entry was made
	Violations int64         `json:"violations"` // found by the sampled checks of differentiating calls
	Made       int64         `json:"made"`       // entries traced and compiled
	Recompiled int64         `json:"recompiled"` // of these, those made because no earlier one would do
	Loaded     int64         `json:"loaded"`     // entries installed from a file
	Evicted    int64         `json:"evicted"`    // entries
	GuardFails int64         `json:"guard_fails"`
	Signatures int           `json:"signatures"` // remembered now
	Recordings int           `json:"recordings"` // kept now
	Compile    time.Duration `json:"compile"`    // ns, live and evicted entries
	Stages     []StageCost   `json:"stages"`     // the same by stage
	Recompiles []Recompile   `json:"recompiles"` // the newest, oldest first
	Entries    []EntryStats  `json:"entries"`    // live
}

// Stats returns the counts so far. With calls under way the parts may be a call
// apart; with none they add up.
func (c *Cache) Stats() CacheStats {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := CacheStats{ID: c.id, Function: c.name, Hits: c.past.hits.load(), Misses: c.counts.misses.Load(), Failed: c.counts.failed.Load(),
		Reference: c.counts.reference.Load(), Violations: c.counts.violations.Load(), Evicted: c.past.evicted.Load(),
		Signatures: c.memo.Len(), Recompiles: c.events.list(), Compile: time.Duration(c.counts.spent.Load()),
		Made: c.counts.made.Load(), Recompiled: c.counts.again.Load(), Loaded: c.counts.loaded.Load(), GuardFails: c.past.fails.Load(),
		Stages: c.counts.stages.list()}
	for _, e := range c.live.Load().entries {
		es := e.stats(c)
		s.Entries = append(s.Entries, es)
		s.Hits = s.Hits.plus(es.Hits)
		s.Recordings += es.Recordings
		for _, g := range es.Failing {
			s.GuardFails += g.Fails
		}
	}
	s.Calls = s.Hits.Total() + s.Misses + s.Reference
	return s
}

func (e *Entry) stats(c *Cache) EntryStats {
	s := EntryStats{ID: e.ID, Guards: len(e.Guards.Guards), Hits: e.hits.load(), Why: slices.Clone(e.Why),
		LastUse: c.epoch.Add(time.Duration(e.last.Load())).Round(0)}
	for _, p := range e.Traced.F.Params {
		s.Params = append(s.Params, p.Type.String())
	}
	for i, n := range e.Guards.Fails() {
		if g := &e.Guards.Guards[i]; n > 0 {
			at := ""
			if g.Pos.IsKnown() {
				at = g.Pos.String()
			}
			s.Failing = append(s.Failing, GuardStats{g.Text(e.Traced.Schema), at, n})
		}
	}
	slices.SortStableFunc(s.Failing, func(a, b GuardStats) int { return cmp.Compare(b.Fails, a.Fails) })
	if p := e.program.Load(); p != nil {
		s.Compiled, s.Code = true, p.Code
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	s.Cost = slices.Clone(e.cost)
	for _, x := range s.Cost {
		s.Compile += x.Time
	}
	s.Recordings = len(e.recordings)
	most := -1
	for _, r := range e.recordings {
		s.Arena = max(s.Arena, r.rec.Arena+r.rec.Scratch)
		if n := r.rec.onDevices(); n > most {
			most, s.Devices, s.Batches = n, r.rec.Devices(), r.rec.Batches()
		}
	}
	e.unrecorded(&s)
	return s
}

// unrecorded says why calls of the entry are not one recording, where that is so.
func (e *Entry) unrecorded(s *EntryStats) {
	p := e.program.Load()
	switch {
	case p == nil:
		s.Unrecorded = "it is not compiled: its trace is evaluated"
	case p.Chain != nil:
		segments := p.Chain.Stats()
		s.Unrecorded = fmt.Sprintf("data decides sizes: each of %d segments is recorded by itself", len(segments))
		for _, x := range segments {
			s.Recordings += x.Recordings
			s.Arena = max(s.Arena, x.Bytes)
		}
	}
}

// String is the statistics as JSON.
func (s CacheStats) String() string {
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// Sizes lists the sizes that the entry has recordings for.
func (e *Entry) Sizes() []map[string]int64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	var out []map[string]int64
	for _, k := range slices.Sorted(maps.Keys(e.recordings)) {
		out = append(out, maps.Clone(e.recordings[k].rec.Sizes))
	}
	return out
}

// Stats are the statistics of an engine.
type Stats struct {
	Functions []CacheStats `json:"functions"` // of those in use, in the order in which they were made
	Kernels   KernelStats  `json:"kernels"`
	Arenas    ArenaStats   `json:"arenas"` // of the process
	// Devices are the arenas of the process on each device.
	Devices []DeviceArena `json:"devices,omitempty"`
}
