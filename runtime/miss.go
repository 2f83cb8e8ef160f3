package runtime

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"jitc/ir/call"
	"jitc/ir/dim"
	"jitc/ir/tensor"
)

// RecompileError is a call that would need a new entry where none may be made.
type RecompileError struct {
	Function string
	What     string   // why none may be made
	Reasons  []string // per live entry, the first guard that fails
}

// Error lists the reasons, one per line.
func (e *RecompileError) Error() string {
	s := fmt.Sprintf("@%s: no entry admits this call, and %s", e.Function, e.What)
	for _, r := range e.Reasons {
		s += "\n  " + r
	}
	return s
}

func (c *Cache) recompileError(r *request, what string) error {
	return &RecompileError{Function: c.name, What: what, Reasons: c.reasons(r.call, r.tracer.Schema(r.call))}
}

// reasons tells, for each live entry, the first guard that the call fails.
func (c *Cache) reasons(cl *call.Call, schema *call.Schema) []string {
	live := c.live.Load()
	var out []string
	for _, m := range live.tree.Explain(cl) {
		e := live.entries[m.Set]
		g := m.Guard
		if g == nil {
			continue
		}
		s := fmt.Sprintf("entry %d needs %s; %s", e.ID, g.Text(e.Traced.Schema), g.Got(cl, schema))
		if g.Pos.IsKnown() {
			s += fmt.Sprintf(" (%s)", g.Pos)
		}
		out = append(out, s)
	}
	return out
}

func nilTensor(cl *call.Call, schema *call.Schema) error {
	for i, t := range cl.Tensors {
		if t == nil {
			return fmt.Errorf("%s: expected a tensor, got nil", schema.TensorPath(i))
		}
	}
	panic("BUG: runtime: no tensor is nil")
}

// constantSpec makes everything a constant.
func constantSpec(cl *call.Call, schema *call.Schema) *Spec {
	s := &Spec{Schema: schema, Facts: dim.NewFacts(), Scalars: make([]string, cl.NumConsts())}
	for i := range cl.NumTensors() {
		var axes []string
		if l := cl.Layout(i); l != nil {
			axes = make([]string, len(l.Shape))
		}
		s.Sizes = append(s.Sizes, axes)
	}
	return s
}

func tensorText(t *tensor.Tensor) string {
	if t == nil {
		return "nil"
	}
	s := fmt.Sprintf("%s%v", t.DType(), t.Shape())
	if d := t.Device(); d != nil {
		s += " on " + d.Name()
	}
	return s
}

// Recompile is one entry's making.
type Recompile struct {
	When    time.Time     `json:"when"`
	Entry   int           `json:"entry"`
	Reasons []string      `json:"reasons"` // empty for the first entry
	Took    time.Duration `json:"took"`    // ns
	Cost    []StageCost   `json:"cost"`
}

// maxEvents bounds the recompiles remembered; the newest stay.
const maxEvents = 256

type eventLog struct {
	mu     sync.Mutex
	events []Recompile
}

func (l *eventLog) add(r Recompile) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.events) == maxEvents {
		l.events = append(l.events[:0], l.events[1:]...)
	}
	l.events = append(l.events, r)
}

func (l *eventLog) list() []Recompile {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]Recompile(nil), l.events...)
}

// recompiled notes that an entry was made. Under lock.
func (c *Cache) recompiled(e *Entry) {
	e.mu.Lock()
	took := e.tracing + e.compiling
	r := Recompile{When: time.Now(), Entry: e.ID, Reasons: e.Why, Took: took, Cost: e.cost}
	e.mu.Unlock()
	c.events.add(r)
	c.counts.made.Add(0, 1)
	if len(e.Why) > 0 {
		c.counts.again.Add(0, 1)
	}
	c.counts.spent.Add(0, int64(e.tracing))
	if c.log == nil {
		return
	}
	what := "compiled"
	if len(e.Why) > 0 {
		what = "recompiled"
	}
	c.log.Info("jitc: "+what+" @"+c.name, "function", c.name, "entry", e.ID, "took", took, "reason", strings.Join(e.Why, "; "))
}
