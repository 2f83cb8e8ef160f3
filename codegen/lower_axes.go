package codegen

import (
	"slices"

	"jitc/ir/dim"
)

// layout is the final loop order of a nest.
type layout struct {
	outer, inner []*variable
	vec          *variable // nil: scalar
}

func (o *layout) axes() []*variable { return append(slices.Clone(o.outer), o.inner...) }

// reachable are the nodes that the sinks need, in order.
func (p *puller) reachable(sinks []*sink) []*node {
	used := make([]bool, len(p.nodes))
	var mark func(*node)
	mark = func(n *node) {
		if !used[n.id] {
			used[n.id] = true
			n.deps(mark)
		}
	}
	for _, k := range sinks {
		mark(k.node)
	}
	var out []*node
	for _, n := range p.nodes {
		if used[n.id] {
			out = append(out, n)
		}
	}
	return out
}

// addresses calls visit for every expression of axes in a nest, to be read or
// replaced: addresses, loop positions, and the definitions of mask variables.
func addresses(nodes []*node, sinks []*sink, visit func(*affine)) {
	seen := map[*variable]bool{}
	for _, n := range nodes {
		if n.op != Load && n.op != Index {
			continue
		}
		visit(&n.at)
		for _, t := range n.at.terms {
			if v := t.v; v.kind == maskVar && !seen[v] {
				seen[v] = true
				visit(&v.def)
			}
		}
	}
	for _, k := range sinks {
		visit(&k.at)
	}
}

// collapse merges axes that every address runs through as one, a*C + b with
// b < C, so that a contiguous nest has one axis. It returns the axes left.
func (l *lowering) collapse(axes []*variable, nodes []*node, sinks []*sink) []*variable {
	axes = slices.Clone(axes)
	for i := len(axes) - 1; i >= 0; i-- {
		for j := len(axes) - 1; j >= 0; j-- {
			if i == j || !l.mergeable(axes[i], axes[j], nodes, sinks) {
				continue
			}
			merged := l.axis(axes[i].extent.Mul(axes[j].extent), axes[i].inner)
			mergeAxes(axes[i], axes[j], merged, nodes, sinks)
			axes[j] = merged
			axes = slices.Delete(axes, i, i+1)
			i = len(axes)
			break
		}
	}
	return axes
}

// mergeable reports whether a step of a is as much as all steps of b everywhere.
func (l *lowering) mergeable(a, b *variable, nodes []*node, sinks []*sink) bool {
	if a.inner != b.inner {
		return false
	}
	ok := true
	addresses(nodes, sinks, func(x *affine) {
		ok = ok && l.equal(x.coef(a), x.coef(b).Mul(b.extent))
	})
	return ok
}

func mergeAxes(a, b, merged *variable, nodes []*node, sinks []*sink) {
	addresses(nodes, sinks, func(x *affine) {
		*x = x.replace(a, affine{}).replace(b, ofVar(merged))
	})
}

// arrange collapses the axes and chooses the vector axis.
func (l *lowering) arrange(p *puller, nodes []*node, sinks []*sink) *layout {
	var o layout
	for _, a := range append(slices.Clone(p.s.axes), p.s.loops...) {
		if a.inner {
			o.inner = append(o.inner, a)
		} else {
			o.outer = append(o.outer, a)
		}
	}
	o.outer, o.inner = l.collapse(o.outer, nodes, sinks), l.collapse(o.inner, nodes, sinks)
	best := 0
	for _, list := range [][]*variable{o.inner, o.outer} { // ties go to the inner, then the later axis
		for i := len(list) - 1; i >= 0; i-- {
			if s := l.vectorScore(list[i], nodes, sinks); o.vec == nil || s > best {
				o.vec, best = list[i], s
			}
		}
	}
	moveLast(o.outer, o.vec)
	moveLast(o.inner, o.vec)
	return &o
}

func moveLast(axes []*variable, a *variable) {
	if i := slices.Index(axes, a); i >= 0 {
		copy(axes[i:], axes[i+1:])
		axes[len(axes)-1] = a
	}
}

// fewLanes is an extent too short to fill vectors.
const fewLanes = 4

// vectorScore is how well memory suits lanes along an axis: neighbours and
// broadcasts are good, gaps are bad, stores count twice, and an axis too short
// for vectors is worst.
func (l *lowering) vectorScore(a *variable, nodes []*node, sinks []*sink) int {
	score := 0
	for _, n := range nodes {
		if n.op == Load {
			score += strideScore(n.at.expand().coef(a), 1)
		}
	}
	for _, k := range sinks {
		score += 2 * strideScore(k.at.coef(a), 0)
	}
	if n, ok := a.extent.Const(); ok && n < fewLanes {
		score -= 1000
	}
	return score
}

// strideScore rates one access; still is what an access that does not move is
// worth.
func strideScore(stride dim.Expr, still int) int {
	switch c, ok := stride.Const(); {
	case ok && c == 0:
		return still
	case ok && c == 1:
		return 2
	case ok && c == -1:
		return 0
	}
	return -2
}
