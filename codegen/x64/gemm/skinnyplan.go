package gemm

import (
	"unsafe"
)

// stream is the strategy for few rows and B contiguous along n. A chunk
// computes a strip of columns of all rows; see streamer for the kernel.
type stream struct {
	*Plan
	mr, depth  int64
	strip      int64 // columns per chunk, a multiple of the lanes
	strips     int64
	callGroups int64 // groups of depth rows of B per call
	aInPlace   bool  // A already lies as [k][mr]
	packA      *panelPacker
	kernel     Caller
	rest       Caller // for the last K%depth rows of B
	tileAt     int
}

func newStream(pl *Plan) (strategy, error) {
	p, k := &pl.p, pl.k
	lanes := int64(k.lanes())
	s := &stream{Plan: pl, mr: p.M, depth: int64(streamDepth(k.target.ISA, int(p.M)))}
	most := int64(k.target.L1) / 2 / (p.M * int64(k.dt.Size()))
	s.strip = min(max(p.N/8, 256), most)
	s.strip = max(1, ceilDiv(min(s.strip, p.N), lanes)) * lanes
	s.strips = ceilDiv(p.N, s.strip)
	s.callGroups = max(1, callBytes/(s.depth*s.strip*int64(p.B.DType.Size())))
	s.aInPlace = p.A.DType == k.dt && p.A.Col == p.M && (p.M == 1 || p.A.Row == 1)
	var err error
	if s.packA, err = k.packer(p.A.DType, p.A.Col, p.A.Row, int(p.M), int(p.M)); err != nil {
		return nil, err
	}
	key := kernelKey{kind: streamKernel, src: p.B.DType, x: int(s.mr), y: int(s.depth)}
	if s.kernel, err = k.get(key); err != nil {
		return nil, err
	}
	if key.y = int(p.K % s.depth); key.y > 0 {
		s.rest, err = k.get(key)
	}
	return s, err
}

func (s *stream) memory() (shared, local int) {
	if !s.aInPlace {
		local = alignUp(int(s.p.K*s.mr)*s.k.dt.Size()+packSlack, 64)
	}
	s.tileAt = local
	return 0, local + int(s.mr*s.strip)*s.k.dt.Size()
}

func (s *stream) run(r *run) {
	r.tiles(s.strips * s.p.batches())
}

func (s *stream) tile(r *run, i int64, worker int) {
	at := r.at(worker, i/s.strips)
	n := i % s.strips * s.strip
	g := region{0, s.mr, n, min(n+s.strip, s.p.N)}
	memory, w, size := r.memory(worker), r.state(worker), int64(s.k.dt.Size())
	a := s.multipliers(r, at, memory, &w.pack)
	tile := unsafe.Add(memory, s.tileAt)
	c, ldc := r.target(at, g, tile, s.strip)
	clearRows(c, s.mr, g.n1-g.n0, ldc, int(size))
	lanes := int64(s.k.lanes())
	args := &w.stream
	*args = streamArgs{a: uintptr(a), b: uintptr(r.bAt(at.b + n)), bK: s.p.B.Row * int64(s.p.B.DType.Size()),
		c: uintptr(c), ldc: ldc * size, vectors: (g.n1 - g.n0) / lanes, ragged: (g.n1 - g.n0) % lanes}
	args.mask.set(s.k.target.ISA, s.k.dt, int(args.ragged))
	for left := s.p.K / s.depth; left > 0; left -= s.callGroups {
		args.groups = min(left, s.callGroups)
		a := args.a + uintptr(args.groups*s.depth*s.mr*size)
		s.kernel.Call(unsafe.Pointer(args))
		args.a = a
	}
	if s.rest != nil {
		args.groups = 1
		s.rest.Call(unsafe.Pointer(args))
	}
	r.deliver(worker, at, g, tile, s.strip)
}

// multipliers returns where A lies as [k][mr], packing it to memory if need be.
func (s *stream) multipliers(r *run, at place, memory unsafe.Pointer, args *packArgs) unsafe.Pointer {
	if s.aInPlace {
		return r.aAt(at.a)
	}
	const step = 4096 // rows per call, to keep calls short
	for k := int64(0); k < s.p.K; k += step {
		to := unsafe.Add(memory, k*s.mr*int64(s.k.dt.Size()))
		s.packA.pack(args, r.aAt(at.a+k*s.p.A.Col), to, int(min(step, s.p.K-k)), 0)
	}
	return memory
}

// dot is the strategy for few rows and B contiguous along k. A chunk computes a
// strip of columns of all rows; see dotter for the kernel.
type dot struct {
	*Plan
	mr, cols   int64
	strip      int64 // columns per chunk, a multiple of cols
	strips     int64
	callGroups int64 // groups of cols columns per call
	aInPlace   bool
	packA      *panelPacker
	kernel     Caller
	rest       Caller // for the last N%cols columns
	tileAt     int
}

func newDot(pl *Plan) (strategy, error) {
	p, k := &pl.p, pl.k
	d := &dot{Plan: pl, mr: p.M, cols: int64(dotWidth(k.target.ISA, int(p.M)))}
	column := p.K * int64(p.B.DType.Size())
	d.strip = min(max(p.N/16, callBytes/4/column), 4096)
	d.strip = max(1, min(d.strip, p.N)/d.cols) * d.cols
	d.strips = ceilDiv(p.N, d.strip)
	d.callGroups = max(1, callBytes/(d.cols*column))
	d.aInPlace = p.A.DType == k.dt && p.A.Col == 1
	var err error
	// As rows of dst, rows of A; along them, k.
	d.packA = &panelPacker{dt: k.dt, src: p.A.DType, along: p.A.Row, across: p.A.Col, width: int(p.K), row: int(p.K)}
	key := kernelKey{kind: dotKernel, src: p.B.DType, x: int(d.mr), y: int(d.cols)}
	if d.kernel, err = k.get(key); err != nil {
		return nil, err
	}
	if key.y = int(p.N % d.cols); key.y > 0 {
		d.rest, err = k.get(key)
	}
	return d, err
}

func (d *dot) memory() (shared, local int) {
	if !d.aInPlace {
		local = alignUp(int(d.p.K*d.mr)*d.k.dt.Size()+packSlack, 64)
	}
	d.tileAt = local
	return 0, local + int(d.mr*d.strip)*d.k.dt.Size()
}

func (d *dot) run(r *run) {
	r.tiles(d.strips * d.p.batches())
}

func (d *dot) tile(r *run, i int64, worker int) {
	at := r.at(worker, i/d.strips)
	n := i % d.strips * d.strip
	g := region{0, d.mr, n, min(n+d.strip, d.p.N)}
	memory, size := r.memory(worker), int64(d.k.dt.Size())
	a, lda := r.aAt(at.a), d.p.A.Row
	if !d.aInPlace {
		d.packA.each(a, memory, 0, int(d.mr))
		a, lda = memory, d.p.K
	}
	tile := unsafe.Add(memory, d.tileAt)
	c, ldc := r.target(at, g, tile, d.strip)
	lanes, srcSize := int64(d.k.lanes()), int64(d.p.B.DType.Size())
	args := &r.state(worker).dot
	*args = dotArgs{a: uintptr(a), lda: lda * size, b: uintptr(r.bAt(at.b + n*d.p.B.Col)), ldb: d.p.B.Col * srcSize,
		c: uintptr(c), ldc: ldc * size, vectors: d.p.K / lanes, ragged: d.p.K % lanes}
	args.mask.set(d.k.target.ISA, d.k.dt, int(args.ragged))
	for left := (g.n1 - g.n0) / d.cols; left > 0; left -= d.callGroups {
		args.groups = min(left, d.callGroups)
		d.kernel.Call(unsafe.Pointer(args))
	}
	if d.rest != nil && g.n1 == d.p.N {
		args.groups = 1
		d.rest.Call(unsafe.Pointer(args))
	}
	r.deliver(worker, at, g, tile, d.strip)
}
