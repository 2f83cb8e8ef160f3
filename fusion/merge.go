package fusion

import (
	"cmp"
	"slices"

	"jitc/ir"
)

// sweeps bounds how often edges are tried again whose refusal another merge may
// have lifted: a producer that had readers elsewhere may have them in one
// cluster later.
const sweeps = 3

// mergeVertically merges producers into their consumers. Consumers are visited
// in order; a consumer takes the contraction that it can be the epilogue of
// first, since a contraction does less for others, and then the largest operand.
func (g *graph) mergeVertically() {
	for range sweeps {
		again := false
		for c := range int32(len(g.values)) {
			if g.member[c] && g.mergeOperands(c) {
				again = true
			}
		}
		if !again {
			return
		}
	}
}

// mergeOperands tries the edges into member c, and reports whether an edge was
// refused for a reason that may pass.
func (g *graph) mergeOperands(c int32) (again bool) {
	refs := g.refsOf(c)
	for _, i := range g.byBenefit(refs) {
		r := &refs[i]
		p, at := g.dag.find(r.root), g.dag.find(c)
		switch {
		case p == at || permanent[r.why]:
			continue
		case r.access.ways&leaf != 0:
			r.why = fromMemory
			continue
		}
		why, via := g.mergePair(p, at)
		if !mergeReasons[why] {
			r.why, r.via = why, via
		}
		again = again || why == otherReaders
	}
	return again
}

// permanent are the refusals that no later merge lifts: paths stay, and clusters
// only grow (but their operands can become fewer).
var permanent = [numReasons]bool{
	otherOwner: true, takenAlone: true, fromMemory: true, searchBudget: true, cycle: true, opLimit: true,
	otherAxes: true, contractionEnds: true, twoContractions: true, reductionFirst: true, isResult: true,
	controlFlow: true,
}

// byBenefit orders the operands that are members: contractions first, then by
// bytes, then as they stand.
func (g *graph) byBenefit(refs []ref) []int {
	var order []int
	for i, r := range refs {
		if r.root >= 0 && g.member[r.root] {
			order = append(order, i)
		}
	}
	if len(order) < 2 {
		return order
	}
	key := func(i int) float64 {
		root := refs[i].root
		if g.cluster[g.dag.find(root)].kind == Contraction {
			return -1e300
		}
		return -g.bytesOf(root)
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(key(a), key(b)) })
	return order
}

// mergePair merges the clusters at p and c, where c reads p, or says why not.
func (g *graph) mergePair(p, c int32) (why reason, via int32) {
	if len(g.cluster[c].inputs) > 2*g.opts.MaxOperands {
		return operandLimit, -1 // a concat of very many: spare the search
	}
	a := g.align(p, c)
	if a.how == unknownFit {
		return a.why, -1
	}
	if why, via = g.commit(p, c, a); why != fits {
		return why, via
	}
	for _, e := range g.crossed {
		e.r.why, e.r.via = e.why, -1
	}
	return a.why, -1
}

// commit merges two clusters that are aligned, if limits and cycles allow it.
func (g *graph) commit(p, c int32, a alignment) (reason, int32) {
	u := g.union(p, c, a)
	if why := g.limits(u); why != fits {
		return why, -1
	}
	x, y := g.cluster[p], g.cluster[c]
	root, why, via := g.dag.merge(p, c, g.opts.Budget)
	if why != fits {
		return why, via
	}
	g.settle(x, y, a.how)
	u.members = mergeSorted(x.members, y.members)
	g.cluster[p], g.cluster[c] = nil, nil
	g.cluster[root] = u
	return fits, -1
}

// mergeSorted merges ascending lists.
func mergeSorted(a, b []int32) []int32 {
	out := make([]int32, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		if a[0] < b[0] {
			out, a = append(out, a[0]), a[1:]
		} else {
			out, b = append(out, b[0]), b[1:]
		}
	}
	return append(append(out, a...), b...)
}

// mergeSiblings merges clusters that read the same value in the same iteration
// space, so that it is read once. Candidates are neighbours among the readers of
// a value, so that a value with many readers costs no more than its readers.
func (g *graph) mergeSiblings() {
	for n, readers := range g.fullReaders() {
		for i := 1; i < len(readers); i++ {
			a, b := g.dag.find(readers[i-1]), g.dag.find(readers[i])
			if a != b {
				g.mergeSiblingPair(int32(n), readers[i-1], readers[i])
			}
		}
	}
}

// fullReaders lists, by value, the members that read it at each point of their
// cluster's iteration space. The value may be a view: what counts is that they
// read the same elements at the same points.
func (g *graph) fullReaders() [][]int32 {
	readers := make([][]int32, len(g.values))
	for c := range int32(len(g.values)) {
		if g.readRole(c) != full || isBarrier(g.values[c]) {
			continue
		}
		for i, r := range g.refsOf(c) {
			if r.root < 0 || r.access.ways&(leaf|partial) != 0 {
				continue
			}
			n := g.num(g.values[c].Args[i])
			if rs := readers[n]; len(rs) == 0 || rs[len(rs)-1] != c {
				readers[n] = append(rs, c)
			}
		}
	}
	return readers
}

// mergeSiblingPair merges the clusters of two readers of value n and notes why,
// or why not.
func (g *graph) mergeSiblingPair(n, first, second int32) {
	a, b := g.dag.find(first), g.dag.find(second)
	x, y := g.cluster[a], g.cluster[b]
	why, via := g.siblingReason(x, y), int32(-1)
	if g.adjacent(a, b) {
		return // mergeVertically has decided
	}
	if why == fits {
		frame := x
		if y.red != 0 {
			frame = y
		}
		why, via = g.commit(a, b, alignment{how: sameFit, kind: max(x.kind, y.kind),
			space: frame.space, red: frame.red, rows: frame.rows})
	}
	if why == otherSpace || why == otherOwner || why == takenAlone || why == cycle || why == controlFlow {
		return // too common to be worth a line
	}
	d := Decision{Verdict: KeptApart, Producer: g.values[first], Consumer: g.values[second]}
	if why == fits {
		d.Verdict, why, via = Merged, siblings, n
	}
	g.notes = append(g.notes, note{d, why, via})
}

// adjacent reports whether one of two clusters reads the other.
func (g *graph) adjacent(a, b int32) bool {
	found := false
	yes := func(int32, *ref) bool { found = true; return false }
	g.crossing(a, g.cluster[b], yes)
	g.crossing(b, g.cluster[a], yes)
	return found
}

// siblingReason decides whether two clusters are in one iteration space and
// share enough: a quarter of what the smaller one moves. Otherwise a merge would
// only keep more results alive at once.
func (g *graph) siblingReason(x, y *cluster) reason {
	switch {
	case x.kind == Contraction || y.kind == Contraction:
		return otherSpace
	case clusterReason(x, y) != fits:
		return clusterReason(x, y)
	case !ir.ShapeEqual(g.f.Facts, x.space, y.space):
		return otherSpace
	case x.red != 0 && y.red != 0 && x.red != y.red:
		return otherAxes
	case x.red|y.red != 0 && min(x.rows, y.rows) < minRows && g.cost.elements(x.space) > maxSerial:
		return fewRows
	}
	shared := 0.0
	for _, in := range x.inputs {
		if slices.Contains(y.inputs, in) {
			shared += g.bytesOf(in)
		}
	}
	if shared < min(g.traffic(x), g.traffic(y))/4 {
		return littleShared
	}
	return fits
}

// traffic is the bytes that a cluster reads and writes.
func (g *graph) traffic(c *cluster) float64 {
	sum := 0.0
	for _, set := range [][]int32{c.inputs, c.exports} {
		for _, n := range set {
			sum += g.bytesOf(n)
		}
	}
	return sum
}
