package ir

import "strconv"

// advance moves to the next token that matters, keeping comments for later.
func (p *parser) advance() {
	p.last = p.tok
	for {
		p.tok = p.lex.next()
		switch p.tok.kind {
		case tokComment:
			p.comments.see(p.tok, p.last.line)
		case tokNewline:
		default:
			return
		}
	}
}

// span is the source from token from to the last one consumed, as one token; it
// ends with from's line.
func (p *parser) span(from token) token {
	end := p.last.off + len(p.last.text)
	if p.last.line != from.line || end < from.off {
		end = from.off + len(from.text)
	}
	from.text = p.lex.src[from.off:end]
	return from
}

// fail records a diagnostic at t and unwinds.
func (p *parser) fail(t token, msg, expected, got, hint string) error {
	d := p.lex.at(t, msg)
	d.Expected, d.Got, d.Hint = expected, got, hint
	p.diags = append(p.diags, d)
	return errStop
}

// failExpected reports the next token; where a statement stops short of it, the
// end of the line that the statement is on.
func (p *parser) failExpected(what string) error {
	t := p.tok
	switch {
	case t.kind == tokUnterminated:
		return p.fail(t, "unterminated string", what, "", `end it with " on the same line`)
	case t.line == p.last.line || t.off == p.start || p.last.line == 0:
		return p.fail(t, "syntax error", what, t.String(), "")
	case t.kind != tokEOF:
		t = token{kind: tokNewline}
	}
	t.off, t.line, t.co = p.last.off+len(p.last.text), p.last.line, p.last.co+len(p.last.text)
	return p.fail(t, "syntax error", what, t.String(), "")
}

func (p *parser) is(text string) bool {
	return p.tok.text == text && (p.tok.kind == tokPunct || p.tok.kind == tokIdent)
}

func (p *parser) accept(text string) bool {
	if p.is(text) {
		p.advance()
		return true
	}
	return false
}

func (p *parser) expect(text string) error {
	if !p.accept(text) {
		return p.failExpected(strconv.Quote(text))
	}
	return nil
}

func (p *parser) take(kind tokKind, what string) (token, error) {
	t := p.tok
	if t.kind != kind {
		return t, p.failExpected(what)
	}
	p.advance()
	return t, nil
}
