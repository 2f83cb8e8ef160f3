package dim

import "slices"

// Evaluator computes an expression from the values of symbols. It allocates
// nothing and is safe for concurrent use.
type Evaluator = func(vals []int64) (v int64, ok bool)

// Compile returns an evaluator of e that takes the value of syms[i] from
// vals[i]. It agrees with [Expr.Eval]: ok is false where Eval fails, that is on
// overflow, on division by zero, and where e uses a symbol that is not in syms
// or has no value in vals.
func (e Expr) Compile(syms []string) func(vals []int64) (int64, bool) {
	return compileExpr(e, syms)
}

func compileExpr(e Expr, syms []string) Evaluator {
	if c, ok := e.Const(); ok {
		return func([]int64) (int64, bool) { return c, true }
	}
	if e.Invalid() {
		return fails
	}
	if a, ok := e.soleAtom(); ok {
		return compileAtom(a, syms)
	}
	ts, c := e.splitConst()
	if len(ts) == 1 {
		return addConst(compileTerm(ts[0], syms), c)
	}
	parts := make([]Evaluator, len(ts))
	for i, t := range ts {
		parts[i] = compileTerm(t, syms)
	}
	return addConst(sumOf(parts), c)
}

func fails([]int64) (int64, bool) { return 0, false }

func addConst(f Evaluator, c int64) Evaluator {
	if c == 0 {
		return f
	}
	return func(vals []int64) (int64, bool) {
		v, ok := f(vals)
		if !ok {
			return 0, false
		}
		return addOK(v, c)
	}
}

func sumOf(parts []Evaluator) Evaluator {
	return func(vals []int64) (int64, bool) {
		var sum int64
		for _, f := range parts {
			v, ok := f(vals)
			if !ok {
				return 0, false
			}
			if sum, ok = addOK(sum, v); !ok {
				return 0, false
			}
		}
		return sum, true
	}
}

func compileTerm(t term, syms []string) Evaluator {
	c := t.coef
	if len(t.atoms) == 1 {
		f := compileAtom(t.atoms[0], syms)
		if c == 1 {
			return f
		}
		return func(vals []int64) (int64, bool) {
			v, ok := f(vals)
			if !ok {
				return 0, false
			}
			return mulOK(c, v)
		}
	}
	factors := make([]Evaluator, len(t.atoms))
	for i, a := range t.atoms {
		factors[i] = compileAtom(a, syms)
	}
	return func(vals []int64) (int64, bool) {
		product := c
		for _, f := range factors {
			v, ok := f(vals)
			if !ok {
				return 0, false
			}
			if product, ok = mulOK(product, v); !ok {
				return 0, false
			}
		}
		return product, true
	}
}

func compileAtom(a *atom, syms []string) Evaluator {
	if a.op == opSym {
		i := slices.Index(syms, a.key)
		if i < 0 {
			return fails
		}
		return func(vals []int64) (int64, bool) {
			if i >= len(vals) {
				return 0, false
			}
			return vals[i], true
		}
	}
	if n, ok := a.args[1].Const(); ok && len(a.args) == 2 {
		return compileByConst(scalarOps[a.op], compileExpr(a.args[0], syms), n)
	}
	f := compileExpr(a.args[0], syms)
	for _, arg := range a.args[1:] {
		f = compileBinary(scalarOps[a.op], f, compileExpr(arg, syms))
	}
	return f
}

func compileByConst(op func(x, y int64) (int64, bool), f Evaluator, n int64) Evaluator {
	return func(vals []int64) (int64, bool) {
		x, ok := f(vals)
		if !ok {
			return 0, false
		}
		return op(x, n)
	}
}

func compileBinary(op func(x, y int64) (int64, bool), f, g Evaluator) Evaluator {
	return func(vals []int64) (int64, bool) {
		x, ok := f(vals)
		if !ok {
			return 0, false
		}
		y, ok := g(vals)
		if !ok {
			return 0, false
		}
		return op(x, y)
	}
}
