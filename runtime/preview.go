package runtime

import "jitc/ir/call"

// Preview answers what calls would be traced as, from the marks of a function and
// what its calls have shown so far; it changes neither. Not safe for concurrent
// use.
type Preview struct{ learned *learned }

// Preview starts with what is known now.
func (c *Cache) Preview() *Preview {
	l := newLearned(c.learned.marks, c.learned.separate)
	l.restore(c.learned.export())
	return &Preview{l}
}

// Spec is that of a call that comes after those that were asked about before.
// The error is a *MarkError of a call that breaks a mark.
func (p *Preview) Spec(c *call.Call, schema *call.Schema) (*Spec, error) {
	return p.learned.observe(c, schema)
}
