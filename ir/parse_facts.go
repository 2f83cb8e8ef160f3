package ir

import (
	"errors"
	"math"
	"strings"

	"jitc/ir/dim"
)

// facts parses the where clause, split at commas outside brackets.
func (p *parser) facts(f *Func) error {
	for {
		start, depth := p.tok, 0
		for !p.endsFacts() && (depth > 0 || !p.is(",")) {
			switch p.tok.text {
			case "[", "(":
				depth++
			case "]", ")":
				depth--
			}
			p.advance()
		}
		const example = `for example "B in [1, 64]", "B >= 2", "B % 8 == 0", "T == 2*B" or "S <= T"`
		if p.tok.off == start.off {
			return p.fail(start, "empty fact", example, start.String(), "")
		}
		end := p.last.off + len(p.last.text)
		text := strings.NewReplacer("\r", " ", "\n", " ").Replace(p.lex.src[start.off:end])
		if err := f.Facts.ParseFact(text); err != nil {
			return p.badFact(p.span(start), text, err)
		}
		if !p.accept(",") {
			break
		}
	}
	p.symbols = symbolSet(f.Facts)
	return nil
}

// endsFacts reports whether the next token cannot be part of a fact.
func (p *parser) endsFacts() bool {
	return p.is("{") || p.is("}") || p.is("return") || p.tok.kind == tokEOF ||
		p.tok.kind == tokValue && p.tok.line != p.last.line // "B %2" is a fact
}

func (p *parser) badFact(at token, text string, err error) error {
	var pe *dim.ParseError
	if errors.As(err, &pe) {
		if pe.Offset >= len(text) {
			pe.Got = p.tok.String()
		}
		if pe.Offset <= len(at.text) {
			at.co += pe.Offset
			at.text = ""
		}
		return p.fail(at, "bad fact", pe.Expected, pe.Got, `facts are "B in [1, 64]", "B >= 2", "B % 8 == 0", "T == 2*B" or "S <= T"`)
	}
	return p.fail(at, "bad fact: "+strings.TrimPrefix(err.Error(), "dim: "), "facts that some sizes satisfy", text, "")
}

// checkSymbols reports a symbol in types that nothing declares.
func (p *parser) checkSymbols(at token, ts ...Type) error {
	for _, t := range ts {
		if s := undeclared(p.symbols, t); s != "" {
			return p.unknownSymbol(at, s)
		}
	}
	return nil
}

func (p *parser) unknownSymbol(at token, sym string) error {
	return p.fail(at, "unknown symbol "+sym, "a symbol of a parameter's shape", sym,
		"use it in a parameter's shape, or declare it: where "+sym+" >= 0")
}

// declare enters the symbols of a parameter's size.
func (p *parser) declare(f *Func, e dim.Expr) {
	for _, s := range e.Syms() {
		if !p.symbols[s] {
			_ = f.Facts.Declare(s, 0, math.MaxInt64) // new: cannot contradict
			p.symbols[s] = true
		}
	}
}
