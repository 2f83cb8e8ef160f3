package fusion

import (
	"slices"
	"strings"

	"jitc/ir"
)

// decisions lists what became of every edge between members, in the input's
// order, after what was noted about single values, and before siblings. Reasons
// become text when somebody asks: a large function has more decisions than values.
func (e *emitter) decisions() {
	g := e.g
	e.r.Decisions = make([]Decision, 0, len(g.noted)+len(g.refs)+len(g.notes))
	for _, d := range g.noted {
		d.Region = e.region[g.num(d.Producer)]
		e.r.Decisions = append(e.r.Decisions, d)
	}
	for c := range int32(len(g.values)) {
		refs := g.refsOf(c)
		for i := range refs {
			if r := &refs[i]; r.root >= 0 && g.member[r.root] && g.values[c].Op != ir.OpGet && !repeatedRef(refs[:i], r) {
				e.edge(c, r)
			}
		}
	}
	for _, n := range g.notes {
		n.Region = e.region[g.num(n.Consumer)]
		e.decide(n.Decision, n.why, n.via)
	}
}

// repeatedRef reports whether an operand says nothing that an earlier one did not.
func repeatedRef(earlier []ref, r *ref) bool {
	return slices.ContainsFunc(earlier, func(o ref) bool { return o.root == r.root && o.why == r.why })
}

// edge decides what became of the operand r of member c.
func (e *emitter) edge(c int32, r *ref) {
	g := e.g
	d := Decision{Verdict: KeptApart, Producer: g.values[r.root], Consumer: g.values[c], Region: e.region[c]}
	why := r.why
	switch {
	case slices.Contains(g.cluster[g.dag.find(c)].copies, r.root):
		d.Verdict, why = Recomputed, recomputed
	case g.dag.find(r.root) == g.dag.find(c):
		d.Verdict = Merged
		if !mergeReasons[why] {
			why = together
		}
	case g.opts.Off:
		why = switchedOff
	}
	e.decide(d, why, r.via)
}

// decide appends a decision; via is the number of the value that the reason
// mentions, negative if it mentions none.
func (e *emitter) decide(d Decision, why reason, via int32) {
	d.why = why
	if via >= 0 {
		d.via = e.g.values[via]
	}
	e.r.Decisions = append(e.r.Decisions, d)
}

// Reason says why, as a part of a sentence: "%y reads %x in the same iteration
// space". Values are called by their names in the text form of the input.
func (r *Result) Reason(d Decision) string {
	if d.text != "" {
		return d.text
	}
	var b strings.Builder
	for rest := reasonTexts[d.why]; ; {
		before, after, found := strings.Cut(rest, "%")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		v := map[byte]*ir.Value{'p': d.Producer, 'c': d.Consumer, 'v': d.via}[after[0]]
		b.WriteString(r.Name(v))
		rest = after[1:]
	}
}
