package codegen

import "jitc/ir/dim"

// position computes an expression of loop positions.
func (e *emitter) position(n *node) Val {
	sum := None
	add := func(v Val) {
		if sum != None {
			v = e.n.Op(Add, sum, v)
		}
		sum = v
	}
	for _, t := range n.at.terms {
		v := e.n.Index(n.typ, e.axisOf[t.v])
		if !isConst(t.coef, 1) {
			v = e.n.Op(Mul, v, e.n.Size(n.typ, t.coef))
		}
		add(v)
	}
	if !isConst(n.at.off, 0) || sum == None {
		add(e.n.Size(n.typ, n.at.off))
	}
	return sum
}

// access is an address as the nest's access, its masks with what their index
// contributes to the address.
func (e *emitter) access(buf int, at affine) Access {
	full := at.expand()
	a := Access{Buf: buf, Offset: full.off, Strides: e.coefs(full)}
	for _, t := range full.terms {
		if t.v.kind != dynVar {
			continue
		}
		a.Dyn = append(a.Dyn, Dyn{Val: e.val(t.v.val), Limit: t.v.extent, Stride: t.coef})
		if !e.l.facts.LessEq(dim.Const(1), t.v.extent) { // no position at all where the limit is 0
			a.Masks = append(a.Masks, Mask{Limit: t.v.extent})
		}
	}
	for _, t := range at.terms {
		if m := t.v; m.kind == maskVar {
			a.Masks = append(a.Masks, Mask{Offset: m.def.off, Coef: e.coefs(m.def), Limit: m.extent, Stride: t.coef})
		}
	}
	return a
}

// coefs are the factors of the axes, in order.
func (e *emitter) coefs(a affine) []dim.Expr {
	out := make([]dim.Expr, len(e.axisOf))
	for _, t := range a.terms {
		if t.v.kind == axisVar {
			out[e.axisOf[t.v]] = t.coef
		}
	}
	return out
}
