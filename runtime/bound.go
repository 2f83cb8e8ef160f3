package runtime

import (
	"cmp"
	"maps"
	"slices"

	"jitc/runtime/guard"
)

// add makes an entry live, and evicts the least recently used beyond the limit.
// Under lock.
func (c *Cache) add(e *Entry) {
	e.ID = c.made
	c.made++
	e.touch(c.now())
	c.release(slices.Concat(e.Traced.Reals, e.Traced.Free))
	c.mu.Lock()
	entries := append(slices.Clone(c.live.Load().entries), e)
	for len(entries) > c.limits.Entries {
		entries = c.evict(entries, e)
	}
	c.publish(entries)
	c.mu.Unlock()
	c.recompiled(e)
}

// publish makes entries the live ones. Under mu.
func (c *Cache) publish(entries []*Entry) {
	sets := make([]*guard.Set, len(entries))
	for i, e := range entries {
		sets[i] = e.Guards
	}
	tree := guard.NewTree(sets)
	c.signatures.mu.Lock() // so that no subset of the old ones is stored after this
	defer c.signatures.mu.Unlock()
	c.live.Store(&liveEntries{entries: entries, tree: tree})
	c.differ.Store(nil)
}

// evict drops the least recently used entry but keep, and everything that refers
// to it: what runs holds it still, and then the collector has it. Under mu.
func (c *Cache) evict(entries []*Entry, keep *Entry) []*Entry {
	at := -1
	for i, e := range entries {
		if e != keep && (at < 0 || e.last.Load() < entries[at].last.Load()) {
			at = i
		}
	}
	old := entries[at]
	old.evicted.Store(true) // from here on, nobody leaves it in the memo, in last or among the signatures
	c.past.evicted.Add(0, 1)
	c.past.take(old)
	for _, n := range old.Guards.Fails() {
		c.past.fails.Add(0, n)
	}
	c.drop(func(a *Admission) bool { return a.Entry == old })
	c.signatures.forget(old)
	return slices.Delete(slices.Clone(entries), at, at+1)
}

// bound keeps signatures and recordings within their limits, least recently used
// out first, and makes some room, so that not every new one is a reason to look.
func (c *Cache) bound() {
	c.bounding.Lock()
	defer c.bounding.Unlock()
	if n := c.memo.Len(); n > c.limits.Signatures {
		c.dropSignatures(n - c.limits.Signatures + c.limits.Signatures/8)
	}
	if n := c.recordings(); n > c.limits.Recordings {
		c.dropRecordings(n - c.limits.Recordings + c.limits.Recordings/8)
	}
}

// dropSignatures drops the n least recently used, but never the last one.
func (c *Cache) dropSignatures(n int) {
	all := c.memo.All()
	slices.SortFunc(all, func(a, b *Admission) int { return cmp.Compare(a.lastUse(), b.lastUse()) })
	drop := map[*Admission]bool{}
	for _, a := range all[:min(n, max(len(all)-1, 0))] {
		drop[a] = true
	}
	c.drop(func(a *Admission) bool { return drop[a] })
}

// dropRecordings drops the n least recently used with their signatures, but never
// the last one.
func (c *Cache) dropRecordings(n int) {
	var all []*recorded
	for _, e := range c.live.Load().entries {
		all = append(all, e.recorded()...)
	}
	slices.SortFunc(all, func(a, b *recorded) int { return cmp.Compare(a.last.Load(), b.last.Load()) })
	drop := map[*recorded]bool{}
	for _, r := range all[:min(n, max(len(all)-1, 0))] {
		drop[r] = true
		r.entry.forget(r)
	}
	c.drop(func(a *Admission) bool { return drop[a.recorded] })
}

func (a *Admission) lastUse() int64 {
	if a.recorded != nil {
		return a.recorded.last.Load()
	}
	return a.Entry.last.Load()
}

// recordings counts those of all live entries.
func (c *Cache) recordings() (n int) {
	for _, e := range c.live.Load().entries {
		e.mu.Lock()
		n += len(e.recordings)
		e.mu.Unlock()
	}
	return n
}

// recorded lists the entry's recordings.
func (e *Entry) recorded() []*recorded {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Collect(maps.Values(e.recordings))
}

func (e *Entry) forget(r *recorded) {
	e.mu.Lock()
	if e.recordings[r.key] == r {
		delete(e.recordings, r.key)
	}
	e.mu.Unlock()
	if a := e.recent.Load(); a != nil && a.recorded == r {
		e.recent.CompareAndSwap(a, nil)
	}
}
