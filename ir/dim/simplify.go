package dim

// Simplify returns an expression of the same value wherever the facts hold,
// with symbols replaced by what they equal and operations removed that ranges
// and divisibilities decide:
//
//	B mod 8           is  0        where 8 divides B
//	S mod 16          is  S        where 0 <= S < 16
//	(4*A + S) floordiv 4  is  A    where 0 <= S < 4
//	min(B, 64)        is  B        where B <= 64
//	(B*S) floordiv S  is  B
func (f *Facts) Simplify(e Expr) Expr {
	if e.p == nil || e.Invalid() {
		return e
	}
	out := f.collapse(f.simplify(f.expand(e)))
	if out.Invalid() { // expanding overflowed a limit that e itself keeps
		return e
	}
	return out
}

// simplify rewrites an expanded expression until nothing changes.
func (f *Facts) simplify(e Expr) Expr { return simplifier{f.ranges()}.expr(e) }

func (s simplifier) expr(e Expr) Expr {
	const maxRounds = 8 // a second round changes little, more only contrived input
	for range maxRounds {
		next := e.rewrite(s.atom)
		if next.Equal(e) {
			break
		}
		e = next
	}
	return e
}

// simplifier removes operations that ranges decide.
type simplifier struct {
	*ranges
}

func (s simplifier) atom(a *atom, args []Expr) Expr {
	if a.op == opSym {
		return ofAtom(a)
	}
	for _, arg := range args {
		if arg.Invalid() {
			return arg
		}
	}
	switch a.op {
	case opFloorDiv:
		q, r, ok := s.divMod(args[0], args[1])
		if ok {
			return q
		}
		return q.Add(r.FloorDiv(args[1]))
	case opMod:
		_, r, ok := s.divMod(args[0], args[1])
		if ok {
			return r
		}
		return r.Mod(args[1])
	default:
		args = s.undominated(a.op, args)
	}
	return build(a.op, args)
}

// divMod returns q and r with x == q*y + r. Where ok, the facts decide the
// division: 0 <= r < y, so q is x floordiv y and r is x mod y.
func (s simplifier) divMod(x, y Expr) (q, r Expr, ok bool) {
	if y.isZero() {
		return q, x, false
	}
	q, r = splitDivisible(x, y)
	if r.isZero() {
		return q, r, true
	}
	if s.atLeast(r, 0) && s.atLeast(y.Sub(r), 1) {
		return q, r, true
	}
	// A constant divisor: r may lie within any one block of n values.
	n, isConst := y.Const()
	if !isConst || n <= 0 {
		return q, r, false
	}
	ri := s.tight(r)
	if ri.lo.inf != 0 || ri.hi.inf != 0 {
		return q, r, false
	}
	k := floorDiv(ri.lo.v, n)
	if k != floorDiv(ri.hi.v, n) {
		return q, r, false
	}
	return q.Add(Const(k)), r.Sub(Const(k).Mul(y)), true
}

// splitDivisible returns q and r with x == q*y + r, where q*y holds the terms
// that y divides exactly: term by term for a single-term divisor, all or
// nothing for a longer one.
func splitDivisible(x, y Expr) (q, r Expr) {
	if q, ok := divideExact(x, y); ok {
		return q, Expr{}
	}
	if len(y.terms()) != 1 {
		return Expr{}, x
	}
	lead := y.terms()[0]
	var qs, rs []term
	for _, t := range x.terms() {
		if d, ok := divTerm(t, lead); ok {
			qs = append(qs, d)
		} else {
			rs = append(rs, t)
		}
	}
	return ofTerms(qs), ofTerms(rs)
}

// undominated drops the arguments of a min or max that another always beats.
func (s simplifier) undominated(op op, args []Expr) []Expr {
	const maxArgs = 16 // the comparison is quadratic
	if len(args) > maxArgs {
		return args
	}
	kept := append([]Expr(nil), args...)
	for i := 0; i < len(kept); i++ {
		for j := 0; j < len(kept) && len(kept) > 1; j++ {
			if i == j {
				continue
			}
			d := kept[i].Sub(kept[j])
			if op == opMax {
				d = d.Neg()
			}
			if s.atLeast(d, 0) { // kept[j] is at least as good
				kept = append(kept[:i], kept[i+1:]...)
				i--
				break
			}
		}
	}
	return kept
}
