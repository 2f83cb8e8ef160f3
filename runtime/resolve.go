package runtime

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"jitc/ir/call"
	"jitc/runtime/guard"
)

// Resolve finds or makes the admission of a call that Hit did not find, as its
// stance wants.
func (c *Cache) Resolve(ctx context.Context, cl *call.Call, t Tracer, stripe uint32) (*Admission, error) {
	s := c.stanceFor(ctx)
	if s == nil {
		s = &Stance{}
	}
	if !complete(cl) {
		return nil, nilTensor(cl, t.Schema(cl))
	}
	return resolvers[s.Mode](c, ctx, cl, t, s, stripe)
}

// resolvers are what the modes do; each row is one.
var resolvers = [...]func(c *Cache, ctx context.Context, cl *call.Call, t Tracer, s *Stance, stripe uint32) (*Admission, error){
	ModeDefault: func(c *Cache, ctx context.Context, cl *call.Call, t Tracer, _ *Stance, stripe uint32) (*Admission, error) {
		return c.lookup(ctx, cl, t, stripe, c.make)
	},
	ModeReference: (*Cache).byReference,
	ModeNoRecompile: (*Cache).noRecompile,
	ModeFailOnRecompile: func(c *Cache, ctx context.Context, cl *call.Call, t Tracer, _ *Stance, stripe uint32) (*Admission, error) {
		return c.lookup(ctx, cl, t, stripe, c.onlyFirst(func() (*Admission, error) {
			return nil, c.recompileError(cl, t, "the stance is fail-on-recompile")
		}))
	},
	ModeEagerThenCompile: (*Cache).eagerThenCompile,
	ModeDifferentiating:  (*Cache).differentiate,
}

// noRecompile evaluates by reference what no entry admits, once there is one.
func (c *Cache) noRecompile(ctx context.Context, cl *call.Call, t Tracer, s *Stance, stripe uint32) (*Admission, error) {
	return c.lookup(ctx, cl, t, stripe, c.onlyFirst(func() (*Admission, error) { return c.byReference(ctx, cl, t, s, stripe) }))
}

// maker makes an admission where no entry admits the call.
type maker func(ctx context.Context, cl *call.Call, t Tracer, stripe uint32) (*Admission, error)

// lookup runs the lookup: last, memo, tree; then orElse.
func (c *Cache) lookup(ctx context.Context, cl *call.Call, t Tracer, stripe uint32, orElse maker) (*Admission, error) {
	if a := c.hit(cl, stripe); a != nil {
		return a, nil
	}
	if e := c.choose(cl); e != nil {
		return c.admitTree(ctx, e, cl, t, stripe)
	}
	return orElse(ctx, cl, t, stripe)
}

// choose is the entry that the tree gives for a call, nil if none admits it.
func (c *Cache) choose(cl *call.Call) *Entry {
	live := c.live.Load()
	if i := live.tree.Select(cl); i >= 0 {
		return live.entries[i]
	}
	return nil
}

func (c *Cache) admitTree(ctx context.Context, e *Entry, cl *call.Call, t Tracer, stripe uint32) (*Admission, error) {
	a, err := c.admit(ctx, e, cl, t, true)
	if err != nil {
		return nil, err
	}
	c.count(a, routeTree, stripe)
	return a, nil
}

// onlyFirst makes the first entry, and does otherwise once there is one.
func (c *Cache) onlyFirst(otherwise func() (*Admission, error)) maker {
	return func(ctx context.Context, cl *call.Call, t Tracer, stripe uint32) (*Admission, error) {
		if len(c.live.Load().entries) == 0 {
			return c.make(ctx, cl, t, stripe)
		}
		return otherwise()
	}
}

// make traces, compiles and admits. One goroutine at a time: the second of two
// that ask for the same finds the first one's entry.
func (c *Cache) make(ctx context.Context, cl *call.Call, t Tracer, stripe uint32) (*Admission, error) {
	if err := c.lock(ctx); err != nil {
		return nil, err
	}
	defer c.unlock()
	if e := c.choose(cl); e != nil {
		return c.admitTree(ctx, e, cl, t, stripe)
	}
	if a, err, over := c.overLimit(ctx, cl, t, stripe); over {
		return a, err
	}
	start := time.Now()
	e, err := c.trace(ctx, cl, t)
	if err == nil {
		var a *Admission
		if a, err = c.admitNew(ctx, e, cl, t); err == nil {
			c.counts.misses.Add(stripe, 1)
			c.recompiled(e, time.Since(start))
			return a, nil
		}
	}
	c.counts.misses.Add(stripe, 1)
	c.counts.failed.Add(stripe, 1)
	return nil, err
}

// admitNew compiles an entry, and only then shows it to other calls.
func (c *Cache) admitNew(ctx context.Context, e *Entry, cl *call.Call, t Tracer) (*Admission, error) {
	if failed := e.Guards.Check(cl); failed >= 0 {
		g := &e.Guards.Guards[failed]
		return nil, fmt.Errorf("BUG: runtime: the new entry refuses the call it was traced for: %s, but %s",
			g.Text(e.Traced.Schema), g.Got(cl, e.Traced.Schema))
	}
	if _, err := e.compile(ctx, t); err != nil {
		return nil, err
	}
	c.add(e)
	return c.admit(ctx, e, cl, t, true)
}

func (c *Cache) lock(ctx context.Context) error {
	select {
	case c.building <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *Cache) unlock() { <-c.building }

// trace makes an entry that is not compiled yet. Under lock.
func (c *Cache) trace(ctx context.Context, cl *call.Call, t Tracer) (*Entry, error) {
	schema := t.Schema(cl)
	spec, err := c.learned.observe(cl, schema)
	if err != nil {
		return nil, err
	}
	why := c.reasons(cl, schema)
	tr, err := t.Trace(ctx, cl, spec)
	if err != nil {
		return nil, err
	}
	e := &Entry{ID: c.made, Traced: tr, Guards: guard.NewSet(tr.Guards, tr.Sources), Why: why, cache: c,
		building: make(chan struct{}, 1), recordings: map[string]*recorded{}, cost: tr.Cost}
	for i := range e.Guards.Guards {
		if g := &e.Guards.Guards[i]; g.Kind == guard.Var {
			e.vars = append(e.vars, g)
		}
	}
	c.release(slices.Concat(tr.Reals, tr.Free))
	e.last.Store(int64(time.Since(c.epoch)))
	c.made++
	return e, nil
}

// add makes an entry live, and evicts the least recently used beyond the limit.
// Under lock.
func (c *Cache) add(e *Entry) {
	entries := append(slices.Clone(c.live.Load().entries), e)
	for len(entries) > c.limits.Entries {
		entries = c.evict(entries, e)
	}
	c.publish(entries)
}

// publish makes entries the live ones.
func (c *Cache) publish(entries []*Entry) {
	sets := make([]*guard.Set, len(entries))
	for i, e := range entries {
		sets[i] = e.Guards
	}
	c.live.Store(&liveEntries{entries: entries, tree: guard.NewTree(sets)})
	c.differ.Store(nil)
}

// evict drops the least recently used entry but keep, and everything that refers
// to it: what runs holds it still, and then the collector has it.
func (c *Cache) evict(entries []*Entry, keep *Entry) []*Entry {
	at := -1
	for i, e := range entries {
		if e != keep && (at < 0 || e.last.Load() < entries[at].last.Load()) {
			at = i
		}
	}
	old := entries[at]
	old.evicted.Store(true)
	c.past.add(old)
	for _, a := range c.memo.All() {
		if a.Entry == old {
			c.memo.Delete(a.hash, a)
		}
	}
	if a := c.last.Load(); a != nil && a.Entry == old {
		c.last.CompareAndSwap(a, nil)
	}
	return slices.Delete(slices.Clone(entries), at, at+1)
}

// overLimit applies Limits.Recompiles and the shared budget to a call that needs
// a new entry. Under lock.
func (c *Cache) overLimit(ctx context.Context, cl *call.Call, t Tracer, stripe uint32) (*Admission, error, bool) {
	which := ""
	switch {
	case c.limits.OnLimit == LimitIgnore:
	case c.made >= c.limits.Recompiles:
		which = fmt.Sprintf("the limit of %d compilations of @%s", c.limits.Recompiles, c.name)
	case !c.budget.take():
		which = fmt.Sprintf("the limit of %d compilations of all functions", c.budget.limit)
	}
	if which == "" {
		return nil, nil, false
	}
	if c.limits.OnLimit == LimitError {
		return nil, c.recompileError(cl, t, which+" is reached"), true
	}
	if c.log != nil && c.warned.CompareAndSwap(false, true) {
		c.log.Warn("jitc: "+which+" is reached: calls that no entry admits are evaluated by reference, which is slow",
			"function", c.name, "reason", strings.Join(c.reasons(cl, t.Schema(cl)), "; "))
	}
	a, err := c.evaluate(ctx, cl, t, stripe)
	return a, err, true
}

// byReference admits a call to an entry that is evaluated, not compiled.
func (c *Cache) byReference(ctx context.Context, cl *call.Call, t Tracer, _ *Stance, stripe uint32) (*Admission, error) {
	if e := c.choose(cl); e != nil {
		c.counts.reference.Add(stripe, 1)
		return c.admit(ctx, e, cl, t, false)
	}
	if err := c.lock(ctx); err != nil {
		return nil, err
	}
	defer c.unlock()
	return c.evaluate(ctx, cl, t, stripe)
}

// evaluate traces a call for this once. Under lock.
func (c *Cache) evaluate(ctx context.Context, cl *call.Call, t Tracer, stripe uint32) (*Admission, error) {
	schema := t.Schema(cl)
	tr, err := t.Trace(ctx, cl, constantSpec(cl, schema))
	if err != nil {
		return nil, err
	}
	c.counts.reference.Add(stripe, 1)
	e := &Entry{ID: -1, Traced: tr, Guards: guard.NewSet(tr.Guards, tr.Sources), cache: c}
	return c.admit(ctx, e, cl, t, false)
}

// eagerThenCompile evaluates the first call of an entry, and compiles at the second.
func (c *Cache) eagerThenCompile(ctx context.Context, cl *call.Call, t Tracer, _ *Stance, stripe uint32) (*Admission, error) {
	return c.lookup(ctx, cl, t, stripe, func(ctx context.Context, cl *call.Call, t Tracer, stripe uint32) (*Admission, error) {
		if err := c.lock(ctx); err != nil {
			return nil, err
		}
		defer c.unlock()
		if e := c.choose(cl); e != nil {
			return c.admitTree(ctx, e, cl, t, stripe)
		}
		if a, err, over := c.overLimit(ctx, cl, t, stripe); over {
			return a, err
		}
		start := time.Now()
		c.counts.misses.Add(stripe, 1)
		e, err := c.trace(ctx, cl, t)
		if err != nil {
			c.counts.failed.Add(stripe, 1)
			return nil, err
		}
		c.add(e)
		c.recompiled(e, time.Since(start))
		c.counts.reference.Add(stripe, 1)
		return c.admit(ctx, e, cl, t, false)
	})
}

// bound keeps signatures and recordings within their limits, least recently used
// out first.
func (c *Cache) bound() {
	if n := c.memo.Len(); n <= c.limits.Signatures && c.recordings() <= c.limits.Recordings {
		return
	}
	all := c.memo.All()
	slices.SortFunc(all, func(a, b *Admission) int { return int(min(max(a.lastUse()-b.lastUse(), -1), 1)) })
	drop := max(len(all)-c.limits.Signatures, 0)
	for i, a := range all[:max(len(all)-1, 0)] {
		if i >= drop && c.recordings() <= c.limits.Recordings {
			return
		}
		c.memo.Delete(a.hash, a)
		c.last.CompareAndSwap(a, nil)
		if r := a.recorded; r != nil && !slices.ContainsFunc(all[i+1:], func(b *Admission) bool { return b.recorded == r }) {
			r.entry.forget(r)
		}
	}
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

func (e *Entry) forget(r *recorded) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.recordings[r.key] == r {
		delete(e.recordings, r.key)
	}
}

// Budget bounds the recompiles of several functions together. Safe for
// concurrent use; nil is no bound.
type Budget struct {
	limit int64
	spent atomic.Int64
}

// NewBudget returns a budget of so many compilations; below 1 is no bound.
func NewBudget(n int) *Budget { return &Budget{limit: int64(n)} }

func (b *Budget) take() bool {
	if b == nil || b.limit < 1 {
		return true
	}
	if b.spent.Add(1) > b.limit {
		b.spent.Add(-1)
		return false
	}
	return true
}
