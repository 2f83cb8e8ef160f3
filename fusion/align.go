package fusion

import (
	"math/bits"

	"jitc/ir"
	"jitc/ir/dim"
)

// alignment says how the iteration spaces of a producer's and a consumer's
// cluster become one.
type alignment struct {
	how   fit
	why   reason // a refusal, or what to report of the merge
	kind  Kind
	space []dim.Expr
	red   uint64
	rows  float64
}

// fit is how one cluster lies in the other's iteration space.
type fit uint8

const (
	unknownFit  fit = iota
	sameFit         // the spaces are one
	outerFit        // the producer's space is the consumer's rows
	fullFit         // the consumer's space is the producer's rows
	movedFit        // the producer is computed where the consumer needs it
	epilogueFit     // the consumer stores the producer's result at other places
)

// align decides whether the cluster at vertex c may take in that at p, whose
// results it reads. Every edge between them must ask for the same fit; an edge
// that only asks for the producer to be moved goes with any other, because then
// the producer is computed where it is needed anyway.
func (g *graph) align(p, c int32) alignment {
	x, y := g.cluster[p], g.cluster[c]
	if why := clusterReason(x, y); why != fits {
		return alignment{why: why}
	}
	var all edgeFit
	g.crossed = g.crossed[:0]
	g.crossing(p, y, func(reader int32, r *ref) bool {
		e := g.fit(x, y, reader, r)
		g.crossed = append(g.crossed, crossedRef{r, e.why})
		all = all.and(e)
		return all.how != unknownFit
	})
	switch {
	case all.how == unknownFit:
		return alignment{why: all.why}
	case all.how == epilogueFit && x.kind == Reduction:
		if why := g.onlyReader(p, c); why != fits {
			return alignment{why: why}
		}
	case all.how == movedFit:
		if why := g.mayMove(p, c, all); why != fits {
			return alignment{why: why}
		}
	}
	return g.fitted(x, y, all)
}

// crossedRef is an edge between two clusters that are being aligned, and why it
// does not speak against a merge.
type crossedRef struct {
	r   *ref
	why reason
}

// clusterReason is what stands against merging two clusters whatever the edges
// between them are.
func clusterReason(x, y *cluster) reason {
	switch {
	case x.kind == Barrier || y.kind == Barrier:
		return controlFlow
	case x.owner != y.owner:
		return otherOwner
	case x.kind == Sealed || y.kind == Sealed:
		return takenAlone
	case x.kind == Contraction && y.kind == Contraction:
		return twoContractions
	case x.kind == Contraction && y.kind == Reduction:
		return contractionEnds
	case x.kind == Reduction && y.kind == Contraction:
		return reductionFirst
	case x.kind == Reduction && y.kind == Reduction && (x.red == 0 || y.red == 0):
		return otherAxes // reduced, and reshaped since
	}
	return fits
}

// edgeFit is what one edge asks for, or several together.
type edgeFit struct {
	how  fit
	why  reason
	ways way    // of all edges
	seen uint64 // which sets of ways the edges have, as bits
	set  bool
}

// and combines the demands of edges.
func (a edgeFit) and(b edgeFit) edgeFit {
	b.ways |= a.ways
	b.seen |= a.seen
	switch {
	case !a.set || b.how == unknownFit || b.how == a.how:
	case b.how == movedFit || a.how == movedFit:
		b.how, b.why = movedFit, inlined
	default:
		b.how, b.why = unknownFit, otherSpace
	}
	b.set = true
	return b
}

// fit decides one edge from a member of x to a reader in y.
func (g *graph) fit(x, y *cluster, reader int32, r *ref) edgeFit {
	from, to := g.role[r.root], g.readRole(reader)
	e := edgeFit{ways: r.access.ways, seen: 1 << r.access.ways}
	switch {
	case r.access.ways&leaf != 0:
		e.why = fromMemory
	case from == moved:
		e.why = otherSpace
	case to == moved:
		e.how, e.why = movedFit, inlined
	case r.access.isIdentity():
		e.how, e.why = identityFit(x, y, from, to)
	case r.access.isBroadcast():
		e.how, e.why = g.broadcastFit(x, y, from, to, r.access)
	case r.access.isBijective() && x.kind == Contraction:
		e.how, e.why = epilogueFit, epilogue
	case r.access.ways == reshaped && x.kind == Reduction && from == full && to == full && y.red == 0:
		e.how, e.why = epilogueFit, inOrder
	default:
		e.how, e.why = movedFit, inlined
	}
	if e.how == movedFit && x.kind != Loop {
		e.how, e.why = unknownFit, refusalToMove(x, r.access)
	}
	return e
}

// refusalToMove is why a cluster that is no loop cannot be moved.
func refusalToMove(x *cluster, a access) reason {
	switch {
	case x.kind == Contraction:
		return otherSpace
	case a.ways&repeats != 0:
		return wrongRows
	}
	return reductionFirst
}

// identityFit decides an edge along which element i is read for element i.
func identityFit(x, y *cluster, from, to role) (fit, reason) {
	bothReduce := x.red != 0 && y.red != 0
	switch {
	case from == to && bothReduce && (x.red != y.red || len(x.space) != len(y.space)):
		return unknownFit, otherAxes
	case from == full && to == full:
		return sameFit, sameSpace
	case from == outer && to == outer:
		return sameFit, onOuter // the spaces are compared later
	case from == full && to == outer && x.red == 0:
		return outerFit, onOuter
	case from == outer && to == full && y.red == 0:
		return fullFit, onOuter
	}
	return unknownFit, otherAxes
}

// broadcastFit decides an edge along which the root is repeated. It keeps the
// space if the root is a row's value that is laid back on the rows.
func (g *graph) broadcastFit(x, y *cluster, from, to role, a access) (fit, reason) {
	switch {
	case from == outer && to == full && a.rank == len(x.space) && a.kept == x.kept():
		if y.red != 0 && y.red != x.red {
			return unknownFit, otherAxes
		}
		if x.rows < minRows && g.cost.elements(x.space) > maxSerial {
			return unknownFit, fewRows
		}
		return sameFit, backBroadcast
	case from == full && to == full && x.red == 0 && y.red != 0 && a.kept == y.kept():
		return outerFit, onOuter
	}
	return movedFit, inlined
}

// A normalisation runs in parallel over rows. With fewer than minRows of them
// and more than maxSerial elements, two passes over memory are faster.
const (
	minRows   = 4
	maxSerial = 1 << 17
)

// mayMove decides whether a loop may be computed where another cluster needs it:
// only if nobody else needs it, and if it is not computed much more often.
func (g *graph) mayMove(p, c int32, e edgeFit) reason {
	if why := g.onlyReader(p, c); why != fits {
		return why
	}
	x := g.cluster[p]
	switch {
	case x.work <= cheapWork:
		return fits
	case e.ways&(repeats|partial) != 0:
		return repeated
	case bits.OnesCount64(e.seen) > 1 && e.ways&subset == 0:
		return differentWays
	}
	return fits
}

// onlyReader refuses if anyone but the cluster at c needs what p computes.
func (g *graph) onlyReader(p, c int32) reason {
	for _, m := range g.cluster[p].exports {
		if g.isResult[m] {
			return isResult
		}
		if g.exported(m, p, c) {
			return otherReaders
		}
	}
	return fits
}

// fitted is the alignment of two clusters under a fit that all edges agree on.
func (g *graph) fitted(x, y *cluster, e edgeFit) alignment {
	a := alignment{how: e.how, why: e.why, kind: max(x.kind, y.kind), red: x.red | y.red}
	frame := y
	switch {
	case e.how == fullFit, e.how == sameFit && x.red != 0:
		frame = x
	}
	if e.how == sameFit && !ir.ShapeEqual(g.f.Facts, x.space, y.space) {
		return alignment{why: otherSpace}
	}
	a.space, a.rows = frame.space, frame.rows
	if e.how == epilogueFit {
		a.red = 0 // its axes are not those of the space any more
	}
	return a
}

// settle gives the members their roles in the merged cluster.
func (g *graph) settle(x, y *cluster, how fit) {
	change := func(c *cluster, from, to role) {
		for _, m := range c.members {
			if g.role[m] == from {
				g.role[m] = to
			}
		}
	}
	switch how {
	case outerFit:
		change(x, full, outer)
	case fullFit:
		change(y, full, outer)
	case movedFit:
		change(x, full, moved)
	case epilogueFit:
		change(x, full, moved)
		change(x, outer, moved)
	}
}
