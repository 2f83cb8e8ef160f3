package dim

import (
	"math"
	"slices"
)

// Decide reports whether the constraint holds of all sizes that the facts
// admit, or of none; known is false where neither is found. Sizes of which the
// constraint has no value do not count.
func (f *Facts) Decide(c Constraint) (value, known bool) {
	if v, ok := c.Const(); ok || c.Invalid() {
		return v, ok
	}
	if c.kind == nonzero || c.kind == divideNot {
		value, known = f.Decide(c.Not())
		return known && !value, known
	}
	if v, ok := f.decideSymbol(c); ok {
		return v, true
	}
	full := constrain(c.kind, f.simplify(f.expand(c.e)), c.n)
	if v, ok := full.Const(); ok || full.Invalid() {
		return v, ok
	}
	if v, ok := f.system().stated(full); ok {
		return v, true
	}
	switch full.kind {
	case atLeast:
		return f.decideAtLeast(full.e)
	case zero:
		return f.decideZero(full.e)
	case divides:
		return f.decideDivides(full.e, full.n)
	}
	return f.Decide(full) // normalising has found a negative form
}

// stated decides a constraint that is a relation itself, or the negation of
// one.
func (s *system) stated(c Constraint) (value, known bool) {
	if s == nil {
		return false, false
	}
	if slices.ContainsFunc(s.facts, c.Equal) {
		return true, true
	}
	return false, slices.ContainsFunc(s.facts, c.Not().Equal)
}

// decideSymbol decides a bound of a symbol by its range alone, without
// allocating; most constraints are such.
func (f *Facts) decideSymbol(c Constraint) (value, known bool) {
	name, a, b, ok := c.e.linear()
	if !ok || c.kind != atLeast {
		return false, false
	}
	k := f.of(name)
	r := k.interval().mul(point(a)).add(point(b))
	switch {
	case r.lo.sign() >= 0:
		return true, true
	case r.hi.sign() < 0:
		return false, true
	}
	return false, false
}

// proves reports whether e >= least, by linear reasoning even without
// relations: quotients and extrema have definitions.
func (f *Facts) proves(e Expr, least int64) bool {
	if e.Invalid() {
		return false
	}
	c := cases{ranges: f.ranges(), least: least, budget: maxCases}
	c.linear = true
	return c.prove(e)
}

func (f *Facts) decideAtLeast(e Expr) (value, known bool) {
	if f.proves(e, 0) {
		return true, true
	}
	return false, f.proves(e.Neg(), 1)
}

func (f *Facts) decideZero(e Expr) (value, known bool) {
	if f.Equal(e, Const(0)) || f.proves(e, 0) && f.proves(e.Neg(), 0) {
		return true, true
	}
	return false, f.proves(e, 1) || f.proves(e.Neg(), 1) || f.offMultiples(e)
}

// offMultiples reports whether e is a multiple of some g plus a constant that
// is not, and so never 0.
func (f *Facts) offMultiples(e Expr) bool {
	ts, rest := e.splitConst()
	if g := f.knownDivisor(ofTerms(ts)); g > 1 && magnitude(rest)%g != 0 {
		return true
	}
	s := f.system()
	if s == nil {
		return false
	}
	for _, fact := range s.facts { // the moduli that residues are known of
		if fact.kind == divides {
			if value, known := f.residue(e, fact.n); known && !value {
				return true
			}
		}
	}
	return false
}

func (f *Facts) decideDivides(e Expr, n int64) (value, known bool) {
	if f.Divides(n, e) {
		return true, true
	}
	if v, ok := f.residue(e, n); ok {
		return v, true
	}
	r := f.ranges().tight(e)
	if r.lo.inf != 0 || r.hi.inf != 0 || r.empty() {
		return false, false
	}
	// No multiple lies between the bounds.
	return false, r.lo.v > math.MinInt64 && floorDiv(r.lo.v-1, n) == floorDiv(r.hi.v, n)
}

// residue decides whether n divides an expanded expression by what is known of
// residues: relations m | r are subtracted, as often as cancels the first term
// of r, and what is left is a constant up to multiples of a divisor of n.
func (f *Facts) residue(e Expr, n int64) (value, known bool) {
	_, e = splitMultiple(e, n, floored)
	if s := f.system(); s != nil {
		for _, fact := range s.facts {
			if fact.kind == divides {
				e = cancel(e, fact, n)
			}
		}
	}
	if f.multipleOf(uint64(n), e) {
		return true, true
	}
	ts, rest := e.splitConst()
	g := gcd(f.knownDivisor(ofTerms(ts)), uint64(n))
	return false, !e.Invalid() && magnitude(rest)%g != 0
}

// cancel subtracts a multiple of fact.e from e that is a multiple of n.
func cancel(e Expr, fact Constraint, n int64) Expr {
	lead := fact.e.terms()[0]
	for _, t := range e.terms() {
		if compareMonomial(t.atoms, lead.atoms) != 0 || t.coef%lead.coef != 0 {
			continue
		}
		k := t.coef / lead.coef
		if m, ok := mulOK(k, fact.n); !ok || m%n != 0 {
			break
		}
		_, rest := splitMultiple(e.Sub(fact.e.Mul(Const(k))), n, floored)
		if !rest.Invalid() {
			return rest
		}
	}
	return e
}
