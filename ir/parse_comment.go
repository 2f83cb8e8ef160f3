package ir

import "strings"

// Comments are kept by where they stand: on the line of a value, a parameter or
// the return (beside it), or on lines of their own (above what follows).

// comments is the parser's state for them.
type comments struct {
	pending []token // seen and not yet attached, in order
	// beside receives comments on the line of the last token; nil where there is
	// nothing to stand beside.
	beside *string
}

// see takes a comment; line is that of the last token consumed.
func (c *comments) see(t token, line int) {
	if c.beside == nil || t.line != line {
		c.pending = append(c.pending, t)
		return
	}
	*c.beside = strings.TrimSpace(*c.beside + " " + t.text)
}

// take returns the pending comments and forgets them.
func (c *comments) take() []string { return c.before(int(^uint(0) >> 1)) }

// before takes the pending comments on lines up to line.
func (c *comments) before(line int) []string {
	n := 0
	var texts []string
	for n < len(c.pending) && c.pending[n].line <= line {
		texts = append(texts, c.pending[n].text)
		n++
	}
	c.pending = c.pending[n:]
	return texts
}

// annotate collects the comments of the value, parameter or return whose tokens
// read parses. above are those on the lines before it and within it, beside
// those on its lines.
func (p *parser) annotate(read func() error) (above []string, beside string, err error) {
	above = p.comments.take()
	outer := p.comments.beside
	p.comments.beside = &beside
	err = read()
	p.comments.beside = outer
	return append(above, p.comments.before(p.last.line-1)...), beside, err
}

// keep records comments for printing.
func (s *SourceText) keep(v *Value, above []string, beside string) {
	if len(above) > 0 {
		s.Above[v] = above
	}
	if beside != "" {
		s.Beside[v] = beside
	}
}
