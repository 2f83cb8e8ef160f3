package dim

import (
	"slices"
	"sync"
)

// derivation is what relations say, worked out when it is first asked for.
type derivation struct {
	once sync.Once
	sys  *system
}

// system is what follows from relations. It is immutable once made, and shared
// by clones.
type system struct {
	rows   []Expr              // each at least 0; expanded and simplified
	facts  []Constraint        // the relations, likewise
	narrow map[string]interval // of symbols, inside what is declared of them
	equal  map[string]Expr     // symbols of which relations imply a value
	broken bool                // nothing satisfies the facts
}

// system returns what relations say, nil if nothing.
func (f *Facts) system() *system {
	d := f.derived
	if d == nil || len(f.known) == 0 && len(f.relations) == 0 {
		return nil
	}
	d.once.Do(func() { d.sys = f.derive() })
	return d.sys
}

// derive works out the system. It must not ask for the system meanwhile.
func (f *Facts) derive() *system {
	defined := f.definedRanges()
	if len(f.relations) == 0 && len(defined) == 0 {
		return nil
	}
	s := &system{narrow: map[string]interval{}, equal: map[string]Expr{}}
	for _, c := range append(defined, f.relations...) {
		s.state(f.normal(c, nil))
	}
	for range len(s.rows) { // each round eliminates a symbol
		if !s.findEquality(f) {
			break
		}
	}
	s.narrowAll(f)
	s.broken = s.broken || s.infeasible(f)
	if s.broken && len(f.relations) == 0 {
		return nil // what equalities and ranges contradict was never looked for
	}
	return s
}

// definedRanges are the ranges of symbols that equalities replace, as far as
// the ranges of their definitions do not imply them: of U == S - T, that U is a
// size says T <= S.
func (f *Facts) definedRanges() []Constraint {
	const maxDefined, maxNodes = 16, 32 // chains of definitions may explode
	var out []Constraint
	n := 0
	rs := f.withoutRelations()
	for _, sym := range f.order {
		k := f.known[sym]
		if !k.isEqual {
			continue
		}
		e := k.equal
		if f.usesEqual(e) {
			if n++; n > maxDefined {
				continue
			}
			e = f.resolve(e)
		}
		if e.p == nil || e.Invalid() || e.size() > maxNodes {
			continue
		}
		have, want := rs.of(e), k.interval()
		if have.lo.less(want.lo) {
			out = append(out, Ge(e, Const(want.lo.v)))
		}
		if want.hi.less(have.hi) {
			out = append(out, Le(e, Const(want.hi.v)))
		}
	}
	return out
}

// normal is a constraint in terms of what proofs calculate with.
func (f *Facts) normal(c Constraint, s *system) Constraint {
	e := f.expandDeclared(c.e)
	if s != nil {
		e = e.Subst(s.equal)
	}
	e = simplifier{&ranges{f: f, memo: map[string]interval{}}}.expr(e)
	if e.Invalid() {
		return c
	}
	return constrain(c.kind, e, c.n)
}

// state adds a constraint.
func (s *system) state(c Constraint) {
	if v, ok := c.Const(); ok || c.Invalid() {
		s.broken = s.broken || ok && !v
		return
	}
	if slices.ContainsFunc(s.facts, c.Equal) {
		return
	}
	s.facts = append(s.facts, c)
	switch c.kind {
	case atLeast:
		s.rows = append(s.rows, c.e)
	case zero:
		s.rows = append(s.rows, c.e, c.e.Neg())
	}
}

// findEquality looks for a row that the others bound from above by 0 too,
// solves it for a symbol and eliminates that. Linear programs find those in
// which the last rows have a part: earlier ones were last before.
func (s *system) findEquality(f *Facts) bool {
	const recent, maxTried = 2, 12
	tried := 0
	for i, e := range s.rows {
		sym, value, ok := solveUnit(e)
		if !ok {
			continue
		}
		neg := e.Neg()
		opposed := slices.ContainsFunc(s.rows, neg.Equal)
		if !opposed && tried < maxTried && (i >= len(s.rows)-recent || len(s.equal) > 0) {
			tried++
			rs := &ranges{f: f, sys: s, memo: map[string]interval{}}
			opposed = rs.lower(neg) == finite(0)
		}
		if opposed {
			s.eliminate(f, sym, value)
			return true
		}
	}
	return false
}

// solveUnit solves e == 0 for the last of its symbols that occur once, with
// coefficient 1 or -1.
func solveUnit(e Expr) (sym string, value Expr, ok bool) {
	for _, t := range e.terms() {
		if t.coef != 1 && t.coef != -1 || len(t.atoms) != 1 || t.atoms[0].op != opSym || t.atoms[0].key <= sym {
			continue
		}
		name := t.atoms[0].key
		rest := e.Sub(ofTerms([]term{t}))
		if !rest.Invalid() && !rest.uses(name) {
			sym, value, ok = name, rest.Mul(Const(-t.coef)), true
		}
	}
	return sym, value, ok && !value.Invalid()
}

// eliminate replaces a symbol in all rows and facts. Its range becomes rows of
// its value.
func (s *system) eliminate(f *Facts, sym string, value Expr) {
	facts := s.facts
	s.rows, s.facts = nil, nil
	one := map[string]Expr{sym: value}
	for name, e := range s.equal {
		s.equal[name] = e.Subst(one)
	}
	s.equal[sym] = value
	for _, c := range facts {
		s.state(f.normal(c, s))
	}
	r := f.withoutRelations().declared(sym)
	if r.lo.inf == 0 {
		s.state(Ge(value, Const(r.lo.v)))
	}
	if r.hi.inf == 0 {
		s.state(Le(value, Const(r.hi.v)))
	}
}

// narrowAll narrows the ranges of symbols by the rows, to a fixed point or for
// a few rounds.
func (s *system) narrowAll(f *Facts) {
	const maxRounds = 6
	for range maxRounds {
		rs := &ranges{f: f, sys: s, memo: map[string]interval{}}
		changed := false
		for _, e := range s.rows {
			changed = s.narrowBy(rs, e) || changed
		}
		for _, c := range s.facts {
			_, fails := c.over(rs)
			s.broken = s.broken || fails
			changed = s.narrowTo(rs, c) || changed
		}
		if !changed || s.broken {
			return
		}
	}
}

// infeasible reports whether linear reasoning shows that no sizes satisfy the
// rows together.
func (s *system) infeasible(f *Facts) bool {
	if len(s.rows) < 2 {
		return false
	}
	p := &program{ranges: &ranges{f: f, sys: s, memo: map[string]interval{}}, columns: map[string]int{}}
	for _, e := range s.rows {
		p.add(e)
	}
	return p.minimum(linearRow{}) == posInf
}

// narrowBy applies a row to each symbol in it.
func (s *system) narrowBy(rs *ranges, e Expr) bool {
	changed := false
	rs.rooms(e, func(name string, r interval) bool {
		changed = s.meet(rs, name, r) || changed
		return !s.broken
	})
	return changed
}

// narrowTo moves the ends of a symbol's range to values that a condition on
// this symbol alone, a residue or an exception, admits.
func (s *system) narrowTo(rs *ranges, c Constraint) bool {
	name, a, b, ok := c.e.linear()
	if !ok || a != 1 || c.kind == atLeast || c.kind == zero {
		return false
	}
	return s.meet(rs, name, c.trim(rs.symbol(name), b))
}

// meet narrows a symbol and reports whether that changed anything.
func (s *system) meet(rs *ranges, name string, r interval) bool {
	have := rs.symbol(name)
	next := meet(have, r)
	if next == have {
		return false
	}
	if next.empty() {
		s.broken = true
		return false
	}
	s.narrow[name] = next
	clear(rs.memo)
	return true
}

// narrowed is the range of a symbol, or of one whose quotient by div is known.
func (s *system) narrowed(name string, div int64) interval {
	r, ok := s.narrow[name]
	if !ok {
		r = everything()
	}
	if q, ok := s.narrow[name+quotientMark]; ok {
		r = meet(r, q.mul(point(div)))
	}
	return r
}
