package gemm

// zeros is the strategy for K == 0.
type zeros struct {
	*Plan
	cols int64 // of a tile
}

func newZeros(pl *Plan) strategy { return &zeros{pl, min(pl.p.N, 1024)} }

func (z *zeros) memory() (shared, local int) { return 0, int(z.cols) * z.k.dt.Size() }

func (z *zeros) run(r *run) {
	r.tiles(ceilDiv(z.p.N, z.cols) * z.p.M * z.p.batches())
}

func (z *zeros) tile(r *run, i int64, worker int) {
	tiles := ceilDiv(z.p.N, z.cols)
	at := r.at(worker, i/(tiles*z.p.M))
	m, n := i/tiles%z.p.M, i%tiles*z.cols
	g := region{m, m + 1, n, min(n+z.cols, z.p.N)}
	tile := r.memory(worker)
	c, ldc := r.target(at, g, tile, z.cols)
	clearRows(c, 1, g.n1-g.n0, ldc, z.k.dt.Size())
	r.deliver(worker, at, g, tile, z.cols)
}
