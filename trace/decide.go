package trace

import (
	"errors"
	"fmt"
	"slices"

	"jitc/ir"
	"jitc/ir/dim"
)

// decide answers a question about sizes: by the facts where they do, else by the
// sizes at hand, and then the answer is a condition of the program. why says what
// for: "sizes of the operands are equal".
func (r *recorder) decide(c dim.Constraint, why string) bool {
	if v, known := c.Const(); known {
		return v
	}
	if v, known := r.facts.Decide(c); known {
		return v
	}
	holds, err := c.Holds(r.hints)
	if err != nil {
		r.undecidable(c.String(), err)
	}
	if !holds {
		c = c.Not()
	}
	r.state(c, why)
	return holds
}

// holds is what decide would answer, without making it a condition.
func (r *recorder) holds(c dim.Constraint) bool {
	if v, known := c.Const(); known {
		return v
	}
	if v, known := r.facts.Decide(c); known {
		return v
	}
	holds, err := c.Holds(r.hints)
	if err != nil {
		r.undecidable(c.String(), err)
	}
	return holds
}

// undecidable ends the trace at a question that the sizes at hand do not answer.
func (r *recorder) undecidable(question string, err error) {
	got := err.Error()
	var unbound *dim.UnboundError
	if errors.As(err, &unbound) {
		got = "no value at hand of " + unbound.Sym
	}
	r.stop(&Error{Pos: r.pos, Op: r.op, What: "the trace would have to decide " + question + ", which no size at hand may",
		Got:  got,
		Hint: "the size comes from data or is marked unbacked: state what is known of it with InRange", Err: err})
}

// demand states what the user knows of a size, unless the size at hand breaks it.
func (r *recorder) demand(c dim.Constraint) {
	if holds, err := c.Holds(r.hints); err == nil && !holds {
		r.fail("the size at hand breaks what is stated", c.String(), "", "")
	}
	r.state(c, "stated by the program")
}

// state makes a condition on sizes one of the program's.
func (r *recorder) state(c dim.Constraint, why string) {
	if v, known := r.facts.Decide(c); known && v {
		return
	}
	open := r.openStrict()
	if err := r.facts.Assume(c); err != nil {
		r.stop(&Error{Pos: r.pos, Op: r.op, What: "sizes do not fit what is known of them", Expected: c.String(), Got: err.Error(), Err: err})
	}
	if !r.isFresh(c) { // else it is a fact, checked once data has decided
		r.conditions = append(r.conditions, Condition{Constraint: c, Pos: r.pos, Why: r.op + ": " + why})
	}
	for _, sym := range open {
		if lo, hi := r.facts.Range(dim.Sym(sym)); lo == hi {
			r.specialisedStrict(sym, lo, why)
		}
	}
}

// isFresh reports whether a constraint is about a size that data decides.
func (r *recorder) isFresh(c dim.Constraint) bool {
	return slices.ContainsFunc(c.Syms(), func(sym string) bool { return r.fresh[sym] })
}

// openStrict are the symbols that must not be specialised and are not constant
// anyhow.
func (r *recorder) openStrict() []string {
	var open []string
	for sym := range r.spec.Strict {
		if lo, hi := r.facts.Range(dim.Sym(sym)); lo != hi {
			open = append(open, sym)
		}
	}
	return open
}

func (r *recorder) specialisedStrict(sym string, n int64, why string) {
	hint := "keep it symbolic, or mark it maybe-dynamic or static"
	if r.op == "Shape" || r.op == "Int" || r.op == "Value" {
		hint = "use Size or Sizes instead of " + r.op + ", or mark it maybe-dynamic or static"
	}
	r.stop(&Error{Pos: r.pos, Op: r.op, What: fmt.Sprintf("specialises %s to %d: %s", sym, n, why),
		Expected: "a program for every " + sym + ", as marked: " + r.spec.Strict[sym],
		Got:      fmt.Sprintf("one for %s == %d", sym, n), Hint: hint})
}

// ask is decide for the user's comparisons.
func (r *recorder) ask(c dim.Constraint, op string) bool {
	if !r.mine(op) {
		holds, err := c.Holds(r.hints)
		return err == nil && holds
	}
	r.begin(op, caller())
	return r.decide(c, "the comparison was "+c.String())
}

// specialise fixes an expression at its value at hand.
func (r *recorder) specialise(e dim.Expr, asker string) int64 {
	n, err := e.Eval(r.hints)
	if !r.mine(asker) {
		return n
	}
	r.begin(asker, caller())
	if simple, ok := r.facts.Simplify(e).Const(); ok {
		return simple
	}
	if err != nil {
		r.undecidable("the value of "+e.String(), err)
	}
	r.state(dim.Eq(e, dim.Const(n)), fmt.Sprintf("%s was asked for its integer value", e))
	return n
}

// mine reports whether this goroutine is making the trace; that another one is
// asking it about sizes is a mistake.
func (r *recorder) mine(op string) bool {
	if !r.live() {
		return false
	}
	if current() == r {
		return true
	}
	r.abort(&Error{Op: op, What: "a size of the trace of " + r.name() + " is used on another goroutine or in another trace",
		Hint: "trace on one goroutine"})
	return false
}

// equal decides whether two sizes are equal.
func (r *recorder) equal(a, b dim.Expr, why string) bool {
	return a.Equal(b) || r.decide(dim.Eq(a, b), why)
}

// fixed is x with an axis that shows its size as a constant: the one at hand, if it
// is symbolic.
func (s *scope) fixed(x term, axis int, why string) term {
	r := s.rec
	if _, ok := x.size(axis).Const(); ok {
		return x
	}
	e := r.facts.Simplify(x.size(axis))
	n, ok := e.Const()
	if !ok {
		var err error
		if n, err = e.Eval(r.hints); err != nil {
			r.undecidable("the value of "+e.String(), err)
		}
		r.state(dim.Eq(e, dim.Const(n)), why)
	}
	shape := slices.Clone(x.shape())
	shape[axis] = dim.Const(n)
	return s.restate(x, shape)
}

// restate is x with its sizes written in another way, for a type rule that looks at
// how they are written.
func (s *scope) restate(x term, shape []dim.Expr) term {
	if ir.ShapeEqual(nil, x.shape(), shape) {
		return x
	}
	return term{v: s.emit(ir.OpReshape, s.values(x), attr("shape", shape)), weak: x.weak}
}

// settle fixes the sizes of an op's operands at their values at hand if its type
// rule then has nothing against it: what it asks for cannot be proved of symbols.
// It reports whether the op is worth another try.
func (r *recorder) settle(op ir.Op, args []*ir.Value, attrs []ir.Attr) bool {
	if op.Row().Traits&(ir.Control|ir.Dynamic) != 0 {
		return false
	}
	at, ok := r.atHand(op, args, attrs)
	if !ok {
		return false
	}
	if _, err := ir.InferType(at, r.facts); err != nil {
		return false
	}
	again := false
	fix := func(es []dim.Expr) {
		for _, e := range es {
			if _, isConst := r.facts.Simplify(e).Const(); isConst {
				continue
			}
			n, err := e.Eval(r.hints)
			if err != nil {
				panic("BUG: trace: a size that had a value has none: " + err.Error())
			}
			r.state(dim.Eq(e, dim.Const(n)), "what "+op.String()+" needs of its sizes can be shown for constants only")
			again = true
		}
	}
	for _, a := range args {
		fix(a.Type.Shape)
	}
	for _, a := range attrs {
		if es, is := a.Value.([]dim.Expr); is {
			fix(es)
		}
	}
	return again
}

// atHand is an application of an op with every size the one at hand; ok is false if
// one has no value.
func (r *recorder) atHand(op ir.Op, args []*ir.Value, attrs []ir.Attr) (v *ir.Value, ok bool) {
	v, ok = &ir.Value{Op: op}, true
	static := func(es []dim.Expr) []dim.Expr {
		out := make([]dim.Expr, len(es))
		for i, e := range es {
			n, err := e.Eval(r.hints)
			ok = ok && err == nil
			out[i] = dim.Const(n)
		}
		return out
	}
	for _, a := range args {
		v.Args = append(v.Args, &ir.Value{Op: ir.OpParam, Type: a.Type.WithShape(static(a.Type.Shape))})
	}
	for _, a := range attrs {
		if es, is := a.Value.([]dim.Expr); is {
			a.Value = static(es)
		}
		v.Attrs = v.Attrs.With(a.Name, a.Value)
	}
	return v, ok
}
