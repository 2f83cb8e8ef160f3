package fusion

import (
	"slices"

	"jitc/ir"
)

// body builds a region's function: parameters in the order of first use, members
// in the input's order, sources and views in front of the first member that
// reads them.
type body struct {
	g       *graph
	c       *cluster
	f       *ir.Func
	value   map[int32]*ir.Value
	inputs  []int32 // roots that the parameters stand for
	results []int32
}

func newBody(g *graph, c *cluster) *body {
	b := &body{g: g, c: c, f: ir.NewFunc("region", g.f.Facts), value: make(map[int32]*ir.Value, c.ops+len(c.inputs))}
	for _, m := range c.members {
		b.get(m)
	}
	b.results = slices.Clone(c.exports)
	slices.Sort(b.results)
	if len(b.results) == 0 { // an effect that nobody reads
		b.results = c.members[len(c.members)-1:]
	}
	for _, n := range b.results {
		b.f.Results = append(b.f.Results, b.value[n])
	}
	return b
}

// get returns the value in the body that stands for value n of the input.
// Recursion is bounded by the size of a region.
func (b *body) get(n int32) *ir.Value {
	if v := b.value[n]; v != nil {
		return v
	}
	v := b.g.values[n]
	if !b.computes(n) {
		p := b.f.AddParam(v.Name, v.Type, nil)
		b.value[n] = p
		b.inputs = append(b.inputs, n)
		return p
	}
	c := &ir.Value{Op: v.Op, Type: v.Type, Attrs: v.Attrs, Name: v.Name, Pos: v.Pos}
	if len(v.Args) > 0 {
		c.Args = make([]*ir.Value, len(v.Args))
	}
	for i, a := range v.Args {
		c.Args[i] = b.get(b.g.num(a))
	}
	c.ID = b.f.NumIDs
	b.f.NumIDs++
	b.f.Values = append(b.f.Values, c)
	b.value[n] = c
	return c
}

// computes reports whether the region computes value n, rather than reading it.
func (b *body) computes(n int32) bool {
	if slices.Contains(b.c.members, n) || slices.Contains(b.c.copies, n) {
		return true
	}
	return !isRoot(b.g.values[n]) && !b.g.alone(b.c.members[0]) && b.g.looksThrough(n, int(b.c.owner))
}

// decisions lists what became of every edge between members, in the input's
// order, after what was noted about single values.
func (e *emitter) decisions() {
	g := e.g
	for _, d := range g.noted {
		d.Region = e.region[g.num(d.Producer)]
		e.r.Decisions = append(e.r.Decisions, d)
	}
	for c := range int32(len(g.values)) {
		refs := g.refsOf(c)
		for i := range refs {
			if r := &refs[i]; r.root >= 0 && g.member[r.root] && !repeatedRef(refs[:i], r) {
				e.edge(c, r)
			}
		}
	}
	for _, n := range g.notes {
		n.Region = e.region[g.num(n.Consumer)]
		n.Reason = e.r.text(n.why, n.Producer, n.Consumer, g.valueAt(n.via))
		e.r.Decisions = append(e.r.Decisions, n.Decision)
	}
}

// repeatedRef reports whether an operand says nothing that an earlier one did not.
func repeatedRef(earlier []ref, r *ref) bool {
	return slices.ContainsFunc(earlier, func(o ref) bool { return o.root == r.root && o.why == r.why })
}

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
		d.Reason = "fusion is off"
		e.r.Decisions = append(e.r.Decisions, d)
		return
	}
	d.Reason = e.r.text(why, d.Producer, d.Consumer, g.valueAt(r.via))
	e.r.Decisions = append(e.r.Decisions, d)
}

// mergeReasons are the reasons for a merge.
var mergeReasons = [numReasons]bool{sameSpace: true, backBroadcast: true, onOuter: true, inlined: true,
	epilogue: true, together: true, siblings: true}

func (g *graph) valueAt(n int32) *ir.Value {
	if n < 0 {
		return nil
	}
	return g.values[n]
}
