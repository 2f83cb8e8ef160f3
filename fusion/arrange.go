package fusion

import (
	"slices"

	"jitc/ir"
)

// arrangeResults gives the regions of executors that take strides the copies that do
// nothing but store the result in another order or under another shape:
//
//	%0: f32[B,H,S,64] = scaled_dot_product_attention(%q, %k, %v)
//	%1: f32[B,S,H,64] = transpose(%0) {perm=[0,2,1,3]}
//	%2: f32[B,S,H*64] = reshape(%1)    where the heads lie side by side
//
// The copy reads nothing else, so that the merge closes no cycle.
func (g *graph) arrangeResults() {
	for c := range int32(len(g.values)) {
		if g.member[c] {
			g.arrange(c)
		}
	}
}

func (g *graph) arrange(c int32) {
	at := g.dag.find(c)
	y := g.cluster[at]
	if len(y.members) != 1 || y.kind != Loop || !arranges(g.values[c]) {
		return
	}
	r := &g.refsOf(c)[0]
	if r.root < 0 || !g.member[r.root] || g.isResult[r.root] || g.sight(r.root) != viewSight || !g.arrangesAll(g.values[c], r.root) {
		return
	}
	p := g.dag.find(r.root)
	x := g.cluster[p]
	if len(x.members) != 1 || slices.ContainsFunc(g.readers[r.root], func(reader int32) bool { return reader != c }) {
		return
	}
	root, why, via := g.dag.merge(p, at, g.opts.Budget)
	if why != fits { // a budget: a cycle there is not
		r.why, r.via = why, via
		return
	}
	r.why, r.via = arranged, -1
	g.cluster[p], g.cluster[at] = nil, nil
	g.cluster[root] = &cluster{kind: Sealed, owner: x.owner, space: y.space, rows: x.rows, members: []int32{r.root, c},
		inputs: x.inputs, exports: y.exports, ops: x.ops + y.ops, work: x.work}
}

// arranges reports whether a value has the elements of its operand, each once.
func arranges(v *ir.Value) bool { return v.Op == ir.OpReshape || v.Op == ir.OpTranspose }

// arrangesAll reports whether a value has the elements of a root, each once.
func (g *graph) arrangesAll(v *ir.Value, root int32) bool {
	for g.num(v) != root {
		if !arranges(v) {
			return false
		}
		v = v.Args[0]
	}
	return true
}
