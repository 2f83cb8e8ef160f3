package jitc

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"jitc/ir"
	"jitc/ir/call"
	"jitc/ir/dim"
	"jitc/ir/tensor"
	rt "jitc/runtime"
	"jitc/runtime/guard"
)

// Function is a trace that can be called. It is compiled once, at the first call,
// for all sizes that its symbols may take; each sizes get a recording with its own
// memory plan. Safe for concurrent use.
type Function struct {
	engine  *Engine
	trace   *ir.Func
	sizes   map[string]int64
	consts  []call.Const // the values of sizes, by name
	cache   *rt.Cache
	schema  *call.Schema
	buckets []rt.PaddedDim
	limits  rt.Limits
	err     error                    // why it cannot be called
	padding func() (*Padding, error) // what the buckets make of the trace, once
	calls   sync.Pool                // of *traceCall

	compiling chan struct{} // holds a token while someone looks at compiled
	compiled  *Compiled
}

// traceCall is what one call of a Function needs; used again.
type traceCall struct {
	call.Call
	stripe uint32
}

// Function makes a trace callable. Nothing is compiled yet. f must not be changed
// from here on. Of the options Bucket, WithLimits and WithStance have a meaning for
// a trace; the others say how Go functions are traced.
func (e *Engine) Function(f *ir.Func, opts ...FuncOption) *Function {
	return e.FunctionAt(f, nil, opts...)
}

// FunctionAt is Function with given values for symbols that no parameter's
// shape mentions alone.
func (e *Engine) FunctionAt(f *ir.Func, sizes map[string]int64, opts ...FuncOption) *Function {
	o, sizes := chosen(opts), maps.Clone(sizes)
	e, unusable := e.usable()
	o.wrong(unusable)
	if f == nil {
		f = &ir.Func{Name: "nil", Facts: dim.NewFacts()}
		o.wrong(errors.New("expected a trace, got nil"))
	}
	if f.Facts != nil { // else compiling says so
		o.checkBuckets(f.Facts.Syms(), "the trace has these")
	}
	fn := &Function{engine: e, trace: f, sizes: sizes, compiling: make(chan struct{}, 1), schema: &call.Schema{},
		buckets: o.buckets, limits: e.limits(&o)}
	if o.err != nil {
		fn.err = fmt.Errorf("@%s: %w", f.Name, o.err)
	}
	fn.padding = sync.OnceValues(func() (*Padding, error) {
		if fn.err != nil {
			return nil, fn.err
		}
		return rewritten(f, o.buckets)
	})
	fn.schema.Tensors = append(fn.schema.Tensors, f.ValueNames(nil)[:len(f.Params)]...)
	for _, s := range slices.Sorted(maps.Keys(sizes)) {
		fn.consts = append(fn.consts, call.IntConst(sizes[s]))
		fn.schema.Consts = append(fn.schema.Consts, call.Place{Path: s, Kind: call.Int})
	}
	fn.cache = e.newCache(f.Name, o)
	fn.calls.New = func() any { return &traceCall{stripe: rt.Stripe()} }
	return fn
}

// Compiled compiles the function if that has not happened, and returns what the
// compiler did. A failed compilation is not kept. A call that waits for another's
// compilation returns ctx's error when ctx ends.
func (fn *Function) Compiled(ctx context.Context) (*Compiled, error) {
	select {
	case fn.compiling <- struct{}{}:
		defer func() { <-fn.compiling }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if fn.compiled == nil {
		f, err := fn.program()
		if err != nil {
			return nil, err
		}
		c, err := fn.engine.compile(ctx, f, nil, fn.limits)
		if err != nil {
			return nil, err
		}
		fn.compiled = c
	}
	return fn.compiled, nil
}

// fromTrace makes the one entry of a Function.
type fromTrace struct{ fn *Function }

// Schema names the parameters.
func (t fromTrace) Schema(*call.Call) *call.Schema { return t.fn.schema }

// Trace is the trace, if the call fits it.
func (t fromTrace) Trace(_ context.Context, c *call.Call, _ *rt.Spec) (*rt.Traced, error) {
	if t.fn.err != nil {
		return nil, t.fn.err
	}
	if _, err := ir.BindSizes(t.fn.trace, c.Tensors, t.fn.sizes); err != nil {
		return nil, err
	}
	return t.traced()
}

// traced is the trace with its guards.
func (t fromTrace) traced() (*rt.Traced, error) {
	gs, sources, err := t.fn.guards()
	if err != nil {
		return nil, err
	}
	tr := &rt.Traced{F: t.fn.trace, Guards: gs, Sources: sources, Preset: t.fn.sizes, Schema: t.fn.schema}
	p, err := t.fn.padding()
	usePadding(tr, p)
	return tr, err
}

// guards are those under which calls may run the trace.
func (fn *Function) guards() ([]guard.Guard, []guard.Source, error) {
	if fn.err != nil {
		return nil, nil, fn.err
	}
	presets := map[string]int{}
	for i, s := range slices.Sorted(maps.Keys(fn.sizes)) {
		presets[s] = i
	}
	return guard.FromFunc(fn.trace, nil, presets)
}

// Compile compiles the trace once.
func (t fromTrace) Compile(ctx context.Context, _ *rt.Traced) (*rt.Compiled, error) {
	c, err := t.fn.Compiled(ctx)
	if err != nil {
		return nil, err
	}
	return entryOf(c), nil
}

// Lookup returns the admission of arguments: their entry, and its recording at
// their sizes, which it makes if need be.
func (fn *Function) Lookup(ctx context.Context, args ...*tensor.Tensor) (*rt.Admission, error) {
	c := fn.begin(args)
	defer fn.end(c)
	return fn.find(ctx, c)
}

func (fn *Function) begin(args []*tensor.Tensor) *traceCall {
	c := fn.calls.Get().(*traceCall)
	c.Tensors = append(c.Tensors, args...)
	c.Consts = fn.consts
	return c
}

func (fn *Function) end(c *traceCall) {
	clear(c.Tensors)
	c.Tensors = c.Tensors[:0]
	fn.calls.Put(c)
}

func (fn *Function) find(ctx context.Context, c *traceCall) (*rt.Admission, error) {
	if ctx == nil {
		return nil, noContext(fn.trace.Name)
	}
	if a := fn.cache.Hit(ctx, &c.Call, c.stripe); a != nil {
		return a, nil
	}
	return fn.cache.Resolve(ctx, &c.Call, fromTrace{fn}, c.stripe)
}

// Call computes the function on arguments, in parameter order, into new tensors.
// ctx carries the stance, and ends waiting, compiling, and loops between two iterations.
func (fn *Function) Call(ctx context.Context, args ...*tensor.Tensor) ([]*tensor.Tensor, error) {
	return fn.run(ctx, nil, args)
}

// CallInto is Call into given results: contiguous tensors of the result types
// that share memory with nothing else. A steady call allocates nothing.
func (fn *Function) CallInto(ctx context.Context, results, args []*tensor.Tensor) error {
	if results == nil {
		results = []*tensor.Tensor{}
	}
	_, err := fn.run(ctx, results, args)
	return err
}

func (fn *Function) run(ctx context.Context, results, args []*tensor.Tensor) ([]*tensor.Tensor, error) {
	c := fn.begin(args)
	defer fn.end(c)
	a, err := fn.find(ctx, c)
	if err != nil {
		return nil, err
	}
	out, err := a.Run(ctx, &c.Call, results, fn.engine.pool)
	if b, e, ok := fn.reconsider(ctx, a, err, c); ok {
		if e != nil {
			return nil, e
		}
		return b.Run(ctx, &c.Call, results, fn.engine.pool)
	}
	return out, err
}

// reconsider finds another admission if err says that a does not fit the call.
func (fn *Function) reconsider(ctx context.Context, a *rt.Admission, err error, c *traceCall) (*rt.Admission, error, bool) {
	if err == nil {
		return nil, nil, false
	}
	return fn.cache.Reconsider(ctx, a, err, &c.Call, fromTrace{fn}, c.stripe)
}

// Stats counts what happened to the function's entries.
func (fn *Function) Stats() rt.CacheStats { return fn.cache.Stats() }

// SetStance is the stance of calls whose context has none.
func (fn *Function) SetStance(s Stance) { fn.cache.SetStance(s) }
