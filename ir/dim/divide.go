package dim

import "math"

// FloorDiv returns e floordiv o, rounded to minus infinity. A division by the
// constant 0 is kept as it is; evaluating it is an error.
func (e Expr) FloorDiv(o Expr) Expr {
	if bad, ok := firstDefect(e, o); ok {
		return bad
	}
	n, isConst := o.Const()
	if !isConst || n == 0 {
		return newAtom(opFloorDiv, e, o)
	}
	if e.p == nil {
		if q, ok := floorDivOK(e.c, n); ok {
			return Expr{c: q}
		}
		return invalid(overflow)
	}
	if n == math.MinInt64 { // has no positive counterpart
		return newAtom(opFloorDiv, e, o)
	}
	if n < 0 { // x floordiv -n == -x floordiv n
		return floorDivBy(e.Neg(), -n, asWritten)
	}
	return floorDivBy(e, n, asWritten)
}

// Mod returns e mod o, the remainder of [Expr.FloorDiv]: its sign is that of
// the divisor. The constant divisor 0 is kept, as in FloorDiv.
func (e Expr) Mod(o Expr) Expr {
	if bad, ok := firstDefect(e, o); ok {
		return bad
	}
	n, isConst := o.Const()
	if !isConst || n == 0 {
		return newAtom(opMod, e, o)
	}
	if e.p == nil {
		r, _ := floorModOK(e.c, n)
		return Expr{c: r}
	}
	if n == math.MinInt64 {
		return newAtom(opMod, e, o)
	}
	if n < 0 { // x mod -n == -(-x mod n)
		return modBy(e.Neg(), -n).Neg()
	}
	return modBy(e, n)
}

// CeilDiv returns (e + o - 1) floordiv o, which for positive o is the quotient
// rounded up.
func (e Expr) CeilDiv(o Expr) Expr {
	return e.Add(o).Sub(Const(1)).FloorDiv(o)
}

// residue splits a coefficient: c == n*q + r with |r| < n, for n > 0.
type residue func(c, n int64) (q, r int64)

// truncated keeps the sign of the coefficient, so that (3*B - S) floordiv 4
// stays as written: a coefficient of the other sign would only widen the
// interval that Range finds.
func truncated(c, n int64) (q, r int64) { return c / n, c % n }

// floored makes every residue non-negative.
func floored(c, n int64) (q, r int64) {
	q = floorDiv(c, n)
	return q, c - q*n
}

// divForm is a way to write quotients by constants.
type divForm struct {
	split residue
	merge bool // nested quotients, whatever is added to the inner one
}

var (
	// asWritten is the normal form.
	asWritten = divForm{split: truncated}
	// floorOnly has one form for all dividends that differ by multiples of the
	// divisor, and unified for some nested quotients too. They are for proofs
	// of equality, not to be read.
	floorOnly = divForm{split: floored}
	unified   = divForm{split: floored, merge: true}
)

// splitMultiple returns q and r with e == n*q + r, n > 0. The constant of r
// lies in [0, n) whatever the residue, so rounding idioms look alike:
// (S - 1) floordiv 4 is (S + 3) floordiv 4 - 1.
func splitMultiple(e Expr, n int64, split residue) (q, r Expr) {
	var qs, rs []term
	for _, t := range e.terms() {
		s := split
		if len(t.atoms) == 0 {
			s = floored
		}
		tq, tr := s(t.coef, n)
		if tq != 0 {
			qs = append(qs, term{tq, t.atoms})
		}
		if tr != 0 {
			rs = append(rs, term{tr, t.atoms})
		}
	}
	return ofTerms(qs), ofTerms(rs)
}

// content is the gcd of n and the non-constant coefficients of e.
func content(e Expr, n int64) int64 {
	g := uint64(n)
	ts, _ := e.splitConst()
	for _, t := range ts {
		g = gcd(g, magnitude(t.coef))
	}
	return int64(g)
}

// floorDivBy is e floordiv n for n > 0 and a valid, non-constant e or a
// constant that arose on the way.
func floorDivBy(e Expr, n int64, form divForm) Expr {
	if e.Invalid() || n == 1 {
		return e
	}
	q, r := splitMultiple(e, n, form.split)
	if r.p == nil {
		return q // the constant is in [0, n)
	}
	// floor(x / (g*m)) == floor(floor(x/g) / m), and g divides all of x but
	// the constant.
	if g := content(r, n); g > 1 {
		r, _ = splitMultiple(r, g, floored)
		n /= g
	}
	if x, m, ok := mergeQuotients(r, n, form.merge); ok {
		return q.Add(floorDivBy(x, m, form))
	}
	return q.Add(newAtom(opFloorDiv, r, Const(n)))
}

// mergeQuotients rewrites (x floordiv a + y) floordiv n as
// (x + a*y) floordiv (a*n), unless that overflows. It holds for any y; the
// normal form does it only for a constant, since more hides what was written.
func mergeQuotients(r Expr, n int64, anyRest bool) (Expr, int64, bool) {
	ts, _ := r.splitConst()
	if len(ts) != 1 && !anyRest {
		return Expr{}, 0, false
	}
	for _, t := range ts {
		if t.coef != 1 || len(t.atoms) != 1 {
			continue
		}
		inner := t.atoms[0]
		a, ok := inner.constDivisor(opFloorDiv)
		if !ok {
			continue
		}
		m, ok := mulOK(a, n)
		x := inner.args[0].Add(Const(a).Mul(r.Sub(ofAtom(inner))))
		if ok && !x.Invalid() {
			return x, m, true
		}
	}
	return Expr{}, 0, false
}

// constDivisor returns the divisor of a floordiv or mod by a positive constant.
func (a *atom) constDivisor(op op) (int64, bool) {
	if a.op != op {
		return 0, false
	}
	n, ok := a.args[1].Const()
	return n, ok && n > 0
}

// modBy is e mod n for n > 0.
func modBy(e Expr, n int64) Expr {
	if e.Invalid() {
		return e
	}
	if n == 1 {
		return Expr{}
	}
	_, r := splitMultiple(e, n, truncated)
	if x, ok := dropInnerMods(r, n); ok {
		return modBy(x, n)
	}
	if r.p == nil {
		return r
	}
	// (g*y + c) mod (g*m) == g*(y mod m) + c for 0 <= c < g.
	if g := content(r, n); g > 1 {
		y, c := splitMultiple(r, g, floored)
		return modBy(y, n/g).Mul(Const(g)).Add(c)
	}
	return newAtom(opMod, r, Const(n))
}

// dropInnerMods replaces terms c*(x mod a) of r by c*x where n divides c*a,
// which leaves r unchanged modulo n.
func dropInnerMods(r Expr, n int64) (Expr, bool) {
	out := r
	for _, t := range r.terms() {
		if len(t.atoms) != 1 {
			continue
		}
		inner := t.atoms[0]
		a, ok := inner.constDivisor(opMod)
		if !ok || uint64(a)%(uint64(n)/gcd(uint64(n), magnitude(t.coef))) != 0 {
			continue
		}
		next := out.Add(Const(t.coef).Mul(inner.args[0].Sub(ofAtom(inner))))
		if !next.Invalid() {
			out = next
		}
	}
	return out, !out.Equal(r)
}
