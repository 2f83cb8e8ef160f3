package native

import (
	"fmt"
	"maps"
	"math"
	"sync"
	"unsafe"

	"jitc/codegen"
	"jitc/codegen/x64/gemm"
	"jitc/executors"
	"jitc/executors/native/exec"
)

// launch is a kernel of machine code at concrete sizes.
//
// Its scratch, each part a multiple of 64 bytes:
//
//	temporaries | the product's scratch, of the step that needs most |
//	worker 0: argument block, row buffers | worker 1: ...
type launch struct {
	k     *kernel
	b     *codegen.Bound
	sizes map[string]int64 // that it is bound to
	steps []boundStep
	given []int  // buffers of the caller
	temp  []part // temporaries
	row   []part // in each worker's rows
	temps int    // bytes of all temporaries
	rows  int    // bytes of a worker's row buffers
	args  int    // bytes of the largest argument block
	runs  sync.Pool
}

// boundStep is one step ready to run.
type boundStep struct {
	leaf
	nest     *codegen.BoundNest
	chunking codegen.Chunking
	template []byte // argument block, complete but for addresses and place

	product *gemm.Plan // of a product; the rest is then its epilogue's
	gemm    *codegen.BoundGemm
}

const alignment = 64

func alignUp(n int) int { return (n + alignment - 1) &^ (alignment - 1) }

func (k *kernel) bindCode(b *codegen.Bound, sizes map[string]int64) (executors.Launch, error) {
	l := &launch{k: k, b: b, sizes: maps.Clone(sizes), steps: make([]boundStep, len(b.Steps)), given: callers(b.Kernel)}
	l.temp, l.temps = layOut(b, codegen.Temp)
	l.row, l.rows = layOut(b, codegen.Row)
	for i := range b.Steps {
		if err := l.bindStep(i); err != nil {
			return nil, err
		}
	}
	l.runs.New = func() any { return newRun(l) }
	return l, nil
}

func (l *launch) bindStep(i int) error {
	s, code := &l.steps[i], l.k.steps[i]
	s.leaf = code.leaf
	l.args = max(l.args, alignUp(s.code.ArgsSize()))
	if g := l.b.Steps[i].Gemm; g != nil {
		s.gemm, s.nest = g, g.Epilogue
		plan, err := code.products.NewPlan(l.problem(g))
		if err != nil {
			return fmt.Errorf("BUG: native: %w", err) // Bind and Lower admit what the template takes
		}
		s.product = plan
		s.template = l.fillTemplate(s.leaf, s.nest)
		return nil
	}
	s.nest = l.b.Steps[i].Nest
	if l.streams(i) {
		var err error
		if s.leaf, err = l.k.streaming(i); err != nil {
			return err
		}
		l.args = max(l.args, alignUp(s.code.ArgsSize()))
	}
	s.chunking = codegen.Chunks(s.nest, chunkPoints(s.nest, s.code.Stats.Lanes))
	s.template = l.fillTemplate(s.leaf, s.nest)
	return nil
}

// fillTemplate fills an argument block with everything but addresses and place.
func (l *launch) fillTemplate(f leaf, n *codegen.BoundNest) []byte {
	t := make([]byte, alignUp(f.code.ArgsSize())+alignment)
	t = t[-uintptr(unsafe.Pointer(&t[0]))&(alignment-1):][:f.code.ArgsSize()]
	if !n.Empty {
		f.code.Fill(unsafe.Pointer(&t[0]), n, make([]uintptr, len(l.b.Lens)))
	}
	return t
}

// chunkPoints is the points of one chunk: a 64th of the nest, so that many
// workers find work, but no less than takes a microsecond or two, which pays for
// handing it out, and no more than takes about 100, because machine code cannot
// be preempted. Streams through memory run faster in long chunks: each start
// costs the prefetchers' and store buffers' warm-up.
func chunkPoints(n *codegen.BoundNest, lanes int) int64 {
	total := n.InnerPoints()
	for _, a := range n.Nest.Outer {
		total *= n.Extent[a]
	}
	shortest := shortestChunk(n.Nest)
	longest := (1 << 18) * int64(lanes) / bodyCost(n.Nest)
	return max(min(total/64, longest), shortest)
}

// shortestChunk is the least points of a chunk; a nest of no more is one chunk.
func shortestChunk(n *codegen.Nest) int64 { return max((1<<18)/bodyCost(n), 1<<10) }

// bodyCost is about the cost of one point.
func bodyCost(n *codegen.Nest) int64 { return int64(len(n.Insts) + 8) }

func (l *launch) problem(g *codegen.BoundGemm) gemm.Problem {
	operand := func(o codegen.BoundOperand) gemm.Operand {
		return gemm.Operand{DType: l.b.Kernel.Bufs[o.Buf].DType, Offset: o.Offset, Batch: o.Batch, Row: o.Row, Col: o.Col}
	}
	return gemm.Problem{Batch: g.Batch, M: g.M, N: g.N, K: g.K, A: operand(g.A), B: operand(g.B),
		C: gemm.Result{Batch: make([]int64, len(g.Batch)), Row: g.N}}
}

// ScratchBytes is the scratch of a run, for so many workers.
func (l *launch) ScratchBytes(workers int) int {
	return l.temps + l.productBytes(workers) + workers*(l.args+l.rows)
}

func (l *launch) productBytes(workers int) int {
	n := 0
	for i := range l.steps {
		if p := l.steps[i].product; p != nil {
			n = max(n, alignUp(p.ScratchBytes(workers)))
		}
	}
	return n
}

// Chunks is the most chunks that a step is split into; a product's count as many.
func (l *launch) Chunks() int {
	n := 0
	for i := range l.steps {
		if l.steps[i].product != nil {
			return math.MaxInt
		}
		n = max(n, int(l.steps[i].chunking.Count))
	}
	return n
}

// Run computes the region.
func (l *launch) Run(bufs [][]byte, scratch []byte, w executors.Workers) error {
	local := l.temps + l.productBytes(w.Workers())
	if need := local + w.Workers()*(l.args+l.rows); len(scratch) < need {
		return fmt.Errorf("BUG: native: scratch of %d bytes, need %d", len(scratch), need)
	}
	if err := l.checkBuffers(bufs); err != nil {
		return err
	}
	r := l.runs.Get().(*run)
	r.start(bufs, scratch, local, w)
	r.noteRaces()
	err := r.steps()
	r.finish()
	l.runs.Put(r)
	return err
}

// checkBuffers makes sure that the bound proof holds for the memory given.
func (l *launch) checkBuffers(bufs [][]byte) error {
	for n, i := range l.given {
		buf := l.b.Kernel.Bufs[i]
		if n >= len(bufs) || int64(len(bufs[n])) < l.b.Lens[i]*int64(buf.DType.Size()) {
			return fmt.Errorf("BUG: native: buffer %s is missing or short", buf.Name)
		}
	}
	return nil
}

// run is one execution of a launch.
type run struct {
	l       *launch
	bufs    [][]byte
	scratch []byte
	w       executors.Workers
	workers []worker
	local   int // offset in scratch of worker 0's part; the product's ends here

	at    int // step at work
	chunk func(chunk, worker int)
	tile  gemm.Epilogue
}

// worker is what one worker keeps during a run.
type worker struct {
	bases  []uintptr // by buffer
	box    codegen.Box
	filled int   // step that the argument block is for, plus 1
	ld     int64 // row stride of the tile that it is for
	_      [64]byte
}

func newRun(l *launch) *run {
	r := &run{l: l}
	r.chunk, r.tile = r.runChunk, r.runTile
	return r
}

func base(b []byte) uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(b))) }

// start points every worker at the buffers.
func (r *run) start(bufs [][]byte, scratch []byte, local int, w executors.Workers) {
	l := r.l
	r.bufs, r.scratch, r.local, r.w = bufs, scratch, local, w
	for len(r.workers) < w.Workers() {
		r.workers = append(r.workers, worker{bases: make([]uintptr, len(l.b.Lens)), box: codegen.NewBox(l.maxOuter())})
	}
	for i := range r.workers[:w.Workers()] {
		r.workers[i].filled = 0
		r.place(i)
	}
}

func (l *launch) maxOuter() int {
	n := 0
	for i := range l.steps {
		n = max(n, len(l.steps[i].nest.Nest.Outer))
	}
	return n
}

// place computes a worker's buffer addresses.
func (r *run) place(i int) {
	l, bases := r.l, r.workers[i].bases
	for n, b := range l.given {
		bases[b] = base(r.bufs[n])
	}
	for _, t := range l.temp {
		bases[t.buf] = base(r.scratch) + uintptr(t.offset)
	}
	rows := base(r.scratch) + uintptr(r.local+i*(l.args+l.rows)+l.args)
	for _, t := range l.row {
		bases[t.buf] = rows + uintptr(t.offset)
	}
}

// finish lets go of the caller's memory.
func (r *run) finish() { r.bufs, r.scratch, r.w = nil, nil, nil }

func (r *run) steps() error {
	for i := range r.l.steps {
		r.at = i
		s := &r.l.steps[i]
		switch {
		case s.product != nil:
			if err := r.multiply(s); err != nil {
				return err
			}
		case s.chunking.Count == 1:
			r.runChunk(0, 0)
		case s.chunking.Count > 1:
			r.w.Run(int(s.chunking.Count), r.chunk)
		}
	}
	return nil
}

func (r *run) multiply(s *boundStep) error {
	a := r.workers[0].bases[s.gemm.A.Buf]
	b := r.workers[0].bases[s.gemm.B.Buf]
	scratch := r.scratch[r.l.temps:r.local]
	return s.product.Run(r.w, pointer(a), pointer(b), nil, scratch, r.tile)
}

// pointer turns an address of memory that the run keeps alive into a pointer.
func pointer(addr uintptr) unsafe.Pointer { return *(*unsafe.Pointer)(unsafe.Pointer(&addr)) }

// block is a worker's argument block.
func (r *run) block(w int) unsafe.Pointer {
	return unsafe.Pointer(unsafe.SliceData(r.scratch[r.local+w*(r.l.args+r.l.rows):]))
}

// prepare makes a worker's argument block the step's.
func (r *run) prepare(s *boundStep, w int) {
	args := r.block(w)
	copy(unsafe.Slice((*byte)(args), len(s.template)), s.template)
	s.code.SetBases(args, s.nest, r.workers[w].bases)
	r.workers[w].filled = r.at + 1
}

func (r *run) runChunk(chunk, w int) {
	s, wk, args := &r.l.steps[r.at], &r.workers[w], r.block(w)
	if wk.filled != r.at+1 {
		r.prepare(s, w)
	}
	box := wk.part(len(s.nest.Nest.Outer))
	s.chunking.At(int64(chunk), &box)
	s.code.Place(args, box)
	s.exe.Call(args)
}

// part is the worker's box, of that many outer axes.
func (wk *worker) part(outer int) codegen.Box {
	return codegen.Box{Lo: wk.box.Lo[:outer], Hi: wk.box.Hi[:outer]}
}

// runTile runs the epilogue over one tile of a product.
func (r *run) runTile(w int, batch []int64, m0, m1, n0, n1 int64, tile unsafe.Pointer, ld int64) {
	s, wk, args := &r.l.steps[r.at], &r.workers[w], r.block(w)
	if wk.filled != r.at+1 {
		r.prepare(s, w)
		wk.ld = 0
	}
	if wk.ld != ld {
		wk.ld = ld
		s.code.SetTile(args, ld)
	}
	box, nb := wk.part(len(batch)+2), len(batch)
	for i, b := range batch {
		box.Lo[i], box.Hi[i] = b, b+1
	}
	box.Lo[nb], box.Hi[nb], box.Lo[nb+1], box.Hi[nb+1] = m0, m1, n0, n1
	s.code.PlaceTile(args, box, uintptr(tile))
	s.exe.Call(args)
}

// noteRaces tells the race detector what machine code will touch, which it
// cannot see; in builds without it nothing happens.
func (r *run) noteRaces() {
	for n, b := range r.l.given {
		note := exec.RaceRead
		if r.l.b.Kernel.Bufs[b].Kind == codegen.Output {
			note = exec.RaceWrite
		}
		note(unsafe.Pointer(unsafe.SliceData(r.bufs[n])), len(r.bufs[n]))
	}
}
