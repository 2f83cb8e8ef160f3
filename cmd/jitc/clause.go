package main

import (
	"regexp"
	"strings"

	"jitc/ir/dim"
)

// clause is the where clause of a trace's text. Facts have no positions of their
// own, so what states one is looked up.
type clause struct {
	line, col int      // of the word where, from 1; 0 if there is none
	lines     []string // from that line on, up to the body, with the clause alone
}

// trivia are comments and strings, in which a word means nothing.
var trivia = regexp.MustCompile(`#.*|"(?:[^"\\\n]|\\.)*"`)

// whereWord is the word alone: an op or a value may be named so too.
var whereWord = regexp.MustCompile(`(?m)(?:^|\s)(where)\s`)

// whereClause finds the clause of the first function.
func whereClause(src string) clause {
	blank := func(s string) string { return strings.Repeat(" ", len(s)) }
	text := trivia.ReplaceAllStringFunc(src, blank)
	found := whereWord.FindStringSubmatchIndex(text)
	if found == nil {
		return clause{}
	}
	at := found[2]
	end := strings.IndexByte(text[at:], '{')
	if end < 0 {
		return clause{}
	}
	before := text[:at]
	c := clause{line: strings.Count(before, "\n") + 1, col: at - strings.LastIndexByte(before, '\n')}
	c.lines = strings.Split(blank(before[len(before)-c.col+1:])+text[at:at+end], "\n")
	return c
}

// find is where the clause first names all symbols of a constraint in one fact;
// the clause itself if it does not.
func (c clause) find(cond dim.Constraint) (line, col int) {
	for i, l := range c.lines {
		at := 0
		if i == 0 {
			at = c.col - 1 + len("where")
		}
		for _, fact := range splitFacts(l[at:]) {
			if namesAll(fact, cond.Syms()) {
				lead := len(fact) - len(strings.TrimLeft(fact, " \t"))
				return c.line + i, at + lead + 1
			}
			at += len(fact) + 1
		}
	}
	return c.line, c.col
}

// splitFacts splits at commas outside of brackets.
func splitFacts(s string) []string {
	var out []string
	depth, from := 0, 0
	for i, b := range []byte(s) {
		switch b {
		case '[', '(':
			depth++
		case ']', ')':
			depth--
		case ',':
			if depth == 0 {
				out, from = append(out, s[from:i]), i+1
			}
		}
	}
	return append(out, s[from:])
}

func namesAll(fact string, syms []string) bool {
	for _, s := range syms {
		if !regexp.MustCompile(`\b` + regexp.QuoteMeta(s) + `\b`).MatchString(fact) {
			return false
		}
	}
	return len(syms) > 0
}
