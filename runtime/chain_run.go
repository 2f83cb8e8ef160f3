package runtime

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"jitc/executors"
	"jitc/ir"
	"jitc/ir/dim"
	"jitc/ir/tensor"
)

// chainRun is one run of a chain.
type chainRun struct {
	c     *Chain
	ctx   context.Context
	slots []*tensor.Tensor // nil before the value exists and after its last use
	given []*tensor.Tensor // by slot: where the caller wants a result; nil if anywhere
	far   []*tensor.Tensor // by slot: a copy of the value at its home
	slabs []*slab          // by slot: the memory of what lies at its home
	kept  keptRanges       // of the chain's parameters
	near  []*device        // on which results may stay
	sizes map[string]int64 // the run's own

	stripe uint32 // of the arenas
}

// run fills the results, in the caller's tensors where they are not nil.
func (c *Chain) run(r *chainRun, args, results []*tensor.Tensor, preset map[string]int64, w executors.Workers) (err error) {
	if w == nil {
		return errors.New("no workers to run on")
	}
	if r.sizes, err = c.bind(args, preset); err != nil {
		return err
	}
	r.slots, r.given = make([]*tensor.Tensor, c.slots), make([]*tensor.Tensor, c.slots)
	r.far, r.slabs = make([]*tensor.Tensor, c.slots), make([]*slab, c.slots)
	defer r.release()
	for i, n := range c.params {
		r.slots[n] = args[i]
	}
	for i, res := range c.results {
		if !res.copied {
			r.given[res.slot] = results[i]
		}
	}
	for k := range c.segments {
		if err := r.segment(k, w); err != nil {
			return err
		}
	}
	return r.finish(results)
}

// bind finds the sizes that the arguments give.
func (c *Chain) bind(args []*tensor.Tensor, preset map[string]int64) (map[string]int64, error) {
	for _, sym := range c.late {
		if _, given := preset[sym]; given {
			return ir.BindSizes(c.f, args, preset) // which says that it is not to be given
		}
	}
	return ir.BindSizes(c.head, args, preset)
}

func (r *chainRun) segment(k int, w executors.Workers) error {
	s := &r.c.segments[k]
	rec, err := s.recording(r.sizes, w.Workers())
	if err != nil {
		return r.blame(k, err)
	}
	in := &inputs{kept: r.keptOf(s), ctx: r.ctx}
	if in.leaves, err = r.arguments(s, in.kept); err != nil {
		return r.wrap(err)
	}
	results, err := r.place(s, rec)
	if err != nil {
		return r.wrap(err)
	}
	if err := rec.run(in, results, w, nil); err != nil {
		return err
	}
	for i, n := range s.results {
		r.slots[n] = results[i]
	}
	for i := range s.definers {
		if err := r.define(&s.definers[i]); err != nil {
			return err
		}
	}
	for _, n := range s.last {
		r.drop(n)
	}
	return nil
}

func (r *chainRun) wrap(err error) error { return fmt.Errorf("@%s: %w", r.c.f.Name, err) }

// keptOf are those of a segment's parameters that sets keep on devices.
func (r *chainRun) keptOf(s *chainSegment) *keptRanges {
	var kept keptRanges
	for i, n := range s.params {
		param := slices.Index(r.c.params, n)
		for _, k := range r.kept {
			if k.param <= param && param < k.param+k.n {
				kept = append(kept, keptRange{i, k.from + param - k.param, 1, k.set})
			}
		}
	}
	return &kept
}

// place makes tensors for a segment's results, or takes the caller's. What belongs on
// a device for the segments that follow is brought to the caller's at the end.
func (r *chainRun) place(s *chainSegment, rec *Recording) ([]*tensor.Tensor, error) {
	out := make([]*tensor.Tensor, len(s.results))
	for i, res := range rec.p.results {
		dt, shape := rec.p.slots[res.slot].typ.DType, rec.shapes[res.slot]
		n := s.results[i]
		if t := r.given[n]; t != nil {
			if err := r.fits(n, t, dt, shape); err != nil {
				return nil, err
			}
		}
		t, err := r.result(n, rec.madeOn(i), dt, shape)
		if err != nil {
			return nil, fmt.Errorf("result %d: %w", i, err)
		}
		out[i] = t
	}
	return out, nil
}

// fits checks the caller's tensor for a result.
func (r *chainRun) fits(slot int, t *tensor.Tensor, dt tensor.DType, shape []int) error {
	i := slices.IndexFunc(r.c.results, func(res chainResult) bool { return res.slot == slot })
	return fitsResult(i, t, dt, shape)
}

func fitsResult(i int, t *tensor.Tensor, dt tensor.DType, shape []int) error {
	e := &BufferError{What: fmt.Sprintf("result %d", i), Expected: fmt.Sprintf("%s%v", dt, shape)}
	switch {
	case t.DType() != dt || !t.SameShape(shape):
		e.Got, e.Hint = fmt.Sprintf("%s%v", t.DType(), t.Shape()), "its size depends on the arguments' elements"
	case !t.IsContiguous():
		e.Got, e.Hint = fmt.Sprintf("one of strides %v", t.Strides()), "results must be contiguous"
	default:
		return nil
	}
	return e
}

// define runs a value that defines sizes. What the function declares of them is
// checked with the next segment, which is recorded for sizes that hold up only.
func (r *chainRun) define(d *chainDefiner) error {
	args := make([]*tensor.Tensor, len(d.args))
	for i, n := range d.args {
		args[i] = r.slots[n]
	}
	args, err := toHost(args)
	if err != nil {
		return r.wrap(fmt.Errorf("%s: %w", d.v.Pos, err))
	}
	if err := ir.Define(d.v, args, r.sizes); err != nil {
		return err
	}
	out, err := ir.EvalValue(d.v, args, r.sizes)
	if err != nil {
		return r.wrap(fmt.Errorf("%s: %w", d.v.Pos, err))
	}
	t := out[0]
	if given := r.given[d.out]; given != nil {
		if err := r.fits(d.out, given, t.DType(), t.Shape()); err != nil {
			return err
		}
		if err := given.CopyFrom(t); err != nil {
			return err
		}
		t = given
	}
	r.slots[d.out] = t
	return nil
}

// blame says which op found the size that segment k cannot have.
func (r *chainRun) blame(k int, err error) error {
	var violation *dim.Violation
	if k == 0 || len(r.c.segments[k-1].Definers) == 0 || !errors.As(err, &violation) {
		return err
	}
	definers := r.c.segments[k-1].Definers
	at := slices.IndexFunc(definers, func(v *ir.Value) bool { return slices.Contains(ir.Defines(v), violation.Sym) })
	if at < 0 {
		at = len(definers) - 1 // a symbol whose equality a definer's breaks
	}
	if e := ir.CheckDefined(definers[at], r.c.segments[k].Program.F.Facts, r.sizes); e != nil {
		return e
	}
	return err
}

// finish gives the results their tensors.
func (r *chainRun) finish(results []*tensor.Tensor) error {
	for i, res := range r.c.results {
		if err := r.deliver(i, res, results); err != nil {
			return err
		}
	}
	return nil
}

func (r *chainRun) deliver(i int, res chainResult, results []*tensor.Tensor) error {
	t := r.slots[res.slot]
	switch {
	case !res.copied && (t == results[i] || results[i] == nil && !r.lent(res.slot)):
		results[i] = t
		return nil
	case results[i] == nil:
		c, err := r.copyOf(t)
		if err != nil {
			return r.wrap(fmt.Errorf("result %d: %w", i, err))
		}
		results[i] = c
		return nil
	}
	if err := fitsResult(i, results[i], t.DType(), t.Shape()); err != nil {
		return err
	}
	return copyTensor(results[i], t)
}

// copyOf is a copy of t where results may stay, else on the host.
func (r *chainRun) copyOf(t *tensor.Tensor) (*tensor.Tensor, error) {
	if d, ok := t.Device().(*device); ok && slices.Contains(r.near, d) {
		return d.copyOf(t)
	}
	h, err := t.ToHost()
	if h == t {
		h = t.Clone()
	}
	return h, err
}

// apart refuses given results that share memory with an argument or another one.
func apart(args, results []*tensor.Tensor) error {
	var spans []span
	add := func(t *tensor.Tensor, who int) {
		b := memoryOf(t)
		if b == nil {
			b = t.Base()
		}
		if len(b) > 0 {
			spans = append(spans, span{address(b), address(b) + uintptr(len(b)), who})
		}
	}
	for i, t := range args {
		if t != nil {
			add(t, ^i)
		}
	}
	for i, t := range results {
		if t == nil {
			return &BufferError{What: fmt.Sprintf("result %d", i), Expected: "a tensor", Got: "nil"}
		}
		add(t, i)
	}
	return overlap(spans)
}
