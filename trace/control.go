package trace

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"unsafe"

	"jitc/ir/call"
	"jitc/ir/tensor"
	"jitc/trace/pytree"
)

// Cond computes yes or no, as p, a bool scalar, says. The branches return tensors,
// or structs, slices and maps of them, of the same structure and types; what they
// use from around them they simply use. Both are traced, one runs; of a p that is a
// number (Scalar, Full) only its branch is traced.
func Cond[R any](p *Tensor, yes, no func() R) R {
	t := newTree[R]("Cond")
	t.needs("two branches", yes != nil && no != nil)
	if err := t.misuse(); err != nil {
		return t.refuse(err)
	}
	if p.Err() == nil && p.num != nil && p.Rank() == 0 && p.typ.DType == tensor.Bool {
		if p.num == true {
			return yes()
		}
		return no()
	}
	run := func(f func() R) body {
		return func([]*Tensor) (leaves, error) { return t.flatten(f()) }
	}
	return t.control([]any{p}, func(s *scope, x []term) []term { return s.cond(x[0], run(yes), run(no)) })
}

// While computes body(c), from init on, as long as cond(c), a bool scalar, is true,
// and returns the last c: tensors, or structs, slices and maps of them, whose types
// stay the same from one iteration to the next.
func While[C any](init C, cond func(C) *Tensor, body func(C) C) C {
	t := newTree[C]("While")
	t.needs("a condition and a body", cond != nil && body != nil)
	at, err := t.flatten(init)
	if err != nil {
		return t.refuse(err)
	}
	condBody := func(c []*Tensor) (leaves, error) { return leaves{tensors: []*Tensor{cond(t.rebuild(c))}}, nil }
	stepBody := func(c []*Tensor) (leaves, error) {
		next, err := t.flatten(body(t.rebuild(c)))
		t.template = init
		return next, t.sameAs(at, next, err)
	}
	return t.control(anys(at.tensors), func(s *scope, x []term) []term { return s.while(x, condBody, stepBody) })
}

// Scan calls body for each index along axis 0 of xs, with the carry so far and the
// slices at the index; it returns the last carry, and what the body gave beside it,
// stacked along a new axis 0. All are tensors, or structs, slices and maps of them.
func Scan[C, X, Y any](init C, xs X, body func(C, X) (C, Y)) (C, Y) {
	tc, tx, ty := newTree[C]("Scan"), newTree[X]("Scan"), newTree[Y]("Scan")
	tc.needs("a body", body != nil)
	carry, err := tc.flatten(init)
	if err != nil {
		return tc.refuse(err), ty.failed(err)
	}
	in, err := tx.flatten(xs)
	if err != nil {
		return tc.refuse(err), ty.failed(err)
	}
	n := len(carry.tensors)
	step := func(args []*Tensor) (leaves, error) {
		c, y := body(tc.rebuild(args[:n]), tx.rebuild(args[n:]))
		next, err := tc.flatten(c)
		tc.template = init
		if err := tc.sameAs(carry, next, err); err != nil {
			return leaves{}, err
		}
		out, err := ty.flatten(y)
		return leaves{tensors: slices.Concat(next.tensors, out.tensors)}, err
	}
	out, err := control("Scan", anys(slices.Concat(carry.tensors, in.tensors)), func(s *scope, x []term) []term {
		return s.scan(x[:n], x[n:], step)
	})
	if err != nil {
		return tc.failed(err), ty.failed(err)
	}
	return tc.rebuild(out[:n]), ty.rebuild(out[n:])
}

// body computes the leaves of a branch or loop body from those it is given.
type body func(args []*Tensor) (leaves, error)

// leaves are what a nested Go value flattens to.
type leaves struct {
	tensors []*Tensor
	consts  []call.Const
}

// tree takes values of one type apart and puts them together again.
type tree[T any] struct {
	op       string
	plan     *pytree.Plan
	err      error
	template T
}

var plans sync.Map // reflect.Type -> *pytree.Plan

// leafTypes are the Go types that the values of control flow are made of.
var leafTypes = pytree.Leaves{
	reflect.TypeFor[*Tensor](): pytree.Tensor,
	reflect.TypeFor[Int]():     pytree.Size,
	reflect.TypeFor[Float]():   pytree.Real,
}

func newTree[T any](op string) *tree[T] {
	t := &tree[T]{op: op}
	typ := reflect.TypeFor[T]()
	if p, ok := plans.Load(typ); ok {
		t.plan = p.(*pytree.Plan)
		return t
	}
	if t.plan, t.err = pytree.For(typ, leafTypes); t.err != nil {
		t.plan = nil
		return t
	}
	plans.Store(typ, t.plan)
	return t
}

// needs notes where a function that the op calls is nil.
func (t *tree[T]) needs(what string, given bool) {
	if t.err == nil && !given {
		t.err = errors.New("expected " + what + ", got nil")
	}
}

// misuse is why the op cannot be.
func (t *tree[T]) misuse() error {
	if t.err == nil {
		return nil
	}
	return &Error{Op: t.op, What: t.err.Error(), Err: t.err}
}

// flatten takes v apart and keeps it as the template for rebuild.
func (t *tree[T]) flatten(v T) (leaves, error) {
	if err := t.misuse(); err != nil {
		return leaves{}, err
	}
	var sink pytree.Sink
	t.template = v
	if err := t.plan.Flatten(unsafe.Pointer(&t.template), &sink); err != nil {
		return leaves{}, &Error{Op: t.op, What: err.Error(), Err: err}
	}
	out := leaves{consts: sink.Consts}
	for i, p := range sink.Tensors {
		if p == nil {
			return leaves{}, &Error{Op: t.op, What: "a nil *Tensor: " + t.path(i), Expected: "a tensor"}
		}
		out.tensors = append(out.tensors, (*Tensor)(p))
	}
	return out, nil
}

// path names tensor i of the template.
func (t *tree[T]) path(i int) string {
	schema := t.plan.Describe(unsafe.Pointer(&t.template), "value")
	return schema.TensorPath(i)
}

// sameAs checks that a loop's body keeps the structure of what it carries.
func (t *tree[T]) sameAs(at, next leaves, err error) error {
	if err != nil {
		return err
	}
	if len(at.tensors) != len(next.tensors) || !slices.Equal(at.consts, next.consts) {
		return &Error{Op: t.op, What: "the body changes the structure of what it carries, or a number in it",
			Expected: fmt.Sprintf("%d tensors, and numbers, lengths and keys as at the start", len(at.tensors)),
			Got:      fmt.Sprintf("%d tensors", len(next.tensors)), Hint: "carry numbers that change as tensors"}
	}
	return nil
}

// rebuild is the template with other tensors.
func (t *tree[T]) rebuild(tensors []*Tensor) T {
	var out T
	ps := make([]unsafe.Pointer, len(tensors))
	for i, x := range tensors {
		ps[i] = unsafe.Pointer(x)
	}
	if err := t.plan.Rebuild(unsafe.Pointer(&out), unsafe.Pointer(&t.template), ps); err != nil {
		panic("BUG: trace: a value does not rebuild: " + err.Error())
	}
	return out
}

// failed is the template with tensors that stand for an error, as far as there is
// one.
func (t *tree[T]) failed(err error) T {
	var out T
	if single, ok := any(&out).(**Tensor); ok {
		*single = failed(err)
		return out
	}
	at, ferr := t.flatten(t.template)
	if ferr != nil {
		return out
	}
	bad := make([]*Tensor, len(at.tensors))
	for i := range bad {
		bad[i] = failed(err)
	}
	return t.rebuild(bad)
}

// refuse is failed, which ends the trace if there is one.
func (t *tree[T]) refuse(err error) T {
	current().abort(err)
	return t.failed(err)
}

// control records a value of control flow, or computes it where there is no trace,
// and puts its results into the template.
func (t *tree[T]) control(operands []any, build func(s *scope, x []term) []term) T {
	out, err := control(t.op, operands, build)
	if err != nil {
		return t.failed(err)
	}
	return t.rebuild(out)
}

// control is doAll for ops that call the user's functions: these find the trace
// they stand in, also where it is evaluated at once.
func control(op string, operands []any, build func(s *scope, x []term) []term) ([]*Tensor, error) {
	r, tensors, err := traceOf(op, operands)
	switch {
	case err != nil:
		r.abort(err)
		return nil, err
	case r != nil:
		return r.top.wrap(build(r.top, r.top.terms(tensors))), nil
	}
	if r, err = newRecorder(&Spec{Name: op}); err != nil {
		panic("BUG: trace: an empty trace is refused: " + err.Error())
	}
	leave := r.enter()
	defer leave()
	pos := caller()
	return r.evaluate(op, func(s *scope) []term {
		r.begin(op, pos)
		return build(s, s.terms(tensors))
	})
}
