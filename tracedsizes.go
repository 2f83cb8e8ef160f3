package jitc

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"

	"jitc/ir/call"
	"jitc/ir/dim"
	"jitc/ir/tensor"
	rt "jitc/runtime"
	"jitc/runtime/guard"
)

// Sizes finds the classes of sizes of a Go function, for arguments of the
// structure of args, the values of the function's arguments. Symbols are what
// marks and the calls so far made of sizes and Ints. It traces and compiles the
// function at the smallest member of each class, from tensors made for that
// alone, and keeps nothing: a branch such as
//
//	if x.Size(0).Less(8) { ... }
//
// makes two classes of the sizes of x. Without a symbol there is one class. The
// sizes are those that the program computes with: buckets are not looked at.
func (f *Traced) Sizes(ctx context.Context, args ...any) (*SizeClasses, error) {
	t, c, err := f.example(args)
	if err != nil {
		return nil, err
	}
	x := &tracedSizes{t: t, base: c, preview: f.cache.Preview(), ctx: ctx}
	if x.spec, err = x.preview.Spec(c, t.Schema(c)); err != nil {
		return nil, err
	}
	return exploreSizes(ctx, x.spec.Facts, x.at)
}

// example flattens arguments given as values.
func (f *Traced) example(args []any) (*tracing, *call.Call, error) {
	if len(args) != len(f.types) {
		return nil, nil, fmt.Errorf("@%s: expected %d arguments, got %d", f.name, len(f.types), len(args))
	}
	t, a := &tracing{f: f}, newActivation(f)
	for i, arg := range args {
		v := reflect.ValueOf(arg)
		if !v.IsValid() || !v.Type().AssignableTo(f.types[i]) {
			return nil, nil, fmt.Errorf("@%s: argument %s: expected a %s, got %T", f.name, f.names[i], f.types[i], arg)
		}
		p := reflect.New(f.types[i])
		p.Elem().Set(v)
		t.args = append(t.args, p.UnsafePointer())
		a.flatten(i, p.UnsafePointer())
	}
	if err := a.gather(); err != nil {
		return nil, nil, err
	}
	if i := slices.Index(a.call.Tensors, nil); i >= 0 {
		return nil, nil, fmt.Errorf("@%s: %s: expected a tensor, got nil", f.name, t.Schema(&a.call).TensorPath(i))
	}
	return t, &a.call, nil
}

// tracedSizes traces one function at several sizes.
type tracedSizes struct {
	ctx     context.Context
	t       *tracing
	base    *call.Call
	preview *rt.Preview
	spec    *rt.Spec // of base
	known   []tracedProgram
}

// tracedProgram is a trace of the function with what became of it.
type tracedProgram struct {
	trace    *rt.Traced
	facts    *dim.Facts // of input sizes; its conditions among them
	compiled *Compiled
}

// at is what the function's program depends on at sizes.
func (x *tracedSizes) at(sizes map[string]int64) ([]Choice, error) {
	p, err := x.program(sizes)
	if err != nil {
		return nil, err
	}
	own, err := p.compiled.Choices(sizes)
	return append(p.decisions(x.spec.Facts), own...), err
}

// program is the one that a call of these sizes would run.
func (x *tracedSizes) program(sizes map[string]int64) (*tracedProgram, error) {
	for i := range x.known {
		if x.known[i].facts.Check(sizes) == nil {
			return &x.known[i], nil
		}
	}
	c, err := x.sized(sizes)
	if err != nil {
		return nil, err
	}
	spec, err := x.preview.Spec(c, x.t.Schema(c))
	if err != nil {
		return nil, err
	}
	tr, err := x.t.Trace(x.ctx, c, spec)
	if err != nil {
		return nil, err
	}
	facts, err := inputFacts(tr.F, nil)
	if err != nil {
		return nil, err
	}
	compiled, err := x.t.f.engine.Compile(x.ctx, tr.F, nil)
	if err != nil {
		return nil, err
	}
	x.known = append(x.known, tracedProgram{tr, facts, compiled})
	return &x.known[len(x.known)-1], nil
}

// decisions are what the trace decided by the sizes at hand: with the guard that
// tells the line where there is one.
func (p *tracedProgram) decisions(given *dim.Facts) []Choice {
	var out []Choice
	for _, c := range p.facts.Constraints() {
		if holds, known := given.Decide(c); known && holds {
			continue
		}
		choice := Choice{What: "a size that the trace depends on", Conds: []dim.Constraint{c}, By: "trace", Count: 1}
		for i := range p.trace.Guards {
			if g := &p.trace.Guards[i]; (g.Kind == guard.Cond || g.Kind == guard.Size) && g.Cond.Equal(c) && g.Reason != "" {
				choice.What, choice.At = g.Reason, g.Pos
			}
		}
		out = append(out, choice)
	}
	return out
}

// sized is the call with the symbols' sizes changed. Its tensors have one
// element's memory each, and no contents: a trace looks at their types only.
func (x *tracedSizes) sized(sizes map[string]int64) (*call.Call, error) {
	c := &call.Call{Consts: slices.Clone(x.base.Consts)}
	var err error
	resize := func(t *tensor.Tensor, i int) *tensor.Tensor {
		shape, changed := slices.Clone(t.Shape()), false
		for axis, sym := range x.spec.Sizes[i] {
			if n, ok := sizes[sym]; ok {
				changed = changed || int64(shape[axis]) != n
				shape[axis] = int(n)
			}
		}
		if !changed {
			return t
		}
		made, e := tensor.Strided(t.DType(), shape, make([]int, len(shape)))
		err = errors.Join(err, e)
		return made
	}
	n := 0
	for _, t := range x.base.Tensors {
		c.Tensors = append(c.Tensors, resize(t, n))
		n++
	}
	for _, f := range x.base.Frozen {
		ts := make([]*tensor.Tensor, len(f.Tensors))
		for i, t := range f.Tensors {
			ts[i] = resize(t, n)
			n++
		}
		c.Frozen = append(c.Frozen, call.NewFrozen(ts, f.Consts))
	}
	for i, sym := range x.spec.Scalars[:len(c.Consts)] {
		if v, ok := sizes[sym]; ok {
			c.Consts[i] = call.IntConst(v)
		}
	}
	return c, err
}
