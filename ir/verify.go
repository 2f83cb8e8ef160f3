package ir

import (
	"errors"
	"fmt"
	"strings"

	"jitc/ir/diag"
	"jitc/ir/dim"
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
// range, types are what the type rules give, symbols are declared, attributes
// are sorted, bodies are closed, and ops belong to the dialect. It reports every
// violation and never panics, whatever f is.
func Verify(f *Func, d Dialect) error {
	if f == nil {
		return errors.New("no function")
	}
	if f.Facts == nil {
		return fmt.Errorf("func @%s: no facts", f.Name)
	}
	c := newVerifier(f, d, symbolSet(f.Facts))
	c.definers()
	c.function()
	return errors.Join(c.errs...)
}

type verifier struct {
	f       *Func
	dialect Dialect
	known   map[string]bool   // symbols
	region  bool              // f is the body of a region
	body    bool              // f is the body of a value
	late    map[string]*Value // symbols that values define; known once they have
	defined []*Value          // by ID
	errs    []error
}

func newVerifier(f *Func, d Dialect, known map[string]bool) *verifier {
	return &verifier{f: f, dialect: d, known: known, defined: make([]*Value, max(f.NumIDs, 0))}
}

func (c *verifier) fail(v *Value, format string, args ...any) {
	pos := diag.Pos{}
	name := "func @" + c.f.Name
	if v != nil {
		pos = v.Pos
		name = fmt.Sprintf("op %d (id %d)", v.Op, v.ID)
		if v.Op < numOps {
			name = fmt.Sprintf("%s (id %d)", v.Op, v.ID)
		}
	}
	c.errs = append(c.errs, fmt.Errorf("%s: %s: %s", pos, name, fmt.Sprintf(format, args...)))
}

func (c *verifier) function() {
	for i, p := range c.f.Params {
		if p == nil {
			c.fail(nil, "parameter %d is nil", i)
			continue
		}
		c.param(p)
		c.define(p)
	}
	for i, v := range c.f.Values {
		switch {
		case v == nil:
			c.fail(nil, "value %d is nil", i)
		case v.Op >= numOps:
			c.fail(v, "no such op")
		default:
			c.learn(v)
			c.value(v)
			c.define(v)
		}
	}
	if len(c.f.Results) == 0 {
		c.fail(nil, "no results")
	}
	for i, r := range c.f.Results {
		if !c.isDefined(r) {
			c.fail(nil, "result %d is not a value of the function", i)
		} else if r.Type.IsTuple() {
			c.fail(r, "result %d is a tuple", i)
		}
	}
}

func (c *verifier) param(p *Value) {
	if p.Op != OpParam {
		c.fail(p, "a parameter must be of op param")
		return
	}
	if p.Type.IsTuple() || !p.Type.IsValid() {
		c.fail(p, "a parameter must be a tensor, not %s", p.Type)
	}
	if len(p.Args) > 0 || p.Bodies != nil {
		c.fail(p, "a parameter has neither operands nor a body")
	}
	c.attrs(p)
	if err := checkAttrs(p, p.Row()); err != nil {
		c.fail(p, "%s", err)
	}
}

func (c *verifier) define(v *Value) {
	if v.ID < 0 || v.ID >= len(c.defined) {
		c.fail(v, "ID outside [0, %d)", c.f.NumIDs)
		return
	}
	if c.defined[v.ID] != nil {
		c.fail(v, "ID used twice")
	}
	c.defined[v.ID] = v
	if s := undeclared(c.known, v.Type); s != "" {
		c.fail(v, "type %s has the %s", v.Type, c.undeclared(s))
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
	case c.region && v.Op == OpFused:
		c.fail(v, "a region within a region")
	case c.region && v.Is(Control):
		c.fail(v, "control flow within a region")
	case c.dialect == Primitive && v.Op.Composite():
		c.fail(v, "a composite op after decomposition")
	}
	c.attrs(v)
	if !c.bodies(v) {
		return
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

// attrs checks that attributes are sorted, none twice, and their symbols declared.
func (c *verifier) attrs(v *Value) {
	for i := 1; i < len(v.Attrs); i++ {
		if strings.Compare(v.Attrs[i-1].Name, v.Attrs[i].Name) >= 0 {
			c.fail(v, "attributes %s and %s are out of order", v.Attrs[i-1].Name, v.Attrs[i].Name)
		}
	}
	if s := undeclaredAttr(c.known, v.Attrs); s != "" {
		c.fail(v, "an attribute has the %s", c.undeclared(s))
	}
}

// bodies checks the bodies as functions of their own, whose symbols are those of
// the function around them, and says whether they are sound.
func (c *verifier) bodies(v *Value) bool {
	sound := true
	for _, body := range v.Bodies {
		switch {
		case body == nil:
			c.fail(v, "a body is nil")
			return false
		case body.Facts == nil:
			c.fail(v, "a body without facts")
			return false
		case v.Row().Bodies == 0: // the type rule reports it
			continue
		}
		b := newVerifier(body, c.dialect, c.known)
		b.region, b.body, b.late = c.region || v.Op == OpFused, true, c.late
		b.function()
		c.errs = append(c.errs, b.errs...)
		sound = sound && len(b.errs) == 0
	}
	return sound
}

// symbolSet is the symbols that facts know.
func symbolSet(facts *dim.Facts) map[string]bool {
	known := map[string]bool{}
	for _, s := range facts.Syms() {
		known[s] = true
	}
	return known
}

// undeclared is a symbol in t that is not known; empty if there is none.
func undeclared(known map[string]bool, t Type) string {
	for _, e := range t.Tuple {
		if s := undeclared(known, e); s != "" {
			return s
		}
	}
	return undeclaredSize(known, t.Shape)
}

func undeclaredSize(known map[string]bool, sizes []dim.Expr) string {
	for _, e := range sizes {
		if _, ok := e.Const(); ok {
			continue
		}
		for _, s := range e.Syms() {
			if !known[s] {
				return s
			}
		}
	}
	return ""
}

// undeclaredAttr is a symbol in attributes that is not known; empty if there is none.
func undeclaredAttr(known map[string]bool, as Attrs) string {
	for _, a := range as {
		if sizes, ok := a.Value.([]dim.Expr); ok {
			if s := undeclaredSize(known, sizes); s != "" {
				return s
			}
		}
	}
	return ""
}
