package gemm

import (
	"fmt"
	"sync"
	"unsafe"

	"jitc/ir/tensor"
)

// strategy is one way to compute a problem. Its methods are called concurrently.
type strategy interface {
	// memory is the scratch it needs, in bytes: one part for all workers and one for each.
	memory() (shared, local int)
	// run computes the product, in phases.
	run(r *run)
	// tile computes and delivers the i-th part of the result.
	tile(r *run, i int64, worker int)
}

// Plan is a problem at concrete sizes with its blocking and kernels chosen. It
// is safe for concurrent runs, each with its own scratch.
type Plan struct {
	k        *Kernels
	p        Problem // as computed: transposed if swapped
	swapped  bool
	kind     Kind
	strategy strategy
	shared   int // bytes, multiples of scratchAlign
	local    int

	mu   sync.Mutex
	idle []*run // as many as ever ran at once; kept, so that runs allocate nothing
}

const scratchAlign = 64

func alignUp(n, to int) int { return (n + to - 1) / to * to }

func ceilDiv(a, b int64) int64 { return (a + b - 1) / b }

// NewPlan chooses strategy, blocking and kernels for p, and emits the kernels
// that no earlier plan needed. A mistake in p is reported as an error.
func (k *Kernels) NewPlan(p Problem) (*Plan, error) {
	if err := p.check(k.dt); err != nil {
		return nil, err
	}
	pl := &Plan{k: k, p: p.normal()}
	var err error
	if pl.strategy, err = pl.choose(); err != nil {
		return nil, err
	}
	shared, local := pl.strategy.memory()
	pl.shared = alignUp(shared, scratchAlign)
	pl.local = alignUp(local, scratchAlign) + alignUp(int(unsafe.Sizeof(workerState{}))+8*len(p.Batch), scratchAlign)
	return pl, nil
}

// strategies make the strategies, by kind.
var strategies = [...]func(*Plan) (strategy, error){
	Blocked: newBlocked, Stream: newStream, Dot: newDot,
	Zeros: func(pl *Plan) (strategy, error) { return newZeros(pl), nil },
}

// choose decides how the problem is computed.
func (pl *Plan) choose() (strategy, error) {
	p := &pl.p
	switch {
	case !p.PackedB:
		if pl.kind, pl.swapped = pl.k.KindOf(p.numbers(), p.A.DType, p.B.DType); pl.swapped {
			*p = p.swapped()
		}
	case p.K == 0:
		pl.kind = Zeros
	}
	return strategies[pl.kind](pl)
}

// ScratchBytes is the length of the scratch memory of a run on that many workers.
func (pl *Plan) ScratchBytes(workers int) int {
	return scratchAlign + pl.shared + workers*pl.local
}

// Run computes the product of the operands at a and b (the addresses that
// Operand.Offset counts from) on r's workers. Without an epilogue the result is
// stored at c; with one, c is not used. Scratch is at least ScratchBytes long;
// its contents do not matter and are lost.
func (pl *Plan) Run(r Runner, a, b, c unsafe.Pointer, scratch []byte, ep Epilogue) error {
	s, err := pl.begin(r, scratch)
	if err != nil {
		return err
	}
	defer pl.end(s)
	if pl.swapped {
		a, b = b, a
	}
	s.a, s.b, s.c, s.epilogue = a, b, c, ep
	if pl.p.PackedB {
		s.packed = b
	}
	if pl.p.M > 0 && pl.p.N > 0 && pl.p.batches() > 0 {
		pl.strategy.run(s)
	}
	return nil
}

// begin takes an idle run and gives it the aligned part of scratch.
func (pl *Plan) begin(r Runner, scratch []byte) (*run, error) {
	if need := pl.ScratchBytes(r.Workers()); len(scratch) < need {
		return nil, fmt.Errorf("gemm: scratch for %d workers: expected at least %d bytes, got %d; hint: Plan.ScratchBytes", r.Workers(), need, len(scratch))
	}
	s := pl.idleRun()
	base := unsafe.Pointer(unsafe.SliceData(scratch))
	s.runner, s.scratch = r, unsafe.Add(base, -uintptr(base)&(scratchAlign-1))
	return s, nil
}

// end gives a run back without what it refers to. Until then the run keeps the operands and the scratch alive.
func (pl *Plan) end(s *run) {
	s.runner, s.epilogue = nil, nil
	s.a, s.b, s.c, s.scratch, s.packed = nil, nil, nil, nil, nil
	pl.mu.Lock()
	defer pl.mu.Unlock()
	pl.idle = append(pl.idle, s)
}

// idleRun takes an idle run, or makes one.
func (pl *Plan) idleRun() *run {
	pl.mu.Lock()
	defer pl.mu.Unlock()
	if last := len(pl.idle) - 1; last >= 0 {
		s := pl.idle[last]
		pl.idle = pl.idle[:last]
		return s
	}
	s := &run{plan: pl}
	s.packAChunk, s.packBChunk, s.tileChunk = s.packA, s.packB, s.tile
	return s
}

// workerState is at the start of each worker's scratch, followed by the batch
// coordinates and then by the strategy's memory. Argument blocks live here so
// that calls allocate nothing; addresses in them are kept alive by the run.
type workerState struct {
	micro  microArgs
	pack   packArgs
	stream streamArgs
	dot    dotArgs
}

// run is one execution of a plan.
type run struct {
	plan     *Plan
	runner   Runner
	a, b, c  unsafe.Pointer
	scratch  unsafe.Pointer
	epilogue Epilogue

	packed unsafe.Pointer // blocked: all of B, packed

	count, group int64 // tiles of this phase, and tiles per chunk

	batch int64 // blocked, in phases: the batch and the first panel of A at work
	slab  int64

	packAChunk, packBChunk, tileChunk func(chunk, worker int) // bound once, so that a run allocates nothing
}

func (r *run) packA(chunk, worker int) { r.plan.strategy.(*blocked).packPanelA(r, chunk, worker) }
func (r *run) packB(chunk, worker int) { r.plan.strategy.(*blocked).packPanelB(r, chunk, worker) }

// tiles computes n tiles, small ones in groups, so that a chunk is worth claiming.
func (r *run) tiles(n int64) {
	p, cores := &r.plan.p, int64(r.plan.k.target.Cores)
	flops := max(2*p.M*p.N*p.K*p.batches()/n, 1)
	r.count, r.group = n, max(1, min(chunkMinFlops/4/flops, n/(coreChunks*cores)))
	r.runner.Run(int(ceilDiv(n, r.group)), r.tileChunk)
}

func (r *run) tile(chunk, worker int) {
	first := int64(chunk) * r.group
	for i := first; i < min(first+r.group, r.count); i++ {
		r.plan.strategy.tile(r, i, worker)
	}
}

// state is the worker's argument blocks.
func (r *run) state(worker int) *workerState {
	return (*workerState)(unsafe.Add(r.scratch, r.plan.shared+worker*r.plan.local))
}

// memory is the worker's part of the strategy's scratch.
func (r *run) memory(worker int) unsafe.Pointer {
	own := alignUp(int(unsafe.Sizeof(workerState{}))+8*len(r.plan.p.Batch), scratchAlign)
	return unsafe.Add(r.scratch, r.plan.shared+worker*r.plan.local+own)
}

// place is a batch: its coordinates, and where its matrices start, in elements.
type place struct {
	batch   []int64
	a, b, c int64
}

// at locates batch number i; the coordinates live in the worker's scratch.
func (r *run) at(worker int, i int64) place {
	p := &r.plan.p
	coords := unsafe.Slice((*int64)(unsafe.Add(r.scratch, r.plan.shared+worker*r.plan.local+int(unsafe.Sizeof(workerState{})))), len(p.Batch))
	at := place{coords, p.A.Offset, p.B.Offset, p.C.Offset}
	for d := len(p.Batch) - 1; d >= 0; d-- {
		x := i % p.Batch[d]
		i /= p.Batch[d]
		coords[d] = x
		at.a += x * p.A.Batch[d]
		at.b += x * p.B.Batch[d]
		at.c += x * p.C.Batch[d]
	}
	return at
}

// aAt, bAt and cAt address an element by its distance from the operand's start.
func (r *run) aAt(i int64) unsafe.Pointer { return unsafe.Add(r.a, i*int64(r.plan.p.A.DType.Size())) }
func (r *run) bAt(i int64) unsafe.Pointer { return unsafe.Add(r.b, i*int64(r.plan.p.B.DType.Size())) }
func (r *run) cAt(i int64) unsafe.Pointer { return unsafe.Add(r.c, i*int64(r.plan.k.dt.Size())) }

// region is a part of the result of one batch, of the problem as computed.
type region struct{ m0, m1, n0, n1 int64 }

// target says where to compute a region: in the result itself, or in tile,
// whose rows are ld elements apart, for deliver to pass on.
func (r *run) target(at place, g region, tile unsafe.Pointer, ld int64) (unsafe.Pointer, int64) {
	c := &r.plan.p.C
	switch {
	case r.epilogue != nil || r.plan.swapped && c.Row != 1:
		return tile, ld
	case r.plan.swapped:
		return r.cAt(at.c + g.n0), c.Row
	}
	return r.cAt(at.c + g.m0*c.Row + g.n0), c.Row
}

// deliver passes on a finished region that target placed in tile.
func (r *run) deliver(worker int, at place, g region, tile unsafe.Pointer, ld int64) {
	switch {
	case r.epilogue != nil && r.plan.swapped: // one row, which is a column of the result
		r.epilogue(worker, at.batch, g.n0, g.n1, 0, 1, tile, 1)
	case r.epilogue != nil:
		r.epilogue(worker, at.batch, g.m0, g.m1, g.n0, g.n1, tile, ld)
	case r.plan.swapped && r.plan.p.C.Row != 1:
		r.scatter(at, g, tile)
	}
}

// scatter stores a row of the swapped result into its column.
func (r *run) scatter(at place, g region, tile unsafe.Pointer) {
	step := r.plan.p.C.Row
	for n := g.n0; n < g.n1; n++ {
		to := r.cAt(at.c + n*step)
		if r.plan.k.dt == tensor.F64 {
			*(*float64)(to) = *(*float64)(unsafe.Add(tile, (n-g.n0)*8))
		} else {
			*(*float32)(to) = *(*float32)(unsafe.Add(tile, (n-g.n0)*4))
		}
	}
}

// clearRows zeroes rows of length n elements, ld elements apart.
func clearRows(p unsafe.Pointer, rows, n, ld int64, size int) {
	for i := range rows {
		clear(unsafe.Slice((*byte)(unsafe.Add(p, i*ld*int64(size))), n*int64(size)))
	}
}
