package codegen

import (
	"fmt"
	"slices"

	"jitc/ir"
	"jitc/ir/dim"
	"jitc/ir/tensor"
)

// emitter turns a graph into the phases of a nest. With inner axes, phases
// alternate: what is constant along them runs once, then a loop computes the
// reductions that are ready, and so on to the last store.
//
//	once 0, loop 0 (reductions of depth 0), once 1, loop 1, ...
type emitter struct {
	l      *lowering
	n      *NestBuilder
	o      *layout
	nodes  []*node
	sinks  []*sink
	axisOf map[*variable]int
	vals   []Val // by node; None where not visible in the current phase
	// firstLoop is the loop that computes a varying node, by node; -1 for none.
	firstLoop []int
	kept      map[*node]*keep
	lent      map[*sink]bool // roots whose buffers hold another value until the last loop
	outside   map[*node]bool // wanted even if the loops have no points
}

// keep is where a loop's value waits for later loops.
type keep struct {
	buf  int
	at   affine
	full bool // a root's own buffer, stored anyway
}

// schedule makes the nest that computes the sinks.
func (l *lowering) schedule(p *puller, sinks []*sink) *Nest {
	for _, k := range sinks {
		k.node = storedNode(k.node, l.k.Bufs[k.root.buf].DType)
	}
	nodes := p.reachable(sinks)
	o := l.arrange(p, nodes, sinks)
	return l.emit(p, nodes, sinks, o)
}

// storedNode drops a rounding that the store does anyway.
func storedNode(n *node, dt tensor.DType) *node {
	if n.op == RoundTo && n.round == dt {
		return n.args[0]
	}
	return n
}

func (l *lowering) emit(p *puller, nodes []*node, sinks []*sink, o *layout) *Nest {
	e := &emitter{l: l, o: o, nodes: nodes, sinks: sinks, axisOf: map[*variable]int{},
		vals: make([]Val, len(p.nodes)), firstLoop: make([]int, len(p.nodes)), kept: map[*node]*keep{}, lent: map[*sink]bool{}}
	var axes []Axis
	for i, a := range o.axes() {
		e.axisOf[a] = i
		axes = append(axes, Axis{axisNameFor(i, len(o.outer)), a.extent})
	}
	e.n = newNest(nil, axes, len(o.outer))
	e.n.owner = &KernelBuilder{k: l.k}
	e.n.Vec(-1)
	if o.vec != nil {
		e.n.Vec(e.axisOf[o.vec])
	}
	for i := range e.vals {
		e.vals[i], e.firstLoop[i] = None, -1
	}
	e.classify()
	if len(o.inner) == 0 {
		e.onlyPhase()
	} else {
		e.phases()
	}
	return e.n.nest
}

func axisNameFor(i, outer int) string {
	if i < outer {
		return fmt.Sprintf("i%d", i)
	}
	return fmt.Sprintf("j%d", i-outer)
}

// classify finds what varies along inner axes, and how many reductions lead to
// each node.
func (e *emitter) classify() {
	for _, n := range e.nodes {
		n.varies, n.depth = variesInner(n.at), 0
		n.deps(func(d *node) {
			n.varies = n.varies || d.varies
			n.depth = max(n.depth, d.depth)
		})
		if n.op == Acc {
			n.varies = false
			n.depth++
		}
	}
}

func variesInner(a affine) bool {
	for _, t := range a.expand().terms {
		if t.v.kind == axisVar && t.v.inner {
			return true
		}
	}
	return false
}

// onlyPhase emits a nest without inner axes.
func (e *emitter) onlyPhase() {
	e.n.Once()
	for _, n := range e.nodes {
		if !n.immediate() {
			e.define(n)
		}
	}
	for _, k := range e.sinks {
		e.store(k)
	}
}

func (e *emitter) phases() {
	e.outside = map[*node]bool{}
	for _, k := range e.sinks {
		if !e.inLoop(k) {
			e.markOutside(k.node)
		}
	}
	last := 0
	for _, n := range e.nodes {
		last = max(last, n.depth)
	}
	loops := make([][]*node, last+1)
	for ph := range loops {
		loops[ph] = e.loopNodes(ph)
	}
	for ph := range loops {
		e.once(ph)
		e.loop(ph, loops[ph])
	}
}

// markOutside marks what a store outside of the loops needs, other than through
// reductions.
func (e *emitter) markOutside(n *node) {
	if !e.outside[n] && n.op != Acc {
		e.outside[n] = true
		n.deps(e.markOutside)
	}
}

// guard masks a load that loops want and that stands before them, for the case
// that they have no points: its address may exist no more than they do.
func (e *emitter) guard(n *node, a *Access) {
	if n.varies || len(e.o.inner) == 0 || e.outside[n] {
		return
	}
	for _, x := range e.o.inner {
		if !e.l.facts.LessEq(dim.Const(1), x.extent) {
			a.Masks = append(a.Masks, Mask{Limit: x.extent})
		}
	}
}

// once emits what is constant along inner axes and needs ph reductions before it.
func (e *emitter) once(ph int) {
	begun := false
	begin := func() {
		if !begun {
			e.n.Once()
			begun = true
		}
	}
	for _, n := range e.nodes {
		if !n.varies && n.depth == ph && n.op != Acc && !n.immediate() {
			begin()
			e.define(n)
		}
	}
	for _, k := range e.sinks {
		if !e.inLoop(k) && k.node.depth == ph {
			begin()
			e.store(k)
		}
	}
}

// inLoop reports whether a store runs over the inner axes.
func (e *emitter) inLoop(k *sink) bool { return k.node.varies || variesInner(k.at) }

// targets are the varying nodes that loop ph is for: what it reduces and stores.
func (e *emitter) targets(ph int) []*node {
	var out []*node
	for _, n := range e.nodes {
		if n.op == Acc && n.depth == ph+1 {
			out = append(out, n.args[0])
		}
	}
	for _, k := range e.sinks {
		if e.inLoop(k) && k.node.depth == ph {
			out = append(out, k.node)
		}
	}
	return out
}

// loopNodes are the varying nodes that loop ph evaluates, in order. One that an
// earlier loop has evaluated is kept in memory if that is cheaper than to
// evaluate it again.
func (e *emitter) loopNodes(ph int) []*node {
	in := map[*node]bool{}
	var mark func(*node)
	mark = func(n *node) {
		if !n.varies || in[n] {
			return
		}
		in[n] = true
		if f := e.firstLoop[n.id]; f >= 0 && f < ph && e.keep(n) {
			return
		} else if f < 0 {
			e.firstLoop[n.id] = ph
		}
		n.deps(mark)
	}
	for _, n := range e.targets(ph) {
		mark(n)
	}
	var out []*node
	for _, n := range e.nodes {
		if in[n] {
			out = append(out, n)
		}
	}
	return out
}

// lender finds a root that the last loop stores, in n's type: until then its
// buffer may hold n, at the same points. The buffer is brought into cache while
// the earlier loop computes, not in a loop that does little else.
func (e *emitter) lender(n *node) *sink {
	last := 0
	for _, k := range e.sinks {
		last = max(last, k.node.depth)
	}
	for _, x := range e.nodes {
		last = max(last, x.depth)
	}
	for _, k := range e.sinks {
		if e.inLoop(k) && k.node.depth == last && !e.lent[k] && e.l.k.Bufs[k.root.buf].DType == n.typ {
			return k
		}
	}
	return nil
}

// keep arranges for a value of an earlier loop to be read back: if it is a root,
// or is expensive and another root's buffer can hold it, or lanes are inner
// points (a row belongs to one outer point).
func (e *emitter) keep(n *node) bool {
	if e.kept[n] != nil {
		return true
	}
	for _, k := range e.sinks {
		if k.node == n && e.inLoop(k) && e.l.k.Bufs[k.root.buf].DType == n.typ {
			e.kept[n] = &keep{buf: k.root.buf, at: k.at, full: true}
			return true
		}
	}
	if !n.expensive() {
		return false
	}
	if k := e.lender(n); k != nil {
		e.lent[k] = true
		e.kept[n] = &keep{buf: k.root.buf, at: k.at}
		return true
	}
	if e.n.nest.VecOuter() {
		return false
	}
	extents := make([]dim.Expr, len(e.o.inner))
	at := make([]affine, len(e.o.inner))
	for i, a := range e.o.inner {
		extents[i], at[i] = a.extent, ofVar(a)
	}
	buf := e.l.numbered(Row, ir.T(n.typ, extents...))
	e.kept[n] = &keep{buf: buf, at: linear(at, extents)}
	return true
}

// immediate reports whether a value is made in every phase that uses it, so that
// it occupies no register in between.
func (n *node) immediate() bool { return n.op == Const || n.op == Size }

// val is a node's value in the current phase.
func (e *emitter) val(n *node) Val {
	if n.immediate() {
		in := NewInst(n.op, n.typ)
		in.Imm, in.Size = n.imm, n.size
		return e.n.Emit(in)
	}
	return e.vals[n.id]
}

// expensive reports whether a value is worth a store and a load.
func (n *node) expensive() bool {
	return n.op.Elementary() || slices.Contains([]Code{Div, Rem, Sqrt}, n.op)
}

func (e *emitter) loop(ph int, nodes []*node) {
	var folds []*node
	for _, n := range e.nodes {
		if n.op == Acc && n.depth == ph+1 {
			folds = append(folds, n)
		}
	}
	if len(nodes) == 0 && len(folds) == 0 && !e.storesIn(ph) {
		return
	}
	e.n.Loop()
	for _, n := range nodes {
		e.vals[n.id] = None
	}
	for _, n := range nodes {
		e.inPhase(ph, n)
	}
	for _, k := range e.sinks {
		if e.inLoop(k) && k.node.depth == ph {
			e.store(k)
		}
	}
	folded := make([]Val, len(folds))
	for i, n := range folds {
		folded[i] = e.val(n.args[0])
	}
	for i, n := range folds {
		e.vals[n.id] = e.n.Reduce(n.fold, folded[i])
	}
	for _, n := range nodes {
		e.vals[n.id] = None
	}
}

func (e *emitter) storesIn(ph int) bool {
	return slices.ContainsFunc(e.sinks, func(k *sink) bool { return e.inLoop(k) && k.node.depth == ph })
}

// inPhase computes a varying node, or reads it back.
func (e *emitter) inPhase(ph int, n *node) {
	k := e.kept[n]
	if k != nil && e.firstLoop[n.id] < ph {
		e.vals[n.id] = e.n.Load(e.access(k.buf, k.at))
		return
	}
	e.define(n)
	if k != nil && !k.full {
		e.n.Store(e.access(k.buf, k.at), e.vals[n.id])
	}
}

func (e *emitter) store(k *sink) {
	e.n.Store(e.access(k.root.buf, k.at), e.val(k.node))
}

// define emits a node.
func (e *emitter) define(n *node) {
	switch n.op {
	case Index:
		e.vals[n.id] = e.position(n)
		return
	case Load:
		a := e.access(n.buf, n.at)
		e.guard(n, &a)
		e.vals[n.id] = e.n.Load(a)
		return
	}
	in := NewInst(n.op, n.typ)
	in.Round = n.round
	for i, a := range n.args {
		*[]*Val{&in.A, &in.B, &in.C}[i] = e.val(a)
	}
	e.vals[n.id] = e.n.Emit(in)
}
