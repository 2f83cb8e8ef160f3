package ir

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"jitc/ir/dim"
	"jitc/ir/tensor"
)

// Defines lists the symbols whose values v finds in its operands' elements: one
// for an op such as nonzero, none for others. No argument's shape gives them;
// they may stand in types and attributes of later values only.
func Defines(v *Value) []string {
	row := v.Row()
	if row.Defines == "" {
		return nil
	}
	if es, _ := v.Attrs.Get(row.Defines).([]dim.Expr); len(es) == 1 { // Verify asks of anything
		if sym, ok := es[0].IsSym(); ok {
			return []string{sym}
		}
	}
	return nil
}

// Definers lists f's values that define symbols, in order. Bodies hold none.
func Definers(f *Func) []*Value {
	var out []*Value
	for _, v := range f.Values {
		if v.Op < numOps && v.Row().Defines != "" {
			out = append(out, v)
		}
	}
	return out
}

// DefineError is a size that data gave and that a program cannot have: it breaks
// what the program declares of the symbol, or is no size at all.
type DefineError struct {
	V        *Value // the value that defines the symbol
	Sym      string
	Expected string // "U in [1, 64]"
	Got      string // "U = 70"
	Err      error  // of package dim; may be nil
}

// Unwrap is the error of package dim.
func (e *DefineError) Unwrap() error { return e.Err }

// Error says it on one line, with the position of the op.
func (e *DefineError) Error() string {
	return fmt.Sprintf("%s: %s: the size %s: expected %s, got %s", valueLabel(e.V), e.V.Op, e.Sym, e.Expected, e.Got)
}

// Define finds the sizes that v defines from the elements of its operands and
// adds them to sizes. Values that are no sizes are a *DefineError; what the
// function declares of the symbols is left to CheckDefined.
func Define(v *Value, args []*tensor.Tensor, sizes map[string]int64) error {
	row := v.Row()
	if row.Measure == nil {
		return nil
	}
	n, err := row.Measure(v, args)
	if err != nil {
		return err
	}
	sym := definedSym(v)
	if n < 0 {
		return &DefineError{V: v, Sym: sym, Expected: sym + " >= 0", Got: fmt.Sprintf("%s = %d", sym, n)}
	}
	sizes[sym] = n
	return nil
}

// withDefined returns sizes with the one that v defines, measured if it is not
// among them yet; sizes is left alone.
func withDefined(v *Value, args []*tensor.Tensor, sizes map[string]int64) (map[string]int64, error) {
	if v.Row().Measure == nil {
		return sizes, nil
	}
	if _, ok := sizes[definedSym(v)]; ok {
		return sizes, nil
	}
	out := make(map[string]int64, len(sizes)+1)
	maps.Copy(out, sizes)
	return out, Define(v, args, out)
}

// evalSizes adds the sizes that v, a value of f, defines to those known so far.
func evalSizes(f *Func, v *Value, args []*tensor.Tensor, sizes map[string]int64) error {
	if v.Row().Measure == nil {
		return nil
	}
	if err := Define(v, args, sizes); err != nil {
		return err
	}
	facts, missing := lateFacts(f, sizes)
	if missing != "" {
		panic("BUG: ir: the size " + missing + " was not missing before " + v.Op.String())
	}
	return CheckDefined(v, facts, sizes)
}

// presetDefined refuses a value that is given for a symbol that f defines.
func presetDefined(f *Func, preset map[string]int64) error {
	if len(preset) == 0 {
		return nil
	}
	for _, v := range Definers(f) {
		for _, sym := range Defines(v) {
			if n, given := preset[sym]; given {
				return &BindError{What: "a value for a size that the program finds itself", Expected: "none for " + sym,
					Got: fmt.Sprintf("%s = %d", sym, n), Hint: fmt.Sprintf("%s at %s defines it", v.Op, v.Pos)}
			}
		}
	}
	return nil
}

// CheckDefined holds the sizes that v defined against the facts, which are about
// symbols that have values only (see Restrict). A broken one is a *DefineError.
func CheckDefined(v *Value, facts *dim.Facts, sizes map[string]int64) error {
	err := facts.Check(sizes)
	if err == nil {
		return nil
	}
	e := &DefineError{V: v, Sym: definedSym(v), Expected: "what the function declares", Got: err.Error(), Err: err}
	var violation *dim.Violation
	if errors.As(err, &violation) {
		e.Expected, e.Got = violation.Fact, fmt.Sprintf("%s = %d", e.Sym, sizes[e.Sym])
		if violation.Sym != e.Sym {
			e.Got += fmt.Sprintf(" with %s = %d", violation.Sym, violation.Got)
		}
	}
	return e
}

// Restrict returns the facts that are about symbols of keep only, and the ranges
// that the other facts imply of these.
func Restrict(facts *dim.Facts, keep func(sym string) bool) *dim.Facts {
	syms, out := facts.Syms(), dim.NewFacts()
	known := make(map[string]bool, len(syms))
	for _, s := range syms {
		known[s] = true
	}
	for _, text := range facts.Strings() {
		if slices.ContainsFunc(Identifiers(text), func(s string) bool { return known[s] && !keep(s) }) {
			continue
		}
		if err := out.ParseFact(text); err != nil {
			panic(fmt.Sprintf("BUG: ir: the fact %q does not parse: %v", text, err))
		}
	}
	for _, s := range syms {
		if !keep(s) {
			continue
		}
		if lo, hi := facts.Range(dim.Sym(s)); !sameRange(out, s, lo, hi) {
			_ = out.Declare(s, lo, hi) // implied by facts that do not contradict each other
		}
	}
	return out
}

func sameRange(facts *dim.Facts, sym string, lo, hi int64) bool {
	l, h := facts.Range(dim.Sym(sym))
	return l == lo && h == hi && slices.Contains(facts.Syms(), sym)
}

// Identifiers lists the words of a fact's text, which the names of its symbols are
// among.
func Identifiers(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool {
		return r != '_' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	})
}

// lateFacts are f's facts about the symbols that have values, or are made of such.
// missing is another symbol that f has and that nothing in it defines, if there is
// one; then there are no facts.
func lateFacts(f *Func, sizes map[string]int64) (facts *dim.Facts, missing string) {
	late := map[string]bool{}
	for _, v := range Definers(f) {
		for _, s := range Defines(v) {
			late[s] = true
		}
	}
	hasValue := func(sym string) bool {
		return !slices.ContainsFunc(f.Facts.Simplify(dim.Sym(sym)).Syms(), func(s string) bool {
			_, has := sizes[s]
			return !has
		})
	}
	for _, s := range f.Facts.Syms() {
		if _, has := sizes[s]; !has && !late[s] && !hasValue(s) && f.mentions(s) {
			return nil, s
		}
	}
	return Restrict(f.Facts, func(s string) bool {
		_, has := sizes[s]
		return has || !late[s] && hasValue(s)
	}), ""
}

// mentions reports whether a type or an attribute of f has the symbol, or a body
// of one of its values.
func (f *Func) mentions(sym string) bool {
	in := func(v *Value) bool {
		return slices.Contains(MentionedSyms(v), sym)
	}
	return slices.ContainsFunc(f.Params, in) || slices.ContainsFunc(f.Values, in)
}

// MentionedSyms lists the symbols in v's type and attributes and in those of its
// bodies, some of them more than once.
func MentionedSyms(v *Value) []string {
	syms := typeSyms(nil, v.Type)
	for _, a := range v.Attrs {
		if es, ok := a.Value.([]dim.Expr); ok {
			syms = sizeSyms(syms, es)
		}
	}
	for _, body := range v.Bodies {
		for _, inner := range slices.Concat(body.Params, body.Values) {
			syms = append(syms, MentionedSyms(inner)...)
		}
	}
	return syms
}

func typeSyms(syms []string, t Type) []string {
	for _, part := range t.Tuple {
		syms = typeSyms(syms, part)
	}
	return sizeSyms(syms, t.Shape)
}

func sizeSyms(syms []string, sizes []dim.Expr) []string {
	for _, e := range sizes {
		if _, ok := e.Const(); !ok {
			syms = append(syms, e.Syms()...)
		}
	}
	return syms
}
