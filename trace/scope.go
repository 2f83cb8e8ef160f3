package trace

import (
	"jitc/ir"
	"jitc/ir/call"
	"jitc/ir/dim"
	"jitc/ir/tensor"
)

type constValue = call.Const

// scope is a function under construction: the traced one, or a body of Cond, While
// or Scan, which takes what it uses from the scopes around it as parameters.
type scope struct {
	rec    *recorder
	parent *scope // nil for the traced function
	f      *ir.Func
	made   map[*Tensor]*ir.Value // what recipes gave here
	outer  []*ir.Value           // values of parent that are parameters, in order
	inner  []*ir.Value           // those parameters
	consts []constValue          // of the nested value that a body gives
}

// term is an operand while an op is being recorded: a value of the scope or one
// number for all elements, which still may take another type or shape.
type term struct {
	v    *ir.Value
	num  any     // float64, int64 or bool, where v is nil
	t    ir.Type // where v is nil
	weak bool
}

// typ is the term's type.
func (x term) typ() ir.Type {
	if x.v != nil {
		return x.v.Type
	}
	return x.t
}

func (x term) shape() []dim.Expr   { return x.typ().Shape }
func (x term) dtype() tensor.DType { return x.typ().DType }
func (x term) rank() int           { return len(x.typ().Shape) }
func (x term) size(i int) dim.Expr { return x.typ().Shape[i] }

// termOf is a tensor as an operand in this scope; it belongs to the scope's trace
// or to none.
func (s *scope) termOf(t *Tensor) term {
	switch {
	case t.num != nil:
		return term{num: t.num, t: t.typ, weak: t.weak}
	case t.v != nil:
		return term{v: s.bring(t.v, t.in), weak: t.weak}
	case t.recipe != nil:
		v, ok := s.made[t]
		if !ok {
			v = s.value(t.recipe(s))
			s.made[t] = v
		}
		return term{v: v, weak: t.weak}
	}
	return term{v: s.bring(s.rec.capture(t), s.rec.root), weak: t.weak}
}

// bring makes a value of a scope around this one a value here.
func (s *scope) bring(v *ir.Value, from *scope) *ir.Value {
	if from == s {
		return v
	}
	if s.parent == nil {
		s.rec.fail("a tensor of a branch or loop body is used outside of it", "",
			v.Type.String()+" of "+lineOf(v.Pos), "return it from the body")
	}
	v = s.parent.bring(v, from)
	for i, o := range s.outer {
		if o == v {
			return s.inner[i]
		}
	}
	p := s.f.AddParam("", v.Type, nil)
	p.Pos = v.Pos
	s.outer, s.inner = append(s.outer, v), append(s.inner, p)
	return p
}

// value is the term as a value of the scope.
func (s *scope) value(x term) *ir.Value {
	if x.v != nil {
		return x.v
	}
	return s.emit(ir.OpConstant, nil, ir.Attr{Name: "value", Value: x.num},
		ir.Attr{Name: "dtype", Value: x.t.DType}, ir.Attr{Name: "shape", Value: x.t.Shape})
}

func (s *scope) values(xs ...term) []*ir.Value {
	vs := make([]*ir.Value, len(xs))
	for i, x := range xs {
		vs[i] = s.value(x)
	}
	return vs
}

// emit appends a value to the scope, or ends the op with what its type rule has
// against it.
func (s *scope) emit(op ir.Op, args []*ir.Value, attrs ...ir.Attr) *ir.Value {
	return s.emitControl(op, args, nil, attrs...)
}

func (s *scope) emitControl(op ir.Op, args []*ir.Value, bodies []*ir.Func, attrs ...ir.Attr) *ir.Value {
	v, err := s.try(op, args, bodies, attrs)
	if err != nil && s.rec.settle(op, args, attrs) {
		v, err = s.try(op, args, bodies, attrs)
	}
	if err != nil {
		s.rec.stop(ofType(s.rec.pos, s.rec.op, err))
	}
	return v
}

func (s *scope) try(op ir.Op, args []*ir.Value, bodies []*ir.Func, attrs []ir.Attr) (*ir.Value, error) {
	b := ir.NewBuilder(s.f)
	b.Pos = s.rec.pos
	v := b.EmitControl(op, args, bodies, attrs...)
	return v, b.Err()
}

// op emits op of terms.
func (s *scope) op(op ir.Op, xs []term, attrs ...ir.Attr) term {
	return term{v: s.emit(op, s.values(xs...), attrs...)}
}

// attr is an attribute.
func attr(name string, value any) ir.Attr { return ir.Attr{Name: name, Value: value} }

// do records an op of operands, or computes it where there is no trace. An operand
// is a *Tensor, a Go number, an Int or a Float; a Size among them only says which
// trace it is.
func do(op string, operands []any, build func(s *scope, x []term) term) *Tensor {
	return doAll(op, 1, operands, func(s *scope, x []term) []term { return []term{build(s, x)} })[0]
}

// doAll is do for ops with n results. A mistake outside a trace gives n results that
// have the error.
func doAll(op string, n int, operands []any, build func(s *scope, x []term) []term) []*Tensor {
	r, tensors, err := traceOf(op, operands)
	switch {
	case err != nil:
		r.abort(err)
		return failures(n, err)
	case r == nil:
		return compute(op, n, tensors, build)
	}
	return r.top.wrap(build(r.top, r.top.terms(tensors)))
}

// failures are n failed tensors.
func failures(n int, err error) []*Tensor {
	out := make([]*Tensor, n)
	for i := range out {
		out[i] = failed(err)
	}
	return out
}

func compute(op string, n int, tensors []*Tensor, build func(s *scope, x []term) []term) []*Tensor {
	r, err := newRecorder(&Spec{})
	if err != nil {
		panic("BUG: trace: an empty trace is refused: " + err.Error())
	}
	out, err := r.evaluate(op, func(s *scope) []term { return build(s, s.terms(tensors)) })
	if err != nil {
		return failures(n, err)
	}
	return out
}

func (s *scope) terms(tensors []*Tensor) []term {
	xs := make([]term, len(tensors))
	for i, t := range tensors {
		xs[i] = s.termOf(t)
	}
	return xs
}

// wrap makes results of what an op built.
func (s *scope) wrap(xs []term) []*Tensor {
	out := make([]*Tensor, len(xs))
	for i, x := range xs {
		out[i] = &Tensor{typ: x.typ(), weak: x.weak, v: x.v, num: x.num, rec: s.rec, in: s}
	}
	return out
}
