package native

import (
	"fmt"
	"sync"

	"jitc/executors"
	"jitc/ir"
	"jitc/ir/tensor"
)

// Cumulative reductions are loops of Go on typed memory, in the order of the
// definition:
//
//	%y = cumulative(%x) {axis=1, combine="add"}    x: [outer][size][inner]
//
//	inner = 1    a line at a time: what is carried stays in a register
//	inner > 1    rows of inner elements, each combined with the row before
//
// Work is divided by lines, never along them: results do not depend on the workers.

// newCumulative is the kernel of a region that holds a cumulative reduction alone,
// nil of others.
func newCumulative(region *ir.Func) *cumulativeKernel {
	if len(region.Values) != 1 || region.Values[0].Op != ir.OpCumulative {
		return nil
	}
	bytes, flops := executors.Cost(region)
	return &cumulativeKernel{region.Values[0], executors.Info{Executor: Name, Kind: "cumulative", Bytes: bytes, Flops: flops,
		Detail: "one element after the other; lines are shared out"}}
}

// cumulativeKernel is a region of one cumulative reduction.
type cumulativeKernel struct {
	v    *ir.Value
	info executors.Info
}

// Info describes the kernel.
func (k *cumulativeKernel) Info() executors.Info { return k.info }

// Dump has nothing: there is no code but the executor's.
func (*cumulativeKernel) Dump(string) (string, bool) { return "", false }

// Bind prepares a launch.
func (k *cumulativeKernel) Bind(sizes map[string]int64) (executors.Launch, error) {
	dt := k.v.Type.DType
	shape, err := ir.EvalShape(k.v.Type.Shape, sizes)
	if err != nil {
		return nil, err
	}
	bytes, err := tensor.CheckedBytes(dt, shape)
	if err != nil {
		return nil, err
	}
	axis, elements := int(k.v.Attrs.Int("axis", 0)), bytes/dt.Size()
	l := &cumulativeLaunch{bytes: bytes, elem: dt.Size(), carrier: carriersOf(dt, k.v.Attrs.Str("combine", ""))}
	if elements > 0 {
		l.size = shape[axis]
		l.inner, _ = tensor.CheckedElements(shape[axis+1:]) // a part of what was checked
		l.outer = elements / (l.size * l.inner)
	}
	l.first, l.step = 0, l.inner
	if k.v.Attrs.Bool("reverse", false) {
		l.first, l.step = (l.size-1)*l.inner, -l.inner
	}
	l.runs.New = func() any {
		r := &cumulativeRun{l: l}
		r.each = r.chunk
		return r
	}
	return l, nil
}

// cumulativeLaunch is a cumulative reduction at concrete sizes.
type cumulativeLaunch struct {
	carrier
	outer, size, inner int
	first, step        int // a line: where it begins, and how far its elements are apart
	bytes, elem        int // of the operand, of an element
	runs               sync.Pool
}

// ScratchBytes is none.
func (*cumulativeLaunch) ScratchBytes(int) int { return 0 }

// Chunks is about the most chunks of a run.
func (l *cumulativeLaunch) Chunks() int {
	return min(divUp(l.bytes, cumulativeBytes), l.outer*max(l.columns(), 1))
}

// Run computes the lines.
func (l *cumulativeLaunch) Run(bufs [][]byte, _ []byte, w executors.Workers) error {
	if len(bufs) < 2 || len(bufs[0]) < l.bytes || len(bufs[1]) < l.bytes {
		return fmt.Errorf("BUG: native: a buffer of a cumulative reduction is missing or short")
	}
	if l.bytes == 0 {
		return nil
	}
	r := l.runs.Get().(*cumulativeRun)
	r.src, r.dst = bufs[0][:l.bytes], bufs[1][:l.bytes]
	r.divide(w.Workers())
	for len(r.tiles) < w.Workers() {
		r.tiles = append(r.tiles, tile{})
	}
	if chunks := r.leads * r.parts; chunks == 1 {
		r.chunk(0, 0)
	} else {
		w.Run(chunks, r.each)
	}
	r.src, r.dst = nil, nil
	l.runs.Put(r)
	return nil
}

// cumulativeBytes is what a chunk is worth: it takes a few microseconds.
const cumulativeBytes = 32 << 10

// columns is into how many parts the rows may be divided.
func (l *cumulativeLaunch) columns() int { return l.inner * l.elem / columnBytes }

// cumulativeRun is one run of a launch, in so many chunks: of leading indices, times
// parts of the rows where those are too few for the workers.
type cumulativeRun struct {
	l            *cumulativeLaunch
	src, dst     []byte
	leads, parts int
	each         func(chunk, worker int)
	tiles        []tile // by worker
}

func (r *cumulativeRun) divide(workers int) {
	want := max(min(divUp(r.l.bytes, cumulativeBytes), 4*workers), 1)
	r.leads = min(want, r.l.outer)
	r.parts = max(min(want/r.leads, r.l.columns()), 1)
}

func (r *cumulativeRun) chunk(chunk, worker int) {
	l, t := r.l, &r.tiles[worker]
	lo, hi := share(l.outer, chunk/r.parts, r.leads)
	from, to := share(l.inner, chunk%r.parts, r.parts)
	block := l.size * l.inner
	for i := lo; i < hi; i++ {
		at := i*block + l.first
		if l.inner < fewColumns {
			for j := range l.inner {
				l.line(t, r.dst, r.src, walk{at + j, l.step, l.size})
			}
			continue
		}
		l.rows(t, r.dst, r.src, walk{at + from, l.step, l.size}, to-from)
	}
}

// fewColumns are faster walked down one after the other than row by row.
const fewColumns = 8

// walk is a way along an axis: n elements, so far apart.
type walk struct{ at, step, n int }

// carrier carries what is combined along a line, or along the lines that begin at as
// many elements in a row.
type carrier struct {
	line func(t *tile, dst, src []byte, w walk)
	rows func(t *tile, dst, src []byte, w walk, columns int)
}

// carriers are those of numbers that are calculated with as they are, by
// combination.
type carriers map[string]carrier

func numberCarriers[T number]() carriers {
	return carriers{
		"add": {lineBy(addLine[T]), rowsBy(addInto[T])}, "mul": {lineBy(mulLine[T]), rowsBy(mulInto[T])},
		"min": {lineBy(minLine[T]), rowsBy(minInto[T])}, "max": {lineBy(maxLine[T]), rowsBy(maxInto[T])},
	}
}

var cumulativeCarriers = map[tensor.DType]carriers{
	tensor.F32: numberCarriers[float32](), tensor.F64: numberCarriers[float64](),
	tensor.I8: numberCarriers[int8](), tensor.I16: numberCarriers[int16](), tensor.I32: numberCarriers[int32](), tensor.I64: numberCarriers[int64](),
	tensor.U8: numberCarriers[uint8](), tensor.U16: numberCarriers[uint16](), tensor.U32: numberCarriers[uint32](), tensor.U64: numberCarriers[uint64](),
}

// narrowLines are the lines that floats narrower than f32 are carried along.
var narrowLines = map[string]func(to, from []float32, w walk){
	"add": addLine[float32], "mul": mulLine[float32], "min": minLine[float32], "max": maxLine[float32],
}

// carriersOf are the loops of an element type: of floats narrower than f32 in f32,
// each result rounded once.
func carriersOf(dt tensor.DType, combine string) carrier {
	if c, ok := cumulativeCarriers[dt][combine]; ok {
		return c
	}
	f, ok := narrowFloats[dt]
	if !ok || carries[combine] == nil {
		panic("BUG: native: cumulative " + combine + " of " + dt.String())
	}
	n := narrowCarrier{dt.Size(), f.widen, f.round, carries[combine], narrowLines[combine]}
	return carrier{n.line, n.rows}
}
