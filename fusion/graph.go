package fusion

import (
	"errors"
	"fmt"

	"jitc/ir"
)

// graph is the state of one partition. Values go by their number: parameters
// first, then the values in the function's order, so that operands have lower
// numbers than their readers. Side tables are indexed by number; a cluster, a
// region in the making, goes by the number that the digraph gives it.
type graph struct {
	f    *ir.Func
	cs   []Claimer
	opts Options
	cost costs

	number   []int32     // by value ID
	values   []*ir.Value // by number, as all that follows
	levels   []uint8     // claimer k's level for value v at v*len(cs)+k, plus one; 0: not asked
	owner    []int32     // first claimer that takes the value
	member   []bool      // the value is computed by a region
	isResult []bool
	layouts  []layout // of views
	bytes    []float64
	depth    []uint8 // views between a view and its root; 0: not to be looked through

	refs    []ref // flat: operand i of member v is refs[at[v]+i]
	at      []int32
	readers [][]int32 // members that read a member from outside views, in order
	effects []int32   // members that must stay in order
	order   [][2]int32
	dag     *digraph
	cluster []*cluster // of roots of the digraph
	role    []role     // of a member in its cluster
	noted   []Decision // about single values
	notes   []note     // about siblings
	crossed []crossedRef
	bodies  map[int32][]*Result // of control flow
}

// maxDepth bounds chains of views, which are walked once per reader.
const maxDepth = 16

// ref is one operand of a member, looked up through views to the value that has
// its elements: a member, a parameter or a constant with data. Root is -1 where
// there is none: for sources and views of sources.
type ref struct {
	root   int32
	access access
	why    reason // why the two ends are apart, or together
	via    int32  // value that the reason mentions
}

// note is a decision whose reason is not spelled out yet.
type note struct {
	Decision
	why reason
	via int32
}

func newGraph(f *ir.Func, cs []Claimer, o Options) (*graph, error) {
	n := len(f.Params) + len(f.Values)
	g := &graph{f: f, cs: cs, opts: o, cost: newCosts(f), number: make([]int32, f.NumIDs),
		values: make([]*ir.Value, 0, n), levels: make([]uint8, n*len(cs)), owner: make([]int32, n),
		member: make([]bool, n), isResult: make([]bool, n), bytes: make([]float64, n), layouts: make([]layout, n), depth: make([]uint8, n)}
	for _, p := range f.Params {
		g.add(p)
	}
	for _, v := range f.Values {
		if v.Is(ir.Structural) && !isBarrier(v) {
			return nil, fmt.Errorf("%s: %s: the function has been partitioned already", v.Pos, v.Op)
		}
		g.add(v)
		g.place(v)
	}
	for _, r := range f.Results {
		if r.ID < 0 || r.ID >= f.NumIDs || n == 0 || g.values[g.num(r)] != r {
			return nil, errors.New("a result is not a value of the function")
		}
		g.isResult[g.num(r)] = true
	}
	if err := g.claim(); err != nil {
		return nil, err
	}
	if err := g.partitionBodies(); err != nil {
		return nil, err
	}
	g.connect()
	return g, nil
}

func (g *graph) add(v *ir.Value) {
	g.number[v.ID] = int32(len(g.values))
	g.values = append(g.values, v)
}

func (g *graph) num(v *ir.Value) int32 { return g.number[v.ID] }

// place records a view's layout and its distance from the root.
func (g *graph) place(v *ir.Value) {
	if !v.Is(ir.View) {
		return
	}
	n, x := g.num(v), g.num(v.Args[0])
	if g.depth[x] >= maxDepth {
		return
	}
	if l, ok := viewLayout(v, g.layouts[x], g.f.Facts); ok {
		g.layouts[n], g.depth[n] = l, g.depth[x]+1
	}
}

// isData reports whether v is a constant that stands outside regions.
func isData(v *ir.Value) bool { return v.Op == ir.OpConstant && v.Attrs.Has("data") }

// isRoot reports whether v is in memory before any region runs.
func isRoot(v *ir.Value) bool { return v.Op == ir.OpParam || isData(v) }

// level asks claimer k about a value, once.
func (g *graph) level(v int32, k int) Level {
	slot := &g.levels[int(v)*len(g.cs)+k]
	if *slot == 0 {
		*slot = uint8(g.cs[k].Claim(g.values[v]).Level) + 1
	}
	return Level(*slot - 1)
}

// claim finds, from the results back, which values are members of regions and
// who owns them. Sources and views that a reader can look through are not.
func (g *graph) claim() error {
	w := &wants{g: g, member: make([]bool, len(g.values)), through: make([]uint64, len(g.values)), strided: make([]bool, len(g.values))}
	for _, r := range g.f.Results {
		w.member[g.num(r)] = true
	}
	for n := int32(len(g.values)) - 1; n >= int32(len(g.f.Params)); n-- {
		v := g.values[n]
		if isData(v) {
			continue
		}
		if isBarrier(v) {
			if g.member[n] = w.member[n] || v.MustRun(); g.member[n] {
				w.operands(v, 0, noSight)
			}
			continue
		}
		if w.member[n] || v.Is(ir.Effect) {
			if err := g.own(n); err != nil {
				return err
			}
			w.operands(v, int(g.owner[n]), g.sight(n))
		}
		for k := 0; w.through[n]>>k != 0; k++ {
			if w.through[n]>>k&1 != 0 {
				w.operands(v, k, allSight)
			}
		}
		if w.strided[n] {
			w.operands(v, 0, viewSight)
		}
	}
	return nil
}

// wants collects what members read.
type wants struct {
	g       *graph
	member  []bool
	through []uint64 // claimers whose regions look through the value, as bits
	strided []bool   // regions that look through views only do
}

// operands says that a region of claimer k computes v.
func (w *wants) operands(v *ir.Value, k int, s sight) {
	for _, a := range v.Args {
		n := w.g.num(a)
		switch {
		case isRoot(a):
		case !w.g.looksThrough(n, k, s):
			w.member[n] = true
		case s == viewSight:
			w.strided[n] = true
		default:
			w.through[n] |= 1 << k
		}
	}
}

// sight is what a member's region looks through to the values that it reads.
type sight uint8

const (
	noSight   sight = iota // nothing: its owner takes it alone, or it is in no region
	viewSight              // views, but of sources: its owner takes strides
	allSight               // what its owner computes where it is read
)

func (g *graph) sight(n int32) sight {
	v := g.values[n]
	if isBarrier(v) {
		return noSight
	}
	switch g.level(n, int(g.owner[n])) {
	case Strided:
		return viewSight
	case Fusible:
		if v.Op.Composite() && !v.Is(ir.Contract) { // taken as it stands
			return noSight
		}
		return allSight
	}
	return noSight
}

// looksThrough reports whether a region of claimer k computes the value where it
// reads it: a source, or a view whose elements are at affine addresses.
func (g *graph) looksThrough(n int32, k int, s sight) bool {
	v := g.values[n]
	view := g.depth[n] > 0 && !g.opts.Off
	switch s {
	case viewSight:
		return view && !g.leadsToSource(v)
	case allSight:
		return (view || v.Is(ir.Source) && !isData(v)) && k < 64 && g.level(n, k) == Fusible
	}
	return false
}

// leadsToSource reports whether a view is one of a source, which is nowhere in
// memory.
func (g *graph) leadsToSource(v *ir.Value) bool {
	for g.depth[g.num(v)] > 0 {
		v = v.Args[0]
	}
	return v.Is(ir.Source) && !isData(v)
}

// own finds the first claimer that takes a value.
func (g *graph) own(n int32) error {
	v := g.values[n]
	g.member[n] = true
	var refusals []string
	for k, c := range g.cs {
		level := g.level(n, k)
		if level == Refused {
			claim := c.Claim(v)
			why := c.Name() + ": " + claim.Why
			refusals = append(refusals, why)
			if !claim.Obvious {
				g.noted = append(g.noted, Decision{Verdict: RefusedBy, Producer: v, text: why})
			}
			continue
		}
		g.owner[n] = int32(k)
		if level != Fusible || k > 0 {
			g.noted = append(g.noted, Decision{Verdict: Claimed, Producer: v, text: c.Name() + ": " + level.String()})
		}
		return nil
	}
	return &UnclaimedError{Value: v, Refusals: refusals}
}

// connect finds what members read and makes each a cluster of its own.
func (g *graph) connect() {
	n := len(g.values)
	g.at, g.readers, g.role = make([]int32, n+1), make([][]int32, n), make([]role, n)
	g.cluster = make([]*cluster, n)
	operands := 0
	for _, v := range g.values {
		operands += len(v.Args)
	}
	g.refs = make([]ref, 0, operands)
	for i := range int32(n) {
		g.at[i] = int32(len(g.refs))
		if g.member[i] {
			g.connectMember(i)
		}
	}
	g.at[n] = int32(len(g.refs))
	g.addEdges()
	for i := range int32(n) {
		if g.member[i] {
			g.cluster[i] = g.singleton(i)
		}
	}
}

// addEdges makes the graph of members: one edge from each member to each of its
// readers, and from each effect to the next.
func (g *graph) addEdges() {
	edges := make([][2]int32, 0, len(g.refs)+len(g.order))
	last := make([]int32, len(g.values))
	for c := range int32(len(g.values)) {
		for _, r := range g.refsOf(c) {
			if r.root >= 0 && g.member[r.root] && last[r.root] != c {
				last[r.root] = c
				edges = append(edges, [2]int32{r.root, c})
			}
		}
	}
	g.dag = newDigraph(len(g.values))
	g.dag.addEdges(edges)
	copy(g.readers, g.dag.out)
	for _, e := range g.order {
		g.dag.addEdge(e[0], e[1])
	}
}

// refsOf are a member's operands.
func (g *graph) refsOf(n int32) []ref { return g.refs[g.at[n]:g.at[n+1]] }

func (g *graph) connectMember(c int32) {
	v := g.values[c]
	k := int(g.owner[c])
	s := g.sight(c)
	for i, a := range v.Args {
		r := g.lookUp(a, k, s)
		if v.Is(ir.View) {
			r.access = r.access.then(v, g.f.Facts)
		}
		r.access = r.access.at(v, i)
		g.refs = append(g.refs, r)
	}
	if v.HasEffect() {
		if e := len(g.effects); e > 0 {
			g.order = append(g.order, [2]int32{g.effects[e-1], c})
		}
		g.effects = append(g.effects, c)
	}
}

// lookUp follows an operand of a region of claimer k through views to its root.
func (g *graph) lookUp(a *ir.Value, k int, s sight) ref {
	var views [maxDepth]*ir.Value
	depth := 0
	for !isRoot(a) && g.looksThrough(g.num(a), k, s) {
		if a.Is(ir.Source) {
			return ref{root: -1}
		}
		views[depth] = a
		depth++
		a = a.Args[0]
	}
	r := ref{root: g.num(a), via: -1, access: identityAccess(a.Type.Rank())}
	for ; depth > 0; depth-- {
		r.access = r.access.then(views[depth-1], g.f.Facts)
	}
	return r
}
