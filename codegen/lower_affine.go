package codegen

import (
	"fmt"

	"jitc/ir/dim"
)

// varKind says what a variable of an index expression ranges over.
type varKind uint8

const (
	axisVar varKind = iota // a loop axis
	maskVar                // an affine expression of axes, known to be in range where its mask holds
	dynVar                 // a value of the nest, clamped into range
)

// variable is an unknown of index expressions: 0 <= variable < extent.
//
// Mask and dyn variables carry what is known of a padded or data-dependent index
// through the views below it, so that the proof of a reshape and the address's
// bounds see the index's own range and not that of the loops.
type variable struct {
	id     int
	kind   varKind
	extent dim.Expr
	inner  bool   // axisVar: an axis of the looping phases
	def    affine // maskVar: its value, over axes only
	val    *node  // dynVar: the value before clamping
}

// term is coef times a variable.
type term struct {
	v    *variable
	coef dim.Expr
}

// affine is off + sum of terms; terms are sorted by variable and not zero.
type affine struct {
	off   dim.Expr
	terms []term
}

func ofVar(v *variable) affine { return affine{terms: []term{{v, dim.Const(1)}}} }

func (a affine) add(b affine) affine {
	out := affine{off: a.off.Add(b.off), terms: make([]term, 0, len(a.terms)+len(b.terms))}
	i, j := 0, 0
	for i < len(a.terms) || j < len(b.terms) {
		switch {
		case j == len(b.terms) || i < len(a.terms) && a.terms[i].v.id < b.terms[j].v.id:
			out.terms = append(out.terms, a.terms[i])
			i++
		case i == len(a.terms) || b.terms[j].v.id < a.terms[i].v.id:
			out.terms = append(out.terms, b.terms[j])
			j++
		default:
			if c := a.terms[i].coef.Add(b.terms[j].coef); !isConst(c, 0) {
				out.terms = append(out.terms, term{a.terms[i].v, c})
			}
			i, j = i+1, j+1
		}
	}
	return out
}

func (a affine) plus(e dim.Expr) affine { return affine{off: a.off.Add(e), terms: a.terms} }

func (a affine) scale(c dim.Expr) affine {
	if isConst(c, 1) {
		return a
	}
	out := affine{off: a.off.Mul(c)}
	for _, t := range a.terms {
		if k := t.coef.Mul(c); !isConst(k, 0) {
			out.terms = append(out.terms, term{t.v, k})
		}
	}
	return out
}

// coef is the factor of a variable.
func (a affine) coef(v *variable) dim.Expr {
	for _, t := range a.terms {
		if t.v == v {
			return t.coef
		}
	}
	return dim.Const(0)
}

// replace puts b in the place of v.
func (a affine) replace(v *variable, b affine) affine {
	c := a.coef(v)
	if isConst(c, 0) {
		return a
	}
	out := affine{off: a.off}
	for _, t := range a.terms {
		if t.v != v {
			out.terms = append(out.terms, t)
		}
	}
	return out.add(b.scale(c))
}

// expand replaces mask variables by their definitions.
func (a affine) expand() affine {
	for _, t := range a.terms {
		if t.v.kind == maskVar {
			a = a.replace(t.v, t.v.def)
		}
	}
	return a
}

// hasDyn reports whether a data-dependent variable occurs.
func (a affine) hasDyn() bool {
	for _, t := range a.terms {
		if t.v.kind == dynVar {
			return true
		}
	}
	return false
}

// key is equal exactly for equal expressions.
func (a affine) key(b []byte) []byte {
	b = append(b, a.off.Key()...)
	for _, t := range a.terms {
		b = fmt.Appendf(b, "+%d*", t.v.id)
		b = append(b, t.coef.Key()...)
	}
	return append(b, ',')
}

func isConst(e dim.Expr, n int64) bool {
	c, ok := e.Const()
	return ok && c == n
}

// linear is the row-major position of index at in a tensor of a shape.
func linear(at []affine, shape []dim.Expr) affine {
	var out affine
	stride := dim.Const(1)
	for i := len(shape) - 1; i >= 0; i-- {
		out = out.add(at[i].scale(stride))
		stride = stride.Mul(shape[i])
	}
	return out
}

// prover answers questions about index expressions from the region's facts.
type prover struct{ facts *dim.Facts }

func (p prover) equal(a, b dim.Expr) bool { return a.Equal(b) || p.facts.Equal(a, b) }

func (p prover) equalAll(as, bs []dim.Expr) bool {
	if len(as) != len(bs) {
		return false
	}
	for i := range as {
		if !p.equal(as[i], bs[i]) {
			return false
		}
	}
	return true
}

// one reports whether a size is known to be 1: such a dimension needs no axis.
func (p prover) one(e dim.Expr) bool { return p.equal(e, dim.Const(1)) }

// bounds are the least and greatest value of a; ok is false where the sign of a
// coefficient is unknown.
func (p prover) bounds(a affine) (lo, hi dim.Expr, ok bool) {
	lo, hi = a.off, a.off
	zero := dim.Const(0)
	for _, t := range a.terms {
		last := t.coef.Mul(t.v.extent.Sub(dim.Const(1)))
		switch {
		case p.facts.LessEq(zero, t.coef):
			hi = hi.Add(last)
		case p.facts.LessEq(t.coef, zero):
			lo = lo.Add(last)
		default:
			return lo, hi, false
		}
	}
	return lo, hi, true
}

// sides reports whether 0 <= a and a < limit are provable at every point.
func (p prover) sides(a affine, limit dim.Expr) (low, high bool) {
	lo, hi, ok := p.bounds(a)
	if !ok {
		return false, false
	}
	return p.facts.LessEq(dim.Const(0), lo), p.facts.Less(hi, limit)
}

func (p prover) within(a affine, limit dim.Expr) bool {
	low, high := p.sides(a, limit)
	return low && high
}

// narrow reports whether a provably stays within 31 bits.
func (p prover) narrow(a affine) bool {
	lo, hi, ok := p.bounds(a)
	if !ok {
		return false
	}
	least, _ := p.facts.Range(lo)
	_, most := p.facts.Range(hi)
	const limit = 1 << 30
	return least >= -limit && most <= limit
}

// divide splits a == q*size + r, with all in q that size divides.
func (p prover) divide(a affine, size dim.Expr) (q, r affine) {
	q.off, r.off = p.divideExpr(a.off, size)
	for _, t := range a.terms {
		if c, ok := p.facts.Quotient(t.coef, size); ok {
			q.terms = append(q.terms, term{t.v, c})
		} else {
			r.terms = append(r.terms, t)
		}
	}
	return q, r
}

func (p prover) divideExpr(e, size dim.Expr) (q, r dim.Expr) {
	if isConst(e, 0) {
		return q, r
	}
	if _, ok := e.Const(); ok {
		if n, ok := size.Const(); ok && n > 0 {
			return e.FloorDiv(size), e.Mod(size)
		}
	}
	if c, ok := p.facts.Quotient(e, size); ok {
		return c, r
	}
	return q, e
}

// split says that unravel would succeed if a loop axis were two: axis = q*size + r.
type split struct {
	axis *variable
	size dim.Expr
}

// unravel writes position a of a row-major tensor as an index of it. Where that
// is not affine, ok is false; s, if not nil, is a loop axis to split first.
func (p prover) unravel(a affine, shape []dim.Expr) (at []affine, s *split, ok bool) {
	at = make([]affine, len(shape))
	first := 0
	for first < len(shape)-1 && p.one(shape[first]) {
		first++
	}
	for i := len(shape) - 1; i > first; i-- {
		if p.one(shape[i]) {
			continue
		}
		q, r := p.divide(a, shape[i])
		if !p.within(r, shape[i]) {
			return nil, p.splitFor(r, shape[i]), false
		}
		at[i], a = r, q
	}
	if len(shape) > 0 {
		at[first] = a
	}
	return at, nil, true
}

// splitFor finds a loop axis of r that, split in two, lets size divide r's part
// of the outer one: c*axis with size = c*w and w a divisor of the axis's extent.
func (p prover) splitFor(r affine, size dim.Expr) *split {
	for _, t := range r.terms {
		if t.v.kind != axisVar {
			continue
		}
		w, ok := p.facts.Quotient(size, t.coef)
		if !ok || p.one(w) || p.equal(w, t.v.extent) || !p.facts.LessEq(dim.Const(1), w) {
			continue
		}
		if e, ok := p.facts.Quotient(t.v.extent, w); ok && !p.one(e) && p.facts.LessEq(dim.Const(1), e) {
			return &split{t.v, w}
		}
	}
	return nil
}
