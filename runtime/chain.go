package runtime

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"sync"
	"time"
	"unsafe"

	"jitc/executors"
	"jitc/ir"
	"jitc/ir/tensor"
)

// ChainSegment is one program of a chain, and the values that give the programs
// after it their sizes.
type ChainSegment struct {
	// Program computes Results from Params. Its facts are about the sizes known
	// when the segment begins. It may have no steps and no results.
	Program *Program
	// Params and Results are the values of the chain's function that the program's
	// parameters and results stand for.
	Params, Results []*ir.Value
	// Definers are values of the chain's function, in order; the last segment has
	// none.
	Definers []*ir.Value
}

// Chain runs a function whose sizes depend on data: segments one after the other,
// each at sizes that the ones before it found.
//
//	args -> [program 0] -> nonzero: U = 17 -> [program 1 at U=17] -> results
//
// Each segment keeps recordings by exact sizes, least recently used out first.
// Values that cross from segment to segment live until their last reader has run,
// on a device where that computes and reads them: see chainHomes. Immutable but for
// these recordings; safe for concurrent use.
type Chain struct {
	f        *ir.Func
	head     *ir.Func // f's parameters with what is known of the sizes at the start
	segments []chainSegment
	params   []int // slot of each parameter of f
	results  []chainResult
	slots    int
	homes    []*device // by slot; nil for the host
	late     []string  // the symbols that definers give values
}

// chainSegment is a ChainSegment with values as slots of a run.
type chainSegment struct {
	ChainSegment
	params, results []int
	definers        []chainDefiner
	last            []int    // slots that nothing behind this segment reads
	syms            []string // the sizes that the program's facts are about
	recordings      *memo[string, *Recording]
}

type chainDefiner struct {
	v    *ir.Value
	args []int
	out  int
}

// chainResult is a result of the chain. It is copied where its slot is an argument
// or an earlier result too.
type chainResult struct {
	slot   int
	copied bool
}

// NewChain links segments that together compute f, each keeping at most entries
// recordings (below 1 counts as 1). Every value that a segment reads is a parameter
// of f, a result of an earlier segment or one of its definers.
func NewChain(f *ir.Func, segments []ChainSegment, entries int) (*Chain, error) {
	if len(segments) == 0 {
		return nil, fmt.Errorf("@%s: a chain needs at least one segment", f.Name)
	}
	l := &chainLinker{c: &Chain{f: f}, slotOf: map[*ir.Value]int{}}
	for _, p := range f.Params {
		l.c.params = append(l.c.params, l.add(p))
	}
	for k, s := range segments {
		if err := l.segment(s, entries); err != nil {
			return nil, fmt.Errorf("@%s: segment %d: %w", f.Name, k, err)
		}
	}
	if n := len(segments) - 1; len(segments[n].Definers) > 0 {
		return nil, fmt.Errorf("@%s: nothing checks the sizes that the last segment defines: add one without values", f.Name)
	}
	if err := l.results(); err != nil {
		return nil, err
	}
	l.lifetimes()
	l.c.homes = l.c.chainHomes()
	l.c.head = &ir.Func{Name: f.Name, Params: f.Params, Facts: segments[0].Program.F.Facts, NumIDs: f.NumIDs}
	return l.c, nil
}

type chainLinker struct {
	c      *Chain
	slotOf map[*ir.Value]int
}

func (l *chainLinker) add(v *ir.Value) int {
	n := l.c.slots
	l.slotOf[v] = n
	l.c.slots++
	return n
}

// find lists the slots of values that exist already.
func (l *chainLinker) find(values []*ir.Value) ([]int, error) {
	slots := make([]int, len(values))
	for i, v := range values {
		n, ok := l.slotOf[v]
		if !ok {
			return nil, fmt.Errorf("it reads the value of %s at %s, which nothing before it computes", v.Op, v.Pos)
		}
		slots[i] = n
	}
	return slots, nil
}

func (l *chainLinker) segment(s ChainSegment, entries int) (err error) {
	c := chainSegment{ChainSegment: s, syms: s.Program.F.Facts.Syms(), recordings: newMemo[string, *Recording](entries, nil)}
	if c.params, err = l.find(s.Params); err != nil {
		return err
	}
	if p, r := len(s.Program.F.Params), len(s.Program.F.Results); p != len(s.Params) || r != len(s.Results) {
		return fmt.Errorf("expected %d parameters and %d results, as the program has, got %d and %d", p, r, len(s.Params), len(s.Results))
	}
	for _, v := range s.Results {
		c.results = append(c.results, l.add(v))
	}
	for _, v := range s.Definers {
		args, err := l.find(v.Args)
		if err != nil {
			return err
		}
		c.definers = append(c.definers, chainDefiner{v, args, l.add(v)})
		l.c.late = append(l.c.late, ir.Defines(v)...)
	}
	l.c.segments = append(l.c.segments, c)
	return nil
}

func (l *chainLinker) results() error {
	slots, err := l.find(l.c.f.Results)
	if err != nil {
		return fmt.Errorf("@%s: its results: %w", l.c.f.Name, err)
	}
	for i, n := range slots {
		l.c.results = append(l.c.results, chainResult{n, n < len(l.c.params) || slices.Contains(slots[:i], n)})
	}
	return nil
}

// lifetimes finds where slots are read last. Results live on.
func (l *chainLinker) lifetimes() {
	last := make([]int, l.c.slots)
	for k, s := range l.c.segments {
		for _, n := range slices.Concat(s.params, s.results) {
			last[n] = k
		}
		for _, d := range s.definers {
			for _, n := range append(slices.Clone(d.args), d.out) {
				last[n] = k
			}
		}
	}
	for _, r := range l.c.results {
		last[r.slot] = len(l.c.segments)
	}
	for n, k := range last {
		if k < len(l.c.segments) {
			l.c.segments[k].last = append(l.c.segments[k].last, n)
		}
	}
}

// Segments are the chain's segments, in order; not to be changed.
func (c *Chain) Segments() []ChainSegment {
	out := make([]ChainSegment, len(c.segments))
	for k := range c.segments {
		out[k] = c.segments[k].ChainSegment
	}
	return out
}

var sizeKeys = sync.Pool{New: func() any { return new([]byte) }}

// appendKey appends the sizes that a recording of the segment is for: those that
// have values, told from those that follow from others, and the workers.
func (s *chainSegment) appendKey(b []byte, sizes map[string]int64, workers int) []byte {
	b = binary.AppendUvarint(b, uint64(workers))
	for _, sym := range s.syms {
		if n, ok := sizes[sym]; ok {
			b = binary.AppendUvarint(append(b, 1), uint64(n))
		} else {
			b = append(b, 0)
		}
	}
	return b
}

// recording finds or makes the segment's recording at these sizes: it is there only
// if they hold up to the facts.
func (s *chainSegment) recording(sizes map[string]int64, workers int) (*Recording, error) {
	buf := sizeKeys.Get().(*[]byte)
	defer sizeKeys.Put(buf)
	*buf = s.appendKey((*buf)[:0], sizes, workers)
	if r, ok := s.recordings.find(unsafe.String(unsafe.SliceData(*buf), len(*buf))); ok { // find keeps no key
		return r, nil
	}
	r, _, err := s.recordings.get(context.Background(), string(*buf), func() (*Recording, error) {
		return s.Program.Record(sizes, workers)
	})
	return r, err
}

// SegmentStats counts what a segment of a chain did.
type SegmentStats struct {
	Steps      int           `json:"steps"`      // kernels
	Definers   int           `json:"definers"`   // sizes found behind it
	Recordings int           `json:"recordings"` // kept now
	Hits       int64         `json:"hits"`       // runs at sizes that were recorded, or being recorded
	Misses     int64         `json:"misses"`
	Evicted    int64         `json:"evicted"`
	Bytes      int           `json:"bytes"`             // the most that a kept recording takes while it runs
	Devices    int           `json:"devices,omitempty"` // the same of the memory of devices
	Record     time.Duration `json:"record"`            // spent on recordings, in ns
}

// Stats counts what the segments did so far.
func (c *Chain) Stats() []SegmentStats {
	out := make([]SegmentStats, len(c.segments))
	for k := range c.segments {
		s := &c.segments[k]
		n, kept := s.recordings.stats()
		out[k] = SegmentStats{Steps: len(s.Program.Steps), Definers: len(s.definers), Recordings: kept,
			Hits: n.hits, Misses: n.misses, Evicted: n.evicted, Record: n.spent}
		for _, r := range s.recordings.values() {
			out[k].Bytes = max(out[k].Bytes, r.Arena+r.Scratch)
			out[k].Devices = max(out[k].Devices, r.onDevices())
		}
	}
	return out
}

// Run computes the chain on args, of the types of f's parameters, into new
// tensors: on a device if that computes them and an argument lies there, else on the
// host. sizes gives the values of symbols that no parameter's shape mentions;
// it may be nil. Arguments that do not fit are a *ir.BindError. Sizes that data
// gives and that f does not allow are a *ir.DefineError, with the position of the
// op that found them.
func (c *Chain) Run(args []*tensor.Tensor, sizes map[string]int64, w executors.Workers) ([]*tensor.Tensor, error) {
	return c.runCall(context.Background(), args, nil, len(args), sizes, w, nil)
}

// RunInto is Run into given tensors: contiguous, of the types that the results
// turn out to have, sharing memory with nothing else, anywhere. A result that does not fit is
// a *BufferError; after an error, the results' elements are undefined.
func (c *Chain) RunInto(args, results []*tensor.Tensor, sizes map[string]int64, w executors.Workers) error {
	return c.runInto(context.Background(), args, results, sizes, w, nil)
}

// runCall is Run, or RunInto where there are results, for a call of which the first
// leaves arguments say where results may stay.
func (c *Chain) runCall(ctx context.Context, args, results []*tensor.Tensor, leaves int, sizes map[string]int64, w executors.Workers, kept keptRanges) ([]*tensor.Tensor, error) {
	if results != nil {
		return results, c.runInto(ctx, args, results, sizes, w, kept)
	}
	results = make([]*tensor.Tensor, len(c.results))
	return results, c.run(&chainRun{c: c, ctx: ctx, kept: kept, near: devicesOf(args[:min(leaves, len(args))])}, args, results, sizes, w)
}

func (c *Chain) runInto(ctx context.Context, args, results []*tensor.Tensor, sizes map[string]int64, w executors.Workers, kept keptRanges) error {
	if err := count("results", len(results), len(c.results)); err != nil {
		return err
	}
	if err := apart(args, results); err != nil {
		return err
	}
	return c.run(&chainRun{c: c, ctx: ctx, kept: kept}, args, slices.Clone(results), sizes, w)
}
