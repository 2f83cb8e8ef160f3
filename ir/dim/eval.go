package dim

import "fmt"

// Eval returns the value of e where each symbol has its value in env. It fails
// on a symbol without a value ([UnboundError]), on a division by zero
// ([ErrDivByZero]), and where any intermediate value leaves int64
// ([ErrOverflow]).
func (e Expr) Eval(env map[string]int64) (int64, error) {
	v, err := evaluator(env).expr(e)
	if err != nil {
		return 0, fmt.Errorf("dim: value of %s: %w", cutName(e.String()), err)
	}
	return v, nil
}

type evaluator map[string]int64

func (env evaluator) expr(e Expr) (int64, error) {
	if e.p == nil {
		return e.c, nil
	}
	if e.p.why != valid {
		return 0, ErrOverflow
	}
	var sum int64
	for _, t := range e.p.terms {
		v, err := env.term(t)
		if err != nil {
			return 0, err
		}
		var ok bool
		if sum, ok = addOK(sum, v); !ok {
			return 0, ErrOverflow
		}
	}
	return sum, nil
}

func (env evaluator) term(t term) (int64, error) {
	v := t.coef
	for _, a := range t.atoms {
		x, err := env.atom(a)
		if err != nil {
			return 0, err
		}
		var ok bool
		if v, ok = mulOK(v, x); !ok {
			return 0, ErrOverflow
		}
	}
	return v, nil
}

func (env evaluator) atom(a *atom) (int64, error) {
	if a.op == opSym {
		v, ok := env[a.key]
		if !ok {
			return 0, &UnboundError{Sym: a.key}
		}
		return v, nil
	}
	v, err := env.expr(a.args[0])
	for _, arg := range a.args[1:] {
		if err != nil {
			return 0, err
		}
		var x int64
		if x, err = env.expr(arg); err != nil {
			return 0, err
		}
		v, err = apply(a.op, v, x)
	}
	return v, err
}

// apply is the value of an operation on two values.
func apply(op op, x, y int64) (int64, error) {
	v, ok := scalarOps[op](x, y)
	switch {
	case ok:
		return v, nil
	case y == 0:
		return 0, ErrDivByZero
	}
	return 0, ErrOverflow
}

var scalarOps = [...]func(x, y int64) (int64, bool){
	opFloorDiv: floorDivOK,
	opMod:      floorModOK,
	opMin:      func(x, y int64) (int64, bool) { return min(x, y), true },
	opMax:      func(x, y int64) (int64, bool) { return max(x, y), true },
}
