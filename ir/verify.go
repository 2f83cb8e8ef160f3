package ir

import (
	"errors"
	"fmt"

	"jitc/ir/diag"
)

// Dialect says which ops a stage's functions may hold.
type Dialect uint8

// The dialects, in the order of the stages.
const (
	Surface   Dialect = iota // any op but regions
	Primitive                // no composites
	Fused                    // regions and what executors claimed as it stands
)

// Verify checks f's invariants: operands precede uses, IDs are unique and in
// range, types are what the type rules give, symbols are declared, regions are
// closed, and ops belong to the dialect. It reports every violation.
func Verify(f *Func, d Dialect) error {
	c := &verifier{f: f, dialect: d, defined: make([]*Value, f.NumIDs)}
	c.function()
	return errors.Join(c.errs...)
}

type verifier struct {
	f       *Func
	dialect Dialect
	defined []*Value // by ID
	errs    []error
}

func (c *verifier) fail(v *Value, format string, args ...any) {
	pos := diag.Pos{}
	name := "func @" + c.f.Name
	if v != nil {
		pos = v.Pos
		name = fmt.Sprintf("%s (id %d)", v.Op, v.ID)
	}
	c.errs = append(c.errs, fmt.Errorf("%s: %s: %s", pos, name, fmt.Sprintf(format, args...)))
}

func (c *verifier) function() {
	for _, p := range c.f.Params {
		if p.Op != OpParam {
			c.fail(p, "a parameter must be of op param")
		}
		if p.Type.IsTuple() || !p.Type.IsValid() {
			c.fail(p, "a parameter must be a tensor, not %s", p.Type)
		}
		c.define(p)
	}
	for _, v := range c.f.Values {
		c.value(v)
		c.define(v)
	}
	if len(c.f.Results) == 0 {
		c.fail(nil, "no results")
	}
	for i, r := range c.f.Results {
		if !c.isDefined(r) {
			c.fail(r, "result %d is not a value of the function", i)
		}
	}
}

func (c *verifier) define(v *Value) {
	if v.ID < 0 || v.ID >= c.f.NumIDs {
		c.fail(v, "ID outside [0, %d)", c.f.NumIDs)
		return
	}
	if c.defined[v.ID] != nil {
		c.fail(v, "ID used twice")
	}
	c.defined[v.ID] = v
	if s := undeclared(c.f, v.Type); s != "" {
		c.fail(v, "type %s has the undeclared symbol %s", v.Type, s)
	}
}

func (c *verifier) isDefined(v *Value) bool {
	return v != nil && v.ID >= 0 && v.ID < len(c.defined) && c.defined[v.ID] == v
}

func (c *verifier) value(v *Value) {
	for i, a := range v.Args {
		if !c.isDefined(a) {
			c.fail(v, "operand %d is not defined above", i)
			return
		}
	}
	switch {
	case v.Op == OpParam:
		c.fail(v, "a parameter among the values")
		return
	case v.Op == OpFused && c.dialect != Fused:
		c.fail(v, "a region before fusion")
	case c.dialect == Primitive && v.Op.Composite():
		c.fail(v, "a composite op after decomposition")
	}
	if v.Body != nil {
		c.body(v)
	}
	t, err := InferType(v, c.f.Facts)
	if err != nil {
		c.errs = append(c.errs, fmt.Errorf("%s: %w", v.Pos, err))
		return
	}
	if !t.EqualUnder(c.f.Facts, v.Type) {
		c.fail(v, "type is %s, the type rule gives %s", v.Type, t)
	}
}

// body checks a region's body as a function of its own; it shares the facts.
func (c *verifier) body(v *Value) {
	if v.Op != OpFused {
		c.fail(v, "a body on an op that takes none")
		return
	}
	b := &verifier{f: v.Body, dialect: c.dialect, defined: make([]*Value, v.Body.NumIDs)}
	for _, inner := range v.Body.Values {
		if inner.Op == OpFused {
			c.fail(v, "a region within a region")
		}
	}
	b.function()
	c.errs = append(c.errs, b.errs...)
}
