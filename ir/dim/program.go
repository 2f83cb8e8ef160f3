package dim

import (
	"math"
	"strings"
)

// program is a linear program that bounds an expression: its variables are
// monomials, its rows inequalities that hold of them. The rows are the
// relations that share a monomial with what is asked, directly or by way of
// others, and the definitions of quotients, remainders, min and max:
//
//	n*(x floordiv n) <= x <= n*(x floordiv n) + n-1
//	min(x, y) <= x        max(x, y) >= x
//
// A row is a consequence of the facts, so the program's optimum over the
// rationals bounds the expression's values.
type program struct {
	*ranges
	columns map[string]int // by monomial
	bounds  []interval     // of each column
	rows    []linearRow
	full    bool // no further column fits, so the rest is left out
}

// linearRow is: the sum of coef*column, plus c, is at least 0.
type linearRow struct {
	columns []int
	coefs   []int64
	c       int64
}

// Limits of a program; what lies beyond is left out, which weakens it.
const (
	maxColumns = 64
	maxRows    = 128
	// maxMagnitude bounds the intervals' ends that are rows: greater ones would
	// overflow in the first pivots.
	maxMagnitude = 1 << 40
)

// lower is the greatest lower bound of d that linear reasoning finds.
func (rs *ranges) lower(d Expr) bound {
	if d.p == nil {
		return finite(d.c)
	}
	p := &program{ranges: rs, columns: map[string]int{}}
	goal, ok := p.row(d)
	if !ok || d.Invalid() {
		return negInf
	}
	p.products(d)
	p.relate()
	return p.minimum(goal)
}

func monomialKey(atoms []*atom) string {
	if len(atoms) == 1 {
		return atoms[0].key
	}
	keys := make([]string, len(atoms))
	for i, a := range atoms {
		keys[i] = a.key
	}
	return strings.Join(keys, "*\x00")
}

// row makes a row of e >= 0, with columns for monomials not yet seen.
func (p *program) row(e Expr) (linearRow, bool) {
	if e.Invalid() || len(e.terms()) > maxColumns {
		return linearRow{}, false
	}
	ts, c := e.splitConst()
	r := linearRow{c: c}
	for _, t := range ts {
		j, ok := p.column(t.atoms)
		if !ok || t.coef == math.MinInt64 {
			return linearRow{}, false
		}
		r.columns, r.coefs = append(r.columns, j), append(r.coefs, t.coef)
	}
	return r, c > -maxMagnitude && c < maxMagnitude
}

// column returns the column of a monomial. A new one brings its definition.
func (p *program) column(atoms []*atom) (int, bool) {
	key := monomialKey(atoms)
	if j, ok := p.columns[key]; ok {
		return j, true
	}
	if len(p.bounds) == maxColumns {
		p.full = true
		return 0, false
	}
	j := len(p.bounds)
	p.columns[key] = j
	p.bounds = append(p.bounds, termwise(ofTerms([]term{{1, atoms}}), p.atom))
	if len(atoms) == 1 && definitions[atoms[0].op] != nil {
		definitions[atoms[0].op](p, atoms[0])
	}
	return j, true
}

// add states e >= 0.
func (p *program) add(e Expr) {
	if len(p.rows) >= maxRows {
		return
	}
	if r, ok := p.row(e); ok && len(r.columns) > 0 {
		p.rows = append(p.rows, r)
	}
}

var definitions [opMax + 1]func(p *program, a *atom)

func init() {
	definitions = [...]func(p *program, a *atom){
		opSym: nil, opFloorDiv: (*program).defineQuotient, opMod: (*program).defineRemainder,
		opMin: func(p *program, a *atom) { p.defineExtremum(a, -1) },
		opMax: func(p *program, a *atom) { p.defineExtremum(a, 1) },
	}
}

// defineQuotient states y*q <= x <= y*q + y-1 for y >= 1.
func (p *program) defineQuotient(a *atom) {
	x, y := a.args[0], a.args[1]
	if p.of(y).lo.sign() <= 0 {
		return
	}
	rest := x.Sub(y.Mul(ofAtom(a)))
	p.add(rest)
	p.add(y.Sub(Const(1)).Sub(rest))
}

// defineRemainder states x mod y == x - y*(x floordiv y), and that it lies in
// [0, y-1].
func (p *program) defineRemainder(a *atom) {
	x, y := a.args[0], a.args[1]
	if p.of(y).lo.sign() <= 0 {
		return
	}
	d := ofAtom(a).Sub(x).Add(y.Mul(x.FloorDiv(y)))
	p.add(d)
	p.add(d.Neg())
	p.add(y.Sub(Const(1)).Sub(ofAtom(a)))
}

// defineExtremum states that a max is at least each argument, and at most what
// they sum to if each but the greatest is as small as it can be:
// max(x, y) <= x + y where both are at least 0. A min is the negative of the
// max of the negatives.
func (p *program) defineExtremum(a *atom, sign int64) {
	side := Const(sign)
	top := ofAtom(a).Mul(side)
	sum, most := Expr{}, negInf
	for _, arg := range a.args {
		x := arg.Mul(side)
		p.add(top.Sub(x))
		lo := p.of(x).lo
		if lo.inf != 0 {
			most = posInf
			continue
		}
		sum, most = sum.Add(x).Sub(Const(lo.v)), maxBound(most, lo)
	}
	if most.inf == 0 {
		p.add(sum.Add(Const(most.v)).Sub(top))
	}
}

// relate adds the relations that share a monomial with the program.
func (p *program) relate() {
	if p.sys == nil {
		return
	}
	used := make([]bool, len(p.sys.rows))
	for changed := true; changed && !p.full; {
		changed = false
		for i, e := range p.sys.rows {
			if !used[i] && p.touches(e) {
				used[i], changed = true, true
				p.add(e)
			}
		}
	}
}

func (p *program) touches(e Expr) bool {
	ts, _ := e.splitConst()
	for _, t := range ts {
		if _, ok := p.columns[monomialKey(t.atoms)]; ok {
			return true
		}
	}
	return false
}

// products multiplies relations by the factors of the products in d, so that
// S <= T gives B*S <= B*T, and relates a product to its factors by their
// bounds (McCormick, Mathematical Programming 10, 1976).
func (p *program) products(d Expr) {
	for _, t := range d.terms() {
		if len(t.atoms) != 2 {
			continue
		}
		x, y := t.atoms[0], t.atoms[1]
		p.envelope(x, y)
		for _, factor := range [2]*atom{x, y} {
			if p.sys == nil || p.atom(factor).lo.sign() < 0 {
				continue
			}
			for _, e := range p.sys.rows {
				if product := e.Mul(ofAtom(factor)); p.touches(product) {
					p.add(product)
				}
			}
		}
	}
}

// envelope states (x - a)*(y - b) >= 0 for the lower and the upper bounds, and
// (b - x)*(y - a) >= 0 for mixed ones.
func (p *program) envelope(x, y *atom) {
	above := func(a *atom) (Expr, bool) {
		lo := p.atom(a).lo
		return ofAtom(a).Sub(Const(lo.v)), lo.inf == 0
	}
	below := func(a *atom) (Expr, bool) {
		hi := p.atom(a).hi
		return Const(hi.v).Sub(ofAtom(a)), hi.inf == 0
	}
	for _, f := range [2]func(*atom) (Expr, bool){above, below} {
		for _, g := range [2]func(*atom) (Expr, bool){above, below} {
			ex, okx := f(x)
			ey, oky := g(y)
			if okx && oky {
				p.add(ex.Mul(ey))
			}
		}
	}
}

// substitution writes a column as offset + sign*x, x >= 0; a column without
// bounds is the difference of two such variables.
type substitution struct {
	offset, sign int64
	variable     int
	twice        bool // minus the next variable
}

// minimum is the least value of the goal row's sum.
func (p *program) minimum(goal linearRow) bound {
	subs, n := p.substitutions()
	var a [][]int64
	var b []int64
	// state appends coefs*x + c >= 0 as -coefs*x <= c.
	state := func(coefs []int64, c int64) {
		for j := range coefs {
			coefs[j] = -coefs[j]
		}
		a, b = append(a, coefs), append(b, c)
	}
	for _, r := range p.rows {
		coefs, c, ok := r.substitute(subs, n)
		if !ok {
			return negInf
		}
		state(coefs, c)
	}
	for j, s := range subs { // upper bounds of the columns that start at the lower one
		if r := p.bounds[j]; s.sign > 0 && !s.twice && moderate(r.hi) {
			coefs := make([]int64, n)
			coefs[s.variable] = -1
			state(coefs, r.hi.v-s.offset)
		}
	}
	coefs, c, ok := goal.substitute(subs, n)
	if !ok {
		return negInf
	}
	for j := range coefs { // least of the goal is greatest of its negative
		coefs[j] = -coefs[j]
	}
	return solved(newDictionary(a, b, coefs), c)
}

// solved is c minus the maximum, rounded up, since the goal is an integer.
// Where nothing satisfies the rows, every bound holds.
func solved(d *dictionary, c int64) bound {
	num, den, end := d.maximise()
	switch end {
	case infeasible:
		return posInf
	case optimal:
		if v, ok := addOK(c, -floorDiv(num, den)); ok {
			return finite(v)
		}
	}
	return negInf
}

func moderate(b bound) bool { return b.inf == 0 && magnitude(b.v) <= maxMagnitude }

func (p *program) substitutions() ([]substitution, int) {
	subs, n := make([]substitution, len(p.bounds)), 0
	for j, r := range p.bounds {
		s := substitution{sign: 1, variable: n}
		switch {
		case moderate(r.lo):
			s.offset = r.lo.v
		case moderate(r.hi):
			s.offset, s.sign = r.hi.v, -1
		case r.lo.sign() >= 0: // a lower bound too great to calculate with
		default:
			s.twice = true
			n++
		}
		n++
		subs[j] = s
	}
	return subs, n
}

// substitute writes a row in the variables of the program.
func (r linearRow) substitute(subs []substitution, n int) (coefs []int64, c int64, ok bool) {
	coefs, c, ok = make([]int64, n), r.c, true
	for i, j := range r.columns {
		s := subs[j]
		coefs[s.variable] = r.coefs[i] * s.sign
		if s.twice {
			coefs[s.variable+1] = -r.coefs[i]
		}
		shift, fine := mulOK(r.coefs[i], s.offset)
		if c, ok = addBoth(c, shift, ok && fine); !ok {
			return nil, 0, false
		}
	}
	return coefs, c, c != math.MinInt64
}

func addBoth(a, b int64, ok bool) (int64, bool) {
	s, fine := addOK(a, b)
	return s, ok && fine
}
