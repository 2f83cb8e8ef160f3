package dim

import (
	"fmt"
	"strconv"
)

// String returns the text form, which [ParseConstraint] reads back to an equal
// constraint: "S <= T", "B >= 4", "B == 2*A", "B != 1", "B % 8 == 0",
// "(A + B) % 4 != 3", "true". Each side holds the terms that are positive
// there.
func (c Constraint) String() string {
	switch c.kind {
	case always:
		return "true"
	case never:
		return "false"
	case divides, divideNot:
		return c.divisibilityText()
	}
	left, right, ok := c.equation()
	switch {
	case !ok:
		return fmt.Sprintf("%s %s 0", c.e, relationTexts[c.kind])
	case c.kind == atLeast:
		return orderText(sides(c.e))
	}
	return fmt.Sprintf("%s %s %s", left, relationTexts[c.kind], right)
}

// equation is e == 0 as it is printed, ok unless the least int64 prevents it.
func (c Constraint) equation() (left, right Expr, ok bool) {
	left, right, ok = sides(c.e)
	if prefersLeft(right, left) {
		return right, left, ok
	}
	return left, right, ok
}

var relationTexts = [...]string{zero: "==", nonzero: "!=", atLeast: ">=", divides: "==", divideNot: "!="}

// sides splits e into left - right, both with positive coefficients.
func sides(e Expr) (left, right Expr, ok bool) {
	if e.Invalid() {
		return Expr{}, Expr{}, false
	}
	var pos, neg []term
	for _, t := range e.terms() {
		if t.coef > 0 {
			pos = append(pos, t)
			continue
		}
		abs, ok := negOK(t.coef)
		if !ok {
			return Expr{}, Expr{}, false
		}
		neg = append(neg, term{abs, t.atoms})
	}
	return ofTerms(pos), ofTerms(neg), true
}

// orderText is left >= right, with a lone constant at the right end and
// otherwise the lesser side first: "B >= 4", "B >= -2", "S + T <= 9", "S <= T".
func orderText(left, right Expr, _ bool) string {
	lts, lc := left.splitConst()
	rts, rc := right.splitConst()
	switch {
	case len(rts) == 0:
		return fmt.Sprintf("%s >= %d", ofTerms(lts), rc-lc)
	case len(lts) == 0:
		return fmt.Sprintf("%s <= %d", ofTerms(rts), lc-rc)
	}
	return fmt.Sprintf("%s <= %s", right, left)
}

// prefersLeft reports whether a reads better than b on the left of an
// equation: a lone symbol before others, and anything before a constant.
func prefersLeft(a, b Expr) bool {
	_, aSym := a.IsSym()
	_, bSym := b.IsSym()
	_, bConst := b.Const()
	return bConst || aSym && !bSym
}

// divisibilityText is "B % 8 == 3" for 8 | B + 5.
func (c Constraint) divisibilityText() string {
	if c.e.Invalid() {
		return fmt.Sprintf("%s %% %d %s 0", c.e, c.n, relationTexts[c.kind])
	}
	ts, rest := c.e.splitConst()
	dividend := ofTerms(ts)
	text := dividend.String()
	if a, sole := dividend.soleAtom(); len(ts) > 1 || sole && (a.op == opFloorDiv || a.op == opMod) {
		text = "(" + text + ")"
	}
	remainder := int64(0)
	if rest != 0 {
		remainder = c.n - rest
	}
	return fmt.Sprintf("%s %% %d %s %d", text, c.n, relationTexts[c.kind], remainder)
}

// ParseConstraint reads a constraint:
//
//	constraint = sum ("==" | "!=" | "<=" | "<" | ">=" | ">") sum
//	           | product "%" integer ("==" | "!=") integer
//	           | "true" | "false" .
//
// with sum and product as in [Parse]. The error is a [*ParseError].
func ParseConstraint(s string) (Constraint, error) {
	p := newParser(s)
	c, err := p.constraint()
	if err == nil && p.tok != tokEOF {
		err = p.unexpected("an operator or the end")
	}
	if err != nil {
		return Constraint{}, err
	}
	return c, nil
}

var comparisons = map[string]func(a, b Expr) Constraint{"==": Eq, "!=": Ne, "<=": Le, "<": Lt, ">=": Ge, ">": Gt}

func (p *parser) constraint() (Constraint, error) {
	if c, ok := p.constant(); ok {
		return c, nil
	}
	if err := p.checkLength(); err != nil {
		return Constraint{}, err
	}
	left, err := p.product()
	if err != nil {
		return Constraint{}, err
	}
	if p.is("%") {
		return p.divisibility(left)
	}
	if left, err = p.sumFrom(left); err != nil {
		return Constraint{}, err
	}
	return p.comparison(left)
}

// constant accepts a text that is just "true" or "false", which elsewhere are
// names of symbols.
func (p *parser) constant() (Constraint, bool) {
	word := p.text()
	if word != "true" && word != "false" {
		return Constraint{}, false
	}
	ahead := *p
	if ahead.next(); ahead.tok != tokEOF {
		return Constraint{}, false
	}
	*p = ahead
	return truth(word == "true"), true
}

// comparison parses the rest after the left side.
func (p *parser) comparison(left Expr) (Constraint, error) {
	compare, ok := comparisons[p.text()]
	if !ok || p.tok != tokOp {
		return Constraint{}, p.unexpected(`"==", "!=", "<=", "<", ">=" or ">"`)
	}
	at := p.start
	p.next()
	right, err := p.sum()
	if err != nil {
		return Constraint{}, err
	}
	return validAt(compare(left, right), at)
}

// divisibility parses the rest from "%".
func (p *parser) divisibility(dividend Expr) (Constraint, error) {
	at := p.start
	p.next()
	n, err := p.positive()
	if err != nil {
		return Constraint{}, err
	}
	equal := p.is("==")
	if !equal && !p.is("!=") {
		return Constraint{}, p.unexpected(`"==" or "!="`)
	}
	p.next()
	rest, err := p.signed()
	if err != nil {
		return Constraint{}, err
	}
	c := truth(false)
	if 0 <= rest && rest < n {
		c = Divisible(dividend.Sub(Const(rest)), n)
	}
	if !equal {
		c = c.Not()
	}
	return validAt(c, at)
}

// positive reads an integer of at least 1.
func (p *parser) positive() (int64, error) {
	at := *p
	n, err := p.integer("")
	if err == nil && n < 1 {
		err = at.unexpected("a positive integer")
	}
	return n, err
}

func (p *parser) checkLength() error {
	if len(p.src) <= maxText {
		return nil
	}
	return &ParseError{Offset: maxText, Expected: fmt.Sprintf("at most %d bytes", maxText), Got: strconv.Itoa(len(p.src))}
}

func validAt(c Constraint, at int) (Constraint, error) {
	if c.Invalid() {
		return Constraint{}, &ParseError{Offset: at, Expected: "sides whose difference is within the limits of dim", Got: c.e.String()}
	}
	return c, nil
}
