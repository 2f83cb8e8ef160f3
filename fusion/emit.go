package fusion

import (
	"container/heap"
	"fmt"
	"slices"
	"sync"

	"jitc/ir"
)

// emit builds the partitioned function and the reasons for its form.
func (g *graph) emit() *Result {
	e := &emitter{g: g, out: ir.NewFunc(g.f.Name, g.f.Facts), value: make([]*ir.Value, len(g.values)),
		region: make([]int, len(g.values)), r: &Result{names: sync.OnceValue(func() []string { return g.f.ValueNames(nil) })}}
	e.r.F, e.body = e.out, &body{value: make([]*ir.Value, len(g.values))}
	for i := range e.region {
		e.region[i] = -1
	}
	for _, p := range g.f.Params {
		c := e.out.AddParam(p.Name, p.Type, p.Attrs)
		c.Pos = p.Pos
		e.value[g.num(p)] = c
		e.r.Owner = append(e.r.Owner, -1)
	}
	order := g.regionOrder()
	e.r.Regions = make([]Region, 0, len(order))
	e.out.Values = make([]*ir.Value, 0, len(order))
	e.constants(order)
	for _, at := range order {
		e.cluster(at)
	}
	for _, r := range g.f.Results {
		e.out.Results = append(e.out.Results, e.value[g.num(r)])
	}
	e.decisions()
	return e.r
}

type emitter struct {
	g      *graph
	out    *ir.Func
	value  []*ir.Value // of a root in the output, by number
	region []int       // index of the region that has the value as a member, by number
	r      *Result
	body   *body // the last one, whose memory the next one takes over
}

// append adds a value to the output.
func (e *emitter) append(v *ir.Value, owner int) *ir.Value {
	v.ID = e.out.NumIDs
	e.out.NumIDs++
	e.out.Values = append(e.out.Values, v)
	e.r.Owner = append(e.r.Owner, owner)
	return v
}

// constants copies the constants with data that are still of use.
func (e *emitter) constants(order []int32) {
	used := make([]bool, len(e.g.values))
	for _, at := range order {
		for _, in := range e.g.cluster[at].inputs {
			used[in] = true
		}
	}
	for n, v := range e.g.values {
		if isData(v) && (used[n] || e.g.isResult[n]) {
			c := *v
			e.value[n] = e.append(&c, -1)
		}
	}
}

// live reports whether the vertex is a cluster that computes something.
func (g *graph) live(at int32) bool {
	c := g.cluster[at]
	if !g.member[at] || c == nil {
		return false
	}
	return len(c.exports) > 0 || slices.ContainsFunc(c.members, func(n int32) bool { return g.values[n].MustRun() })
}

// regionOrder lists the clusters in a topological order: of those whose operands
// are there, the one whose last member comes first in the input, so that the
// order is the input's where it can be and results do not live longer than there.
func (g *graph) regionOrder() []int32 {
	missing := make([]int32, len(g.values))
	edges := make([]sourceEdge, 0, len(g.refs)+len(g.order)) // of each cluster's sources, linked
	next := make([]int32, len(g.values))                     // a cluster's first edge, plus 1
	q := &queue{g: g}
	total := 0
	var sources []int32
	for at := range int32(len(g.values)) {
		if !g.live(at) {
			continue
		}
		total++
		sources = g.sources(at, sources[:0])
		for _, p := range sources {
			edges = append(edges, sourceEdge{to: at, next: next[p]})
			next[p] = int32(len(edges))
		}
		if missing[at] = int32(len(sources)); len(sources) == 0 {
			q.at = append(q.at, at)
		}
	}
	heap.Init(q)
	order := make([]int32, 0, total)
	for len(q.at) > 0 {
		at := heap.Pop(q).(int32)
		order = append(order, at)
		for e := next[at]; e > 0; e = edges[e-1].next {
			n := edges[e-1].to
			if missing[n]--; missing[n] == 0 {
				heap.Push(q, n)
			}
		}
	}
	if len(order) != total {
		panic(fmt.Sprintf("BUG: fusion: a cycle among %d of %d regions", total-len(order), total))
	}
	return order
}

// sourceEdge leads from a cluster to one that reads it; next is the cluster's next
// edge, plus 1.
type sourceEdge struct{ to, next int32 }

// sources appends the clusters that must come before the one at a vertex.
func (g *graph) sources(at int32, out []int32) []int32 {
	add := func(p int32) {
		if p != at && g.live(p) && !slices.Contains(out, p) {
			out = append(out, p)
		}
	}
	for _, in := range g.cluster[at].inputs {
		if g.member[in] {
			add(g.dag.find(in))
		}
	}
	for _, m := range g.cluster[at].members {
		if i, ok := slices.BinarySearch(g.effects, m); ok && i > 0 {
			add(g.dag.find(g.effects[i-1]))
		}
	}
	return out
}

// queue is a heap of clusters by their last member.
type queue struct {
	g  *graph
	at []int32
}

func (q *queue) last(i int) int32 {
	m := q.g.cluster[q.at[i]].members
	return m[len(m)-1]
}
func (q *queue) Len() int           { return len(q.at) }
func (q *queue) Less(i, j int) bool { return q.last(i) < q.last(j) }
func (q *queue) Swap(i, j int)      { q.at[i], q.at[j] = q.at[j], q.at[i] }

// Push is heap.Interface's.
func (q *queue) Push(x any) { q.at = append(q.at, x.(int32)) }

// Pop is heap.Interface's.
func (q *queue) Pop() any {
	x := q.at[len(q.at)-1]
	q.at = q.at[:len(q.at)-1]
	return x
}

// cluster emits one region and the projections of its results, or control flow.
func (e *emitter) cluster(at int32) {
	g, c := e.g, e.g.cluster[at]
	if c.kind == Barrier {
		e.control(c.members[0])
		return
	}
	b := newBody(g, c, e.body)
	e.body = b
	last := g.values[c.members[len(c.members)-1]]
	v := &ir.Value{Op: ir.OpFused, Bodies: []*ir.Func{b.f}, Pos: last.Pos}
	v.Args = make([]*ir.Value, 0, len(b.inputs))
	for _, in := range b.inputs {
		v.Args = append(v.Args, e.value[in])
	}
	types := b.f.ResultTypes()
	single := len(types) == 1
	if single {
		v.Type, v.Name = types[0], g.values[b.results[0]].Name
	} else {
		v.Type = ir.Type{Tuple: types}
	}
	e.append(v, int(c.owner))
	for i, n := range b.results {
		if e.value[n] = v; !single {
			x := g.values[n]
			e.value[n] = e.append(&ir.Value{Op: ir.OpGet, Args: []*ir.Value{v}, Type: types[i], Name: x.Name, Pos: x.Pos,
				Attrs: ir.NewAttrs(ir.Attr{Name: "index", Value: int64(i)})}, -1)
		}
	}
	r := Region{Value: v, Kind: c.kind, Owner: g.cs[c.owner].Name(), Why: g.summary(c)}
	r.Members = make([]*ir.Value, 0, len(c.members))
	for _, m := range c.members {
		r.Members = append(r.Members, g.values[m])
		e.region[m] = len(e.r.Regions)
	}
	e.r.Regions = append(e.r.Regions, r)
}

// summary says why a cluster's members are together.
func (g *graph) summary(c *cluster) string {
	space := ir.ShapeString(c.space)
	again := ""
	if n := len(c.copies); n > 0 {
		again = fmt.Sprintf(", %d recomputed", n)
	}
	switch {
	case c.kind == Sealed && g.sight(c.members[0]) == noSight:
		return "taken alone by " + g.cs[c.owner].Name()
	case c.kind == Sealed && g.sight(c.members[0]) == viewSight:
		return "taken alone by " + g.cs[c.owner].Name() + ", at any strides"
	case c.kind == Sealed:
		return g.values[c.members[0]].Op.String() + " has a region of its own"
	case len(c.members) == 1:
		return "nothing to merge it with" + again
	case c.kind == Reduction && c.red == 0:
		return fmt.Sprintf("a reduction and what is applied to its elements in order in the space %s%s", space, again)
	case c.kind == Reduction:
		return fmt.Sprintf("one iteration space %s, reduced to rows %s%s", space, ir.ShapeString(c.outerShape()), again)
	case c.kind == Contraction:
		return "a contraction and what is applied to its product" + again
	}
	return "one iteration space " + space + again
}
