package runtime

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"jitc/executors"
	"jitc/ir"
	"jitc/ir/call"
	"jitc/ir/tensor"
	"jitc/runtime/guard"
)

// Admission is one exact signature that was proven to belong to an entry, with
// what it runs. Immutable but for its counts, its map too; safe for concurrent use.
type Admission struct {
	Entry     *Entry
	Recording *Recording // nil for a chain of programs and for an entry that is evaluated by reference
	Sizes     map[string]int64
	Bind      time.Duration // to make the recording, or to find it

	hash     uint64
	layouts  []*tensor.Layout // of the call's own tensors
	consts   []call.Const
	frozen   []uint64
	values   []int64 // of the symbols, in the order of the entry's sources
	free     []int   // constants that are inputs or not looked at: not compared
	epoch    atomic.Uint64
	differs  atomic.Int32 // the tensor that a call was told by: others differ there too, mostly
	compiled bool         // the run is of the program, not of the trace
	recorded *recorded
	padding  *padding // nil: the arguments are taken as they are
}

// fits reports whether the call's signature is exactly this one.
func (a *Admission) fits(c *call.Call) bool {
	if len(c.Tensors) != len(a.layouts) || len(c.Consts) != len(a.consts) || len(c.Frozen) != len(a.frozen) {
		return false
	}
	layouts := a.layouts[:len(c.Tensors)]
	if i := int(a.differs.Load()); i < len(layouts) && (c.Tensors[i] == nil || c.Tensors[i].Layout() != layouts[i]) {
		return false
	}
	for i, t := range c.Tensors {
		if t == nil || t.Layout() != layouts[i] {
			a.differs.Store(int32(i))
			return false
		}
	}
	for i, f := range c.Frozen {
		if f.ID != a.frozen[i] {
			return false
		}
	}
	return a.fitsConsts(c.Consts)
}

func (a *Admission) fitsConsts(cs []call.Const) bool {
	if len(a.free) == 0 {
		for i := range cs {
			if cs[i] != a.consts[i] {
				return false
			}
		}
		return true
	}
	for i := range cs {
		if cs[i] != a.consts[i] && !slices.Contains(a.free, i) {
			return false
		}
	}
	return true
}

// current reports whether the guarded globals still have the entry's values.
func (a *Admission) current(c *call.Call) bool {
	if len(a.Entry.vars) == 0 {
		return true
	}
	now := call.Epoch()
	if a.epoch.Load() == now {
		return true
	}
	for _, g := range a.Entry.vars {
		if !g.Holds(c) {
			return false
		}
	}
	a.epoch.Store(now)
	return true
}

// Results allocates tensors for the results; nil where their sizes come from data.
func (a *Admission) Results() []*tensor.Tensor {
	if a.Recording == nil {
		return nil
	}
	return a.Recording.Results()
}

// bind finds or makes the recording at the admission's sizes, or at those that they
// are padded to.
func (a *Admission) bind(p *Program) (err error) {
	start, sizes := time.Now(), a.Sizes
	if pad := a.Entry.Traced.Padded; pad != nil {
		if sizes, err = pad.Bucket(a.Sizes); err != nil {
			return err
		}
		if a.padding, err = pad.padding(a.Sizes, sizes); err != nil {
			return err
		}
	}
	if a.recorded, err = a.Entry.record(p, sizes); err != nil {
		return err
	}
	a.Recording, a.Bind = a.recorded.rec, time.Since(start)
	return nil
}

// ResultLayouts are the layouts of the results; nil where their sizes come from
// data, and where nothing is compiled.
func (a *Admission) ResultLayouts() []*tensor.Layout {
	switch {
	case a.Recording == nil:
		return nil
	case a.padding != nil:
		return a.padding.resultLayouts(a.Recording)
	}
	return a.Recording.ResultLayouts()
}

// Run computes the entry for the call it was admitted for, into results, which
// are contiguous tensors of the result types that share memory with nothing else;
// nil lets it allocate them, in the memory of donated arguments where that can be,
// and on a device if that computes them and an argument of the call, frozen ones included, lies there.
// What it returns are the results. ctx may end it between two iterations of a loop
// that is compiled: the error is then its cause, and the elements of the results, and so of donated
// arguments, are undefined.
func (a *Admission) Run(ctx context.Context, c *call.Call, results []*tensor.Tensor, w executors.Workers) ([]*tensor.Tensor, error) {
	t := a.Entry.Traced
	switch {
	case a.padding != nil:
		return a.runPadded(ctx, c, results, w)
	case a.Recording != nil:
		return a.replay(ctx, c, results, w)
	}
	if p := a.Entry.program.Load(); p != nil && a.compiled {
		return p.Chain.runCall(ctx, t.arguments(c), results, c.NumTensors(), a.Sizes, w, keptBy(c))
	}
	return a.evaluate(c, results)
}

// evaluate computes the trace by reference. What the evaluation gives may be an
// argument, a constant of the trace or the same tensor twice: results are none of
// these.
func (a *Admission) evaluate(c *call.Call, results []*tensor.Tensor) ([]*tensor.Tensor, error) {
	t := a.Entry.Traced
	args, err := toHost(t.arguments(c))
	if err != nil {
		return nil, fmt.Errorf("@%s: %w", t.F.Name, err)
	}
	got, err := ir.Eval(t.F, args, a.Sizes)
	for i, x := range got {
		got[i] = x.Clone()
	}
	return into(results)(got, err)
}

// replay runs the recording.
func (a *Admission) replay(ctx context.Context, c *call.Call, results []*tensor.Tensor, w executors.Workers) ([]*tensor.Tensor, error) {
	r, extra := a.Recording, a.Entry.Traced.extra(c)
	if results != nil {
		return results, r.runCall(ctx, c, extra, results, w)
	}
	if r.devices == nil {
		results = r.Results()
	} else {
		var err error
		if results, err = r.resultsFor(c); err != nil {
			return nil, err
		}
	}
	if donated := r.takeDonated(c, results); donated != nil {
		err := r.runCall(ctx, c, extra, donated, w)
		if shared := a.sharedDonation(c); shared != nil && err != nil {
			return nil, shared
		}
		return donated, err
	}
	return results, r.runCall(ctx, c, extra, results, w)
}

// sharedDonation is the error for a donated argument that shares memory with
// another one, nil if none does.
func (a *Admission) sharedDonation(c *call.Call) error {
	t := a.Entry.Traced
	for _, i := range t.Donated {
		for j := range c.NumTensors() {
			g := guard.Guard{Kind: guard.Disjoint, Arg: i, Axis: j}
			if i != j && !g.Holds(c) {
				return &BufferError{What: "donated " + t.Schema.TensorPath(i), Expected: "memory that no other argument has",
					Got: "that of " + t.Schema.TensorPath(j), Hint: "results are computed in it: give a copy"}
			}
		}
	}
	return nil
}

// takeDonated puts arguments in the place of the results that may have their
// memory; nil if there are none.
func (r *Recording) takeDonated(c *call.Call, results []*tensor.Tensor) []*tensor.Tensor {
	var out []*tensor.Tensor
	for i, p := range r.Donated() {
		if p < 0 || !c.Tensor(p).IsContiguous() || !sameDevice(c.Tensor(p), results[i]) {
			continue
		}
		if out == nil {
			out = slices.Clone(results)
		}
		out[i] = c.Tensor(p)
	}
	return out
}

// extra are the arguments that the call's tensors do not give.
func (t *Traced) extra(c *call.Call) []*tensor.Tensor {
	if len(t.Reals) == 0 {
		return t.Captured
	}
	out := make([]*tensor.Tensor, 0, len(t.Reals)+len(t.Captured))
	for _, i := range t.Reals {
		v, _ := c.Const(i)
		out = append(out, realTensor(v))
	}
	return append(out, t.Captured...)
}

// into copies computed tensors to where the caller wants them, if he said so.
func into(results []*tensor.Tensor) func(got []*tensor.Tensor, err error) ([]*tensor.Tensor, error) {
	return func(got []*tensor.Tensor, err error) ([]*tensor.Tensor, error) {
		if err != nil || results == nil {
			return got, err
		}
		if len(results) != len(got) {
			return nil, count("results", len(results), len(got))
		}
		for i, r := range results {
			if r == nil || r.DType() != got[i].DType() || !r.SameShape(got[i].Shape()) {
				return nil, &BufferError{What: fmt.Sprintf("result %d", i),
					Expected: fmt.Sprintf("%s%v", got[i].DType(), got[i].Shape()), Got: tensorText(r)}
			}
			if err := r.CopyFrom(got[i]); err != nil {
				return nil, err
			}
		}
		return results, nil
	}
}
