package dim

import "slices"

// Min returns the lesser of e and o.
func (e Expr) Min(o Expr) Expr {
	if e.p == nil && o.p == nil {
		return Expr{c: min(e.c, o.c)}
	}
	return extremum(opMin, e, o)
}

// Max returns the greater of e and o.
func (e Expr) Max(o Expr) Expr {
	if e.p == nil && o.p == nil {
		return Expr{c: max(e.c, o.c)}
	}
	return extremum(opMax, e, o)
}

// extremum is the min or max of any number of expressions: nested ones of the
// same kind are flattened, and of arguments that differ by a constant one is
// kept.
func extremum(op op, es ...Expr) Expr {
	if bad, ok := firstDefect(es...); ok {
		return bad
	}
	args := flatten(op, es)
	slices.SortFunc(args, compareExpr)
	// Sorting has put arguments of equal non-constant part side by side, the
	// least constant first.
	kept := args[:1]
	for _, e := range args[1:] {
		last := &kept[len(kept)-1]
		switch ts, _ := e.splitConst(); {
		case !sameVariablePart(ts, *last):
			kept = append(kept, e)
		case op == opMax:
			*last = e
		}
	}
	if len(kept) == 1 {
		return kept[0]
	}
	return newAtom(op, slices.Clip(kept)...)
}

func sameVariablePart(ts []term, e Expr) bool {
	us, _ := e.splitConst()
	return compareTerms(ts, us) == 0
}

func flatten(op op, es []Expr) []Expr {
	args := make([]Expr, 0, len(es))
	for _, e := range es {
		if a, ok := e.soleAtom(); ok && a.op == op {
			args = append(args, a.args...)
			continue
		}
		args = append(args, e)
	}
	return args
}
