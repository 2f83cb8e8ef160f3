package runtime

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"jitc/ir/call"
	"jitc/runtime/guard"
)

// Resolve finds or makes the admission of a call that Hit did not find, as its
// stance wants. A call that gets an error is counted as a miss that failed.
func (c *Cache) Resolve(ctx context.Context, cl *call.Call, t Tracer, stripe uint32) (*Admission, error) {
	a, err := c.resolve(ctx, cl, t, stripe)
	if err != nil {
		c.counts.misses.Add(stripe, 1)
		c.counts.failed.Add(stripe, 1)
	}
	return a, err
}

func (c *Cache) resolve(ctx context.Context, cl *call.Call, t Tracer, stripe uint32) (*Admission, error) {
	s := c.stanceFor(ctx)
	if s == nil {
		s = &Stance{}
	}
	if int(s.Mode) >= len(resolvers) {
		return nil, fmt.Errorf("@%s: unknown stance %s", c.name, s.Mode)
	}
	if !complete(cl) {
		return nil, fmt.Errorf("@%s: %w", c.name, nilTensor(cl, t.Schema(cl)))
	}
	return resolvers[s.Mode](c, &request{ctx: ctx, call: cl, tracer: t, stance: s, stripe: stripe})
}

// request is a call that wants an admission.
type request struct {
	ctx    context.Context
	call   *call.Call
	tracer Tracer
	stance *Stance
	stripe uint32
}

// resolvers are what the modes do; each row is one.
var resolvers = [...]func(*Cache, *request) (*Admission, error){
	ModeDefault:          func(c *Cache, r *request) (*Admission, error) { return c.lookup(r, c.make) },
	ModeReference:        (*Cache).byReference,
	ModeNoRecompile:      (*Cache).noRecompile,
	ModeFailOnRecompile:  (*Cache).failOnRecompile,
	ModeEagerThenCompile: func(c *Cache, r *request) (*Admission, error) { return c.lookup(r, c.makeEager) },
	ModeDifferentiating:  (*Cache).differentiate,
}

// noRecompile evaluates by reference what no entry admits, once there is one.
func (c *Cache) noRecompile(r *request) (*Admission, error) {
	return c.lookup(r, c.onlyFirst(c.evaluate))
}

// failOnRecompile refuses what no entry admits, once there is one.
func (c *Cache) failOnRecompile(r *request) (*Admission, error) {
	return c.lookup(r, c.onlyFirst(func(r *request) (*Admission, error) {
		return nil, c.recompileError(r, "the stance is "+r.stance.Mode.String())
	}))
}

// maker makes an admission where no entry admits the call.
type maker func(*request) (*Admission, error)

// lookup runs the lookup: last, memo, tree; then orElse.
func (c *Cache) lookup(r *request, orElse maker) (*Admission, error) {
	if a := c.hit(r.call, r.stripe); a != nil {
		return a, nil
	}
	if e := c.choose(r.call); e != nil {
		return c.admitTree(e, r)
	}
	c.refuse(r.call)
	return orElse(r)
}

// refuse counts, for each live entry, a guard that the call fails.
func (c *Cache) refuse(cl *call.Call) {
	for _, e := range c.live.Load().entries {
		e.Guards.Check(cl)
	}
}

// choose is the entry that the tree gives for a call, nil if none admits it.
func (c *Cache) choose(cl *call.Call) *Entry {
	live := c.live.Load()
	if i := live.tree.Select(cl); i >= 0 {
		return live.entries[i]
	}
	return nil
}

func (c *Cache) admitTree(e *Entry, r *request) (*Admission, error) {
	a, err := c.admit(r.ctx, e, r.call, r.tracer, true)
	if err != nil {
		return nil, err
	}
	c.count(a, routeTree, r.stripe)
	return a, nil
}

// onlyFirst makes the first entry, and does otherwise once there is one.
func (c *Cache) onlyFirst(otherwise maker) maker {
	return func(r *request) (*Admission, error) {
		if len(c.live.Load().entries) == 0 {
			return c.make(r)
		}
		return otherwise(r)
	}
}

// make traces, compiles and admits.
func (c *Cache) make(r *request) (*Admission, error) {
	return c.alone(r, func() (*Admission, error) {
		e, err := c.trace(r)
		if err != nil {
			return nil, err
		}
		if _, err := e.compile(r.ctx, r.tracer); err != nil {
			return nil, err
		}
		c.add(e)
		a, err := c.admit(r.ctx, e, r.call, r.tracer, true)
		if err == nil {
			c.counts.misses.Add(r.stripe, 1)
		}
		return a, err
	})
}

// makeEager makes an entry that is compiled at the second call it admits, and
// evaluates this one.
func (c *Cache) makeEager(r *request) (*Admission, error) {
	return c.alone(r, func() (*Admission, error) {
		e, err := c.trace(r)
		if err != nil {
			return nil, err
		}
		c.add(e)
		a, err := c.admit(r.ctx, e, r.call, r.tracer, false)
		if err == nil {
			c.counts.misses.Add(r.stripe, 1)
		}
		return a, err
	})
}

// alone lets one goroutine at a time make entries: the second of two that ask for
// the same finds the first one's.
func (c *Cache) alone(r *request, build func() (*Admission, error)) (*Admission, error) {
	a, limit, err := c.underLock(r, build)
	if limit != "" {
		return c.exceeded(r, limit)
	}
	return a, err
}

// underLock calls build under the lock, unless there is an entry by now or a limit
// is reached, which it tells.
func (c *Cache) underLock(r *request, build func() (*Admission, error)) (a *Admission, limit string, err error) {
	if err := c.lock(r.ctx); err != nil {
		return nil, "", err
	}
	defer c.unlock()
	if e := c.choose(r.call); e != nil {
		a, err = c.admitTree(e, r)
		return a, "", err
	}
	if limit = c.overLimit(); limit != "" {
		return nil, limit, nil
	}
	if a, err = build(); err != nil && c.limits.OnLimit != LimitIgnore { // which takes none
		c.budget.put()
	}
	return a, "", err
}

// lock waits until nobody else makes entries, or ctx ends.
func (c *Cache) lock(ctx context.Context) error {
	select {
	case c.building <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *Cache) unlock() { <-c.building }

// retraces bounds how often a trace is made again because a guarded global changed
// while it was made.
const retraces = 8

// trace makes an entry that admits the call and is not compiled yet. Under lock.
func (c *Cache) trace(r *request) (*Entry, error) {
	for range retraces {
		e, err := c.traceOnce(r)
		if err != nil {
			return nil, err
		}
		failed := e.Guards.FirstFailing(r.call)
		if failed < 0 {
			return e, nil
		}
		if g := &e.Guards.Guards[failed]; g.Kind != guard.Var {
			panic(fmt.Sprintf("BUG: runtime: the new entry refuses the call it was traced for: %s, but %s",
				g.Text(e.Traced.Schema), g.Got(r.call, e.Traced.Schema)))
		}
	}
	return nil, fmt.Errorf("@%s: a guarded global changed during each of %d traces: set it less often", c.name, retraces)
}

func (c *Cache) traceOnce(r *request) (*Entry, error) {
	start := time.Now()
	schema := r.tracer.Schema(r.call)
	spec, err := c.learned.observe(r.call, schema)
	if err != nil {
		return nil, err
	}
	why := c.reasons(r.call, schema)
	tr, err := r.tracer.Trace(r.ctx, r.call, spec)
	if err != nil {
		return nil, err
	}
	e := newEntry(c, tr)
	e.Why, e.cost, e.tracing = why, tr.Cost, time.Since(start)
	return e, nil
}

// newEntry is an entry that is not live.
func newEntry(c *Cache, tr *Traced) *Entry {
	e := &Entry{ID: -1, Traced: tr, Guards: guard.NewSet(tr.Guards, tr.Sources), cache: c,
		building: make(chan struct{}, 1), recordings: map[string]*recorded{}}
	for i := range e.Guards.Guards {
		if g := &e.Guards.Guards[i]; g.Kind == guard.Var {
			e.vars = append(e.vars, g)
		}
	}
	return e
}

// overLimit names the limit that one more entry exceeds: Limits.Recompiles or the
// shared budget; empty if there is none, and then one of the budget is taken for
// it. Under lock.
func (c *Cache) overLimit() string {
	switch {
	case c.limits.OnLimit == LimitIgnore:
	case c.made-c.loaded >= c.limits.Recompiles:
		return fmt.Sprintf("the limit of %d compilations of @%s", c.limits.Recompiles, c.name)
	case !c.budget.take():
		return fmt.Sprintf("the limit of %d compilations of all functions", c.budget.limit)
	}
	return ""
}

// exceeded is what becomes of a call that needs one entry too many.
func (c *Cache) exceeded(r *request, limit string) (*Admission, error) {
	if c.limits.OnLimit == LimitError {
		return nil, c.recompileError(r, limit+" is reached")
	}
	if c.log != nil && c.warned.CompareAndSwap(false, true) {
		c.log.Warn("jitc: "+limit+" is reached: calls that no entry admits are evaluated by reference, which is slow",
			"function", c.name, "reason", strings.Join(c.reasons(r.call, r.tracer.Schema(r.call)), "; "))
	}
	return c.evaluate(r)
}

// byReference admits a call to an entry that is evaluated, not compiled.
func (c *Cache) byReference(r *request) (*Admission, error) {
	e := c.choose(r.call)
	if e == nil {
		return c.evaluate(r)
	}
	a, err := c.admit(r.ctx, e, r.call, r.tracer, false)
	if err == nil {
		c.counts.reference.Add(r.stripe, 1)
	}
	return a, err
}

// evaluate traces a call for this once.
func (c *Cache) evaluate(r *request) (*Admission, error) {
	schema := r.tracer.Schema(r.call)
	if err := c.learned.check(placesOf(r.call, schema)); err != nil {
		return nil, err
	}
	tr, err := r.tracer.Trace(r.ctx, r.call, constantSpec(r.call, schema))
	if err != nil {
		return nil, err
	}
	a, err := c.admit(r.ctx, newEntry(c, tr), r.call, r.tracer, false)
	if err == nil {
		c.counts.reference.Add(r.stripe, 1)
	}
	return a, err
}

// Budget bounds the recompiles of several functions together. Safe for
// concurrent use; nil is no bound.
type Budget struct {
	limit int64
	spent atomic.Int64
}

// NewBudget returns a budget of so many compilations; below 1 is no bound.
func NewBudget(n int) *Budget { return &Budget{limit: int64(n)} }

// put gives back what take took for an entry that was not made.
func (b *Budget) put() {
	if b != nil && b.limit >= 1 {
		b.spent.Add(-1)
	}
}

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
