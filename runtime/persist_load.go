package runtime

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"jitc/runtime/guard"
)

// Restored is an entry that is to be put into a Cache: a trace with its guards and
// what results look like, the sizes to make recordings for, and when it was used.
type Restored struct {
	Traced  *Traced
	Sizes   []map[string]int64
	LastUse time.Time
}

// Installed says what Install did.
type Installed struct {
	Entries    int      // put into the cache
	Known      int      // were there already
	Recordings int      // made
	Skipped    []string // entries, and why
}

// Dynamism is what was learned of the sizes and scalars of calls, in a stable order.
func (c *Cache) Dynamism() []Dynamism { return c.learned.export() }

// CheckDynamism reports what no cache can have learned.
func CheckDynamism(ds []Dynamism) error {
	for _, d := range ds {
		if d.Rank < 0 || d.Axis < -1 || d.Axis >= max(d.Rank, 1) || d.Since < 0 || d.Since > 1<<30 ||
			len(d.Values) == 0 || len(d.Values) > maxHistory {
			return fmt.Errorf("dynamism: axis %d of rank %d of %q with %d values is nothing that was learned", d.Axis, d.Rank, d.Path, len(d.Values))
		}
	}
	return nil
}

// Install compiles entries that were saved, makes their recordings, and puts them
// into the cache together with what was learned. t compiles. All or nothing: an
// error leaves the cache as it was. Entries beyond the cache's limit, the least
// recently used, are left out; no live entry goes for one. They count as neither
// misses nor recompiles.
func (c *Cache) Install(ctx context.Context, rs []Restored, ds []Dynamism, t Tracer) (*Installed, error) {
	if err := CheckDynamism(ds); err != nil {
		return nil, err
	}
	entries := make([]*Entry, len(rs))
	made, room := 0, c.limits.Recordings-c.recordings()
	for i, r := range rs {
		e, err := c.prepare(ctx, &r, t, room-made)
		if err != nil {
			return nil, fmt.Errorf("entry %d: %w", i, err)
		}
		entries[i] = e
		made += len(e.recordings)
	}
	if err := c.lock(ctx); err != nil {
		return nil, err
	}
	defer c.unlock()
	done := c.install(entries)
	c.learned.restore(ds)
	return done, nil
}

// prepare makes an entry, compiled and with at most so many recordings, that no
// call sees yet.
func (c *Cache) prepare(ctx context.Context, r *Restored, t Tracer, room int) (*Entry, error) {
	e := newEntry(c, r.Traced)
	e.Why = []string{"loaded"}
	used := r.LastUse
	if now := time.Now(); used.After(now) {
		used = now
	}
	e.touch(int64(used.Sub(c.epoch)))
	p, err := e.compile(ctx, t)
	if err != nil || p.Program == nil {
		return e, err
	}
	for i, sizes := range r.Sizes[:min(len(r.Sizes), max(room, 0))] {
		if err := e.checkSizes(sizes); err != nil {
			return nil, err
		}
		rec, err := e.record(p.Program, sizes)
		if err != nil {
			return nil, fmt.Errorf("sizes %s: %w", sizesKey(sizes), err)
		}
		rec.last.Store(e.last.Load() - int64(i)) // the first is the last used
	}
	return e, nil
}

// checkSizes asks that sizes are those of all symbols, and of no others.
func (e *Entry) checkSizes(sizes map[string]int64) error {
	want := maps.Clone(e.Traced.Preset)
	if want == nil {
		want = map[string]int64{}
	}
	for _, s := range e.Guards.Sources {
		want[s.Sym] = 0
	}
	syms := slices.Sorted(maps.Keys(want))
	if !slices.Equal(syms, slices.Sorted(maps.Keys(sizes))) {
		return fmt.Errorf("sizes: expected those of %v, got %s", syms, sizesKey(sizes))
	}
	return nil
}

// install makes prepared entries live. Under lock.
func (c *Cache) install(entries []*Entry) *Installed {
	c.mu.Lock()
	defer c.mu.Unlock()
	done := &Installed{}
	live := slices.Clone(c.live.Load().entries)
	known := map[string]*Entry{}
	for _, e := range live {
		known[e.identity()] = e
	}
	skip := c.beyond(entries, known, c.limits.Entries-len(live))
	for i, e := range entries {
		id := e.identity()
		switch old := known[id]; {
		case old != nil:
			done.Known++
		case skip[e]:
			done.Skipped = append(done.Skipped, fmt.Sprintf("entry %d: the function's limit is %d entries", i, c.limits.Entries))
		default:
			known[id] = e
			e.ID = c.made
			c.made++
			c.loaded++
			c.counts.loaded.Add(0, 1)
			done.Entries++
			done.Recordings += len(e.recordings)
			c.release(slices.Concat(e.Traced.Reals, e.Traced.Free))
			live = append(live, e)
		}
	}
	if done.Entries > 0 {
		c.publish(live)
	}
	return done
}

// beyond are the new entries for which there is no room: the least recently used.
func (c *Cache) beyond(entries []*Entry, known map[string]*Entry, room int) map[*Entry]bool {
	fresh := slices.DeleteFunc(slices.Clone(entries), func(e *Entry) bool { return known[e.identity()] != nil })
	slices.SortStableFunc(fresh, func(a, b *Entry) int { return cmp.Compare(b.last.Load(), a.last.Load()) })
	skip := map[*Entry]bool{}
	for _, e := range fresh[min(len(fresh), max(room, 0)):] {
		skip[e] = true
	}
	return skip
}

// identity is equal for entries that admit the same calls to the same trace.
func (e *Entry) identity() string {
	var b strings.Builder
	b.WriteString(e.Traced.F.String())
	for i := range e.Guards.Guards {
		g := &e.Guards.Guards[i]
		b.WriteString(demand(g) + "\n")
		if g.Kind == guard.Var {
			b.WriteString(g.Var.Name() + "\n")
		}
	}
	return b.String()
}
