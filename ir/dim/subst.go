package dim

// Subst replaces every symbol in m, all at once, by its expression.
func (e Expr) Subst(m map[string]Expr) Expr {
	if e.p == nil || len(m) == 0 {
		return e
	}
	return e.mapSyms(func(name string) (Expr, bool) {
		to, ok := m[name]
		return to, ok
	})
}

// mapSyms replaces symbols, at any depth, for which fn has a replacement.
func (e Expr) mapSyms(fn func(name string) (Expr, bool)) Expr {
	return e.rewrite(func(a *atom, args []Expr) Expr {
		if a.op != opSym {
			return build(a.op, args)
		}
		if to, ok := fn(a.key); ok {
			return to
		}
		return ofAtom(a)
	})
}

// rewrite rebuilds e bottom-up: fn gets each atom with its arguments already
// rewritten and returns what stands for it.
func (e Expr) rewrite(fn func(a *atom, args []Expr) Expr) Expr {
	return e.mapAtoms(func(a *atom) Expr {
		args := make([]Expr, len(a.args))
		for i, arg := range a.args {
			args[i] = arg.rewrite(fn)
		}
		return fn(a, args)
	})
}

// mapAtoms replaces the atoms of the polynomial itself, not of nested
// arguments. What comes out is normal again.
func (e Expr) mapAtoms(fn func(a *atom) Expr) Expr {
	if e.p == nil || e.p.why != valid {
		return e
	}
	var sum Expr
	for _, t := range e.p.terms {
		product := Const(t.coef)
		for _, a := range t.atoms {
			product = product.Mul(fn(a))
		}
		sum = sum.Add(product)
	}
	return sum
}

// build applies an operation to any arguments.
func build(op op, args []Expr) Expr {
	switch op {
	case opFloorDiv:
		return args[0].FloorDiv(args[1])
	case opMod:
		return args[0].Mod(args[1])
	}
	return extremum(op, args...)
}
