package dim

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
)

// Facts holds what is known of symbols: ranges, divisibilities, equalities, and
// relations between several of them. Facts only accumulate; one that is found
// to contradict those known is refused with [ErrContradiction] and changes
// nothing. A symbol of which nothing was declared is a size: at least 0.
//
// Facts may be read concurrently, but not while being changed.
type Facts struct {
	order []string
	known map[string]fact
	// relations are the constraints that no fact of one symbol can express, in
	// the order of their statement.
	relations []Constraint
	derived   *derivation // from all of the above; renewed by every change; nil meanwhile
}

// fact is what is known of one symbol.
type fact struct {
	lo, hi int64 // inclusive; hi == MaxInt64 is no bound, nor is lo == MinInt64
	div    int64 // divides the symbol; at least 1
	equal  Expr  // the symbol's replacement, if isEqual
	// isEqual tells an equality with 0 from none, ranged a declared range from
	// that of a size.
	isEqual, ranged bool
}

var sizeFact = fact{lo: 0, hi: math.MaxInt64, div: 1}

// NewFacts returns facts that know nothing.
func NewFacts() *Facts { return &Facts{known: map[string]fact{}, derived: &derivation{}} }

// Clone returns an independent copy.
func (f *Facts) Clone() *Facts {
	return &Facts{slices.Clone(f.order), maps.Clone(f.known), slices.Clone(f.relations), f.derived}
}

// Syms returns the symbols that a fact was stated of, in the order of the
// first statement.
func (f *Facts) Syms() []string { return slices.Clone(f.order) }

// Declare states lo <= sym <= hi; hi may be MaxInt64 for no upper bound. A
// further declaration narrows the range.
func (f *Facts) Declare(sym string, lo, hi int64) error {
	return f.learn(sym, func(k fact) (fact, error) {
		if k.ranged {
			lo, hi = max(k.lo, lo), min(k.hi, hi)
		}
		k.lo, k.hi, k.ranged = lo, hi, true
		return k, nil
	})
}

// SetDivisible states that n, at least 1, divides sym.
func (f *Facts) SetDivisible(sym string, n int64) error {
	if n < 1 {
		return fmt.Errorf("dim: divisor of %s: expected at least 1, got %d", cutName(sym), n)
	}
	return f.learn(sym, func(k fact) (fact, error) {
		lcm, ok := mulOK(k.div/int64(gcd(uint64(k.div), uint64(n))), n)
		if !ok {
			return k, ErrOverflow
		}
		k.div = lcm
		return k, nil
	})
}

// SetEqual states sym == e. [Facts.Simplify] then replaces sym by e. An
// equality that would define a symbol by itself, or a second one for the same
// symbol that does not follow from the first, is an error: state it of another
// symbol of the equation.
func (f *Facts) SetEqual(sym string, e Expr) error {
	if e.Invalid() {
		return fmt.Errorf("dim: %s == %s: %w", cutName(sym), e, ErrOverflow)
	}
	cyclic := f.resolve(e).uses(sym)
	// What ranges imply is stated nevertheless, so that facts read back in any
	// order are the same: "B in [0, 0]" before "B == 0".
	if (cyclic || f.of(sym).isEqual) && f.Equal(e, Sym(sym)) { // nothing new
		return f.learn(sym, func(k fact) (fact, error) { return k, nil })
	}
	if cyclic {
		return fmt.Errorf("dim: %s == %s defines %s by itself", cutName(sym), e, cutName(sym))
	}
	return f.learn(sym, func(k fact) (fact, error) {
		if k.isEqual {
			return k, fmt.Errorf("it is defined as %s already", k.equal)
		}
		k.equal, k.isEqual = e, true
		return k, nil
	})
}

// learn changes the fact of a symbol unless the outcome contradicts itself.
func (f *Facts) learn(sym string, change func(k fact) (fact, error)) error {
	if !ValidSym(sym) {
		return fmt.Errorf("dim: expected the name of a symbol, got %q", cutName(sym))
	}
	k := f.of(sym)
	next, err := change(k)
	if err == nil && !next.satisfiable(f) {
		err = fmt.Errorf("it %w: %s", ErrContradiction, strings.Join(k.texts(sym), ", "))
	}
	if err != nil {
		return fmt.Errorf("dim: fact about %s: %w", cutName(sym), err)
	}
	return f.commit(func(g *Facts) { g.set(sym, next) })
}

// set replaces the fact of a symbol.
func (f *Facts) set(sym string, k fact) {
	if _, ok := f.known[sym]; !ok {
		f.order = append(f.order, sym)
	}
	f.known[sym] = k
}

// commit makes a change unless relations show that it contradicts them.
func (f *Facts) commit(change func(g *Facts)) error {
	if f.derived == nil { // one of several: see assumeAll
		change(f)
		return nil
	}
	if len(f.relations) == 0 {
		change(f)
		f.derived = &derivation{}
		return nil
	}
	g := f.Clone()
	change(g)
	if err := g.finish(); err != nil {
		return err
	}
	*f = *g
	return nil
}

// finish works out what changes imply.
func (f *Facts) finish() error {
	f.settle()
	f.derived = &derivation{}
	if s := f.system(); s != nil && s.broken {
		return fmt.Errorf("dim: it %w: %s", ErrContradiction, strings.Join(f.relationTexts(), ", "))
	}
	return nil
}

// satisfiable reports whether some value may have the range, the divisor and,
// as far as ranges tell, the equality.
func (k fact) satisfiable(f *Facts) bool {
	r := k.interval()
	if k.isEqual {
		r = meet(r, f.interval(k.equal))
	}
	return !r.empty()
}

// of returns the fact of a symbol, declared or not.
func (f *Facts) of(sym string) fact {
	if k, ok := f.known[sym]; ok {
		return k
	}
	return sizeFact
}

// resolve replaces symbols by what they equal, until none is left. Equalities
// are acyclic (see SetEqual), so this ends.
func (f *Facts) resolve(e Expr) Expr {
	if e.p == nil || len(f.known) == 0 {
		return e
	}
	for f.usesEqual(e) {
		e = e.mapSyms(func(name string) (Expr, bool) {
			k := f.of(name)
			return k.equal, k.isEqual
		})
	}
	return e
}

func (f *Facts) usesEqual(e Expr) bool {
	found := false
	e.eachSym(func(name string) { found = found || f.of(name).isEqual })
	return found
}

// quotientMark ends the name of a symbol for a quotient. Inside proofs, a symbol
// B of which n > 1 is a known divisor is replaced by n times the symbol "B/",
// whose name no user can write. Ring arithmetic and
// the constructors then find on their own what follows from the divisibility.
const quotientMark = "/"

// expand resolves equalities, those that relations imply too, and replaces
// symbols by multiples of quotients.
func (f *Facts) expand(e Expr) Expr {
	e = f.expandDeclared(e)
	if s := f.system(); s != nil && len(s.equal) > 0 {
		return e.Subst(s.equal)
	}
	return e
}

// expandDeclared is expand without relations.
func (f *Facts) expandDeclared(e Expr) Expr {
	e = f.resolve(e)
	if e.p == nil || len(f.known) == 0 {
		return e
	}
	divides := false
	e.eachSym(func(name string) { divides = divides || f.of(name).div > 1 })
	if !divides {
		return e
	}
	return e.mapSyms(func(name string) (Expr, bool) {
		n := f.of(name).div
		if n == 1 {
			return Expr{}, false
		}
		return Const(n).Mul(symbol(name + quotientMark)), true
	})
}

// quotientOf returns the symbol that a quotient symbol stands for.
func quotientOf(name string) (sym string, ok bool) {
	return strings.CutSuffix(name, quotientMark)
}

// collapse is the inverse of expand for quotient symbols: with n = 8,
// 16*"B/" becomes 2*B and 2*"B/" becomes B floordiv 4.
func (f *Facts) collapse(e Expr) Expr {
	if e.p == nil || e.Invalid() {
		return e
	}
	var sum Expr
	for _, t := range e.terms() {
		sum = sum.Add(f.collapseTerm(t))
	}
	return sum
}

func (f *Facts) collapseTerm(t term) Expr {
	c, product := t.coef, Const(1)
	for _, a := range t.atoms {
		sym, ok := quotientOf(a.key)
		switch {
		case a.op == opSym && ok:
			n := f.of(sym).div
			g := int64(gcd(uint64(n), magnitude(c)))
			c /= g
			product = product.Mul(Sym(sym).FloorDiv(Const(n / g)))
		case a.op == opSym:
			product = product.Mul(ofAtom(a))
		default:
			args := make([]Expr, len(a.args))
			for i, arg := range a.args {
				args[i] = f.collapse(arg)
			}
			product = product.Mul(build(a.op, args))
		}
	}
	return product.Mul(Const(c))
}
