package trace

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"sync"
	"sync/atomic"

	"jitc/ir"
	"jitc/ir/dim"
	"jitc/ir/tensor"
)

// recorder is one trace while it is being made, and afterwards the reason why its
// tensors are of no use any more. An op outside a trace is a trace of its own,
// evaluated at once.
type recorder struct {
	spec  *Spec
	facts *dim.Facts       // shared by every body; grows as decisions are made
	hints map[string]int64 // of symbols whose value may be looked at
	root  *scope           // the function
	top   *scope           // the innermost body that is being recorded

	// What the op that is being recorded is called, and the line that asked for it.
	op  string
	pos ir.Pos

	params     []Param
	names      map[string]bool
	captured   []*Tensor
	captures   map[any]*ir.Value // by *tensor.Tensor, or *Tensor that has none yet
	conditions []Condition
	vars       []VarUse
	varAt      map[Variable]int
	varValues  []any
	special    []Specialised
	used       []bool
	reals      map[int]*Tensor
	fresh      map[string]bool // symbols of sizes that data decides

	goroutine uint64
	ended     atomic.Bool
	mu        sync.Mutex
	first     error // the first mistake
}

// abort is what a mistake panics with, to end the trace.
type abort struct{ err error }

func newRecorder(spec *Spec) (*recorder, error) {
	r := &recorder{spec: spec, facts: dim.NewFacts(), hints: maps.Clone(spec.Hints), names: map[string]bool{},
		captures: map[any]*ir.Value{}, varAt: map[Variable]int{}, reals: map[int]*Tensor{},
		used: make([]bool, len(spec.Scalars)), fresh: map[string]bool{}}
	if spec.Facts != nil {
		r.facts = spec.Facts.Clone()
	}
	name := spec.Name
	if label(name) != name || name == "" {
		name = "traced"
	}
	r.root = &scope{rec: r, f: ir.NewFunc(name, r.facts), made: map[*Tensor]*ir.Value{}}
	r.top = r.root
	return r, r.declare()
}

// declare makes the facts know every symbol, and the hints those that inputs give.
func (r *recorder) declare() error {
	known := map[string]bool{}
	for _, s := range r.facts.Syms() {
		known[s] = true
	}
	declare := func(sym string) error {
		if known[sym] {
			return nil
		}
		known[sym] = true
		return r.facts.Declare(sym, 0, math.MaxInt64)
	}
	for _, x := range r.spec.Inputs {
		for _, e := range x.Sizes {
			for _, s := range e.Syms() {
				if err := declare(s); err != nil {
					return fmt.Errorf("trace: input %s: %w", x.Path, err)
				}
			}
		}
	}
	for _, s := range r.spec.Scalars {
		if s.Sym != "" {
			if err := declare(s.Sym); err != nil {
				return fmt.Errorf("trace: scalar %s: %w", s.Path, err)
			}
		}
	}
	if r.spec.Hints == nil {
		return r.hintsOfInputs()
	}
	return nil
}

// hintsOfInputs takes the symbols' values from the sizes at hand.
func (r *recorder) hintsOfInputs() error {
	r.hints = map[string]int64{}
	for _, s := range r.spec.Scalars {
		if s.Sym != "" {
			r.hints[s.Sym] = int64(s.Value.Bits)
		}
	}
	for range 2 { // a size such as 2*B + T gives T once another gave B
		for _, x := range r.spec.Inputs {
			for i, e := range x.Sizes {
				if i >= len(x.Hint) {
					continue
				}
				if _, err := dim.Bind(e, int64(x.Hint[i]), r.hints); err != nil {
					return fmt.Errorf("trace: input %s: %w", x.Path, err)
				}
			}
		}
	}
	return nil
}

// live reports whether the trace is still being made; of nil, that there is none.
func (r *recorder) live() bool { return r != nil && !r.ended.Load() }

// begin names the op that is recorded next.
func (r *recorder) begin(op string, pos ir.Pos) { r.op, r.pos = op, pos }

// name is the trace's name for messages.
func (r *recorder) name() string {
	if r.spec.Name == "" {
		return "a function"
	}
	return r.spec.Name
}

// abort ends the trace with an error: at once on the goroutine that traces, else
// when the function returns. Without a trace there is nothing to end.
func (r *recorder) abort(err error) {
	if r == nil {
		if r = current(); r == nil {
			return
		}
	}
	if !r.live() {
		return
	}
	if e, ok := err.(*Error); ok {
		if !e.Pos.IsKnown() {
			e.Pos = caller()
		}
		if e.Op == "" {
			e.Op = r.op
		}
	}
	if goroutine() == r.goroutine {
		r.stop(err)
	}
	r.note(err)
}

// note keeps the first mistake, so that a trace whose function recovers from it
// does not end well.
func (r *recorder) note(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.first == nil {
		r.first = err
	}
}

// stop ends the trace with an error.
func (r *recorder) stop(err error) {
	r.note(err)
	panic(&abort{err})
}

// fail ends the op that is being recorded with an error about it.
func (r *recorder) fail(what, expected, got, hint string) {
	r.stop(&Error{Pos: r.pos, Op: r.op, What: what, Expected: expected, Got: got, Hint: hint})
}

func (r *recorder) failure() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.first
}

// The traces that are being made, by goroutine, so that what has no operand (a
// Var, a tensor made of constants) finds the trace it stands in.
var (
	traces      sync.Map // goroutine -> *recorder
	tracesCount atomic.Int32
)

// current is the trace that this goroutine is making, nil if there is none.
func current() *recorder {
	if tracesCount.Load() == 0 {
		return nil
	}
	if r, ok := traces.Load(goroutine()); ok {
		return r.(*recorder)
	}
	return nil
}

// Active reports whether this goroutine is making a trace.
func Active() bool { return current() != nil }

// enter makes r the goroutine's trace, until leave, which ends r.
func (r *recorder) enter() (leave func()) {
	tracesCount.Add(1)
	r.goroutine = goroutine()
	before, nested := traces.Swap(r.goroutine, r)
	return func() {
		r.ended.Store(true)
		if nested {
			traces.Store(r.goroutine, before)
		} else {
			traces.Delete(r.goroutine)
		}
		tracesCount.Add(-1)
	}
}

// readVar notes that the trace depends on a setting. All reads of one trace see
// the value of the first.
func (r *recorder) readVar(v Variable, value any, c constValue) any {
	if i, ok := r.varAt[v]; ok {
		return r.varValues[i]
	}
	r.varAt[v] = len(r.vars)
	r.vars = append(r.vars, VarUse{Var: v, Value: c, Pos: caller()})
	r.varValues = append(r.varValues, value)
	return value
}

// capture makes a tensor from outside a parameter of the trace, once.
func (r *recorder) capture(t *Tensor) *ir.Value {
	held := t.Storage()
	if v, ok := r.captures[held]; ok {
		return v
	}
	p := Param{ParamCaptured, len(r.captured)}
	v := r.param(fmt.Sprintf("captured.%d", p.Index), ir.TConst(held.DType(), held.Shape()...), p, false).v
	r.captures[held] = v
	r.captured = append(r.captured, t)
	return v
}

// freshSym is a symbol for a size that data decides.
func (r *recorder) freshSym() dim.Expr {
	for n := len(r.fresh); ; n++ {
		if name := fmt.Sprintf("u%d", n); !r.knows(name) {
			r.fresh[name] = true
			if err := r.facts.Declare(name, 0, math.MaxInt64); err != nil {
				panic("BUG: trace: a fresh symbol is refused: " + err.Error())
			}
			return dim.Sym(name)
		}
	}
}

func (r *recorder) knows(sym string) bool {
	return slices.Contains(r.facts.Syms(), sym)
}

// check says why a tensor cannot be an operand of this trace; nil if it can.
func (r *recorder) check(t *Tensor) error {
	switch {
	case t == nil:
		return &Error{Pos: r.pos, Op: r.op, What: "the operand is a nil *Tensor"}
	case t.err != nil:
		return t.err
	case t.rec == nil || t.rec == r:
		return nil
	case t.rec.ended.Load():
		return &Error{Pos: r.pos, Op: r.op, What: "a tensor of the trace of " + t.rec.name() + ", which has ended, is used in the trace of " + r.name(),
			Got: t.String(), Hint: "return it from " + t.rec.name() + "; what a traced function stores elsewhere is only a promise"}
	}
	return &Error{Pos: r.pos, Op: r.op, What: "a tensor of the trace of " + t.rec.name() + " is used in the trace of " + r.name(),
		Got: t.String(), Hint: "pass it as an argument"}
}

// evaluate records what build makes, outside of any trace, and computes it.
func evaluate(build func(s *scope) []term) (out []*Tensor, err error) {
	r, err := newRecorder(&Spec{})
	if err != nil {
		panic("BUG: trace: an empty trace is refused: " + err.Error())
	}
	return r.evaluate("", build)
}

func (r *recorder) evaluate(op string, build func(s *scope) []term) (out []*Tensor, err error) {
	defer func() {
		if p := recover(); p != nil {
			a, ok := p.(*abort)
			if !ok {
				panic(p)
			}
			out, err = nil, a.err
		}
		r.ended.Store(true)
	}()
	r.begin(op, ir.Pos{})
	terms := build(r.root)
	weak := make([]bool, len(terms))
	for i, x := range terms {
		r.root.f.Results = append(r.root.f.Results, r.root.value(x))
		weak[i] = x.weak
	}
	args := make([]*tensor.Tensor, len(r.captured))
	for i, t := range r.captured {
		if args[i] = t.Host(); args[i] == nil {
			return nil, t.Err()
		}
	}
	hosts, err := ir.Eval(r.root.f, args, nil)
	if err != nil {
		return nil, &Error{Op: op, What: err.Error(), Err: err}
	}
	for i, h := range hosts {
		t := FromHost(h)
		t.weak = weak[i]
		out = append(out, t)
	}
	return out, nil
}
