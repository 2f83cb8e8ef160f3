package dim

import (
	"fmt"
	"math"
	"slices"
)

// Assume states a constraint. One of a single symbol becomes part of its range,
// divisor or equality; others are kept as relations, which every proof uses. A
// constraint that is found to contradict what is known is an
// [ErrContradiction]; contradictions that are not found make facts of which
// nothing is an instance.
//
// A symbol keeps its lower bound of 0 unless [Facts.Declare] has lowered it.
func (f *Facts) Assume(c Constraint) error {
	if c.Invalid() {
		return fmt.Errorf("dim: %s: %w", cutName(c.String()), ErrOverflow)
	}
	if f.derived != nil && !f.rangesDecide(c) {
		if v, known := f.Decide(c); known && !v {
			return fmt.Errorf("dim: %s %w", c, ErrContradiction)
		}
	}
	return f.state(c)
}

// assumeAll states constraints together, which takes less time than one after
// the other and may find fewer contradictions. An error leaves the facts
// unusable.
func (f *Facts) assumeAll(cs []Constraint) error {
	f.derived = nil
	for _, c := range cs {
		if err := f.Assume(c); err != nil {
			return err
		}
	}
	return f.finish()
}

// state records a constraint.
func (f *Facts) state(c Constraint) error {
	switch c.kind {
	case always:
		return nil
	case never:
		return fmt.Errorf("dim: %s %w", c, ErrContradiction)
	}
	if state, ok := singles[c.kind]; ok {
		if done, err := state(f, c); done || err != nil {
			return err
		}
	}
	if slices.ContainsFunc(f.relations, c.Equal) {
		return nil
	}
	return f.relate(c)
}

// rangesDecide reports whether stating the constraint compares it with all that
// is known of its only symbol.
func (f *Facts) rangesDecide(c Constraint) bool {
	_, _, _, single := c.e.linear()
	return single && len(f.relations) == 0 && (c.kind == atLeast || c.kind == divides)
}

// relate keeps a constraint as a relation.
func (f *Facts) relate(c Constraint) error {
	add := func(g *Facts) {
		for _, sym := range c.Syms() {
			if _, ok := g.known[sym]; !ok {
				g.set(sym, sizeFact)
			}
		}
		g.relations = append(g.relations, c)
	}
	if f.derived == nil {
		add(f)
		return nil
	}
	g := f.Clone()
	add(g)
	if err := g.finish(); err != nil {
		return fmt.Errorf("dim: %s %w", c, ErrContradiction)
	}
	*f = *g
	return nil
}

// singles state constraints that a fact of one symbol can express; done is
// false for the others.
var singles = map[relation]func(f *Facts, c Constraint) (done bool, err error){
	atLeast: (*Facts).assumeBound,
	zero:    (*Facts).assumeEqual,
	divides: (*Facts).assumeDivisor,
}

func (f *Facts) assumeBound(c Constraint) (bool, error) {
	sym, a, b, ok := c.e.linear()
	if !ok {
		return false, nil
	}
	k := f.of(sym)
	if neg, ok := negOK(b); ok && a == 1 { // sym >= -b
		return true, f.Declare(sym, max(k.lo, neg), k.hi)
	}
	if a == -1 { // sym <= b
		return true, f.Declare(sym, k.lo, min(k.hi, b))
	}
	return false, nil
}

func (f *Facts) assumeDivisor(c Constraint) (bool, error) {
	sym, a, b, ok := c.e.linear()
	if !ok || a != 1 || b != 0 {
		return false, nil
	}
	return true, f.SetDivisible(sym, c.n)
}

// assumeEqual defines a symbol, the one that the text form puts first if that
// can be.
func (f *Facts) assumeEqual(c Constraint) (bool, error) {
	left, right, ok := c.equation()
	if sym, isSym := left.IsSym(); ok && isSym && f.definable(sym, right) {
		return true, f.SetEqual(sym, right)
	}
	sym, value, ok := solveUnit(c.e)
	if ok && f.definable(sym, value) {
		return true, f.SetEqual(sym, value)
	}
	return false, nil
}

// definable reports whether sym == e can define sym: nothing does yet, and e
// does not depend on it. Further equalities make fewer symbols definable, never
// more, so facts read back in any order define the same.
func (f *Facts) definable(sym string, e Expr) bool {
	return !f.of(sym).isEqual && !f.depends(e, sym, map[string]bool{})
}

// depends reports whether e mentions sym, itself or by way of equalities.
func (f *Facts) depends(e Expr, sym string, seen map[string]bool) bool {
	found := false
	e.eachSym(func(name string) {
		if found || seen[name] {
			return
		}
		seen[name] = true
		k := f.of(name)
		found = name == sym || k.isEqual && f.depends(k.equal, sym, seen)
	})
	return found
}

// settle turns exceptions at the ends of ranges into ranges: B >= 1 and B != 1
// are B >= 2. What no value of a symbol breaks is dropped.
func (f *Facts) settle() {
	for changed := true; changed; {
		changed = false
		f.relations = slices.DeleteFunc(f.relations, func(c Constraint) bool {
			sym, v, ok := c.exception()
			k := f.of(sym)
			switch {
			case !ok || k.lo == k.hi: // a contradiction is left to be found
				return false
			case v < k.lo || v > k.hi:
				return true
			case v == k.lo:
				k.lo++
			case v == k.hi:
				k.hi--
			default:
				return false
			}
			k.ranged, changed = true, true
			f.set(sym, k)
			return true
		})
	}
}

// exception decomposes sym != v.
func (c Constraint) exception() (sym string, v int64, ok bool) {
	sym, a, b, ok := c.e.linear()
	v, representable := negOK(b)
	return sym, v, ok && representable && c.kind == nonzero && a == 1
}

// Constraints returns all facts, as constraints: those of symbols in the order
// of [Facts.Syms], then the relations. That a symbol is at least 0 is left out.
func (f *Facts) Constraints() []Constraint {
	var out []Constraint
	for _, sym := range f.order {
		s, k := Sym(sym), f.known[sym]
		if k.lo != 0 && k.lo != math.MinInt64 {
			out = append(out, Ge(s, Const(k.lo)))
		}
		if k.hi != math.MaxInt64 {
			out = append(out, Le(s, Const(k.hi)))
		}
		if k.div > 1 {
			out = append(out, Divisible(s, k.div))
		}
		if k.isEqual {
			out = append(out, Eq(s, k.equal))
		}
	}
	return append(out, f.relations...)
}

func (f *Facts) relationTexts() []string {
	out := make([]string, len(f.relations))
	for i, c := range f.relations {
		out[i] = c.String()
	}
	return out
}
