package guard

import (
	"crypto/sha256"
	"fmt"

	"jitc/ir/call"
	"jitc/ir/dim"
)

// Solve is a size in which several symbols stand, as in f32[A*B]: it gives the
// one of them that the others leave open. Immutable.
type Solve struct {
	size         dim.Expr // Coef*Sym + Offset, where both are made of the other symbols
	from         []Source // the other symbols
	coef, offset dim.Evaluator
	fixed        bool // the coefficient is a constant, so that there always is a value
}

// solve is the source of sym where e == coef*sym + offset for any values of the
// other symbols, whose sources are known.
func solve(e dim.Expr, sym string, sources map[string]*Source) (Source, bool) {
	at := func(n int64) dim.Expr { return e.Subst(map[string]dim.Expr{sym: dim.Const(n)}) }
	offset := at(0)
	coef := at(1).Sub(offset)
	if coef.Equal(dim.Const(0)) || !e.Equal(dim.Sym(sym).Mul(coef).Add(offset)) {
		return Source{}, false
	}
	c, ok1 := coef.Const()
	o, ok2 := offset.Const()
	if ok1 && ok2 {
		return Source{Sym: sym, Coef: c, Offset: o}, true
	}
	s := &Solve{size: e, fixed: ok1}
	var syms []string
	for _, other := range e.Syms() {
		if other != sym {
			syms, s.from = append(syms, other), append(s.from, *sources[other])
		}
	}
	s.coef, s.offset = coef.Compile(syms), offset.Compile(syms)
	return Source{Sym: sym, Coef: 1, Solve: s}, true
}

// at is the coefficient and the offset in a call.
func (s *Solve) at(c *call.Call) (coef, offset int64, ok bool) {
	room := scratch.Get().(*[]int64)
	vals, all := readAll(s.from, c, (*room)[:0])
	if all {
		var ok1, ok2 bool
		coef, ok1 = s.coef(vals)
		offset, ok2 = s.offset(vals)
		ok = ok1 && ok2 && coef != 0
	}
	*room = vals
	scratch.Put(room)
	return coef, offset, ok
}

// place names what is read and computed; see Source.place.
func (s *Solve) place(sym, raw string) string {
	rename := map[string]dim.Expr{sym: dim.Sym("it")}
	for i := range s.from {
		rename[s.from[i].Sym] = dim.Sym(s.from[i].place())
	}
	return fmt.Sprintf("h%x", sha256.Sum256([]byte(raw+" = "+s.size.Subst(rename).String())))
}

// equations says what gives the symbol: "A of A*B == x.size(0)", "B = y.size(0)".
func (s *Solve) equations(sym, path string, schema *call.Schema) []string {
	out := []string{fmt.Sprintf("%s of %s == %s", sym, s.size, path)}
	for i := range s.from {
		out = append(out, s.from[i].equations(schema)...)
	}
	return out
}
