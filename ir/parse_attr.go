package ir

import (
	"encoding/hex"
	"math"
	"strconv"
	"strings"
)

// rawBytes is a tensor literal whose type is not known yet.
type rawBytes string

// attrs parses "{name=value, ...}" for the attributes that v's op declares.
func (p *parser) attrs(v *Value) (Attrs, error) {
	p.attrAt = nil
	if !p.accept("{") {
		return nil, nil
	}
	row := v.Row()
	p.attrAt = map[string]token{}
	var list []Attr
	for !p.accept("}") {
		if len(list) > 0 {
			if err := p.expect(","); err != nil {
				return nil, err
			}
		}
		name, err := p.take(tokIdent, "an attribute, name=value")
		if err != nil {
			return nil, err
		}
		spec := row.Attr(name.text)
		if spec == nil {
			return nil, p.unknownAttr(row, name)
		}
		if _, twice := p.attrAt[spec.Name]; twice {
			return nil, p.fail(name, "attribute given twice", "", name.text, "")
		}
		if err := p.expect("="); err != nil {
			return nil, err
		}
		value, err := p.attrValue(spec)
		if err != nil {
			return nil, err
		}
		list = append(list, Attr{spec.Name, value})
		p.attrAt[spec.Name] = p.span(name)
	}
	return NewAttrs(list...), nil
}

func (p *parser) unknownAttr(row *OpRow, name token) error {
	hint, names := "", make([]string, len(row.Attrs))
	for i, a := range row.Attrs {
		names[i] = a.Name
	}
	if near := nearest(name.text, names); near != "" {
		hint = "did you mean " + near + "?"
	}
	return p.fail(name, row.Name+": unknown attribute "+name.text, attrNames(row), "", hint)
}

// attrParsers reads an attribute's value by its kind.
var attrParsers map[AttrKind]func(*parser, *AttrSpec) (any, error)

func init() {
	attrParsers = map[AttrKind]func(*parser, *AttrSpec) (any, error){
		KindInt:    func(p *parser, _ *AttrSpec) (any, error) { return p.integer() },
		KindFloat:  func(p *parser, _ *AttrSpec) (any, error) { return p.float() },
		KindBool:   func(p *parser, _ *AttrSpec) (any, error) { return p.boolean() },
		KindString: func(p *parser, s *AttrSpec) (any, error) { return p.str(s) },
		KindInts:   func(p *parser, _ *AttrSpec) (any, error) { return p.integers() },
		KindDims:   func(p *parser, _ *AttrSpec) (any, error) { return p.sizes(false) },
		KindDType:  func(p *parser, _ *AttrSpec) (any, error) { return p.dtype() },
		KindTensor: func(p *parser, _ *AttrSpec) (any, error) { return p.hexLiteral() },
		KindNumber: func(p *parser, _ *AttrSpec) (any, error) { return p.number() },
	}
}

func (p *parser) attrValue(spec *AttrSpec) (any, error) { return attrParsers[spec.Kind](p, spec) }

func (p *parser) integer() (int64, error) {
	t, err := p.take(tokNumber, "an integer")
	if err != nil {
		return 0, err
	}
	n, perr := strconv.ParseInt(t.text, 10, 64)
	if perr != nil {
		return 0, p.fail(t, "bad integer", "an integer of 64 bits", t.text, "")
	}
	return n, nil
}

func (p *parser) integers() ([]int64, error) {
	if err := p.expect("["); err != nil {
		return nil, err
	}
	out := []int64{}
	for !p.accept("]") {
		if len(out) > 0 {
			if err := p.expect(","); err != nil {
				return nil, err
			}
		}
		n, err := p.integer()
		if err != nil {
			return nil, err
		}
		out = append(out, n)
	}
	return out, nil
}

// float reads a float; an integer will do. inf, -inf, nan and nan(0xbits) are floats.
func (p *parser) float() (float64, error) {
	t := p.tok
	sign := 1.0
	if p.accept("-") {
		sign = -1
	}
	switch {
	case p.is("inf"):
		p.advance()
		return sign * math.Inf(1), nil
	case p.is("nan"):
		return p.nan()
	}
	t, err := p.take(tokNumber, "a number")
	if err != nil {
		return 0, err
	}
	x, perr := strconv.ParseFloat(t.text, 64)
	if perr != nil {
		return 0, p.fail(t, "bad number", "a float64", t.text, "")
	}
	return sign * x, nil
}

func (p *parser) nan() (float64, error) {
	p.advance()
	if !p.accept("(") {
		return math.NaN(), nil
	}
	t := p.tok
	// The lexer splits 0x7ff8... into a number and an identifier; join them.
	text := ""
	for p.tok.kind == tokNumber || p.tok.kind == tokIdent {
		text += p.tok.text
		p.advance()
	}
	bits, err := strconv.ParseUint(text, 0, 64)
	x := math.Float64frombits(bits)
	if err != nil || x == x {
		return 0, p.fail(t, "bad NaN", "the bits of a NaN, nan(0x7ff8000000000001)", text, "")
	}
	return x, p.expect(")")
}

func (p *parser) boolean() (bool, error) {
	if p.accept("true") {
		return true, nil
	}
	if p.accept("false") {
		return false, nil
	}
	return false, p.failExpected("true or false")
}

func (p *parser) str(spec *AttrSpec) (string, error) {
	expected := "a string"
	if spec.Enum != nil {
		expected = spec.oneOf()
	}
	if t := p.tok; t.kind == tokIdent {
		return "", p.fail(t, "syntax error", expected, t.String(), "strings are in quotes: "+strconv.Quote(t.text))
	}
	t, err := p.take(tokString, expected)
	if err != nil {
		return "", err
	}
	return p.unquote(t, expected)
}

// unquote reads a string token, written as a Go string literal.
func (p *parser) unquote(t token, expected string) (string, error) {
	s, err := strconv.Unquote(t.text)
	if err != nil {
		return "", p.fail(t, "bad string", expected, t.text, "the escapes are those of Go")
	}
	return s, nil
}

// hexLiteral reads hex"0000803f": little-endian bytes of the elements.
func (p *parser) hexLiteral() (any, error) {
	if err := p.expect("hex"); err != nil {
		return nil, err
	}
	t, err := p.take(tokString, `the elements' bytes, hex"0000803f"`)
	if err != nil {
		return nil, err
	}
	raw, herr := hex.DecodeString(strings.Trim(t.text, `"`))
	if herr != nil {
		return nil, p.fail(t, "bad tensor literal: "+strings.TrimPrefix(herr.Error(), "encoding/hex: "), "little-endian bytes in hexadecimal", "", "")
	}
	return rawBytes(raw), nil
}

// number reads the value of a splat: an integer, a float or a bool, as written.
func (p *parser) number() (any, error) {
	if p.is("true") || p.is("false") {
		return p.boolean()
	}
	if p.tok.kind == tokNumber && !strings.ContainsAny(p.tok.text, ".eE") {
		return p.integer()
	}
	return p.float()
}
