package runtime

import (
	"context"
	"sync"
	"sync/atomic"

	"jitc/ir/call"
	"jitc/runtime/guard"
)

// differing is the differentiating subset of the live entries' guards, for the
// signatures admitted when it was made.
type differing struct {
	entries  []*Entry
	subset   *guard.Differ // nil: too many signatures, all guards run
	admitted int
	runs     atomic.Int64
}

// maxAdmitted bounds the signatures that the subset is proven for. Beyond it the
// subset cannot be proven and all guards run.
const maxAdmitted = 1 << 16

// admittedCalls are all signatures ever admitted to a live entry.
type admittedCalls struct {
	mu    sync.Mutex
	calls []admittedCall
	full  bool
}

type admittedCall struct {
	call  *call.Call
	entry *Entry
}

// admitted notes a new signature: a subset that does not know it, or that gives
// another entry for it, is no longer valid.
func (c *Cache) admitted(a *Admission, cl *call.Call) {
	c.signatures.mu.Lock()
	defer c.signatures.mu.Unlock()
	if len(c.signatures.calls) >= maxAdmitted {
		c.signatures.full = true
	} else {
		c.signatures.calls = append(c.signatures.calls, admittedCall{cl.Remember(), a.Entry})
	}
	if d := c.differ.Load(); d != nil && (d.subset == nil || d.choose(cl) != a.Entry) {
		c.differ.Store(nil)
	}
}

func (d *differing) choose(cl *call.Call) *Entry {
	if i := d.subset.Select(cl); i >= 0 {
		return d.entries[i]
	}
	return nil
}

// subset is the current differentiating subset, computed anew where entries or
// signatures have changed it.
func (c *Cache) subset() *differing {
	if d := c.differ.Load(); d != nil {
		return d
	}
	c.signatures.mu.Lock()
	defer c.signatures.mu.Unlock()
	if d := c.differ.Load(); d != nil {
		return d
	}
	live := c.live.Load()
	index := map[*Entry]int{}
	sets := make([]*guard.Set, len(live.entries))
	for i, e := range live.entries {
		index[e], sets[i] = i, e.Guards
	}
	kept := c.signatures.calls[:0]
	var admitted []guard.Admitted
	for _, s := range c.signatures.calls {
		if i, ok := index[s.entry]; ok { // those of evicted entries are new again
			kept = append(kept, s)
			admitted = append(admitted, guard.Admitted{Call: s.call, Set: i})
		}
	}
	clear(c.signatures.calls[len(kept):])
	c.signatures.calls = kept
	d := &differing{entries: live.entries, admitted: len(admitted)}
	if !c.signatures.full {
		d.subset = guard.Differentiate(sets, admitted)
	}
	c.differ.Store(d)
	return d
}

// differentiate selects by the differentiating guards alone.
func (c *Cache) differentiate(ctx context.Context, cl *call.Call, t Tracer, s *Stance, stripe uint32) (*Admission, error) {
	d := c.subset()
	if d.subset == nil || len(d.entries) == 0 {
		return c.missed(ctx, cl, t, s, stripe)
	}
	e := d.choose(cl)
	if e == nil {
		return c.missed(ctx, cl, t, s, stripe)
	}
	if s.Sample > 0 && d.runs.Add(1)%int64(s.Sample) == 0 && e.Guards.Check(cl) >= 0 {
		c.violated(e, cl, t)
		return c.missed(ctx, cl, t, s, stripe)
	}
	a, err := c.admissionFor(ctx, e, cl, t)
	if err != nil {
		return nil, err
	}
	if a == nil { // its sizes cannot even be read
		c.violated(e, cl, t)
		return c.missed(ctx, cl, t, s, stripe)
	}
	c.count(a, routeDiffer, stripe)
	return a, nil
}

// missed is a call whose differentiating guards say nothing known.
func (c *Cache) missed(ctx context.Context, cl *call.Call, t Tracer, s *Stance, stripe uint32) (*Admission, error) {
	switch s.OnMiss {
	case MissError:
		if len(c.live.Load().entries) > 0 {
			return nil, c.recompileError(cl, t, "the stance is differentiating with errors on a miss")
		}
	case MissFallBack:
		return c.noRecompile(ctx, cl, t, s, stripe)
	}
	return c.lookup(ctx, cl, t, stripe, c.make)
}

// violated counts a call that the differentiating guards let into an entry that
// its other guards refuse.
func (c *Cache) violated(e *Entry, cl *call.Call, t Tracer) {
	c.counts.violations.Add(0, 1)
	failed := e.Guards.Check(cl)
	if c.log == nil || failed < 0 {
		return
	}
	g, schema := &e.Guards.Guards[failed], t.Schema(cl)
	c.log.Warn("jitc: a call passed the differentiating guards of an entry that it does not fit", "function", c.name,
		"entry", e.ID, "guard", g.Text(e.Traced.Schema), "got", g.Got(cl, schema))
}

// admissionFor is the admission of a call to an entry that the differentiating
// guards chose: the entry's last one if its sizes are the call's. At other sizes
// all guards are looked at; nil if they refuse the call.
func (c *Cache) admissionFor(ctx context.Context, e *Entry, cl *call.Call, t Tracer) (*Admission, error) {
	if a := e.recent.Load(); a != nil && a.Recording != nil && len(cl.Tensors) == len(a.layouts) && a.sameSizes(cl) {
		return a, nil
	}
	if e.Guards.Check(cl) >= 0 {
		return nil, nil
	}
	a, err := c.admit(ctx, e, cl, t, true)
	if err == nil {
		e.recent.Store(a)
	}
	return a, err
}

// sameSizes reports whether the call's symbols have the admission's values.
func (a *Admission) sameSizes(cl *call.Call) bool {
	sources := a.Entry.Guards.Sources
	for i := range sources {
		if v, ok := sources[i].Value(cl); !ok || v != a.values[i] {
			return false
		}
	}
	return true
}
