package ir

import (
	"errors"
	"fmt"

	"jitc/ir/diag"
	"jitc/ir/tensor"
)

// Limits that keep hostile text from exhausting memory or the stack.
const (
	maxErrors = 20 // diagnostics before parsing stops
	maxNest   = 16 // functions within functions
	maxRank   = 16
	maxValues = 1 << 24
)

// Parse reads one function in the text form:
//
//	file   = { comment } [ "weights" string ] "func" "@" name function .
//	function = "(" [ param { "," param } ] ")" "->" results [ "where" facts ] "{" { value } "return" operands "}" .
//	param  = "%" name ":" type [ attrs ] [ position ] .
//	value  = "%" name [ ":" type ] "=" op [ "(" operands ")" ] [ attrs ] { "func" function } [ position ] .
//	position = "at" ( string ":" int ":" int | "-" ) .
//	type   = dtype "[" [ size { "," size } ] "]" | "(" type { "," type } ")" .
//	attrs  = "{" name "=" attribute { "," name "=" attribute } "}" .
//
// A value's type may be left out where the operands imply it. A number in the
// place of an operand of a pointwise op (or of pad's second operand) stands for
// a constant of its sibling's type. The diagnostics are empty exactly if the
// text is a well-typed function.
func Parse(file, src string) (*Func, *SourceText, diag.List) {
	p := &parser{lex: newLexer(file, src), source: NewSourceText(), symbols: map[string]bool{},
		used: map[string]bool{}, definers: map[string]*Value{}}
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
	tok    token            // the next token
	last   token            // the one consumed before it
	start  int              // offset of the statement being parsed
	attrAt map[string]token // the attributes of the value being parsed
	source *SourceText
	diags  diag.List
	depth  int
	region bool // within a region
	// scopes hold the names of the functions being parsed, innermost last. A
	// name whose definition failed maps to nil, so that its uses are silent.
	scopes   []map[string]*Value
	symbols  map[string]bool   // the symbols that the facts know
	used     map[string]bool   // the symbols in types and attributes so far
	definers map[string]*Value // the values that define symbols
	comments comments
}

func (p *parser) file() *Func {
	p.advance()
	if p.weights() != nil || p.expect("func") != nil {
		return nil
	}
	p.source.Head = p.comments.take()
	name, err := p.take(tokSymbol, "the function's name, @name")
	if err != nil {
		return nil
	}
	f := NewFunc(name.text[1:], nil)
	if p.function(f) != nil {
		return nil
	}
	if p.start = p.tok.off; p.tok.kind != tokEOF {
		_ = p.failExpected("the end of the file: one function per file")
	}
	p.source.Foot = p.comments.take()
	return f
}

// weights parses the header that names the weights' file.
func (p *parser) weights() error {
	if !p.accept("weights") {
		return nil
	}
	t, err := p.take(tokString, "the weights' file name in quotes")
	if err != nil {
		return err
	}
	p.source.Weights, err = p.unquote(t, "the weights' file name in quotes")
	return err
}

// function parses from the parameter list to the closing brace. Comments within
// it are attached to it, but those after the brace to what surrounds it.
func (p *parser) function(f *Func) error {
	if p.depth++; p.depth > maxNest {
		return p.fail(p.tok, "functions nest too deeply", fmt.Sprintf("at most %d levels", maxNest), "", "")
	}
	p.scopes = append(p.scopes, map[string]*Value{})
	defer func() { p.depth--; p.scopes = p.scopes[:len(p.scopes)-1] }()
	beside := p.comments.beside
	p.comments.beside = nil
	resultsAt, results, err := p.signature(f)
	if err != nil {
		return err
	}
	if err := p.body(f); err != nil {
		return err
	}
	if err := p.results(f, resultsAt, results); err != nil {
		return err
	}
	p.source.Tail[f] = append(p.source.Tail[f], p.comments.take()...)
	p.comments.beside = beside
	p.advance() // the closing brace
	return nil
}

// signature parses from the parameter list to the opening brace.
func (p *parser) signature(f *Func) (at token, results []Type, err error) {
	if err := p.params(f); err != nil {
		return at, nil, err
	}
	if err := p.expect("->"); err != nil {
		return at, nil, err
	}
	at = p.tok
	if results, err = p.resultTypes(f); err != nil {
		return at, nil, err
	}
	at = p.span(at)
	if p.depth == 1 && p.accept("where") {
		if err := p.facts(f); err != nil {
			return at, nil, err
		}
	}
	if err := p.checkSymbols(at, results...); err != nil {
		return at, nil, err
	}
	return at, results, p.expect("{")
}

func (p *parser) params(f *Func) error {
	if err := p.expect("("); err != nil {
		return err
	}
	for !p.is(")") {
		var v *Value
		above, beside, err := p.annotate(func() (err error) {
			v, err = p.param(f)
			return err
		})
		if err != nil {
			return err
		}
		p.source.keep(v, above, beside)
	}
	p.advance()
	return nil
}

// param parses a parameter and the comma after it.
func (p *parser) param(f *Func) (*Value, error) {
	t, err := p.take(tokValue, "a parameter, %name: type")
	if err != nil {
		return nil, err
	}
	if err := p.expect(":"); err != nil {
		return nil, err
	}
	typeAt := p.tok
	ty, err := p.typ(f, p.depth == 1)
	if err != nil {
		return nil, err
	}
	if err := p.checkSymbols(p.span(typeAt), ty); err != nil {
		return nil, err
	}
	if ty.IsTuple() {
		return nil, p.fail(p.span(typeAt), "a parameter is a tensor", "a type such as f32[B,64]", ty.String(), "")
	}
	v := f.AddParam(t.text[1:], ty, nil)
	v.Pos = p.lex.pos(t)
	if err := p.define(t, v); err != nil {
		return nil, err
	}
	if v.Attrs, err = p.attrs(v); err != nil {
		return nil, err
	}
	p.use(v)
	if err := p.position(v); err != nil {
		return nil, err
	}
	if err := checkAttrs(v, v.Row()); err != nil {
		return nil, p.opError(t, v, nil, err)
	}
	if p.is(")") {
		return v, nil
	}
	return v, p.expect(",")
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

// body parses the values. After a bad value it goes on with the next one, so
// that one run reports every independent mistake; within a region it gives up,
// and the function around it goes on behind the region.
func (p *parser) body(f *Func) error {
	b := NewBuilder(f)
	for !p.is("return") {
		p.start = p.tok.off
		if p.tok.kind == tokEOF && len(p.diags) > 0 {
			return errStop // follows from a mistake above
		}
		if p.tok.kind == tokEOF || p.is("}") {
			return p.failExpected(`a value, %name = op(...), or "return"`)
		}
		start := p.tok
		if err := p.value(b); err != nil {
			if len(p.diags) >= maxErrors || p.depth > 1 {
				return err
			}
			p.skipValue(start)
		}
		if f.NumIDs > maxValues {
			return p.fail(start, "too many values", fmt.Sprintf("at most %d", maxValues), "", "")
		}
	}
	return nil
}

// skipValue moves behind the value that begins at start, and poisons the name
// that it would have defined. A region opens with a brace at the end of a line
// and closes with one at the beginning of a line: that holds also where the
// text in between is broken.
func (p *parser) skipValue(start token) {
	if start.kind == tokValue {
		scope := p.scopes[len(p.scopes)-1]
		if _, ok := scope[start.text[1:]]; !ok {
			scope[start.text[1:]] = nil
		}
	}
	p.lex.rewind(start)
	p.tok = p.lex.next()
	for open := 0; p.tok.kind != tokEOF; {
		line := p.tok.line
		if open > 0 && p.is("}") {
			open--
		}
		opens := false
		for ; p.tok.kind != tokEOF && p.tok.line == line; p.advance() {
			opens = p.is("{")
		}
		if opens {
			open++
		}
		if open == 0 {
			return
		}
	}
}

// results parses the return and checks it against the declared types, up to the
// closing brace.
func (p *parser) results(f *Func, at token, want []Type) error {
	above, beside, err := p.annotate(func() error {
		if err := p.expect("return"); err != nil {
			return err
		}
		return p.resultList(f, at, want)
	})
	if len(above) > 0 {
		p.source.Tail[f] = above
	}
	if beside != "" {
		p.source.Return[f] = beside
	}
	return err
}

func (p *parser) resultList(f *Func, at token, want []Type) error {
	for {
		t, err := p.take(tokValue, "a value to return, %name")
		if err != nil {
			return err
		}
		v, err := p.lookup(t)
		if err != nil {
			return err
		}
		n := len(f.Results)
		if v.Type.IsTuple() {
			return p.fail(t, "a tuple cannot be returned", "a tensor", v.Type.String(), "return its parts, taken with get")
		}
		if n < len(want) && !v.Type.EqualUnder(f.Facts, want[n]) {
			return p.fail(t, fmt.Sprintf("result %d has the wrong type", n), want[n].String(), v.Type.String(), "")
		}
		f.Results = append(f.Results, v)
		if p.is("}") {
			break
		}
		if err := p.expect(","); err != nil {
			return err
		}
	}
	if len(f.Results) != len(want) {
		return p.fail(at, "wrong number of results", fmt.Sprint(len(want)), fmt.Sprint(len(f.Results)), "")
	}
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
	hint := "values are defined above their use, and a body sees its own parameters only"
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
