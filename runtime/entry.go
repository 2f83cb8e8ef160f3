package runtime

import (
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"jitc/executors"
	"jitc/ir"
	"jitc/ir/call"
	"jitc/ir/tensor"
	"jitc/runtime/guard"
)

// Traced is a trace of a function, and what it is good for.
type Traced struct {
	F       *ir.Func
	Guards  []guard.Guard
	Sources []guard.Source
	Preset  map[string]int64 // symbols that no call gives; may be nil
	// Reals are the constants of a call, by index, that follow its tensors as
	// arguments; Captured are the tensors that follow those.
	Reals    []int
	Free     []int // constants, by index, that the trace never looked at
	Captured []*tensor.Tensor
	Donated  []int   // parameters whose memory results may take
	Padded   *Padded // what is compiled in place of F; nil: F itself
	Schema   *call.Schema
	Data     any // the tracer's own: what results look like
	Cost     []StageCost
}

// Compiled is a trace made ready to run: a program, or a chain of them where
// sizes come from data.
type Compiled struct {
	Program *Program
	Chain   *Chain
	Code    int // bytes of machine code
	Detail  any // the compiler's own account
	Cost    []StageCost
}

// StageCost is the time that one stage took.
type StageCost struct {
	Stage string        `json:"stage"`
	Time  time.Duration `json:"time"` // ns
}

// Tracer makes entries of one function.
type Tracer interface {
	// Schema names the parts of a call.
	Schema(c *call.Call) *call.Schema
	// Trace records the function for a call, with symbols where spec wants them.
	// The call's tensors are valid until it returns.
	Trace(ctx context.Context, c *call.Call, spec *Spec) (*Traced, error)
	Compile(ctx context.Context, t *Traced) (*Compiled, error)
}

// Entry is a trace with its guards, and its program once that is compiled. Safe
// for concurrent use, also after its eviction.
type Entry struct {
	ID     int // counts the entries of a function from 0
	Traced *Traced
	Guards *guard.Set
	Why    []string // why no earlier entry would do; empty for the first

	cache    *Cache
	vars     []*guard.Guard // on globals
	program  atomic.Pointer[Compiled]
	evicted  atomic.Bool
	last     atomic.Int64 // ns after the cache's epoch
	hits     routeCounts
	recent   atomic.Pointer[Admission] // of differentiating calls
	building chan struct{}             // a token while someone compiles

	mu         sync.Mutex // guards what follows; never held while compiling
	cost       []StageCost
	tracing    time.Duration
	compiling  time.Duration // 0 until it is compiled
	recordings map[string]*recorded
}

// recorded is a recording with what eviction needs to know.
type recorded struct {
	rec   *Recording
	key   string
	entry *Entry
	last  atomic.Int64
	pads  sync.Pool // of *padBuffers
}

// Compiled is the entry's program, nil if it is not compiled yet.
func (e *Entry) Compiled() *Compiled { return e.program.Load() }

// compile compiles the entry unless that is done, once.
func (e *Entry) compile(ctx context.Context, t Tracer) (*Compiled, error) {
	if p := e.program.Load(); p != nil {
		return p, nil
	}
	select {
	case e.building <- struct{}{}:
		defer func() { <-e.building }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if p := e.program.Load(); p != nil {
		return p, nil
	}
	start := time.Now()
	p, err := t.Compile(ctx, e.Traced)
	if err != nil {
		return nil, err
	}
	if p.Program != nil && len(e.Traced.Donated) > 0 {
		p.Program = p.Program.Donate(e.Traced.Donated)
	}
	e.mu.Lock()
	e.cost = append(slices.Clone(e.Traced.Cost), p.Cost...)
	e.compiling = time.Since(start)
	e.cache.counts.spent.Add(0, int64(e.compiling))
	e.cache.counts.stages.add(e.cost)
	e.mu.Unlock()
	e.program.Store(p)
	return p, nil
}

// sizes are the values of the symbols for a call that the guards admit.
func (e *Entry) sizes(c *call.Call) (map[string]int64, error) {
	sizes := maps.Clone(e.Traced.Preset)
	if sizes == nil {
		sizes = map[string]int64{}
	}
	return sizes, e.Guards.Sizes(c, sizes)
}

// sizesKey identifies sizes exactly.
func sizesKey(sizes map[string]int64) string {
	var b strings.Builder
	for _, s := range slices.Sorted(maps.Keys(sizes)) {
		b.WriteString(s + "=" + strconv.FormatInt(sizes[s], 10) + " ")
	}
	return b.String()
}

// record returns the recording for sizes, making it if need be.
func (e *Entry) record(p *Program, sizes map[string]int64) (*recorded, error) {
	key := sizesKey(sizes)
	e.mu.Lock()
	r := e.recordings[key]
	e.mu.Unlock()
	if r != nil {
		return r, nil
	}
	rec, err := p.Record(sizes, e.cache.workers)
	if err != nil {
		return nil, err
	}
	r = &recorded{rec: rec, key: key, entry: e}
	e.mu.Lock()
	defer e.mu.Unlock()
	if other := e.recordings[key]; other != nil { // another goroutine was faster
		return other, nil
	}
	e.recordings[key] = r
	return r, nil
}

// arguments are the program's arguments for a call: its tensors, promoted reals,
// captured tensors.
func (t *Traced) arguments(c *call.Call) []*tensor.Tensor {
	args := slices.Clone(c.Tensors)
	for _, f := range c.Frozen {
		args = append(args, f.Tensors...)
	}
	return append(args, t.extra(c)...)
}

// realTensor is a scalar that became an input.
func realTensor(v call.Const) *tensor.Tensor {
	t := tensor.New(tensor.F64)
	b, _ := t.Bytes()
	binary.NativeEndian.PutUint64(b, v.Bits)
	return t
}

// Admission is one exact signature that was proven to belong to an entry, with
// what it runs. Immutable but for its counts; safe for concurrent use.
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
	compiled bool // the run is of the program, not of the trace
	recorded *recorded
	padding  *padding // nil: the arguments are taken as they are
}

// fits reports whether the call's signature is exactly this one.
func (a *Admission) fits(c *call.Call) bool {
	if len(c.Tensors) != len(a.layouts) || len(c.Consts) != len(a.consts) || len(c.Frozen) != len(a.frozen) {
		return false
	}
	layouts := a.layouts[:len(c.Tensors)]
	for i, t := range c.Tensors {
		if t == nil || t.Layout() != layouts[i] {
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
		if sizes, err = pad.bucket(a.Sizes); err != nil {
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
// nil lets it allocate them, in the memory of donated arguments where that can be.
// What it returns are the results.
func (a *Admission) Run(c *call.Call, results []*tensor.Tensor, w executors.Workers) ([]*tensor.Tensor, error) {
	t := a.Entry.Traced
	switch {
	case a.padding != nil:
		return a.runPadded(c, results, w)
	case a.Recording != nil:
		return a.replay(c, results, w)
	}
	if p := a.Entry.program.Load(); p != nil && a.compiled {
		if results != nil {
			return results, p.Chain.RunInto(t.arguments(c), results, a.Sizes, w)
		}
		return p.Chain.Run(t.arguments(c), a.Sizes, w)
	}
	return into(results)(ir.Eval(t.F, t.arguments(c), a.Sizes))
}

// replay runs the recording.
func (a *Admission) replay(c *call.Call, results []*tensor.Tensor, w executors.Workers) ([]*tensor.Tensor, error) {
	extra := a.Entry.Traced.extra(c)
	if results != nil {
		return results, a.Recording.RunCall(c, extra, results, w)
	}
	results = a.Recording.Results()
	if donated := a.Recording.takeDonated(c, results); donated != nil {
		err := a.Recording.RunCall(c, extra, donated, w)
		if shared := a.sharedDonation(c); shared != nil && err != nil {
			return nil, shared
		}
		return donated, err
	}
	return results, a.Recording.RunCall(c, extra, results, w)
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
		if p < 0 || !c.Tensor(p).IsContiguous() {
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
