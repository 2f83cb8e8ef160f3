package dim

import (
	"fmt"
	"math"
)

// Range returns bounds of the values of e, both included. MinInt64 and
// MaxInt64 stand for no bound; an invalid expression has none.
func (f *Facts) Range(e Expr) (lo, hi int64) {
	if e.p == nil {
		return e.c, e.c
	}
	r := f.interval(e)
	if better := meet(r, f.ranges().tight(f.simplify(f.expand(e)))); !better.empty() {
		r = better
	}
	lo, hi = math.MinInt64, math.MaxInt64
	if r.lo.inf == 0 {
		lo = r.lo.v
	}
	if r.hi.inf == 0 {
		hi = r.hi.v
	}
	return lo, hi
}

// interval evaluates e over intervals.
func (f *Facts) interval(e Expr) interval { return f.ranges().of(e) }

// interval is what a fact alone says of its symbol.
func (k fact) interval() interval {
	r := interval{finite(k.lo), finite(k.hi)}
	if k.lo == math.MinInt64 {
		r.lo = negInf
	}
	if k.hi == math.MaxInt64 {
		r.hi = posInf
	}
	return r.tightenTo(k.div)
}

// ranges evaluates expressions over intervals. It remembers the atoms, of which
// nested arguments and chains of equalities may repeat exponentially many.
type ranges struct {
	f    *Facts
	sys  *system             // nil where there are no relations, or they are not to be used
	memo map[string]interval // by key of the atom
	// linear is set where linear programs are worth their time.
	linear bool
	// given are ranges of symbols that replace what is known.
	given map[string]interval
}

func (f *Facts) ranges() *ranges {
	sys := f.system()
	return &ranges{f: f, sys: sys, memo: map[string]interval{}, linear: sys != nil}
}

// withoutRelations are the ranges that the facts of single symbols give.
func (f *Facts) withoutRelations() *ranges { return &ranges{f: f, memo: map[string]interval{}} }

// tight is of, narrowed by linear reasoning where there are relations.
func (rs *ranges) tight(e Expr) interval {
	r := rs.of(e)
	if !rs.linear || e.p == nil || e.Invalid() {
		return r
	}
	linear := interval{rs.lower(e), rs.lower(e.Neg()).neg()}
	if better := meet(r, linear); !better.empty() && !linear.empty() {
		r = better
	}
	return r
}

// atLeast reports whether e >= least follows, by linear reasoning too where
// there are relations.
func (rs *ranges) atLeast(e Expr, least int64) bool {
	if e.Invalid() {
		return false
	}
	if lo := rs.of(e).lo; !lo.less(finite(least)) {
		return true
	}
	return rs.linear && !rs.lower(e).less(finite(least))
}

func (rs *ranges) of(e Expr) interval {
	if e.p == nil {
		return point(e.c)
	}
	if e.Invalid() {
		return everything()
	}
	r := termwise(e, rs.atom)
	if anchored, ok := rs.anchored(e); ok {
		if better := meet(r, anchored); !better.empty() {
			r = better
		}
	}
	return r
}

// termwise adds up the intervals of the terms.
func termwise(e Expr, ofAtom func(a *atom) interval) interval {
	sum := point(0)
	for _, t := range e.terms() {
		product := point(t.coef)
		for i := 0; i < len(t.atoms); {
			n := 1
			for i+n < len(t.atoms) && compareAtom(t.atoms[i], t.atoms[i+n]) == 0 {
				n++
			}
			product = product.mul(ofAtom(t.atoms[i]).pow(n))
			i += n
		}
		sum = sum.add(product)
	}
	return sum
}

// anchored evaluates a polynomial of degree two or more once again after
// replacing each atom x of finite lower bound by lo + x', x' >= 0. Terms that
// termwise evaluation cannot relate then cancel: with S = 1 + S', B*S - B is
// B*S', which is at least 0.
func (rs *ranges) anchored(e Expr) (interval, bool) {
	const maxTerms, maxDegree = 32, 4 // multiplying out is exponential in the degree
	ts := e.terms()
	if len(ts) < 2 || len(ts) > maxTerms || len(ts[0].atoms) < 2 || len(ts[0].atoms) > maxDegree {
		return interval{}, false
	}
	offsets := map[string]interval{}
	shifted := e.mapAtoms(func(a *atom) Expr {
		r := rs.atom(a)
		if r.lo.inf != 0 {
			offsets[a.key] = r
			return ofAtom(a)
		}
		key := fmt.Sprintf("%s - %d", a.key, r.lo.v)
		offsets[key] = r.add(point(r.lo.v).neg())
		return symbol(key).Add(Const(r.lo.v))
	})
	if shifted.Invalid() {
		return interval{}, false
	}
	return termwise(shifted, func(a *atom) interval { return offsets[a.key] }), true
}

func (rs *ranges) atom(a *atom) interval {
	if r, ok := rs.memo[a.key]; ok {
		return r
	}
	var r interval
	if a.op == opSym {
		r = rs.symbol(a.key)
	} else {
		r = rs.operation(a)
	}
	rs.memo[a.key] = r
	return r
}

func (rs *ranges) operation(a *atom) interval {
	r := rs.of(a.args[0])
	for _, arg := range a.args[1:] {
		r = intervalOps[a.op](r, rs.of(arg))
	}
	if r.empty() { // the operation never has a value, so anything holds of it
		return everything()
	}
	return r
}

var intervalOps = [...]func(r, o interval) interval{
	opFloorDiv: interval.floorDiv,
	opMod:      interval.mod,
	opMin:      interval.min,
	opMax:      interval.max,
}

func (rs *ranges) symbol(name string) interval {
	if r, ok := rs.given[name]; ok {
		return r
	}
	r := rs.declared(name)
	if rs.sys == nil {
		return r
	}
	if better := meet(r, rs.sys.narrowed(name, rs.f.of(name).div)); !better.empty() {
		r = better
	}
	return r
}

// declared is what the facts of the symbol alone say.
func (rs *ranges) declared(name string) interval {
	if sym, ok := quotientOf(name); ok {
		k := rs.f.of(sym)
		return k.interval().quotients(k.div)
	}
	k := rs.f.of(name)
	r := k.interval()
	if k.isEqual {
		if better := meet(r, rs.of(k.equal).tightenTo(k.div)); !better.empty() {
			r = better
		}
	}
	return r
}

// rooms calls fn for each term of e that is a multiple of a symbol, with what
// e >= 0 leaves for the symbol: coef*x >= -(most of the other terms). It stops
// when fn returns false.
func (rs *ranges) rooms(e Expr, fn func(name string, r interval) bool) bool {
	ts := e.terms()
	his := make([]bound, len(ts))
	for i, t := range ts {
		his[i] = termwise(Expr{p: &poly{terms: ts[i : i+1]}}, rs.atom).hi
		if len(t.atoms) == 0 {
			his[i] = finite(t.coef)
		}
	}
	for i, t := range ts {
		if len(t.atoms) != 1 || t.atoms[0].op != opSym {
			continue
		}
		most := point(0)
		for j, hi := range his {
			if j != i {
				most = most.add(interval{negInf, hi})
			}
		}
		if r, ok := t.room(most.hi); ok && !fn(t.atoms[0].key, r) {
			return false
		}
	}
	return true
}

// room is the range of the symbol x of a term with coef*x + most >= 0.
func (t term) room(most bound) (interval, bool) {
	if most.inf != 0 {
		return interval{}, false
	}
	r := everything()
	if t.coef > 0 { // x >= -floor(most/coef)
		r.lo = finite(floorDiv(most.v, t.coef)).neg()
	} else if abs, ok := negOK(t.coef); ok {
		r.hi = finite(floorDiv(most.v, abs))
	}
	return r, true
}
