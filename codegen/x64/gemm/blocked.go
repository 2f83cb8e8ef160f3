package gemm

import (
	"fmt"
	"unsafe"
)

// blocked is the strategy for general sizes. It computes a tile so:
//
//	for each block of k:                 A block: tile rows x kc, in L2
//	    for each panel of B in the tile: packed panel: kc x nr, in L1
//	        all panels of A: C += A * B  (one or two calls)
//
// The order of additions to an element is that of its blocks of k, so it does
// not depend on how the result is tiled.
type blocked struct {
	*Plan
	blocking

	micro  [2][]Caller     // by height (height, height+1) and vectors per row
	packA  [2]*panelPacker // by height
	packB  [2]*panelPacker // whole panels, the last panel
	masks  [2]laneMask     // the same
	layout struct {
		sharedB int // offset in the shared scratch
		b, tile int // offsets in a worker's memory, after its panels of A
	}
}

func newBlocked(pl *Plan) (strategy, error) {
	b := &blocked{Plan: pl, blocking: newBlocking(pl.k, &pl.p)}
	return b, b.kernels()
}

// lastCols is the number of columns of the last panel of B.
func (b *blocked) lastCols() int64 { return max(b.p.N-1, 0)%b.nr + 1 }

// kernels fetches the kernels that the blocking needs.
func (b *blocked) kernels() error {
	for h := range 2 {
		if rows := int(b.height) + h; rows > 0 && (h == 0 || b.tall > 0) {
			if err := b.rowKernels(h, rows); err != nil {
				return err
			}
		}
	}
	for i, cols := range []int64{b.nr, b.lastCols()} {
		vectors := ceilDiv(cols, int64(b.lanes))
		b.masks[i].set(b.k.target.ISA, b.k.dt, int(cols-(vectors-1)*int64(b.lanes)))
		if b.b == inPlace {
			continue
		}
		var err error
		if b.packB[i], err = b.k.packer(b.p.B.DType, b.p.B.Row, b.p.B.Col, int(cols), int(vectors)*b.lanes); err != nil {
			return err
		}
	}
	return nil
}

// rowKernels fetches what panels of A of one height need.
func (b *blocked) rowKernels(h, rows int) (err error) {
	if b.a != inPlace {
		if b.packA[h], err = b.k.packer(b.p.A.DType, b.p.A.Col, b.p.A.Row, rows, rows); err != nil {
			return err
		}
	}
	b.micro[h] = make([]Caller, b.nv+1)
	for _, nv := range []int{b.nv, int(ceilDiv(b.lastCols(), int64(b.lanes)))} {
		key := kernelKey{kind: microKernel, src: b.k.dt, x: rows, y: nv, aInPlace: b.a == inPlace, bInPlace: b.b == inPlace}
		if b.micro[h][nv], err = b.k.get(key); err != nil {
			return err
		}
	}
	return nil
}

func (b *blocked) memory() (shared, local int) {
	switch b.a {
	case packedOwn:
		local = int(b.tilePanels * b.aPanel)
	case packedFirst:
		shared = int(b.slabPanels * b.aPanel * b.kBlocks)
	}
	b.layout.sharedB, b.layout.b = shared, local
	switch b.b {
	case packedOwn:
		local += int(b.bPanel)
	case packedFirst:
		shared += int(b.bBytes(&b.p))
	}
	b.layout.tile = local
	return shared, local + int(b.tilePanels*(b.height+1)*b.tileCols)*b.k.dt.Size()
}

// phased reports whether batches run one after another, with phases that pack.
func (b *blocked) phased() bool { return b.a == packedFirst || b.b == packedFirst }

func (b *blocked) run(r *run) {
	if !b.phased() {
		r.tiles(b.mTiles * b.nTiles * b.p.batches())
		return
	}
	for r.batch = range b.p.batches() {
		if b.b == packedFirst {
			r.packed = unsafe.Add(r.scratch, b.layout.sharedB)
			r.runner.Run(int(ceilDiv(b.p.N, b.nr)), r.packBChunk)
		}
		for r.slab = 0; r.slab < b.panels; r.slab += b.slabPanels {
			count := min(b.slabPanels, b.panels-r.slab)
			if b.a == packedFirst {
				r.runner.Run(int(count), r.packAChunk)
			}
			r.tiles(ceilDiv(count, b.tilePanels) * b.nTiles)
		}
	}
}

// packPanelA packs every block of k of one panel of the slab.
func (b *blocked) packPanelA(r *run, chunk, worker int) {
	panel := r.slab + int64(chunk)
	from := r.at(worker, r.batch).a + b.rowAt(panel)*b.p.A.Row
	for kb := range b.kBlocks {
		to := unsafe.Add(r.scratch, (kb*b.slabPanels+int64(chunk))*b.aPanel)
		b.packerA(panel).pack(&r.state(worker).pack, r.aAt(from+kb*b.kc*b.p.A.Col), to, int(b.depth(kb)), b.kc*b.p.A.Col)
	}
}

// packPanelB packs every block of k of one panel of B.
func (b *blocked) packPanelB(r *run, chunk, worker int) {
	n, last := int64(chunk)*b.nr, 0
	if n+b.nr > b.p.N {
		last = 1
	}
	from := r.at(worker, r.batch).b + n*b.p.B.Col
	for kb := range b.kBlocks {
		to := unsafe.Add(r.packed, (int64(chunk)*b.kBlocks+kb)*b.bPanel)
		b.packB[last].pack(&r.state(worker).pack, r.bAt(from+kb*b.kc*b.p.B.Row), to, int(b.depth(kb)), b.kc*b.p.B.Row)
	}
}

func (b *blocked) packerA(panel int64) *panelPacker {
	if panel < b.tall {
		return b.packA[1]
	}
	return b.packA[0]
}

// depth is the size of block kb of k.
func (b *blocked) depth(kb int64) int64 { return min(b.kc, b.p.K-kb*b.kc) }

// job is the tile that a chunk computes.
type job struct {
	region
	r      *run
	w      *workerState
	memory unsafe.Pointer
	at     place
	p0, p1 int64          // panels of A
	c      unsafe.Pointer // where the tile is computed
	ldc    int64
}

// job finds the i-th tile. Tiles of the same columns are neighbours: they share B.
func (b *blocked) job(r *run, i int64, worker int) job {
	j := job{r: r, w: r.state(worker), memory: r.memory(worker)}
	mTiles := b.mTiles
	if b.phased() {
		mTiles = ceilDiv(min(b.slabPanels, b.panels-r.slab), b.tilePanels)
		j.at, j.p0 = r.at(worker, r.batch), r.slab
	} else {
		tiles := mTiles * b.nTiles
		j.at, i = r.at(worker, i/tiles), i%tiles
	}
	j.p0 += i % mTiles * b.tilePanels
	j.p1 = min(j.p0+b.tilePanels, b.panels)
	n0 := i / mTiles * b.tileCols
	j.region = region{b.rowAt(j.p0), b.rowAt(j.p1), n0, min(n0+b.tileCols, b.p.N)}
	return j
}

// tile computes one tile.
func (b *blocked) tile(r *run, i int64, worker int) {
	j := b.job(r, i, worker)
	tile := unsafe.Add(j.memory, b.layout.tile)
	j.c, j.ldc = r.target(j.at, j.region, tile, b.tileCols)
	if b.aResident {
		for n := j.n0; n < j.n1; n += b.nr {
			for kb := range b.kBlocks {
				b.multiply(&j, kb, n, b.blockOfA(&j, kb))
			}
		}
	} else {
		for kb := range b.kBlocks {
			a := b.blockOfA(&j, kb)
			for n := j.n0; n < j.n1; n += b.nr {
				b.multiply(&j, kb, n, a)
			}
		}
	}
	r.deliver(worker, j.at, j.region, tile, b.tileCols)
}

// blockOfA returns where the tile's first panel of A lies for block kb of k, packing the block if it is the chunk's own.
func (b *blocked) blockOfA(j *job, kb int64) unsafe.Pointer {
	from := j.at.a + kb*b.kc*b.p.A.Col
	switch b.a {
	case inPlace:
		return j.r.aAt(from + j.m0*b.p.A.Row)
	case packedFirst:
		return unsafe.Add(j.r.scratch, (kb*b.slabPanels+j.p0-j.r.slab)*b.aPanel)
	}
	for p := j.p0; p < j.p1; p++ {
		to := unsafe.Add(j.memory, (p-j.p0)*b.aPanel)
		b.packerA(p).pack(&j.w.pack, j.r.aAt(from+b.rowAt(p)*b.p.A.Row), to, int(b.depth(kb)), (b.height+1)*b.p.A.Row)
	}
	return j.memory
}

// blockOfB returns where block kb of k of the panel of B at column n lies, packing it if it is the chunk's own.
func (b *blocked) blockOfB(j *job, kb, n int64, last int) unsafe.Pointer {
	if b.b == packedFirst || b.b == packedGiven {
		return unsafe.Add(j.r.packed, (n/b.nr*b.kBlocks+kb)*b.bPanel)
	}
	src := j.r.bAt(j.at.b + kb*b.kc*b.p.B.Row + n*b.p.B.Col)
	if b.b == inPlace {
		return src
	}
	to := unsafe.Add(j.memory, b.layout.b)
	b.packB[last].pack(&j.w.pack, src, to, int(b.depth(kb)), b.ahead(j, kb, n))
	return to
}

// ahead is the distance, in elements, from block kb of the panel of B at column
// n to the block that is packed next, to be prefetched meanwhile.
func (b *blocked) ahead(j *job, kb, n int64) int64 {
	block, panel := b.kc*b.p.B.Row, b.nr*b.p.B.Col
	switch {
	case b.aResident && kb+1 < b.kBlocks:
		return block
	case b.aResident:
		return panel - kb*block
	case n+b.nr >= j.n1 && kb+1 < b.kBlocks:
		return block - (n-j.n0)*b.p.B.Col
	}
	return panel
}

// multiply multiplies the tile's panels of A, the first at a, with the panel of B at column n.
func (b *blocked) multiply(j *job, kb, n int64, a unsafe.Pointer) {
	cols, last := min(b.nr, j.n1-n), 0
	if cols < b.nr {
		last = 1
	}
	p, size := &b.p, int64(b.k.dt.Size())
	src := b.blockOfB(j, kb, n, last)
	args := &j.w.micro
	*args = microArgs{k: b.depth(kb), a: uintptr(a), b: uintptr(src), c: uintptr(unsafe.Add(j.c, (n-j.n0)*size)),
		ldc: j.ldc * size, add: kb, aPanel: b.aPanel,
		aRow: p.A.Row * size, aK: p.A.Col * size, bK: p.B.Row * size, mask: b.masks[last]}
	nv := ceilDiv(cols, int64(b.lanes))
	talls := min(j.p1, max(j.p0, b.tall)) - j.p0
	b.call(args, 1, nv, talls)
	b.call(args, 0, nv, j.p1-j.p0-talls)
}

// call runs a micro-kernel over count panels; args moves on past them.
func (b *blocked) call(args *microArgs, h int, nv, count int64) {
	if count == 0 {
		return
	}
	args.panels = count
	if b.a == inPlace {
		args.aPanel = (b.height + int64(h)) * args.aRow
	}
	b.micro[h][nv].Call(unsafe.Pointer(args))
}

// PackedBytes is the size of B packed for this plan, 0 if its problem is not PackedB.
func (pl *Plan) PackedBytes() int {
	if b, ok := pl.strategy.(*blocked); ok && b.b == packedGiven {
		return int(b.bBytes(&pl.p))
	}
	return 0
}

// PackB packs the operand at b into dst, which then takes its place in runs of
// this plan and of every plan with equal kernels, N, K and B but other M. Dst
// holds at least PackedBytes, best aligned to 64 bytes; scratch is that of Run.
func (pl *Plan) PackB(r Runner, b unsafe.Pointer, dst, scratch []byte) error {
	if !pl.p.PackedB {
		return fmt.Errorf("gemm: pack B: expected a plan of a problem with PackedB set")
	}
	if need := pl.PackedBytes(); len(dst) < need {
		return fmt.Errorf("gemm: pack B: expected at least %d bytes, got %d; hint: Plan.PackedBytes", need, len(dst))
	}
	s, err := pl.begin(r, scratch)
	if err != nil {
		return err
	}
	defer pl.end(s)
	if bl, ok := pl.strategy.(*blocked); ok && bl.PackedBytes() > 0 {
		s.b, s.batch, s.packed = b, 0, unsafe.Pointer(unsafe.SliceData(dst))
		r.Run(int(ceilDiv(pl.p.N, bl.nr)), s.packBChunk)
	}
	return nil
}
