package dim

import (
	"errors"
	"fmt"
	"strconv"
)

// Bind matches a parameter's dimension against a concrete size. Where e is
// linear in exactly one symbol without a value in env, it solves for that
// symbol and adds its value to env; where all symbols have values it verifies
// the size. Either way bound is true. Otherwise bound is false and the caller
// tries again once other dimensions have bound more symbols.
//
// A size that e cannot have, for no non-negative value of the symbol, is a
// [*SizeError]; an evaluation may also fail as in [Expr.Eval].
func Bind(e Expr, got int64, env map[string]int64) (bound bool, err error) {
	if name, ok := e.IsSym(); ok {
		return bindSym(e, name, got, env)
	}
	rest := e.mapSyms(func(name string) (Expr, bool) {
		v, ok := env[name]
		return Const(v), ok
	})
	if len(rest.Syms()) == 0 {
		return verify(e, rest, got, env)
	}
	name, a, b, ok := rest.linear()
	if !ok {
		return false, nil
	}
	v, ok := solve(a, b, got)
	if !ok {
		return false, &SizeError{Expr: e, Got: got, Want: fmt.Sprintf("%s for an integer %s >= 0", rest, name)}
	}
	env[name] = v
	return true, nil
}

func bindSym(e Expr, name string, got int64, env map[string]int64) (bool, error) {
	v, ok := env[name]
	switch {
	case ok && v != got:
		return false, &SizeError{Expr: e, Got: got, Want: strconv.FormatInt(v, 10)}
	case got < 0:
		return false, &SizeError{Expr: e, Got: got, Want: "an integer >= 0"}
	}
	env[name] = got
	return true, nil
}

// verify compares the size with the value of e, which substitution has
// reduced to rest. Where e has all its values, they decide, so that a division
// by zero is an error even if the normal form lost it.
func verify(e, rest Expr, got int64, env map[string]int64) (bool, error) {
	want, err := e.Eval(env)
	var unbound *UnboundError
	if errors.As(err, &unbound) { // the symbol has cancelled out, or rest is invalid
		want, err = rest.Eval(nil)
	}
	if err != nil {
		return false, err
	}
	if want != got {
		return false, &SizeError{Expr: e, Got: got, Want: strconv.FormatInt(want, 10)}
	}
	return true, nil
}

// linear decomposes a*name + b.
func (e Expr) linear() (name string, a, b int64, ok bool) {
	ts, b := e.splitConst()
	if len(ts) != 1 || len(ts[0].atoms) != 1 || ts[0].atoms[0].op != opSym {
		return "", 0, 0, false
	}
	return ts[0].atoms[0].key, ts[0].coef, b, true
}

// solve returns the x >= 0 with a*x + b == got.
func solve(a, b, got int64) (int64, bool) {
	neg, ok := negOK(b)
	if !ok {
		return 0, false
	}
	d, ok := addOK(got, neg)
	if !ok {
		return 0, false
	}
	if r, ok := floorModOK(d, a); !ok || r != 0 {
		return 0, false
	}
	x, ok := floorDivOK(d, a)
	return x, ok && x >= 0
}
