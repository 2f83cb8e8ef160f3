package dim

import "math/bits"

// constrain is the normal form of a relation of an expression.
func constrain(kind relation, e Expr, n int64) Constraint {
	switch {
	case kind == always || kind == never:
		return Constraint{kind: kind}
	case e.Invalid():
		return Constraint{kind: kind, e: e, n: n}
	}
	if v, ok := e.Const(); ok {
		return truth(Constraint{kind: kind, n: n}.holdsAt(v))
	}
	return normalForms[kind](kind, e, n)
}

var normalForms [divideNot + 1]func(kind relation, e Expr, n int64) Constraint

func init() {
	normalForms = [...]func(kind relation, e Expr, n int64) Constraint{
		zero: normalZero, nonzero: normalZero, atLeast: normalAtLeast,
		divides: normalDivides, divideNot: normalDivides,
	}
}

func truth(holds bool) Constraint {
	if holds {
		return Constraint{}
	}
	return Constraint{kind: never}
}

// factor is the greatest divisor of the non-constant coefficients, at least 1,
// and the constant term. One beyond int64, 2^63, counts as 1.
func (e Expr) factor() (g, c int64) {
	ts, c := e.splitConst()
	var d uint64
	for _, t := range ts {
		d = gcd(d, magnitude(t.coef))
	}
	if d > 1<<62 {
		return 1, c
	}
	return int64(d), c
}

// dividedBy divides all coefficients by g > 0, which divides all but the
// constant; that is rounded down.
func (e Expr) dividedBy(g int64) Expr {
	if g == 1 {
		return e
	}
	q, _ := splitMultiple(e, g, floored)
	return q
}

// normalZero divides e == 0 or e != 0 by the common factor and makes the first
// coefficient positive.
func normalZero(kind relation, e Expr, _ int64) Constraint {
	g, c := e.factor()
	if c%g != 0 {
		return truth(kind == nonzero)
	}
	e = e.dividedBy(g)
	if e.terms()[0].coef < 0 {
		if neg := e.Neg(); !neg.Invalid() {
			e = neg
		}
	}
	if x, n, rest, ok := e.soleOperation(opMod); ok {
		if rest > 0 || rest <= -n {
			return truth(kind == nonzero)
		}
		return constrain(divides+(kind-zero), x.Add(Const(rest)), n)
	}
	return Constraint{kind: kind, e: e}
}

// soleOperation decomposes x mod n + rest or x floordiv n + rest.
func (e Expr) soleOperation(op op) (x Expr, n, rest int64, ok bool) {
	ts, rest := e.splitConst()
	if len(ts) != 1 || ts[0].coef != 1 || len(ts[0].atoms) != 1 {
		return Expr{}, 0, 0, false
	}
	a := ts[0].atoms[0]
	if n, ok = a.constDivisor(op); !ok {
		return Expr{}, 0, 0, false
	}
	return a.args[0], n, rest, true
}

// normalAtLeast divides e >= 0 by the common factor, rounding the constant
// down: 2*B - 7 >= 0 is B - 4 >= 0.
func normalAtLeast(_ relation, e Expr, _ int64) Constraint {
	g, _ := e.factor()
	e = e.dividedBy(g)
	plain := Constraint{kind: atLeast, e: e}
	if x, n, rest, ok := e.soleOperation(opFloorDiv); ok { // x floordiv n >= -rest
		return plain.or(atLeast, x.Add(Const(rest).Mul(Const(n))), 0)
	}
	if x, n, rest, ok := e.soleOperation(opMod); ok {
		switch {
		case rest >= 0:
			return Constraint{}
		case rest <= -n:
			return Constraint{kind: never}
		case rest == -1:
			return constrain(divideNot, x, n)
		}
	}
	neg := e.Neg()
	if x, n, rest, ok := neg.soleOperation(opFloorDiv); ok { // x floordiv n <= -rest
		return plain.or(atLeast, Const(rest).Neg().Mul(Const(n)).Add(Const(n-1)).Sub(x), 0)
	}
	if x, n, rest, ok := neg.soleOperation(opMod); ok {
		switch {
		case rest > 0:
			return Constraint{kind: never}
		case rest <= 1-n:
			return Constraint{}
		case rest == 0:
			return constrain(divides, x, n)
		}
	}
	return plain
}

// or is the constraint of e unless that is invalid.
func (c Constraint) or(kind relation, e Expr, n int64) Constraint {
	if e.Invalid() {
		return c
	}
	return constrain(kind, e, n)
}

// normalDivides reduces n | e: coefficients modulo n, the factor that they
// share with n divided out, the first coefficient made a divisor of n by a
// unit: 3*B + 1 divisible by 4 is B + 3 divisible by 4.
func normalDivides(kind relation, e Expr, n int64) Constraint {
	if n == 1 {
		return truth(kind == divides)
	}
	if x, ok := dropInnerMods(e, n); ok {
		return constrain(kind, x, n)
	}
	_, r := splitMultiple(e, n, floored)
	if v, ok := r.Const(); ok {
		return truth(Constraint{kind: kind, n: n}.holdsAt(v))
	}
	g, c := r.factor()
	if g = int64(gcd(uint64(g), uint64(n))); g > 1 {
		if c%g != 0 {
			return truth(kind == divideNot)
		}
		return constrain(kind, r.dividedBy(g), n/g)
	}
	return Constraint{kind: kind, e: unitForm(r, n), n: n}
}

// unitForm multiplies r, whose coefficients lie in [0, n), by a unit modulo n
// that makes its first coefficient a divisor of n.
func unitForm(r Expr, n int64) Expr {
	lead := r.terms()[0].coef
	g := int64(gcd(uint64(lead), uint64(n)))
	u, ok := unit(lead/g, n/g, n)
	if !ok || u == 1 {
		return r
	}
	out := make([]term, 0, len(r.terms()))
	for _, t := range r.terms() {
		if c := mulMod(t.coef, u, n); c != 0 {
			out = append(out, term{c, t.atoms})
		}
	}
	return ofTerms(out)
}

// unit finds u, coprime to n, with u*a == 1 modulo m, where m divides n.
func unit(a, m, n int64) (int64, bool) {
	u, ok := inverse(a, m)
	const tries = 64 // one among few consecutive candidates is coprime to n
	for range tries {
		if !ok || u >= n {
			return 0, false
		}
		if gcd(uint64(u), uint64(n)) == 1 {
			return u, true
		}
		u, ok = addOK(u, m)
	}
	return 0, false
}

// inverse is the x in [1, m] with a*x == 1 modulo m, by Euclid's algorithm.
func inverse(a, m int64) (int64, bool) {
	r0, r1, x0, x1 := m, a%m, int64(0), int64(1)
	for r1 != 0 {
		q := r0 / r1
		r0, r1 = r1, r0-q*r1
		x0, x1 = x1, x0-q*x1
	}
	if r0 != 1 {
		return 0, false
	}
	if x0 <= 0 {
		x0 += m
	}
	return x0, true
}

// mulMod is a*b modulo n for a, b in [0, n).
func mulMod(a, b, n int64) int64 {
	hi, lo := bits.Mul64(uint64(a), uint64(b))
	return int64(bits.Rem64(hi, lo, uint64(n)))
}
