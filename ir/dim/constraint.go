package dim

import "slices"

// Constraint is an immutable condition on sizes: an expression that is zero,
// is not zero or is at least zero, or that an integer divides or does not. The
// zero value always holds.
//
// It is kept in a normal form: common factors are divided out with the
// rounding that integers allow, so that 2*B - 7 >= 0 is B >= 4 and 2*A == 7
// never holds; remainders compared with constants are divisibilities, and
// bounds of a quotient by a constant are bounds of the dividend. A Constraint
// is safe for concurrent use. Compare with [Constraint.Equal].
type Constraint struct {
	kind relation
	e    Expr
	n    int64 // of a divisibility: at least 2
}

// relation is what a constraint says of its expression.
type relation uint8

const (
	always relation = iota
	never
	zero    // e == 0, the first coefficient positive
	nonzero // e != 0, likewise
	atLeast // e >= 0
	divides // n divides e, coefficients in [0, n)
	divideNot
)

// negations pairs the relations; that of atLeast changes the expression.
var negations = [...]relation{always: never, never: always, zero: nonzero, nonzero: zero,
	atLeast: atLeast, divides: divideNot, divideNot: divides}

// Eq is a == b.
func Eq(a, b Expr) Constraint { return constrain(zero, a.Sub(b), 0) }

// Ne is a != b.
func Ne(a, b Expr) Constraint { return constrain(nonzero, a.Sub(b), 0) }

// Le is a <= b.
func Le(a, b Expr) Constraint { return constrain(atLeast, b.Sub(a), 0) }

// Lt is a < b.
func Lt(a, b Expr) Constraint { return constrain(atLeast, b.Sub(a).Sub(Const(1)), 0) }

// Ge is a >= b.
func Ge(a, b Expr) Constraint { return Le(b, a) }

// Gt is a > b.
func Gt(a, b Expr) Constraint { return Lt(b, a) }

// Divisible is: n divides e. Zero divides only zero; the sign of n does not
// matter.
func Divisible(e Expr, n int64) Constraint {
	if n == 0 {
		return Eq(e, Const(0))
	}
	abs, ok := negOK(n)
	if !ok { // the least int64 has no positive counterpart
		return Eq(e.Mod(Const(n)), Const(0))
	}
	return constrain(divides, e, max(n, abs))
}

// Not is the negation.
func (c Constraint) Not() Constraint {
	if c.kind == atLeast {
		return constrain(atLeast, c.e.Neg().Sub(Const(1)), 0)
	}
	c.kind = negations[c.kind]
	return c
}

// Const returns the value of a constraint that is true whatever the sizes, or
// false whatever they are. A constraint may be either without showing it.
func (c Constraint) Const() (value, known bool) {
	return c.kind == always, c.kind == always || c.kind == never
}

// Invalid reports whether the constraint has no value, because its expression
// is [Expr.Invalid].
func (c Constraint) Invalid() bool { return c.e.Invalid() }

// Syms returns the symbols that occur, sorted, each once.
func (c Constraint) Syms() []string { return c.e.Syms() }

// Equal reports whether both have the same normal form.
func (c Constraint) Equal(o Constraint) bool {
	return c.kind == o.kind && c.n == o.n && c.e.Equal(o.e)
}

// Subst replaces every symbol in m, all at once, by its expression.
func (c Constraint) Subst(m map[string]Expr) Constraint {
	return constrain(c.kind, c.e.Subst(m), c.n)
}

// Holds reports whether the values satisfy the constraint. It fails as
// [Expr.Eval] does: on a symbol without a value, on a division by zero and on
// overflow.
func (c Constraint) Holds(env map[string]int64) (bool, error) {
	v, err := c.e.Eval(env)
	if err != nil {
		return false, err
	}
	return c.holdsAt(v), nil
}

// holdsAt is the constraint's value where its expression is v.
func (c Constraint) holdsAt(v int64) bool {
	switch c.kind {
	case always:
		return true
	case zero:
		return v == 0
	case nonzero:
		return v != 0
	case atLeast:
		return v >= 0
	case divides:
		return v%c.n == 0
	case divideNot:
		return v%c.n != 0
	}
	return false
}

// Compile returns a check that takes the value of syms[i] from vals[i]. It
// agrees with [Constraint.Holds]: ok is false where that fails, and where the
// constraint uses a symbol that is not in syms or has no value in vals. The
// check allocates nothing and is safe for concurrent use.
func (c Constraint) Compile(syms []string) func(vals []int64) (holds, ok bool) {
	if f, ok := c.compileSingle(syms); ok {
		return f
	}
	value := compileExpr(c.e, syms)
	return func(vals []int64) (bool, bool) {
		v, ok := value(vals)
		return ok && c.holdsAt(v), ok
	}
}

// compileSingle compiles a condition on ±symbol + constant, which most are,
// without a call inside.
func (c Constraint) compileSingle(syms []string) (func(vals []int64) (holds, ok bool), bool) {
	name, a, b, linear := c.e.linear()
	i := slices.Index(syms, name)
	if !linear || i < 0 || a != 1 && a != -1 {
		return nil, false
	}
	if a == 1 {
		return func(vals []int64) (bool, bool) {
			if i >= len(vals) {
				return false, false
			}
			v, ok := addOK(vals[i], b)
			return ok && c.holdsAt(v), ok
		}, true
	}
	return func(vals []int64) (bool, bool) {
		if i >= len(vals) {
			return false, false
		}
		v, ok := negOK(vals[i])
		if !ok {
			return false, false
		}
		v, ok = addOK(v, b)
		return ok && c.holdsAt(v), ok
	}, true
}
