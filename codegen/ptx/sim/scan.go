package sim

import "strings"

// statementKind is how a statement of PTX ended.
type statementKind uint8

const (
	endOfText   statementKind = iota
	plain                     // up to a semicolon: a declaration or an instruction
	lineOnly                  // up to the end of the line: .version and its like
	label                     // up to a colon
	entryHeader               // up to the brace that opens a body
	openBrace
	closeBrace
)

// statement is a statement without its terminator: comments are gone, and white
// space is single blanks.
type statement struct {
	kind statementKind
	text string
	line int // where it begins
}

// lineDirectives end with their line, not with a semicolon.
var lineDirectives = map[string]bool{".version": true, ".target": true, ".address_size": true, ".file": true, ".loc": true}

// scanner splits PTX into statements.
type scanner struct {
	src      string
	at, line int
}

// next is the next statement.
func (s *scanner) next() statement {
	s.blank()
	st := statement{line: s.line}
	if s.at == len(s.src) {
		return st
	}
	switch s.src[s.at] {
	case '{', '}':
		st.kind = openBrace
		if s.src[s.at] == '}' {
			st.kind = closeBrace
		}
		s.at++
		return st
	}
	st.kind, st.text = s.read()
	return st
}

// read reads up to the end of the statement.
func (s *scanner) read() (statementKind, string) {
	var b strings.Builder
	header, parens, word := false, 0, 0
	for s.at < len(s.src) {
		c := s.src[s.at]
		if word == 0 && strings.IndexByte(" \t\r\n", c) >= 0 && lineDirectives[b.String()] {
			return lineOnly, b.String() + s.restOfLine()
		}
		if s.blank() {
			header = header || b.String()[word:] == ".entry"
			b.WriteByte(' ')
			word = b.Len()
			continue
		}
		s.at++
		switch {
		case c == ';':
			return plain, strings.TrimSpace(b.String())
		case c == ':' && word == 0 && !strings.HasPrefix(s.src[s.at:], ":") && isName(b.String()):
			return label, b.String()
		case c == '{' && header && parens == 0:
			return entryHeader, strings.TrimSpace(b.String())
		case c == '(':
			parens++
		case c == ')':
			parens--
		case c == '"':
			s.quoted(&b)
			continue
		}
		b.WriteByte(c)
	}
	return endOfText, strings.TrimSpace(b.String())
}

func firstWord(s string) string {
	word, _, _ := strings.Cut(s, " ")
	return word
}

// restOfLine skips to the end of the line and returns what was there.
func (s *scanner) restOfLine() string {
	rest, _, _ := strings.Cut(s.src[s.at:], "\n")
	s.at += len(rest)
	rest, _, _ = strings.Cut(rest, "//")
	return strings.TrimRight(rest, " \t\r")
}

// quoted copies a string up to its closing quote.
func (s *scanner) quoted(b *strings.Builder) {
	b.WriteByte('"')
	for s.at < len(s.src) && s.src[s.at] != '\n' {
		c := s.src[s.at]
		b.WriteByte(c)
		s.at++
		if c == '"' {
			return
		}
	}
}

// blank skips white space and comments, and reports whether there was any.
func (s *scanner) blank() bool {
	start := s.at
	for s.at < len(s.src) {
		switch rest := s.src[s.at:]; {
		case rest[0] == '\n':
			s.line++
			s.at++
		case rest[0] == ' ' || rest[0] == '\t' || rest[0] == '\r':
			s.at++
		case strings.HasPrefix(rest, "//"):
			n := strings.IndexByte(rest, '\n')
			if n < 0 {
				n = len(rest)
			}
			s.at += n
		case strings.HasPrefix(rest, "/*"):
			n := strings.Index(rest, "*/")
			if n < 0 {
				n = len(rest) - 2
			}
			s.line += strings.Count(rest[:n+2], "\n")
			s.at += n + 2
		default:
			return s.at > start
		}
	}
	return s.at > start
}

// split splits at the commas that are not inside brackets or braces, and trims the
// parts. An empty text has no parts.
func split(text string) []string {
	if text == "" {
		return nil
	}
	var parts []string
	depth, start := 0, 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '{', '[', '(':
			depth++
		case '}', ']', ')':
			depth--
		case ',':
			if depth == 0 {
				parts = append(parts, strings.TrimSpace(text[start:i]))
				start = i + 1
			}
		}
	}
	return append(parts, strings.TrimSpace(text[start:]))
}
