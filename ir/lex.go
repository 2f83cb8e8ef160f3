package ir

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"jitc/ir/diag"
)

// tokKind is the kind of a token of the text form.
type tokKind uint8

const (
	tokEOF     tokKind = iota
	tokIdent           // func, f32, reduce_sum, true
	tokValue           // %name
	tokSymbol          // @name
	tokNumber          // 12, -3, 1e-5, -inf is an identifier after a sign
	tokString          // "..."
	tokPunct           // one of ( ) { } [ ] < > , : = or ->
	tokComment         // # to the end of the line
	tokNewline
	tokUnterminated // a string that its line does not end
	tokBad
)

// token is a piece of source text. Tokens never span lines.
type token struct {
	kind     tokKind
	text     string
	off      int // byte offset in the source
	line, co int // from 1
}

// String describes the token in a message.
func (t token) String() string {
	switch t.kind {
	case tokEOF:
		return "the end of the file"
	case tokNewline:
		return "the end of the line"
	case tokString:
		return t.text
	}
	return fmt.Sprintf("%q", t.text)
}

// lexer splits a source into tokens on demand.
type lexer struct {
	file string
	src  string
	off  int
	line int
	bol  int // offset of the line's first byte
}

func newLexer(file, src string) *lexer { return &lexer{file: file, src: src, line: 1} }

func isIdentStart(c byte) bool {
	return c == '_' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isIdentPart(c byte) bool { return isIdentStart(c) || isDigit(c) || c == '.' }

// next returns the next token; comments and newlines are tokens too.
func (l *lexer) next() token {
	for l.off < len(l.src) && (l.src[l.off] == ' ' || l.src[l.off] == '\t' || l.src[l.off] == '\r') {
		l.off++
	}
	t := token{off: l.off, line: l.line, co: l.off - l.bol + 1}
	if l.off >= len(l.src) {
		return t
	}
	switch c := l.src[l.off]; {
	case c == '\n':
		t.kind, t.text = tokNewline, "\n"
		l.off++
		l.line, l.bol = l.line+1, l.off
		return t
	case c == '#':
		return l.take(t, tokComment, func(c byte) bool { return c != '\n' })
	case c == '%' || c == '@':
		return l.sigil(t, c)
	case isIdentStart(c):
		return l.take(t, tokIdent, isIdentPart)
	case c == '"':
		return l.str(t)
	case isDigit(c) || (c == '-' || c == '+') && l.off+1 < len(l.src) && isDigit(l.src[l.off+1]):
		return l.number(t)
	case strings.HasPrefix(l.src[l.off:], "->"):
		t.kind, t.text = tokPunct, "->"
	case strings.IndexByte("(){}[],:=-+*", c) >= 0:
		t.kind, t.text = tokPunct, l.src[l.off:l.off+1]
	default: // a whole character, so that messages show it
		_, n := utf8.DecodeRuneInString(l.src[l.off:])
		t.kind, t.text = tokBad, l.src[l.off:l.off+n]
	}
	l.off += len(t.text)
	return t
}

// take consumes the longest run of bytes that satisfy part, at least one byte.
func (l *lexer) take(t token, kind tokKind, part func(byte) bool) token {
	end := l.off + 1
	for end < len(l.src) && part(l.src[end]) {
		end++
	}
	t.kind, t.text = kind, strings.TrimRight(l.src[l.off:end], "\r")
	l.off = end
	return t
}

func (l *lexer) sigil(t token, c byte) token {
	kind := tokValue
	if c == '@' {
		kind = tokSymbol
	}
	if l.off+1 >= len(l.src) || !isIdentPart(l.src[l.off+1]) {
		t.kind, t.text = tokBad, string(c)
		l.off++
		return t
	}
	return l.take(t, kind, isIdentPart)
}

// str consumes a Go string literal; one that does not end on its line is bad.
func (l *lexer) str(t token) token {
	for end := l.off + 1; end < len(l.src) && l.src[end] != '\n'; end++ {
		switch l.src[end] {
		case '\\':
			if end+1 < len(l.src) && l.src[end+1] != '\n' {
				end++
			}
		case '"':
			t.kind, t.text = tokString, l.src[l.off:end+1]
			l.off = end + 1
			return t
		}
	}
	return l.take(t, tokUnterminated, func(c byte) bool { return c != '\n' })
}

func (l *lexer) number(t token) token {
	end := l.off + 1
	for end < len(l.src) {
		c := l.src[end]
		exp := end > l.off && (l.src[end-1] == 'e' || l.src[end-1] == 'E')
		if !isDigit(c) && c != '.' && c != 'e' && c != 'E' && (!exp || c != '-' && c != '+') {
			break
		}
		end++
	}
	t.kind, t.text = tokNumber, l.src[l.off:end]
	l.off = end
	return t
}

// rewind makes t, a token seen before, the next one again.
func (l *lexer) rewind(t token) {
	l.off, l.line, l.bol = t.off, t.line, t.off-(t.co-1)
}

// lineText is the source line that holds offset off, without its newline.
func (l *lexer) lineText(off int) string {
	off = min(off, len(l.src))
	from := strings.LastIndexByte(l.src[:off], '\n') + 1
	to := strings.IndexByte(l.src[off:], '\n')
	if to < 0 {
		return strings.TrimRight(l.src[from:], "\r")
	}
	return strings.TrimRight(l.src[from:off+to], "\r")
}

func (l *lexer) pos(t token) Pos { return Pos{File: l.file, Line: t.line, Col: t.co} }

// at makes a diagnostic that points at a token.
func (l *lexer) at(t token, msg string) *diag.Diagnostic {
	return &diag.Diagnostic{Pos: l.pos(t), Len: len(strings.TrimRight(t.text, "\n")), Line: l.lineText(t.off), Msg: msg}
}
