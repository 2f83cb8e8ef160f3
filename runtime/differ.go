package runtime

import (
	"context"
	"errors"
	"maps"
	"slices"
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

// The signatures that the subset is proven for are bounded in number and in the
// layouts and constants that they hold. Beyond that the subset cannot be proven
// and all guards run.
const (
	maxAdmitted      = 1 << 16
	maxAdmittedWords = 1 << 21
)

// admittedCalls are all signatures ever admitted to a live entry, each once.
type admittedCalls struct {
	mu     sync.Mutex
	byHash map[uint64][]admittedCall
	n      int
	words  int
	full   bool
}

type admittedCall struct {
	call  *call.Call
	entry *Entry
}

// add notes a signature, unless it is known. Under mu.
func (s *admittedCalls) add(e *Entry, cl *call.Call) {
	h := hashCall(cl, nil)
	for _, known := range s.byHash[h] {
		if known.entry == e && sameSignature(known.call, cl) {
			return
		}
	}
	words := cl.NumTensors() + 2*cl.NumConsts()
	if s.n >= maxAdmitted || s.words+words > maxAdmittedWords {
		s.full = true
		return
	}
	if s.byHash == nil {
		s.byHash = map[uint64][]admittedCall{}
	}
	s.byHash[h] = append(s.byHash[h], admittedCall{cl.Remember(), e})
	s.n, s.words = s.n+1, s.words+words
}

func sameSignature(known, cl *call.Call) bool {
	if len(known.Layouts) != cl.NumTensors() || len(known.Consts) != cl.NumConsts() {
		return false
	}
	for i, l := range known.Layouts {
		if cl.Layout(i) != l {
			return false
		}
	}
	for i, c := range known.Consts {
		if now, _ := cl.Const(i); now != c {
			return false
		}
	}
	return true
}

// forget drops the signatures of an entry: they are new again.
func (s *admittedCalls) forget(e *Entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for h, calls := range s.byHash {
		kept := slices.DeleteFunc(calls, func(a admittedCall) bool {
			if a.entry == e {
				s.n, s.words = s.n-1, s.words-len(a.call.Layouts)-2*len(a.call.Consts)
			}
			return a.entry == e
		})
		if s.byHash[h] = kept; len(kept) == 0 {
			delete(s.byHash, h)
		}
	}
}

// admitted notes a new signature: a subset that does not know it, or that gives
// another entry for it, is no longer valid.
func (c *Cache) admitted(a *Admission, cl *call.Call) {
	c.signatures.mu.Lock()
	defer c.signatures.mu.Unlock()
	if a.Entry.evicted.Load() {
		return
	}
	c.signatures.add(a.Entry, cl)
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
	var admitted []guard.Admitted
	for _, h := range slices.Sorted(maps.Keys(c.signatures.byHash)) {
		for _, s := range c.signatures.byHash[h] {
			if i, live := index[s.entry]; live { // an entry may be on its way in or out
				admitted = append(admitted, guard.Admitted{Call: s.call, Set: i})
			}
		}
	}
	d := &differing{entries: live.entries, admitted: len(admitted)}
	if !c.signatures.full {
		d.subset = guard.Differentiate(sets, admitted)
	}
	c.differ.Store(d)
	return d
}

// hitDiffering selects by the differentiating guards alone, if that takes no more
// than the admission at hand. Every so many calls, as the stance says, it leaves
// the choice to Resolve, which checks it.
func (c *Cache) hitDiffering(cl *call.Call, s *Stance, stripe uint32) *Admission {
	d := c.differ.Load()
	if d == nil {
		return nil
	}
	if d.subset == nil {
		return c.hit(cl, stripe)
	}
	e := d.choose(cl)
	if e == nil || s.Sample > 0 && d.runs.Add(1)%int64(s.Sample) == 0 {
		return nil
	}
	a := c.admissionFor(e, cl)
	if a != nil {
		c.count(a, routeDiffer, stripe)
	}
	return a
}

// admissionFor is the admission of a call to an entry that the differentiating
// guards chose, if there is one: the entry's last one if its sizes are the call's,
// else that of the signature.
func (c *Cache) admissionFor(e *Entry, cl *call.Call) *Admission {
	if a := e.recent.Load(); a != nil && len(cl.Tensors) == len(a.layouts) && a.sameSizes(cl) {
		return a
	}
	a := c.recall(cl)
	if a == nil || a.Entry != e {
		return nil
	}
	c.recently(a)
	return a
}

// recently makes an admission the one to try first of its entry.
func (c *Cache) recently(a *Admission) {
	if a.Recording == nil || a.padding != nil { // the run would not find arguments of other types
		return
	}
	a.Entry.recent.Store(a)
}

// differentiate selects by the differentiating guards alone. At sizes that its
// entry has not run at, all guards of the entry are looked at, and those of the
// calls that are sampled.
func (c *Cache) differentiate(r *request) (*Admission, error) {
	d := c.subset()
	if d.subset == nil {
		return c.lookup(r, c.onMiss(r.stance))
	}
	e := d.choose(r.call)
	if e == nil {
		return c.missed(r)
	}
	if e.Guards.Check(r.call) >= 0 {
		c.violated(e, r)
		return c.missed(r)
	}
	a := c.admissionFor(e, r.call)
	if a == nil {
		var err error
		if a, err = c.admit(r.ctx, e, r.call, r.tracer, true); err != nil {
			return nil, err
		}
		c.recently(a)
	}
	c.count(a, routeDiffer, r.stripe)
	return a, nil
}

// Reconsider is Resolve for a call whose admission, by the differentiating guards,
// was found wrong when it was to run: its tensors are of other types. err is the
// error of the run; ok is false if it says something else.
func (c *Cache) Reconsider(ctx context.Context, a *Admission, err error, cl *call.Call, t Tracer, stripe uint32) (_ *Admission, _ error, ok bool) {
	s := c.stanceFor(ctx)
	var misfit *BufferError
	if s == nil || s.Mode != ModeDifferentiating || !errors.As(err, &misfit) || !misfit.Argument {
		return nil, nil, false
	}
	a.Entry.hits[routeDiffer].Add(stripe, -1) // what is found now counts
	if a.Entry.evicted.Load() {
		c.past.take(a.Entry)
	}
	r := &request{ctx: ctx, call: cl, tracer: t, stance: s, stripe: stripe}
	c.violated(a.Entry, r)
	found, err := c.missed(r)
	if err != nil {
		c.counts.misses.Add(stripe, 1)
		c.counts.failed.Add(stripe, 1)
	}
	return found, err, true
}

// missed is a call whose differentiating guards say nothing known.
func (c *Cache) missed(r *request) (*Admission, error) {
	if r.stance.OnMiss == MissError && len(c.live.Load().entries) > 0 {
		c.refuse(r.call)
		return nil, c.recompileError(r, "the stance is differentiating with errors on a miss")
	}
	return c.lookup(r, c.onMiss(r.stance))
}

// onMiss is what the stance does with a call that no entry admits.
func (c *Cache) onMiss(s *Stance) maker {
	switch s.OnMiss {
	case MissError:
		return c.onlyFirst(func(r *request) (*Admission, error) {
			return nil, c.recompileError(r, "the stance is differentiating with errors on a miss")
		})
	case MissFallBack:
		return c.onlyFirst(c.evaluate)
	}
	return c.make
}

// violated counts a call that the differentiating guards let into an entry that
// its other guards refuse.
func (c *Cache) violated(e *Entry, r *request) {
	c.counts.violations.Add(r.stripe, 1)
	failed := e.Guards.FirstFailing(r.call)
	if c.log == nil || failed < 0 {
		return
	}
	g, schema := &e.Guards.Guards[failed], r.tracer.Schema(r.call)
	c.log.Warn("jitc: a call passed the differentiating guards of an entry that it does not fit", "function", c.name,
		"entry", e.ID, "guard", g.Text(e.Traced.Schema), "got", g.Got(r.call, schema))
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
