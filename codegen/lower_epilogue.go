package codegen

import (
	"fmt"
	"slices"

	"jitc/ir"
	"jitc/ir/dim"
)

// epilogue pulls r, and the waiting results that fit, as the epilogue of the
// product; ok is false where r is none.
func (l *lowering) epilogue(g *product, r *root) (ok bool, err error) {
	s, roots := l.newSpace(r.v.Type.Shape), []*root{r}
	p, sinks, err := l.settle(s, roots, g.d, l.materialise)
	if err == errConflict {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if !l.accepts(g, p, sinks) {
		return false, nil
	}
	for _, w := range slices.Clone(l.waiting) {
		if w.v == r.v || !l.equalAll(w.v.Type.Shape, r.v.Type.Shape) || !l.dependsOn(w.v, g.d) {
			continue
		}
		wider, more := s.clone(l), append(slices.Clone(roots), w)
		if q, found, err := l.settle(wider, more, g.d, nil); err == nil && l.accepts(g, q, found) {
			s, roots, p, sinks = wider, more, q, found
		}
	}
	if !l.accepts(g, p, sinks) {
		panic("BUG: codegen: an epilogue is accepted once only")
	}
	g.p, g.sinks = p, sinks
	if l.wantedLater(g) {
		g.sinks = append(g.sinks, l.alsoStore(g))
	}
	return true, nil
}

// wantedLater reports whether a value still to be stored needs the product, other
// than through the epilogue's roots.
func (l *lowering) wantedLater(g *product) bool {
	for _, k := range g.sinks {
		if k.root.v == g.d {
			return false
		}
	}
	var added []*ir.Value
	for _, k := range g.sinks { // look at the region as it is after this step
		if _, ok := l.stored[k.root.v]; !ok {
			l.stored[k.root.v] = k.root.buf
			added = append(added, k.root.v)
		}
	}
	wanted := false
	for _, w := range l.waiting {
		wanted = wanted || l.dependsOn(w.v, g.d)
	}
	for v := range l.active {
		wanted = wanted || l.dependsOn(v, g.d)
	}
	for _, v := range added {
		delete(l.stored, v)
	}
	return wanted
}

// alsoStore stores the bare product beside the epilogue's roots.
func (l *lowering) alsoStore(g *product) *sink {
	buf, ok := l.outputs[g.d]
	if !ok {
		buf = l.numbered(Temp, g.d.Type)
	}
	return &sink{root: &root{g.d, buf}, node: g.p.product(g.d, g.p.dotAt), at: linear(g.p.dotAt, g.d.Type.Shape)}
}

// accepts reports whether the roots form an epilogue, and sorts their axes into
// those of the batch, the rows and the columns: the product's index must be made
// of all axes, each once, and rows and columns must each be one axis to every
// address.
func (l *lowering) accepts(g *product, p *puller, sinks []*sink) bool {
	if p.dotAt == nil || len(p.s.loops) > 0 {
		return false
	}
	var groups [3][]*variable
	nb, nm := len(g.axes.batch[0]), len(g.axes.free[0])
	seen := map[*variable]bool{}
	for i, a := range p.dotAt {
		axes, ok := l.radix(a, g.d.Type.Shape[i])
		if !ok {
			return false
		}
		for _, x := range axes {
			if seen[x] || x.inner {
				return false
			}
			seen[x] = true
		}
		role := 0
		if i >= nb+nm {
			role = 2
		} else if i >= nb {
			role = 1
		}
		groups[role] = append(groups[role], axes...)
	}
	nodes := p.reachable(sinks)
	for _, group := range groups[1:] {
		for i := 1; i < len(group); i++ {
			if !l.mergeable(group[i-1], group[i], nodes, sinks) {
				return false
			}
		}
	}
	g.batch, g.mn = groups[0], [2][]*variable{groups[1], groups[2]}
	return len(seen) == len(p.s.axes) && covered(p, sinks)
}

// radix writes a position of a dimension as axes, outermost first, that together
// run through it once.
func (l *lowering) radix(a affine, size dim.Expr) ([]*variable, bool) {
	var axes []*variable
	if !isConst(a.off, 0) {
		return nil, false
	}
	span, left := dim.Const(1), slices.Clone(a.terms)
	for len(left) > 0 {
		i := slices.IndexFunc(left, func(t term) bool { return t.v.kind == axisVar && l.equal(t.coef, span) })
		if i < 0 {
			return nil, false
		}
		axes = append(axes, left[i].v)
		span = span.Mul(left[i].v.extent)
		left = slices.Delete(left, i, i+1)
	}
	slices.Reverse(axes)
	return axes, l.equal(span, size)
}

// emitProduct appends the product as a step.
func (l *lowering) emitProduct(g *product) {
	for _, k := range g.sinks {
		k.node = storedNode(k.node, l.k.Bufs[k.root.buf].DType)
	}
	nodes := g.p.reachable(g.sinks)
	var mn [2]*variable
	for i, group := range g.mn {
		mn[i] = l.oneAxis(group, nodes, g.sinks)
	}
	gm := &Gemm{M: mn[0].extent, N: mn[1].extent, K: dim.Const(1), DType: dotType(g.d)}
	for _, a := range dotAxesOf(g.d).contract[0] {
		gm.K = gm.K.Mul(g.d.Args[0].Type.Shape[a])
	}
	gm.Tile = l.numbered(Tile, ir.T(gm.DType, gm.M, gm.N))
	gm.A, gm.B = l.operand(g, 0), l.operand(g, 1)
	gm.A.Row, gm.A.Col = g.operands[0].free, g.operands[0].contract
	gm.B.Row, gm.B.Col = g.operands[1].contract, g.operands[1].free
	o := &layout{outer: append(slices.Clone(g.batch), mn[0], mn[1]), vec: mn[1]}
	g.p.tile.buf = gm.Tile
	gm.Epilogue = l.emit(g.p, nodes, g.sinks, o)
	nameEpilogue(gm)
	l.k.Steps = append(l.k.Steps, Step{Gemm: gm})
}

// oneAxis merges a group of axes that accepts has found to run as one.
func (l *lowering) oneAxis(group []*variable, nodes []*node, sinks []*sink) *variable {
	if len(group) == 0 {
		return l.axis(dim.Const(1), false)
	}
	a := group[0]
	for _, b := range group[1:] {
		merged := l.axis(a.extent.Mul(b.extent), false)
		mergeAxes(a, b, merged, nodes, sinks)
		a = merged
	}
	return a
}

// operand is an operand's address by the epilogue's batch axes.
func (l *lowering) operand(g *product, i int) Operand {
	from := g.operands[i]
	o := Operand{Buf: from.buf, Offset: from.off, Batch: make([]dim.Expr, len(g.batch))}
	for j, stride := range from.batch {
		for x, a := range g.batch {
			o.Batch[x] = o.Batch[x].Add(g.p.dotAt[j].coef(a).Mul(stride))
		}
	}
	return o
}

// nameEpilogue names the axes and lays the tile's loads out in rows.
func nameEpilogue(gm *Gemm) {
	e := gm.Epilogue
	nb := len(e.Axes) - 2
	for i := range nb {
		e.Axes[i].Name = fmt.Sprintf("b%d", i)
		gm.Batch = append(gm.Batch, e.Axes[i])
	}
	e.Axes[nb].Name, e.Axes[nb+1].Name = "m", "n"
	for i := range e.Accs {
		if e.Accs[i].Buf == gm.Tile {
			e.Accs[i].Strides[nb], e.Accs[i].Strides[nb+1] = gm.N, dim.Const(1)
			if isConst(gm.N, 0) { // no elements, but still a row and a column
				e.Accs[i].Strides[nb] = dim.Const(1)
			}
		}
	}
}
