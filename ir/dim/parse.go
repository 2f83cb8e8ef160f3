package dim

import (
	"fmt"
	"strconv"
	"unicode/utf8"
)

const (
	// maxNesting bounds the parser's recursion. It exceeds twice MaxDepth, so
	// every text that String prints is accepted.
	maxNesting = 3 * MaxDepth
	// maxText bounds the bytes of an expression, and so the time it can take.
	maxText = 1 << 19
)

// Parse reads an expression:
//
//	sum     = product { ("+" | "-") product } .
//	product = unary { ("*" | "floordiv" | "ceildiv" | "mod") unary } .
//	unary   = [ "-" ] ( integer | symbol | "(" sum ")" | ("min" | "max") "(" sum { "," sum } ")" ) .
//
// Operators associate to the left and a sign binds tightest: -3 floordiv 2 is
// (-3) floordiv 2. Spaces and tabs separate tokens. The error is a
// [*ParseError]; an expression that would be [Expr.Invalid] is one too.
func Parse(s string) (Expr, error) {
	p := newParser(s)
	e, err := p.whole()
	if err == nil && p.tok != tokEOF {
		err = p.unexpected("an operator or the end")
	}
	if err != nil {
		return Expr{}, err
	}
	return e, nil
}

type token uint8

const (
	tokEOF token = iota
	tokInt
	tokName
	tokOp    // an operator of one or two bytes
	tokWrong // a byte that starts no token
)

// parser is a recursive-descent parser with one token of lookahead.
type parser struct {
	src        string
	tok        token
	start, end int // of the token
	depth      int
}

func newParser(s string) *parser {
	p := &parser{src: s}
	p.next()
	return p
}

func (p *parser) text() string { return p.src[p.start:p.end] }

// is reports whether the token is this operator or word.
func (p *parser) is(text string) bool {
	return (p.tok == tokOp || p.tok == tokName) && p.text() == text
}

// accept moves past the token if it is this one.
func (p *parser) accept(text string) bool {
	if !p.is(text) {
		return false
	}
	p.next()
	return true
}

func (p *parser) expect(text string) error {
	if !p.accept(text) {
		return p.unexpected(strconv.Quote(text))
	}
	return nil
}

// next scans a token.
func (p *parser) next() {
	i := p.end
	for i < len(p.src) && (p.src[i] == ' ' || p.src[i] == '\t') {
		i++
	}
	p.start = i
	if i == len(p.src) {
		p.tok, p.end = tokEOF, i
		return
	}
	p.tok, p.end = scan(p.src, i)
}

// scan returns the kind and the end of the token at src[i].
func scan(src string, i int) (token, int) {
	switch b := src[i]; {
	case isDigit(b):
		return tokInt, spanEnd(src, i, isDigit)
	case isLetter(b):
		return tokName, spanEnd(src, i, func(b byte) bool { return isLetter(b) || isDigit(b) })
	case i+1 < len(src) && src[i+1] == '=' && (b == '=' || b == '!' || b == '<' || b == '>'):
		return tokOp, i + 2
	case b < utf8.RuneSelf:
		return tokOp, i + 1
	}
	_, n := utf8.DecodeRuneInString(src[i:])
	return tokWrong, i + n
}

func spanEnd(src string, i int, in func(byte) bool) int {
	for i < len(src) && in(src[i]) {
		i++
	}
	return i
}

func (p *parser) unexpected(expected string) error {
	got := "the end"
	if p.tok != tokEOF {
		got = strconv.Quote(cutName(p.text()))
	}
	return &ParseError{Offset: p.start, Expected: expected, Got: got}
}

// whole parses a sum, unless the text is too long to be one.
func (p *parser) whole() (Expr, error) {
	if err := p.checkLength(); err != nil {
		return Expr{}, err
	}
	return p.sum()
}

func (p *parser) sum() (Expr, error) {
	e, err := p.product()
	if err != nil {
		return Expr{}, err
	}
	return p.sumFrom(e)
}

// sumFrom parses what follows the first product of a sum.
func (p *parser) sumFrom(e Expr) (Expr, error) {
	var err error
	for err == nil && (p.is("+") || p.is("-")) {
		minus, at := p.is("-"), p.start
		p.next()
		var o Expr
		if o, err = p.product(); err != nil {
			break
		}
		if minus {
			o = o.Neg()
		}
		e, err = checked(e.Add(o), at)
	}
	return e, err
}

var productOps = map[string]func(e, o Expr) Expr{
	"*":        Expr.Mul,
	"floordiv": Expr.FloorDiv,
	"ceildiv":  Expr.CeilDiv,
	"mod":      Expr.Mod,
}

func (p *parser) product() (Expr, error) {
	e, err := p.unary()
	for err == nil && (p.tok == tokOp || p.tok == tokName) {
		apply, ok := productOps[p.text()]
		if !ok {
			break
		}
		at := p.start
		p.next()
		var o Expr
		if o, err = p.unary(); err == nil {
			e, err = checked(apply(e, o), at)
		}
	}
	return e, err
}

// checked refuses an operation whose result has no value.
func checked(e Expr, at int) (Expr, error) {
	if e.Invalid() {
		return Expr{}, &ParseError{Offset: at, Expected: "an expression within the limits of dim", Got: e.String()}
	}
	return e, nil
}

func (p *parser) unary() (Expr, error) {
	at := p.start
	if !p.accept("-") {
		return p.primary()
	}
	if p.tok == tokInt { // with its sign: the least int64 has no magnitude
		n, err := p.integer("-")
		return Const(n), err
	}
	e, err := p.primary()
	if err != nil {
		return Expr{}, err
	}
	return checked(e.Neg(), at)
}

func (p *parser) primary() (Expr, error) {
	switch {
	case p.tok == tokInt:
		n, err := p.integer("")
		return Const(n), err
	case p.is("("):
		return p.nested(p.parenthesised)
	case p.is("min"):
		return p.nested(func() (Expr, error) { return p.extremum(opMin) })
	case p.is("max"):
		return p.nested(func() (Expr, error) { return p.extremum(opMax) })
	case p.tok == tokName && ValidSym(p.text()):
		e := Sym(p.text())
		p.next()
		return e, nil
	}
	return Expr{}, p.unexpected("an integer, a symbol or \"(\"")
}

// nested guards the recursion against hostile text.
func (p *parser) nested(parse func() (Expr, error)) (Expr, error) {
	if p.depth == maxNesting {
		return Expr{}, p.unexpected(fmt.Sprintf("at most %d nested parentheses", maxNesting))
	}
	p.depth++
	defer func() { p.depth-- }()
	return parse()
}

func (p *parser) parenthesised() (Expr, error) {
	p.next()
	e, err := p.sum()
	if err != nil {
		return Expr{}, err
	}
	return e, p.expect(")")
}

func (p *parser) extremum(op op) (Expr, error) {
	at := p.start
	p.next()
	if err := p.expect("("); err != nil {
		return Expr{}, err
	}
	var args []Expr
	for {
		e, err := p.sum()
		if err != nil {
			return Expr{}, err
		}
		args = append(args, e)
		if !p.accept(",") {
			break
		}
	}
	if err := p.expect(")"); err != nil {
		return Expr{}, err
	}
	return checked(extremum(op, args...), at)
}

// integer reads the integer token; sign is "-" or empty.
func (p *parser) integer(sign string) (int64, error) {
	if p.tok != tokInt {
		return 0, p.unexpected("an integer")
	}
	n, err := strconv.ParseInt(sign+p.text(), 10, 64)
	if err != nil {
		return 0, p.unexpected("an integer of 64 bits")
	}
	p.next()
	return n, nil
}
