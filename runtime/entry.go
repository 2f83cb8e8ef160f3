package runtime

import (
	"context"
	"encoding/binary"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"jitc/ir"
	"jitc/ir/call"
	"jitc/ir/tensor"
	"jitc/runtime/guard"
)

// Traced is a trace of a function, and what it is good for. Whoever made it changes
// it no more.
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

// Tracer makes entries of one function, for one call: it is used by the goroutine of
// that call alone.
type Tracer interface {
	// Schema names the parts of a call.
	Schema(c *call.Call) *call.Schema
	// Trace records the function for a call, with symbols where spec wants them.
	// The call's tensors are valid until it returns.
	Trace(ctx context.Context, c *call.Call, spec *Spec) (*Traced, error)
	// Compile makes a trace ready to run; also one that another call's Tracer made.
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

// keptBy are the tensors of frozen sets among the arguments of a call.
func keptBy(c *call.Call) (kept keptRanges) {
	at := len(c.Tensors)
	for _, s := range c.Frozen {
		kept = append(kept, keptRange{at, 0, len(s.Tensors), s})
		at += len(s.Tensors)
	}
	return kept
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
