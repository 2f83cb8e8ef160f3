package dim

import (
	"errors"
	"fmt"
	"math"
)

// Strings returns the facts as text, symbol by symbol in the order of
// [Facts.Syms]: "B in [1, 64]", "S >= 1", "B % 8 == 0", "T == 2*B"; then the
// relations: "S <= T". Parsing them with [Facts.ParseFact] in that order gives
// equal facts.
func (f *Facts) Strings() []string {
	var out []string
	for _, sym := range f.order {
		out = append(out, f.known[sym].texts(sym)...)
	}
	return append(out, f.relationTexts()...)
}

// texts lists the parts of a fact, at least one.
func (k fact) texts(sym string) []string {
	var out []string
	plain := k.div == 1 && !k.isEqual
	if plain || k.lo != sizeFact.lo || k.hi != sizeFact.hi {
		out = append(out, k.rangeText(sym))
	}
	if k.div > 1 {
		out = append(out, k.divText(sym))
	}
	if k.isEqual {
		out = append(out, k.equalText(sym))
	}
	return out
}

func (k fact) rangeText(sym string) string {
	if k.hi == math.MaxInt64 {
		return fmt.Sprintf("%s >= %d", sym, k.lo)
	}
	return fmt.Sprintf("%s in [%d, %d]", sym, k.lo, k.hi)
}

func (k fact) divText(sym string) string { return fmt.Sprintf("%s %% %d == 0", sym, k.div) }

func (k fact) equalText(sym string) string { return fmt.Sprintf("%s == %s", sym, k.equal) }

// ParseFact reads one fact and states it:
//
//	fact = symbol ( "in" "[" integer "," integer "]" | ">=" integer | "<=" integer
//	     | "%" integer "==" "0" | "==" sum ) | constraint .
//
// with constraint as in [ParseConstraint]. The forms of one symbol declare it:
// "B >= -2" lowers the bound 0 that sizes have otherwise. A text of another
// form is a [*ParseError]; a fact that contradicts those known is an
// [ErrContradiction].
func (f *Facts) ParseFact(s string) error {
	p := newParser(s)
	if p.tok == tokName && ValidSym(p.text()) {
		if state, err := p.declaration(); err == nil {
			return state(f)
		}
		p = newParser(s)
	}
	c, err := ParseConstraint(s)
	if err == nil {
		return f.Assume(c)
	}
	return p.closer(err)
}

// closer returns the error of parsing the text as a declaration if that got
// further than err, or as far.
func (p *parser) closer(err error) error {
	if p.tok != tokName || !ValidSym(p.text()) {
		return err
	}
	_, other := p.declaration()
	var a, b *ParseError
	if errors.As(other, &a) && errors.As(err, &b) && a.Offset < b.Offset {
		return err
	}
	return other
}

// declaration parses a fact about one symbol.
func (p *parser) declaration() (statement, error) {
	sym := p.text()
	p.next()
	parse, ok := factForms[p.text()]
	if !ok || p.tok != tokOp && p.tok != tokName {
		return nil, p.unexpected(`"in", "%" or a comparison`)
	}
	p.next()
	state, err := parse(p, sym)
	if err == nil && p.tok != tokEOF {
		err = p.unexpected("the end")
	}
	return state, err
}

// statement is a parsed fact, to be stated of some facts.
type statement func(f *Facts) error

var factForms = map[string]func(p *parser, sym string) (statement, error){
	"in": parseIn,
	">=": func(p *parser, sym string) (statement, error) {
		lo, err := p.signed()
		return func(f *Facts) error { return f.Declare(sym, lo, math.MaxInt64) }, err
	},
	"<=": func(p *parser, sym string) (statement, error) {
		hi, err := p.signed()
		return func(f *Facts) error { return f.Declare(sym, f.of(sym).lo, hi) }, err
	},
	"==": func(p *parser, sym string) (statement, error) {
		e, err := p.whole()
		return func(f *Facts) error {
			c := Eq(Sym(sym), e)
			// B == B + 1 is refused as a definition; B == B*B is a relation.
			left, right, _ := c.equation()
			name, _ := left.IsSym()
			if f.definable(sym, e) || e.uses(sym) && !right.uses(name) {
				return f.SetEqual(sym, e)
			}
			return f.Assume(c)
		}, err
	},
	"%": parseDivisible,
}

func parseIn(p *parser, sym string) (statement, error) {
	if err := p.expect("["); err != nil {
		return nil, err
	}
	lo, err := p.signed()
	if err != nil {
		return nil, err
	}
	if err := p.expect(","); err != nil {
		return nil, err
	}
	hi, err := p.signed()
	if err != nil {
		return nil, err
	}
	return func(f *Facts) error { return f.Declare(sym, lo, hi) }, p.expect("]")
}

func parseDivisible(p *parser, sym string) (statement, error) {
	n, err := p.positive()
	if err != nil {
		return nil, err
	}
	if err := p.expect("=="); err != nil {
		return nil, err
	}
	if p.tok != tokInt || p.text() != "0" {
		return nil, p.unexpected(`"0"`)
	}
	p.next()
	return func(f *Facts) error { return f.SetDivisible(sym, n) }, nil
}

// signed reads an integer with an optional sign.
func (p *parser) signed() (int64, error) {
	if p.accept("-") {
		return p.integer("-")
	}
	return p.integer("")
}
