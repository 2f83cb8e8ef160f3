package jitc

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
	"unsafe"

	"jitc/ir/call"
	"jitc/ir/dim"
	rt "jitc/runtime"
	"jitc/runtime/guard"
	"jitc/trace"
	"jitc/trace/pytree"
)

// tracing makes entries of a Go function from the arguments of one call.
type tracing struct {
	f      *Traced
	args   []unsafe.Pointer // copies of the arguments, by number
	schema *call.Schema
}

// returned is what a trace returned: the value with its traced tensors, which
// those of a call take the place of.
type returned struct {
	template unsafe.Pointer
	consts   []call.Const
}

// Schema names the parts of the call.
func (t *tracing) Schema(*call.Call) *call.Schema {
	if t.schema != nil {
		return t.schema
	}
	t.schema = &call.Schema{}
	for i, p := range t.args {
		s := t.f.plans[i].Describe(p, t.f.names[i])
		t.schema.Tensors = append(t.schema.Tensors, s.Tensors...)
		t.schema.Consts = append(t.schema.Consts, s.Consts...)
	}
	t.eachFrozen(func(path string, h *frozenHeader) {
		s := h.describe(path)
		t.schema.Tensors = append(t.schema.Tensors, s.Tensors...)
		t.schema.Consts = append(t.schema.Consts, s.Consts...)
	})
	return t.schema
}

func (t *tracing) eachFrozen(f func(path string, h *frozenHeader)) {
	for i, p := range t.args {
		t.f.plans[i].Leaves(p, func(path string, leaf pytree.Leaf, at unsafe.Pointer) {
			if leaf == pytree.Frozen {
				f(t.f.names[i]+path, *(**frozenHeader)(at))
			}
		})
	}
}

// Trace records the function for a call.
func (t *tracing) Trace(_ context.Context, c *call.Call, spec *rt.Spec) (*rt.Traced, error) {
	start := time.Now()
	ts, scalars := t.spec(c, spec)
	out := &returned{template: t.f.into.New()}
	rec, err := trace.Record(ts, func(in []*trace.Tensor, values []any) ([]*trace.Tensor, error) {
		return t.call(c, in, values, out)
	})
	if err != nil {
		return nil, fmt.Errorf("@%s: %w", t.f.name, err)
	}
	traced := &rt.Traced{F: rec.F, Schema: t.Schema(c), Data: out}
	if err := t.guards(traced, c, spec, rec, scalars); err != nil {
		return nil, fmt.Errorf("@%s: %w", t.f.name, err)
	}
	if err := pad(traced, t.f.opts.buckets); err != nil {
		return nil, fmt.Errorf("@%s: %w", t.f.name, err)
	}
	traced.Cost = []rt.StageCost{{Stage: "trace", Time: time.Since(start)}}
	return traced, nil
}

// spec says what the tracer is to make of the call. scalars are the numbers, among
// the call's constants, of the scalars that it lists.
func (t *tracing) spec(c *call.Call, spec *rt.Spec) (ts trace.Spec, scalars []int) {
	ts = trace.Spec{Name: t.f.name, Facts: spec.Facts, Hints: spec.Hints, Strict: spec.Strict}
	for i := range c.NumTensors() {
		l := c.Layout(i)
		in := trace.Input{Path: spec.Schema.TensorPath(i), DType: l.DType, Hint: l.Shape}
		for axis, n := range l.Shape {
			size := dim.Const(int64(n))
			if s := spec.Sizes[i][axis]; s != "" {
				size = dim.Sym(s)
			}
			in.Sizes = append(in.Sizes, size)
		}
		ts.Inputs = append(ts.Inputs, in)
	}
	for i := range c.NumConsts() {
		p := spec.Schema.Place(i)
		if p.Kind != call.Size && p.Kind != call.Real {
			continue
		}
		v, _ := c.Const(i)
		s := trace.ScalarSpec{Path: p.Path, Kind: p.Kind, Value: v, Input: spec.Scalars[i] == rt.InputScalar}
		if !s.Input {
			s.Sym = spec.Scalars[i]
		}
		ts.Scalars, scalars = append(ts.Scalars, s), append(scalars, i)
	}
	return ts, scalars
}

// call runs the function on traced tensors and keeps what it returns.
func (t *tracing) call(c *call.Call, in []*trace.Tensor, values []any, out *returned) ([]*trace.Tensor, error) {
	tensors := pointers(in)
	scalars := make([]unsafe.Pointer, len(values))
	for i, v := range values {
		switch v := v.(type) {
		case trace.Int:
			scalars[i] = unsafe.Pointer(&v)
		case trace.Float:
			scalars[i] = unsafe.Pointer(&v)
		}
	}
	frozen, err := t.thaw(tensors[len(c.Tensors):])
	if err != nil {
		return nil, err
	}
	tensors = tensors[:len(c.Tensors)]
	args := make([]unsafe.Pointer, len(t.args))
	for i, p := range t.args {
		n := leafCounts(t.f.plans[i], p)
		args[i] = t.f.plans[i].New()
		parts := pytree.Parts{Tensors: tensors[:n.tensors], Scalars: scalars[:n.scalars], Frozen: frozen[:n.frozen]}
		if err := t.f.plans[i].RebuildParts(args[i], p, parts); err != nil {
			return nil, err
		}
		tensors, scalars, frozen = tensors[n.tensors:], scalars[n.scalars:], frozen[n.frozen:]
	}
	t.f.invoke(args, out.template)
	return out.keep(t.f.into)
}

// counted is how many leaves of each kind a value has.
type counted struct{ tensors, scalars, frozen int }

func leafCounts(p *pytree.Plan, v unsafe.Pointer) (n counted) {
	p.Leaves(v, func(_ string, leaf pytree.Leaf, _ unsafe.Pointer) {
		switch leaf {
		case pytree.Tensor:
			n.tensors++
		case pytree.Frozen:
			n.frozen++
		default:
			n.scalars++
		}
	})
	return n
}

// thaw makes frozen sets of traced tensors.
func (t *tracing) thaw(tensors []unsafe.Pointer) (sets []unsafe.Pointer, err error) {
	t.eachFrozen(func(_ string, h *frozenHeader) {
		n := len(h.set.Tensors)
		set, e := h.thaw(tensors[:n])
		sets, tensors, err = append(sets, set), tensors[n:], errors.Join(err, e)
	})
	return sets, err
}

// keep lists the tensors of the returned value. The value is copied, so that what
// the function keeps of it does not change it later.
func (r *returned) keep(p *pytree.Plan) ([]*trace.Tensor, error) {
	var sink pytree.Sink
	if err := p.Flatten(r.template, &sink); err != nil {
		return nil, fmt.Errorf("result: %w", err)
	}
	if n := leafCounts(p, r.template); n.scalars+n.frozen > 0 {
		return nil, errors.New("result: an Int, a Float or a Frozen cannot be a result: return its Tensor()")
	}
	r.consts = slices.Clone(sink.Consts)
	fresh := p.New()
	if err := p.Rebuild(fresh, r.template, slices.Clone(sink.Tensors)); err != nil {
		return nil, err
	}
	r.template = fresh
	results := make([]*trace.Tensor, len(sink.Tensors))
	for i, q := range sink.Tensors {
		results[i] = (*trace.Tensor)(q)
	}
	return results, nil
}

func pointers(ts []*trace.Tensor) []unsafe.Pointer {
	out := make([]unsafe.Pointer, len(ts))
	for i, t := range ts {
		out[i] = unsafe.Pointer(t)
	}
	return out
}

// guards derives what the trace rests on, and what its parameters stand for.
func (t *tracing) guards(traced *rt.Traced, c *call.Call, spec *rt.Spec, rec *trace.Recorded, scalars []int) error {
	tensors := make([]int, len(rec.Params))
	for i, p := range rec.Params {
		tensors[i] = -1
		switch p.Kind {
		case trace.ParamInput:
			tensors[i] = p.Index
		case trace.ParamScalar:
			traced.Reals = append(traced.Reals, scalars[p.Index])
		}
	}
	presets := map[string]int{}
	for _, i := range scalars {
		if s := spec.Scalars[i]; s != "" && s != rt.InputScalar {
			presets[s] = i
		}
	}
	gs, sources, err := guard.FromFunc(rec.F, tensors, presets)
	if err != nil {
		return err
	}
	explain(gs, rec.Conditions)
	if err := strictReals(spec, rec, scalars); err != nil {
		return err
	}
	structure, consts := t.constGuards(traced, c, spec, rec, scalars)
	counts := []guard.Guard{
		{Kind: guard.Count, Arg: 0, Want: int64(c.NumTensors()), Reason: "structure of the arguments"},
		{Kind: guard.Count, Arg: 1, Want: int64(c.NumConsts()), Reason: "structure of the arguments"},
	}
	gs = slices.Concat(structure, counts, gs, consts) // the first that fails is what a recompile is explained by
	for _, v := range rec.Vars {
		gs = append(gs, guard.Guard{Kind: guard.Var, Var: v.Var, Value: v.Value, Pos: v.Pos, Reason: "read by the trace"})
	}
	for _, x := range rec.Captured {
		traced.Captured = append(traced.Captured, x.Storage())
	}
	t.explainBounds(gs, spec)
	for i := range gs {
		if !gs[i].Pos.IsKnown() { // not a line of the function's asked for it, the call had it
			gs[i].Pos = t.f.pos
		}
		if gs[i].Reason == "" || gs[i].Reason == "declared" {
			gs[i].Reason = "as in the call that was traced"
		}
	}
	traced.Guards, traced.Sources = gs, sources
	return t.donations(traced, c)
}

// strictReals refuses a trace that is for one value of a real that is marked to be
// an input.
func strictReals(spec *rt.Spec, rec *trace.Recorded, scalars []int) error {
	for _, s := range rec.Specialised {
		if mark := spec.StrictReals[scalars[s.Scalar]]; mark != "" {
			return &trace.Error{Pos: s.Pos, Op: "Value", What: "specialises " + s.Path, Expected: "a program for every value of it, as marked: " + mark,
				Got: "one for the value at hand", Hint: "use Tensor instead of Value, or mark it maybe-dynamic or static"}
		}
	}
	return nil
}

// constGuards are those on the values of constants: all but scalars that became
// symbols or inputs, and those that the trace never looked at. Those on the
// arguments' structure are apart.
func (t *tracing) constGuards(traced *rt.Traced, c *call.Call, spec *rt.Spec, rec *trace.Recorded, scalars []int) (structure, others []guard.Guard) {
	asked := map[int]trace.Specialised{}
	for _, s := range rec.Specialised {
		asked[scalars[s.Scalar]] = s
	}
	used := map[int]bool{}
	for k, i := range scalars {
		used[i] = rec.Used[k]
	}
	for i := range c.NumConsts() {
		v, _ := c.Const(i)
		g := guard.Guard{Kind: guard.Const, Arg: i, Value: v, Reason: "a constant of the trace"}
		kind := spec.Schema.Place(i).Kind
		scalar := kind == call.Size || kind == call.Real
		switch s, is := asked[i]; {
		case is:
			g.Pos, g.Reason = s.Pos, s.Why
		case scalar && (spec.Scalars[i] != "" || !used[i]):
			if !used[i] {
				traced.Free = append(traced.Free, i)
			}
			continue
		}
		if kind == call.Len || kind == call.Key {
			g.Reason = "structure of the arguments"
			structure = append(structure, g)
			continue
		}
		others = append(others, g)
	}
	return structure, others
}

// explainBounds says which conditions are bounds that were learned.
func (t *tracing) explainBounds(gs []guard.Guard, spec *rt.Spec) {
	for sym := range spec.Hints {
		bound := dim.Le(dim.Sym(sym), dim.Const(rt.LearnedBound))
		for i := range gs {
			if gs[i].Cond.Equal(bound) {
				gs[i].Reason = "no call had a large size: a larger one gets a program of its own"
			}
		}
	}
}

// explain gives the guards that stem from decisions of the trace their lines.
func explain(gs []guard.Guard, decided []trace.Condition) {
	for i := range gs {
		for _, d := range decided {
			if gs[i].Cond.Equal(d.Constraint) {
				gs[i].Pos, gs[i].Reason = d.Pos, d.Why
				break
			}
		}
	}
}

// donations finds the parameters whose memory results may take. That nothing else
// lies there is looked at when one does.
func (t *tracing) donations(traced *rt.Traced, c *call.Call) error {
	for _, pattern := range t.f.opts.donate {
		found := false
		for i := range c.Tensors {
			if !rt.MatchPath(pattern, traced.Schema.TensorPath(i)) {
				continue
			}
			found = true
			traced.Donated = append(traced.Donated, i)
		}
		if !found {
			return fmt.Errorf("donate %q: no tensor argument has that path: expected one of %v", pattern, traced.Schema.Tensors)
		}
	}
	return nil
}

// Compile is the walk to a linked program.
func (t *tracing) Compile(ctx context.Context, tr *rt.Traced) (*rt.Compiled, error) {
	f := tr.F
	if tr.Padded != nil {
		f = tr.Padded.F
	}
	c, err := t.f.engine.compile(ctx, f, nil, t.f.engine.limits(&t.f.opts))
	if err != nil {
		return nil, err
	}
	return entryOf(c), nil
}

// entryOf is what the cache needs of a compiled trace.
func entryOf(c *Compiled) *rt.Compiled {
	out := &rt.Compiled{Program: c.Program, Chain: c.Chain, Detail: c}
	if c.Chain != nil {
		out.Program = nil
	}
	for _, r := range c.Report.Regions {
		out.Code += r.Code
	}
	for _, s := range c.Report.Stages {
		out.Cost = append(out.Cost, rt.StageCost{Stage: s.Name, Time: s.Time})
	}
	return out
}
