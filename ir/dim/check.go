package dim

// Check verifies that the values satisfy the facts. The first broken one is a
// [*Violation]. A symbol without a value takes the one that an equality gives
// it; without either it is an [*UnboundError].
func (f *Facts) Check(env map[string]int64) error {
	c := checker{f: f, env: env, derived: map[string]int64{}}
	for _, sym := range f.order {
		k := f.known[sym]
		v, err := c.value(sym)
		if err != nil {
			return err
		}
		if fact, broken := k.brokenBy(sym, v); broken {
			return &Violation{Sym: sym, Fact: fact, Got: v}
		}
	}
	for _, r := range f.relations {
		if err := c.relation(r); err != nil {
			return err
		}
	}
	return nil
}

// relation checks a relation. The symbol of the violation is its first.
func (c *checker) relation(r Constraint) error {
	v, err := c.evaluate(r.e)
	if err != nil || r.holdsAt(v) {
		return err
	}
	sym := r.Syms()[0]
	got, err := c.value(sym)
	if err != nil {
		return err
	}
	return &Violation{Sym: sym, Fact: r.String(), Got: got}
}

// checker evaluates equalities, each once.
type checker struct {
	f       *Facts
	env     map[string]int64
	derived map[string]int64 // by equalities
}

// value is the value of a symbol, given and derived ones compared.
func (c *checker) value(sym string) (int64, error) {
	if v, ok := c.derived[sym]; ok {
		return v, nil
	}
	v, given := c.env[sym]
	k := c.f.of(sym)
	if !k.isEqual {
		if !given {
			return 0, &UnboundError{Sym: sym}
		}
		return v, nil
	}
	want, err := c.evaluate(k.equal)
	if err != nil {
		return 0, err
	}
	if given && v != want {
		return 0, &Violation{Sym: sym, Fact: k.equalText(sym), Got: v}
	}
	c.derived[sym] = want
	return want, nil
}

// evaluate evaluates the right side of an equality, whose symbols may be
// defined by equalities themselves.
func (c *checker) evaluate(e Expr) (int64, error) {
	env := map[string]int64{}
	for _, sym := range e.Syms() {
		v, err := c.value(sym)
		if err != nil {
			return 0, err
		}
		env[sym] = v
	}
	return e.Eval(env)
}

// brokenBy returns the range or divisibility that v breaks.
func (k fact) brokenBy(sym string, v int64) (string, bool) {
	switch {
	case v < k.lo || v > k.hi:
		return k.rangeText(sym), true
	case v%k.div != 0:
		return k.divText(sym), true
	}
	return "", false
}
