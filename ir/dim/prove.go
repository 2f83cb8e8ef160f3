package dim

import "math"

// Equal reports whether a == b is provable: it holds for every value of the
// symbols that the facts admit. False means unknown, not different.
func (f *Facts) Equal(a, b Expr) bool {
	if a.Invalid() || b.Invalid() {
		return false
	}
	if a.Equal(b) {
		return true
	}
	if a.p == nil && b.p == nil {
		return false
	}
	d := f.simplify(f.expand(a.Sub(b)))
	if d.isZero() || vanishes(d) {
		return true
	}
	r := f.ranges().tight(d)
	return !d.Invalid() && r.lo == finite(0) && r.hi == finite(0)
}

// vanishes reports whether e cancels to 0 once x mod y is written as
// x - y*(x floordiv y). No form of the quotients is best for all e.
func vanishes(e Expr) bool {
	return topWithoutMods(e).isZero() ||
		withoutMods(e, floorOnly).isZero() ||
		withoutMods(e, unified).isZero()
}

// topWithoutMods replaces the remainders of the polynomial itself and keeps
// arguments as they are written.
func topWithoutMods(e Expr) Expr {
	return e.mapAtoms(func(a *atom) Expr {
		if a.op != opMod {
			return ofAtom(a)
		}
		x, y := a.args[0], a.args[1]
		return topWithoutMods(x).Sub(y.Mul(x.FloorDiv(y)))
	})
}

// withoutMods replaces all remainders, those of arguments too, and writes
// quotients by constants in the given form, so that sums of quotients and
// remainders of the same numbers cancel.
func withoutMods(e Expr, form divForm) Expr {
	return e.rewrite(func(a *atom, args []Expr) Expr {
		switch {
		case a.op == opSym:
			return ofAtom(a)
		case a.op == opFloorDiv:
			return form.divide(args[0], args[1])
		case a.op == opMod:
			return args[0].Sub(args[1].Mul(form.divide(args[0], args[1])))
		}
		return build(a.op, args)
	})
}

// divide is FloorDiv in the form.
func (form divForm) divide(x, y Expr) Expr {
	if n, ok := y.Const(); ok && n > 0 && !x.Invalid() {
		return floorDivBy(x, n, form)
	}
	return x.FloorDiv(y)
}

// LessEq reports whether a <= b is provable.
func (f *Facts) LessEq(a, b Expr) bool { return f.atLeast(b.Sub(a), 0) }

// Less reports whether a < b is provable.
func (f *Facts) Less(a, b Expr) bool { return f.atLeast(b.Sub(a), 1) }

// atLeast reports whether d >= least is provable.
func (f *Facts) atLeast(d Expr, least int64) bool {
	if d.Invalid() {
		return false
	}
	if !f.interval(d).lo.less(finite(least)) {
		return true
	}
	c := cases{ranges: f.ranges(), least: least, budget: maxCases}
	return c.prove(f.simplify(f.expand(d)))
}

// maxCases bounds the expressions that one proof looks at.
const maxCases = 64

// cases proves lower bounds by distinction of cases.
type cases struct {
	*ranges
	least  int64
	budget int // of expressions still to look at
}

// prove reports whether d >= least by its range, or by the arguments of a min
// or max that occurs linearly in d: min(x, y) is x or is y, so a bound of d
// that both put in its place keep is one of d; and since -min(x, y) is at least
// -x, a bound of d with -x for it is one too. For max conversely.
func (c *cases) prove(d Expr) bool {
	if c.budget--; c.budget < 0 {
		return false
	}
	if c.atLeast(d, c.least) {
		return true
	}
	for _, t := range d.terms() {
		if len(t.atoms) == 1 && (t.atoms[0].op == opMin || t.atoms[0].op == opMax) && c.byArguments(d, t) {
			return true
		}
	}
	return false
}

func (c *cases) byArguments(d Expr, t term) bool {
	a := t.atoms[0]
	needAll := (a.op == opMin) == (t.coef > 0)
	for _, arg := range a.args {
		holds := c.prove(d.Add(Const(t.coef).Mul(arg.Sub(ofAtom(a)))))
		if holds != needAll {
			return holds
		}
	}
	return needAll
}

// Divides reports whether it is provable that n divides e. Zero divides only
// zero.
func (f *Facts) Divides(n int64, e Expr) bool {
	switch {
	case e.Invalid():
		return false
	case n == 0:
		return f.Equal(e, Const(0))
	case n == 1 || n == -1 || f.multipleOf(magnitude(n), e):
		return true
	}
	full := f.simplify(f.expand(e))
	if f.multipleOf(magnitude(n), full) || f.multipleOf(magnitude(n), withoutMods(full, unified)) {
		return true
	}
	if len(f.relations) == 0 || n == math.MinInt64 {
		return false
	}
	value, known := f.residue(full, int64(magnitude(n)))
	return known && value
}

func (f *Facts) multipleOf(n uint64, e Expr) bool {
	return !e.Invalid() && f.knownDivisor(e)%n == 0
}

// knownDivisor returns a divisor of e, the greatest that the terms show; 0 for
// an expression that is 0.
func (f *Facts) knownDivisor(e Expr) uint64 {
	var d uint64
	for _, t := range e.terms() {
		product := magnitude(t.coef)
		for _, a := range t.atoms {
			product = mulDivisors(product, f.atomDivisor(a))
		}
		if d = gcd(d, product); d == 1 {
			break
		}
	}
	return d
}

// mulDivisors is a divisor of x*y for divisors of x and y: their product, or
// the greater if that overflows.
func mulDivisors(a, b uint64) uint64 {
	if a == 0 || b == 0 {
		return 0
	}
	if p := a * b; p/b == a {
		return p
	}
	return max(a, b)
}

// atomDivisor returns a divisor of an atom.
func (f *Facts) atomDivisor(a *atom) uint64 {
	switch a.op {
	case opSym:
		if _, ok := quotientOf(a.key); ok {
			return 1
		}
		return uint64(f.of(a.key).div)
	case opFloorDiv: // g | x and n | g: x floordiv n is a multiple of g/n
		n, ok := a.constDivisor(opFloorDiv)
		g := f.knownDivisor(a.args[0])
		if !ok || g%uint64(n) != 0 {
			return 1
		}
		return g / uint64(n)
	}
	// A common divisor of both sides of a mod divides the remainder; one of
	// all arguments of a min or max divides whichever it is.
	var d uint64
	for _, arg := range a.args {
		d = gcd(d, f.knownDivisor(arg))
	}
	return d
}

// Quotient returns q with a == b*q wherever the facts hold, if there is one by
// polynomial division: 12*B*S over 4*S is 3*B. Where b is 0 the quotient is one
// of many.
func (f *Facts) Quotient(a, b Expr) (Expr, bool) {
	if q, ok := divideExact(a, b); ok {
		return q, true
	}
	if _, bad := firstDefect(a, b); bad || b.isZero() {
		return Expr{}, false
	}
	full, by := f.simplify(f.expand(a)), f.simplify(f.expand(b))
	q, ok := divideExact(full, by)
	if !ok {
		q, ok = divideExact(withoutMods(full, unified), withoutMods(by, unified))
	}
	if q = f.collapse(q); !ok || q.Invalid() {
		return Expr{}, false
	}
	return q, true
}
