package fusion

import (
	"math"
	"math/bits"
	"slices"

	"jitc/ir"
	"jitc/ir/dim"
)

// Kind is what the members of a region are to each other.
type Kind uint8

const (
	// Loop: values of one iteration space, views included.
	Loop Kind = iota
	// Reduction: an iteration space that is reduced over one set of axes, and
	// what is computed from it in the same space or once per row.
	Reduction
	// Contraction: a product of two operands, and what is applied to it.
	Contraction
	// Sealed: a single value that shares its region with no other.
	Sealed
	// Barrier: control flow, or one result of it: in no region.
	Barrier
)

var kindNames = [...]string{"loop", "reduction", "contraction", "alone", "control flow"}

// String is the kind's name in reports.
func (k Kind) String() string { return kindNames[k] }

// role is where a member is computed, relative to its cluster.
type role uint8

const (
	full  role = iota // at each point of the iteration space
	outer             // at each row: the space without the reduced axes
	moved             // wherever another member needs it
)

// cluster is a region in the making.
type cluster struct {
	kind    Kind
	owner   int32
	space   []dim.Expr // iteration space; of a contraction, that of its results
	red     uint64     // axes of the space that are reduced, as bits
	rows    float64    // points of the space without these, estimated
	members []int32    // ascending
	copies  []int32    // members of other clusters that this one computes again
	inputs  []int32    // roots that it reads: neither members nor copies
	exports []int32    // members that are read by others or are results
	ops     int        // values in the body, sources and views counted for each reader
	work    int        // per point
}

// sealedOps have kernels of their own. patches feeds a contraction, which reads
// it from memory; a window reads its operand several times.
var sealedOps = map[ir.Op]bool{ir.OpPatches: true}

// memberKind is the kind of the cluster that holds v alone.
func (g *graph) memberKind(n int32) Kind {
	v := g.values[n]
	switch {
	case isBarrier(v):
		return Barrier
	case g.sight(n) != allSight || sealedOps[v.Op] || v.Is(ir.Effect) || v.Is(ir.Random):
		return Sealed
	case v.Is(ir.Contract):
		return Contraction
	case isAxisReduction(v) && len(v.Attrs.Ints("axes")) > 0:
		return Reduction
	}
	return Loop
}

// isAxisReduction reports whether v folds whole axes.
func isAxisReduction(v *ir.Value) bool { return v.Is(ir.Reduce) && v.Op != ir.OpReduceWindow }

// singleton is the cluster of one member.
func (g *graph) singleton(n int32) *cluster {
	v := g.values[n]
	c := &cluster{kind: g.memberKind(n), owner: g.owner[n], space: v.Type.Shape, rows: math.Inf(1),
		members: []int32{n}, exports: []int32{n}, ops: 1 + g.viewsOf(n), work: work(v)}
	for _, r := range g.refsOf(n) {
		if r.root >= 0 && !slices.Contains(c.inputs, r.root) {
			c.inputs = append(c.inputs, r.root)
		}
	}
	if c.kind == Reduction {
		c.space = v.Args[0].Type.Shape
		g.role[n] = outer
		for _, a := range v.Attrs.Ints("axes") {
			c.red |= 1 << min(a, 63)
		}
		c.rows = g.cost.elements(v.Type.Shape)
		if len(c.space) > 63 {
			c.kind = Sealed
		}
	}
	return c
}

// viewsOf counts the sources and views that a member's region computes for it.
func (g *graph) viewsOf(n int32) (count int) {
	s := g.sight(n)
	for _, a := range g.values[n].Args {
		for !isRoot(a) && g.looksThrough(g.num(a), int(g.owner[n]), s) {
			count++
			if a.Is(ir.Source) {
				break
			}
			a = a.Args[0]
		}
	}
	return count
}

// readRole is the role in which member c reads its operands: a reduction reads
// points of the space, though its result is a row's.
func (g *graph) readRole(c int32) role {
	if r := g.role[c]; r != outer || !g.reduces(c) {
		return r
	}
	return full
}

// reduces reports whether a member folds axes of its cluster's space.
func (g *graph) reduces(c int32) bool {
	v := g.values[c]
	return isAxisReduction(v) && len(v.Attrs.Ints("axes")) > 0
}

// crossing calls f for each operand of a member of c that is a member of p.
func (g *graph) crossing(p int32, c *cluster, f func(reader int32, r *ref) bool) {
	for _, m := range c.members {
		for i := g.at[m]; i < g.at[m+1]; i++ {
			if r := &g.refs[i]; r.root >= 0 && g.member[r.root] && g.dag.find(r.root) == p && !f(m, r) {
				return
			}
		}
	}
}

// exported reports whether a member is read outside the vertices a and b, or is
// a result.
func (g *graph) exported(n, a, b int32) bool {
	if g.isResult[n] {
		return true
	}
	for _, reader := range g.readers[n] {
		if at := g.dag.find(reader); at != a && at != b {
			return true
		}
	}
	return false
}

// union is the cluster that merging vertices p and c would give, with the
// alignment's kind, space and reduction. Members' roles are not changed yet.
func (g *graph) union(p, c int32, a alignment) *cluster {
	x, y := g.cluster[p], g.cluster[c]
	u := &cluster{kind: a.kind, owner: x.owner, space: a.space, red: a.red, rows: a.rows,
		ops: x.ops + y.ops, work: x.work + y.work}
	for _, set := range [][]int32{x.inputs, y.inputs} {
		for _, in := range set {
			inside := g.member[in] && (g.dag.find(in) == p || g.dag.find(in) == c)
			if !inside && !slices.Contains(u.inputs, in) {
				u.inputs = append(u.inputs, in)
			}
		}
	}
	for _, set := range [][]int32{x.exports, y.exports} {
		for _, ex := range set {
			if g.exported(ex, p, c) {
				u.exports = append(u.exports, ex)
			}
		}
	}
	return u
}

// limits refuses a region that is too large for a kernel.
func (g *graph) limits(u *cluster) reason {
	switch {
	case u.ops > g.opts.MaxOps:
		return opLimit
	case len(u.inputs)+len(u.exports) > g.opts.MaxOperands:
		return operandLimit
	}
	return fits
}

// kept are the axes of the space that are not reduced, as bits.
func (c *cluster) kept() uint64 { return (1<<len(c.space) - 1) &^ c.red }

// outerShape is the space without the reduced axes.
func (c *cluster) outerShape() []dim.Expr {
	out := make([]dim.Expr, 0, bits.OnesCount64(c.kept()))
	for i, e := range c.space {
		if c.red>>i&1 == 0 {
			out = append(out, e)
		}
	}
	return out
}
