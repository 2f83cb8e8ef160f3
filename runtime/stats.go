package runtime

import (
	"encoding/json"
	"maps"
	"slices"
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
}

// pastEntries is what evicted entries counted. Under the cache's lock.
type pastEntries struct {
	evicted int64
	hits    Hits
}

func (p *pastEntries) add(e *Entry) {
	p.evicted++
	p.hits = p.hits.plus(e.hitCounts())
}

func (e *Entry) hitCounts() Hits {
	return Hits{e.hits[routeLast].Load(), e.hits[routeMemo].Load(), e.hits[routeTree].Load(), e.hits[routeDiffer].Load()}
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
	Code       int           `json:"code"`  // bytes of machine code
	Arena      int           `json:"arena"` // bytes that the largest recording's run takes of the shared arena
	LastUse    time.Time     `json:"last_use"`
}

// CacheStats counts what a Cache did since it was made, evicted entries
// included. Every call is one hit, one miss, or one evaluation by reference.
type CacheStats struct {
	Function   string        `json:"function"`
	Calls      int64         `json:"calls"`
	Hits       Hits          `json:"hits"`
	Misses     int64         `json:"misses"`     // calls that made an entry, or failed to
	Failed     int64         `json:"failed"`     // misses that failed
	Reference  int64         `json:"reference"`  // calls evaluated by reference
	Violations int64         `json:"violations"` // found by the sampled checks of differentiating calls
	Evicted    int64         `json:"evicted"`    // entries
	Signatures int           `json:"signatures"` // remembered now
	Recordings int           `json:"recordings"` // kept now
	Compile    time.Duration `json:"compile"`    // ns, live and evicted entries
	Recompiles []Recompile   `json:"recompiles"` // the newest, oldest first
	Entries    []EntryStats  `json:"entries"`    // live
}

// Stats returns the counts so far. With calls under way the parts may be a call
// apart; with none they add up.
func (c *Cache) Stats() CacheStats {
	c.building <- struct{}{}
	defer c.unlock()
	s := CacheStats{Function: c.name, Hits: c.past.hits, Misses: c.counts.misses.Load(), Failed: c.counts.failed.Load(),
		Reference: c.counts.reference.Load(), Violations: c.counts.violations.Load(), Evicted: c.past.evicted,
		Signatures: c.memo.Len(), Recompiles: c.events.list(), Compile: c.spent}
	for _, e := range c.live.Load().entries {
		es := e.stats(c)
		s.Entries = append(s.Entries, es)
		s.Hits = s.Hits.plus(es.Hits)
		s.Recordings += es.Recordings
	}
	s.Calls = s.Hits.Total() + s.Misses + s.Reference
	return s
}

func (e *Entry) stats(c *Cache) EntryStats {
	s := EntryStats{ID: e.ID, Guards: len(e.Guards.Guards), Hits: e.hitCounts(), Why: e.Why,
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
	slices.SortStableFunc(s.Failing, func(a, b GuardStats) int { return int(min(max(b.Fails-a.Fails, -1), 1)) })
	if p := e.program.Load(); p != nil {
		s.Compiled, s.Code = true, p.Code
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	s.Cost = e.cost
	for _, x := range s.Cost {
		s.Compile += x.Time
	}
	s.Recordings = len(e.recordings)
	for _, r := range e.recordings {
		s.Arena = max(s.Arena, r.rec.Arena+r.rec.Scratch)
	}
	return s
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
