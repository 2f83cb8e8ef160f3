package ir

import (
	"errors"
	"fmt"
	"math"
	"strconv"

	"jitc/ir/diag"
	"jitc/ir/dim"
	"jitc/ir/tensor"
)

// Limits that keep hostile text from exhausting memory or the stack.
const (
	maxErrors = 20 // diagnostics before parsing stops
	maxNest   = 8  // regions within regions
	maxRank   = 16
	maxValues = 1 << 24
)

// Parse reads one function in the text form:
//
//	file   = { comment } [ "weights" string ] "func" "@" name function .
//	function = "(" [ param { "," param } ] ")" "->" results [ "where" facts ] "{" { value } "return" operands "}" .
//	param  = "%" name ":" type [ attrs ] .
//	value  = "%" name [ ":" type ] "=" op [ "(" operands ")" ] [ attrs ] [ "func" function ] [ "at" string ":" int ":" int ] .
//	type   = dtype "[" [ size { "," size } ] "]" | "(" type { "," type } ")" .
//	attrs  = "{" name "=" attribute { "," name "=" attribute } "}" .
//
// A value's type may be left out where the operands imply it. A number in the
// place of an operand of a pointwise op (or of pad's second operand) stands for
// a constant of its sibling's type. The diagnostics are empty exactly if the
// text is a well-typed function.
func Parse(file, src string) (*Func, *SourceText, diag.List) {
	p := &parser{lex: newLexer(file, src), source: &SourceText{
		Above: map[int][]string{}, Beside: map[int]string{}, Literals: map[int]bool{}}}
	f := p.file()
	if len(p.diags) > 0 {
		return nil, nil, p.diags
	}
	return f, p.source, nil
}

// errStop unwinds the parser to the next statement after a diagnostic.
var errStop = errors.New("stop")

type parser struct {
	lex    *lexer
	tok    token
	source *SourceText
	diags  diag.List
	depth  int
	// scopes hold the names of the functions being parsed, innermost last. A
	// name whose definition failed maps to nil, so that its uses are silent.
	scopes   []map[string]*Value
	comments []string // seen and not yet attached
	inValue  bool     // within a value of the outermost function
	beside   string   // comment at the end of that value's line
}

// advance moves to the next token that matters, keeping comments for later: one
// at the end of a value's line belongs to that value, others to what follows.
func (p *parser) advance() {
	line := p.tok.line
	for {
		p.tok = p.lex.next()
		switch p.tok.kind {
		case tokComment:
			if p.depth == 1 && p.inValue && p.tok.line == line {
				p.beside = p.tok.text
			} else if p.depth <= 1 {
				p.comments = append(p.comments, p.tok.text)
			}
		case tokNewline:
		default:
			return
		}
	}
}

// fail records a diagnostic at t and unwinds.
func (p *parser) fail(t token, msg, expected, got, hint string) error {
	d := p.lex.at(t, msg)
	d.Expected, d.Got, d.Hint = expected, got, hint
	p.diags = append(p.diags, d)
	return errStop
}

func (p *parser) failExpected(what string) error {
	if p.tok.kind == tokBad && len(p.tok.text) > 1 {
		return p.fail(p.tok, "unterminated string", what, "", `end it with " on the same line`)
	}
	return p.fail(p.tok, "syntax error", what, p.tok.String(), "")
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

func (p *parser) file() *Func {
	p.advance()
	if p.accept("weights") {
		t, err := p.take(tokString, "the weights' file name in quotes")
		if err != nil {
			return nil
		}
		p.source.Weights, _ = strconv.Unquote(t.text)
	}
	if p.expect("func") != nil {
		return nil
	}
	p.source.Head, p.comments = p.comments, nil
	name, err := p.take(tokSymbol, "the function's name, @name")
	if err != nil {
		return nil
	}
	f := NewFunc(name.text[1:], nil)
	if p.function(f) != nil {
		return nil
	}
	if p.tok.kind != tokEOF {
		_ = p.failExpected("the end of the file: one function per file")
	}
	p.source.Foot = p.comments
	return f
}

// function parses from the parameter list to the closing brace.
func (p *parser) function(f *Func) error {
	if p.depth++; p.depth > maxNest {
		return p.fail(p.tok, "regions nest too deeply", fmt.Sprintf("at most %d levels", maxNest), "", "")
	}
	p.scopes = append(p.scopes, map[string]*Value{})
	defer func() { p.depth--; p.scopes = p.scopes[:len(p.scopes)-1] }()
	if err := p.params(f); err != nil {
		return err
	}
	if err := p.expect("->"); err != nil {
		return err
	}
	resultsAt := p.tok
	results, err := p.resultTypes(f)
	if err != nil {
		return err
	}
	if p.accept("where") {
		if err := p.facts(f); err != nil {
			return err
		}
	}
	if err := p.checkSymbols(f, resultsAt, results); err != nil {
		return err
	}
	if err := p.expect("{"); err != nil {
		return err
	}
	if err := p.body(f); err != nil {
		return err
	}
	return p.results(f, resultsAt, results)
}

func (p *parser) params(f *Func) error {
	if err := p.expect("("); err != nil {
		return err
	}
	for !p.accept(")") {
		t, err := p.take(tokValue, "a parameter, %name: type")
		if err != nil {
			return err
		}
		if err := p.expect(":"); err != nil {
			return err
		}
		ty, err := p.typ(f, true)
		if err != nil {
			return err
		}
		v := f.AddParam(t.text[1:], ty, nil)
		v.Pos = p.lex.pos(t)
		if err := p.define(t, v); err != nil {
			return err
		}
		if v.Attrs, err = p.attrs(v); err != nil {
			return err
		}
		if err := checkAttrs(v, v.Row()); err != nil {
			return p.opError(t, v, nil, err)
		}
		if !p.is(")") {
			if err := p.expect(","); err != nil {
				return err
			}
		}
	}
	return nil
}

// define enters a value's name; numbered names are not labels.
func (p *parser) define(t token, v *Value) error {
	scope := p.scopes[len(p.scopes)-1]
	name := t.text[1:]
	if old, ok := scope[name]; ok && old != nil {
		return p.fail(t, "name defined twice", "a new name", t.text, "first defined at "+old.Pos.String())
	}
	scope[name] = v
	if v.Name = name; isDigit(name[0]) {
		v.Name = ""
	}
	return nil
}

// resultTypes parses one type, or several in parentheses.
func (p *parser) resultTypes(f *Func) ([]Type, error) {
	if !p.is("(") {
		t, err := p.typ(f, false)
		return []Type{t}, err
	}
	t, err := p.typ(f, false)
	return t.Tuple, err
}

// facts parses the where clause: text up to the opening brace, split at commas
// outside brackets.
func (p *parser) facts(f *Func) error {
	for {
		start, depth := p.tok, 0
		end := p.tok.off
		for p.tok.kind != tokEOF && (depth > 0 || !p.is(",") && !p.is("{")) {
			switch p.tok.text {
			case "[", "(":
				depth++
			case "]", ")":
				depth--
			}
			end = p.tok.off + len(p.tok.text)
			p.advanceRaw()
		}
		text := p.lex.src[start.off:end]
		if err := f.Facts.ParseFact(text); err != nil {
			t := start
			t.text = text
			return p.fail(t, "bad fact: "+err.Error(), `for example "B in [1, 64]", "B % 8 == 0", "T == 2*B"`, strconv.Quote(text), "")
		}
		if !p.accept(",") {
			return nil
		}
	}
}

// advanceRaw is advance for text that another parser reads: any byte will do.
func (p *parser) advanceRaw() { p.advance() }

// checkSymbols reports a symbol in the result types that nothing declares.
func (p *parser) checkSymbols(f *Func, at token, ts []Type) error {
	for _, t := range ts {
		if s := undeclared(f, t); s != "" {
			return p.unknownSymbol(at, f, s)
		}
	}
	return nil
}

func undeclared(f *Func, t Type) string {
	for _, e := range t.Tuple {
		if s := undeclared(f, e); s != "" {
			return s
		}
	}
	for _, e := range t.Shape {
		for _, s := range e.Syms() {
			if !f.declares(s) {
				return s
			}
		}
	}
	return ""
}

// declares reports whether the symbol is known to the function's facts.
func (f *Func) declares(sym string) bool {
	for _, s := range f.Facts.Syms() {
		if s == sym {
			return true
		}
	}
	return false
}

func (p *parser) unknownSymbol(at token, f *Func, sym string) error {
	return p.fail(at, "unknown symbol "+sym, "a symbol of a parameter's shape", sym,
		"use it in a parameter's shape, or declare it: where "+sym+" >= 0")
}

func (p *parser) declare(f *Func, e dim.Expr) {
	for _, s := range e.Syms() {
		if !f.declares(s) {
			_ = f.Facts.Declare(s, 0, math.MaxInt64) // new: cannot contradict
		}
	}
}

// body parses the values and the return. After a bad value it goes on with the
// next line, so that one run reports every independent mistake.
func (p *parser) body(f *Func) error {
	b := NewBuilder(f)
	for !p.is("return") {
		if p.tok.kind == tokEOF || p.is("}") {
			return p.failExpected(`a value, %name = op(...), or "return"`)
		}
		start := p.tok
		if err := p.value(b); err != nil {
			if len(p.diags) >= maxErrors || p.depth > 1 {
				return err
			}
			p.skipLine(start)
		}
		if f.NumIDs > maxValues {
			return p.fail(start, "too many values", fmt.Sprintf("at most %d", maxValues), "", "")
		}
	}
	if p.depth == 1 {
		p.source.Tail, p.comments = p.comments, nil
	}
	return nil
}

// skipLine moves to the first token after start's line, and poisons the name
// that start would have defined.
func (p *parser) skipLine(start token) {
	if start.kind == tokValue {
		scope := p.scopes[len(p.scopes)-1]
		if _, ok := scope[start.text[1:]]; !ok {
			scope[start.text[1:]] = nil
		}
	}
	for p.tok.kind != tokEOF && p.tok.line == start.line {
		p.advance()
	}
}

// results parses the return and checks it against the declared types.
func (p *parser) results(f *Func, at token, want []Type) error {
	if err := p.expect("return"); err != nil {
		return err
	}
	for !p.is("}") {
		t, err := p.take(tokValue, "a value to return, %name")
		if err != nil {
			return err
		}
		v, err := p.lookup(t)
		if err != nil {
			return err
		}
		if n := len(f.Results); n < len(want) && !v.Type.EqualUnder(f.Facts, want[n]) {
			return p.fail(t, fmt.Sprintf("result %d has the wrong type", n), want[n].String(), v.Type.String(), "")
		}
		f.Results = append(f.Results, v)
		if !p.is("}") {
			if err := p.expect(","); err != nil {
				return err
			}
		}
	}
	if len(f.Results) != len(want) {
		return p.fail(at, "wrong number of results", fmt.Sprint(len(want)), fmt.Sprint(len(f.Results)), "")
	}
	p.advance()
	return nil
}

// lookup finds a value by its token. A poisoned name stops silently.
func (p *parser) lookup(t token) (*Value, error) {
	scope := p.scopes[len(p.scopes)-1]
	v, ok := scope[t.text[1:]]
	switch {
	case v != nil:
		return v, nil
	case ok:
		return nil, errStop
	}
	hint := "values are defined above their use, and regions see their own parameters only"
	if near := nearest(t.text[1:], scopeNames(scope)); near != "" {
		hint = "did you mean %" + near + "?"
	}
	return nil, p.fail(t, "undefined value "+t.text, "", "", hint)
}

func scopeNames(scope map[string]*Value) []string {
	names := make([]string, 0, len(scope))
	for n := range scope {
		names = append(names, n)
	}
	return names
}

// dtype parses an element type's name.
func (p *parser) dtype() (tensor.DType, error) {
	t, err := p.take(tokIdent, "an element type, such as f32")
	if err != nil {
		return 0, err
	}
	dt, ok := tensor.ParseDType(t.text)
	if !ok {
		return 0, p.fail(t, "unknown element type "+t.text, "one of "+fmt.Sprint(tensor.DTypes()), t.text, "")
	}
	return dt, nil
}
