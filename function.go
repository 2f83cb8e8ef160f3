package jitc

import (
	"context"
	"fmt"

	"jitc/ir"
	"jitc/ir/tensor"
	rt "jitc/runtime"
)

// Function is a trace that can be called. It is compiled once, at the first
// call, for all sizes that its symbols may take; each exact signature of
// arguments gets an entry with its own memory plan.
type Function struct {
	engine *Engine
	trace  *ir.Func
	sizes  map[string]int64
	cache  *rt.Cache

	compiling chan struct{} // holds a token while someone looks at compiled
	compiled  *Compiled
}

// Function makes a trace callable. Nothing is compiled yet.
func (e *Engine) Function(f *ir.Func) *Function { return e.FunctionAt(f, nil) }

// FunctionAt is Function with given values for symbols that no parameter's
// shape mentions alone.
func (e *Engine) FunctionAt(f *ir.Func, sizes map[string]int64) *Function {
	fn := &Function{engine: e, trace: f, sizes: sizes, compiling: make(chan struct{}, 1)}
	fn.cache = rt.NewCache(e.opts.Entries, fn.record)
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
		c, err := fn.engine.Compile(ctx, fn.trace, nil)
		if err != nil {
			return nil, err
		}
		fn.compiled = c
	}
	return fn.compiled, nil
}

// record builds the entry of a signature: a miss of the cache.
func (fn *Function) record(ctx context.Context, args []*tensor.Tensor) (*rt.Recording, error) {
	sizes, err := ir.BindSizes(fn.trace, args, fn.sizes)
	if err != nil {
		return nil, err
	}
	c, err := fn.Compiled(ctx)
	if err != nil {
		return nil, err
	}
	return c.Program.Record(sizes, fn.engine.pool.Workers())
}

// Lookup returns the entry for arguments, building it if need be.
func (fn *Function) Lookup(ctx context.Context, args ...*tensor.Tensor) (*rt.Entry, error) {
	for i, a := range args {
		if a == nil {
			return nil, fmt.Errorf("@%s: argument %d is nil", fn.trace.Name, i)
		}
	}
	return fn.cache.Lookup(ctx, args)
}

// Call computes the function on arguments, in parameter order, into new tensors.
func (fn *Function) Call(ctx context.Context, args ...*tensor.Tensor) ([]*tensor.Tensor, error) {
	entry, err := fn.Lookup(ctx, args...)
	if err != nil {
		return nil, err
	}
	results := entry.Recording.Results()
	if err := entry.Recording.Run(args, results, fn.engine.pool); err != nil {
		return nil, err
	}
	return results, nil
}

// CallInto is Call into given results: contiguous tensors of the result types
// that share memory with nothing else. A steady call allocates nothing.
func (fn *Function) CallInto(ctx context.Context, results, args []*tensor.Tensor) error {
	entry, err := fn.Lookup(ctx, args...)
	if err != nil {
		return err
	}
	return entry.Recording.Run(args, results, fn.engine.pool)
}

// Stats counts what happened to the function's entries.
func (fn *Function) Stats() rt.CacheStats { return fn.cache.Stats() }
