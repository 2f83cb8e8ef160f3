package jitc

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"unsafe"

	"jitc/ir/call"
	"jitc/ir/tensor"
	rt "jitc/runtime"
	"jitc/trace"
	"jitc/trace/pytree"
)

// activation is one call under way. Activations are used again, each by one call
// at a time, so that a steady call allocates only its results.
type activation struct {
	f      *Traced
	stripe uint32
	sink   pytree.Sink
	call   call.Call
	err    error

	out    pytree.Sink      // what CallInto was given
	held   []*tensor.Tensor // results
	leaves []unsafe.Pointer
}

func newActivation(f *Traced) *activation { return &activation{f: f, stripe: rt.Stripe()} }

// errUnmade is the error of calls of the zero F1, F2, ...
var errUnmade = errors.New("a function without a body: expected one that Func1, Func2, ... made, got its zero value")

// unmade stands for the functions of zero values.
var unmade = sync.OnceValue(func() *Traced {
	f := &Traced{err: errUnmade}
	f.calls.New = func() any { return newActivation(f) }
	return f
})

// noContext is the error of calls without a context.
func noContext(name string) error {
	return fmt.Errorf("@%s: expected a context, got nil (hint: context.Background())", name)
}

// begin starts a call.
func (f *Traced) begin() *activation {
	if f == nil {
		f = unmade()
	}
	return f.calls.Get().(*activation)
}

// flatten adds argument i, which v points at; v does not escape.
func (a *activation) flatten(i int, v unsafe.Pointer) {
	if a.f.err != nil || a.err != nil {
		return
	}
	if err := a.f.plans[i].Flatten(v, &a.sink); err != nil {
		a.err = fmt.Errorf("@%s: argument %s: %w", a.f.name, a.f.names[i], err)
	}
}

// end hands the activation back, without what it pointed at.
func (a *activation) end() {
	a.sink.Reset()
	a.out.Reset()
	clear(a.call.Tensors)
	clear(a.call.Frozen)
	clear(a.held)
	clear(a.leaves)
	a.call.Tensors, a.call.Frozen, a.call.Consts = a.call.Tensors[:0], a.call.Frozen[:0], nil
	a.held, a.leaves, a.err = a.held[:0], a.leaves[:0], nil
	a.f.calls.Put(a)
}

// gather makes a call out of the flattened arguments.
func (a *activation) gather() error {
	if a.f.err != nil {
		return a.f.err
	}
	if a.err != nil {
		return a.err
	}
	c := &a.call
	for _, p := range a.sink.Tensors {
		t := (*trace.Tensor)(p)
		var h *tensor.Tensor
		if t != nil {
			if h = t.Storage(); h == nil {
				return fmt.Errorf("@%s: %w", a.f.name, notConcrete(t))
			}
		}
		c.Tensors = append(c.Tensors, h)
	}
	for _, p := range a.sink.Frozen {
		h := (*frozenHeader)(p)
		if h == nil || h.set == nil {
			return fmt.Errorf("@%s: a frozen argument is nil or empty: expected what Freeze made", a.f.name)
		}
		c.Frozen = append(c.Frozen, h.set)
	}
	c.Consts = a.sink.Consts
	return nil
}

// notConcrete says why a tensor cannot be an argument.
func notConcrete(t *trace.Tensor) error {
	if err := t.Err(); err != nil {
		return err
	}
	if !t.Traced() {
		return errors.New("an empty tensor: expected one that From, FromHost or a call made, got new(Tensor)")
	}
	return errors.New("a compiled function is called while another is traced: expected concrete tensors; call the Go function itself there")
}

// find is the admission for the call. args are where its arguments are, and do
// not escape: only a call that is traced copies them.
func (a *activation) find(ctx context.Context, args []unsafe.Pointer) (*rt.Admission, error) {
	if err := a.gather(); err != nil {
		return nil, err
	}
	if ctx == nil {
		return nil, noContext(a.f.name)
	}
	if ad := a.f.cache.Hit(ctx, &a.call, a.stripe); ad != nil {
		return ad, nil
	}
	if trace.Active() { // who makes a trace may hold what compiling waits for
		ctx = rt.WithStance(ctx, rt.Stance{Mode: rt.ModeReference})
	}
	return a.f.cache.Resolve(ctx, &a.call, a.tracing(args), a.stripe)
}

// tracing copies the arguments, for a call that is traced perhaps.
func (a *activation) tracing(args []unsafe.Pointer) *tracing {
	t := &tracing{f: a.f, args: make([]unsafe.Pointer, len(args))}
	for i, p := range args {
		t.args[i] = a.f.plans[i].Copy(p)
	}
	return t
}

// compute runs the admission, or the one that the call has after all if its
// arguments turn out not to fit.
func (a *activation) compute(ctx context.Context, ad *rt.Admission, results []*tensor.Tensor, args []unsafe.Pointer) (*rt.Admission, []*tensor.Tensor, error) {
	out, err := ad.Run(ctx, &a.call, results, a.f.engine.pool)
	if err == nil {
		return ad, out, nil
	}
	if found, e, ok := a.f.cache.Reconsider(ctx, ad, err, &a.call, a.tracing(args), a.stripe); ok {
		if ad, err = found, e; err == nil {
			out, err = ad.Run(ctx, &a.call, nil, a.f.engine.pool)
		}
	}
	return ad, out, err
}

// run computes the call into new tensors and puts them into the result at out.
func (a *activation) run(ctx context.Context, out unsafe.Pointer, args []unsafe.Pointer) error {
	ad, err := a.find(ctx, args)
	if err != nil {
		return err
	}
	ad, results, err := a.compute(ctx, ad, nil, args)
	if err != nil {
		return err
	}
	return a.deliver(ad, out, results)
}

// deliver wraps results and builds the value that the function returns.
func (a *activation) deliver(ad *rt.Admission, out unsafe.Pointer, results []*tensor.Tensor) error {
	for _, r := range results {
		a.leaves = append(a.leaves, unsafe.Pointer(trace.FromHost(r)))
	}
	return a.f.into.Rebuild(out, ad.Entry.Traced.Data.(*returned).template, a.leaves)
}

// runInto computes the call into the tensors that the result at out has, where
// they are what the call gives and share memory with nothing; else like run.
func (a *activation) runInto(ctx context.Context, out unsafe.Pointer, args []unsafe.Pointer) error {
	if out == nil {
		return fmt.Errorf("@%s: CallInto: expected where to put the result, got nil", a.f.name)
	}
	ad, err := a.find(ctx, args)
	if err != nil {
		return err
	}
	if a.reuse(ad, out) {
		_, err := ad.Run(ctx, &a.call, a.held, a.f.engine.pool)
		if err == nil || !unfit(err) {
			return err
		}
		clear(a.held) // an argument lies there, perhaps: it must not be overwritten
	}
	ad, results, err := a.compute(ctx, ad, nil, args)
	if err != nil {
		return err
	}
	return a.deliver(ad, out, results)
}

// unfit reports whether a run refused its tensors. It is apart because asking
// allocates.
func unfit(err error) bool {
	var b *rt.BufferError
	return errors.As(err, &b)
}

// isOn reports whether a tensor on a device is otherwise of a layout of the host.
func isOn(t *tensor.Tensor, l *tensor.Layout) bool {
	return t.Device() != nil && t.DType() == l.DType && t.SameShape(l.Shape)
}

// reuse collects the tensors of the value at out, and reports whether the call's
// results have their types and structure.
func (a *activation) reuse(ad *rt.Admission, out unsafe.Pointer) bool {
	want := ad.ResultLayouts()
	if want == nil || a.f.into.Flatten(out, &a.out) != nil {
		return false
	}
	shape := ad.Entry.Traced.Data.(*returned)
	if len(a.out.Tensors) != len(want) || len(a.out.Consts) != len(shape.consts) {
		return false
	}
	for i, c := range a.out.Consts {
		if c != shape.consts[i] {
			return false
		}
	}
	for i, p := range a.out.Tensors {
		t := (*trace.Tensor)(p)
		if t == nil {
			return false
		}
		h := t.Storage()
		if h == nil || h.Layout() != want[i] && !isOn(h, want[i]) {
			return false
		}
		a.held = append(a.held, h)
	}
	return true
}
