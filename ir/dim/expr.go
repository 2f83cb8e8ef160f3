package dim

import (
	"slices"
	"strings"
)

// Expr is an immutable integer expression in normal form. The zero value is
// the constant 0. An Expr is safe for concurrent use. Compare with
// [Expr.Equal]; == does not compile, since it would compare pointers.
type Expr struct {
	_ [0]func()
	c int64 // the value, where p is nil
	p *poly // nil for a constant
}

// Limits that keep hostile input from exploding. An expression beyond them is
// [Expr.Invalid].
const (
	// MaxSize bounds the nodes of an expression, nested arguments included.
	MaxSize = 1024
	// MaxDepth bounds how deep floordiv, mod, min and max may nest.
	MaxDepth = 64
	// maxProducts bounds the term products of one multiplication.
	maxProducts = 1 << 14
)

// Const returns the constant n.
func Const(n int64) Expr { return Expr{c: n} }

// Sym returns the symbol of that name. A name that [ValidSym] refuses gives an
// invalid expression.
func Sym(name string) Expr {
	if !ValidSym(name) {
		return invalid(badName)
	}
	return symbol(name)
}

// symbol is Sym without the check of the name, for the package's own symbols.
func symbol(name string) Expr {
	return ofAtom(&atom{op: opSym, key: name, size: 1})
}

// reserved words cannot name a symbol, since they mean something in the text
// form.
var reserved = []string{"floordiv", "ceildiv", "mod", "min", "max", "overflow", "oversize", "badname"}

// maxName bounds a symbol's name, so that every expression has a text that
// Parse accepts.
const maxName = 255

// ValidSym reports whether name may name a symbol: it matches
// [A-Za-z_][A-Za-z0-9_]*, has at most 255 bytes and is not a word of the text form (floordiv, ceildiv,
// mod, min, max, overflow, oversize, badname).
func ValidSym(name string) bool {
	if name == "" || len(name) > maxName || !isLetter(name[0]) {
		return false
	}
	for i := 1; i < len(name); i++ {
		if !isLetter(name[i]) && !isDigit(name[i]) {
			return false
		}
	}
	return !slices.Contains(reserved, name)
}

func isLetter(b byte) bool { return b == '_' || b|0x20 >= 'a' && b|0x20 <= 'z' }

func isDigit(b byte) bool { return b >= '0' && b <= '9' }

// Const returns the value of a constant expression, and whether it is one.
func (e Expr) Const() (int64, bool) { return e.c, e.p == nil }

// Invalid reports whether the expression has no value: a coefficient left
// int64, it outgrew [MaxSize] or [MaxDepth], or a symbol was misnamed. An
// expression with an invalid part is invalid.
func (e Expr) Invalid() bool { return e.p != nil && e.p.why != valid }

// IsSym returns the name of an expression that is a single symbol.
func (e Expr) IsSym() (string, bool) {
	if a, ok := e.soleAtom(); ok && a.op == opSym {
		return a.key, true
	}
	return "", false
}

// Equal reports whether both have the same normal form. It decides identity as
// polynomials over atoms; [Facts.Equal] proves more.
func (e Expr) Equal(o Expr) bool {
	if e.p == nil || o.p == nil {
		return e.p == o.p && e.c == o.c
	}
	return e.p == o.p || compareExpr(e, o) == 0
}

// Syms returns the symbols that occur, sorted, each once.
func (e Expr) Syms() []string {
	var names []string
	e.eachSym(func(name string) { names = append(names, name) })
	slices.Sort(names)
	return slices.Compact(names)
}

// eachSym calls fn for every occurrence of a symbol.
func (e Expr) eachSym(fn func(name string)) {
	if e.p == nil {
		return
	}
	for _, t := range e.p.terms {
		for _, a := range t.atoms {
			if a.op == opSym {
				fn(a.key)
			}
			for _, arg := range a.args {
				arg.eachSym(fn)
			}
		}
	}
}

// uses reports whether the symbol occurs in e.
func (e Expr) uses(sym string) bool {
	found := false
	e.eachSym(func(name string) { found = found || name == sym })
	return found
}

// Add returns e + o.
func (e Expr) Add(o Expr) Expr {
	if e.p == nil && o.p == nil {
		if s, ok := addOK(e.c, o.c); ok {
			return Expr{c: s}
		}
		return invalid(overflow)
	}
	return addPoly(e, o)
}

// Sub returns e - o.
func (e Expr) Sub(o Expr) Expr {
	if e.p == nil && o.p == nil {
		d := e.c - o.c
		if (d < e.c) == (o.c > 0) {
			return Expr{c: d}
		}
		return invalid(overflow)
	}
	return e.Add(o.Neg())
}

// Neg returns -e.
func (e Expr) Neg() Expr { return e.Mul(Expr{c: -1}) }

// Mul returns e * o.
func (e Expr) Mul(o Expr) Expr {
	if e.p == nil && o.p == nil {
		if m, ok := mulOK(e.c, o.c); ok {
			return Expr{c: m}
		}
		return invalid(overflow)
	}
	return mulPoly(e, o)
}

// Product returns the product of es; of none, 1. It is the number of elements
// of a shape.
func Product(es []Expr) Expr {
	p := Const(1)
	for _, e := range es {
		p = p.Mul(e)
	}
	return p
}

// Key returns a canonical form: keys are equal exactly if the expressions are
// [Expr.Equal].
func (e Expr) Key() string { return e.String() }

// cutName shortens a name for an error message.
func cutName(s string) string {
	const limit = 32
	if len(s) > limit {
		return strings.ToValidUTF8(s[:limit], "") + "..."
	}
	return s
}
