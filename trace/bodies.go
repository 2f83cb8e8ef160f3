package trace

import (
	"fmt"
	"slices"

	"jitc/ir"
	"jitc/ir/dim"
)

// Bodies of control flow. A body is recorded in a scope of its own; the values it
// takes from around it become parameters after its own, the same ones in the same
// order for all bodies of a value.

// record records a body: its parameters of the given types, weak where so said, and its
// results.
func (s *scope) record(run body, types []ir.Type, weak []bool) (b *scope, results []term) {
	r := s.rec
	b = &scope{rec: r, parent: s, f: ir.NewFunc("", r.facts), made: map[*Tensor]*ir.Value{}}
	op, pos := r.op, r.pos
	r.top = b
	defer func() { r.top = s }()
	args := make([]*Tensor, len(types))
	for i, t := range types {
		p := b.f.AddParam("", t, nil)
		p.Pos = pos
		args[i] = &Tensor{typ: t, v: p, rec: r, in: b, weak: weak != nil && weak[i]}
	}
	out, err := run(args)
	r.begin(op, pos)
	if err != nil {
		r.stop(at(err, pos))
	}
	for _, t := range out.tensors {
		if err := r.check(t); err != nil {
			r.stop(err)
		}
		results = append(results, b.termOf(t))
	}
	b.consts = out.consts
	return b, results
}

// at gives an error a position if it has none.
func at(err error, pos ir.Pos) error {
	if e, ok := err.(*Error); ok && !e.Pos.IsKnown() {
		e.Pos = pos
	}
	return err
}

// unite gives bodies the same parameters after their first own ones: what any of
// them takes from around it. It returns those values of s.
func (s *scope) unite(own int, bodies ...*scope) (outer []*ir.Value, fs []*ir.Func) {
	for _, b := range bodies {
		for _, v := range b.outer {
			if !slices.Contains(outer, v) {
				outer = append(outer, v)
			}
		}
	}
	for _, b := range bodies {
		params := b.f.Params[:own:own]
		for _, v := range outer {
			if i := slices.Index(b.outer, v); i >= 0 {
				params = append(params, b.inner[i])
			} else {
				params = append(params, b.f.AddParam("", v.Type, nil))
			}
		}
		b.f.Params = params
		fs = append(fs, b.f)
	}
	return outer, fs
}

// results are the n results of a value.
func (s *scope) results(v *ir.Value, weak []bool) []term {
	out := make([]term, len(weak))
	for i := range out {
		if len(out) == 1 {
			out[i] = term{v: v, weak: weak[i]}
			continue
		}
		out[i] = term{v: s.emit(ir.OpGet, []*ir.Value{v}, attr("index", int64(i))), weak: weak[i]}
	}
	return out
}

func (s *scope) cond(p term, yes, no body) []term {
	then, a := s.record(yes, nil, nil)
	other, b := s.record(no, nil, nil)
	if len(a) != len(b) || !slices.Equal(then.consts, other.consts) {
		s.rec.fail("the branches give values of different structure, or with different numbers in them",
			fmt.Sprintf("%d tensors, as the first gives", len(a)), fmt.Sprint(len(b)), "give numbers that differ as tensors: Scalar")
	}
	if len(a) == 0 {
		return nil
	}
	weak := make([]bool, len(a))
	for i := range a {
		weak[i] = a[i].weak && b[i].weak && a[i].dtype() == b[i].dtype()
		s.agree(then, other, &a[i], &b[i], i)
		then.f.Results = append(then.f.Results, then.value(a[i]))
		other.f.Results = append(other.f.Results, other.value(b[i]))
	}
	outer, fs := s.unite(0, then, other)
	v := s.emitControl(ir.OpCond, append([]*ir.Value{s.value(p)}, outer...), fs)
	return s.results(v, weak)
}

// agree makes result i of two branches one type, where numbers without one of their
// own allow it.
func (s *scope) agree(then, other *scope, a, b *term, i int) {
	if a.dtype() != b.dtype() && (a.weak || b.weak) {
		dt, _ := s.promoted([]term{*a, *b})
		*a, *b = then.to(*a, dt), other.to(*b, dt)
	}
	if a.dtype() != b.dtype() || !s.sameShape(*a, *b, "the branches give one shape") {
		s.rec.fail(fmt.Sprintf("the branches differ in the type of result %d", i), a.typ().String()+", as the first gives",
			b.typ().String(), "convert one with To, or broadcast it with BroadcastTo")
	}
}

func (s *scope) sameShape(a, b term, why string) bool {
	if a.rank() != b.rank() {
		return false
	}
	for i := range a.shape() {
		if !s.rec.equal(a.size(i), b.size(i), why) {
			return false
		}
	}
	return true
}

// carried makes what a loop's body gives for its carries of their types. Where a
// carry that started as a number without a type of its own meets a type, init takes
// it, and the body must be recorded again.
func (s *scope) carried(b *scope, init, next []term) (again bool) {
	for i := range init {
		x, y := &init[i], &next[i]
		if x.dtype() != y.dtype() && y.weak {
			*y = b.to(*y, x.dtype())
		}
		if x.dtype() != y.dtype() && x.weak {
			*x, again = s.to(*x, y.dtype()), true
			continue
		}
		if x.dtype() != y.dtype() || !s.sameShape(*x, *y, "the body keeps the shape of what it carries") {
			s.rec.fail(fmt.Sprintf("the body changes the type of carry %d", i), x.typ().String()+", as at the start", y.typ().String(),
				"make the first value of that type with To or BroadcastTo")
		}
	}
	return again
}

func typesAndWeak(xs []term) (types []ir.Type, weak []bool) {
	for _, x := range xs {
		types, weak = append(types, x.typ()), append(weak, x.weak)
	}
	return types, weak
}

func (s *scope) while(init []term, cond, step body) []term {
	if len(init) == 0 {
		s.rec.fail("nothing is carried from one iteration to the next", "at least one tensor", "none", "")
	}
	for {
		types, weak := typesAndWeak(init)
		test, p := s.record(cond, types, weak)
		b, next := s.record(step, types, weak)
		if s.carried(b, init, next) {
			continue
		}
		test.f.Results = test.values(p...)
		b.f.Results = b.values(next...)
		outer, fs := s.unite(len(init), test, b)
		v := s.emitControl(ir.OpWhile, append(s.values(init...), outer...), fs, attr("carries", int64(len(init))))
		return s.results(v, weak)
	}
}

func (s *scope) scan(init, xs []term, step body) []term {
	length := s.scanLength(xs)
	for {
		types, weak := typesAndWeak(init)
		for _, x := range xs {
			types, weak = append(types, x.typ().WithShape(x.shape()[1:])), append(weak, x.weak)
		}
		b, out := s.record(step, types, weak)
		if s.carried(b, init, out) {
			continue
		}
		b.f.Results = b.values(out...)
		if len(out) == 0 {
			s.rec.fail("the body gives nothing", "a carry or an output", "no tensors", "")
		}
		outer, fs := s.unite(len(types), b)
		args := slices.Concat(s.values(init...), s.values(xs...), outer)
		v := s.emitControl(ir.OpScan, args, fs, attr("carries", int64(len(init))), attr("inputs", int64(len(xs))),
			attr("length", []dim.Expr{length}))
		_, weak = typesAndWeak(out)
		return s.results(v, weak)
	}
}

// scanLength is the size of axis 0 that all inputs have.
func (s *scope) scanLength(xs []term) dim.Expr {
	if len(xs) == 0 {
		s.rec.fail("no tensors to scan", "at least one input", "none", "to count, scan Arange")
	}
	for i, x := range xs {
		if x.rank() == 0 {
			s.rec.fail(fmt.Sprintf("input %d has no axis to scan", i), "rank 1 or more", x.typ().String(), "")
		}
		if !s.rec.equal(xs[0].size(0), x.size(0), "inputs of a scan have one length") {
			s.rec.fail("inputs differ in length", xs[0].size(0).String(), x.size(0).String(), "")
		}
	}
	return xs[0].size(0)
}
