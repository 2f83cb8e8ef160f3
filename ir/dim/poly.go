package dim

import (
	"cmp"
	"slices"
	"strings"
)

// op is the kind of an atom.
type op uint8

const (
	opSym op = iota
	opFloorDiv
	opMod
	opMin
	opMax
)

// atom is what a polynomial takes for a variable. Atoms are compared by key:
// a symbol's name, or the text of any other atom, which is canonical because
// the arguments are.
type atom struct {
	op    op
	key   string
	args  []Expr // floordiv, mod: dividend and divisor; min, max: sorted
	size  int    // nodes, arguments included
	depth int    // 0 for a symbol
}

// term is a coefficient times a monomial. A factor that occurs twice is listed
// twice; the constant term has no atoms.
type term struct {
	coef  int64
	atoms []*atom // sorted by compareAtom
}

// poly is a polynomial of at least one non-constant term, or an invalid value.
type poly struct {
	terms []term // sorted by compareMonomial, coefficients non-zero
	size  int
	depth int
	why   defect
}

// defect says why an expression has no value.
type defect uint8

const (
	valid defect = iota
	overflow
	oversize
	badName
)

var defects = [...]*poly{overflow: {why: overflow}, oversize: {why: oversize}, badName: {why: badName}}

func invalid(why defect) Expr { return Expr{p: defects[why]} }

// ofAtom is the expression that is just a.
func ofAtom(a *atom) Expr {
	return Expr{p: &poly{terms: []term{{1, []*atom{a}}}, size: a.size, depth: a.depth}}
}

// newAtom makes an irreducible operation over valid normal arguments.
func newAtom(op op, args ...Expr) Expr {
	a := &atom{op: op, args: args, size: 1}
	for _, arg := range args {
		a.size += arg.size()
		if arg.p != nil {
			a.depth = max(a.depth, arg.p.depth)
		}
	}
	a.depth++
	if a.size > MaxSize || a.depth > MaxDepth {
		return invalid(oversize)
	}
	a.key = atomText(op, args)
	return ofAtom(a)
}

func (e Expr) size() int {
	if e.p == nil {
		return 1
	}
	return e.p.size
}

// ofTerms is the expression of sorted, combined terms.
func ofTerms(ts []term) Expr {
	switch {
	case len(ts) == 0:
		return Expr{}
	case len(ts) == 1 && len(ts[0].atoms) == 0:
		return Expr{c: ts[0].coef}
	}
	p := &poly{terms: ts, size: len(ts) - 1}
	for _, t := range ts {
		if len(t.atoms) == 0 {
			p.size++
		}
		for _, a := range t.atoms {
			p.size += a.size
			p.depth = max(p.depth, a.depth)
		}
	}
	if p.size > MaxSize {
		return invalid(oversize)
	}
	return Expr{p: p}
}

// terms lists the terms of a valid expression, of 0 none.
func (e Expr) terms() []term {
	switch {
	case e.p != nil:
		return e.p.terms
	case e.c != 0:
		return []term{{coef: e.c}}
	}
	return nil
}

// splitConst returns the non-constant terms and the constant one's value.
func (e Expr) splitConst() ([]term, int64) {
	ts := e.terms()
	if n := len(ts); n > 0 && len(ts[n-1].atoms) == 0 {
		return ts[:n-1], ts[n-1].coef
	}
	return ts, 0
}

// soleAtom returns the atom of an expression that is just an atom.
func (e Expr) soleAtom() (*atom, bool) {
	if e.p == nil || len(e.p.terms) != 1 {
		return nil, false
	}
	t := e.p.terms[0]
	if t.coef != 1 || len(t.atoms) != 1 {
		return nil, false
	}
	return t.atoms[0], true
}

// compareAtom orders symbols before operations, then by key.
func compareAtom(a, b *atom) int {
	if a == b {
		return 0
	}
	if (a.op == opSym) != (b.op == opSym) {
		return cmp.Compare(min(a.op, 1), min(b.op, 1))
	}
	return strings.Compare(a.key, b.key)
}

// compareMonomial is the graded lexicographic order, largest first. It is
// admissible (m < n implies m*k < n*k), which mulPoly and divideExact rely on.
func compareMonomial(a, b []*atom) int {
	if len(a) != len(b) {
		return cmp.Compare(len(b), len(a))
	}
	return slices.CompareFunc(a, b, compareAtom)
}

func compareTerms(a, b []term) int {
	return slices.CompareFunc(a, b, func(s, t term) int {
		if c := compareMonomial(s.atoms, t.atoms); c != 0 {
			return c
		}
		return cmp.Compare(s.coef, t.coef)
	})
}

// compareExpr is a total order that puts constants last.
func compareExpr(a, b Expr) int {
	if a.Invalid() || b.Invalid() {
		return cmp.Compare(a.defect(), b.defect())
	}
	at, ac := a.splitConst()
	bt, bc := b.splitConst()
	if len(at) == 0 || len(bt) == 0 {
		return cmp.Or(cmp.Compare(len(bt), len(at)), cmp.Compare(ac, bc))
	}
	return cmp.Or(compareTerms(at, bt), cmp.Compare(ac, bc))
}

func (e Expr) defect() defect {
	if e.p == nil {
		return valid
	}
	return e.p.why
}

// firstDefect returns the first invalid operand.
func firstDefect(es ...Expr) (Expr, bool) {
	for _, e := range es {
		if e.Invalid() {
			return e, true
		}
	}
	return Expr{}, false
}

func addPoly(e, o Expr) Expr {
	if bad, ok := firstDefect(e, o); ok {
		return bad
	}
	ts, ok := mergeTerms(e.terms(), o.terms())
	if !ok {
		return invalid(overflow)
	}
	return ofTerms(ts)
}

// mergeTerms adds two sorted term lists; ok is false on overflow.
func mergeTerms(a, b []term) ([]term, bool) {
	out := make([]term, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		switch c := compareMonomial(a[0].atoms, b[0].atoms); {
		case c < 0:
			out, a = append(out, a[0]), a[1:]
		case c > 0:
			out, b = append(out, b[0]), b[1:]
		default:
			s, ok := addOK(a[0].coef, b[0].coef)
			if !ok {
				return nil, false
			}
			if s != 0 {
				out = append(out, term{s, a[0].atoms})
			}
			a, b = a[1:], b[1:]
		}
	}
	return append(append(out, a...), b...), true
}

func mulPoly(e, o Expr) Expr {
	if bad, ok := firstDefect(e, o); ok {
		return bad
	}
	a, b := e.terms(), o.terms()
	if len(a)*len(b) > maxProducts {
		return invalid(oversize)
	}
	if len(a) > len(b) {
		a, b = b, a
	}
	var sum []term
	for _, t := range a {
		row, ok := scaleTerms(t, b)
		if ok {
			sum, ok = mergeTerms(sum, row)
		}
		if !ok {
			return invalid(overflow)
		}
	}
	return ofTerms(sum)
}

// scaleTerms multiplies every term of ts by t. The order is admissible, so the
// result is sorted.
func scaleTerms(t term, ts []term) ([]term, bool) {
	out := make([]term, len(ts))
	for i, u := range ts {
		c, ok := mulOK(t.coef, u.coef)
		if !ok {
			return nil, false
		}
		out[i] = term{c, mulMonomial(t.atoms, u.atoms)}
	}
	return out, true
}

func mulMonomial(a, b []*atom) []*atom {
	if len(a) == 0 {
		return b
	}
	if len(b) == 0 {
		return a
	}
	out := make([]*atom, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		if compareAtom(a[0], b[0]) <= 0 {
			out, a = append(out, a[0]), a[1:]
		} else {
			out, b = append(out, b[0]), b[1:]
		}
	}
	return append(append(out, a...), b...)
}

// divMonomial returns a/b, and whether b divides a.
func divMonomial(a, b []*atom) ([]*atom, bool) {
	var out []*atom
	for _, x := range a {
		if len(b) > 0 && compareAtom(x, b[0]) == 0 {
			b = b[1:]
			continue
		}
		out = append(out, x)
	}
	return out, len(b) == 0
}

// maxQuotient bounds the terms of a polynomial quotient.
const maxQuotient = 256

// divideExact returns q with a == q*b as polynomials over the integers, by
// division of leading terms.
func divideExact(a, b Expr) (Expr, bool) {
	if _, bad := firstDefect(a, b); bad || b.isZero() {
		return Expr{}, false
	}
	lead := b.terms()[0]
	var q Expr
	for range maxQuotient {
		if a.Invalid() {
			return Expr{}, false
		}
		if a.isZero() {
			return q, !q.Invalid()
		}
		t, ok := divTerm(a.terms()[0], lead)
		if !ok {
			return Expr{}, false
		}
		part := ofTerms([]term{t})
		q, a = q.Add(part), a.Sub(part.Mul(b))
	}
	return Expr{}, false
}

// divTerm returns t/d, and whether d divides t.
func divTerm(t, d term) (term, bool) {
	if r, ok := floorModOK(t.coef, d.coef); !ok || r != 0 {
		return term{}, false
	}
	c, ok := floorDivOK(t.coef, d.coef)
	m, divides := divMonomial(t.atoms, d.atoms)
	return term{c, m}, ok && divides
}

func (e Expr) isZero() bool { return e.p == nil && e.c == 0 }
